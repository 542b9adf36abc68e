//! The authenticated block chain that carries a payload.
//!
//! ```text
//! block i      = hash of block i+1 (16 bytes) | data (block size - 16 bytes)
//! last block   = data (1 to block size bytes; 0 only if the payload is empty)
//! root         = hash of block 0, held by the signed manifest
//! hash         = first 16 bytes of SHA-256 over the whole block
//! ```
//!
//! A block is never longer than the block size, a power of two, so that blocks line up with transfers such as CoAP's
//! and one buffer holds any of them. A short payload is one block and costs no hash at all.

use crate::limits::{MAX_BLOCK_LOG2, MIN_BLOCK_LOG2};
use crate::{FormatError, Part, ShortDigest};

const HASH_LEN: u32 = 16;

/// Where the blocks of a payload begin and end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockLayout {
    payload_size: u32,
    block_size: u32,
}

/// The block that carries the rest of a payload's front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Length with the next block's hash.
    pub len: u32,
    /// Payload bytes in it.
    pub data_len: u32,
    /// Whether it begins with the hash of another block.
    pub has_next: bool,
}

impl BlockLayout {
    /// The layout of a payload of this size.
    ///
    /// # Errors
    /// [`FormatError::OutOfRange`] for a block size outside the limits.
    pub fn new(payload_size: u32, block_log2: u8) -> Result<Self, FormatError> {
        check_block_log2(block_log2)?;
        Ok(Self::of(payload_size, block_log2))
    }

    /// The same where the block size is known to be within the limits.
    #[inline(never)]
    pub(crate) fn of(payload_size: u32, block_log2: u8) -> Self {
        let block_size = 1u32.checked_shl(block_log2.into()).unwrap_or(u32::MAX);
        Self { payload_size, block_size }
    }

    /// Bytes that a reader needs to hold one block.
    #[must_use]
    pub fn block_size(&self) -> u32 {
        self.block_size
    }

    /// The block that comes after `consumed` payload bytes.
    #[must_use]
    #[inline(never)]
    pub fn block_after(&self, consumed: u32) -> Block {
        let left = self.payload_size.saturating_sub(consumed);
        if left <= self.block_size {
            Block { len: left, data_len: left, has_next: false }
        } else {
            let data_len = self.block_size.saturating_sub(HASH_LEN);
            Block { len: self.block_size, data_len, has_next: true }
        }
    }

    /// How many blocks there are; at least one.
    #[must_use]
    pub fn count(&self) -> u32 {
        let beyond_last = self.payload_size.saturating_sub(self.block_size);
        beyond_last.div_ceil(self.block_size.saturating_sub(HASH_LEN).max(1)).saturating_add(1)
    }

    /// Length of all blocks together, in bytes.
    #[must_use]
    pub fn wire_len(&self) -> u64 {
        let hashes = u64::from(self.count().saturating_sub(1)).saturating_mul(HASH_LEN.into());
        u64::from(self.payload_size).saturating_add(hashes)
    }
}

/// Splits a checked block into the hash of the next one and its data.
#[must_use]
pub fn parse(block: &[u8], has_next: bool) -> (Option<ShortDigest>, &[u8]) {
    match block.split_first_chunk() {
        Some((next, data)) if has_next => (Some(*next), data),
        _ => (None, block),
    }
}

/// Emits the chain of `payload` into `out`, [`BlockLayout::wire_len`] bytes, and returns its root.
///
/// `hash` is SHA-256 cut to its first 16 bytes: this crate holds no cryptography.
///
/// # Errors
/// [`FormatError::BufferTooSmall`] if `out` is not exactly as long as the chain, [`FormatError::Contradiction`] if
/// `payload` is not as long as the layout says.
pub fn emit(
    payload: &[u8],
    layout: BlockLayout,
    out: &mut [u8],
    hash: impl Fn(&[u8]) -> ShortDigest,
) -> Result<ShortDigest, FormatError> {
    let wire_len = usize::try_from(layout.wire_len()).unwrap_or(usize::MAX);
    if out.len() != wire_len {
        return Err(FormatError::BufferTooSmall);
    }
    let wrong_length = FormatError::Contradiction { field: Part::PayloadSize };
    if usize::try_from(layout.payload_size) != Ok(payload.len()) {
        return Err(wrong_length);
    }
    let (mut rest_of_payload, mut rest_of_out) = (payload, out);
    let mut next: Option<ShortDigest> = None;
    for index in (0..layout.count()).rev() {
        let data_before = index.saturating_mul(layout.block_after(0).data_len);
        let (before, data) =
            rest_of_payload.split_at_checked(to_usize(data_before)).ok_or(wrong_length)?;
        let block_start = index.saturating_mul(layout.block_size);
        let (out_before, block) =
            rest_of_out.split_at_mut_checked(to_usize(block_start)).ok_or(wrong_length)?;
        let mut writer = crate::wire::Writer::new(block);
        if let Some(hash_of_next) = next {
            writer.put(&hash_of_next)?;
        }
        writer.put(data)?;
        next = Some(hash(block));
        (rest_of_payload, rest_of_out) = (before, out_before);
    }
    next.ok_or(wrong_length)
}

pub(crate) fn check_block_log2(block_log2: u8) -> Result<(), FormatError> {
    match block_log2 {
        MIN_BLOCK_LOG2..=MAX_BLOCK_LOG2 => Ok(()),
        _ => Err(FormatError::OutOfRange { field: Part::BlockSize }),
    }
}

fn to_usize(len: u32) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn short_hash(bytes: &[u8]) -> ShortDigest {
        crate::shorten(&Sha256::digest(bytes).into())
    }

    proptest! {
        #[test]
        fn walking_the_chain_gives_the_payload_back(
            payload in proptest::collection::vec(any::<u8>(), 0..1000),
            block_log2 in MIN_BLOCK_LOG2..=9,
        ) {
            let layout = BlockLayout::new(u32::try_from(payload.len()).unwrap(), block_log2).unwrap();
            let mut chain = vec![0; usize::try_from(layout.wire_len()).unwrap()];
            let root = emit(&payload, layout, &mut chain, short_hash).unwrap();

            let (mut rest, mut wanted, mut got) = (&chain[..], Some(root), Vec::new());
            let mut blocks = 0;
            while let Some(hash) = wanted {
                let block = layout.block_after(u32::try_from(got.len()).unwrap());
                let (bytes, after) = rest.split_at(to_usize(block.len));
                prop_assert_eq!(short_hash(bytes), hash);
                let (next, data) = parse(bytes, block.has_next);
                prop_assert_eq!(data.len(), to_usize(block.data_len));
                got.extend_from_slice(data);
                (rest, wanted) = (after, next);
                blocks += 1;
            }
            prop_assert_eq!(blocks, layout.count());
            prop_assert!(rest.is_empty());
            prop_assert_eq!(got, payload);
        }
    }
}
