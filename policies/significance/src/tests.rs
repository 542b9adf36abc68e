//! A fleet of meters with 0.002 crashes per device-hour, looked at every hour.

use whittle_policy::contract::Bucket;
use whittle_policy::testing::{
    evaluate, group, metric, number, pause, plan, plan_input, setting, snapshot,
};

use super::*;

const RATE: f64 = 0.002;

/// The rollout after this many hours of the first stage: 250 of 25,000 devices, each hour with these crashes on new firmware.
/// Old firmware crashes as often as it should, times `weather`.
fn after(crashes: &[f64], weather: f64, memo: &str) -> Snapshot {
    let mut now = snapshot();
    let total: f64 = crashes.iter().sum();
    let hours_so_far = u32::try_from(crashes.len()).expect("few");
    let exposure = 250.0 * f64::from(hours_so_far);
    let mut counted = metric(
        "crashes",
        MetricKind::Rate,
        Tally::new(36_000.0, 18e6),
        Tally::new(total, exposure),
    );
    counted.control = Tally::new(
        24_750.0 * RATE * weather * f64::from(hours_so_far),
        24_750.0 * f64::from(hours_so_far),
    );
    for (age, crashes) in (0..).zip(crashes.iter().rev()).take(24) {
        counted.recent.push(Bucket {
            age: age * 3_600,
            length: 3_600,
            treated: Tally::new(*crashes, 250.0),
            control: Tally::new(24_750.0 * RATE * weather, 24_750.0),
        });
    }
    now.clock.elapsed = hours_so_far * 3_600;
    now.groups[0].metrics = vec![counted];
    now.memo = memo.to_owned();
    now
}

/// Looks every hour, and returns the hour in which it paused.
fn looks(crashes: &[f64], weather: f64) -> Option<usize> {
    let mut memo = String::new();
    for hour in 1..=crashes.len() {
        let verdict = evaluate::<Significance>(&after(&crashes[..hour], weather, &memo));
        if matches!(verdict.decision, Decision::Pause(_)) {
            return Some(hour);
        }
        memo = verdict.memo;
    }
    None
}

#[test]
fn a_regression_is_found_within_hours_and_a_healthy_fleet_is_left_alone() {
    let expected = 250.0 * RATE;
    assert_eq!(looks(&[expected; 200], 1.0), None);
    let tenfold = looks(&[expected * 10.0; 24], 1.0).expect("found");
    assert!(tenfold <= 2, "{tenfold}");
    let double = looks(&[expected * 2.0; 100], 1.0).expect("found");
    assert!((10..60).contains(&double), "{double}");
}

/// Everything crashes three times as often in a cold night, which the baseline alone takes for a regression.
#[test]
fn a_cold_night_is_no_regression() {
    assert_eq!(looks(&[250.0 * RATE * 3.0; 48], 3.0), None);
    let mut without_control = after(&[250.0 * RATE * 3.0; 24], 3.0, "");
    without_control.groups[0].metrics[0]
        .recent
        .iter_mut()
        .for_each(|bucket| bucket.control = Tally::NONE);
    let verdict = evaluate::<Significance>(&without_control);
    assert!(matches!(verdict.decision, Decision::Pause(_)), "{verdict:?}");
}

/// The chapter's rule pauses at the third crash where one is expected; 3 of 1 are no evidence.
#[test]
fn twice_the_baseline_by_chance_is_no_evidence() {
    assert_eq!(looks(&[2.0, 1.0], 1.0), None);
}

#[test]
fn the_reason_tells_the_evidence() {
    let verdict = evaluate::<Significance>(&after(&[20.0], 1.0, ""));
    let [reason] = &verdict.reasons[..] else { panic!("{verdict:?}") };
    assert_eq!(reason.code, "significantly-worse");
    assert!(reason.observed > reason.limit && reason.limit == Some(20.0_f64.ln()), "{reason:?}");
}

#[test]
fn no_hour_is_counted_twice() {
    let now = after(&[2.0, 2.0, 2.0], 1.0, "");
    let once = evaluate::<Significance>(&now);
    let again = evaluate::<Significance>(&Snapshot { memo: once.memo.clone(), ..now.clone() });
    assert_eq!(once.memo, again.memo);
    // A quarter of an hour later the host sends buckets that overlap those that were counted.
    let mut later = Snapshot { memo: once.memo.clone(), ..now };
    later.clock.elapsed += 900;
    assert_eq!(evaluate::<Significance>(&later).memo, once.memo);
}

#[test]
fn hour_by_hour_or_at_once_is_the_same_evidence() {
    let crashes = [1.0, 0.0, 2.0, 1.0];
    let mut memo = String::new();
    for hour in 1..=crashes.len() {
        memo = evaluate::<Significance>(&after(&crashes[..hour], 1.0, &memo)).memo;
    }
    assert_eq!(memo, evaluate::<Significance>(&after(&crashes, 1.0, "")).memo);
}

