//! Classic BSDIFF40 patches, for devices already in the field.
//!
//! ```text
//!  0  8  magic "BSDIFF40"
//!  8  8  length c of the compressed control stream
//! 16  8  length d of the compressed difference stream
//! 24  8  size of the target
//! 32  c  control: (add length, insert length, seek) …, 8 bytes each      bzip2
//!  …  d  differences                                                     bzip2
//!  …     inserted bytes                                                  bzip2
//! ```
//!
//! Numbers are little-endian sign and magnitude. The three streams stand one after the other, so a patch can only be
//! applied once all of it has arrived: this codec does not stream and is for hosts.

use std::convert::Infallible;
use std::io::{Cursor, Read};
use std::vec::Vec;

use bzip2::read::BzDecoder;

use crate::{DecodeError, Decoder, Images, InMemory, Sizes, Wants};

const MAGIC: &[u8; 8] = b"BSDIFF40";
const HEADER_LEN: usize = 32;
const NUMBER_LEN: usize = 8;

/// RAM of the three bzip2 decompressors at their largest block size (libbzip2's manual: 100 kB + 4 × 900 kB each).
const BZIP2_RAM_BYTES: u64 = 3 * 3_700_000;

/// RAM that the decoder needs for a patch of this size, in bytes.
#[must_use]
pub fn decoder_ram_bytes(patch_size: u64) -> u64 {
    patch_size.saturating_mul(2).saturating_add(BZIP2_RAM_BYTES)
}

/// Whether these bytes begin like a BSDIFF40 patch.
#[must_use]
pub fn is_patch(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The size of the target that a patch makes, or `None` if this is no patch.
#[must_use]
pub fn target_size(patch: &[u8]) -> Option<u64> {
    let header = Header::parse(patch)?;
    Some(header.target_size)
}

struct Header {
    control_len: u64,
    difference_len: u64,
    target_size: u64,
}

impl Header {
    fn parse(patch: &[u8]) -> Option<Self> {
        let numbers = patch.get(..HEADER_LEN)?.strip_prefix(MAGIC)?;
        let mut numbers =
            numbers.chunks_exact(NUMBER_LEN).map(|number| u64::try_from(load_number(number)?).ok());
        let mut next = || numbers.next().flatten();
        Some(Self { control_len: next()?, difference_len: next()?, target_size: next()? })
    }
}

/// One line of the control stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) add_len: u64,
    pub(crate) insert_len: u64,
    pub(crate) seek: i64,
}

/// A patch with its three streams ready to be read.
pub(crate) struct Patch<R: Read> {
    pub(crate) target_size: u64,
    control: BzDecoder<R>,
    pub(crate) differences: BzDecoder<R>,
    pub(crate) inserts: BzDecoder<R>,
}

#[cfg(feature = "encode")]
impl<'a> Patch<&'a [u8]> {
    pub(crate) fn parse(patch: &'a [u8]) -> Option<Self> {
        Self::parse_with(patch, |stream| stream)
    }
}

impl<R: Read> Patch<R> {
    /// Reads the header; `own` makes of each stream what is kept of it.
    fn parse_with<'a>(patch: &'a [u8], own: impl Fn(&'a [u8]) -> R) -> Option<Self> {
        let header = Header::parse(patch)?;
        let streams = patch.get(HEADER_LEN..)?;
        let (control, streams) =
            streams.split_at_checked(usize::try_from(header.control_len).ok()?)?;
        let (differences, inserts) =
            streams.split_at_checked(usize::try_from(header.difference_len).ok()?)?;
        Some(Self {
            target_size: header.target_size,
            control: BzDecoder::new(own(control)),
            differences: BzDecoder::new(own(differences)),
            inserts: BzDecoder::new(own(inserts)),
        })
    }

    /// The next line of the control stream, or `None` if it is damaged or at its end.
    pub(crate) fn next_control(&mut self) -> Option<Control> {
        let mut number = || {
            let mut bytes = [0; NUMBER_LEN];
            self.control.read_exact(&mut bytes).ok()?;
            load_number(&bytes)
        };
        let (add_len, insert_len, seek) = (number()?, number()?, number()?);
        Some(Control {
            add_len: add_len.try_into().ok()?,
            insert_len: insert_len.try_into().ok()?,
            seek,
        })
    }
}

