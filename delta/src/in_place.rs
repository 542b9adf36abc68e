//! Updates in place: the target takes the room of the base, sector by sector.
//!
//! The base is moved up first. Then the target is written from the front, and of the base only what no sector written so
//! far, nor the one at hand, has taken the room of can be read:
//!
//! ```text
//! before      | base ········································ | spare    |
//! moved       |          | base ········································ |
//! in sector k | target ······ | k |     | base from `gone_bytes` on ···· |
//! ```
//!
//! The sector at hand counts as taken from its beginning: after a loss of power it is made once more.

/// How a target takes the room of its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InPlace {
    sector_log2: u8,
    moved_sectors: u32,
}

impl InPlace {
    /// The smallest sectors, in bytes.
    pub const MIN_SECTOR_BYTES: u32 = 64;

    /// Sectors of so many bytes, the base moved up by so many of them; `None` if a sector's size is no power of two, or too
    /// small or large a one.
    #[must_use]
    pub const fn new(sector_bytes: u32, moved_sectors: u32) -> Option<Self> {
        const MAX_SECTOR_BYTES: u32 = 1 << 24;
        let is_known = sector_bytes >= Self::MIN_SECTOR_BYTES && sector_bytes <= MAX_SECTOR_BYTES;
        if !is_known || !sector_bytes.is_power_of_two() {
            return None;
        }
        // At most 24.
        let sector_log2 = sector_bytes.trailing_zeros().to_le_bytes()[0];
        Some(Self { sector_log2, moved_sectors })
    }

    /// A room of as many sectors as the larger image takes, and some to spare; the base is moved to its end.
    ///
    /// Of the base, erased bytes at its end need not be counted: they read as erased wherever they would lie.
    #[must_use]
    pub fn with_spare(
        sector_bytes: u32,
        spare_sectors: u32,
        base_bytes: u32,
        target_bytes: u32,
    ) -> Option<Self> {
        let none_moved = Self::new(sector_bytes, 0)?;
        let [base, target] = [base_bytes, target_bytes].map(|bytes| none_moved.sectors(bytes));
        let growth = target.saturating_sub(base);
        Some(Self { moved_sectors: spare_sectors.checked_add(growth)?, ..none_moved })
    }

    /// Size of a sector.
    #[must_use]
    pub const fn sector_bytes(self) -> u32 {
        1 << self.sector_log2
    }

    /// How many sectors the base is moved up by.
    #[must_use]
    pub const fn moved_sectors(self) -> u32 {
        self.moved_sectors
    }

    /// How many sectors the images take, and the room that the base is moved in.
    #[must_use]
    pub fn room_sectors(self, base_bytes: u32, target_bytes: u32) -> u32 {
        let base = self.sectors(base_bytes).saturating_add(self.moved_sectors);
        base.max(self.sectors(target_bytes))
    }

    /// How many bytes of the base, from its beginning, cannot be read while the target byte at this offset is made.
    #[must_use]
    pub const fn gone_bytes(self, target_offset: u32) -> u32 {
        let taken = (target_offset >> self.sector_log2).saturating_add(1);
        taken.saturating_sub(self.moved_sectors).saturating_mul(self.sector_bytes())
    }

    fn sectors(self, bytes: u32) -> u32 {
        bytes.div_ceil(self.sector_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::InPlace;

    #[test]
    fn a_sector_takes_the_room_of_the_base_that_was_moved_in_front_of_it() {
        let two = InPlace::new(4096, 2).unwrap();
        let gone = [0, 4095, 4096, 8191, 8192, 12288].map(|offset| two.gone_bytes(offset));
        assert_eq!(gone, [0, 0, 0, 0, 4096, 8192]);
        assert_eq!(InPlace::new(4096, 0).unwrap().gone_bytes(0), 4096);
        assert_eq!(InPlace::new(1 << 24, 0).unwrap().gone_bytes(u32::MAX), u32::MAX);
        assert_eq!([32, 4095, 1 << 25].map(|bytes| InPlace::new(bytes, 1)), [None; 3]);
    }

    #[test]
    fn a_base_is_moved_by_what_is_spare_and_by_what_the_target_grows() {
        let moved = |base, target| {
            let found = InPlace::with_spare(4096, 2, base, target).unwrap();
            (found.moved_sectors(), found.room_sectors(base, target))
        };
        assert_eq!(moved(40_000, 40_960), (2, 12));
        assert_eq!(moved(40_000, 40_961), (3, 13));
        assert_eq!(moved(40_961, 100), (2, 13));
        assert_eq!(moved(0, 5000), (4, 4));
    }
}
