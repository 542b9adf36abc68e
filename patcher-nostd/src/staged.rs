//! What lies in the staging region, as the journal's record tells.

use embedded_storage::nor_flash::ReadNorFlash;
use whittle_format::block::BlockLayout;
use whittle_format::envelope::Envelope;
use whittle_format::limits::MAX_MANIFEST_ENVELOPE_BYTES;
use whittle_format::staging::Staging;
use whittle_format::{Manifest, ShortDigest};

use crate::flash::{is_readable, read_unaligned};
use crate::numbers::{to_u32, to_usize};
use crate::{FlashError, PatchError, StagingError};

/// Read at a time.
pub(crate) const PIECE: usize = 64;

/// Bytes of an envelope that tell its length.
const HEAD: usize = 32;

/// Skips in the record, after a restart, what may have been begun of the next block; whether there was room for another gap.
pub(crate) fn skip_doubtful(state: &mut Staging, block_len: u32, write_size: usize) -> bool {
    let extent = extent(to_usize(block_len), write_size);
    let doubtful = extent.min(state.erased.saturating_sub(state.next));
    doubtful == 0 || state.skip(doubtful)
}

/// The envelope at the front of the region.
pub(crate) fn read_envelope<'b, S: ReadNorFlash>(
    region: &mut S,
    into: &'b mut [u8; MAX_MANIFEST_ENVELOPE_BYTES],
) -> Result<&'b [u8], PatchError> {
    if !is_readable::<S>() {
        return Err(PatchError::Flash(FlashError::ReadSize));
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
pub(crate) struct StagedBlocks<'s> {
    state: &'s Staging,
    layout: BlockLayout,
    write_size: usize,
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

impl<'s> StagedBlocks<'s> {
    pub(crate) fn new(
        state: &'s Staging,
        manifest: &Manifest,
        envelope_len: usize,
        write_size: usize,
    ) -> Self {
        let (layout, at) = (manifest.block_layout(), extent(envelope_len, write_size));
        Self { state, layout, write_size, block: 0, at, consumed: 0 }
    }

    /// The next complete block.
    pub(crate) fn next(&mut self) -> Option<Extent> {
        if self.block >= self.state.complete {
            return None;
        }
        let shape = self.layout.block_after(self.consumed);
        let at = self.at.wrapping_add(self.state.gap_before(self.block));
        self.consumed = self.consumed.wrapping_add(shape.data_len);
        self.block = self.block.wrapping_add(1);
        let len = to_usize(shape.len);
        self.at = at.wrapping_add(extent(len, self.write_size));
        Some(Extent { at, len: shape.len })
    }

    /// Length of the block behind those that have been returned.
    pub(crate) fn following_len(&self) -> u32 {
        self.layout.block_after(self.consumed).len
    }

    /// Bytes that the blocks behind those that have been returned will take.
    #[inline(never)]
    pub(crate) fn following_extent(&self) -> u32 {
        let (mut consumed, mut extents) = (self.consumed, 0u32);
        for _ in self.block..self.layout.count() {
            let shape = self.layout.block_after(consumed);
            consumed = consumed.wrapping_add(shape.data_len);
            extents = extents.wrapping_add(extent(to_usize(shape.len), self.write_size));
        }
        extents
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

impl Extent {
    /// Reads the front of the block, as much of it as there is room for; nothing once the end has been read.
    pub(crate) fn take_piece<'b, S: ReadNorFlash>(
        &mut self,
        region: &mut S,
        into: &'b mut [u8; PIECE],
    ) -> Result<&'b [u8], PatchError> {
        let len = to_usize(self.len).min(PIECE);
        let piece = into.get_mut(..len).unwrap_or_default();
        let unreadable = |kind| PatchError::Flash(FlashError::Staging(kind));
        read_unaligned(region, self.at, piece).map_err(unreadable)?;
        self.at = self.at.wrapping_add(to_u32(len));
        self.len = self.len.saturating_sub(to_u32(len));
        Ok(piece)
    }
}

/// Bytes that something takes in the region: whole write units.
#[inline(never)]
pub(crate) fn extent(len: usize, write_size: usize) -> u32 {
    to_u32(len.next_multiple_of(write_size.max(1)))
}
