//! The decision-tree policy: every pause has a triage, a deadline and an end.
//!
//! What makes a rollout pause, and what happens then:
//!
//! | what | severity | action |
//! |---|---|---|
//! | crashes above 2 x | moderate | pause, watch for 48 hours, then decide |
//! | crashes above 5 x | high | pause, decide within 24 hours |
//! | crashes above 10 x | critical | roll back at once |
//! | devices fall silent, or no longer work | critical | roll back at once |
//! | battery drain above 1.2 x | low | go on, and mention it |
//! | tickets above 2 x | moderate | pause, triage the tickets, decide within 24 hours |
//!
//! How a pause ends:
//!
//! 1. It gets worse: the terms of the graver trigger hold, or devices are taken back.
//! 2. People find the cause: if it is a minor one, the rollout goes on; else devices are taken back and the release is
//!    quarantined.
//! 3. The deadline comes, without a cause. If what caused the pause is stable or improving, the rollout goes on slowly: its next
//!    step is a fifth of the planned one. Else devices are taken back and the release is quarantined.
//!
//! The chapter resumes if metrics are "stable or improving", and rolls back if they are "staying elevated", which contradict
//! each other: stable at five times the baseline is both. Here `stable` decides which one it is; unless it is set, a metric
//! must be back within its limit.
//!
//! A pause of high severity, and taking devices back, also turn off the feature flags that `kill-flags` names: the new feature may
//! be all that is wrong with a release.
//!
//! Only the groups in trouble are taken back, where the others of the same kind are not: `hw=C`, and not the whole fleet.

use whittle_policy::prelude::*;
use whittle_policy::{Findings, SHARES, WATCH_HOURS, await_people, blame, proceed, words};

/// Every pause has a triage, a deadline and an end.
pub struct DecisionTree;

export_policy!(DecisionTree);

const MODERATE: Check = Check::crashes(2.0).called("crash-moderate");
const HIGH: Check = Check::crashes(5.0).called("crash-high");
const CRITICAL: Check = Check::crashes(10.0).called("crash-critical");
const SILENT: Check = Check::silent(0.05);
const BRICKED: Check = Check::bricked(0.001);
const BATTERY: Check = Check::battery(1.2);
const TICKETS: Check = Check::tickets(2.0);

const URGENT_HOURS: Number = Number {
    key: "urgent-within",
    help: "Pauses for many crashes or for tickets must be decided within this time.",
    unit: "hours",
    default: 24.0,
    min: 1.0,
    max: 72.0,
};

const LEAD_HOURS: Number = Number {
    key: "decide-before",
    help: "How long before a pause's deadline the policy decides by itself.",
    unit: "hours",
    default: 1.0,
    min: 0.25,
    max: 24.0,
};

const SLOW: Number = Number {
    key: "slow-step",
    help: "After a pause without a cause the next step is this part of the planned one.",
    unit: "fraction",
    default: 0.2,
    min: 0.01,
    max: 1.0,
};

const STABLE: Number = Number {
    key: "stable",
    help: "A metric beyond its limit counts as stable up to this multiple of its value when the rollout paused; 0 if it never does.",
    unit: "x",
    default: 0.0,
    min: 0.0,
    max: 10.0,
};

const SPLIT_BY: Text = Text {
    key: "split-by",
    help: "Attributes of devices whose values are judged and taken back apart, such as `hw, region`.",
    default: "hw",
    max_bytes: 256,
};

const KILL_FLAGS: Text = Text {
    key: "kill-flags",
    help: "Feature flags that are turned off when it gets serious, such as `new-sensor-algorithm`.",
    default: "",
    max_bytes: 1_024,
};

/// The memo while the rollout goes on slowly.
const GOING_SLOWLY: &str = "slowly";

impl Policy for DecisionTree {
    fn describe(settings: &[Setting]) -> PolicyInfo {
        let summary = "Pauses with triage, deadline and forced decision; goes on slowly, or takes devices back.";
        PolicyInfo::new("decision-tree", env!("CARGO_PKG_VERSION"), summary)
            .settings(&[&SHARES, &WATCH_HOURS])
            .settings(&PlanSettings::SPECS)
            .checks(&[MODERATE, HIGH, CRITICAL, SILENT, BRICKED, BATTERY, TICKETS], settings)
            .settings(&[&URGENT_HOURS, &LEAD_HOURS, &SLOW, &STABLE, &KILL_FLAGS])
            .settings(&Watch::SPECS)
            .split_by(&SPLIT_BY, settings)
    }

    fn plan(input: PlanInput) -> Result<RolloutPlan, String> {
        let settings = &input.settings;
        PlanSettings::of(settings)?.plan_of(&SHARES.of(settings)?, &WATCH_HOURS.of(settings)?)
    }

    fn evaluate(now: Snapshot) -> Result<Verdict, String> {
        let watch = Watch::of(&now.settings)?;
        let triggers = triggers(&now.settings, &watch)?;
        let findings = Trigger::check_all(&triggers, &now, watch.evidence);
        let verdict = match &now.paused {
            Some(pause) => end_pause(&now, pause, &watch, &findings)?,
            None => match watch.act(&now, &findings) {
                Some(verdict) => verdict,
                None => proceed(&now, findings)?,
            },
        };
        let verdict = go_slowly(&now, verdict)?;
        Ok(kill_features(verdict, KILL_FLAGS.of(&now.settings)?))
    }
}

