//! The staging region: where a package lies between its download and its installation.
//!
//! ```text
//! envelope | block 0 | block 1 | gap: what a power cut left of block 2 | block 2 | …      each begins on a write unit
//! ```
//!
//! A sector is erased when the first byte of it is wanted. What the journal's record does not count is not believed:
//! the extent in which a block was being written when the power failed is skipped, and sectors that were not yet
//! counted as erased are erased again.

use embedded_storage::nor_flash::NorFlashError as _;
use whittle_format::staging::Staging;

use super::{NorFlash, both};
use crate::StagingError;
use crate::flash::{CHUNK, ERASED, is_writable, read_back};
use crate::numbers::{to_u32, to_usize};
use crate::staged::extent;

/// Where what has been written ends, and what is erased.
pub(crate) struct Put {
    pub(crate) end: u32,
    pub(crate) erased: u32,
}

/// Writes what comes next, the envelope or a block.
///
/// # Errors
/// [`StagingError`]; the old record still holds.
#[both]
pub(crate) async fn put<S: NorFlash>(
    region: &mut S,
    state: &Staging,
    bytes: &[u8],
) -> Result<Put, StagingError> {
    check_geometry::<S>()?;
    let end = state.next.wrapping_add(extent(bytes.len(), S::WRITE_SIZE));
    if usize::try_from(end).is_ok_and(|end| end > region.capacity()) {
        return Err(StagingError::Full);
    }
    let erased = end.next_multiple_of(to_u32(S::ERASE_SIZE).max(1)).max(state.erased);
    if end > state.erased {
        region
            .erase(state.erased, erased)
            .await
            .map_err(|error| StagingError::Flash(error.kind()))?;
    }
    let mut at = state.next;
    for piece in bytes.chunks(CHUNK) {
        let mut chunk = [ERASED; CHUNK];
        for (to, from) in chunk.iter_mut().zip(piece) {
            *to = *from;
        }
        let len = to_usize(extent(piece.len(), S::WRITE_SIZE));
        let chunk = chunk.get(..len).unwrap_or_default();
        region.write(at, chunk).await.map_err(|error| StagingError::Flash(error.kind()))?;
        read_back(region, at, chunk)?;
        at = at.wrapping_add(to_u32(len));
    }
    Ok(Put { end, erased })
}

fn check_geometry<S: NorFlash>() -> Result<(), StagingError> {
    if is_writable::<S>(S::WRITE_SIZE) { Ok(()) } else { Err(StagingError::Geometry) }
}
