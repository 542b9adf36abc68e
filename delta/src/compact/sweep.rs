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
    /// One more than the offset of the block; 0 while nothing is held.
    held: u32,
    /// The stretch that the sweep is in.
    stretch: u32,
    /// Where the next unit begins.
    at: u32,
    last: LastHigh,
}

impl Sweep {
    /// Holds nothing.
    pub(super) fn empty() -> Self {
        Self {
            starts: 0,
            marked: 0,
            forms: [Form::Plain; PLACES],
            distances: [0; PLACES / 2],
            held: 0,
            stretch: 0,
            at: 0,
            last: [None; 32],
        }
    }

    /// What the byte at an offset of the base is part of.
    pub(super) fn cell(
        &mut self,
        references: &References,
        bytes: &mut impl Bytes,
        offset: u32,
    ) -> Cell {
        let place = self.place(references, bytes, offset);
        // The last start in front of it or at it.
        let index = (self.starts << (31 - place)).leading_zeros();
        let Some(start) = place.checked_sub(index).filter(|_| index < UNDERHANG) else {
            return Cell::default();
        };
        let index = u8::try_from(index).unwrap_or(0);
        if self.marked >> start & 1 == 0 {
            return Cell { index, ..Cell::default() };
        }
        let form = super::peek(&self.forms, start as usize);
        let distance = super::peek(&self.distances, start as usize / 2);
        Cell { form, index, distance }
    }

    /// The place of an offset, whose block is swept if it is another one than that at hand.
    fn place(&mut self, references: &References, bytes: &mut impl Bytes, offset: u32) -> u32 {
        let block = offset & !(BLOCK - 1);
        if self.held != block + 1 {
            self.sweep(references, bytes, block);
            self.held = block + 1;
        }
        offset - block + UNDERHANG
    }

    fn sweep(&mut self, references: &References, bytes: &mut impl Bytes, block: u32) {
        let (ahead, stretch_len) = references.set.sweep_bytes();
        let stretch = block & !(stretch_len - 1);
        // A sweep goes on within its stretch, and need not stop at each block.
        let goes_on = stretch == self.stretch && (1..=block).contains(&self.held);
        if goes_on && self.held + BLOCK == block + 1 {
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
                isa::step_code(references, bytes, self.at, end, &mut self.last)
            } else {
                isa::step_data(references, bytes, self.at)
            };
            // What would reach over the end of its piece is nothing.
            let left = end - self.at;
            let form = if step.len > left { Form::Plain } else { step.form };
            self.note(block, form, step.distance);
            self.at += step.len.min(left);
        }
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
