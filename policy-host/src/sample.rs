//! Inputs that are made up, for trying a policy out: rollouts that go well, badly or unnoticed, in every stage.
//!
//! They have the metrics, buckets and groups that the policy asks for, and nothing by chance.

use crate::types::{
    Bucket, Change, Clock, DecidedBy, DecisionKind, Fallback, Group, Metric, MetricKind,
    MetricNeed, PastDecision, PastRollout, PauseState, PlanInput, PolicyInfo, Reason, Reference,
    Release, RolloutPlan, RootCause, Seconds, Severity, Signal, Snapshot, Tally,
};

/// Devices of the fleet that is made up.
const DEVICES: u32 = 100_000;

/// Values of each attribute by which the policy splits the fleet.
const SPLITS: [&str; 2] = ["a", "b"];

/// Hours that each device has been watched.
const HOURS: f64 = 24.0;

/// How the new firmware does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Health {
    /// Nothing has been measured yet.
    Unknown,
    /// Events are this many times as frequent as on the old firmware.
    Times(f64),
}

const HEALTHS: [(&str, Health); 4] = [
    ("nothing measured", Health::Unknown),
    ("as before", Health::Times(1.0)),
    ("a fifth better", Health::Times(0.8)),
    ("four times worse", Health::Times(4.0)),
];

/// What goes on in the stage.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Filling,
    Full,
    Paused(RootCause, Seconds),
}

const PHASES: [(&str, Phase); 6] = [
    ("filling", Phase::Filling),
    ("full", Phase::Full),
    ("just paused", Phase::Paused(RootCause::Unknown, 60)),
    ("paused for 48 h", Phase::Paused(RootCause::Unknown, 172_800)),
    ("paused, minor cause found", Phase::Paused(RootCause::FoundMinor, 3600)),
    ("paused, major cause found", Phase::Paused(RootCause::FoundMajor, 3600)),
];

/// What `plan` may be told by a host that has seen one rollout without and one with trouble.
#[must_use]
pub fn plan_input(info: &PolicyInfo) -> PlanInput {
    let baseline_only = |group: Group| Group {
        metrics: group.metrics.into_iter().map(without_treated).collect(),
        ..group
    };
    PlanInput {
        clock: clock(0),
        release: release(),
        groups: groups(info, 0.0, Health::Unknown).into_iter().map(baseline_only).collect(),
        history: vec![past_rollout("1.1.0", Some(3 * 86_400)), past_rollout("1.0.0", None)],
        settings: vec![],
        extra: vec![],
    }
}

/// What `evaluate` may be told in the course of this plan, each with a name that says what is going on.
pub fn snapshots<'a>(
    info: &'a PolicyInfo,
    plan: &'a RolloutPlan,
) -> impl Iterator<Item = (String, Snapshot)> + 'a {
    let stages = 0..plan.stages.len();
    stages.flat_map(move |stage| {
        HEALTHS.into_iter().flat_map(move |(health_name, health)| {
            PHASES.into_iter().map(move |(phase_name, phase)| {
                let name = format!("stage {stage}, {phase_name}, {health_name}");
                (name, snapshot(info, plan, stage, health, phase))
            })
        })
    })
}

fn snapshot(
    info: &PolicyInfo,
    plan: &RolloutPlan,
    stage_index: usize,
    health: Health,
    phase: Phase,
) -> Snapshot {
    let stage = &plan.stages[stage_index];
    let watched = stage.min_time.saturating_add(3600);
    let is_full = phase != Phase::Filling;
    Snapshot {
        clock: clock(watched),
        release: release(),
        stages: plan.stages.clone(),
        stage_index: u32::try_from(stage_index).unwrap_or(u32::MAX),
        stage_age: watched,
        full_for: is_full.then_some(stage.min_time),
        share_limit: stage.share,
        groups: groups(info, if is_full { stage.share } else { stage.share / 2.0 }, health),
        paused: match phase {
            Phase::Paused(root_cause, age) => Some(pause(root_cause, age)),
            Phase::Filling | Phase::Full => None,
        },
        decisions: decisions(stage_index, watched, phase),
        settings: vec![],
        memo: String::new(),
        extra: vec![],
    }
}

/// How the rollout came here, newest first.
fn decisions(stage_index: usize, stage_age: Seconds, phase: Phase) -> Vec<PastDecision> {
    let decided =
        |age, kind| PastDecision { age, kind, by: DecidedBy::Policy, code: "sample".to_owned() };
    let pause = match phase {
        Phase::Paused(_, age) => Some(decided(age, DecisionKind::Pause)),
        Phase::Filling | Phase::Full => None,
    };
    let advances = (0..stage_index).map(|stage| {
        let stages_ago = u32::try_from(stage).unwrap_or(u32::MAX);
        decided(stage_age.saturating_add(stages_ago.saturating_mul(86_400)), DecisionKind::Advance)
    });
    pause.into_iter().chain(advances).collect()
}

