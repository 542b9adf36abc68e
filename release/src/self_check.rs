//! Replays a package on the very crate that goes into firmware, before anybody signs it.

use whittle_delta::compact::HugeTables;
use whittle_format::Manifest;
use whittle_patcher_nostd::{
    ArrangementBuffers, Buffers, Device, InPlaceDecoder, KeyId, PatchError, Patcher, Slots, Status,
    Verifier, VerifyError,
};

use crate::image::Image;
use crate::package::Package;
use crate::ram_flash::{MappedImage, RamFlash};
use crate::{Error, Result};

/// No multiple of any block or page, so that boundaries fall everywhere.
const CHUNK: usize = 1009;

/// Bytes written at a time.
const PAGE: usize = 256;

/// Lets anything through: what is replayed is not signed yet.
struct NotYetSigned;

impl Verifier for NotYetSigned {
    fn verify(&self, _: &KeyId, _: &[u8], _: &[u8; 64]) -> Result<(), VerifyError> {
        Ok(())
    }
}

/// Applies the package to its base in simulated flash and compares the outcome with the target.
///
/// # Errors
/// [`Error::SelfCheck`].
pub(crate) fn replay(
    what: &str,
    package: &Package,
    manifest: &Manifest,
    base: Option<&Image>,
    target: &Image,
) -> Result<()> {
    let failed = |why: String| Error::SelfCheck { what: what.to_owned(), why };
    let device = device_for(manifest);
    let base = base.map_or(&[][..], Image::bytes);
    let slot = RamFlash::with_room_for(target.size());
    let image = install(&package.unsigned()?, &device, NotYetSigned, manifest, base, slot)
        .map_err(|error| failed(error.to_string()))?;
    if image == target.bytes() {
        Ok(())
    } else {
        Err(failed("the replay gave another image".to_owned()))
    }
}

/// A device that fits the manifest exactly.
pub(crate) fn device_for(manifest: &Manifest) -> Device<'_> {
    Device {
        product: manifest.product.as_str(),
        hardware_revision: manifest.hardware.min,
        security_counter: manifest.security_counter,
        decoder_ram_bytes: manifest.decoder_ram_bytes(),
    }
}

/// Feeds a package to the patcher and returns what stands in the slot.
///
/// # Errors
/// [`PatchError`]; the slot is gone then.
pub(crate) fn install(
    package: &[u8],
    device: &Device<'_>,
    verifier: impl Verifier,
    manifest: &Manifest,
    base: &[u8],
    mut slot: RamFlash,
) -> Result<Vec<u8>, PatchError> {
    let mut block = vec![0; 1 << manifest.block_log2];
    let mut page = [0; PAGE];
    let mut base = MappedImage(base);
    let mut slots = Slots { base: &mut base, target: &mut slot };
    let mut tables = Box::new(HugeTables::NEW);
    let buffers = Buffers { block: &mut block, page: &mut page, compact: Some(tables.lend()) };
    // Of deltas in place, the base is left where it is: the decoder makes the same of it.
    let (mut seats, mut head) = (vec![0; 1 << 16], [0; InPlaceDecoder::HEAD_BYTES]);
    let arrangement = ArrangementBuffers { seats: &mut seats, head: &mut head };
    let mut patcher = Patcher::new(device, verifier, buffers).with_arrangement(arrangement);
    for mut chunk in package.chunks(CHUNK) {
        if patcher.push(&mut chunk, &mut slots)? == Status::Done && !chunk.is_empty() {
            return Err(PatchError::TrailingBytes);
        }
    }
    let installed = patcher.finish(&mut slots)?;
    Ok(slot.into_image(installed.manifest.target_size))
}
