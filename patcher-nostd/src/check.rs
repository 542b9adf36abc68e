//! A dry run: everything that can be known about a package before the first write.

use embedded_storage::nor_flash::ReadNorFlash;
use whittle_format::envelope::Envelope;

use crate::blocks::BlockReader;
use crate::receiver::{Event, Receiver};
use crate::verify::{Purpose, verify_manifest};
use crate::{Device, PatchError, Status, VerifiedManifest, Verifier};

/// Checks a whole package without decoding it: signature, fitness for the device, base and every block.
///
/// For devices that store a package before they install it. It needs a block buffer and no target slot.
pub struct PackageChecker<'a, V> {
    receiver: Receiver<'a, V>,
}

impl<'a, V: Verifier> PackageChecker<'a, V> {
    /// A checker for one package; the block buffer must hold the package's largest block (see [`crate::Buffers`]).
    pub fn new(device: &Device<'a>, verifier: V, block_buffer: &'a mut [u8]) -> Self {
        Self { receiver: Receiver::new(device, verifier, block_buffer) }
    }

    /// Takes the whole chunk, unless the package ends inside it.
    ///
    /// # Errors
    /// [`PatchError`]; nothing is ever written. Later calls return the same error.
    pub fn push<B: ReadNorFlash>(
        &mut self,
        input: &mut &[u8],
        base: &mut B,
        slot_bytes: usize,
    ) -> Result<Status, PatchError> {
        loop {
            match self.receiver.next(input, base, slot_bytes)? {
                Event::Admitted | Event::Payload => {}
                Event::NeedMore => return Ok(Status::NeedMore),
                Event::End => return Ok(Status::Done),
            }
        }
    }

    /// Ends the package and returns its manifest.
    ///
    /// # Errors
    /// [`PatchError::Truncated`] if bytes are missing, or the error that [`Self::push`] returned.
    pub fn finish(self) -> Result<VerifiedManifest, PatchError> {
        self.receiver.finish().copied()
    }
}

/// Checks that every byte of a complete package is authentic, whatever device it is for.
///
/// For mirrors and pipelines; a device asks a [`PackageChecker`]. The block buffer is as in [`crate::Buffers`].
///
/// # Errors
/// [`PatchError`]; [`PatchError::Truncated`] or [`PatchError::TrailingBytes`] if it is not exactly one package.
pub fn authenticate(
    package: &[u8],
    verifier: &impl Verifier,
    block_buffer: &mut [u8],
) -> Result<VerifiedManifest, PatchError> {
    let len =
        Envelope::length(package).map_err(PatchError::Envelope)?.ok_or(PatchError::Truncated)?;
    let (envelope, mut rest) = package.split_at_checked(len).ok_or(PatchError::Truncated)?;
    let manifest = verify_manifest(envelope, Purpose::Arriving, verifier)?;
    let mut blocks = BlockReader::new(block_buffer);
    blocks.begin(&manifest);
    while !blocks.is_done() {
        if !blocks.push(&mut rest)? {
            return Err(PatchError::Truncated);
        }
    }
    if rest.is_empty() { Ok(manifest) } else { Err(PatchError::TrailingBytes) }
}