/// The table of criteria.
fn triggers(settings: &[Setting], watch: &Watch) -> Result<Vec<Trigger>, String> {
    let urgent = hours(URGENT_HOURS.of(settings)?);
    let within = |severity, decide_within| Action::Pause { severity, decide_within };
    let table = [
        (CRITICAL, Action::RollBack),
        (SILENT, Action::RollBack),
        (BRICKED, Action::RollBack),
        (HIGH, within(Severity::High, urgent)),
        (MODERATE, within(Severity::Moderate, watch.decide_within)),
        (TICKETS, within(Severity::Moderate, urgent)),
        (BATTERY, Action::Note),
    ];
    let triggers = table.iter().map(|(check, action)| check.trigger(settings, watch, *action));
    triggers.filter_map(Result::transpose).collect()
}

/// How a pause goes on, or ends.
fn end_pause(
    now: &Snapshot,
    pause: &PauseState,
    watch: &Watch,
    findings: &Findings,
) -> Result<Verdict, String> {
    if let Some(worse) = worse(now, pause, watch, findings) {
        return Ok(worse);
    }
    let lead = hours(LEAD_HOURS.of(&now.settings)?);
    if pause.root_cause != RootCause::Unknown || pause.time_left > lead {
        // To be asked again in time to decide.
        let again_in = Some(pause.time_left.saturating_sub(lead).max(60));
        return Ok(Verdict { again_in, ..await_people(now, pause) });
    }
    let unstable = unstable(now, pause, findings, STABLE.of(&now.settings)?);
    if !unstable.is_empty() {
        let pausing = findings.tripped.iter().filter(|tripped| tripped.action != Action::Note);
        let groups = blame(now, &pausing.collect::<Vec<_>>());
        let order = RollbackOrder { groups, quarantine: true };
        return Ok(Verdict::new(Decision::RollBack(order), unstable));
    }
    if !findings.blind.is_empty() {
        // Nobody can say that it is stable, so the host does what was announced.
        return Ok(Verdict::new(Decision::Hold, findings.blind.clone()));
    }
    let text = "no cause was found, and what caused the pause is stable or improving: the rollout goes on slowly";
    let reason = Reason::new("stable-without-cause", text);
    let share = slow_share(now, now.stage()?.share)?;
    Ok(Verdict::new(Decision::Resume(share), vec![reason]).memo(GOING_SLOWLY))
}

/// What happens if the pause would be a graver one by now.
fn worse(
    now: &Snapshot,
    pause: &PauseState,
    watch: &Watch,
    findings: &Findings,
) -> Option<Verdict> {
    let as_if_not_paused = Snapshot { paused: None, ..now.clone() };
    let verdict = watch.act(&as_if_not_paused, findings)?;
    match &verdict.decision {
        Decision::RollBack(_) => Some(verdict),
        Decision::Pause(order) if order.severity > pause.severity => Some(verdict),
        _ => None,
    }
}

/// What is not stable: every limit that is still crossed, unless its metric is no worse than when the rollout paused, times
/// `stable`.
fn unstable(now: &Snapshot, pause: &PauseState, findings: &Findings, stable: f64) -> Vec<Reason> {
    let then = |reason: &Reason| {
        let alike = |old: &&Reason| old.metric == reason.metric && old.group == reason.group;
        pause.reasons.iter().find(alike).and_then(|old| old.observed)
    };
    let pausing = findings.tripped.iter().filter(|tripped| tripped.action != Action::Note);
    let reasons = pausing.map(|tripped| &tripped.reason).filter(|reason| {
        let is_stable = match (then(reason), reason.observed) {
            (Some(then), Some(now)) => now <= then * stable,
            _ => false,
        };
        !is_stable
    });
    let hours = in_hours(now.paused.as_ref().map_or(0, |pause| pause.age));
    let elevated = reasons.cloned().map(|reason| Reason {
        code: "still-elevated".to_owned(),
        text: format!(
            "{}, after {} hours without a cause",
            reason.text,
            whittle_policy::figure(hours)
        ),
        ..reason
    });
    elevated.collect()
}

/// After a pause without a cause, steps are small until a stage has been passed.
fn go_slowly(now: &Snapshot, verdict: Verdict) -> Result<Verdict, String> {
    let is_slow = now.memo == GOING_SLOWLY;
    match verdict.decision {
        Decision::Advance(share) if is_slow => {
            let slow = slow_share(now, share)?.max(now.share_limit.next_up());
            let decision = Decision::Advance(slow.min(share));
            // What is left of this stage, or of the next one, comes at once.
            Ok(Verdict { decision, ..verdict }.memo(""))
        }
        Decision::Hold | Decision::Pause(_) => Ok(verdict.memo(now.memo.clone())),
        _ => Ok(verdict),
    }
}

/// Turns feature flags off where it is serious.
fn kill_features(verdict: Verdict, flags: &str) -> Verdict {
    let groups = match &verdict.decision {
        Decision::RollBack(order) => order.groups.clone(),
        Decision::Pause(order) if order.severity >= Severity::High => Vec::new(),
        _ => return verdict,
    };
    words(flags).fold(verdict, |verdict, flag| verdict.turn_off(flag, &groups))
}

/// A part of the way from what is updated to a share.
fn slow_share(now: &Snapshot, share: f64) -> Result<f64, String> {
    let reached = now.share_reached().min(share);
    Ok(reached + SLOW.of(&now.settings)? * (share - reached))
}

#[cfg(test)]
mod tests;
