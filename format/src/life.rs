//! Where a device stands in an update, as its journal keeps it.
//!
//! ```text
//!  0  1  phase: 0 idle, 1 downloading, 2 verified, 3 installed, 4 pending, 5 trial
//!  1  1  committed slot: 0 A, 1 B
//!  2  1  how the last update ended, see Ending          3  1  kind of the package at hand: 0 full image, 1 delta
//!  4  4  security counter
//!  8  4  security counter of the target at hand
//! 12 16  target at hand: first 16 bytes of its SHA-256   (zeros: none)
//! 28 16  target that was given up, the same              (zeros: none)
//! 44  1  failures of deltas to the target at hand
//! 45  1  boots of the trial      46  1  attempts among them
//! 47  1  zero
//! 48  4  disabled features of the committed image        52  4  of the target on trial
//! ```

use crate::manifest::{KIND_DELTA, KIND_FULL};
use crate::wire::{Field, from_code};
use crate::{FormatError, Part, ShortDigest};

mod field {
    use super::{Field, ShortDigest};

    pub(super) const PHASE: Field<u8> = Field::first();
    pub(super) const COMMITTED: Field<u8> = PHASE.then();
    pub(super) const ENDING: Field<u8> = COMMITTED.then();
    pub(super) const KIND: Field<u8> = ENDING.then();
    pub(super) const SECURITY_COUNTER: Field<u32> = KIND.then();
    pub(super) const TARGET_COUNTER: Field<u32> = SECURITY_COUNTER.then();
    pub(super) const TARGET: Field<ShortDigest> = TARGET_COUNTER.then();
    pub(super) const REJECTED: Field<ShortDigest> = TARGET.then();
    pub(super) const DELTA_FAILURES: Field<u8> = REJECTED.then();
    pub(super) const BOOTS: Field<u8> = DELTA_FAILURES.then();
    pub(super) const ATTEMPTS: Field<u8> = BOOTS.then();
    pub(super) const RESERVED: Field<u8> = ATTEMPTS.then();
    pub(super) const DISABLED: Field<u32> = RESERVED.then();
    pub(super) const DISABLED_ON_TRIAL: Field<u32> = DISABLED.then();
    pub(super) const LEN: usize = DISABLED_ON_TRIAL.end();
}

/// One of the two slots that hold images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum SlotId {
    /// The first slot.
    A = 0,
    /// The second slot.
    B = 1,
}

impl SlotId {
    /// Both, in the order of their codes.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A step of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Phase {
    /// The committed image runs, nothing is at hand.
    Idle = 0,
    /// A package is being downloaded.
    Downloading = 1,
    /// The whole package is there and authentic; the other slot may be half written.
    Verified = 2,
    /// The target stands in the other slot, its hash is right, and it is not asked for yet.
    Installed = 3,
    /// The next boot starts the target on trial.
    Pending = 4,
    /// The target runs on trial.
    Trial = 5,
}

impl Phase {
    /// All phases, in the order of their codes.
    pub const ALL: [Self; 6] = [
        Self::Idle,
        Self::Downloading,
        Self::Verified,
        Self::Installed,
        Self::Pending,
        Self::Trial,
    ];
}

/// How the last update ended; the number is the code on the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
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

impl Ending {
    /// All endings, in the order of their codes.
    pub const ALL: [Self; 9] = [
        Self::None,
        Self::Committed,
        Self::Crashed,
        Self::Undecided,
        Self::Unhealthy,
        Self::TooLate,
        Self::Damaged,
        Self::Recovered,
        Self::Abandoned,
    ];
}

/// The kind of a package, without its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum PackageKind {
    /// The whole image.
    Full = KIND_FULL,
    /// A delta.
    Delta = KIND_DELTA,
}

impl PackageKind {
    const BOTH: [Self; 2] = [Self::Full, Self::Delta];
}

/// Where a device stands in an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LifeState {
    /// The step.
    pub phase: Phase,
    /// The slot whose image was committed last.
    pub committed: SlotId,
    /// How the last update ended.
    pub ending: Ending,
    /// Kind of the package at hand.
    pub kind: PackageKind,
    /// Images below this security counter do not boot.
    pub security_counter: u32,
    /// What the security counter becomes when the target at hand is committed, if it is higher.
    pub target_counter: u32,
    /// The target at hand; zeros if there is none.
    pub target: ShortDigest,
    /// The target that was rolled back last; zeros if there is none.
    pub rejected: ShortDigest,
    /// How often a delta to the target at hand has failed.
    pub delta_failures: u8,
    /// How often the target on trial has been booted.
    pub boots: u8,
    /// How many of these boots count as attempts.
    pub attempts: u8,
    /// Features of the committed image that are switched off, one bit each.
    pub disabled: u32,
    /// Features of the target on trial that are switched off, one bit each.
    pub disabled_on_trial: u32,
}

