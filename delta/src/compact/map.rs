//! How far addresses have moved: a piecewise-constant function of where the old address stands among all known ones
//! ([`References::place_in_base`]), sent in front of everything else.

use super::isa::References;
use super::keep;
use crate::state::Passing;
#[cfg(feature = "encode")]
use alloc::{vec, vec::Vec};

/// From this place on, targets have moved by this much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) from: u32,
    pub(super) shift: i32,
}

/// No entry begins behind this place, and none is expected to do so any further than this.
pub(super) const MAX_FROM: u32 = 1 << 24;

/// An entry in six bytes: neither number needs more than 24 bits in images of up to 16 MiB.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PackedEntry {
    from: [u8; 3],
    shift: [u8; 3],
}

impl PackedEntry {
    pub(super) const ZERO: Self = Self { from: [0; 3], shift: [0; 3] };

    /// `None` if a number is too large.
    pub(super) fn new(entry: Entry) -> Option<Self> {
        let [a, b, c, _] = entry.from.to_le_bytes();
        let [d, e, f, _] = entry.shift.to_le_bytes();
        let fits = entry.from >> 24 == 0 && entry.shift << 8 >> 8 == entry.shift;
        fits.then_some(Self { from: [a, b, c], shift: [d, e, f] })
    }

    fn from(self) -> u32 {
        let [a, b, c] = self.from;
        u32::from_le_bytes([a, b, c, 0])
    }

    fn shift(self) -> i32 {
        let [a, b, c] = self.shift;
        i32::from_le_bytes([0, a, b, c]) >> 8
    }
}

/// Entries around the place of an address that are looked at for one that has moved there.
const NEIGHBOURS: usize = 256;

/// Entries in rising order of their places.
pub(super) struct AddressMap<'a> {
    entries: &'a mut [PackedEntry],
}

impl<'a> AddressMap<'a> {
    pub(super) fn new(entries: &'a mut [PackedEntry]) -> Self {
        Self { entries }
    }

    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        let mut len = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        state.u32(&mut len);
        let kept = self.keep(len as usize);
        state.check(kept.is_some());
        self.entries.iter_mut().for_each(|PackedEntry { from, shift }| {
            state.bytes(from);
            state.bytes(shift);
        });
    }

    /// Has so many entries from now on; `None` if there are fewer.
    pub(super) fn keep(&mut self, entries: usize) -> Option<()> {
        keep(&mut self.entries, entries)
    }

    /// Sets an entry; false if there is none with this number, or a number in it is too large.
    pub(super) fn set(&mut self, index: usize, entry: Entry) -> bool {
        match (self.entries.get_mut(index), PackedEntry::new(entry)) {
            (Some(room), Some(packed)) => {
                *room = packed;
                true
            }
            _ => false,
        }
    }

    /// How many entries begin at this place or in front of it.
    fn rank(&self, place: u32) -> usize {
        // By hand: the search of slices is made for speed, and three times as large.
        let (mut low, mut high) = (0, self.entries.len());
        while low < high {
            let middle = (low + high) / 2;
            match self.entries.get(middle) {
                Some(entry) if entry.from() <= place => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    /// How far what stood at this place has moved.
    pub(super) fn shift(&self, place: u32) -> i32 {
        let entry = self.rank(place).checked_sub(1).and_then(|index| self.entries.get(index));
        entry.map_or(0, |entry| entry.shift())
    }

    /// The offset in the base of what has moved to this offset of the target: of the entries nearest to it, the first that
    /// says so.
    pub(super) fn source_of(&self, references: &References, n: u32) -> Option<u32> {
        let new = references.target.address(n);
        let near = self.nearest(n);
        for step in 0..2 * NEIGHBOURS {
            let off = step / 2;
            let index = if step % 2 == 0 { near.wrapping_sub(off) } else { near + off };
            let Some(entry) = self.entries.get(index) else { continue };
            let old = new.wrapping_sub(entry.shift().cast_unsigned());
            if let Some(offset) = references.base.offset(old)
                && self.rank(offset) == index + 1
            {
                return Some(offset);
            }
        }
        None
    }

    /// [`Self::source_of`] of each offset of a target, found by moving each byte of the base.
    #[cfg(feature = "encode")]
    pub(super) fn sources(
        &self,
        references: &References,
        [base_size, target_size]: [u32; 2],
    ) -> Vec<Option<u32>> {
        let mut best = vec![None::<((usize, bool), u32)>; target_size as usize];
        for offset in 0..base_size {
            let Some(index) = self.rank(offset).checked_sub(1) else { continue };
            let Some(entry) = self.entries.get(index) else { continue };
            let new = references.base.address(offset).wrapping_add_signed(entry.shift());
            let Some(n) = references.target.offset(new) else { continue };
            let near = self.nearest(n);
            // In the order in which neighbours are asked.
            let order = (near.abs_diff(index), index > near);
            if let Some(known) = best.get_mut(n as usize).filter(|_| order.0 < NEIGHBOURS)
                && known.is_none_or(|known| (order, offset) < known)
            {
                *known = Some((order, offset));
            }
        }
        best.into_iter().map(|best| best.map(|(_, offset)| offset)).collect()
    }

    /// The entry whose range an offset of the target would fall into, if it were one of the base.
    fn nearest(&self, n: u32) -> usize {
        self.rank(n).min(self.entries.len().saturating_sub(1))
    }
}
