//! Snapshots for the tests of policies, and answers that are checked against the contract.

use crate::Policy;
use crate::contract::{
    Change, Clock, Decision, Fallback, Group, Metric, MetricKind, PauseState, PlanInput, Release,
    RollbackOrder, RolloutPlan, RootCause, Setting, Severity, Snapshot, Stage, Tally, Value,
    Verdict,
};
use crate::time::hours;

/// A harmless release.
pub fn release() -> Release {
    Release {
        name: "2.4.1".to_owned(),
        change: Change::Fix,
        emergency: false,
        safety_critical: false,
        well_tested: false,
        reversible: true,
        full_bytes: 1.8e6,
        delta_bytes: 0.0,
    }
}

/// Wednesday, 14 January 2026, 10:00, this many hours after the rollout began.
pub fn clock(elapsed_hours: f64) -> Clock {
    Clock {
        elapsed: hours(elapsed_hours),
        year: 2026,
        month: 1,
        day: 14,
        weekday: 3,
        hour: 10,
        minute: 0,
    }
}

/// A group of devices, of which this many have the new firmware, without trouble and without metrics.
pub fn group(label: &str, devices: u32, updated: u32) -> Group {
    Group {
        label: label.to_owned(),
        devices,
        held_back: 0,
        offered: updated,
        updated,
        committed: 0,
        rolled_back: 0,
        bricked: 0,
        silent: 0,
        metrics: Vec::new(),
    }
}

/// A metric with a baseline, and what was measured in this stage; without control.
pub fn metric(name: &str, kind: MetricKind, baseline: Tally, current: Tally) -> Metric {
    Metric {
        name: name.to_owned(),
        kind,
        higher_is_worse: true,
        age: 0,
        baseline,
        control: Tally::NONE,
        treated: current,
        current,
        signal: None,
        recent: Vec::new(),
    }
}

/// A setting.
pub fn setting(key: &str, value: Value) -> Setting {
    Setting { key: key.to_owned(), value }
}

/// A setting that is a number.
pub fn number(key: &str, number: f64) -> Setting {
    setting(key, Value::Number(number))
}

/// What `plan` is told about a fleet of this size.
pub fn plan_input(devices: u32) -> PlanInput {
    PlanInput {
        clock: clock(0.0),
        release: release(),
        groups: vec![group(Group::FLEET, devices, 0)],
        history: Vec::new(),
        settings: Vec::new(),
        extra: Vec::new(),
    }
}

/// A rollout to 100,000 devices in stages of 1, 5, 25 and 100 %, whose first stage has been full for 100 hours. There are no
/// metrics.
pub fn snapshot() -> Snapshot {
    let shares = [0.01, 0.05, 0.25, 1.0];
    Snapshot {
        clock: clock(100.0),
        release: release(),
        stages: shares
            .iter()
            .map(|share| Stage::new(share.to_string(), *share, hours(2.0)))
            .collect(),
        stage_index: 0,
        stage_age: hours(100.0),
        full_for: Some(hours(100.0)),
        share_limit: 0.01,
        groups: vec![group(Group::FLEET, 100_000, 1_000)],
        paused: None,
        decisions: Vec::new(),
        settings: Vec::new(),
        memo: String::new(),
        extra: Vec::new(),
    }
}

/// The same with these metrics of the fleet.
pub fn snapshot_with(metrics: Vec<Metric>) -> Snapshot {
    let mut now = snapshot();
    now.groups[0].metrics = metrics;
    now
}

/// A pause that has lasted for this many of its 48 hours, for want of a cause.
pub fn pause(age_hours: f64) -> PauseState {
    PauseState {
        age: hours(age_hours),
        time_left: hours((48.0 - age_hours).max(0.0)),
        severity: Severity::Moderate,
        root_cause: RootCause::Unknown,
        otherwise: Fallback::RollBack(RollbackOrder { groups: Vec::new(), quarantine: true }),
        reasons: Vec::new(),
    }
}

/// What the policy plans.
///
/// # Panics
///
/// If it refuses, or if the plan is outside the contract.
pub fn plan<P: Policy>(input: &PlanInput) -> RolloutPlan {
    let plan = P::plan(input.clone()).expect("a plan");
    assert_eq!(Ok(&plan), P::plan(input.clone()).as_ref(), "the same input, another plan");
    assert!((1..=64).contains(&plan.stages.len()));
    assert!((0.0..=0.5).contains(&plan.hold_back));
    let mut reached = 0.0;
    for stage in &plan.stages {
        assert!(stage.share > reached && stage.share <= 1.0, "{stage:?}");
        assert!(stage.max_time.is_none_or(|longest| longest > stage.min_time), "{stage:?}");
        assert!(stage.max_devices != Some(0) && stage.pace != Some(0), "{stage:?}");
        let exists = |label: &String| input.groups.iter().any(|group| group.label == *label);
        assert!(stage.among.as_ref().is_none_or(exists), "{stage:?}");
        reached = stage.share;
    }
    plan
}

/// What the policy decides.
///
/// # Panics
///
/// If it refuses, or if the verdict is outside the contract.
pub fn evaluate<P: Policy>(now: &Snapshot) -> Verdict {
    let verdict = P::evaluate(now.clone()).expect("a verdict");
    assert_eq!(Ok(&verdict), P::evaluate(now.clone()).as_ref(), "the same input, another verdict");
    assert!((1..=64).contains(&verdict.reasons.len()), "a verdict has reasons");
    for reason in &verdict.reasons {
        assert!(!reason.code.is_empty() && !reason.text.is_empty());
        let figures = [reason.observed, reason.limit];
        assert!(figures.iter().flatten().all(|figure| figure.is_finite()), "{reason:?}");
    }
    let exists = |label: &String| now.groups.iter().any(|group| group.label == *label);
    for order in &verdict.feature_flags {
        assert!(!order.name.is_empty() && order.groups.iter().all(exists), "{order:?}");
    }
    let (stage, next) = (&now.stages[now.stage_index as usize], now.next_stage());
    match &verdict.decision {
        Decision::Advance(share) => {
            assert!(now.paused.is_none(), "a pause ends by `resume`");
            assert!(*share > now.share_limit && *share <= next.unwrap_or(stage).share);
        }
        Decision::Resume(share) => {
            assert!(now.paused.is_some(), "there is no pause");
            assert!(*share > 0.0 && *share <= stage.share);
        }
        Decision::Pause(order) => assert!((1..=hours(72.0)).contains(&order.decide_within)),
        Decision::Complete => assert!(next.is_none(), "stages are left"),
        Decision::RollBack(order) => assert!(order.groups.iter().all(exists), "{order:?}"),
        Decision::Hold | Decision::Stop => {}
    }
    verdict
}