impl LifeState {
    /// Length in bytes.
    pub const LEN: usize = field::LEN;

    /// A device that has just been given its first image.
    #[must_use]
    #[inline(never)]
    pub fn new(committed: SlotId, security_counter: u32) -> Self {
        Self {
            phase: Phase::Idle,
            committed,
            ending: Ending::None,
            kind: PackageKind::Full,
            security_counter,
            target_counter: 0,
            target: ShortDigest::default(),
            rejected: ShortDigest::default(),
            delta_failures: 0,
            boots: 0,
            attempts: 0,
            disabled: 0,
            disabled_on_trial: 0,
        }
    }

    /// Parses a payload.
    ///
    /// # Errors
    /// [`FormatError::Truncated`], [`FormatError::TrailingBytes`] or [`FormatError::UnknownCode`].
    #[inline(never)]
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let (fixed, extra) = bytes.split_first_chunk().ok_or(FormatError::Truncated)?;
        let bytes: &[u8; field::LEN] = fixed;
        if !extra.is_empty() {
            return Err(FormatError::TrailingBytes);
        }
        if field::RESERVED.get(bytes)? != 0 {
            return Err(FormatError::UnknownCode { field: Part::Reserved });
        }
        Ok(Self {
            phase: from_code(Part::Phase, &Phase::ALL, field::PHASE.get(bytes)?)?,
            committed: from_code(Part::Slot, &SlotId::BOTH, field::COMMITTED.get(bytes)?)?,
            ending: from_code(Part::Ending, &Ending::ALL, field::ENDING.get(bytes)?)?,
            kind: from_code(Part::Kind, &PackageKind::BOTH, field::KIND.get(bytes)?)?,
            security_counter: field::SECURITY_COUNTER.get(bytes)?,
            target_counter: field::TARGET_COUNTER.get(bytes)?,
            target: field::TARGET.get(bytes)?,
            rejected: field::REJECTED.get(bytes)?,
            delta_failures: field::DELTA_FAILURES.get(bytes)?,
            boots: field::BOOTS.get(bytes)?,
            attempts: field::ATTEMPTS.get(bytes)?,
            disabled: field::DISABLED.get(bytes)?,
            disabled_on_trial: field::DISABLED_ON_TRIAL.get(bytes)?,
        })
    }

    /// Emits the payload.
    #[must_use]
    #[inline(never)]
    pub fn emit(&self) -> [u8; field::LEN] {
        let mut out = [0; field::LEN];
        // All fields lie within an array of the layout's own length, so no `set` can fail.
        let _ = field::PHASE.set(&mut out, self.phase as u8);
        let _ = field::COMMITTED.set(&mut out, self.committed as u8);
        let _ = field::ENDING.set(&mut out, self.ending as u8);
        let _ = field::KIND.set(&mut out, self.kind as u8);
        let _ = field::SECURITY_COUNTER.set(&mut out, self.security_counter);
        let _ = field::TARGET_COUNTER.set(&mut out, self.target_counter);
        let _ = field::TARGET.set(&mut out, self.target);
        let _ = field::REJECTED.set(&mut out, self.rejected);
        let _ = field::DELTA_FAILURES.set(&mut out, self.delta_failures);
        let _ = field::BOOTS.set(&mut out, self.boots);
        let _ = field::ATTEMPTS.set(&mut out, self.attempts);
        let _ = field::DISABLED.set(&mut out, self.disabled);
        let _ = field::DISABLED_ON_TRIAL.set(&mut out, self.disabled_on_trial);
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parse_undoes_emit_and_emit_undoes_parse(bytes: [u8; LifeState::LEN]) {
            let mut bytes = bytes;
            bytes[0] %= 7;
            bytes[1] %= 3;
            bytes[2] %= 10;
            bytes[3] %= 3;
            bytes[47] = 0;
            if let Ok(state) = LifeState::parse(&bytes) {
                prop_assert_eq!(state.emit(), bytes);
                prop_assert!(LifeState::parse(&bytes[1..]).is_err());
            } else {
                prop_assert!(bytes[0] == 6 || bytes[1] == 2 || bytes[2] == 9 || bytes[3] == 2);
            }
        }
    }
}
