//! The life of an update as a pure state machine: what happened leads from one state to the next.
//!
//! ```text
//!           Download           Verified            Installed            Activate
//!    idle ───────────▶ downloading ──────▶ verified ───────▶ installed ────────▶ pending
//!     ▲ ▲                │               │                                         │ Boot
//!     │ └────────────────┴── Failed ─────┘                                         ▼
//!     │            Healthy: committed, the security counter rises           ┌── trial ──┐
//!     ├─────────────────────────────────────────────────────────────────────┤           │ Boot, up to the limits
//!     │   Unhealthy, TooLate, Damaged, or a Boot beyond the limits: rolled back         │
//!     └─────────────────────────────────────────────────────────────────────┴───────────┘
//! ```
//!
//! On a device with a single slot, the target replaces its base (`Replaced`): verified ──▶ idle, committed.
//!
//! It knows no flash: whoever drives it writes the new state to the journal *before* acting on it, and boots what
//! [`boots_from`] says.

use whittle_format::ShortDigest;
use whittle_format::life::{Ending, LifeState, PackageKind, Phase, SlotId};

/// How often a trial is attempted, unless told otherwise.
pub const DEFAULT_ATTEMPTS: u8 = 3;

/// How often a trial is booted without a verdict, whatever the reason of the resets.
pub const MAX_BOOTS: u8 = 16;

/// Deltas to one target that may fail before only the full image is accepted.
pub const MAX_DELTA_FAILURES: u8 = 2;

/// Why the processor started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ResetCause {
    /// The power came.
    PowerOn,
    /// The voltage fell too low: perhaps the new firmware draws too much.
    BrownOut,
    /// The watchdog was not fed.
    Watchdog,
    /// Software asked for it, as panic handlers do.
    Software,
    /// The chip does not tell.
    Unknown,
}

impl ResetCause {
    /// All causes.
    pub const ALL: [Self; 5] =
        [Self::PowerOn, Self::BrownOut, Self::Watchdog, Self::Software, Self::Unknown];

    /// Whether a boot after it counts against the attempts of a trial: a user who unplugs the device is no crash.
    #[must_use]
    pub fn counts(self) -> bool {
        self != Self::PowerOn
    }
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An admitted package is about to be stored.
    Download {
        /// First 16 bytes of the target's SHA-256.
        target: ShortDigest,
        /// Security counter of the target.
        security_counter: u32,
        /// Kind of the package.
        kind: PackageKind,
    },
    /// Every byte of the package is there and authentic.
    Verified,
    /// The target stands in the other slot, and its hash is the signed one.
    Installed,
    /// The target has taken the place of its base, and its hash is the signed one: there is nothing to roll back to.
    Replaced,
    /// The download or the installation failed.
    Failed,
    /// The application wants the target to start at the next boot.
    Activate,
    /// The processor started.
    Boot(ResetCause),
    /// The slot that should boot does not hold a signed image that may boot; `other` tells whether the other one does.
    Damaged {
        /// Whether the other slot holds an image that may boot.
        other: bool,
    },
    /// All health checks passed.
    Healthy,
    /// A health check failed.
    Unhealthy,
    /// The health checks did not end in time.
    TooLate,
    /// The application switches features off, one bit each.
    Disable(u32),
    /// The application switches features on again, one bit each.
    Enable(u32),
}

/// Why an event does not fit the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LifeError {
    /// Nothing of the kind can happen in this phase.
    OutOfTurn {
        /// The phase.
        phase: Phase,
    },
    /// This target was rolled back; another one may be installed.
    Rejected,
    /// Deltas to this target failed too often: the full image is wanted.
    FullImageWanted,
    /// The target's security counter is lower than the device's.
    CounterTooLow,
    /// Another slot runs than the journal means by now, or nobody has told which one does: the boot loader could not read the
    /// journal, or write to it. Another start may find it well.
    AnotherSlotRuns,
}

impl core::fmt::Display for LifeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::OutOfTurn { phase } => write!(f, "does not fit the phase {phase:?}"),
            Self::Rejected => f.write_str("this target was rolled back before"),
            Self::FullImageWanted => f.write_str("deltas to this target failed: full image wanted"),
            Self::CounterTooLow => {
                f.write_str("target has a lower security counter than the device")
            }
            Self::AnotherSlotRuns => {
                f.write_str("not the slot that runs, as far as anybody has told")
            }
        }
    }
}

