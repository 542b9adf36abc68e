//! Updates in place: the target takes the room of the base, sector by sector.
//!
//! The room is divided into seats for a sector each, more of them than the base has sectors. First the base is rearranged
//! in it: what is needed late goes where the target comes late. Then the target is written from the front. Of the base, only
//! the sectors behind the seat at hand can be read:
//!
//! ```text
//! before      | 0 | 1 | 2 | 3 | 4 | 5 |   |   |   sectors of the base
//! rearranged  |   | 4 | 0 |   | 5 | 1 | 2 | 3 |
//! in seat 2   | t | t | T |   | 5 | 1 | 2 | 3 |   the target's third sector is made of t, T and the base's 1, 2, 3 and 5
//! ```
//!
//! The seat at hand counts as taken from its beginning: after a loss of power its sector is made once more.

/// Where the sectors of a base lie while a target takes its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InPlace<'a> {
    sector_log2: u8,
    seats: &'a [u16],
}

impl<'a> InPlace<'a> {
    /// The smallest sectors, in bytes.
    pub const MIN_SECTOR_BYTES: u32 = 64;

    /// Sectors of so many bytes, and the seat of each of the base's; `None` if a sector's size is no power of two, or too
    /// small or large a one.
    #[must_use]
    pub const fn new(sector_bytes: u32, seats: &'a [u16]) -> Option<Self> {
        const MAX_SECTOR_BYTES: u32 = 1 << 24;
        let is_known = sector_bytes >= Self::MIN_SECTOR_BYTES && sector_bytes <= MAX_SECTOR_BYTES;
        if !is_known || !sector_bytes.is_power_of_two() {
            return None;
        }
        // At most 24.
        let [sector_log2, ..] = sector_bytes.trailing_zeros().to_le_bytes();
        Some(Self { sector_log2, seats })
    }

    /// Size of a sector.
    #[must_use]
    pub const fn sector_bytes(self) -> u32 {
        1 << self.sector_log2
    }

    /// The seat of each sector of the base.
    #[must_use]
    pub const fn seats(self) -> &'a [u16] {
        self.seats
    }

    /// Where in the room a byte of the base lies, and how many bytes from it on lie one behind the other.
    #[must_use]
    pub fn place(self, base_offset: u32) -> Option<(u32, u32)> {
        let sector_bytes = self.sector_bytes();
        let seat = self.seats.get(self.sector(base_offset) as usize)?;
        let in_sector = base_offset & sector_bytes.saturating_sub(1);
        let start = u32::from(*seat).checked_mul(sector_bytes)?;
        Some((start.checked_add(in_sector)?, sector_bytes.saturating_sub(in_sector)))
    }

    /// Whether each sector of the base has a seat of its own in a room of so many, and one is left over: what [`Self::moves`]
    /// relies on.
    #[must_use]
    pub fn fits(self, room_sectors: u16) -> bool {
        let mut seats = self.seats;
        while let Some((first, others)) = seats.split_first() {
            if *first >= room_sectors || others.contains(first) {
                return false;
            }
            seats = others;
        }
        self.seats.len() < usize::from(room_sectors)
    }

    /// How a base that lies at the front of a room of so many sectors is rearranged: one sector after the other, each into a
    /// seat that holds nothing which is still needed there. A move that power has cut short can be made again.
    #[must_use]
    pub fn moves(self, room_sectors: u16) -> Moves<'a> {
        let base = u16::try_from(self.seats.len()).unwrap_or(u16::MAX);
        Moves { seats: self.seats, room: room_sectors, next: base, vacant: None, parked: None }
    }

    /// What of the base cannot be read while the target byte at this offset is made.
    #[cfg(feature = "in-place")]
    pub(crate) fn gone(self, target_offset: u32) -> Gone<'a> {
        Gone { in_place: Some(self), seat: self.sector(target_offset) }
    }

    #[cfg(not(feature = "in-place"))]
    pub(crate) fn gone(self, _: u32) -> Gone<'a> {
        Gone::NOTHING
    }

    /// Whether a byte of the base cannot be read while the target byte at an offset is made.
    #[must_use]
    pub fn is_gone(self, base_offset: u32, target_offset: u32) -> bool {
        self.is_taken(base_offset, self.sector(target_offset))
    }

    /// Whether a byte of the base lies in the target's seat at hand or in front of it.
    fn is_taken(self, base_offset: u32, seat: u32) -> bool {
        let taken = self.seats.get(self.sector(base_offset) as usize);
        taken.is_some_and(|taken| u32::from(*taken) <= seat)
    }

    /// The sector that an offset lies in.
    pub(crate) fn sector(self, offset: u32) -> u32 {
        offset >> self.sector_log2
    }
}

/// A sector is copied from one seat to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The seat that holds it.
    pub from: u16,
    /// The seat that it takes.
    pub to: u16,
}

/// The moves that rearrange a base, in order.
///
/// First what goes to seats behind the base, each time followed by what goes to the seat that has become vacant. What is
/// left are circles: one sector of each is parked in a seat that stays vacant.
#[derive(Clone, Debug)]
pub struct Moves<'a> {
    seats: &'a [u16],
    room: u16,
    /// The seat to be filled next where no other one is vacant: those behind the base, then those of the base.
    next: u16,
    vacant: Option<u16>,
    /// The sector that is parked.
    parked: Option<u16>,
}

impl Moves<'_> {
    /// The sector that goes to a seat.
    fn sector_for(&self, seat: u16) -> Option<u16> {
        let sector = self.seats.iter().position(|taken| *taken == seat)?;
        u16::try_from(sector).ok()
    }

    /// Whether sectors go round in a circle, of which this is the first.
    fn begins_circle(&self, first: u16) -> bool {
        let mut seat = first;
        for _ in self.seats {
            match self.seats.get(usize::from(seat)) {
                Some(next) if *next == first => return seat != first,
                Some(next) if *next > first => seat = *next,
                _ => return false,
            }
        }
        false
    }
}

