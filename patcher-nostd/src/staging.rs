//! The staging region: where a package lies between its download and its installation.
//!
//! ```text
//! envelope | block 0 | block 1 | gap: what a power cut left of block 2 | block 2 | …      each begins on a write unit
//! ```
//!
//! A sector is erased when the first byte of it is wanted. What the journal's record does not count is not believed:
//! the extent in which a block was being written when the power failed is skipped, and sectors that were not yet
//! counted as erased are erased again.

use core::fmt;

use embedded_storage::nor_flash::{NorFlash, NorFlashError as _, NorFlashErrorKind, ReadNorFlash};
use whittle_format::block::BlockLayout;
use whittle_format::envelope::Envelope;
use whittle_format::limits::MAX_MANIFEST_ENVELOPE_BYTES;
use whittle_format::staging::Staging;
use whittle_format::{Manifest, ShortDigest};

use crate::flash::{CHUNK, ERASED, is_readable, read_back, read_unaligned};
use crate::numbers::{to_u32, to_usize};
use crate::{FlashError, PatchError};

/// Read at a time.
const PIECE: usize = 64;

/// Bytes of an envelope that tell its length.
const HEAD: usize = 32;

/// Why the staging region could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StagingError {
    /// The region cannot be read, erased or written.
    Flash(NorFlashErrorKind),
    /// The region reads back differently from what was written.
    ReadBack {
        /// Offset in the region, in bytes.
        offset: u32,
    },
    /// The region has no room for what comes next.
    Full {
        /// Bytes that are needed.
        needed: u32,
        /// Bytes that the region has.
        got: usize,
    },
    /// The write size does not divide 256, or the read size does not divide 64.
    Geometry,
}

impl fmt::Display for StagingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(kind) => write!(f, "staging region: {kind}"),
            Self::ReadBack { offset } => {
                write!(f, "staging region reads back differently at {offset}")
            }
            Self::Full { needed, got } => {
                write!(f, "staging region has {got} bytes, {needed} are needed")
            }
            Self::Geometry => f.write_str("staging region has an unsupported read or write size"),
        }
    }
}

impl core::error::Error for StagingError {}

impl From<FlashError> for StagingError {
    fn from(error: FlashError) -> Self {
        match error {
            FlashError::ReadBack { offset } => Self::ReadBack { offset },
            FlashError::Base(kind) | FlashError::Staging(kind) | FlashError::Target(kind) => {
                Self::Flash(kind)
            }
            FlashError::ReadSize { .. }
            | FlashError::PageBuffer { .. }
            | FlashError::Journal
            | FlashError::State => Self::Geometry,
        }
    }
}

/// Writes what comes next, the envelope or a block, and returns the record that counts it.
///
/// # Errors
/// [`StagingError`]; the old record still holds.
pub(crate) fn put<S: NorFlash>(
    region: &mut S,
    state: &Staging,
    bytes: &[u8],
) -> Result<Staging, StagingError> {
    check_geometry::<S>()?;
    let end = state.next.saturating_add(extent::<S>(bytes.len()));
    if usize::try_from(end).is_ok_and(|end| end > region.capacity()) {
        return Err(StagingError::Full { needed: end, got: region.capacity() });
    }
    let erased = end.next_multiple_of(to_u32(S::ERASE_SIZE).max(1)).max(state.erased);
    if end > state.erased {
        region.erase(state.erased, erased).map_err(|error| StagingError::Flash(error.kind()))?;
    }
    let mut at = state.next;
    for piece in bytes.chunks(CHUNK) {
        let mut chunk = [ERASED; CHUNK];
        for (to, from) in chunk.iter_mut().zip(piece) {
            *to = *from;
        }
        let len = to_usize(extent::<S>(piece.len()));
        let chunk = chunk.get(..len).unwrap_or_default();
        region.write(at, chunk).map_err(|error| StagingError::Flash(error.kind()))?;
        read_back(region, at, chunk)?;
        at = at.saturating_add(to_u32(len));
    }
    let is_block = u32::from(state.next > 0);
    let mut new = *state;
    (new.complete, new.next, new.erased) = (state.complete.saturating_add(is_block), end, erased);
    Ok(new)
}

/// The record after a restart: what may have been begun of the next block is skipped; `None` if there is no room for
/// more gaps.
pub(crate) fn skip_doubtful<S: NorFlash>(state: &Staging, block_len: u32) -> Option<Staging> {
    let extent = extent::<S>(to_usize(block_len));
    let doubtful = extent.min(state.erased.saturating_sub(state.next));
    if doubtful == 0 { Some(*state) } else { state.skip(doubtful) }
}