impl core::error::Error for LifeError {}

/// The slot that boots in a state.
#[must_use]
pub fn boots_from(state: &LifeState) -> SlotId {
    match state.phase {
        Phase::Trial => state.committed.other(),
        _ => state.committed,
    }
}

/// The state that follows; `attempts` is how often a trial may be attempted.
///
/// # Errors
/// [`LifeError`]; the state stays as it is.
pub fn next(state: &LifeState, event: Event, attempts: u8) -> Result<LifeState, LifeError> {
    let mut next = *state;
    step(&mut next, event, attempts)?;
    Ok(next)
}

/// The same, in place; where it is an error, the state stays as it is, too.
pub(crate) fn step(state: &mut LifeState, event: Event, attempts: u8) -> Result<(), LifeError> {
    match (state.phase, event) {
        (Phase::Trial, Event::Download { .. }) => return out_of_turn(state.phase),
        (_, Event::Download { target, security_counter, kind }) => {
            return download(state, target, security_counter, kind);
        }
        (Phase::Downloading, Event::Verified) => state.phase = Phase::Verified,
        (Phase::Verified, Event::Installed) => state.phase = Phase::Installed,
        (Phase::Verified, Event::Replaced) if cfg!(feature = "in-place") => replaced(state),
        (Phase::Downloading | Phase::Verified, Event::Failed) => failed(state),
        (Phase::Installed, Event::Activate) => state.phase = Phase::Pending,
        (Phase::Pending, Event::Boot(_)) => {
            state.phase = Phase::Trial;
            (state.boots, state.attempts, state.disabled_on_trial) = (1, 1, 0);
        }
        (Phase::Trial, Event::Boot(cause)) => trial_boot(state, cause, attempts),
        (Phase::Trial, Event::Healthy) => committed(state),
        (Phase::Trial, Event::Unhealthy) => rolled_back(state, Ending::Unhealthy),
        (Phase::Trial, Event::TooLate) => rolled_back(state, Ending::TooLate),
        (Phase::Trial, Event::Damaged { .. }) => rolled_back(state, Ending::Damaged),
        (_, Event::Damaged { other: true }) => recovered(state),
        (_, Event::Boot(_) | Event::Damaged { other: false }) => {}
        (_, Event::Disable(features)) => *disabled_mut(state) |= features,
        (_, Event::Enable(features)) => *disabled_mut(state) &= !features,
        _ => return out_of_turn(state.phase),
    }
    Ok(())
}

fn out_of_turn(phase: Phase) -> Result<(), LifeError> {
    Err(LifeError::OutOfTurn { phase })
}

/// Features that are switched off in the image that runs, one bit each.
#[must_use]
pub fn disabled(state: &LifeState) -> u32 {
    match state.phase {
        Phase::Trial => state.disabled_on_trial,
        _ => state.disabled,
    }
}

fn disabled_mut(state: &mut LifeState) -> &mut u32 {
    match state.phase {
        Phase::Trial => &mut state.disabled_on_trial,
        _ => &mut state.disabled,
    }
}

/// The state of a device whose committed image has this security counter, as nobody knows better than its manifest.
pub(crate) fn with_committed_counter(state: &LifeState, counter: u32) -> LifeState {
    let mut next = *state;
    next.security_counter = state.security_counter.max(counter);
    next
}

fn download(
    state: &mut LifeState,
    target: ShortDigest,
    target_counter: u32,
    kind: PackageKind,
) -> Result<(), LifeError> {
    let delta_failures = if state.target == target { state.delta_failures } else { 0 };
    if target == state.rejected && target != ShortDigest::default() {
        return Err(LifeError::Rejected);
    }
    if target_counter < state.security_counter {
        return Err(LifeError::CounterTooLow);
    }
    if kind == PackageKind::Delta && delta_failures >= MAX_DELTA_FAILURES {
        return Err(LifeError::FullImageWanted);
    }
    (state.phase, state.ending) = (Phase::Downloading, Ending::None);
    (state.kind, state.target, state.target_counter) = (kind, target, target_counter);
    state.delta_failures = delta_failures;
    Ok(())
}

