//! Collects blocks and lets only authentic ones through.

use sha2::{Digest as _, Sha256};
use whittle_format::block::{self, BlockLayout};
use whittle_format::{Manifest, ShortDigest};

use crate::PatchError;
use crate::numbers::to_usize;
use crate::verify::finish;

/// Walks along the chain of blocks.
#[derive(Debug)]
pub(crate) struct BlockReader<'b> {
    buffer: &'b mut [u8],
    filled: usize,
    layout: BlockLayout,
    /// Payload bytes of the blocks that are done.
    consumed: u32,
    /// The hash of the block at hand; `None` behind the last one.
    wanted: Option<ShortDigest>,
    /// Length of the block that was completed last, and whether it names another one.
    complete: (usize, bool),
}

impl<'b> BlockReader<'b> {
    /// A reader that wants nothing yet.
    pub(crate) fn new(buffer: &'b mut [u8]) -> Self {
        let (layout, complete) = (BlockLayout::default(), (0, false));
        Self { buffer, filled: 0, layout, consumed: 0, wanted: None, complete }
    }

    /// Wants the first block.
    pub(crate) fn begin(&mut self, manifest: &Manifest) {
        self.layout = manifest.block_layout();
        self.wanted = Some(manifest.root);
    }

    /// Length of the longest block that there is room for.
    pub(crate) fn room(&self) -> usize {
        self.buffer.len()
    }

    /// Whether the last block is done.
    pub(crate) fn is_done(&self) -> bool {
        self.wanted.is_none()
    }

    /// The payload in the block that was completed last.
    pub(crate) fn data(&self) -> &[u8] {
        let (_, has_next) = self.complete;
        block::parse(self.block(), has_next).1
    }

    /// The block that was completed last.
    pub(crate) fn block(&self) -> &[u8] {
        self.buffer.get(..self.complete.0).unwrap_or_default()
    }

    /// Goes on behind `complete` blocks, the last of which named the hash of the one that is wanted next.
    pub(crate) fn skip(&mut self, complete: u32, wanted: Option<ShortDigest>) {
        let each = self.layout.block_after(0).data_len;
        self.consumed = complete.wrapping_mul(each);
        self.wanted = wanted;
    }

    /// Takes bytes up to the end of the block at hand; true once it is complete and authentic.
    pub(crate) fn push(&mut self, input: &mut &[u8]) -> Result<bool, PatchError> {
        let Some(wanted) = self.wanted else { return Ok(false) };
        let shape = self.layout.block_after(self.consumed);
        let len = to_usize(shape.len);
        let block = self.buffer.get_mut(..len).ok_or(PatchError::BlockBuffer)?;

        let room = block.get_mut(self.filled..).unwrap_or_default();
        let taken = room.len().min(input.len());
        let (now, later) = input.split_at_checked(taken).unwrap_or((&[], input));
        for (to, from) in room.iter_mut().zip(now) {
            *to = *from;
        }
        *input = later;
        self.filled = self.filled.wrapping_add(taken);
        if self.filled < len {
            return Ok(false);
        }

        let mut hasher = Sha256::new();
        hasher.update(&*block);
        if !finish(hasher).starts_with(&wanted) {
            return Err(PatchError::BlockMismatch);
        }
        self.wanted = block::parse(block, shape.has_next).0;
        self.complete = (len, shape.has_next);
        self.filled = 0;
        self.consumed = self.consumed.wrapping_add(shape.data_len);
        Ok(true)
    }
}