/// The envelope at the front of the region.
pub(crate) fn read_envelope<'b, S: ReadNorFlash>(
    region: &mut S,
    into: &'b mut [u8; MAX_MANIFEST_ENVELOPE_BYTES],
) -> Result<&'b [u8], PatchError> {
    if !is_readable::<S>() {
        return Err(PatchError::Flash(FlashError::ReadSize { got: S::READ_SIZE }));
    }
    // What lies behind the envelope may be torn, and a read across it may fail.
    let (mut len, mut got) = (HEAD, 0);
    while got < len {
        let rest = into.get_mut(got..len).ok_or(PatchError::Truncated)?;
        let at = to_u32(got);
        read_unaligned(region, at, rest)
            .map_err(|kind| PatchError::Flash(FlashError::Staging(kind)))?;
        got = len;
        let front = into.get(..got).unwrap_or_default();
        len =
            Envelope::length(front).map_err(PatchError::Envelope)?.ok_or(PatchError::Truncated)?;
    }
    into.get(..len).ok_or(PatchError::Truncated)
}

/// A staged package, read from its front to its back.
pub(crate) struct StagedBlocks {
    state: Staging,
    layout: BlockLayout,
    block: u32,
    at: u32,
    consumed: u32,
}

/// Where a block lies.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) at: u32,
    pub(crate) len: u32,
}

impl StagedBlocks {
    pub(crate) fn new<S: NorFlash>(
        state: &Staging,
        manifest: &Manifest,
        envelope_len: usize,
    ) -> Result<Self, PatchError> {
        let layout = BlockLayout::new(manifest.payload_size, manifest.block_log2)
            .map_err(PatchError::Manifest)?;
        Ok(Self { state: *state, layout, block: 0, at: extent::<S>(envelope_len), consumed: 0 })
    }

    /// The next complete block.
    pub(crate) fn next<S: NorFlash>(&mut self) -> Option<Extent> {
        if self.block >= self.state.complete {
            return None;
        }
        let shape = self.layout.block_after(self.consumed);
        let at = self.at.saturating_add(self.state.gap_before(self.block));
        self.consumed = self.consumed.saturating_add(shape.data_len);
        self.block = self.block.saturating_add(1);
        self.at = at.saturating_add(extent::<S>(to_usize(shape.len)));
        Some(Extent { at, len: shape.len })
    }

    /// Length of the block behind those that have been returned.
    pub(crate) fn following_len(&self) -> u32 {
        self.layout.block_after(self.consumed).len
    }

    /// Whether all blocks of the package have been returned.
    pub(crate) fn is_at_end(&self) -> bool {
        self.block >= self.layout.count()
    }
}

/// The hash of the next block, which a block begins with.
pub(crate) fn read_link<S: ReadNorFlash>(
    region: &mut S,
    block: Extent,
) -> Result<ShortDigest, StagingError> {
    let mut hash = ShortDigest::default();
    read_unaligned(region, block.at, &mut hash).map_err(StagingError::Flash)?;
    Ok(hash)
}

/// Hands the bytes of a block to `take`, piece by piece.
pub(crate) fn feed<S: ReadNorFlash>(
    region: &mut S,
    block: Extent,
    mut take: impl FnMut(&[u8]) -> Result<(), PatchError>,
) -> Result<(), PatchError> {
    let end = block.at.saturating_add(block.len);
    let mut at = block.at;
    while at < end {
        let mut piece = [0; PIECE];
        let len = to_usize(end.saturating_sub(at)).min(PIECE);
        let piece = piece.get_mut(..len).unwrap_or_default();
        let unreadable = |kind| PatchError::Flash(FlashError::Staging(kind));
        read_unaligned(region, at, piece).map_err(unreadable)?;
        take(piece)?;
        at = at.saturating_add(to_u32(len));
    }
    Ok(())
}

fn check_geometry<S: NorFlash>() -> Result<(), StagingError> {
    let suits = CHUNK.checked_rem(S::WRITE_SIZE) == Some(0) && is_readable::<S>();
    if suits { Ok(()) } else { Err(StagingError::Geometry) }
}

/// Bytes that something takes in the region: whole write units.
fn extent<S: NorFlash>(len: usize) -> u32 {
    to_u32(len.next_multiple_of(S::WRITE_SIZE.max(1)))
}
