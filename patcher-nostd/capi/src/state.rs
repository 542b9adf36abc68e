//! Where the device stands in an update.

use whittle_patcher_nostd::life::boots_from;
use whittle_patcher_nostd::{Ending as LifeEnding, Phase as LifePhase};

use crate::error::{WHITTLE_OK, result};
use crate::image::Slot;
use crate::pointer;
use crate::updater::{Updater, with};

/// A step of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Phase {
    /// The committed image runs, nothing is at hand.
    Idle = 0,
    /// A package is being downloaded.
    Downloading = 1,
    /// The whole package is there and authentic: whittle_install() is next, or
    /// whittle_request_in_place().
    Verified = 2,
    /// The target stands in the other slot: whittle_activate() is next.
    Installed = 3,
    /// The next boot starts the target on trial.
    Pending = 4,
    /// The target runs on trial: whittle_healthy(), whittle_unhealthy() or whittle_too_late() is next.
    Trial = 5,
}

/// How the last update ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Ending {
    /// There was none, or one is at hand.
    None = 0,
    /// The target passed its health checks and was committed.
    Committed = 1,
    /// The target was rolled back: it used up its attempts.
    Crashed = 2,
    /// The target was rolled back: it was booted too often without a verdict.
    Undecided = 3,
    /// The target was rolled back: a health check failed.
    Unhealthy = 4,
    /// The target was rolled back: its health checks did not end in time.
    TooLate = 5,
    /// The target was rolled back: its slot did not hold the signed image any more.
    Damaged = 6,
    /// The committed image was damaged, and the other slot's took over.
    Recovered = 7,
    /// The download or the installation failed, or was given up.
    Abandoned = 8,
}

/// Where the device stands.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct State {
    /// The step.
    pub phase: Phase,
    /// How the last update ended.
    pub ending: Ending,
    /// The slot whose image was committed last.
    pub committed: Slot,
    /// The slot that boots as things stand.
    pub boots_from: Slot,
    /// Images below this security counter do not boot.
    pub security_counter: u32,
    /// Features of the running image that are switched off, one bit each.
    pub disabled: u32,
    /// First bytes of the SHA-256 of the target at hand; zeros if there is none.
    pub target: [u8; 16],
    /// The same of the target that was rolled back last.
    pub rejected: [u8; 16],
    /// How often the target on trial has been booted.
    pub boots: u8,
    /// How many of these boots count as attempts.
    pub attempts: u8,
    /// How often a delta to the target at hand has failed.
    pub delta_failures: u8,
}

/// Tells where the device stands.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_state(updater: *mut Updater, state: *mut State) -> i32 {
    // SAFETY: the header's rules.
    let outcome = unsafe {
        with(updater, |updater| {
            let life = updater.life();
            let told = State {
                phase: life.phase.into(),
                ending: life.ending.into(),
                committed: life.committed.into(),
                boots_from: boots_from(life).into(),
                security_counter: updater.security_counter(),
                disabled: updater.disabled(),
                target: life.target,
                rejected: life.rejected,
                boots: life.boots,
                attempts: life.attempts,
                delta_failures: life.delta_failures,
            };
            pointer::write(state, told)?;
            Ok(WHITTLE_OK)
        })
    };
    result(outcome)
}

impl From<LifePhase> for Phase {
    fn from(phase: LifePhase) -> Self {
        match phase {
            LifePhase::Idle => Self::Idle,
            LifePhase::Downloading => Self::Downloading,
            LifePhase::Verified => Self::Verified,
            LifePhase::Installed => Self::Installed,
            LifePhase::Pending => Self::Pending,
            LifePhase::Trial => Self::Trial,
        }
    }
}

impl From<LifeEnding> for Ending {
    fn from(ending: LifeEnding) -> Self {
        match ending {
            LifeEnding::None => Self::None,
            LifeEnding::Committed => Self::Committed,
            LifeEnding::Crashed => Self::Crashed,
            LifeEnding::Undecided => Self::Undecided,
            LifeEnding::Unhealthy => Self::Unhealthy,
            LifeEnding::TooLate => Self::TooLate,
            LifeEnding::Damaged => Self::Damaged,
            LifeEnding::Recovered => Self::Recovered,
            LifeEnding::Abandoned => Self::Abandoned,
        }
    }
}
