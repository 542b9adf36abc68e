//! Pieces of an image by their addresses, and the one piece that they make.

use std::fmt;
use std::ops::Range;

use crate::note::Note;

/// Largest image that is put together from pieces, in bytes (64 MiB).
///
/// Formats with addresses are for memory that a microcontroller sees in its address space; windows for external flash end here.
pub const MAX_IMAGE_BYTES: u64 = 64 << 20;

/// Longest gap that is filled, in bytes (1 MiB).
///
/// Linkers leave gaps up to the next erase unit, of which the largest in use has 256 KiB. What lies further apart are different
/// memories, such as option bytes or external flash, and no slot holds both.
pub const MAX_GAP_BYTES: u64 = 1 << 20;

/// Where a piece stands in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of a text file; the first is 1.
    Line(u32),
    /// A block of a UF2 file, counted in the file from 0.
    Block(u32),
    /// A loadable segment of an ELF file, counted among all its program headers from 0.
    Segment(u32),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Block(number) => write!(f, "block {number}"),
            Self::Segment(number) => write!(f, "segment {number}"),
        }
    }
}

/// Pieces that do not make one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// Two pieces want the same byte.
    #[error("{first} and {second} overlap at address {address:#x}")]
    Overlap {
        /// The first address that both want.
        address: u64,
        /// The piece with the lower address.
        first: Place,
        /// The other one.
        second: Place,
    },
    /// Pieces lie too far apart.
    #[error(
        "nothing stands from {from:#x} to {to:#x}: a gap of {} bytes in front of {before}, the limit is {MAX_GAP_BYTES}",
        to.saturating_sub(*from)
    )]
    Gap {
        /// Where the gap begins.
        from: u64,
        /// The first address behind it.
        to: u64,
        /// What stands behind it.
        before: Place,
    },
    /// All pieces together are too much.
    #[error(
        "image from {from:#x} reaches {to:#x} with {by}, {} bytes; the limit is {MAX_IMAGE_BYTES}",
        to.saturating_sub(*from)
    )]
    TooLarge {
        /// Where it begins.
        from: u64,
        /// Where it reaches at least.
        to: u64,
        /// What makes it so large.
        by: Place,
    },
    /// The pieces alone hold more bytes than any image.
    #[error("pieces up to {by} have more than {MAX_IMAGE_BYTES} bytes in all")]
    TooMuch {
        /// Which piece is one too many.
        by: Place,
    },
    /// A piece reaches behind the last address.
    #[error("{0} reaches behind the last address")]
    BehindTheEnd(Place),
    /// There are no pieces at all.
    #[error("no data in it")]
    Nothing,
    /// There are pieces, but none within the range of addresses that was asked for.
    #[error("none of its {outside} bytes lies within the addresses {from:#x} to {to:#x}")]
    NothingInRange {
        /// First address that was asked for.
        from: u64,
        /// The first one behind them.
        to: u64,
        /// Bytes elsewhere.
        outside: u64,
    },
}

/// One piece; its bytes stand with those of all others.
#[derive(Clone, Copy)]
struct Piece {
    address: u64,
    at: u32,
    len: u32,
    place: Place,
}

impl Piece {
    fn end(&self) -> u64 {
        self.address.saturating_add(self.len.into())
    }
}

/// Pieces as they come, in any order.
pub(crate) struct Memory {
    range: Option<Range<u64>>,
    pieces: Vec<Piece>,
    bytes: Vec<u8>,
    outside: u64,
}

/// All pieces as one.
#[derive(Debug)]
pub(crate) struct Flat {
    pub(crate) address: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) notes: Vec<Note>,
}

impl Memory {
    /// Memory of which only this range of addresses is wanted, if there is one.
    pub(crate) fn new(range: Option<Range<u64>>) -> Self {
        Self { range, pieces: Vec::new(), bytes: Vec::new(), outside: 0 }
    }

    /// Puts bytes at an address.
    ///
    /// # Errors
    /// [`MemoryError::BehindTheEnd`], [`MemoryError::TooMuch`].
    pub(crate) fn put(
        &mut self,
        address: u64,
        bytes: &[u8],
        place: Place,
    ) -> Result<(), MemoryError> {
        let end = address.checked_add(bytes.len() as u64);
        let end = end.ok_or(MemoryError::BehindTheEnd(place))?;
        let wanted = self.range.clone().unwrap_or(0..u64::MAX);
        let [from, to] = [wanted.start, wanted.end].map(|bound| bound.clamp(address, end));
        let inside = |at: u64| usize::try_from(at.saturating_sub(address)).ok();
        let part = inside(from).zip(inside(to)).and_then(|(from, to)| bytes.get(from..to));
        let part = part.unwrap_or_default();
        self.outside = self.outside.saturating_add(bytes.len().saturating_sub(part.len()) as u64);
        if part.is_empty() {
            return Ok(());
        }
        let at = u32::try_from(self.bytes.len());
        let len = u32::try_from(part.len());
        let all = self.bytes.len().saturating_add(part.len()) as u64;
        match (at, len) {
            (Ok(at), Ok(len)) if all <= MAX_IMAGE_BYTES => {
                self.bytes.extend_from_slice(part);
                self.pieces.push(Piece { address: from, at, len, place });
                Ok(())
            }
            _ => Err(MemoryError::TooMuch { by: place }),
        }
    }