/// bsdiff's `offtin`: sign and magnitude, little-endian.
fn load_number(bytes: &[u8]) -> Option<i64> {
    let raw = u64::from_le_bytes(*bytes.first_chunk()?);
    let magnitude = (raw & !(1 << 63)).cast_signed();
    Some(if raw >> 63 == 1 { magnitude.wrapping_neg() } else { magnitude })
}

/// Applies a patch to a base in memory; the target may have at most `max_target` bytes.
///
/// # Errors
/// [`DecodeError`].
pub fn apply(
    base: &[u8],
    patch: &[u8],
    max_target: u32,
) -> Result<Vec<u8>, DecodeError<Infallible>> {
    let size =
        target_size(patch).and_then(|size| u32::try_from(size).ok()).ok_or(DecodeError::Corrupt)?;
    let sizes = Sizes {
        base: u32::try_from(base.len()).map_err(|_| DecodeError::Corrupt)?,
        target: size,
        payload: u32::try_from(patch.len()).map_err(|_| DecodeError::Corrupt)?,
    };
    if size > max_target {
        return Err(DecodeError::Memory);
    }
    let mut images = InMemory::new(base);
    let mut decoder = BsdiffDecoder::new(sizes, u64::MAX)?;
    let _ = decoder.push(&mut &patch[..], &mut images)?;
    let _ = decoder.finish(&mut images)?;
    Ok(images.target)
}

/// Collects a patch, and applies it once it is whole.
pub struct BsdiffDecoder {
    sizes: Sizes,
    patch: Vec<u8>,
    application: Option<Application>,
}

/// How far a whole patch has been applied.
struct Application {
    patch: Patch<Cursor<Vec<u8>>>,
    written: u32,
    cursor: i64,
    /// What is left of the line at hand.
    control: Control,
    /// A line may be empty, but an endless stream of such lines would compress to nothing.
    lines_left: u64,
}

impl BsdiffDecoder {
    /// A decoder for a patch of the declared size, within `limit` bytes of RAM.
    ///
    /// # Errors
    /// [`DecodeError::Memory`].
    pub fn new<E>(sizes: Sizes, limit: u64) -> Result<Self, DecodeError<E>> {
        let needed = decoder_ram_bytes(sizes.payload.into());
        if needed > limit {
            return Err(DecodeError::Memory);
        }
        Ok(Self { sizes, patch: Vec::new(), application: None })
    }
}

impl Application {
    fn new<E>(patch: &[u8], target: u32) -> Result<Self, DecodeError<E>> {
        let patch = Patch::parse_with(patch, |stream| Cursor::new(stream.to_vec()));
        let patch = patch.filter(|patch| patch.target_size == u64::from(target));
        Ok(Self {
            patch: patch.ok_or(DecodeError::Corrupt)?,
            written: 0,
            cursor: 0,
            control: Control { add_len: 0, insert_len: 0, seek: 0 },
            lines_left: u64::from(target).saturating_add(1),
        })
    }

    /// Goes on until the target is whole or there is no more room.
    fn go_on<I: Images>(
        &mut self,
        sizes: Sizes,
        images: &mut I,
    ) -> Result<Wants, DecodeError<I::Error>> {
        while self.written < sizes.target {
            if self.control.add_len > 0 {
                let mut bytes = step(self.control.add_len, images);
                if bytes.is_empty() {
                    return Ok(Wants::Room);
                }
                self.patch.differences.read_exact(&mut bytes).map_err(|_| DecodeError::Corrupt)?;
                add_base(&mut bytes, self.cursor, sizes.base, images)?;
                let len = self.append(&bytes, images)?;
                self.cursor = self.cursor.saturating_add_unsigned(len);
                self.control.add_len = self.control.add_len.saturating_sub(len);
            } else if self.control.insert_len > 0 {
                let mut bytes = step(self.control.insert_len, images);
                if bytes.is_empty() {
                    return Ok(Wants::Room);
                }
                self.patch.inserts.read_exact(&mut bytes).map_err(|_| DecodeError::Corrupt)?;
                let len = self.append(&bytes, images)?;
                self.control.insert_len = self.control.insert_len.saturating_sub(len);
            } else {
                self.next_line(sizes.target)?;
            }
        }
        Ok(Wants::Nothing)
    }

    fn append<I: Images>(
        &mut self,
        bytes: &[u8],
        images: &mut I,
    ) -> Result<u64, DecodeError<I::Error>> {
        images.append(bytes).map_err(DecodeError::Images)?;
        self.written = self.written.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        Ok(bytes.len() as u64)
    }

