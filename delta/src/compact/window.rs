//! The bytes around a place in an image.

/// Bytes held before the word that the place lies in.
const BEFORE: u32 = 4;

/// Length in bytes: the word, one before it and one behind it.
pub(super) const LEN: usize = 12;

/// Twelve bytes around a place, with those outside the image missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Offset of the first byte in the image, plus [`BEFORE`], so that it never is negative.
    start: u32,
    bytes: [u8; LEN],
    /// The valid bytes, as offsets like `start`.
    first: u32,
    end: u32,
}

impl Window {
    /// Where the window around `offset` begins and ends in an image of `len` bytes.
    pub(super) fn bounds(offset: u32, len: u32) -> (u32, u32) {
        let word = offset & !3;
        (word.saturating_sub(BEFORE), word.saturating_add(8).min(len))
    }

    /// A window around `offset` whose valid bytes, from `first` on, are `valid`.
    pub(super) fn new(offset: u32, first: u32, valid: &[u8]) -> Self {
        let start = offset & !3;
        let skip = (first + BEFORE).saturating_sub(start) as usize;
        let mut bytes = [0; LEN];
        for (to, from) in bytes.iter_mut().skip(skip).zip(valid) {
            *to = *from;
        }
        let first = first + BEFORE;
        let end = first.saturating_add(u32::try_from(valid.len()).unwrap_or(0));
        Self { start, bytes, first, end }
    }

    /// Whether the window around this place is the same.
    pub(super) fn covers(&self, offset: u32) -> bool {
        self.start == offset & !3
    }

    pub(super) fn byte(&self, offset: u32) -> Option<u8> {
        let at = offset.checked_add(BEFORE)?;
        if at < self.first || at >= self.end {
            return None;
        }
        self.bytes.get(usize::try_from(at.checked_sub(self.start)?).ok()?).copied()
    }

    /// The little-endian halfword at an offset.
    pub(super) fn half(&self, offset: u32) -> Option<u16> {
        Some(u16::from_le_bytes([self.byte(offset)?, self.byte(offset.checked_add(1)?)?]))
    }

    /// The little-endian word at an offset.
    pub(super) fn word(&self, offset: u32) -> Option<u32> {
        Some(u32::from(self.half(offset)?) | u32::from(self.half(offset.checked_add(2)?)?) << 16)
    }
}
