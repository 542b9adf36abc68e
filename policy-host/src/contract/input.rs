//! What a policy may be told: all that `wit/policy.wit` promises of an input.

use std::collections::BTreeSet;
use std::fmt::Display;

use whittle_rollout::calendar::days_in;
use whittle_rollout::policy::MOST_IMAGE_BYTES;

use super::parts::{check_extra, check_reasons, check_settings, check_stage, this_stage};
use super::words::{ABOVE_ZERO, Check, count, length, once, range, violation};
use super::{
    BUCKET_S, LABEL_BYTES, MAX_BUCKETS, MAX_DECISIONS, MAX_MEMO_BYTES, NAME_BYTES, PAUSE_S, STAGES,
};
use crate::types::{
    Bucket, Clock, Fallback, Group, Metric, MetricKind, PauseState, PlanInput, PolicyInfo, Release,
    Signal, Snapshot, Tally,
};

/// What a ratio may be at most.
const MOST_RATIO: f64 = 1e9;

/// Checks what `plan` is to be told.
pub(crate) fn check_plan_input(input: &PlanInput, info: &PolicyInfo) -> Check {
    check_clock(&input.clock)?;
    range("clock.elapsed", input.clock.elapsed, 0..=0)?;
    check_release(&input.release)?;
    check_groups(&input.groups)?;
    for (place, past) in input.history.iter().enumerate() {
        length(format_args!("history[{place}].name"), &past.name, NAME_BYTES)?;
    }
    check_settings(&input.settings, info)?;
    check_extra(&input.extra)
}

/// Checks what `evaluate` is to be told.
pub(crate) fn check_snapshot(now: &Snapshot, info: &PolicyInfo) -> Check {
    check_clock(&now.clock)?;
    check_release(&now.release)?;
    check_groups(&now.groups)?;
    count("stages", now.stages.len(), STAGES)?;
    let mut share_before = 0.0;
    for (place, stage) in now.stages.iter().enumerate() {
        check_stage(place, stage, share_before, &now.groups)?;
        share_before = stage.share;
    }
    let stage = this_stage(now)?;
    range("share_limit", now.share_limit, ABOVE_ZERO..=stage.share)?;
    if let Some(pause) = &now.paused {
        check_pause(pause, now)?;
    }
    count("decisions", now.decisions.len(), 0..=MAX_DECISIONS)?;
    for (place, past) in now.decisions.iter().enumerate() {
        length(format_args!("decisions[{place}].code"), &past.code, 0..=*NAME_BYTES.end())?;
    }
    length("memo", &now.memo, 0..=MAX_MEMO_BYTES)?;
    check_settings(&now.settings, info)?;
    check_extra(&now.extra)
}

fn check_clock(clock: &Clock) -> Check {
    range("clock.year", u32::from(clock.year), 1970..=9999)?;
    range("clock.month", u32::from(clock.month), 1..=12)?;
    let days = days_in(clock.year, clock.month);
    range("clock.day", u32::from(clock.day), 1..=days.into())?;
    range("clock.weekday", u32::from(clock.weekday), 1..=7)?;
    range("clock.hour", u32::from(clock.hour), 0..=23)?;
    range("clock.minute", u32::from(clock.minute), 0..=59)
}

fn check_release(release: &Release) -> Check {
    length("release.name", &release.name, NAME_BYTES)?;
    range("release.full_bytes", release.full_bytes, 0.0..=MOST_IMAGE_BYTES)?;
    range("release.delta_bytes", release.delta_bytes, 0.0..=MOST_IMAGE_BYTES)
}

fn check_pause(pause: &PauseState, now: &Snapshot) -> Check {
    range("paused.time_left", pause.time_left, 0..=*PAUSE_S.end())?;
    if let Fallback::Resume(share) = pause.otherwise {
        range("paused.otherwise.resume", share, ABOVE_ZERO..=this_stage(now)?.share)?;
    }
    check_reasons(&pause.reasons, 0, &now.groups)
}

