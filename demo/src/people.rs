//! The people around a rollout, made up: they approve, and they end a pause.

use whittle_rollout::policy::types::{RollbackOrder, RootCause};
use whittle_rollout::{Command, Phase, Rollout};

use crate::character::Hardware;

/// Who acts, in the log of the rollout.
pub(crate) const OPERATOR: &str = "operator (made up)";

/// How long it takes until somebody has looked at a pause.
const LOOKS_AFTER_S: u64 = 3 * crate::HOUR_S as u64;

/// How long a stage may last until somebody moves on.
const WAITS_AT_MOST_S: u32 = 72 * crate::HOUR_S;

/// What people do now, and how they put it; nothing most of the time.
pub(crate) fn act(
    rollout: &Rollout,
    at_s: u64,
    suspicious: &[Hardware],
) -> Option<(&'static str, Vec<Command>)> {
    let state = rollout.state();
    match state.phase() {
        Phase::Waiting => {
            let first = state.terms().plan.stages.first()?;
            Some(("the plan is approved", vec![Command::Approve(first.name.clone())]))
        }
        Phase::Paused(pause) if at_s >= pause.since_s + LOOKS_AFTER_S => {
            Some(end_pause(suspicious, state.share_limit()))
        }
        Phase::Running => move_on(rollout, at_s),
        Phase::Paused(_) | Phase::Over(_) => None,
    }
}

/// Goes on to the next stage where this one shows nothing more: of a small fleet, too few devices may draw it to fill it.
fn move_on(rollout: &Rollout, at_s: u64) -> Option<(&'static str, Vec<Command>)> {
    let snapshot = rollout.snapshot(at_s);
    let next = snapshot.stages.get(rollout.state().stage_index() + 1)?;
    let said = "too few devices are in this stage to learn more from it: on with the next one";
    let has_lasted = snapshot.stage_age >= WAITS_AT_MOST_S;
    has_lasted.then(|| (said, vec![Command::Advance(next.share)]))
}

/// Takes back the revisions that crash by what their devices report, and lets the others go on.
fn end_pause(suspicious: &[Hardware], share: f64) -> (&'static str, Vec<Command>) {
    if suspicious.is_empty() {
        let said = "no kind of hardware stands out in the reports: a false alarm, it goes on";
        return (said, vec![Command::Resume(share)]);
    }
    let cause = Command::RootCause(RootCause::FoundMajor);
    let groups = suspicious.iter().map(|hardware| hardware.label()).collect();
    let back = Command::RollBack(RollbackOrder { groups, quarantine: false });
    let said = "the reports are of one kind of hardware: it goes back, and the others go on";
    (said, vec![cause, back, Command::Resume(share)])
}
