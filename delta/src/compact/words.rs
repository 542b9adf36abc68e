//! How words of data have changed: addresses, variables and small numbers.
//!
//! Several guesses stand side by side: as it was, as the map says, as its like changed the last time, as the word two
//! columns back did. Which one counts is what has been right for words of this kind.

use super::isa::Form;
use super::predict::Moved;

/// Guesses at a word.
const GUESSES: usize = 4;

/// Kinds of words: pointers, variables, and small numbers of four sizes, by their two lowest bits.
const KINDS: usize = 6 * 4;

/// The first kinds are those of addresses.
const ADDRESSES: usize = 2 * 4;

/// How right each guess has been, by kind of word.
#[derive(Clone, Debug)]
pub(super) struct Scores([[u16; GUESSES]; KINDS]);

/// The score of the guess that is likely before anything has been seen.
const LIKELY: u16 = 600;

impl Scores {
    /// Nothing has been seen.
    pub(super) const NEW: Self = Self([[0; GUESSES]; KINDS]);

    fn of(&self, kind: usize) -> [u16; GUESSES] {
        with_likely(kind, super::peek(&self.0, kind))
    }

    fn set(&mut self, kind: usize, scores: [u16; GUESSES]) {
        *super::pick(&mut self.0, kind) = with_likely(kind, scores);
    }
}

/// Scores as they are stored, and back: the likely one so that zero stands for [`LIKELY`].
fn with_likely(kind: usize, scores: [u16; GUESSES]) -> [u16; GUESSES] {
    let [as_it_was, as_mapped, like, column] = scores;
    if kind < ADDRESSES {
        [as_it_was, as_mapped ^ LIKELY, like, column]
    } else {
        [as_it_was ^ LIKELY, as_mapped, like, column]
    }
}

/// What is known of how words have changed, in tables whose size does not depend on the memory class.
#[derive(Clone, Debug)]
pub(super) struct Words {
    scores: Scores,
    /// The last change of a variable.
    last_of_ram: i32,
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
    /// Old words in a range of 64, and the last change there.
    near: [Moved; 2],
}

impl Cell {
    pub(super) const NEW: Self = Self { target: (0, 0), exact: (0, 0), near: [(0, 0); 2] };
}

impl Words {
    pub(super) const NEW: Self = Self { scores: Scores::NEW, last_of_ram: 0, columns: [0; 2] };

    /// The best guess at what an old word has become; `mapped` is what the map says, `place` where it stands now.
    pub(super) fn guess(
        &self,
        cells: &[Cell],
        form: Form,
        old: u32,
        mapped: u32,
        place: u32,
    ) -> u32 {
        let guesses = self.guesses(cells, form, old, mapped, place);
        let scores = self.scores.of(kind(form, old));
        let (mut best, mut best_score) = (old, 0);
        for (guess, score) in guesses.iter().zip(&scores) {
            if *score > best_score {
                (best, best_score) = (*guess, *score);
            }
        }
        best
    }

    /// Learns what an old word has become.
    pub(super) fn learn(
        &mut self,
        cells: &mut [Cell],
        form: Form,
        old: u32,
        mapped: u32,
        place: u32,
        new: u32,
    ) {
        let guesses = self.guesses(cells, form, old, mapped, place);
        let kind = kind(form, old);
        let mut scores = self.scores.of(kind);
        for (score, guess) in scores.iter_mut().zip(&guesses) {
            *score -= *score >> 4;
            *score += if *guess == new { 256 } else { 0 };
        }
        self.scores.set(kind, scores);
        let change = new.wrapping_sub(old).cast_signed();
        *super::pick(&mut self.columns, column(place)) = change;
        if form == Form::RamPointer {
            self.last_of_ram = change;
        }
        if change.unsigned_abs() < 0x1_0000 && (mapped != new || form != Form::Pointer) {
            super::fold(cells, hash(old)).exact = (old, change);
            let range = old >> 6;
            let near = &mut super::fold(cells, (range >> 1) as usize).near;
            *super::pick(near, range as usize & 1) = (range, change);
        }
    }

    fn guesses(
        &self,
        cells: &[Cell],
        form: Form,
        old: u32,
        mapped: u32,
        place: u32,
    ) -> [u32; GUESSES] {
        let exact = super::folded(cells, hash(old)).unwrap_or(Cell::NEW).exact;
        let range = old >> 6;
        let near = super::folded(cells, (range >> 1) as usize).unwrap_or(Cell::NEW).near;
        let near = super::peek(&near, range as usize & 1);
        let change = if exact.0 == old {
            exact.1
        } else if near.0 == range {
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

/// Spreads an old word or target over a table.
pub(super) fn hash(old: u32) -> usize {
    (old.wrapping_mul(0x9e37_79b1) >> 8) as usize
}