fn check_groups(groups: &[Group]) -> Check {
    match groups.first() {
        Some(fleet) if fleet.label == "fleet" => {}
        Some(other) => {
            return violation("groups[0].label", format_args!("{:?}", other.label), "`fleet`");
        }
        None => return violation("groups", "empty", "the fleet at least"),
    }
    let mut labels = BTreeSet::new();
    for (place, group) in groups.iter().enumerate() {
        let at = format_args!("groups[{place}]");
        length(format_args!("{at}.label"), &group.label, LABEL_BYTES)?;
        if !labels.insert(&group.label) {
            let found = format_args!("`{}` again", group.label);
            return violation(format_args!("{at}.label"), found, "each label once");
        }
        check_counts(at, group)?;
        for (number, metric) in group.metrics.iter().enumerate() {
            let at = format_args!("{at}.metrics[{number}]");
            let others = group.metrics.iter().take(number);
            once(format_args!("{at}.name"), &metric.name, others.map(|metric| &metric.name))?;
            check_metric(at, metric)?;
        }
    }
    Ok(())
}

fn check_counts(at: impl Display, group: &Group) -> Check {
    range(format_args!("{at}.held_back"), group.held_back, 0..=group.devices)?;
    range(format_args!("{at}.offered"), group.offered, 0..=group.devices)?;
    range(format_args!("{at}.updated"), group.updated, 0..=group.offered)?;
    let parts = [
        ("committed", group.committed),
        ("rolled_back", group.rolled_back),
        ("bricked", group.bricked),
        ("silent", group.silent),
    ];
    for (part, devices) in parts {
        range(format_args!("{at}.{part}"), devices, 0..=group.updated)?;
    }
    Ok(())
}

fn check_metric(at: impl Display + Copy, metric: &Metric) -> Check {
    length(format_args!("{at}.name"), &metric.name, NAME_BYTES)?;
    let tallies = [
        ("baseline", &metric.baseline),
        ("control", &metric.control),
        ("treated", &metric.treated),
        ("current", &metric.current),
    ];
    for (part, tally) in tallies {
        check_tally(format_args!("{at}.{part}"), metric.kind, tally)?;
    }
    if let Some(signal) = &metric.signal {
        check_signal(format_args!("{at}.signal"), signal)?;
    }
    let most = usize::try_from(MAX_BUCKETS).unwrap_or(usize::MAX);
    count(format_args!("{at}.recent"), metric.recent.len(), 0..=most)?;
    for (place, bucket) in metric.recent.iter().enumerate() {
        check_bucket(format_args!("{at}.recent[{place}]"), metric.kind, bucket)?;
    }
    Ok(())
}

#[inline]
fn check_bucket(at: impl Display, kind: MetricKind, bucket: &Bucket) -> Check {
    range(format_args!("{at}.length"), bucket.length, 1..=*BUCKET_S.end())?;
    check_tally(format_args!("{at}.treated"), kind, &bucket.treated)?;
    check_tally(format_args!("{at}.control"), kind, &bucket.control)
}

#[inline]
fn check_tally(at: impl Display, kind: MetricKind, tally: &Tally) -> Check {
    let least = if kind == MetricKind::Mean { f64::MIN } else { 0.0 };
    range(format_args!("{at}.count"), tally.count, least..=f64::MAX)?;
    range(format_args!("{at}.exposure"), tally.exposure, 0.0..=f64::MAX)?;
    range(format_args!("{at}.squares"), tally.squares, 0.0..=f64::MAX)
}

fn check_signal(at: impl Display, signal: &Signal) -> Check {
    range(format_args!("{at}.ratio"), signal.ratio, 0.0..=f64::MAX)?;
    range(format_args!("{at}.low"), signal.low, 0.0..=MOST_RATIO)?;
    range(format_args!("{at}.high"), signal.high, signal.low..=MOST_RATIO)?;
    range(format_args!("{at}.tolerated"), signal.tolerated, 1.0..=f64::MAX)?;
    range(format_args!("{at}.log_e_worse"), signal.log_e_worse, f64::MIN..=f64::MAX)?;
    // Greater than what is tolerated.
    range(format_args!("{at}.alarm"), signal.alarm, signal.tolerated.next_up()..=f64::MAX)?;
    range(format_args!("{at}.log_e_fine"), signal.log_e_fine, f64::MIN..=f64::MAX)
}
