//! The whole device side in one machine.

use embedded_storage::nor_flash::{NorFlashError as _, ReadNorFlash};
#[cfg(feature = "in-place")]
use whittle_delta::ArrangementBuffers;
use whittle_delta::Wants;

use super::turn::Turn;
use super::{NorFlash, both};
use crate::admission::check_image;
use crate::codec::CodecDecoder;
use crate::flash::{FlashImages, Slots, read_back};
use crate::page::Page;
use crate::receiver::{Event, Receiver};
use crate::{
    Buffers, Device, FlashError, Installed, PatchError, Status, VerifiedManifest, Verifier,
};

/// Applies one package to a slot.
pub struct Patcher<'a, V> {
    receiver: Receiver<'a, V>,
    #[cfg(feature = "in-place")]
    arrangement: Option<ArrangementBuffers<'a>>,
    decoder: CodecDecoder<'a>,
    page: Page<'a>,
    turn: Turn,
}

#[both]
impl<'a, V: Verifier> Patcher<'a, V> {
    /// A patcher for one package.
    pub fn new(device: &Device<'a>, verifier: V, buffers: Buffers<'a>) -> Self {
        let Buffers { block, page, compact } = buffers;
        let receiver = Receiver::new(device, verifier, block);
        let (page, turn) = (Page::new(page), Turn::default());
        Self {
            receiver,
            #[cfg(feature = "in-place")]
            arrangement: None,
            decoder: CodecDecoder::new(compact),
            page,
            turn,
        }
    }

    /// The same that takes deltas made for an application in place too, and applies them to another slot.
    #[cfg(feature = "in-place")]
    #[must_use]
    pub fn with_arrangement(self, buffers: ArrangementBuffers<'a>) -> Self {
        Self { arrangement: Some(buffers), ..self }
    }

    /// What is being applied, once its envelope has come.
    #[must_use]
    pub fn manifest(&self) -> Option<&VerifiedManifest> {
        self.receiver.manifest()
    }

    /// Takes the whole chunk, unless the package ends inside it.
    ///
    /// Nothing is written before the signature, the fitness for this device and the base's hash have been checked,
    /// and no block is decoded before its own hash has.
    ///
    /// # Errors
    /// [`PatchError`]; the target slot then holds nothing that may boot. Later calls return the same error.
    pub async fn push<B: ReadNorFlash, T: NorFlash>(
        &mut self,
        input: &mut &[u8],
        slots: &mut Slots<'_, B, T>,
    ) -> Result<Status, PatchError> {
        self.turn.begin()?;
        let outcome = self.take(input, slots).await;
        self.turn.end();
        outcome
    }

    async fn take<B: ReadNorFlash, T: NorFlash>(
        &mut self,
        input: &mut &[u8],
        slots: &mut Slots<'_, B, T>,
    ) -> Result<Status, PatchError> {
        loop {
            let capacity = slots.target.capacity();
            let outcome = match self.receiver.next(input, slots.base, capacity)? {
                Event::NeedMore => return Ok(Status::NeedMore),
                Event::End => return Ok(Status::Done),
                Event::Admitted => self.prepare::<T>(),
                Event::Payload => self.decode(slots, At::Block).await,
            };
            outcome.map_err(|error| self.receiver.fail(error))?;
        }
    }

    /// Ends the package: flushes the last page and compares the SHA-256 of the whole image with the signed one.
    ///
    /// # Errors
    /// [`PatchError::Truncated`] if bytes are missing, [`PatchError::ImageMismatch`], or the error that
    /// [`Self::push`] returned; the target slot then holds nothing that may boot.
    pub async fn finish<B: ReadNorFlash, T: NorFlash>(
        mut self,
        slots: &mut Slots<'_, B, T>,
    ) -> Result<Installed, PatchError> {
        self.turn.begin()?;
        let manifest = *self.complete(slots).await?;
        Ok(Installed { manifest })
    }

    pub(crate) async fn complete<B: ReadNorFlash, T: NorFlash>(
        &mut self,
        slots: &mut Slots<'_, B, T>,
    ) -> Result<&VerifiedManifest, PatchError> {
        self.receiver.finish()?;
        self.decode(slots, At::End).await?;
        let manifest = self.receiver.finish()?;
        check_image(slots.target, manifest)?;
        Ok(manifest)
    }

    #[inline(never)]
    fn prepare<T: NorFlash>(&mut self) -> Result<(), PatchError> {
        let manifest = self.receiver.manifest().ok_or(PatchError::Truncated)?;
        self.page.check::<T>(T::WRITE_SIZE).map_err(PatchError::Flash)?;
        self.decoder.begin(
            manifest,
            #[cfg(feature = "in-place")]
            self.arrangement.take(),
        )
    }

    /// Decodes the payload at hand, or what is behind its end, and writes a page whenever one is full.
    async fn decode<B: ReadNorFlash, T: NorFlash>(
        &mut self,
        slots: &mut Slots<'_, B, T>,
        at: At,
    ) -> Result<(), PatchError> {
        let mut payload = self.receiver.payload();
        loop {
            let mut images =
                FlashImages { base: slots.base, target: slots.target, page: &mut self.page };
            let wants = match at {
                At::Block => self.decoder.push(&mut payload, &mut images),
                At::End => self.decoder.finish(&mut images),
            };
            let is_done = wants? != Wants::Room;
            if is_done && (at == At::Block || !self.page.has_unwritten()) {
                return Ok(());
            }
            write(&mut self.page, slots.target).await?;
        }
    }
}

/// Where in the payload the decoder is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Block,
    End,
}

/// Writes the page, or as much of it as there is, and compares it with what reads back; each sector is erased when its
/// first byte is wanted.
#[both]
pub(crate) async fn write<T: NorFlash>(
    page: &mut Page<'_>,
    flash: &mut T,
) -> Result<(), PatchError> {
    let failed = |cause| PatchError::Flash(FlashError::Target(cause));
    let sector = u32::try_from(T::ERASE_SIZE).unwrap_or(u32::MAX).max(1);
    let at = page.flushed;
    let len = page.next_write(T::WRITE_SIZE).len();
    let end = at.wrapping_add(u32::try_from(len).unwrap_or(u32::MAX));
    while page.erased < end {
        let next = page.erased.wrapping_add(sector);
        flash.erase(page.erased, next).await.map_err(|error| failed(error.kind()))?;
        page.erased = next;
    }
    let bytes = page.next_write(T::WRITE_SIZE);
    flash.write(at, bytes).await.map_err(|error| failed(error.kind()))?;
    read_back(flash, at, bytes).map_err(PatchError::Flash)?;
    page.advance(len);
    Ok(())
}
