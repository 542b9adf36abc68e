//! How words of data have changed: addresses, variables and small numbers.
//!
//! Several guesses stand side by side: as it was, as the map says, as its like changed the last time, as the word two
//! columns back did. Which one counts is what has been right for words of this kind.

use super::isa::Form;
use super::predict::Moved;
use crate::state::Passing;

/// Guesses at a word.
const GUESSES: usize = 4;

/// Kinds of words: pointers, variables, and small numbers of four sizes, by their two lowest bits.
const KINDS: usize = 6 * 4;

/// How right each guess has been, by kind of word.
#[derive(Clone, Debug)]
pub(super) struct Scores([[u16; GUESSES]; KINDS]);

/// The score of the likely guess before anything has been seen; scores are stored exclusive or'ed with what they begin with,
/// so that zeros are new.
const LIKELY: u16 = 600;

impl Scores {
    /// Nothing has been seen.
    pub(super) const NEW: Self = Self([[0; GUESSES]; KINDS]);
}

/// What is known of how words have changed, in tables whose size does not depend on the memory class.
#[derive(Clone, Debug)]
pub(super) struct Words {
    scores: Scores,
    /// The last changes of words at even and at odd places.
    columns: [i32; 2],
}

/// What has been seen of one word in each of some tables.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    /// An old target and its shift, where the map is wrong.
    pub(super) target: Moved,
    /// An old word and its change.
    exact: Moved,
}

impl Cell {
    pub(super) const NEW: Self = Self { target: (0, 0), exact: (0, 0) };

    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        for (what, shift) in [&mut self.target, &mut self.exact] {
            state.u32(what);
            state.i32(shift);
        }
    }
}

/// A word of the base whose copy is at hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pub(super) form: Form,
    pub(super) old: u32,
    /// What the map says that it has become.
    pub(super) mapped: u32,
    /// Where it stands now.
    pub(super) place: u32,
}

impl Word {
    /// The score of a guess before anything has been seen: addresses move as the map says, other words do not.
    fn likely(&self, guess: usize) -> u16 {
        if guess == usize::from(self.form != Form::Value) { LIKELY } else { 0 }
    }

    fn kind(&self) -> usize {
        let class = match self.form {
            Form::Pointer => 0,
            Form::RamPointer => 1,
            _ if self.old < 0x100 => 2,
            _ if self.old < 0x1000 => 3,
            _ if self.old < 0x1_0000 => 4,
            _ => 5,
        };
        class * 4 + (self.old & 3) as usize
    }

    fn column(&self) -> usize {
        (self.place >> 2 & 1) as usize
    }
}

impl Words {
    pub(super) const NEW: Self = Self { scores: Scores::NEW, columns: [0; 2] };

    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        self.scores.0.as_flattened_mut().iter_mut().for_each(|score| state.u16(score));
        self.columns.iter_mut().for_each(|change| state.i32(change));
    }

    /// The best guess at what a word has become.
    pub(super) fn guess(&self, cells: &[Cell], word: &Word) -> u32 {
        let guesses = self.guesses(cells, word);
        let scores = super::peek(&self.scores.0, word.kind());
        let (mut best, mut best_score) = (word.old, 0);
        for ((index, guess), score) in guesses.iter().enumerate().zip(scores) {
            let score = score ^ word.likely(index);
            if score > best_score {
                (best, best_score) = (*guess, score);
            }
        }
        best
    }

    /// Learns what a word has become.
    pub(super) fn learn(&mut self, cells: &mut [Cell], word: &Word, new: u32) {
        let guesses = self.guesses(cells, word);
        let scores = super::pick(&mut self.scores.0, word.kind());
        for ((index, guess), stored) in guesses.iter().enumerate().zip(scores) {
            let likely = word.likely(index);
            let score = *stored ^ likely;
            let right = if *guess == new { 256 } else { 0 };
            *stored = (score - (score >> 4) + right) ^ likely;
        }
        let Word { form, old, mapped, .. } = *word;
        let change = new.wrapping_sub(old).cast_signed();
        *super::pick(&mut self.columns, word.column()) = change;
        if change.unsigned_abs() < 0x1_0000
            && (mapped != new || form != Form::Pointer)
            && let Some(cell) = super::fold(cells, hash(old))
        {
            cell.exact = (old, change);
        }
    }

    fn guesses(&self, cells: &[Cell], word: &Word) -> [u32; GUESSES] {
        let Word { old, mapped, .. } = *word;
        let known = super::folded(cells, hash(old)).unwrap_or(Cell::NEW).exact;
        let change = if known.0 == old { known.1 } else { 0 };
        let column = super::peek(&self.columns, word.column());
        [old, mapped, old.wrapping_add_signed(change), old.wrapping_add_signed(column)]
    }
}

/// Spreads an old word or target over a table.
pub(super) fn hash(old: u32) -> usize {
    (old.wrapping_mul(0x9e37_79b1) >> 8) as usize
}
