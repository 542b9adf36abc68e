//! How words of data have changed: addresses, variables and small numbers.
//!
//! Several guesses stand side by side: as it was, as the map says, as its like changed the last time, as the word two
//! columns back did. Which one counts is what has been right for words of this kind.

use super::isa::Form;
use super::predict::{Moved, pass_moved};
use crate::state::Passing;

/// Guesses at a word.
const GUESSES: usize = 4;

/// Kinds of words: pointers, variables, and small numbers of four sizes, by their two lowest bits.
const KINDS: usize = 6 * 4;

/// How right each guess has been, by kind of word.
#[derive(Clone, Debug)]
pub(super) struct Scores([[u16; GUESSES]; KINDS]);

impl Scores {
    /// All zeros; [`Words::new`] comes before use.
    pub(super) const EMPTY: Self = Self([[0; GUESSES]; KINDS]);
}

/// What is known of how words have changed.
pub(super) struct Words<'a> {
    scores: &'a mut Scores,
    /// Old word and its change.
    exact: &'a mut [Moved],
    /// Old words in a range of 64, and the last change there.
    near: &'a mut [Moved],
    /// The last change of a variable.
    last_of_ram: i32,
    /// The last changes of words at even and at odd places.
    columns: [i32; 2],
}

impl<'a> Words<'a> {
    /// Nothing known yet, with room in these cells: three times a power of two.
    pub(super) fn new(scores: &'a mut Scores, cells: &'a mut [Moved]) -> Self {
        const LIKELY: u16 = 600;
        let kinds_of_addresses = 2 * 4;
        scores.0.fill([LIKELY, 0, 0, 0]);
        for score in scores.0.iter_mut().take(kinds_of_addresses) {
            *score = [0, LIKELY, 0, 0];
        }
        let (exact, near) = cells.split_at_mut(cells.len() / 3);
        Self { scores, exact, near, last_of_ram: 0, columns: [0; 2] }
    }

    pub(super) const STATE_BYTES: usize = 3 * 4;

    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        let Self { scores, exact, near, last_of_ram, columns } = self;
        scores.0.as_flattened_mut().iter_mut().for_each(|score| state.u16(score));
        pass_moved(exact, state);
        pass_moved(near, state);
        state.i32(last_of_ram);
        columns.iter_mut().for_each(|change| state.i32(change));
    }

    /// The best guess at what an old word has become; `mapped` is what the map says, `place` where it stands now.
    pub(super) fn guess(&self, form: Form, old: u32, mapped: u32, place: u32) -> u32 {
        let guesses = self.guesses(form, old, mapped, place);
        let scores = super::peek(&self.scores.0, kind(form, old));
        let (mut best, mut best_score) = (old, 0);
        for (guess, score) in guesses.iter().zip(&scores) {
            if *score > best_score {
                (best, best_score) = (*guess, *score);
            }
        }
        best
    }

    /// Learns what an old word has become.
    pub(super) fn learn(&mut self, form: Form, old: u32, mapped: u32, place: u32, new: u32) {
        let guesses = self.guesses(form, old, mapped, place);
        for (score, guess) in
            super::pick(&mut self.scores.0, kind(form, old)).iter_mut().zip(&guesses)
        {
            *score -= *score >> 4;
            *score += if *guess == new { 256 } else { 0 };
        }
        let change = new.wrapping_sub(old).cast_signed();
        *super::pick(&mut self.columns, column(place)) = change;
        if form == Form::RamPointer {
            self.last_of_ram = change;
        }
        if change.unsigned_abs() < 0x1_0000 && (mapped != new || form != Form::Pointer) {
            if let Some(entry) = super::fold(self.exact, hash(old)) {
                *entry = (old, change);
            }
            if let Some(entry) = super::fold(self.near, (old >> 6) as usize) {
                *entry = (old >> 6, change);
            }
        }
    }

    fn guesses(&self, form: Form, old: u32, mapped: u32, place: u32) -> [u32; GUESSES] {
        let nothing = (u32::MAX, 0);
        let exact = super::folded(self.exact, hash(old)).unwrap_or(nothing);
        let near = super::folded(self.near, (old >> 6) as usize).unwrap_or(nothing);
        let change = if exact.0 == old {
            exact.1
        } else if near.0 == old >> 6 {
            near.1
        } else if form == Form::RamPointer {
            self.last_of_ram
        } else {
            0
        };
        let column = super::peek(&self.columns, column(place));
        [old, mapped, old.wrapping_add_signed(change), old.wrapping_add_signed(column)]
    }
}

fn kind(form: Form, old: u32) -> usize {
    let class = match form {
        Form::Pointer => 0,
        Form::RamPointer => 1,
        _ if old < 0x100 => 2,
        _ if old < 0x1000 => 3,
        _ if old < 0x1_0000 => 4,
        _ => 5,
    };
    class * 4 + (old & 3) as usize
}

fn column(place: u32) -> usize {
    (place >> 2 & 1) as usize
}

fn hash(old: u32) -> usize {
    (old.wrapping_mul(0x9e37_79b1) >> 8) as usize
}