    /// Makes one piece of all, with `fill` in the gaps.
    ///
    /// # Errors
    /// [`MemoryError`], of the lowest address.
    pub(crate) fn flatten(mut self, fill: u8) -> Result<Flat, MemoryError> {
        self.pieces.sort_by_key(|piece| piece.address);
        let Some(first) = self.pieces.first().copied() else { return Err(self.nothing()) };
        let mut last = first;
        let mut bytes = Vec::new();
        let (mut gaps, mut filled) = (0u32, 0u64);
        for (index, piece) in self.pieces.iter().enumerate() {
            let end = if index == 0 { first.address } else { last.end() };
            if piece.address < end {
                let (address, second) = (piece.address, piece.place);
                return Err(MemoryError::Overlap { address, first: last.place, second });
            }
            let gap = piece.address.saturating_sub(end);
            if gap > MAX_GAP_BYTES {
                return Err(MemoryError::Gap { from: end, to: piece.address, before: piece.place });
            }
            if piece.end().saturating_sub(first.address) > MAX_IMAGE_BYTES {
                let (from, to) = (first.address, piece.end());
                return Err(MemoryError::TooLarge { from, to, by: piece.place });
            }
            gaps = gaps.saturating_add(u32::from(gap > 0));
            filled = filled.saturating_add(gap);
            let gap = usize::try_from(gap).unwrap_or_default();
            bytes.resize(bytes.len().saturating_add(gap), fill);
            bytes.extend_from_slice(self.bytes_of(piece));
            last = *piece;
        }
        let mut notes = Vec::new();
        if gaps > 0 {
            notes.push(Note::GapsFilled { gaps, bytes: filled, fill });
        }
        if self.outside > 0 {
            notes.push(Note::OutsideRange { bytes: self.outside });
        }
        Ok(Flat { address: first.address, bytes, notes })
    }

    fn bytes_of(&self, piece: &Piece) -> &[u8] {
        let from = piece.at as usize;
        self.bytes.get(from..from.saturating_add(piece.len as usize)).unwrap_or_default()
    }

    fn nothing(self) -> MemoryError {
        match self.range {
            Some(Range { start, end }) if self.outside > 0 => {
                MemoryError::NothingInRange { from: start, to: end, outside: self.outside }
            }
            _ => MemoryError::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(pieces: &[(u64, &[u8])], range: Option<Range<u64>>) -> Result<Flat, MemoryError> {
        let mut memory = Memory::new(range);
        for (line, (address, bytes)) in (1..).zip(pieces) {
            memory.put(*address, bytes, Place::Line(line))?;
        }
        memory.flatten(0xff)
    }

    #[test]
    fn pieces_in_any_order_are_one_and_gaps_are_filled() {
        let flat = flat(&[(0x108, &[5, 6]), (0x100, &[1, 2]), (0x102, &[3])], None).unwrap();
        assert_eq!(flat.address, 0x100);
        assert_eq!(flat.bytes, [1, 2, 3, 255, 255, 255, 255, 255, 5, 6]);
        assert_eq!(flat.notes, [Note::GapsFilled { gaps: 1, bytes: 5, fill: 255 }]);
    }

    #[test]
    fn what_overlaps_is_named() {
        let overlap = |pieces: &[(u64, &[u8])]| flat(pieces, None).unwrap_err();
        let error = overlap(&[(4, &[0; 4]), (0, &[0; 5])]);
        let (first, second) = (Place::Line(2), Place::Line(1));
        assert_eq!(error, MemoryError::Overlap { address: 4, first, second });
        assert!(matches!(overlap(&[(0, &[0; 9]), (4, &[0])]), MemoryError::Overlap { .. }));
        assert!(matches!(overlap(&[(4, &[0]), (4, &[0])]), MemoryError::Overlap { .. }));
    }

    #[test]
    fn a_range_cuts_pieces() {
        let pieces: [(u64, &[u8]); 3] = [(0, &[1, 2, 3, 4]), (4, &[5, 6]), (1 << 40, &[7])];
        let part = flat(&pieces, Some(2..5)).unwrap();
        assert_eq!((part.address, &*part.bytes), (2, &[3, 4, 5][..]));
        assert_eq!(part.notes, [Note::OutsideRange { bytes: 4 }]);
        let error = flat(&pieces, Some(10..20)).unwrap_err();
        assert_eq!(error, MemoryError::NothingInRange { from: 10, to: 20, outside: 7 });
        let reversed = Range { start: 5, end: 2 };
        assert!(flat(&pieces, Some(reversed)).is_err());
    }

    #[test]
    fn limits_are_exact() {
        let at = |address: u64| flat(&[(0, &[1]), (address, &[2])], None);
        assert!(at(1 + MAX_GAP_BYTES).is_ok());
        assert!(matches!(at(2 + MAX_GAP_BYTES), Err(MemoryError::Gap { .. })));
        assert_eq!(flat(&[], None).unwrap_err(), MemoryError::Nothing);
        let end = flat(&[(u64::MAX, &[1, 2])], None).unwrap_err();
        assert_eq!(end, MemoryError::BehindTheEnd(Place::Line(1)));
        let mebibyte = vec![0; 1 << 20];
        let every = |step: u64, count: u64| {
            let mut memory = Memory::new(None);
            for n in 0..count {
                memory.put(n * step, &mebibyte, Place::Block(0))?;
            }
            memory.flatten(0)
        };
        assert_eq!(every(1 << 20, 64).unwrap().bytes.len() as u64, MAX_IMAGE_BYTES);
        assert!(matches!(every(1 << 20, 65), Err(MemoryError::TooMuch { .. })));
        assert!(matches!(every(1 << 21, 33), Err(MemoryError::TooLarge { .. })));
    }
}
