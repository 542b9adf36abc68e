//! A small cache in front of an image, so that a serial flash is not asked for every byte.

use super::isa::Bytes;
use crate::Images;

/// Bytes of a line.
const LINE: u32 = 32;

// No line holds both bytes that are gone and others.
const _: () = assert!(LINE <= crate::InPlace::MIN_SECTOR_BYTES);

/// Lines that are held: neighbours do not displace each other.
const COUNT: usize = 2;

#[derive(Clone, Copy, Debug)]
struct Line {
    start: u32,
    /// How many of its bytes are valid.
    len: u32,
    bytes: [u8; LINE as usize],
}

/// The lines of one image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines([Line; COUNT]);

impl Lines {
    /// Holds nothing.
    pub(super) const EMPTY: Self =
        Self([Line { start: 0, len: 0, bytes: [0; LINE as usize] }; COUNT]);
}

/// One of the two images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Base,
    Target,
}

/// Both images, until one of them cannot be read or written.
pub(super) struct Flash<'a, I: Images> {
    pub(super) images: &'a mut I,
    /// Why nothing more is read or written.
    pub(super) failure: Option<I::Error>,
}

impl<I: Images> Flash<'_, I> {
    /// Fills `into` from an image.
    pub(super) fn read(&mut self, which: Which, offset: u32, into: &mut [u8]) {
        if self.failure.is_none() {
            let read = match which {
                Which::Base => self.images.read_base(offset, into),
                Which::Target => self.images.read_target(offset, into),
            };
            self.failure = read.err();
        }
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        if self.failure.is_none() {
            self.failure = self.images.append(bytes).err();
        }
    }
}

/// One of the images behind its lines, `len` bytes long so far.
pub(super) struct Cached<'a, 'b, I: Images> {
    pub(super) flash: &'a mut Flash<'b, I>,
    pub(super) lines: &'a mut Lines,
    pub(super) which: Which,
    pub(super) len: u32,
}

impl<I: Images> Cached<'_, '_, I> {
    /// The line that holds an offset in the image; of an image that grows, what has come since is read too.
    fn line(&mut self, offset: u32) -> &Line {
        let start = offset & !(LINE - 1);
        let line = super::pick(&mut self.lines.0, (offset / LINE) as usize % COUNT);
        if line.start != start || offset - start >= line.len {
            let len = (self.len - start).min(LINE);
            (line.start, line.len) = (start, len);
            let into = line.bytes.get_mut(..len as usize).unwrap_or_default();
            self.flash.read(self.which, start, into);
        }
        line
    }
}

impl<I: Images> Bytes for Cached<'_, '_, I> {
    fn len(&self) -> u32 {
        self.len
    }

    fn up_to_four(&mut self, offset: u32) -> u32 {
        if offset % LINE + 4 <= LINE && offset.saturating_add(4) <= self.len {
            // The last byte is asked for: a line that has grown since must hold it.
            let line = self.line(offset + 3);
            let bytes = line.bytes.get((offset % LINE) as usize..);
            return bytes.and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_le_bytes(*word));
        }
        let mut word = 0;
        let len = self.len.saturating_sub(offset).min(4);
        for index in 0..len {
            let at = offset + index;
            let byte = super::peek(&self.line(at).bytes, (at % LINE) as usize);
            word |= u32::from(byte) << (8 * index);
        }
        word
    }
}
