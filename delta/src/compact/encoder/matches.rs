//! The matches at one place of the target that are worth a jump: the longest ones, and the nearest one.

use alloc::vec::Vec;

/// Bytes of the target that also stand at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) len: u32,
    /// How far its diagonal is from the last one.
    pub(super) off: u32,
    pub(super) place: u32,
}

// Both images have 16 MiB at most, so a place is below 2^25, and no diagonal is 2^27 from another.
const LEN_BITS: u32 = 11;
const OFF_BITS: u32 = 27;
const PLACE_BITS: u32 = 26;
const _: () = assert!(LEN_BITS + OFF_BITS + PLACE_BITS == u64::BITS);

fn field(number: u32, bits: u32) -> u64 {
    u64::from(number.min((1 << bits) - 1))
}

fn number(key: u64, bits: u32) -> u32 {
    u32::try_from(key & ((1 << bits) - 1)).unwrap_or(0)
}

impl Match {
    /// A number that is less for a longer match, of those of one length for a nearer one, and of those for an earlier one.
    fn long_first(self) -> u64 {
        let (len, off) = (field(self.len, LEN_BITS), field(self.off, OFF_BITS));
        let short = field(u32::MAX, LEN_BITS) - len;
        (short << OFF_BITS | off) << PLACE_BITS | field(self.place, PLACE_BITS)
    }

    fn of_long_first(key: u64) -> Self {
        let len = number(!(key >> (OFF_BITS + PLACE_BITS)), LEN_BITS);
        let off = number(key >> PLACE_BITS, OFF_BITS);
        Self { len, off, place: number(key, PLACE_BITS) }
    }
}

/// Collects matches as numbers: there are many, and few are kept.
pub(super) struct Matches {
    most: usize,
    long_first: Vec<u64>,
    nearest: Option<Match>,
}

impl Matches {
    /// A match that is further away is not near.
    const NEAR: u32 = 4096;

    /// Keeps so many matches besides the nearest one.
    pub(super) fn new(most: usize) -> Self {
        Self { most, long_first: Vec::new(), nearest: None }
    }

    pub(super) fn clear(&mut self) {
        self.long_first.clear();
        self.nearest = None;
    }

    pub(super) fn push(&mut self, one: Match) {
        let key = one.long_first();
        self.long_first.push(key);
        let limit = self.nearest.map_or(Self::NEAR - 1, |known| known.off);
        let is_nearer = |known: Match| (one.off, key) < (known.off, known.long_first());
        if one.off <= limit && self.nearest.is_none_or(is_nearer) {
            self.nearest = Some(one);
        }
    }

    /// The longest ones in order, and the nearest one behind them, be it among them or not.
    pub(super) fn best(&mut self) -> impl Iterator<Item = Match> + '_ {
        if self.long_first.len() > self.most {
            self.long_first.select_nth_unstable(self.most);
            self.long_first.truncate(self.most);
        }
        self.long_first.sort_unstable();
        self.long_first.iter().map(|key| Match::of_long_first(*key)).chain(self.nearest)
    }
}

#[cfg(test)]
mod tests {
    use core::cmp::Reverse;

    use super::*;

    #[test]
    fn those_are_kept_that_would_stand_first_if_all_were_sorted() {
        let mut state = 7u32;
        let mut below = |limit: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % limit
        };
        for most in (0..500).map(|round| round % 9) {
            let of = |place: u32, below: &mut dyn FnMut(u32) -> u32| {
                let off = below(16) * (Matches::NEAR / 8);
                Match { len: 400 - below(6), off, place: (1 << 25) - 1 - place }
            };
            let mut all: Vec<Match> = (0..below(40)).map(|place| of(place, &mut below)).collect();
            let mut matches = Matches::new(most);
            all.iter().for_each(|one| matches.push(*one));
            all.sort_by_key(|one| (Reverse(one.len), one.off, one.place));
            let nearest = all.iter().min_by_key(|one| one.off);
            let nearest = nearest.filter(|one| one.off < Matches::NEAR);
            let expected: Vec<Match> = all.iter().take(most).chain(nearest).copied().collect();
            assert_eq!(matches.best().collect::<Vec<_>>(), expected);
        }
    }
}
