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

/// Both images behind their lines, until one of them cannot be read or written.
pub(super) struct Flash<'a, I: Images> {
    pub(super) images: &'a mut I,
    pub(super) lines: &'a mut [Lines; 2],
    /// Length of the base, and how much of the target is written.
    pub(super) lens: [u32; 2],
    /// Why nothing more is read or written.
    pub(super) failure: Option<I::Error>,
}

impl<'a, I: Images> Flash<'a, I> {
    /// Fills `into` from an image.
    pub(super) fn read(&mut self, which: Which, offset: u32, into: &mut [u8]) {
        read(self.images, &mut self.failure, which, offset, into);
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        if self.failure.is_none() {
            self.failure = self.images.append(bytes).err();
        }
        let [_, written] = &mut self.lens;
        *written += u32::try_from(bytes.len()).unwrap_or(0);
    }

    /// One of the images.
    pub(super) fn image(&mut self, which: Which) -> Cached<'_, 'a, I> {
        Cached { flash: self, which }
    }
}

fn read<I: Images>(
    images: &mut I,
    failure: &mut Option<I::Error>,
    which: Which,
    offset: u32,
    into: &mut [u8],
) {
    if failure.is_none() {
        let read = match which {
            Which::Base => images.read_base(offset, into),
            Which::Target => images.read_target(offset, into),
        };
        *failure = read.err();
    }
}

/// One of the images, as far as it is written.
pub(super) struct Cached<'a, 'b, I: Images> {
    flash: &'a mut Flash<'b, I>,
    which: Which,
}

impl<I: Images> Cached<'_, '_, I> {
    /// The word at a multiple of four; what is not there of it is zero.
    fn aligned(&mut self, offset: u32) -> u32 {
        let Flash { images, lines, lens, failure } = &mut *self.flash;
        let len = super::peek(lens, self.which as usize);
        let start = offset & !(LINE - 1);
        let lines = super::pick(lines, self.which as usize);
        let line = super::pick(&mut lines.0, (offset / LINE) as usize % COUNT);
        // What wraps is in front of the offset as well.
        let end = len.min(offset.wrapping_add(4));
        if end <= offset {
            return 0;
        }
        // Of an image that grows, what has come since is read too.
        if line.start != start || line.len < end - start {
            let len = (len - start).min(LINE);
            *line = Line { start, len, bytes: [0; LINE as usize] };
            let into = line.bytes.get_mut(..len as usize).unwrap_or_default();
            read(*images, failure, self.which, start, into);
        }
        let (words, _) = line.bytes.as_chunks::<4>();
        words.get((offset - start) as usize / 4).map_or(0, |word| u32::from_le_bytes(*word))
    }
}

impl<I: Images> Bytes for Cached<'_, '_, I> {
    fn len(&self) -> u32 {
        super::peek(&self.flash.lens, self.which as usize)
    }

    fn up_to_four(&mut self, offset: u32) -> u32 {
        let (aligned, bits) = (offset & !3, 8 * (offset & 3));
        let first = self.aligned(aligned) >> bits;
        if bits == 0 {
            first
        } else {
            first | self.aligned(aligned.saturating_add(4)) << (32 - bits)
        }
    }
}