fn clock(elapsed: Seconds) -> Clock {
    Clock { elapsed, year: 2026, month: 3, day: 10, weekday: 2, hour: 14, minute: 0 }
}

fn release() -> Release {
    Release {
        name: "1.2.0".to_owned(),
        change: Change::Fix,
        emergency: false,
        safety_critical: false,
        well_tested: true,
        reversible: true,
        full_bytes: 1_800_000.0,
        delta_bytes: 42_000.0,
    }
}

fn past_rollout(name: &str, time_to_trouble: Option<Seconds>) -> PastRollout {
    PastRollout {
        name: name.to_owned(),
        lasted: 6 * 86_400,
        paused: time_to_trouble.is_some(),
        rolled_back: false,
        time_to_trouble,
        devices_harmed: if time_to_trouble.is_some() { 12 } else { 0 },
    }
}

fn pause(root_cause: RootCause, age: Seconds) -> PauseState {
    const LONGEST: Seconds = 259_200;
    PauseState {
        age,
        time_left: LONGEST - age,
        severity: Severity::Moderate,
        root_cause,
        otherwise: Fallback::Stop,
        reasons: vec![Reason {
            code: "sample".to_owned(),
            text: "Made up.".to_owned(),
            metric: None,
            group: None,
            observed: None,
            limit: None,
        }],
    }
}

/// The fleet, and each group that the policy wants to see.
fn groups(info: &PolicyInfo, share: f64, health: Health) -> Vec<Group> {
    let parts = info.split_by.iter().flat_map(|attribute| {
        SPLITS.iter().map(move |value| (format!("{attribute}={value}"), DEVICES / 2))
    });
    let fleet = std::iter::once(("fleet".to_owned(), DEVICES));
    fleet.chain(parts).map(|(label, devices)| group(info, label, devices, share, health)).collect()
}

// A share of `u32` devices is as many devices.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn group(info: &PolicyInfo, label: String, devices: u32, share: f64, health: Health) -> Group {
    let updated = (f64::from(devices) * share) as u32;
    let is_bad = matches!(health, Health::Times(ratio) if ratio > 2.0);
    let (failed, bricked) = if is_bad { (updated / 50, updated / 1000) } else { (0, 0) };
    let metric =
        |need: &MetricNeed| metric(info, need, f64::from(devices), f64::from(updated), health);
    Group {
        label,
        devices,
        held_back: devices / 50,
        offered: updated,
        updated,
        committed: updated - failed - bricked,
        rolled_back: failed,
        bricked,
        silent: if is_bad { updated / 200 } else { 0 },
        metrics: info.metrics.iter().map(metric).collect(),
    }
}

fn metric(
    info: &PolicyInfo,
    need: &MetricNeed,
    devices: f64,
    updated: f64,
    health: Health,
) -> Metric {
    let ratio = match health {
        Health::Unknown => None,
        Health::Times(ratio) => Some(ratio).filter(|_| updated > 0.0),
    };
    let treated = ratio.map_or(NOTHING, |ratio| tally(need.kind, updated, ratio));
    let control = tally(need.kind, devices - updated, 1.0);
    let bucket = |place: u32| Bucket {
        age: place.saturating_mul(info.bucket_length),
        length: info.bucket_length,
        treated,
        control,
    };
    Metric {
        name: need.name.clone(),
        kind: need.kind,
        higher_is_worse: true,
        age: 60,
        baseline: tally(need.kind, devices, 1.0),
        control,
        treated,
        current: treated,
        signal: ratio.map(signal),
        recent: (0..info.buckets).map(bucket).collect(),
    }
}

const NOTHING: Tally = Tally { count: 0.0, exposure: 0.0, squares: 0.0 };

/// What so many devices make, where the old firmware has 0.002 events an hour, hits 1 % or reads 20.
fn tally(kind: MetricKind, devices: f64, ratio: f64) -> Tally {
    let (exposure, value) = match kind {
        MetricKind::Rate => (devices * HOURS, 0.002 * ratio),
        MetricKind::Proportion => (devices, (0.01 * ratio).min(1.0)),
        MetricKind::Mean => (devices, 20.0 * ratio),
    };
    let squares = if kind == MetricKind::Mean { exposure * (value * value + 1.0) } else { 0.0 };
    Tally { count: exposure * value, exposure, squares }
}

fn signal(ratio: f64) -> Signal {
    let is_worse = ratio > 2.0;
    Signal {
        against: Reference::Control,
        ratio,
        low: ratio * 0.9,
        high: ratio * 1.1,
        tolerated: 1.0,
        log_e_worse: if is_worse { 30.0 } else { -1.0 },
        alarm: 2.0,
        log_e_fine: if is_worse { -1.0 } else { 30.0 },
    }
}

fn without_treated(metric: Metric) -> Metric {
    Metric {
        control: NOTHING,
        treated: NOTHING,
        current: NOTHING,
        signal: None,
        recent: vec![],
        ..metric
    }
}