/// The target and the failures stay, so that another download of it is known as such.
fn failed(state: &mut LifeState) {
    let more = u8::from(state.kind == PackageKind::Delta);
    state.delta_failures = state.delta_failures.saturating_add(more);
    (state.phase, state.ending) = (Phase::Idle, Ending::Abandoned);
}

fn trial_boot(state: &mut LifeState, cause: ResetCause, limit: u8) {
    if cause.counts() && state.attempts >= limit {
        rolled_back(state, Ending::Crashed);
    } else if state.boots >= MAX_BOOTS {
        rolled_back(state, Ending::Undecided);
    } else {
        state.attempts = state.attempts.saturating_add(u8::from(cause.counts()));
        state.boots = state.boots.saturating_add(1);
    }
}

fn committed(state: &mut LifeState) {
    state.committed = state.committed.other();
    state.security_counter = state.security_counter.max(state.target_counter);
    state.disabled = state.disabled_on_trial;
    rest(state, Ending::Committed);
}

fn rolled_back(state: &mut LifeState, ending: Ending) {
    state.rejected = state.target;
    rest(state, ending);
}

/// What ran before is gone, so that nothing older can run any more.
fn replaced(state: &mut LifeState) {
    state.security_counter = state.security_counter.max(state.target_counter);
    state.disabled = 0;
    rest(state, Ending::Committed);
}

/// The other slot takes over; what was at hand was there and is gone with it.
fn recovered(state: &mut LifeState) {
    state.committed = state.committed.other();
    state.disabled = 0;
    rest(state, Ending::Recovered);
}

