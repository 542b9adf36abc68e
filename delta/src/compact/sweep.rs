//! Tells which unit each byte of the base is part of, by sweeping over its instructions.
//!
//! What stands at a place depends on where instructions begin, and on what registers hold. So that a decoder can begin
//! anywhere, both are told afresh for each stretch of the base: a sweep begins some way in front of it
//! ([`InstructionSet::sweep_bytes`](super::isa::InstructionSet)). What a byte is part of is thus a function of the base alone.

use super::isa::{self, Bytes, Form, LastHigh, References};

/// Bytes whose units are held at once.
const BLOCK: u32 = 32;

/// A unit may reach this far into the next block.
const OVERHANG: u8 = 3;

const CELLS: usize = BLOCK as usize + OVERHANG as usize;

/// A unit of the last block that reaches into this one begins at most this far in front of it.
const UNDERHANG: u32 = 4;

const DISTANCES: usize = (UNDERHANG + BLOCK + UNDERHANG) as usize / 2;

/// A byte that is part of nothing.
const NOTHING: (Form, u8) = (Form::Plain, 0);

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
    /// Form and index of each byte's unit.
    cells: [(Form, u8); CELLS],
    /// How far behind the other halves of pairs lie, by where their units begin: at even offsets from
    /// [`UNDERHANG`] bytes in front of the block on.
    distances: [i16; DISTANCES],
    /// Offset of the first cell; no multiple of [`BLOCK`] while nothing is held.
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
        cells: [NOTHING; CELLS],
        distances: [0; DISTANCES],
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
        let block = offset & !(BLOCK - 1);
        if self.block != block {
            // Half-done blocks must not be taken for whole ones if a read fails.
            let goes_on = self.block.wrapping_add(BLOCK) == block;
            self.block = 1;
            self.sweep(references, bytes, block, goes_on)?;
            self.block = block;
        }
        let (form, index) = super::peek(&self.cells, (offset - block) as usize);
        let start = (offset + UNDERHANG).wrapping_sub(block + u32::from(index));
        let distance = super::peek(&self.distances, start as usize / 2);
        Ok(Cell { form, index, distance })
    }

    /// How many bytes from an offset on are part of nothing, up to `limit` and as far as they are held.
    pub(super) fn plain_run<B: Bytes>(
        &mut self,
        references: &References,
        bytes: &mut B,
        offset: u32,
        limit: usize,
    ) -> Result<usize, B::Error> {
        self.cell(references, bytes, offset)?;
        let held = self.cells.get((offset - self.block) as usize..BLOCK as usize);
        let held = held.unwrap_or_default().iter().take(limit);
        Ok(held.take_while(|(form, _)| *form == Form::Plain).count())
    }

    fn sweep<B: Bytes>(
        &mut self,
        references: &References,
        bytes: &mut B,
        block: u32,
        goes_on: bool,
    ) -> Result<(), B::Error> {
        let (ahead, stretch_len) = references.set.sweep_bytes();
        let stretch = block & !(stretch_len - 1);
        if goes_on && stretch == self.stretch {
            self.keep_the_end();
        } else {
            self.cells.fill(NOTHING);
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
            let len = step.len.min(end - self.at);
            let form = if len < step.form.len().into() { Form::Plain } else { step.form };
            self.note(block, form, step.distance, len);
            self.at += len;
        }
        Ok(())
    }

    /// Moves what reaches into the next block to its front. (Loops: `copy_within` would bring `memmove` along.)
    fn keep_the_end(&mut self) {
        for at in 0..usize::from(OVERHANG) {
            *super::pick(&mut self.cells, at) = super::peek(&self.cells, at + BLOCK as usize);
        }
        for at in 0..UNDERHANG as usize {
            let kept = super::peek(&self.distances, at + BLOCK as usize / 2);
            *super::pick(&mut self.distances, at) = kept;
        }
        self.cells.iter_mut().skip(OVERHANG.into()).for_each(|cell| *cell = NOTHING);
    }

    /// Notes a unit at the place of the sweep, as far as it lies in the cells.
    fn note(&mut self, block: u32, form: Form, distance: i16, len: u32) {
        let start = (self.at + UNDERHANG).checked_sub(block);
        if let Some(room) = start.and_then(|start| self.distances.get_mut(start as usize / 2)) {
            *room = distance;
        }
        for index in (0..=OVERHANG).take(len as usize) {
            let cell = (self.at + u32::from(index)).checked_sub(block);
            if let Some(cell) = cell.and_then(|cell| self.cells.get_mut(cell as usize)) {
                *cell = (form, index);
            }
        }
    }
}
