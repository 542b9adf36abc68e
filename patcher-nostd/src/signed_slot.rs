//! A slot tells by itself what it holds: the envelope of its image stands in its last bytes.
//!
//! ```text
//! slot = image | anything | envelope, padded (TRAILER_BYTES)
//! ```
//!
//! So a boot loader believes nothing but signature and hash, and a slot boots even when the journal is lost.

use embedded_storage::nor_flash::{NorFlash, NorFlashError as _, NorFlashErrorKind, ReadNorFlash};
use whittle_format::envelope::Envelope;
use whittle_format::limits::MAX_MANIFEST_ENVELOPE_BYTES;

use crate::admission::{Device, check_image};
use crate::flash::{ERASED, is_readable, read_unaligned};
use crate::verify::{VerifiedManifest, Verifier, verify_manifest};
use crate::{FlashError, PatchError};

/// Bytes at the end of a slot that no image may take.
pub const TRAILER_BYTES: u32 = 256;

const TRAILER_LEN: usize = MAX_MANIFEST_ENVELOPE_BYTES;
const _: () = assert!(TRAILER_LEN == TRAILER_BYTES as usize);

/// Bytes of a slot that an image may take.
pub(crate) fn image_room<F: ReadNorFlash>(slot: &F) -> usize {
    slot.capacity().saturating_sub(TRAILER_LEN)
}

/// Checks that a slot holds, whole and unchanged, an image that a trusted key signed for this device.
///
/// It reads and hashes the whole image, which takes a microcontroller some 50 instructions a byte.
///
/// # Errors
/// [`PatchError`]: the slot must not boot.
pub fn check_slot<F: ReadNorFlash>(
    slot: &mut F,
    device: &Device<'_>,
    verifier: &impl Verifier,
) -> Result<VerifiedManifest, PatchError> {
    if !is_readable::<F>() {
        return Err(PatchError::Flash(FlashError::ReadSize { got: F::READ_SIZE }));
    }
    let unreadable = |kind| PatchError::Flash(FlashError::Target(kind));
    let mut trailer = [0; TRAILER_LEN];
    read_unaligned(slot, trailer_at(slot), &mut trailer).map_err(unreadable)?;
    let manifest = verify_manifest(envelope_in(&trailer)?, verifier)?;
    device.check(&manifest)?;
    let room = u32::try_from(image_room(slot)).unwrap_or(u32::MAX);
    if manifest.target_size > room {
        return Err(PatchError::TargetTooLarge { got: manifest.target_size, slot: room });
    }
    check_image(slot, &manifest)?;
    Ok(manifest)
}

/// Makes sure that the slot does not boot until [`seal`] is called.
pub(crate) fn unseal<F: NorFlash>(slot: &mut F) -> Result<(), NorFlashErrorKind> {
    let from = last_sector(slot);
    let end = u32::try_from(slot.capacity()).unwrap_or(u32::MAX);
    slot.erase(from, end).map_err(|error| error.kind())
}

/// Where the sector begins that the trailer lies in, which [`unseal`] erases.
pub(crate) fn last_sector<F: NorFlash>(slot: &F) -> u32 {
    let sector = u32::try_from(F::ERASE_SIZE).unwrap_or(u32::MAX).max(1);
    let trailer = trailer_at(slot);
    trailer.saturating_sub(trailer.checked_rem(sector).unwrap_or(0))
}

/// Writes the envelope of the image that stands in the slot.
pub(crate) fn seal<F: NorFlash>(slot: &mut F, envelope: &[u8]) -> Result<(), NorFlashErrorKind> {
    slot.write(trailer_at(slot), &trailer(envelope)).map_err(|error| error.kind())
}

/// The last bytes of a slot that holds the image of this envelope, for whoever makes the flash of a new device.
///
/// An envelope has at most as many bytes; more are left out.
#[must_use]
pub fn trailer(envelope: &[u8]) -> [u8; TRAILER_LEN] {
    let mut trailer = [ERASED; TRAILER_LEN];
    for (to, from) in trailer.iter_mut().zip(envelope) {
        *to = *from;
    }
    trailer
}

/// The envelope that bytes begin with.
fn envelope_in(bytes: &[u8]) -> Result<&[u8], PatchError> {
    let len = Envelope::length(bytes).map_err(PatchError::Envelope)?;
    len.and_then(|len| bytes.get(..len)).ok_or(PatchError::Truncated)
}

fn trailer_at<F: ReadNorFlash>(slot: &F) -> u32 {
    u32::try_from(image_room(slot)).unwrap_or(u32::MAX)
}
