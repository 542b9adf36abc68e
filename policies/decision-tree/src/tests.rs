//! The chapter's table of criteria, and its thermostats that paused at 5 %.

use whittle_policy::testing::{
    evaluate, group, metric, number, pause, plan, plan_input, setting, snapshot_with,
};

use super::*;

/// The chapter's scenario: 2,500 of 50,000 thermostats (it says 5 % of a fleet that it later gives 100,000 devices), in which
/// 0.01 % crash per day, at the end of the 5 % stage.
fn scenario(crashes_per_day: f64) -> Snapshot {
    let tally = |value: f64, n: f64| Tally::new(value * n, n);
    let mut now = snapshot_with(vec![
        metric(
            "crashes",
            MetricKind::Rate,
            tally(0.0001 / 24.0, 1e9),
            tally(crashes_per_day / 24.0, 2_500.0 * 24.0 * 20.0),
        ),
        metric("battery-drain", MetricKind::Mean, tally(1.0, 1e6), tally(1.0, 2_500.0)),
        metric("tickets", MetricKind::Rate, tally(0.001, 1e6), tally(0.001, 60_000.0)),
    ]);
    now.stage_index = 1;
    now.share_limit = 0.05;
    (now.groups[0].devices, now.groups[0].updated) = (50_000, 2_500);
    now
}

fn paused(now: &Snapshot, age_hours: f64, observed: f64) -> Snapshot {
    let reason = Reason::new("crashes-over-limit", "crashes").about("crashes", "fleet");
    let reasons = vec![reason.figures(observed / 24.0, 0.0002 / 24.0)];
    Snapshot { paused: Some(PauseState { reasons, ..pause(age_hours) }), ..now.clone() }
}

fn order(verdict: &Verdict) -> (Severity, f64) {
    let Decision::Pause(order) = &verdict.decision else { panic!("{verdict:?}") };
    (order.severity, in_hours(order.decide_within))
}

fn takes_back(verdict: &Verdict) -> Vec<String> {
    let Decision::RollBack(order) = &verdict.decision else { panic!("{verdict:?}") };
    assert!(order.quarantine);
    order.groups.clone()
}

#[test]
fn the_table_of_criteria() {
    assert_eq!(evaluate::<DecisionTree>(&scenario(0.0002)).decision, Decision::Advance(0.25));
    let of = |ratio: f64| evaluate::<DecisionTree>(&scenario(0.0001 * ratio));
    assert_eq!(order(&of(2.1)), (Severity::Moderate, 48.0));
    assert_eq!(order(&of(4.9)), (Severity::Moderate, 48.0));
    assert_eq!(order(&of(5.1)), (Severity::High, 24.0));
    assert_eq!(takes_back(&of(10.1)), Vec::<String>::new());

    let mut silent = scenario(0.0001);
    silent.groups[0].silent = 126;
    assert_eq!(evaluate::<DecisionTree>(&silent).reasons[0].code, "silent-over-limit");
    takes_back(&evaluate::<DecisionTree>(&silent));

    let mut battery = scenario(0.0001);
    battery.groups[0].metrics[1].current = Tally::new(1.25 * 2_500.0, 2_500.0);
    let noted = evaluate::<DecisionTree>(&battery);
    assert_eq!(noted.decision, Decision::Advance(0.25));
    assert_eq!(noted.reasons[1].code, "battery-drain-over-limit");

    let mut tickets = scenario(0.0001);
    tickets.groups[0].metrics[2].current = Tally::new(121.0, 60_000.0);
    assert_eq!(order(&evaluate::<DecisionTree>(&tickets)), (Severity::Moderate, 24.0));
}

/// The chapter's rise from 0.01 % to 0.05 % per day lies on the very edge to "high", so this takes a little less.
#[test]
fn the_chapters_pause() {
    let verdict = evaluate::<DecisionTree>(&scenario(0.00045));
    assert_eq!(order(&verdict), (Severity::Moderate, 48.0));
    let Decision::Pause(order) = &verdict.decision else { unreachable!() };
    assert!(order.more_telemetry);
    assert_eq!(order.otherwise, pause(0.0).otherwise);
}

#[test]
fn within_the_deadline_it_watches_on() {
    let verdict = evaluate::<DecisionTree>(&paused(&scenario(0.00045), 30.0, 0.00045));
    assert_eq!(verdict.decision, Decision::Hold);
    assert_eq!(verdict.reasons[0].code, "awaiting-decision");
    // It decides an hour before the 48 are over.
    assert_eq!(verdict.again_in, Some(hours(17.0)));
    assert_eq!((verdict.reasons[0].observed, verdict.reasons[0].limit), (Some(30.0), Some(48.0)));
}

#[test]
fn a_cause_decides_at_once() {
    let found = |cause| {
        let mut now = paused(&scenario(0.00045), 30.0, 0.00045);
        if let Some(pause) = &mut now.paused {
            pause.root_cause = cause;
        }
        evaluate::<DecisionTree>(&now)
    };
    assert_eq!(found(RootCause::FoundMinor).decision, Decision::Resume(0.05));
    takes_back(&found(RootCause::FoundMajor));
}

#[test]
fn a_pause_that_gets_worse_changes_its_terms() {
    let high = evaluate::<DecisionTree>(&paused(&scenario(0.0006), 10.0, 0.00045));
    assert_eq!(order(&high), (Severity::High, 24.0));
    takes_back(&evaluate::<DecisionTree>(&paused(&scenario(0.002), 10.0, 0.00045)));
    let as_before = evaluate::<DecisionTree>(&paused(&scenario(0.00046), 10.0, 0.00045));
    assert_eq!(as_before.decision, Decision::Hold);
}

