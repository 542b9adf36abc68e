//! How far addresses have moved: a piecewise-constant function of the old address, sent in front of everything else.

use super::isa::References;
#[cfg(feature = "encode")]
use alloc::{vec, vec::Vec};

/// From this old address on, targets have moved by this much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) from: u32,
    pub(super) shift: i32,
}

/// Entries around the place of an address that are looked at for one that has moved there.
const NEIGHBOURS: usize = 256;

/// The entries in use, in rising order of their addresses.
pub(super) struct AddressMap<'a> {
    entries: &'a mut [Entry],
    used: usize,
}

impl<'a> AddressMap<'a> {
    pub(super) fn new(entries: &'a mut [Entry]) -> Self {
        Self { entries, used: 0 }
    }

    /// How many entries there is room for.
    pub(super) fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// Appends an entry; false if there is no room or it does not rise.
    pub(super) fn push(&mut self, entry: Entry) -> bool {
        let rises = self.last().is_none_or(|last| entry.from > last.from);
        match self.entries.get_mut(self.used) {
            Some(room) if rises => {
                *room = entry;
                self.used += 1;
                true
            }
            _ => false,
        }
    }

    pub(super) fn last(&self) -> Option<Entry> {
        self.used().last().copied()
    }

    fn used(&self) -> &[Entry] {
        self.entries.get(..self.used).unwrap_or_default()
    }

    /// How many entries begin at this address or below.
    fn rank(&self, address: u32) -> usize {
        self.used().partition_point(|entry| entry.from <= address)
    }

    /// How far this old address has moved.
    pub(super) fn shift(&self, address: u32) -> i32 {
        let entry = self.rank(address).checked_sub(1).and_then(|index| self.used().get(index));
        entry.map_or(0, |entry| entry.shift)
    }

    /// The offset in the base of what has moved to this offset of the target: of the entries nearest to its address, the
    /// first that says so.
    pub(super) fn source_of(&self, references: &References, n: u32) -> Option<u32> {
        let new = references.target.address(n);
        let near = self.nearest(new);
        for off in 0..NEIGHBOURS {
            for index in [near.wrapping_sub(off), near + off] {
                let Some(entry) = self.used().get(index) else { continue };
                let end = self.used().get(index + 1).map_or(u32::MAX, |next| next.from);
                let old = new.wrapping_sub(entry.shift.cast_unsigned());
                if (entry.from..end).contains(&old)
                    && let Some(offset) = references.base.offset(old)
                {
                    return Some(offset);
                }
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
            let old = references.base.address(offset);
            let Some(index) = self.rank(old).checked_sub(1) else { continue };
            let Some(entry) = self.used().get(index) else { continue };
            let Some(n) = references.target.offset(old.wrapping_add_signed(entry.shift)) else {
                continue;
            };
            let near = self.nearest(references.target.address(n));
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

    /// The entry whose range an address of the target would fall into.
    fn nearest(&self, new: u32) -> usize {
        self.rank(new).min(self.used.saturating_sub(1))
    }
}
