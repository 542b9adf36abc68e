//! The records of a device's journal.
//!
//! Every record is written twice, one copy right behind the other, each padded to the flash's write size:
//!
//! ```text
//! 0 1  kind        1 1  complement of the kind       2 2  length n of the payload
//! 4 4  sequence number
//! 8 n  payload     …  4  CRC-32 (ISO-HDLC, as in Ethernet and zip) of everything in front of it
//! ```
//!
//! How records make a journal that survives power cuts is told in `patcher-nostd`.

use crate::FormatError;
use crate::wire::Field;

mod field {
    use super::Field;

    pub(super) const KIND: Field<u8> = Field::first();
    pub(super) const COMPLEMENT: Field<u8> = KIND.then();
    pub(super) const LEN: Field<u16> = COMPLEMENT.then();
    pub(super) const SEQUENCE: Field<u32> = LEN.then();
    pub(super) const HEAD_LEN: usize = SEQUENCE.end();
}

/// Length of a record's head in bytes.
pub const HEAD_LEN: usize = field::HEAD_LEN;

/// Length of the CRC-32 behind the payload in bytes.
pub const CRC_LEN: usize = 4;

/// Longest payload of a record in bytes.
pub const MAX_PAYLOAD: u16 = 1024;

/// What a record is about; the number is the code on the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Kind {
    /// Makes a bank count: see [`BankHead`].
    Bank = 1,
    /// Where the device stands in an update: see [`LifeState`](crate::life::LifeState).
    Life = 2,
    /// Where a package lies that is being downloaded.
    Staging = 3,
    /// How much of the target slot is written.
    Progress = 4,
    /// A signed document of feature flags.
    Flags = 5,
    /// The rollout stage that was accepted last.
    Stage = 6,
    /// Anything that the application wants to keep.
    Application = 7,
    /// Documents that say which keys are trusted.
    Keys = 8,
    /// The approval of a target by several keys.
    Approval = 9,
    /// What a later version of whittle keeps: left as it is, and copied when the journal rotates.
    Later1 = 10,
    /// The same.
    Later2 = 11,
    /// The same.
    Later3 = 12,
    /// The same.
    Later4 = 13,
}

impl Kind {
    /// All kinds that describe the device, in the order of their codes: all but [`Self::Bank`].
    pub const KEPT: [Self; 12] = [
        Self::Life,
        Self::Staging,
        Self::Progress,
        Self::Flags,
        Self::Stage,
        Self::Application,
        Self::Keys,
        Self::Approval,
        Self::Later1,
        Self::Later2,
        Self::Later3,
        Self::Later4,
    ];

    /// Where it stands in [`Self::KEPT`].
    #[must_use]
    pub fn index(self) -> Option<usize> {
        usize::from(self as u8).checked_sub(FIRST_KEPT)
    }

    fn from_code(code: u8) -> Option<Self> {
        match usize::from(code).checked_sub(FIRST_KEPT) {
            Some(index) => Self::KEPT.get(index).copied(),
            None => (code == Self::Bank as u8).then_some(Self::Bank),
        }
    }
}

/// Code of the first kind of [`Kind::KEPT`].
const FIRST_KEPT: usize = Kind::Life as usize;

/// The front of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// What it is about.
    pub kind: Kind,
    /// Length of the payload in bytes.
    pub len: u16,
    /// Grows with every record.
    pub sequence: u32,
}

impl RecordHead {
    /// Parses a head; `None` for anything that was never emitted, such as erased flash.
    #[must_use]
    pub fn parse(bytes: &[u8; HEAD_LEN]) -> Option<Self> {
        let code = field::KIND.get(bytes).ok()?;
        let len = field::LEN.get(bytes).ok()?;
        if field::COMPLEMENT.get(bytes).ok()? != !code || len > MAX_PAYLOAD {
            return None;
        }
        let sequence = field::SEQUENCE.get(bytes).ok()?;
        Some(Self { kind: Kind::from_code(code)?, len, sequence })
    }

    /// Emits the head.
    #[must_use]
    pub fn emit(&self) -> [u8; HEAD_LEN] {
        let mut out = [0; HEAD_LEN];
        let code = self.kind as u8;
        // The fields lie within an array of their own length.
        let _ = field::KIND.set(&mut out, code);
        let _ = field::COMPLEMENT.set(&mut out, !code);
        let _ = field::LEN.set(&mut out, self.len);
        let _ = field::SEQUENCE.set(&mut out, self.sequence);
        out
    }

    /// Length of a copy of the record with its CRC, in bytes, before it is padded to the flash's write size.
    #[must_use]
    #[inline(never)]
    pub fn copy_len(&self) -> u32 {
        let around = u32::try_from(HEAD_LEN.saturating_add(CRC_LEN)).unwrap_or(u32::MAX);
        around.saturating_add(self.len.into())
    }
}

mod bank {
    use super::Field;

    pub(super) const EPOCH: Field<u32> = Field::first();
    pub(super) const SNAPSHOT_END: Field<u32> = EPOCH.then();
    pub(super) const LEN: usize = SNAPSHOT_END.end();
}

/// The payload of a [`Kind::Bank`] record, 8 bytes: `0 4 epoch   4 4 end of the snapshot, from the bank's start`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BankHead {
    /// The bank with the higher epoch counts.
    pub epoch: u32,
    /// Where the records end that the bank was begun with.
    pub snapshot_end: u32,
}

impl BankHead {
    /// Length in bytes.
    pub const LEN: usize = bank::LEN;

    /// Parses a payload.
    ///
    /// # Errors
    /// [`FormatError::Truncated`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        Ok(Self { epoch: bank::EPOCH.get(bytes)?, snapshot_end: bank::SNAPSHOT_END.get(bytes)? })
    }

    /// Emits the payload.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        // The fields lie within an array of their own length.
        let _ = bank::EPOCH.set(&mut out, self.epoch);
        let _ = bank::SNAPSHOT_END.set(&mut out, self.snapshot_end);
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parse_undoes_emit(at in 0..Kind::KEPT.len(), len in 0..=MAX_PAYLOAD, sequence: u32) {
            let head = RecordHead { kind: Kind::KEPT[at], len, sequence };
            prop_assert_eq!(RecordHead::parse(&head.emit()), Some(head));
            prop_assert_eq!(head.kind.index(), Some(at));
            let bank = BankHead { epoch: sequence, snapshot_end: len.into() };
            prop_assert_eq!(BankHead::parse(&bank.emit()), Ok(bank));
        }
    }

    #[test]
    fn erased_flash_is_no_record() {
        assert_eq!(RecordHead::parse(&[0xff; HEAD_LEN]), None);
        assert_eq!(RecordHead::parse(&[0; HEAD_LEN]), None);
    }
}
