//! Where a package lies that is being downloaded, and how much of a slot is written, as the journal keeps them.
//!
//! ```text
//! staging    0 4  complete blocks     4 4  where the next one goes     8 4  the region is erased up to here
//!           12 8n gaps: 0 4 number of the block behind it, 4 4 its length; from the front to the back
//! progress   0 4  bytes of the target that are written
//!            4 2  moves of sectors that are made      6 1  bit 0: installation in place is wanted, bit 1: bank of the state
//!            7 1  zero                                8 4  CRC-32 of the decoder's state in that bank
//! ```
//!
//! A gap is what a power cut has left: the extent of a block of which nobody knows whether it is whole.

use crate::wire::Field;
use crate::{FormatError, Part};

mod field {
    use super::Field;

    pub(super) const COMPLETE: Field<u32> = Field::first();
    pub(super) const NEXT: Field<u32> = COMPLETE.then();
    pub(super) const ERASED: Field<u32> = NEXT.then();
    pub(super) const FIXED_LEN: usize = ERASED.end();

    pub(super) const GAP_BLOCK: Field<u32> = Field::first();
    pub(super) const GAP_LEN: Field<u32> = GAP_BLOCK.then();
    pub(super) const GAP_SIZE: usize = GAP_LEN.end();

    pub(super) const WRITTEN: Field<u32> = Field::first();
    pub(super) const MOVES: Field<u16> = WRITTEN.then();
    pub(super) const BITS: Field<u8> = MOVES.then();
    pub(super) const ZERO: Field<u8> = BITS.then();
    pub(super) const STATE_CRC: Field<u32> = ZERO.then();
    pub(super) const PROGRESS_LEN: usize = STATE_CRC.end();
}

/// Most gaps that are kept: a download that power cuts interrupt more often begins anew.
pub const MAX_GAPS: usize = 16;

/// A stretch of the staging region that is skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// Number of the block behind it.
    pub block: u32,
    /// Its length in bytes.
    pub len: u32,
}

/// How far a package has been staged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Staging {
    /// Blocks that are there, whole and authentic.
    pub complete: u32,
    /// Where the next block goes; 0 if nothing is staged, not even the envelope.
    pub next: u32,
    /// The region is erased from `next` up to here.
    pub erased: u32,
    gaps: [Gap; MAX_GAPS],
    count: usize,
}

impl Staging {
    /// Length of the longest record in bytes.
    pub const MAX_LEN: usize = field::FIXED_LEN + MAX_GAPS * field::GAP_SIZE;

    /// The gaps, from the front to the back.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        self.gaps.get(..self.count).unwrap_or_default()
    }

    /// Length of the gap in front of a block.
    #[must_use]
    pub fn gap_before(&self, block: u32) -> u32 {
        self.gaps().iter().find(|gap| gap.block == block).map_or(0, |gap| gap.len)
    }

    /// Puts a gap in front of the next block, or does nothing if there are too many; whether it did.
    #[must_use]
    pub fn skip(&mut self, len: u32) -> bool {
        let widened = self.count.checked_sub(1).and_then(|last| self.gaps.get_mut(last));
        if let Some(gap) = widened.filter(|gap| gap.block == self.complete) {
            gap.len = gap.len.saturating_add(len);
        } else {
            let Some(gap) = self.gaps.get_mut(self.count) else { return false };
            *gap = Gap { block: self.complete, len };
            self.count = self.count.saturating_add(1);
        }
        self.next = self.next.saturating_add(len);
        true
    }

    /// Parses a payload.
    ///
    /// # Errors
    /// [`FormatError::Truncated`] or [`FormatError::TrailingBytes`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let (complete, next) = (field::COMPLETE.get(bytes)?, field::NEXT.get(bytes)?);
        let mut state =
            Self { complete, next, erased: field::ERASED.get(bytes)?, ..Self::default() };
        let (gaps, extra) =
            bytes.get(field::FIXED_LEN..).unwrap_or_default().as_chunks::<{ field::GAP_SIZE }>();
        if !extra.is_empty() || gaps.len() > MAX_GAPS {
            return Err(FormatError::TrailingBytes);
        }
        for (to, from) in state.gaps.iter_mut().zip(gaps) {
            *to = Gap { block: field::GAP_BLOCK.get(from)?, len: field::GAP_LEN.get(from)? };
        }
        state.count = gaps.len();
        Ok(state)
    }

    /// Emits the payload into `out` and returns it.
    pub fn emit<'b>(&self, out: &'b mut [u8; Self::MAX_LEN]) -> &'b [u8] {
        // All fields lie within an array of the longest record's length, so no `set` can fail.
        let _ = field::COMPLETE.set(out, self.complete);
        let _ = field::NEXT.set(out, self.next);
        let _ = field::ERASED.set(out, self.erased);
        let room = out.get_mut(field::FIXED_LEN..).unwrap_or_default();
        for (to, gap) in room.as_chunks_mut::<{ field::GAP_SIZE }>().0.iter_mut().zip(self.gaps()) {
            let _ = field::GAP_BLOCK.set(to, gap.block);
            let _ = field::GAP_LEN.set(to, gap.len);
        }
        let len = field::FIXED_LEN.saturating_add(self.count.saturating_mul(field::GAP_SIZE));
        out.get(..len).unwrap_or_default()
    }
}

