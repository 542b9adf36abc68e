//! Tells which unit each byte of the base is part of, by sweeping over its instructions.
//!
//! What stands at a place depends on where instructions begin, and on what registers hold. So that a decoder can begin
//! anywhere, both are told afresh for each stretch of the base: a sweep begins some way in front of it
//! ([`InstructionSet::sweep_bytes`](super::isa::InstructionSet)). What a byte is part of is thus a function of the base alone, as far
//! as it is not gone.

use super::isa::{self, Bytes, Form, LastHigh, References};

/// Bytes whose units are held at once.
const BLOCK: u32 = 16;

/// A unit of the block in front that reaches into this one begins at most this far in front of it.
const UNDERHANG: u32 = 4;

/// Places where units begin that are held.
const PLACES: usize = (UNDERHANG + BLOCK) as usize;

/// What a byte is part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) form: Form,
    /// How far behind the start of its unit.
    pub(super) index: u8,
    /// How far behind this unit the other half of a pair lies.
    pub(super) distance: i16,
}

/// The units of one block, and where the sweep goes on.
///
/// Places are counted from [`UNDERHANG`] bytes in front of the block.
#[derive(Clone, Debug)]
pub(super) struct Sweep {
    /// One bit for each place where a unit begins.
    starts: u32,
    /// Those of units that are more than plain bytes.
    marked: u32,
    /// The forms of those that are marked.
    forms: [Form; PLACES],
    /// How far behind the other halves of their pairs lie; pairs begin at even offsets.
    distances: [i16; PLACES / 2],
    /// Offset of the block; no multiple of [`BLOCK`] while nothing is held.
    block: u32,
    /// The stretch that the sweep is in.
    stretch: u32,
    /// Where the next unit begins.
    at: u32,
    last: LastHigh,
}

impl Sweep {
    /// Holds nothing.
    pub(super) const EMPTY: Self = Self {
        starts: 0,
        marked: 0,
        forms: [Form::Plain; PLACES],
        distances: [0; PLACES / 2],
        block: 1,
        stretch: 0,
        at: 0,
        last: [None; 32],
    };

    /// What the byte at an offset of the base is part of.
    pub(super) fn cell<B: Bytes>(
        &mut self,
        references: &References,
        bytes: &mut B,
        offset: u32,
    ) -> Result<Cell, B::Error> {
        let place = self.place(references, bytes, offset)?;
        // The last start in front of it or at it.
        let index = (self.starts << (31 - place)).leading_zeros();
        let Some(start) = place.checked_sub(index).filter(|_| index < UNDERHANG) else {
            return Ok(Cell::default());
        };
        let index = u8::try_from(index).unwrap_or(0);
        if self.marked >> start & 1 == 0 {
            return Ok(Cell { index, ..Cell::default() });
        }
        let form = super::peek(&self.forms, start as usize);
        let distance = super::peek(&self.distances, start as usize / 2);
        Ok(Cell { form, index, distance })
    }

    /// How many bytes from an offset on are part of nothing, up to `limit` and as far as they are held.
    pub(super) fn plain_run<B: Bytes>(
        &mut self,
        references: &References,
        bytes: &mut B,
        offset: u32,
        limit: u32,
    ) -> Result<u32, B::Error> {
        if self.cell(references, bytes, offset)?.form != Form::Plain {
            return Ok(0);
        }
        let place = offset - self.block + UNDERHANG;
        let next = (self.marked >> place).trailing_zeros();
        Ok(next.min(UNDERHANG + BLOCK - place).min(limit))
    }

    /// The place of an offset, whose block is swept if it is another one than that at hand.
    fn place<B: Bytes>(
        &mut self,
        references: &References,
        bytes: &mut B,
        offset: u32,
    ) -> Result<u32, B::Error> {
        let block = offset & !(BLOCK - 1);
        if self.block != block {
            // Half-done blocks must not be taken for whole ones if a read fails.
            let before = core::mem::replace(&mut self.block, 1);
            self.sweep(references, bytes, block, before)?;
            self.block = block;
        }
        Ok(offset - block + UNDERHANG)
    }

    fn sweep<B: Bytes>(
        &mut self,
        references: &References,
        bytes: &mut B,
        block: u32,
        before: u32,
    ) -> Result<(), B::Error> {
        let (ahead, stretch_len) = references.set.sweep_bytes();
        let stretch = block & !(stretch_len - 1);
        // A sweep goes on within its stretch, and need not stop at each block.
        let goes_on = stretch == self.stretch && before.is_multiple_of(BLOCK) && before < block;
        if goes_on && before + BLOCK == block {
            self.keep_the_end();
        } else {
            (self.starts, self.marked) = (0, 0);
        }
        if !goes_on {
            self.at = stretch.saturating_sub(ahead);
            self.stretch = stretch;
            self.last = [None; 32];
        }
        let mut piece = references.base.piece_at(self.at);
        while self.at < block + BLOCK {
            let (_, end) = piece;
            if self.at >= end {
                let next = references.base.piece_at(self.at);
                if next == piece {
                    break;
                }
                piece = next;
                self.last = [None; 32];
                continue;
            }
            let step = if piece.0.is_code {
                isa::step_code(references, bytes, self.at, end, &mut self.last)?
            } else {
                isa::step_data(references, bytes, self.at)?
            };
            // What would reach over the end of its piece is nothing.
            let left = end - self.at;
            let form = if step.len > left { Form::Plain } else { step.form };
            self.note(block, form, step.distance);
            self.at += step.len.min(left);
        }
        Ok(())
    }

    /// Moves what reaches into the next block to its front. (Loops: `copy_within` would bring `memmove` along.)
    fn keep_the_end(&mut self) {
        self.starts >>= BLOCK;
        self.marked >>= BLOCK;
        for at in 0..UNDERHANG as usize {
            let (form, distance) = (at + BLOCK as usize, at / 2 + BLOCK as usize / 2);
            *super::pick(&mut self.forms, at) = super::peek(&self.forms, form);
            *super::pick(&mut self.distances, at / 2) = super::peek(&self.distances, distance);
        }
    }

    /// Notes the unit at the place of the sweep, if that is held.
    fn note(&mut self, block: u32, form: Form, distance: i16) {
        let Some(place) = (self.at + UNDERHANG).checked_sub(block) else { return };
        self.starts |= 1 << place;
        if form != Form::Plain {
            self.marked |= 1 << place;
            *super::pick(&mut self.forms, place as usize) = form;
            *super::pick(&mut self.distances, place as usize / 2) = distance;
        }
    }
}
