//! How far addresses have moved: a piecewise-constant function of the old offset, sent in front of everything else.

/// From this old offset on, targets have moved by this much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) from: u32,
    pub(super) shift: i32,
}

/// The entries in use, in rising order of their offsets.
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

    /// How far this old offset has moved.
    pub(super) fn shift(&self, offset: u32) -> i64 {
        let index = self.used().partition_point(|entry| entry.from <= offset);
        let entry = index.checked_sub(1).and_then(|index| self.used().get(index));
        entry.map_or(0, |entry| entry.shift.into())
    }

    /// The old offset that has moved here, if there is one: the first interval that says so.
    pub(super) fn source_of(&self, new: u32, base_size: u32) -> Option<u32> {
        let ends = self.used().iter().skip(1).map(|entry| entry.from).chain([base_size]);
        self.used().iter().zip(ends).find_map(|(entry, end)| {
            let old = u32::try_from(i64::from(new) - i64::from(entry.shift)).ok()?;
            (entry.from..end).contains(&old).then_some(old)
        })
    }
}