/// How far an installation has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes from the slot's start that are written for good, whole sectors.
    pub written: u32,
    /// In place: how many sectors of the base have been moved.
    pub moves: u16,
    /// In place: the application wants the base to be replaced.
    pub is_wanted: bool,
    /// In place: whether the decoder's state lies in the second bank.
    pub in_second_bank: bool,
    /// In place: CRC-32 of the decoder's state.
    pub state_crc: u32,
}

const WANTED: u8 = 1;
const SECOND_BANK: u8 = 2;

impl Progress {
    /// Length in bytes.
    pub const LEN: usize = field::PROGRESS_LEN;

    /// Parses a payload.
    ///
    /// # Errors
    /// [`FormatError::Truncated`] or [`FormatError::UnknownCode`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let (bits, zero) = (field::BITS.get(bytes)?, field::ZERO.get(bytes)?);
        if bits & !(WANTED | SECOND_BANK) != 0 || zero != 0 {
            return Err(FormatError::UnknownCode { field: Part::Progress });
        }
        Ok(Self {
            written: field::WRITTEN.get(bytes)?,
            moves: field::MOVES.get(bytes)?,
            is_wanted: bits & WANTED != 0,
            in_second_bank: bits & SECOND_BANK != 0,
            state_crc: field::STATE_CRC.get(bytes)?,
        })
    }

    /// Emits the payload.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        let wanted = if self.is_wanted { WANTED } else { 0 };
        let bank = if self.in_second_bank { SECOND_BANK } else { 0 };
        let mut out = [0; Self::LEN];
        // The fields lie within an array of their own length.
        let _ = field::WRITTEN.set(&mut out, self.written);
        let _ = field::MOVES.set(&mut out, self.moves);
        let _ = field::BITS.set(&mut out, wanted | bank);
        let _ = field::STATE_CRC.set(&mut out, self.state_crc);
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parse_undoes_emit(steps in proptest::collection::vec((0..3u32, 0..9u32), 0..30)) {
            let mut state = Staging { next: 256, erased: 4096, ..Staging::default() };
            let mut skipped = 0;
            for (blocks, gap) in steps {
                state.complete += blocks;
                if state.skip(gap) {
                    skipped += gap;
                } else {
                    prop_assert_eq!(state.gaps().len(), MAX_GAPS);
                }
                prop_assert_eq!(Staging::parse(state.emit(&mut [0; Staging::MAX_LEN])), Ok(state));
            }
            let sum: u32 = (0..=state.complete).map(|block| state.gap_before(block)).sum();
            prop_assert_eq!((sum, state.next), (skipped, 256 + skipped));
            let progress = Progress {
                written: skipped,
                moves: 7,
                is_wanted: skipped % 2 == 0,
                in_second_bank: skipped % 3 == 0,
                state_crc: skipped << 20,
            };
            prop_assert_eq!(Progress::parse(&progress.emit()), Ok(progress));
        }
    }
}