impl Iterator for Moves<'_> {
    type Item = Move;

    fn next(&mut self) -> Option<Move> {
        let base = u16::try_from(self.seats.len()).ok()?;
        let parking = (0..self.room).find(|seat| self.sector_for(*seat).is_none());
        loop {
            if let Some(to) = self.vacant.take()
                && let Some(sector) = self.sector_for(to)
            {
                if self.parked == Some(sector) {
                    self.parked = None;
                    return Some(Move { from: parking?, to });
                }
                self.vacant = Some(sector);
                return Some(Move { from: sector, to });
            }
            let seat = self.next;
            self.next = if seat.checked_add(1)? == self.room { 0 } else { seat.checked_add(1)? };
            if seat >= base && seat < self.room {
                self.vacant = Some(seat);
            } else if seat < base && self.begins_circle(seat) {
                (self.parked, self.vacant) = (Some(seat), Some(seat));
                return Some(Move { from: seat, to: parking? });
            }
            if self.next == base {
                return None;
            }
        }
    }
}

/// What of a base cannot be read any more: nothing, in a build without updates in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone<'a> {
    #[cfg(feature = "in-place")]
    in_place: Option<InPlace<'a>>,
    /// The seat that the target's sector at hand takes.
    #[cfg(feature = "in-place")]
    seat: u32,
    #[cfg(not(feature = "in-place"))]
    seats: core::marker::PhantomData<&'a [u16]>,
}

#[cfg(not(feature = "in-place"))]
impl Gone<'_> {
    pub(crate) const NOTHING: Self = Self { seats: core::marker::PhantomData };

    pub(crate) fn seat(self) -> u32 {
        0
    }

    pub(crate) fn has(self, _: u32) -> bool {
        false
    }

    pub(crate) fn in_sector(self, _: u32) -> u32 {
        4
    }
}

#[cfg(feature = "in-place")]
impl Gone<'_> {
    /// All can be read.
    pub(crate) const NOTHING: Self = Self { in_place: None, seat: 0 };

    /// The seat that the target has reached.
    pub(crate) fn seat(self) -> u32 {
        self.seat
    }

    /// Whether a byte at this offset is gone.
    pub(crate) fn has(self, offset: u32) -> bool {
        self.in_place.is_some_and(|in_place| in_place.is_taken(offset, self.seat))
    }

    /// How many bytes from an offset on, less than four, lie in its sector; four if that has more.
    pub(crate) fn in_sector(self, offset: u32) -> u32 {
        self.in_place.map_or(4, |in_place| {
            let sector_bytes = in_place.sector_bytes();
            sector_bytes.saturating_sub(offset & sector_bytes.saturating_sub(1)).min(4)
        })
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "small numbers")]
mod tests {
    use super::{InPlace, Move};

    #[test]
    fn a_sector_is_gone_once_its_seat_is_taken() {
        let in_place = InPlace::new(4096, &[2, 5, 1]).unwrap();
        let gone =
            |target_offset| [0, 4095, 4096, 8192].map(|at| in_place.is_gone(at, target_offset));
        assert_eq!(gone(4095), [false, false, false, false]);
        assert_eq!(gone(4096), [false, false, false, true]);
        assert_eq!(gone(8192), [true, true, false, true]);
        assert_eq!(gone(5 * 4096), [true; 4]);
        assert!(!in_place.is_gone(3 * 4096, u32::MAX));
        assert_eq!(in_place.place(4100), Some((5 * 4096 + 4, 4092)));
        assert_eq!(in_place.place(3 * 4096), None);
    }

    #[test]
    fn moves_rearrange_a_base_and_overwrite_nothing_that_is_needed() {
        let mut state = 1u32;
        let mut below = |limit: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % limit
        };
        for round in 0..2000 {
            let base = below(12);
            let room = base + 1 + below(4);
            let mut seats: Vec<u16> = (0..room as u16).collect();
            for at in 1..room {
                // Now and then few sectors move.
                if round % 3 > 0 || below(4) == 0 {
                    seats.swap(at, below(at + 1));
                }
            }
            seats.truncate(base);
            let in_place = InPlace::new(64, &seats).unwrap();
            assert!(in_place.fits(room as u16) && !in_place.fits(base as u16));
            let mut held: Vec<Option<usize>> =
                (0..room).map(|seat| (seat < base).then_some(seat)).collect();
            let moves: Vec<_> = in_place.moves(room as u16).collect();
            let moved =
                seats.iter().enumerate().filter(|(sector, seat)| *sector != usize::from(**seat));
            assert!(moves.len() <= moved.count() * 3 / 2, "{seats:?} {moves:?}");
            for Move { from, to } in moves {
                let sector = held[usize::from(from)].expect("a sector");
                assert!(held.iter().filter(|held| **held == Some(sector)).count() == 1);
                let lost = held[usize::from(to)].take();
                assert_eq!(lost, None, "{seats:?}");
                (held[usize::from(from)], held[usize::from(to)]) = (None, Some(sector));
            }
            for (sector, seat) in seats.iter().enumerate() {
                assert_eq!(held[usize::from(*seat)], Some(sector), "{seats:?}");
            }
        }
    }

    #[test]
    fn sectors_are_powers_of_two() {
        assert_eq!([32, 4095, 1 << 25].map(|bytes| InPlace::new(bytes, &[])), [None; 3]);
        assert_eq!(InPlace::new(256, &[]).unwrap().sector_bytes(), 256);
    }
}
