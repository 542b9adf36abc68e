//! What whoever drives the fleet shall do now.

use serde::Serialize;

use crate::policy::types::{FlagOrder, Seconds};
use crate::state::{Ending, Pause, Phase, State};
use crate::terms::{FLEET, WayBack};

/// What whoever drives the fleet shall do now. It is repeated until it changes, so doing it twice does no harm.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Orders {
    /// Why nothing is offered; none if something is.
    pub closed: Option<String>,
    /// Share of the fleet, from 0 to 1, that may have the new firmware.
    pub share: f64,
    /// The same as a number of devices, those included that have it already.
    pub devices: u32,
    /// How many devices may be started now: those of the hour, if the stage has a pace.
    pub start_now: u32,
    /// The group whose devices alone are taken; none for any.
    pub among: Option<String>,
    /// Cells that are offered nothing, by their place, with the reason.
    pub closed_cells: Vec<(usize, String)>,
    /// Cells of groups that go back, by their place, with how many of their devices have been offered the new firmware, or may have been.
    /// No more are: what is left of `devices` is for the others.
    pub taken_back_cells: Vec<(usize, u32)>,
    /// Labels of the groups whose devices go back.
    pub take_back: Vec<String>,
    /// How they get back; none if none do.
    pub way_back: Option<WayBack>,
    /// Whether updated devices shall send more telemetry.
    pub more_telemetry: bool,
    /// Whether devices that were held back may have the new firmware, too.
    pub release_held_back: bool,
    /// Feature flags to turn on or off, the newest last.
    pub feature_flags: Vec<FlagOrder>,
}

const HOUR_S: u64 = 3600;

pub(crate) fn orders(state: &State, at_s: u64) -> Orders {
    let terms = &state.terms;
    let is_complete = state.phase == Phase::Over(Ending::Completed);
    let closed_cells = closed_cells(state, at_s);
    let closed = closed(state).or_else(|| {
        let is_shut = closed_cells.len() == terms.cells.len();
        closed_cells.first().filter(|_| is_shut).map(|(_, why)| why.clone())
    });
    let devices = if is_complete {
        terms.devices()
    } else {
        terms.devices_at(state.share_limit, state.stage)
    };
    let start_now = if closed.is_some() { 0 } else { start_now(state, devices, at_s) };
    Orders {
        share: if is_complete { 1.0 } else { state.share_limit },
        devices,
        start_now,
        among: state.current_stage().among.clone().filter(|_| !is_complete),
        closed,
        closed_cells,
        taken_back_cells: state.taken_back().collect(),
        take_back: state.barred.iter().cloned().collect(),
        way_back: (!state.barred.is_empty()).then(|| terms.way_back.clone()),
        more_telemetry: state.pause().is_some_and(|pause| pause.order.more_telemetry),
        release_held_back: is_complete,
        feature_flags: state.flags.clone(),
    }
}

fn closed(state: &State) -> Option<String> {
    let why = match &state.phase {
        Phase::Running | Phase::Over(Ending::Completed) => return None,
        Phase::Waiting => "waits for approval",
        Phase::Paused(_) => "paused",
        Phase::Over(Ending::RolledBack) => "rolled back",
        Phase::Over(Ending::Stopped) => "stopped",
    };
    Some(why.to_owned())
}

fn closed_cells(state: &State, at_s: u64) -> Vec<(usize, String)> {
    let terms = &state.terms;
    let cells = state.labels.iter().enumerate();
    cells
        .filter_map(|(place, labels)| {
            let barred = labels.iter().find(|label| state.barred.contains(*label));
            let barred = barred.map(|label| {
                let whole = if label == FLEET { "all devices" } else { label };
                format!("taken back: {whole}")
            });
            Some((place, barred.or_else(|| terms.calendar.closed(labels, at_s))?))
        })
        .collect()
}

/// Devices to start now: what the pace allows since the stage began, but never more than an hour's worth at once.
fn start_now(state: &State, devices: u32, at_s: u64) -> u32 {
    let offered = state.fleet().offered;
    let left = devices.saturating_sub(offered);
    let Some(pace) = state.current_stage().pace.map(u64::from) else { return left };
    let lasted_s = at_s.saturating_sub(state.stage_since_s);
    let started = u64::from(offered.saturating_sub(state.offered_before_stage));
    let allowed = (pace.saturating_mul(lasted_s) / HOUR_S).saturating_sub(started).min(pace);
    left.min(u32::try_from(allowed).unwrap_or(u32::MAX))
}

/// When a rollout should be looked at again, at the latest.
pub(crate) fn due_s(state: &State, decided_s: u64, again_in: Option<Seconds>) -> u64 {
    let tick_s = again_in.unwrap_or(u32::MAX).min(state.terms.limits.tick);
    let by_tick = state.now_s.saturating_add(u64::from(tick_s));
    // What a pause's end could not do, because of a freeze perhaps, it can do no sooner for being tried again at once.
    let deadline_s = state.pause().map(Pause::deadline_s).filter(|end_s| *end_s > decided_s);
    deadline_s.map_or(by_tick, |end_s| by_tick.min(end_s.max(state.now_s)))
}