#[inline(never)]
fn rest(state: &mut LifeState, ending: Ending) {
    (state.phase, state.ending) = (Phase::Idle, ending);
    (state.target, state.target_counter) = (ShortDigest::default(), 0);
    (state.delta_failures, state.boots, state.attempts) = (0, 0, 0);
    state.disabled_on_trial = 0;
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::BTreeMap;
    use std::string::String;
    use std::vec::Vec;
    use std::{format, vec};

    use super::*;

    const ATTEMPTS: u8 = 3;

    fn events() -> Vec<Event> {
        let mut events = vec![
            Event::Verified,
            Event::Installed,
            Event::Replaced,
            Event::Damaged { other: true },
            Event::Damaged { other: false },
            Event::Failed,
            Event::Activate,
            Event::Damaged { other: true },
            Event::Damaged { other: false },
            Event::Healthy,
            Event::Unhealthy,
            Event::TooLate,
            Event::Disable(1),
            Event::Enable(1),
        ];
        events.extend(ResetCause::ALL.map(Event::Boot));
        for target in 1..=2 {
            for kind in [PackageKind::Full, PackageKind::Delta] {
                let security_counter = u32::from(target);
                events.push(Event::Download { target: [target; 16], security_counter, kind });
            }
        }
        events
    }

    /// Every state that can be reached, and each step between two of them.
    fn explore(mut step: impl FnMut(&LifeState, Event, &LifeState)) -> usize {
        let first = LifeState::new(SlotId::A, 1);
        let mut seen = BTreeMap::from([(first.emit(), first)]);
        let mut waiting = vec![first];
        while let Some(state) = waiting.pop() {
            for event in events() {
                let Ok(after) = next(&state, event, ATTEMPTS) else { continue };
                step(&state, event, &after);
                if seen.insert(after.emit(), after).is_none() {
                    waiting.push(after);
                }
            }
        }
        seen.len()
    }

    #[test]
    fn the_promises_hold_on_every_step_between_reachable_states() {
        let mut steps = 0;
        let states = explore(|state, event, after| {
            steps += 1;
            let what = || -> String { format!("{state:?}\n{event:?}\n{after:?}") };
            let commits = after.ending == Ending::Committed
                && matches!(state.phase, Phase::Trial | Phase::Verified);
            assert!(after.security_counter >= state.security_counter, "never falls: {}", what());
            assert!(
                after.security_counter == state.security_counter || commits,
                "rises at a commit only: {}",
                what()
            );
            if commits {
                assert!(matches!(event, Event::Healthy | Event::Replaced), "{}", what());
            }
            assert!(
                after.committed == state.committed
                    || event == Event::Healthy
                    || event == Event::Damaged { other: true },
                "a committed image is not lost: {}",
                what()
            );
            if after.phase == Phase::Trial && state.phase != Phase::Trial {
                assert_eq!(state.phase, Phase::Pending, "no trial without a request: {}", what());
            }
            if after.phase == Phase::Pending && state.phase != Phase::Pending {
                assert_eq!(state.phase, Phase::Installed, "hash before pending: {}", what());
            }
            assert!(after.attempts <= ATTEMPTS && after.boots <= MAX_BOOTS, "{}", what());
            assert!(after.delta_failures <= MAX_DELTA_FAILURES, "{}", what());
            if after.phase == Phase::Trial {
                assert_ne!(after.target, after.rejected, "no second trial: {}", what());
            }
        });
        assert!(states > 1000 && steps > 10_000, "{states} states, {steps} steps");
    }

    #[test]
    fn a_trial_ends_whatever_the_reset_causes_are() {
        explore(|_, _, state| {
            for cause in ResetCause::ALL {
                let mut state = *state;
                let mut boots = 0;
                while state.phase == Phase::Trial {
                    state = next(&state, Event::Boot(cause), ATTEMPTS).expect("a boot");
                    boots += 1;
                }
                assert!(boots <= usize::from(MAX_BOOTS));
            }
        });
    }

    fn run(events: &[Event]) -> Result<LifeState, LifeError> {
        events
            .iter()
            .try_fold(LifeState::new(SlotId::A, 1), |state, event| next(&state, *event, ATTEMPTS))
    }

    const DELTA: Event =
        Event::Download { target: [2; 16], security_counter: 5, kind: PackageKind::Delta };
    const FULL: Event =
        Event::Download { target: [2; 16], security_counter: 5, kind: PackageKind::Full };
    const TO_TRIAL: [Event; 5] = [
        DELTA,
        Event::Verified,
        Event::Installed,
        Event::Activate,
        Event::Boot(ResetCause::Software),
    ];

    #[test]
    fn a_healthy_target_is_committed_and_raises_the_counter() {
        let state = run(&[&TO_TRIAL[..], &[Event::Healthy]].concat()).expect("in turn");
        assert_eq!(
            (state.phase, state.committed, state.ending, state.security_counter),
            (Phase::Idle, SlotId::B, Ending::Committed, 5)
        );
    }

    #[test]
    fn three_attempts_and_then_back() {
        let crash = Event::Boot(ResetCause::Watchdog);
        let tried = run(&[&TO_TRIAL[..], &[crash; 2]].concat()).expect("in turn");
        assert_eq!((tried.phase, tried.attempts, boots_from(&tried)), (Phase::Trial, 3, SlotId::B));
        let back = run(&[&TO_TRIAL[..], &[crash; 3]].concat()).expect("in turn");
        assert_eq!(
            (back.phase, back.ending, boots_from(&back), back.security_counter),
            (Phase::Idle, Ending::Crashed, SlotId::A, 1)
        );
        assert_eq!(next(&back, FULL, ATTEMPTS), Err(LifeError::Rejected));
    }

    #[test]
    fn a_user_who_unplugs_the_device_is_no_crash() {
        let state = run(&[&TO_TRIAL[..], &[Event::Boot(ResetCause::PowerOn); 5]].concat());
        assert_eq!(state.map(|state| (state.phase, state.attempts)), Ok((Phase::Trial, 1)));
    }

    #[test]
    fn a_delta_that_fails_twice_makes_way_for_the_full_image() {
        let failing = [DELTA, Event::Failed, DELTA, Event::Verified, Event::Failed];
        let state = run(&failing).expect("in turn");
        assert_eq!(next(&state, DELTA, ATTEMPTS), Err(LifeError::FullImageWanted));
        let state = next(&state, FULL, ATTEMPTS).expect("the full image is welcome");
        assert_eq!(state.phase, Phase::Downloading);
    }

    #[test]
    fn a_partial_failure_costs_a_feature_of_the_image_that_runs() {
        let state = run(&[&[Event::Disable(4)], &TO_TRIAL[..], &[Event::Disable(1)]].concat())
            .expect("in turn");
        assert_eq!(disabled(&state), 1);
        let back = next(&state, Event::Unhealthy, ATTEMPTS).expect("a trial");
        assert_eq!(disabled(&back), 4);
        let on = next(&state, Event::Healthy, ATTEMPTS).expect("a trial");
        assert_eq!(disabled(&on), 1);
    }
}
