//! The whole device side in one machine.

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use whittle_delta::compact::Memory;
use whittle_delta::{ArrangementBuffers, Wants};

use crate::admission::check_image;
use crate::codec::CodecDecoder;
use crate::flash::{FlashImages, SlotWriter, Slots};
use crate::receiver::{Event, Receiver};
use crate::{DecodeError, Device, FlashError, PatchError, Status, VerifiedManifest, Verifier};

/// Memory that the caller lends to the patcher.
pub struct Buffers<'a> {
    /// Holds one block: the block size that packages are built with (4096 bytes by default, 65536 for devices with 1 MiB
    /// of RAM for decoding), or the whole payload where that is smaller.
    pub block: &'a mut [u8],
    /// Holds what is written at a time: any multiple of the flash's write size, best a flash page.
    pub page: &'a mut [u8],
    /// Holds what the `compact` codec remembers, such as [`compact::MediumTables`](crate::compact::MediumTables);
    /// without it, packages of that codec are refused.
    pub compact: Option<Memory<'a>>,
}

/// A target image that stands complete and authentic in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Installed {
    /// What was installed.
    pub manifest: VerifiedManifest,
}

/// Applies one package to a slot.
pub struct Patcher<'a, V> {
    receiver: Receiver<'a, V>,
    compact: Option<Memory<'a>>,
    arrangement: Option<ArrangementBuffers<'a>>,
    decoder: Option<CodecDecoder<'a>>,
    writer: SlotWriter<'a>,
}

impl<'a, V: Verifier> Patcher<'a, V> {
    /// A patcher for one package.
    pub fn new(device: &Device<'a>, verifier: V, buffers: Buffers<'a>) -> Self {
        let Buffers { block, page, compact } = buffers;
        let receiver = Receiver::new(device, verifier, block);
        let writer = SlotWriter::new(page);
        Self { receiver, compact, arrangement: None, decoder: None, writer }
    }

    /// The same that takes deltas made for an application in place too, and applies them to another slot.
    #[must_use]
    pub fn with_arrangement(self, buffers: ArrangementBuffers<'a>) -> Self {
        Self { arrangement: Some(buffers), ..self }
    }

    /// What is being applied, once its envelope has come.
    #[must_use]
    pub fn manifest(&self) -> Option<VerifiedManifest> {
        self.receiver.manifest()
    }

    /// Takes the whole chunk, unless the package ends inside it.
    ///
    /// Nothing is written before the signature, the fitness for this device and the base's hash have been checked,
    /// and no block is decoded before its own hash has.
    ///
    /// # Errors
    /// [`PatchError`]; the target slot then holds nothing that may boot. Later calls return the same error.
    pub fn push<B: ReadNorFlash, T: NorFlash>(
        &mut self,
        input: &mut &[u8],
        slots: &mut Slots<'_, B, T>,
    ) -> Result<Status, PatchError> {
        loop {
            let capacity = slots.target.capacity();
            let outcome = match self.receiver.next(input, slots.base, capacity)? {
                Event::NeedMore => return Ok(Status::NeedMore),
                Event::End => return Ok(Status::Done),
                Event::Admitted(manifest) => {
                    prepare::<T>(&manifest, &self.writer, &mut self.compact, &mut self.arrangement)
                        .map(|new| self.decoder = Some(new))
                }
                Event::Payload => decode(&mut self.decoder, |decoder| {
                    let mut payload = self.receiver.payload();
                    decoder.push(&mut payload, &mut images(&mut self.writer, slots))
                }),
            };
            outcome.map_err(|error| self.receiver.fail(error))?;
        }
    }

    /// Ends the package: flushes the last page and compares the SHA-256 of the whole image with the signed one.
    ///
    /// # Errors
    /// [`PatchError::Truncated`] if bytes are missing, [`PatchError::ImageMismatch`], or the error that
    /// [`Self::push`] returned; the target slot then holds nothing that may boot.
    pub fn finish<B: ReadNorFlash, T: NorFlash>(
        mut self,
        slots: &mut Slots<'_, B, T>,
    ) -> Result<Installed, PatchError> {
        let manifest = self.receiver.finish()?;
        decode(&mut self.decoder, |decoder| decoder.finish(&mut images(&mut self.writer, slots)))?;
        if self.writer.has_unwritten() {
            self.writer.flush(slots.target).map_err(PatchError::Flash)?;
        }
        check_image(slots.target, &manifest)?;
        Ok(Installed { manifest })
    }
}

fn prepare<'a, T: NorFlash>(
    manifest: &VerifiedManifest,
    writer: &SlotWriter<'_>,
    compact: &mut Option<Memory<'a>>,
    arrangement: &mut Option<ArrangementBuffers<'a>>,
) -> Result<CodecDecoder<'a>, PatchError> {
    writer.check::<T>().map_err(PatchError::Flash)?;
    CodecDecoder::new(manifest, compact.take(), arrangement.take())
}

/// Runs a step of the decoder.
fn decode(
    decoder: &mut Option<CodecDecoder<'_>>,
    step: impl FnOnce(&mut CodecDecoder<'_>) -> Result<Wants, DecodeError<FlashError>>,
) -> Result<(), PatchError> {
    let decoder = decoder.as_mut().ok_or(PatchError::Truncated)?;
    // There is always room.
    step(decoder).map(|_| ()).map_err(PatchError::from)
}

fn images<'x, 'b, B, T>(
    writer: &'x mut SlotWriter<'b>,
    slots: &'x mut Slots<'_, B, T>,
) -> FlashImages<'x, 'b, B, T> {
    FlashImages { base: slots.base, target: slots.target, writer }
}
