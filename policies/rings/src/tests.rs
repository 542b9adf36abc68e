//! The chapter's rings: 1-10, 10-100 and 100-1,000 devices, then the rest; 3 days, 7 days, 2 weeks and up to 4 weeks.

use whittle_policy::testing::{
    evaluate, group, metric, number, plan, plan_input, setting, snapshot,
};

use super::*;

fn input(sizes: &[(&str, u32)]) -> PlanInput {
    let mut input = plan_input(50_000);
    let rings = sizes.iter().map(|(ring, devices)| group(&format!("ring={ring}"), *devices, 0));
    input.groups.extend(rings);
    input
}

#[test]
fn the_plan_is_the_chapters() {
    let plan = plan::<Rings>(&input(&[("insiders", 10), ("alpha", 90), ("beta", 900)]));
    let stages: Vec<_> = plan
        .stages
        .iter()
        .map(|stage| (stage.name.as_str(), stage.among.as_deref(), stage.max_devices))
        .collect();
    assert_eq!(
        stages,
        [
            ("insiders", Some("ring=insiders"), Some(10)),
            ("alpha", Some("ring=alpha"), Some(100)),
            ("beta", Some("ring=beta"), Some(1_000)),
            ("production", None, None)
        ]
    );
    let shares: Vec<_> = plan.stages.iter().map(|stage| stage.share).collect();
    assert_eq!(shares, [0.0002, 0.002, 0.02, 1.0]);
    let watch: Vec<_> = plan.stages.iter().map(|stage| in_hours(stage.min_time) / 24.0).collect();
    assert_eq!(watch, [3.0, 7.0, 14.0, 14.0]);
    // 49,000 devices in two weeks, which with two weeks of watching are the four of the chapter.
    assert_eq!(plan.stages[3].pace, Some(146));
    assert!(plan.reasons.is_empty());
}

#[test]
fn rings_are_cut_or_left_out() {
    let plan = plan::<Rings>(&input(&[("insiders", 25), ("beta", 900)]));
    let stages: Vec<_> =
        plan.stages.iter().map(|stage| (stage.name.as_str(), stage.max_devices)).collect();
    assert_eq!(stages, [("insiders", Some(10)), ("beta", Some(910)), ("production", None)]);
    let reasons: Vec<_> = plan
        .reasons
        .iter()
        .map(|reason| (reason.code.as_str(), reason.observed, reason.limit))
        .collect();
    assert_eq!(reasons, [("ring-cut", Some(25.0), Some(10.0)), ("ring-empty", None, None)]);
}

#[test]
fn a_fleet_without_rings_or_without_others_has_a_plan() {
    let nobody = plan::<Rings>(&input(&[]));
    assert_eq!(nobody.stages.len(), 1);
    assert_eq!(nobody.stages[0].name, "production");

    let mut all = input(&[("insiders", 10)]);
    all.groups[0].devices = 10;
    let all = plan::<Rings>(&all);
    assert_eq!(all.stages.len(), 1);
    assert_eq!((all.stages[0].name.as_str(), all.stages[0].share), ("insiders", 1.0));
}

#[test]
fn rings_of_another_name_and_number() {
    let mut input = input(&[]);
    input.groups.push(group("channel=nightly", 40, 0));
    input.settings = vec![
        setting("attribute", Value::Text("channel".to_owned())),
        setting("rings", Value::Text("nightly".to_owned())),
    ];
    let error = Rings::plan(input.clone()).unwrap_err();
    assert!(error.contains("1 rings need as many sizes"), "{error}");
    input.settings.push(setting("ring-sizes", Value::Numbers(vec![50.0])));
    input.settings.push(setting("watch-days", Value::Numbers(vec![1.0, 2.0])));
    assert_eq!(plan::<Rings>(&input).stages[0].among.as_deref(), Some("channel=nightly"));
    assert_eq!(Rings::describe(&input.settings).split_by, ["channel"]);
}

/// Ten devices are too few for any ratio.
#[test]
fn one_bricked_device_pauses_the_first_ring() {
    let mut now = snapshot();
    now.groups[0].updated = 10;
    let tally = |value: f64, n: f64| Tally::new(value * n, n);
    let mut connected =
        metric("connected", MetricKind::Proportion, tally(0.9, 1e5), tally(0.9, 10.0));
    connected.higher_is_worse = false;
    now.groups[0].metrics = vec![
        metric("crashes", MetricKind::Rate, tally(0.002, 1e6), tally(0.0, 720.0)),
        connected,
        metric("battery-drain", MetricKind::Mean, tally(1.0, 1e6), tally(1.0, 720.0)),
    ];
    assert_eq!(evaluate::<Rings>(&now).decision, Decision::Advance(0.05));
    now.groups[0].bricked = 1;
    let verdict = evaluate::<Rings>(&now);
    assert!(matches!(verdict.decision, Decision::Pause(_)), "{verdict:?}");
    assert_eq!(verdict.reasons[0].code, "bricked-over-limit");
    now.settings = vec![number("bricked-limit", 0.0)];
    assert_eq!(evaluate::<Rings>(&now).decision, Decision::Advance(0.05));
}
