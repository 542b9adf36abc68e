//! Where the bytes of an image lie in the address space of its processor.
//!
//! An image is cut into pieces. Within a piece, addresses follow each other as offsets do; between two pieces they jump.
//! A raw image is one piece, an image of several segments has one or more for each of them. A piece is code or data,
//! which tells whether instructions are looked for in it.

use crate::state::Passing;

/// Most pieces of one image.
pub(super) const MAX_PIECES: usize = 8;

/// A stretch of an image: up to where the next one begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    /// Offset of its first byte in the image.
    pub(super) start: u32,
    /// Address of its first byte.
    pub(super) address: u32,
    /// Whether instructions are looked for in it.
    pub(super) is_code: bool,
}

/// All pieces of an image, in the order of their offsets; the first one begins at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pieces: [Piece; MAX_PIECES],
    used: usize,
    /// Length of the image in bytes.
    len: u32,
}

impl Layout {
    /// An image of `len` bytes with no pieces yet.
    pub(super) const fn new(len: u32) -> Self {
        const NONE: Piece = Piece { start: 0, address: 0, is_code: false };
        Self { pieces: [NONE; MAX_PIECES], used: 0, len }
    }

    /// Has this length, before it has pieces.
    pub(super) fn begin(&mut self, len: u32) {
        self.len = len;
    }

    /// Most bytes of its state.
    pub(super) const STATE_BYTES: usize = 1 + MAX_PIECES * (4 + 4 + 1);

    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        let mut used = u8::try_from(self.used).unwrap_or(u8::MAX);
        state.small(&mut used, u8::MAX);
        self.used = used.into();
        let mut last = None;
        // In place: a whole layout would be copied by a call of `memcpy`, which is large.
        state.check(self.used <= MAX_PIECES);
        for piece in self.pieces.get_mut(..self.used).unwrap_or_default() {
            state.u32(&mut piece.start);
            state.u32(&mut piece.address);
            state.flag(&mut piece.is_code);
            state.check(Self::follows(last, piece.start, self.len));
            last = Some(piece.start);
        }
    }

    /// Whether a piece may begin there behind one that begins at `last`.
    fn follows(last: Option<u32>, start: u32, len: u32) -> bool {
        match last {
            None => start == 0,
            Some(last) => start > last && start < len,
        }
    }

    /// Appends a piece; false if there is no room, or it does not begin behind the last one and in the image.
    pub(super) fn push(&mut self, piece: Piece) -> bool {
        let last = self.pieces().last().map(|last| last.start);
        let in_order = Self::follows(last, piece.start, self.len);
        match self.pieces.get_mut(self.used) {
            Some(room) if in_order => {
                *room = piece;
                self.used += 1;
                true
            }
            _ => false,
        }
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        self.pieces.get(..self.used).unwrap_or_default()
    }

    /// The same addresses in as few pieces as can be; what is code is not told any more.
    #[cfg(any(feature = "encode", test))]
    pub(super) fn merged(&self) -> Self {
        let mut merged = Self::new(self.len);
        for piece in self.pieces() {
            let goes_on = merged.used > 0 && merged.address(piece.start) == piece.address;
            if !goes_on {
                merged.push(Piece { is_code: false, ..*piece });
            }
        }
        merged
    }

    /// The piece that holds an offset, and where it ends.
    pub(super) fn piece_at(&self, offset: u32) -> (Piece, u32) {
        let mut end = self.len;
        for piece in self.pieces().iter().rev() {
            if piece.start <= offset {
                // Field by field: a whole piece would be copied by a call of `memmove`, which is large.
                let Piece { start, address, is_code } = *piece;
                return (Piece { start, address, is_code }, end);
            }
            end = piece.start;
        }
        (Piece::default(), end)
    }

    /// The address of an offset.
    pub(super) fn address(&self, offset: u32) -> u32 {
        let (piece, _) = self.piece_at(offset);
        piece.address.wrapping_add(offset.wrapping_sub(piece.start))
    }

    /// The first offset whose address this is.
    pub(super) fn offset(&self, address: u32) -> Option<u32> {
        self.find(address, 0)
    }

    /// The first offset whose address this is, in pieces that are taken to be so much longer.
    fn find(&self, address: u32, slack: u32) -> Option<u32> {
        let (mut found, mut end) = (None, self.len);
        for piece in self.pieces().iter().rev() {
            let inside = address.wrapping_sub(piece.address);
            if inside < end - piece.start + slack {
                found = Some(piece.start + inside);
            }
            end = piece.start;
        }
        found
    }

    /// Length of the image in bytes.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// The first offset whose address this is, where pieces end, too.
    pub(super) fn offset_or_end(&self, address: u32) -> Option<u32> {
        self.find(address, 1)
    }

    /// Whether an address lies in the image or right behind one of its pieces.
    pub(super) fn holds(&self, address: u32) -> bool {
        self.offset_or_end(address).is_some()
    }
}

/// Addresses that are no part of the image but move as it does: variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ram {
    pub(super) start: u32,
    pub(super) len: u32,
}

impl Ram {
    pub(super) fn holds(self, address: u32) -> bool {
        address.wrapping_sub(self.start) < self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_addresses_are_each_others_inverse_inside_pieces() {
        let mut layout = Layout::new(300);
        let piece = |start, address| Piece { start, address, is_code: true };
        assert!(!layout.push(piece(4, 0)));
        assert!(layout.push(piece(0, 0x3c00_0000)));
        assert!(!layout.push(piece(0, 0)));
        assert!(layout.push(piece(100, 0x4200_0000)));
        assert!(!layout.push(piece(300, 0)));
        for offset in 0..300 {
            assert_eq!(layout.offset(layout.address(offset)), Some(offset));
        }
        assert_eq!(layout.address(100), 0x4200_0000);
        assert_eq!(layout.offset(0x3c00_0000 + 100), None);
        assert!(layout.holds(0x3c00_0000 + 100) && !layout.holds(0x3c00_0000 + 101));
        assert_eq!(layout.piece_at(99), (piece(0, 0x3c00_0000), 100));
        assert!(layout.push(piece(200, 0x4200_0000 + 100)));
        let merged = layout.merged();
        assert_eq!(merged.pieces().len(), 2);
        assert!((0..300).all(|offset| merged.address(offset) == layout.address(offset)));
    }
}
