//! The installation of a staged package into the slot that does not run.

use embedded_storage::nor_flash::{ErrorType, NorFlashError as _, NorFlashErrorKind, ReadNorFlash};
use whittle_format::journal::Kind;
use whittle_format::life::{Phase, SlotId};
use whittle_format::staging::{Progress, Staging};

use super::journal::Journal;
use super::patcher::Patcher;
use super::updater::Updater;
use super::{NorFlash, both};
use crate::error::Culprit;
use crate::flash::{ERASED, read_back};
use crate::life::Event;
use crate::signed_slot::{TRAILER_LEN, image_room, last_sector, trailer_at};
use crate::staged::{PIECE, StagedBlocks, read_envelope};
use crate::{
    Buffers, Device, FlashError, Installed, LifeError, PatchError, Slots, UpdateError, Verifier,
};

#[both]
impl<J: NorFlash, F: NorFlash, V: Verifier + Clone> Updater<'_, J, F, V> {
    /// Installs the staged package into the other slot; after a power cut it goes on with the sector that was at hand.
    ///
    /// The package is decoded from its beginning each time, since that costs no flash; sectors that were written before
    /// the cut are only compared. `watch` is called before each sector is erased, with the bytes of the target that
    /// are written: to feed a watchdog, and to show progress.
    ///
    /// # Errors
    /// [`LifeError::OutOfTurn`] unless a package is staged; [`LifeError::AnotherSlotRuns`]. [`UpdateError::Patch`]: if its
    /// [`culprit`](PatchError::culprit) is the package, the update has failed, and another download is wanted;
    /// otherwise it can be tried again. The running image is untouched.
    pub async fn install<S: NorFlash>(
        &mut self,
        region: &mut S,
        buffers: Buffers<'_>,
        watch: &mut dyn FnMut(u32),
    ) -> Result<Installed, UpdateError> {
        self.check_running()?;
        if self.life.phase != Phase::Verified || self.is_single() {
            return Err(LifeError::OutOfTurn { phase: self.life.phase }.into());
        }
        let staged = self.staged()?;
        let progress = self.progress()?;
        let device = self.device_now();
        let (base, target) = by_role(&mut self.slots, self.life.committed);
        let installation = Installation {
            device: &device,
            verifier: self.verifier.clone(),
            base,
            slot: TargetSlot { slot: target, journal: &mut self.journal, progress, end: 0, watch },
        };
        let outcome = installation.run(region, &staged, buffers).await;
        match &outcome {
            Ok(_) => self.happen(Event::Installed).await?,
            Err(error) if error.culprit() == Culprit::Package => {
                self.fail().await?;
            }
            Err(_) => {
                // What has been written may be wrong: the next try writes everything anew.
                self.journal.append_needed(Kind::Progress, &Progress::default().emit()).await?;
            }
        }
        Ok(outcome?)
    }
}

impl<J: NorFlash, F: NorFlash, V: Verifier> Updater<'_, J, F, V> {
    /// How far an installation has come.
    pub(crate) fn progress(&mut self) -> Result<Progress, UpdateError> {
        let mut bytes = [0; Progress::LEN];
        match self.journal.read(Kind::Progress, &mut bytes)? {
            Some(bytes) => Progress::parse(bytes).map_err(UpdateError::Record),
            None => Ok(Progress::default()),
        }
    }
}

struct Installation<'x, 'd, J, F, V> {
    device: &'x Device<'d>,
    verifier: V,
    base: &'x mut F,
    slot: TargetSlot<'x, J, F>,
}

