//! How far addresses have moved: a piecewise-constant function of the old offset, sent in front of everything else.

/// From this old offset on, targets have moved by this much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) from: u32,
    pub(super) shift: i32,
}

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
        let packed = Self { from: [a, b, c], shift: [d, e, f] };
        (packed.entry() == entry).then_some(packed)
    }

    fn from(self) -> u32 {
        let [a, b, c] = self.from;
        u32::from_le_bytes([a, b, c, 0])
    }

    fn shift(self) -> i32 {
        let [a, b, c] = self.shift;
        i32::from_le_bytes([0, a, b, c]) >> 8
    }

    fn entry(self) -> Entry {
        Entry { from: self.from(), shift: self.shift() }
    }
}

/// The entries in use, in rising order of their offsets.
pub(super) struct AddressMap<'a> {
    entries: &'a mut [PackedEntry],
    used: usize,
}

impl<'a> AddressMap<'a> {
    pub(super) fn new(entries: &'a mut [PackedEntry]) -> Self {
        Self { entries, used: 0 }
    }

    /// How many entries there is room for.
    pub(super) fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// Appends an entry; false if there is no room, it does not rise, or a number in it is too large.
    pub(super) fn push(&mut self, entry: Entry) -> bool {
        let rises = self.last().is_none_or(|last| entry.from > last.from);
        match (self.entries.get_mut(self.used), PackedEntry::new(entry)) {
            (Some(room), Some(packed)) if rises => {
                *room = packed;
                self.used += 1;
                true
            }
            _ => false,
        }
    }

    pub(super) fn last(&self) -> Option<Entry> {
        self.used().last().map(|last| last.entry())
    }

    fn used(&self) -> &[PackedEntry] {
        self.entries.get(..self.used).unwrap_or_default()
    }

    /// How far this old offset has moved.
    pub(super) fn shift(&self, offset: u32) -> i64 {
        let index = self.used().partition_point(|entry| entry.from() <= offset);
        let entry = index.checked_sub(1).and_then(|index| self.used().get(index));
        entry.map_or(0, |entry| entry.shift().into())
    }

    /// The old offset that has moved here, if there is one: the first interval that says so.
    pub(super) fn source_of(&self, new: u32, base_size: u32) -> Option<u32> {
        let ends = self.used().iter().skip(1).map(|entry| entry.from()).chain([base_size]);
        self.used().iter().zip(ends).find_map(|(entry, end)| {
            let old = u32::try_from(i64::from(new) - i64::from(entry.shift())).ok()?;
            (entry.from()..end).contains(&old).then_some(old)
        })
    }
}