/// "Next stage at 2 % not 10 %".
#[test]
fn without_a_cause_and_back_to_normal_it_goes_on_slowly() {
    let resumed = evaluate::<DecisionTree>(&paused(&scenario(0.0001), 47.5, 0.00045));
    assert_eq!(resumed.decision, Decision::Resume(0.05));
    assert_eq!(
        (resumed.reasons[0].code.as_str(), resumed.memo.as_str()),
        ("stable-without-cause", "slowly")
    );

    // The stage after it adds 10 % as planned, and 2 % now.
    let mut next = scenario(0.0001);
    next.stages[2].share = 0.15;
    next.memo = resumed.memo;
    next.full_for = Some(hours(1.0));
    let watching = evaluate::<DecisionTree>(&next);
    assert_eq!((watching.decision, watching.memo.as_str()), (Decision::Hold, "slowly"));
    next.full_for = Some(hours(100.0));
    let slowly = evaluate::<DecisionTree>(&next);
    let Decision::Advance(share) = slowly.decision else { panic!("{slowly:?}") };
    assert!((share - 0.07).abs() < 1e-12, "{share}");

    // Once that was watched without trouble, the rest of the stage follows.
    next.stage_index = 2;
    next.share_limit = share;
    next.groups[0].updated = 3_500;
    next.memo = slowly.memo;
    assert_eq!(evaluate::<DecisionTree>(&next).decision, Decision::Advance(0.15));
}

#[test]
fn a_stage_that_was_not_full_goes_on_slowly_itself() {
    let mut now = paused(&scenario(0.0001), 47.5, 0.00045);
    now.groups[0].updated = 1_500;
    let verdict = evaluate::<DecisionTree>(&now);
    let Decision::Resume(share) = verdict.decision else { panic!("{verdict:?}") };
    assert!((share - 0.034).abs() < 1e-12, "{share}");
}

/// 0.045 % all the time: "staying elevated", or "stable"?
#[test]
fn staying_elevated_takes_devices_back_unless_that_counts_as_stable() {
    let mut now = paused(&scenario(0.00045), 47.5, 0.00045);
    let verdict = evaluate::<DecisionTree>(&now);
    takes_back(&verdict);
    assert_eq!(verdict.reasons[0].code, "still-elevated");
    assert!(verdict.reasons[0].text.ends_with("after 47.5 hours without a cause"), "{verdict:?}");

    now.settings = vec![number("stable", 1.05)];
    assert!(matches!(evaluate::<DecisionTree>(&now).decision, Decision::Resume(_)));
    let risen = paused(&scenario(0.00045), 47.5, 0.0003);
    takes_back(&evaluate::<DecisionTree>(&Snapshot { settings: now.settings, ..risen }));
}

#[test]
fn without_figures_the_deadline_is_the_hosts() {
    let mut now = paused(&scenario(0.0001), 47.5, 0.00045);
    now.groups[0].metrics[0].age = hours(10.0);
    let verdict = evaluate::<DecisionTree>(&now);
    assert_eq!(
        (verdict.decision, verdict.reasons[0].code.as_str()),
        (Decision::Hold, "metric-stale")
    );
}

/// `hw=C` crashes 20 times as often: it alone goes back, though the fleet and both regions are over the limit because of it.
#[test]
fn only_the_hardware_in_trouble_is_taken_back() {
    let mut now = scenario(0.0012);
    let mut part = |label: &str, updated: u32, ratio: f64| {
        let mut part = group(label, updated * 20, updated);
        part.metrics = now.groups[0].metrics.clone();
        let exposure = f64::from(updated) * 24.0 * 20.0;
        part.metrics[0].current = Tally::new(0.0001 / 24.0 * ratio * exposure, exposure);
        now.groups.push(part);
    };
    part("hw=A", 1_200, 1.0);
    part("hw=C", 1_300, 20.0);
    part("region=eu", 1_250, 11.0);
    part("region=us", 1_250, 11.0);
    now.settings = vec![setting("kill-flags", Value::Text("new-parser".to_owned()))];
    let verdict = evaluate::<DecisionTree>(&now);
    assert_eq!(takes_back(&verdict), ["hw=C"]);
    assert_eq!(verdict.feature_flags[0].groups, ["hw=C"]);
}

#[test]
fn features_are_killed_when_it_gets_serious() {
    let flags = |crashes_per_day: f64| {
        let mut now = scenario(crashes_per_day);
        now.settings = vec![setting("kill-flags", Value::Text("new-parser, mesh".to_owned()))];
        let orders = evaluate::<DecisionTree>(&now).feature_flags;
        assert!(orders.iter().all(|order| !order.on));
        orders.into_iter().map(|order| order.name).collect::<Vec<_>>()
    };
    assert_eq!(flags(0.0003), Vec::<String>::new());
    assert_eq!(flags(0.0006), ["new-parser", "mesh"]);
    assert_eq!(flags(0.002), ["new-parser", "mesh"]);
}

#[test]
fn the_plan_is_that_of_a_canary() {
    let shares: Vec<_> =
        plan::<DecisionTree>(&plan_input(100_000)).stages.iter().map(|stage| stage.share).collect();
    assert_eq!(shares, [0.01, 0.05, 0.25, 1.0]);
}
