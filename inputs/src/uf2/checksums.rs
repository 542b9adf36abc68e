//! Checksums that blocks bring along: the MD5 of a region in flash, and the SHA-2 of the firmware.
//!
//! A region may reach beyond what the file holds, and nobody knows what stands there: such a checksum is not checked, and counted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use md5::Md5;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::{Block, Uf2Error};
use crate::MAX_IMAGE_BYTES;

/// Most bytes that are hashed for regions: those of the largest image, twice, as many regions of one file do not overlap.
const MAX_HASHED_BYTES: u64 = 2 * MAX_IMAGE_BYTES;

/// The MD5 of a region.
///
/// ```text
/// 0 address │ 4 bytes │ 8 MD5     the last 24 bytes of a block's data
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RegionMd5 {
    address: u32,
    bytes: u32,
    md5: [u8; 16],
}

impl RegionMd5 {
    pub(super) const LEN: usize = 24;

    pub(super) fn parse(bytes: &[u8; Self::LEN]) -> Self {
        let [a, b, c, d, e, f, g, h, md5 @ ..] = *bytes;
        let [address, bytes] = [[a, b, c, d], [e, f, g, h]].map(u32::from_le_bytes);
        Self { address, bytes, md5 }
    }

    fn region(&self) -> Range<u64> {
        let from = u64::from(self.address);
        from..from.saturating_add(self.bytes.into())
    }
}

/// Checks what the blocks of an image say of its bytes, and returns how many checksums could not be checked.
///
/// `sha2` are the hashes of the firmware, each with the block that it stands in.
///
/// # Errors
/// [`Uf2Error::RegionChanged`], [`Uf2Error::FirmwareChanged`].
pub(super) fn check(blocks: &[Block<'_>], sha2: &[(u32, &[u8])]) -> Result<u32, Uf2Error> {
    let mut sorted: Vec<_> = blocks.iter().filter(|block| !block.payload.is_empty()).collect();
    sorted.sort_by_key(|block| block.address);
    let regions = check_regions(&sorted)?;
    let firmware = check_firmware(&sorted, sha2)?;
    Ok(regions.saturating_add(firmware))
}

fn check_regions(blocks: &[&Block<'_>]) -> Result<u32, Uf2Error> {
    let (mut seen, mut hashed, mut unchecked) = (BTreeSet::new(), 0u64, 0u32);
    for block in blocks {
        let Some(region) = block.md5.filter(|region| seen.insert(*region)) else { continue };
        let Range { start: from, end: to } = region.region();
        hashed = hashed.saturating_add(region.bytes.into());
        let parts = (hashed <= MAX_HASHED_BYTES).then(|| parts(blocks, from..to)).flatten();
        let Some(parts) = parts.filter(|parts| !parts.is_empty()) else {
            unchecked = unchecked.saturating_add(1);
            continue;
        };
        if state::<Md5>(&parts).finalize().as_slice() != region.md5 {
            return Err(Uf2Error::RegionChanged { block: block.index, from, to });
        }
    }
    Ok(unchecked)
}

fn check_firmware(blocks: &[&Block<'_>], sha2: &[(u32, &[u8])]) -> Result<u32, Uf2Error> {
    // One of each length, so that nobody has to hash an image for each block.
    let mut hashes: BTreeMap<usize, (u32, &[u8])> = BTreeMap::new();
    let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return Ok(0) };
    let parts = parts(blocks, first.from()..last.to());
    let mut unchecked = 0u32;
    for (block, hash) in sha2 {
        let bits = hash.len().saturating_mul(8);
        let changed = Uf2Error::FirmwareChanged { block: *block, bits };
        match hashes.get(&hash.len()) {
            Some((_, known)) if known == hash => continue,
            Some(_) => return Err(changed),
            None => hashes.insert(hash.len(), (*block, *hash)),
        };
        let is_it = parts.as_deref().and_then(|parts| match bits {
            224 => Some(is_of::<Sha224>(parts, hash)),
            256 => Some(is_of::<Sha256>(parts, hash)),
            384 => Some(is_of::<Sha384>(parts, hash)),
            512 => Some(is_of::<Sha512>(parts, hash)),
            _ => None,
        });
        match is_it {
            Some(true) => {}
            Some(false) => return Err(changed),
            None => unchecked = unchecked.saturating_add(1),
        }
    }
    Ok(unchecked)
}

/// The bytes of a region, if blocks hold all of them, each once.
fn parts<'a>(blocks: &[&Block<'a>], region: Range<u64>) -> Option<Vec<&'a [u8]>> {
    let first = blocks.partition_point(|block| block.to() <= region.start);
    let (mut at, mut parts) = (region.start, Vec::new());
    for block in blocks.get(first..)? {
        if at >= region.end {
            break;
        }
        let is_next = block.from() == at || parts.is_empty() && block.from() < at;
        let inside = |place: u64| usize::try_from(place.saturating_sub(block.from())).ok();
        let (from, to) = (inside(at)?, inside(region.end.min(block.to()))?);
        parts.push(block.payload.get(from..to).filter(|_| is_next)?);
        at = block.to();
    }
    (at >= region.end).then_some(parts)
}

fn state<D: Digest>(parts: &[&[u8]]) -> D {
    parts.iter().fold(D::new(), D::chain_update)
}

/// Whether a hash is of these bytes; the last block may be filled up behind the firmware.
fn is_of<D: Digest + Clone>(parts: &[&[u8]], hash: &[u8]) -> bool {
    let Some((last, front)) = parts.split_last() else { return false };
    let mut state = state::<D>(front);
    last.iter().any(|byte| {
        state.update([*byte]);
        state.clone().finalize().as_slice() == hash
    })
}
