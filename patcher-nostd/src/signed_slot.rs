//! A slot tells by itself what it holds: the envelope of its image stands in its last bytes.
//!
//! ```text
//! slot = image | anything | envelope, padded (TRAILER_BYTES)
//! ```
//!
//! So a boot loader believes nothing but signature and hash, and a slot boots even when the journal is lost.

use embedded_storage::nor_flash::ReadNorFlash;
use whittle_format::envelope::Envelope;
use whittle_format::life::SlotId;
use whittle_format::limits::MAX_MANIFEST_ENVELOPE_BYTES;
use whittle_format::{ShortDigest, manifest};

use crate::admission::{Device, check_image};
use crate::flash::{ERASED, is_readable, read_unaligned};
use crate::numbers::to_u32;
use crate::verify::{Purpose, VerifiedManifest, Verifier, verify_manifest};
use crate::{FlashError, PatchError};

/// Bytes at the end of a slot that no image may take.
pub const TRAILER_BYTES: u32 = 256;

pub(crate) const TRAILER_LEN: usize = MAX_MANIFEST_ENVELOPE_BYTES;
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
    check_slot_for(Purpose::Installed, slot, device, verifier)
}

/// The same where it matters what for.
pub(crate) fn check_slot_for<F: ReadNorFlash>(
    purpose: Purpose,
    slot: &mut F,
    device: &Device<'_>,
    verifier: &impl Verifier,
) -> Result<VerifiedManifest, PatchError> {
    // Not taken apart on its way: a manifest is moved by more code than it takes to look into it.
    let checked = check_trailer(purpose, slot, verifier);
    if let Ok(manifest) = &checked {
        check_content(slot, device, manifest)?;
    }
    checked
}

/// Checks that a slot holds the image of a manifest, and that it is meant for this device.
fn check_content<F: ReadNorFlash>(
    slot: &mut F,
    device: &Device<'_>,
    manifest: &VerifiedManifest,
) -> Result<(), PatchError> {
    device.check(manifest)?;
    if manifest.target_size > to_u32(image_room(slot)) {
        return Err(PatchError::TargetTooLarge);
    }
    check_image(slot, manifest)
}

/// Checks that a trusted key signed the image that a slot claims to hold; the image is not looked at.
pub(crate) fn check_trailer<F: ReadNorFlash>(
    purpose: Purpose,
    slot: &mut F,
    verifier: &impl Verifier,
) -> Result<VerifiedManifest, PatchError> {
    if !is_readable::<F>() {
        return Err(PatchError::Flash(FlashError::ReadSize));
    }
    let unreadable = |kind| PatchError::Flash(FlashError::Target(kind));
    let mut trailer = [0; TRAILER_LEN];
    read_unaligned(slot, trailer_at(slot), &mut trailer).map_err(unreadable)?;
    verify_manifest(envelope_in(&trailer)?, purpose, verifier)
}

/// The slot with the highest security counter among those that hold a signed image, whole; A if both are alike.
///
/// It looks at nothing but the slots: for boot loaders that cannot open the journal.
pub fn any_signed_slot<F: ReadNorFlash>(
    device: &Device<'_>,
    verifier: &impl Verifier,
    slots: &mut [F; 2],
) -> Option<(SlotId, VerifiedManifest)> {
    let [a, b] = slots;
    let a = check_slot(a, device, verifier).ok().map(|manifest| (SlotId::A, manifest));
    let b = check_slot(b, device, verifier).ok().map(|manifest| (SlotId::B, manifest));
    match (a, b) {
        (Some(a), Some(b)) if b.1.security_counter > a.1.security_counter => Some(b),
        (a, b) => a.or(b),
    }
}

/// What the boot loader must start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Boot {
    /// The image in this slot: a trusted key signed it, and every byte of it is as signed.
    Slot(SlotId, VerifiedManifest),
    /// No slot holds an image that may boot: the boot loader must offer its recovery, such as an image in ROM.
    Recovery,
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

/// Whether a slot claims to hold the image with this digest; nothing is verified.
pub(crate) fn claims<F: ReadNorFlash>(slot: &mut F, target: &ShortDigest) -> bool {
    let mut trailer = [0; TRAILER_LEN];
    let is_read = read_unaligned(slot, trailer_at(slot), &mut trailer).is_ok();
    let envelope = Envelope::parse(&trailer).map(|(envelope, _)| envelope);
    is_read && envelope.is_ok_and(|envelope| manifest::is_for(envelope.payload, target))
}

/// The envelope that bytes begin with.
fn envelope_in(bytes: &[u8]) -> Result<&[u8], PatchError> {
    let len = Envelope::length(bytes).map_err(PatchError::Envelope)?;
    len.and_then(|len| bytes.get(..len)).ok_or(PatchError::Truncated)
}

/// Where the trailer begins.
pub(crate) fn trailer_at<F: ReadNorFlash>(slot: &F) -> u32 {
    to_u32(image_room(slot))
}

/// Where the sector begins that the trailer lies in, which an installation erases first.
pub(crate) fn last_sector<F: ReadNorFlash>(slot: &F, erase_size: usize) -> u32 {
    let sector = to_u32(erase_size).max(1);
    let trailer = trailer_at(slot);
    trailer.saturating_sub(trailer.checked_rem(sector).unwrap_or(0))
}

/// One of both slots.
pub(crate) fn slot_mut<F>(slots: &mut [F; 2], slot: SlotId) -> &mut F {
    let [a, b] = slots;
    match slot {
        SlotId::A => a,
        SlotId::B => b,
    }
}