#[both]
impl<J: NorFlash, F: NorFlash, V: Verifier + Clone> Installation<'_, '_, J, F, V> {
    #[inline(never)]
    async fn run<S: NorFlash>(
        mut self,
        region: &mut S,
        staged: &Staging,
        buffers: Buffers<'_>,
    ) -> Result<Installed, PatchError> {
        // The envelope with what makes a trailer of it.
        let mut trailer = [ERASED; TRAILER_LEN];
        let envelope = read_envelope(region, &mut trailer)?;
        let mut slots = Slots { base: self.base, target: &mut self.slot };
        let mut patcher = Patcher::new(self.device, self.verifier.clone(), buffers);
        let mut input = envelope;
        patcher.push(&mut input, &mut slots).await?;
        let manifest = patcher.manifest().ok_or(PatchError::Truncated)?;
        // A package that is not taken does not cost what is there.
        unseal(slots.target.slot).await.map_err(failed)?;
        let mut blocks = StagedBlocks::new(staged, manifest, envelope.len(), S::WRITE_SIZE);
        while let Some(mut block) = blocks.next() {
            while block.len > 0 {
                let mut bytes = [0; PIECE];
                let mut piece = block.take_piece(region, &mut bytes)?;
                patcher.push(&mut piece, &mut slots).await?;
            }
        }
        let manifest = *patcher.complete(&mut slots).await?;
        seal(self.slot.slot, &trailer).await?;
        Ok(Installed { manifest })
    }
}

fn failed(kind: NorFlashErrorKind) -> PatchError {
    PatchError::Flash(FlashError::Target(kind))
}

/// The target slot without its trailer: what was written before a power cut is left to be compared, and what is written
/// now is counted in the journal, sector by sector. The trailer's sector, into which the image may reach, is never counted:
/// no sector behind it is begun.
struct TargetSlot<'x, J, F> {
    slot: &'x mut F,
    journal: &'x mut Journal<J>,
    progress: Progress,
    /// Where the last write ended; everything in front of it has been read back.
    end: u32,
    watch: &'x mut dyn FnMut(u32),
}

impl<J, F> ErrorType for TargetSlot<'_, J, F> {
    type Error = NorFlashErrorKind;
}

impl<J, F: NorFlash> ReadNorFlash for TargetSlot<'_, J, F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        self.slot.read(offset, bytes).map_err(|error| error.kind())
    }

    fn capacity(&self) -> usize {
        image_room(self.slot)
    }
}

#[both]
impl<J: NorFlash, F: NorFlash> NorFlash for TargetSlot<'_, J, F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        let sector = u32::try_from(F::ERASE_SIZE).unwrap_or(u32::MAX).max(1);
        let whole = self.end.saturating_sub(self.end.checked_rem(sector).unwrap_or(0));
        if whole > self.progress.written {
            self.progress.written = whole;
            let counted = self.journal.append_needed(Kind::Progress, &self.progress.emit()).await;
            counted.map_err(|_| NorFlashErrorKind::Other)?;
        }
        (self.watch)(self.end);
        let from = from.max(self.progress.written);
        if from < to {
            self.slot.erase(from, to).await.map_err(|error| error.kind())
        } else {
            Ok(())
        }
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let old =
            usize::try_from(self.progress.written.saturating_sub(offset)).unwrap_or(usize::MAX);
        // The patcher compares all of it.
        let (old, new) = bytes.split_at_checked(old).unwrap_or((bytes, &[]));
        if !new.is_empty() {
            let at = offset.wrapping_add(u32::try_from(old.len()).unwrap_or(u32::MAX));
            self.slot.write(at, new).await.map_err(|error| error.kind())?;
        }
        self.end = offset.wrapping_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        Ok(())
    }
}

/// The committed slot and the other one.
fn by_role<F>(slots: &mut [F; 2], committed: SlotId) -> (&mut F, &mut F) {
    let [a, b] = slots;
    match committed {
        SlotId::A => (a, b),
        SlotId::B => (b, a),
    }
}

/// Makes sure that the slot does not boot until [`seal`] is called.
#[both]
pub(crate) async fn unseal<F: NorFlash>(slot: &mut F) -> Result<(), NorFlashErrorKind> {
    let from = last_sector(slot, F::ERASE_SIZE);
    let end = u32::try_from(slot.capacity()).unwrap_or(u32::MAX);
    slot.erase(from, end).await.map_err(|error| error.kind())
}

/// Writes the envelope of the image that stands in the slot, and compares it with what reads back.
#[both]
pub(crate) async fn seal<F: NorFlash>(
    slot: &mut F,
    trailer: &[u8; TRAILER_LEN],
) -> Result<(), PatchError> {
    let at = trailer_at(slot);
    slot.write(at, trailer).await.map_err(|error| failed(error.kind()))?;
    read_back(slot, at, trailer).map_err(PatchError::Flash)
}
