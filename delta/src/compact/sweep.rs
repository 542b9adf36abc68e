//! Tells which unit each byte of the base is part of, by sweeping over its instructions.
//!
//! What stands at a place depends on where instructions begin, and on what registers hold. So that a decoder can begin
//! anywhere, both are told afresh for each stretch of the base: a sweep begins some way in front of it
//! ([`InstructionSet::sweep_bytes`](super::isa::InstructionSet)). What a byte is part of is thus a function of the base alone, as far
//! as it is not gone.

use super::isa::{self, Bytes, Form, LastHigh, References};

/// Bytes whose units are held at once.
const BLOCK: u32 = 16;

/// A unit reaches at most this far behind the block that it begins in.
const OVERHANG: u32 = 4;

/// Bytes of the block and behind it whose units are held.
const PLACES: usize = (BLOCK + OVERHANG) as usize;

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
#[derive(Clone, Debug)]
pub(super) struct Sweep {
    /// What each byte of the block is part of, and what of those behind it that a unit of the block reaches.
    cells: [Cell; PLACES],
    /// One more than the offset of the block; 0 while nothing is held.
    held: u32,
    /// The stretch that the sweep is in.
    stretch: u32,
    /// Where the next unit begins.
    at: u32,
    last: LastHigh,
}

impl Sweep {
    /// Holds nothing, in zeros.
    pub(super) const EMPTY: Self = Self {
        cells: [Cell { form: Form::Plain, index: 0, distance: 0 }; PLACES],
        held: 0,
        stretch: 0,
        at: 0,
        last: [None; 32],
    };

    /// Forgets what it holds.
    pub(super) fn forget(&mut self) {
        self.held = 0;
    }

    /// What the byte at an offset of the base is part of.
    pub(super) fn cell(
        &mut self,
        references: &References,
        bytes: &mut impl Bytes,
        offset: u32,
    ) -> Cell {
        let block = offset & !(BLOCK - 1);
        if self.held != block + 1 {
            self.sweep(references, bytes, block);
            self.held = block + 1;
        }
        super::peek(&self.cells, (offset - block) as usize)
    }

    fn sweep(&mut self, references: &References, bytes: &mut impl Bytes, block: u32) {
        let (ahead, stretch_len) = references.set.sweep_bytes();
        let stretch = block & !(stretch_len - 1);
        // A sweep goes on within its stretch, and need not stop at each block.
        let goes_on = stretch == self.stretch && (1..=block).contains(&self.held);
        if goes_on && self.held + BLOCK == block + 1 {
            self.keep_the_end();
        }
        if !goes_on {
            self.at = stretch.saturating_sub(ahead);
            self.stretch = stretch;
            self.last = [None; 32];
        }
        let (mut is_code, mut end) = (false, 0);
        while self.at < block + BLOCK {
            if self.at >= end {
                let piece;
                (piece, end) = references.base.piece_at(self.at);
                is_code = piece.is_code;
                if self.at >= end {
                    break;
                }
            }
            let step = if is_code {
                isa::step_code(references, bytes, self.at, end, &mut self.last)
            } else {
                isa::step_data(references, bytes, self.at)
            };
            // What would reach over the end of its piece is nothing.
            let left = end - self.at;
            let (form, len) =
                if step.len > left { (Form::Plain, left) } else { (step.form, step.len) };
            self.note(block, len, form, step.distance);
            self.at += len;
        }
    }

    /// Moves what reaches into the next block to its front. (A loop: `copy_within` would bring `memmove` along.)
    fn keep_the_end(&mut self) {
        for place in 0..OVERHANG as usize {
            let cell = super::peek(&self.cells, place + BLOCK as usize);
            *super::pick(&mut self.cells, place) = cell;
        }
    }

    /// Notes the unit at the place of the sweep, as far as its bytes are held.
    fn note(&mut self, block: u32, len: u32, form: Form, distance: i16) {
        for (at, index) in (self.at..self.at + len).zip(0..) {
            if let Some(cell) = self.cells.get_mut(at.wrapping_sub(block) as usize) {
                *cell = Cell { form, index, distance };
            }
        }
    }
}