    fn next_line<E>(&mut self, target: u32) -> Result<(), DecodeError<E>> {
        let seek = self.control.seek;
        self.cursor = self.cursor.checked_add(seek).ok_or(DecodeError::Corrupt)?;
        self.control = self.patch.next_control().ok_or(DecodeError::Corrupt)?;
        self.lines_left = self.lines_left.checked_sub(1).ok_or(DecodeError::Corrupt)?;
        let len = self.control.add_len.checked_add(self.control.insert_len);
        let room = u64::from(target.saturating_sub(self.written));
        if len.is_some_and(|len| len <= room) { Ok(()) } else { Err(DecodeError::TargetOverrun) }
    }
}

impl Decoder for BsdiffDecoder {
    fn push<I: Images>(
        &mut self,
        input: &mut &[u8],
        _images: &mut I,
    ) -> Result<Wants, DecodeError<I::Error>> {
        let len = self.patch.len().saturating_add(input.len());
        if u32::try_from(len).ok().is_none_or(|len| len > self.sizes.payload) {
            return Err(DecodeError::TrailingBytes);
        }
        self.patch.extend_from_slice(core::mem::take(input));
        Ok(Wants::Input)
    }

    fn finish<I: Images>(&mut self, images: &mut I) -> Result<Wants, DecodeError<I::Error>> {
        let application = match &mut self.application {
            Some(application) => application,
            None => {
                let new = Application::new(&self.patch, self.sizes.target)?;
                self.patch = Vec::new();
                self.application.insert(new)
            }
        };
        application.go_on(self.sizes, images)
    }
}

/// A buffer for what comes next of `len` bytes, as large as there is room.
fn step<I: Images>(len: u64, images: &I) -> Vec<u8> {
    let len = usize::try_from(len.min(images.room().into())).unwrap_or(usize::MAX);
    std::vec![0; len.min(4096)]
}

/// Adds base bytes to differences; outside the base, bspatch adds nothing, and patches in the wild rely on it.
fn add_base<I: Images>(
    differences: &mut [u8],
    cursor: i64,
    base_size: u32,
    images: &mut I,
) -> Result<(), DecodeError<I::Error>> {
    let before = usize::try_from(cursor.min(0).unsigned_abs()).unwrap_or(usize::MAX);
    let Some(inside) = differences.get_mut(before..) else { return Ok(()) };
    let start = u32::try_from(cursor.max(0)).unwrap_or(u32::MAX).min(base_size);
    let len =
        inside.len().min(usize::try_from(base_size.saturating_sub(start)).unwrap_or(usize::MAX));
    let mut base = std::vec![0; len];
    images.read_base(start, &mut base).map_err(DecodeError::Images)?;
    for (byte, base) in inside.iter_mut().zip(base) {
        *byte = byte.wrapping_add(base);
    }
    Ok(())
}

/// Emits the patch from `base` to `target`.
///
/// # Errors
/// [`crate::EncodeError`] if the base is too large to be indexed or the compressor fails.
#[cfg(feature = "encode")]
pub fn encode(base: &[u8], target: &[u8]) -> Result<crate::Encoded, crate::EncodeError> {
    let payload = make_patch(base, target, 9)?;
    Ok(crate::Encoded {
        decoder_ram_bytes: decoder_ram_bytes(payload.len() as u64),
        payload,
        encoder: 1,
        instruction_set: None,
    })
}

/// A BSDIFF40 patch; the search runs in one thread so that its result does not depend on how many there are.
#[cfg(feature = "encode")]
pub(crate) fn make_patch(
    base: &[u8],
    target: &[u8],
    bzip2_level: u32,
) -> Result<Vec<u8>, crate::EncodeError> {
    let largest = base.len().max(target.len());
    if largest > qbsdiff::bsdiff::MAX_LENGTH.min(i32::MAX as usize) {
        return Err(crate::EncodeError::TooLarge { got: largest as u64 });
    }
    let mut patch = Vec::new();
    qbsdiff::Bsdiff::new(base, target)
        .parallel_scheme(qbsdiff::ParallelScheme::Never)
        .compression_level(bzip2_level)
        .compare(&mut patch)
        .map_err(crate::EncodeError::Compressor)?;
    Ok(patch)
}
