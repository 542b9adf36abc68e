//! The chapter's algorithm, its factors, and what is wrong with its formula.

use whittle_policy::statistics::poisson_at_least;
use whittle_policy::testing::{evaluate, metric, number, plan, plan_input, setting, snapshot};

use super::*;

fn watch_hours(input: &PlanInput) -> Vec<f64> {
    plan::<Adaptive>(input).stages.iter().map(|stage| in_hours(stage.min_time)).collect()
}

fn past(trouble_after_hours: Option<f64>) -> PastRollout {
    PastRollout {
        name: "2.4.0".to_owned(),
        lasted: days(20.0),
        paused: trouble_after_hours.is_some(),
        rolled_back: false,
        time_to_trouble: trouble_after_hours.map(hours),
        devices_harmed: 0,
    }
}

#[test]
fn the_base_is_the_chapters() {
    let plan = plan::<Adaptive>(&plan_input(100_000));
    let stages: Vec<_> =
        plan.stages.iter().map(|stage| (stage.name.as_str(), stage.share)).collect();
    assert_eq!(
        stages,
        [
            ("alpha", 0.0005),
            ("beta", 0.01),
            ("canary", 0.05),
            ("early", 0.25),
            ("regional", 0.5),
            ("full", 1.0)
        ]
    );
    assert_eq!(plan.stages[0].max_devices, Some(50));
    // Alpha has fewer than 100 devices: half of 24 hours.
    assert_eq!(watch_hours(&plan_input(100_000)), [12.0, 72.0, 6.0, 24.0, 72.0, 168.0]);
    assert_eq!(plan.reasons[0].code, "small-stage");
}

#[test]
fn rare_trouble_in_history_doubles() {
    let mut input = plan_input(100_000);
    input.history = vec![past(None); 9];
    input.history.push(past(Some(100.0)));
    // One in ten is not more than a tenth.
    assert_eq!(watch_hours(&input)[2], 6.0);
    input.history.push(past(Some(80.0)));
    assert_eq!(watch_hours(&input), [24.0, 144.0, 12.0, 48.0, 144.0, 336.0]);
    // Trouble within 72 hours is not rare.
    input.history.iter_mut().for_each(|past| past.time_to_trouble = Some(hours(72.0)));
    assert_eq!(watch_hours(&input)[2], 6.0);
}

#[test]
fn safety_and_rare_trouble_and_small_stages_multiply() {
    let mut input = plan_input(100_000);
    input.release.safety_critical = true;
    assert_eq!(watch_hours(&input), [18.0, 108.0, 9.0, 36.0, 108.0, 252.0]);
    input.history = vec![past(Some(100.0))];
    assert_eq!(watch_hours(&input), [36.0, 216.0, 18.0, 72.0, 216.0, 504.0]);
    let codes: Vec<_> =
        plan::<Adaptive>(&input).reasons.into_iter().map(|reason| reason.code).collect();
    assert_eq!(codes, ["rare-trouble", "safety-factor", "small-stage"]);
}

#[test]
fn factors_that_the_chapter_only_names_are_off_until_set() {
    let mut input = plan_input(100_000);
    input.release.emergency = true;
    input.release.reversible = false;
    assert_eq!(watch_hours(&input)[3], 24.0);
    input.settings = vec![number("emergency-factor", 0.25), number("irreversible-factor", 2.0)];
    assert_eq!(watch_hours(&input)[3], 12.0);
}

#[test]
fn a_small_fleet_has_fewer_stages() {
    let names = |devices| {
        let plan = plan::<Adaptive>(&plan_input(devices));
        plan.stages.into_iter().map(|stage| stage.name).collect::<Vec<_>>()
    };
    assert_eq!(names(900), ["alpha", "early", "regional", "full"]);
    assert_eq!(names(30), ["alpha"]);
}

/// 0.5 % of 1,000 devices, hit after 4 hours: the chapter's formula demands 0.8 hours.
#[test]
fn the_chapters_example_of_a_fault() {
    let fault = |cycles| Fault {
        mttf_hours: 4.0,
        affected: 0.005,
        failures_expected: -(0.05_f64).ln(),
        cycles,
    };
    let (needed, _) = fault(0.0).hours_to_see("canary", 1_000.0);
    assert!((needed - 3.66).abs() < 0.01, "{needed}");
    let (recommended, reason) = fault(3.0).hours_to_see("canary", 1_000.0);
    assert_eq!(recommended, 12.0);
    assert_eq!(reason.code, "time-to-show");

    // What can be expected by one MTTF, and by three.
    let expected = |t: f64| 5.0 * (1.0 - (-t / 4.0).exp());
    assert!((expected(4.0) - 3.16).abs() < 0.01);
    assert!((poisson_at_least(1, expected(4.0)) - 0.958).abs() < 0.001);
    assert!((poisson_at_least(3, expected(4.0)) - 0.61).abs() < 0.01);
    assert!((poisson_at_least(3, expected(12.0)) - 0.85).abs() < 0.01);
}

#[test]
fn a_stage_that_cannot_show_the_fault_is_named() {
    let mut input = plan_input(100_000);
    input.settings = vec![number("mttf-hours", 4.0)];
    let plan = plan::<Adaptive>(&input);
    let of = |code: &str| plan.reasons.iter().filter(|reason| reason.code == code).count();
    // Alpha's 50 devices have 0.25 that are hit; 3 would be needed.
    assert_eq!((of("stage-too-small"), of("time-to-show")), (1, 5));
    assert_eq!(watch_hours(&input), [12.0, 72.0, 12.0, 24.0, 72.0, 168.0]);
}

#[test]
fn limits_get_narrower_by_stage() {
    let tally = |value: f64, n: f64| Tally::new(value * n, n);
    let mut now = snapshot();
    now.stages = plan::<Adaptive>(&plan_input(100_000)).stages;
    let mut connected =
        metric("connected", MetricKind::Proportion, tally(0.9, 1e5), tally(0.9, 1e4));
    connected.higher_is_worse = false;
    now.groups[0].metrics = vec![
        metric("crashes", MetricKind::Rate, tally(0.002, 1e6), Tally::NONE),
        connected,
        metric("battery-drain", MetricKind::Mean, tally(1.0, 1e6), tally(1.0, 720.0)),
    ];
    let mut pauses_at = |stage: u32, ratio: f64| {
        now.stage_index = stage;
        now.share_limit = now.stages[stage as usize].share;
        now.full_for = Some(days(30.0));
        now.groups[0].metrics[0].current = tally(0.002 * ratio, 1e5);
        matches!(evaluate::<Adaptive>(&now).decision, Decision::Pause(_))
    };
    for (stage, limit) in [(1, 2.0), (2, 2.0), (3, 1.5), (4, 1.5), (5, 1.2)] {
        assert!(!pauses_at(stage, limit - 0.01), "{stage}");
        assert!(pauses_at(stage, limit + 0.01), "{stage}");
    }
    // Any crash in alpha: one in 100,000 device-hours.
    assert!(!pauses_at(0, 0.0));
    assert!(pauses_at(0, 0.005));
}

#[test]
fn lists_of_another_length_are_refused() {
    let mut input = plan_input(100_000);
    input.settings = vec![setting("base-hours", Value::Numbers(vec![1.0]))];
    let error = Adaptive::plan(input).unwrap_err();
    assert_eq!(error, "base-hours must be 6 numbers, one for each stage; there are 1");
}