/// Hardware C crashes more often and gets the new firmware first: pooled, that looks like a regression.
#[test]
fn parts_are_compared_with_themselves() {
    let mut now = after(&[0.0; 24], 1.0, "");
    let mut part = |label: &str, rate: f64, treated: f64, control: f64| {
        let mut part = group(label, 1_000, 100);
        let mut counted = now.groups[0].metrics[0].clone();
        for bucket in &mut counted.recent {
            bucket.treated = Tally::new(treated * rate, treated);
            bucket.control = Tally::new(control * rate, control);
        }
        part.metrics = vec![counted];
        now.groups.push(part);
    };
    part("hw=A", 0.001, 50.0, 20_000.0);
    part("hw=C", 0.02, 200.0, 1_000.0);
    let verdict = evaluate::<Significance>(&now);
    assert!(!matches!(verdict.decision, Decision::Pause(_)), "{verdict:?}");

    let pooled = |pick: fn(&Bucket) -> Tally| {
        let parts = now.groups[1..].iter().map(|part| pick(&part.metrics[0].recent[0]));
        parts.fold(Tally::NONE, |sum, one| {
            Tally::new(sum.count + one.count, sum.exposure + one.exposure)
        })
    };
    let (treated, control) = (pooled(|bucket| bucket.treated), pooled(|bucket| bucket.control));
    now.groups.truncate(1);
    for bucket in &mut now.groups[0].metrics[0].recent {
        (bucket.treated, bucket.control) = (treated, control);
    }
    assert!(matches!(evaluate::<Significance>(&now).decision, Decision::Pause(_)));
}

/// 250 meters have 0.5 crashes in an hour; to see ten times as many takes 0.34, to see twice as many 12.4.
#[test]
fn a_stage_that_saw_nothing_is_not_passed() {
    let mut now = after(&[0.0], 1.0, "");
    assert_eq!(evaluate::<Significance>(&now).decision, Decision::Advance(0.05));
    now.settings = vec![number("must-see", 2.0)];
    let verdict = evaluate::<Significance>(&now);
    assert_eq!(verdict.decision, Decision::Hold);
    let reason = &verdict.reasons[0];
    assert_eq!((reason.code.as_str(), reason.observed), ("too-little-evidence", Some(0.5)));
    assert!(reason.limit.is_some_and(|needed| (needed - 12.4).abs() < 0.1));
    now.settings = vec![number("must-see", 1.0)];
    assert_eq!(evaluate::<Significance>(&now).decision, Decision::Advance(0.05));
}

#[test]
fn after_a_pause_the_bet_begins_anew() {
    let paused = evaluate::<Significance>(&after(&[20.0], 1.0, ""));
    assert!(matches!(paused.decision, Decision::Pause(_)));
    let mut during = after(&[20.0, 0.0], 1.0, &paused.memo);
    during.paused = Some(pause(1.0));
    let during = evaluate::<Significance>(&during);
    assert_eq!(during.decision, Decision::Hold);
    // A person has ended it.
    let resumed = evaluate::<Significance>(&after(&[20.0, 0.0, 0.0], 1.0, &during.memo));
    assert_eq!(resumed.decision, Decision::Advance(0.05));
}

#[test]
fn so_it_does_where_the_policy_ends_the_pause_itself() {
    let paused = evaluate::<Significance>(&after(&[20.0], 1.0, ""));
    let mut during = after(&[20.0, 0.0], 1.0, &paused.memo);
    during.paused = Some(PauseState { root_cause: RootCause::FoundMinor, ..pause(1.0) });
    let resumed = evaluate::<Significance>(&during);
    assert!(matches!(resumed.decision, Decision::Resume(_)), "{resumed:?}");
    let next = evaluate::<Significance>(&after(&[20.0, 0.0, 0.0], 1.0, &resumed.memo));
    assert_eq!(next.decision, Decision::Advance(0.05));
}

#[test]
fn several_metrics_share_alpha() {
    let mut now = after(&[4.0], 1.0, "");
    now.settings = vec![setting("metrics", Value::Text("crashes, tickets".to_owned()))];
    let missing = evaluate::<Significance>(&now);
    assert_eq!(
        (missing.decision, missing.reasons[0].code.as_str()),
        (Decision::Hold, "metric-missing")
    );
    let mut tickets = now.groups[0].metrics[0].clone();
    tickets.name = "tickets".to_owned();
    tickets.recent[0].treated.count = 20.0;
    now.groups[0].metrics.push(tickets);
    let verdict = evaluate::<Significance>(&now);
    assert_eq!(verdict.reasons[0].metric.as_deref(), Some("tickets"));
    assert_eq!(verdict.reasons[0].limit, Some(-(0.025_f64.ln())));
    assert_eq!(Significance::describe(&now.settings).metrics.len(), 2);
}

#[test]
fn stale_figures_hold_and_are_not_counted() {
    let mut now = after(&[20.0], 1.0, "");
    now.groups[0].metrics[0].age = hours(3.0);
    let verdict = evaluate::<Significance>(&now);
    assert_eq!(
        (verdict.decision, verdict.reasons[0].code.as_str()),
        (Decision::Hold, "metric-stale")
    );
}

#[test]
fn a_plan_needs_a_metric_and_one_attribute_at_most() {
    let mut input = plan_input(25_000);
    assert_eq!(plan::<Significance>(&input).stages.len(), 4);
    input.settings = vec![setting("metrics", Value::Text(" , ".to_owned()))];
    assert_eq!(
        Significance::plan(input.clone()).unwrap_err(),
        "setting `metrics` must name a metric"
    );
    input.settings = vec![setting("split-by", Value::Text("hw".to_owned()))];
    assert_eq!(plan::<Significance>(&input).stages.len(), 4);
    input.settings = vec![setting("split-by", Value::Text("hw, region".to_owned()))];
    let error = Significance::plan(input).unwrap_err();
    assert_eq!(error, "setting `split-by` must not name more than one attribute");
}
