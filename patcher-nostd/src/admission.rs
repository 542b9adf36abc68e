//! Whether an authentic package is meant for this device and fits it; asked once, before anything is decoded.

use embedded_storage::nor_flash::{NorFlashErrorKind, ReadNorFlash};
use sha2::{Digest as _, Sha256};
use whittle_format::Digest;
use whittle_format::manifest::BaseRef;

use crate::codec;
use crate::flash::{Read, is_readable, read_unaligned};
use crate::numbers::{to_u32, to_usize};
use crate::verify::finish;
use crate::{FlashError, PatchError, VerifiedManifest};

/// What the device is and what it has.
#[derive(Clone, Copy, Debug)]
pub struct Device<'a> {
    /// Name of the product.
    pub product: &'a str,
    /// Hardware revision.
    pub hardware_revision: u16,
    /// Packages with a lower security counter are refused.
    pub security_counter: u32,
    /// RAM that a decoder may use, in bytes.
    pub decoder_ram_bytes: u32,
}

/// The room that a package must fit into, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) slot: usize,
    pub(crate) block_buffer: usize,
}

impl Device<'_> {
    /// Checks that an image is meant for this device and not too old for it.
    pub(crate) fn check(&self, manifest: &VerifiedManifest) -> Result<(), PatchError> {
        let hardware = manifest.hardware;
        if manifest.product.as_bytes() != self.product.as_bytes() {
            return Err(PatchError::WrongProduct);
        }
        if !hardware.contains(self.hardware_revision) {
            return Err(PatchError::WrongHardware);
        }
        if manifest.security_counter < self.security_counter {
            return Err(PatchError::CounterTooLow);
        }
        Ok(())
    }
}

/// Compares everything that the manifest says with the device, and the base's hash with the base slot.
pub(crate) fn admit<B: ReadNorFlash>(
    manifest: &VerifiedManifest,
    device: &Device<'_>,
    room: Room,
    base: &mut B,
) -> Result<(), PatchError> {
    device.check(manifest)?;
    if !fits(manifest.target_size, room.slot) {
        return Err(PatchError::TargetTooLarge);
    }
    if manifest.decoder_ram_bytes() > device.decoder_ram_bytes {
        return Err(PatchError::DecoderRam);
    }
    if !codec::SUPPORTED.contains(&manifest.codec) {
        return Err(PatchError::UnsupportedCodec { codec: manifest.codec });
    }
    if !fits(manifest.block_layout().block_after(0).len, room.block_buffer) {
        return Err(PatchError::BlockBuffer);
    }
    manifest.base().map_or(Ok(()), |wanted| check_base(wanted, base))
}

fn check_base<B: ReadNorFlash>(wanted: BaseRef, base: &mut B) -> Result<(), PatchError> {
    if !is_readable::<B>() {
        return Err(PatchError::Flash(FlashError::ReadSize));
    }
    if !fits(wanted.size, base.capacity()) {
        return Err(PatchError::BaseMismatch);
    }
    let got = digest_of(base, wanted.size).map_err(FlashError::Base).map_err(PatchError::Flash)?;
    if got.starts_with(&wanted.digest) { Ok(()) } else { Err(PatchError::BaseMismatch) }
}

/// Compares the hash of what stands in a slot with the signed one.
pub(crate) fn check_image<F: ReadNorFlash>(
    slot: &mut F,
    manifest: &VerifiedManifest,
) -> Result<(), PatchError> {
    let digest = digest_of(slot, manifest.target_size)
        .map_err(|kind| PatchError::Flash(FlashError::Target(kind)))?;
    if digest == manifest.target_digest { Ok(()) } else { Err(PatchError::ImageMismatch) }
}

/// The hash of the first `size` bytes of a flash.
fn digest_of<F: ReadNorFlash>(flash: &mut F, size: u32) -> Result<Digest, NorFlashErrorKind> {
    digest_of_read(&mut |offset, into| read_unaligned(flash, offset, into), size)
}

/// The same of what can be read; compiled once for all flashes.
fn digest_of_read(read: Read<'_>, size: u32) -> Result<Digest, NorFlashErrorKind> {
    let mut hasher = Sha256::new();
    let mut buffer = [0; 256];
    let mut offset = 0u32;
    while offset < size {
        let len = to_usize(size.saturating_sub(offset)).min(buffer.len());
        let bytes = buffer.get_mut(..len).unwrap_or_default();
        read(offset, bytes)?;
        hasher.update(bytes);
        offset = offset.wrapping_add(to_u32(len));
    }
    Ok(finish(hasher))
}

fn fits(size: u32, room: usize) -> bool {
    usize::try_from(size).is_ok_and(|size| size <= room)
}
