//! What a device keeps, and what it does with it: the state machine of [`life`], driven over real flash.

use whittle_format::envelope::Envelope;
use whittle_format::flags::Flags;
use whittle_format::journal::Kind;
use whittle_format::life::{LifeState, Phase, SlotId};
use whittle_format::limits::{MAX_FLAGS_ENVELOPE_BYTES, MAX_STAGE_ENVELOPE_BYTES};
use whittle_format::{FormatError, ShortDigest, Stage, shorten};

use super::install::unseal;
use super::journal::Journal;
use super::{NorFlash, both};
use crate::error::Culprit;
use crate::life::{self, DEFAULT_ATTEMPTS, Event, ResetCause};
use crate::signed_slot::{any_signed_slot, check_slot_for, check_trailer, claims, slot_mut};
use crate::verify::Purpose;
use crate::{
    Boot, Device, DocumentError, LifeError, UpdateError, VerifiedFlags, VerifiedManifest,
    VerifiedStage, Verifier,
};

/// How often a slot is checked whose flash cannot be read.
const CHECKS: u8 = 3;

/// An updater over two slots, either of which runs, and a journal.
///
/// The boot loader opens one, calls [`Self::boot`] and jumps. The application opens one too: it downloads, installs and
/// activates packages, and tells how its health checks ended.
#[derive(Debug)]
pub struct Updater<'d, J, F, V> {
    pub(crate) device: Device<'d>,
    pub(crate) verifier: V,
    pub(crate) journal: Journal<J>,
    pub(crate) slots: [F; 2],
    pub(crate) life: LifeState,
    attempts: u8,
    /// The slot that the program runs from which opened this, if it has told.
    running: Option<SlotId>,
    /// Both slots are one and the same.
    pub(crate) is_single: bool,
    /// Where what this value has staged ends, with nothing begun behind it; 0 if that is not known.
    pub(crate) settled: u32,
}

#[both]
impl<'d, J: NorFlash, F: NorFlash, V: Verifier> Updater<'d, J, F, V> {
    /// Opens the journal; `slots` are A and B.
    ///
    /// A device whose journal is empty or lost believes what its slots hold: the image with the highest security
    /// counter counts as committed, slot A's if both are alike. `device.security_counter` is the lowest that may ever
    /// run, such as one in fuses; the journal's may be higher.
    ///
    /// # Errors
    /// [`UpdateError::Journal`] or [`UpdateError::Record`]: a boot loader then starts [`any_signed_slot`].
    pub async fn open(
        device: &Device<'d>,
        verifier: V,
        journal: J,
        slots: [F; 2],
    ) -> Result<Self, UpdateError> {
        Self::start(device, verifier, Journal::open(journal).await?, slots).await
    }

    /// The same with a journal that is open already.
    pub(crate) async fn start(
        device: &Device<'d>,
        verifier: V,
        journal: Journal<J>,
        slots: [F; 2],
    ) -> Result<Self, UpdateError> {
        let mut updater = Self {
            device: *device,
            verifier,
            journal,
            slots,
            life: LifeState::new(SlotId::A, device.security_counter),
            attempts: DEFAULT_ATTEMPTS,
            running: None,
            is_single: false,
            settled: 0,
        };
        let mut bytes = [0; LifeState::LEN];
        if let Some(stored) = updater.journal.read(Kind::Life, &mut bytes)? {
            updater.life = LifeState::parse(stored).map_err(UpdateError::Record)?;
            return Ok(updater);
        }
        let found = any_signed_slot(device, &updater.verifier, &mut updater.slots);
        if let Some((slot, found)) = found {
            let counter = found.security_counter.max(device.security_counter);
            updater.life = LifeState::new(slot, counter);
        }
        updater.journal.append_needed(Kind::Life, &updater.life.emit()).await?;
        Ok(updater)
    }

    /// The same with another number of attempts of a trial than [`DEFAULT_ATTEMPTS`].
    #[must_use]
    pub fn with_attempts(self, attempts: u8) -> Self {
        Self { attempts, ..self }
    }

    /// Tells which slot the program runs from: an application with two slots does so as soon as it has opened its updater, and
    /// commits nothing otherwise.
    ///
    /// Where the journal cannot be read, or written, the boot loader may start another image than the journal means by now.
    /// What that says of itself would be taken for the other one's, and what it downloads and installs would take its own
    /// place: all of that is [`LifeError::AnotherSlotRuns`] then, until the boot loader has started the one that is meant.
    pub fn set_running_slot(&mut self, slot: SlotId) {
        self.running = Some(slot);
    }

    /// Where the device stands.
    #[must_use]
    pub fn life(&self) -> &LifeState {
        &self.life
    }

    /// The lowest security counter that may run.
    #[must_use]
    pub fn security_counter(&self) -> u32 {
        self.life.security_counter.max(self.device.security_counter)
    }

    /// Tells which slot to start: called once by the boot loader.
    ///
    /// The boot is counted in the journal before anything is looked at, so that an image that never comes up uses up its
    /// attempts. Where it cannot be counted, the committed image starts: a trial would have attempts without an end. Only a slot
    /// that holds a signed image, whole, is ever returned; if it is not the one that should boot, the journal says so afterwards.
    ///
    /// # Errors
    /// [`UpdateError::Journal`]: a boot loader then starts [`any_signed_slot`].
    pub async fn boot(&mut self, cause: ResetCause) -> Result<Boot, UpdateError> {
        if let Err(error) = self.happen(Event::Boot(cause)).await {
            let committed = self.life.committed;
            let found = self.bootable(committed).ok_or(error)?;
            return Ok(Boot::Slot(committed, found));
        }
        loop {
            let slot = life::boots_from(&self.life);
            if let Some(manifest) = self.bootable(slot) {
                if slot == self.life.committed {
                    let counter = manifest.security_counter;
                    self.enter(&life::with_committed_counter(&self.life, counter)).await?;
                    self.withdraw_rejected().await;
                }
                return Ok(Boot::Slot(slot, manifest));
            }
            let was_trial = self.life.phase == Phase::Trial;
            let other = !self.is_single() && self.bootable(slot.other()).is_some();
            self.happen(Event::Damaged { other }).await?;
            if !was_trial && !other {
                return Ok(Boot::Recovery);
            }
        }
    }

    /// The image in a slot if it may boot now.
    fn bootable(&mut self, slot: SlotId) -> Option<VerifiedManifest> {
        let device = self.device_now();
        let is_trial = self.life.phase == Phase::Trial && slot != self.life.committed;
        // What an idle device has in its other slot ran before, as a rule: it may be all that is left.
        let is_new = slot != self.life.committed
            && matches!(self.life.phase, Phase::Verified | Phase::Installed | Phase::Trial);
        let purpose = if is_new { Purpose::Starting } else { Purpose::Installed };
        let flash = slot_mut(&mut self.slots, slot);
        let mut checks = CHECKS;
        let checked = loop {
            let checked = check_slot_for(purpose, flash, &device, &self.verifier);
            checks = checks.saturating_sub(1);
            let may_differ =
                checked.as_ref().is_err_and(|error| error.culprit() == Culprit::Hardware);
            if checks == 0 || !may_differ {
                break checked;
            }
        };
        checked.ok().filter(|manifest| {
            let digest = shorten(&manifest.target_digest);
            let is_wanted = !is_trial || digest == self.life.target;
            let is_rejected = slot != self.life.committed && digest == self.life.rejected;
            is_wanted && !is_rejected
        })
    }

    /// Takes the trailer from an image that was rolled back: were the journal lost, it would count as the newest one.
    ///
    /// Where that fails, the next boot tries again.
    async fn withdraw_rejected(&mut self) {
        let LifeState { committed, rejected, .. } = &self.life;
        if self.is_single() || *rejected == ShortDigest::default() {
            return;
        }
        let other = slot_mut(&mut self.slots, committed.other());
        if claims(other, rejected) {
            let _ = unseal(other).await;
        }
    }

    /// Starts what is installed at the next boot.
    ///
    /// # Errors
    /// [`LifeError::OutOfTurn`] unless something is installed, or [`UpdateError::Journal`];
    /// [`UpdateError::Patch`] if the key that signed it is not trusted any more: another download is wanted.
    pub async fn activate(&mut self) -> Result<(), UpdateError> {
        let mut next = self.life;
        life::step(&mut next, Event::Activate, self.attempts)?;
        let slot = slot_mut(&mut self.slots, self.life.committed.other());
        check_trailer(Purpose::Starting, slot, &self.verifier)?;
        self.enter(&next).await
    }

    /// All health checks passed: the image on trial is committed, and the security counter rises to its own.
    ///
    /// # Errors
    /// [`LifeError::OutOfTurn`] unless a trial runs, [`LifeError::AnotherSlotRuns`] also as long as nobody
    /// [has told](Self::set_running_slot) which one does, or [`UpdateError::Journal`].
    pub async fn healthy(&mut self) -> Result<(), UpdateError> {
        if self.life.phase == Phase::Trial && self.running.is_none() {
            return Err(LifeError::AnotherSlotRuns.into());
        }
        self.judge(Event::Healthy).await
    }

    /// A health check failed: the next boot starts the committed image.
    ///
    /// # Errors
    /// [`LifeError::OutOfTurn`] unless a trial runs, [`LifeError::AnotherSlotRuns`], or [`UpdateError::Journal`].
    pub async fn unhealthy(&mut self) -> Result<(), UpdateError> {
        self.judge(Event::Unhealthy).await
    }

    /// The health checks did not end in time: the next boot starts the committed image.
    ///
    /// # Errors
    /// [`LifeError::OutOfTurn`] unless a trial runs, [`LifeError::AnotherSlotRuns`], or [`UpdateError::Journal`].
    pub async fn too_late(&mut self) -> Result<(), UpdateError> {
        self.judge(Event::TooLate).await
    }

    /// Gives up the package that is being downloaded, or that could not be installed; if it is a delta, that counts as
    /// one of its failures. Where an installation in place has begun, nothing boots then but a recovery.
    ///
    /// # Errors
    /// [`LifeError::OutOfTurn`] unless there is one, [`LifeError::AnotherSlotRuns`], or [`UpdateError::Journal`].
    pub async fn abandon(&mut self) -> Result<(), UpdateError> {
        self.check_running()?;
        self.fail().await
    }

    /// Switches features of the running image off, one bit each, because they were found to fail.
    ///
    /// # Errors
    /// [`LifeError::AnotherSlotRuns`] or [`UpdateError::Journal`].
    pub async fn disable(&mut self, features: u32) -> Result<(), UpdateError> {
        self.judge(Event::Disable(features)).await
    }

    /// Switches them on again.
    ///
    /// # Errors
    /// [`LifeError::AnotherSlotRuns`] or [`UpdateError::Journal`].
    pub async fn enable(&mut self, features: u32) -> Result<(), UpdateError> {
        self.judge(Event::Enable(features)).await
    }

    /// Features of the running image that are switched off, one bit each.
    #[must_use]
    pub fn disabled(&self) -> u32 {
        let LifeState { committed, disabled, .. } = self.life;
        if self.running == Some(committed) { disabled } else { life::disabled(&self.life) }
    }

    /// Checks a flags document and keeps it; its version is never below that of the one that is kept.
    ///
    /// A kept one counts only as long as its key is trusted: otherwise whoever has stolen a key could sign the highest version
    /// there is, and no other document would follow it.
    ///
    /// # Errors
    /// [`UpdateError::Document`] or [`UpdateError::Journal`]; [`UpdateError::Record`] if this firmware is too old to read what
    /// is kept. What was kept before still is.
    pub async fn accept_flags(&mut self, envelope: &[u8]) -> Result<(), UpdateError> {
        let mut bytes = [0; MAX_FLAGS_ENVELOPE_BYTES];
        let version = match self.journal.read(Kind::Flags, &mut bytes)? {
            Some(kept) => version_of_kept(kept, &self.verifier)?,
            None => 0,
        };
        VerifiedFlags::check(envelope, self.device.product, version, &self.verifier)?;
        Ok(self.journal.append(Kind::Flags, envelope).await?)
    }

    /// The flags document that is kept.
    ///
    /// # Errors
    /// [`UpdateError::Journal`], or [`UpdateError::Document`] if the key that signed it is not trusted any more.
    pub fn flags<'b>(
        &mut self,
        into: &'b mut [u8; MAX_FLAGS_ENVELOPE_BYTES],
    ) -> Result<Option<VerifiedFlags<'b>>, UpdateError> {
        let Some(envelope) = self.journal.read(Kind::Flags, into)? else { return Ok(None) };
        let flags = VerifiedFlags::check(envelope, self.device.product, 0, &self.verifier)?;
        Ok(Some(flags))
    }

    /// Checks a stage of a rollout and keeps it; it never falls behind the one that is kept.
    ///
    /// # Errors
    /// [`UpdateError::Document`] or [`UpdateError::Journal`]; [`UpdateError::Record`] if this firmware is too old to read what
    /// is kept. What was kept before still is.
    pub async fn accept_stage(&mut self, envelope: &[u8]) -> Result<VerifiedStage, UpdateError> {
        let mut bytes = [0; MAX_STAGE_ENVELOPE_BYTES];
        let kept = match self.journal.read(Kind::Stage, &mut bytes)? {
            Some(kept) => Some(kept_as(kept, Stage::parse)?),
            None => None,
        };
        let product = self.device.product;
        let stage = VerifiedStage::check(envelope, product, kept.as_ref(), &self.verifier)?;
        self.journal.append(Kind::Stage, envelope).await?;
        Ok(stage)
    }

    /// The stage that is kept.
    ///
    /// # Errors
    /// [`UpdateError::Journal`], or [`UpdateError::Document`] if the key that signed it is not trusted any more.
    pub fn stage(&mut self) -> Result<Option<VerifiedStage>, UpdateError> {
        let mut bytes = [0; MAX_STAGE_ENVELOPE_BYTES];
        let Some(envelope) = self.journal.read(Kind::Stage, &mut bytes)? else { return Ok(None) };
        Ok(Some(VerifiedStage::check(envelope, self.device.product, None, &self.verifier)?))
    }

    /// Keeps something of the application's, at most 1024 bytes, in place of what it kept before; nothing for no bytes.
    ///
    /// # Errors
    /// [`UpdateError::Journal`]; what was kept before still is.
    pub async fn keep(&mut self, bytes: &[u8]) -> Result<(), UpdateError> {
        Ok(self.journal.append(Kind::Application, bytes).await?)
    }

    /// What the application keeps.
    ///
    /// # Errors
    /// [`UpdateError::Journal`].
    pub fn kept<'b>(&mut self, into: &'b mut [u8]) -> Result<Option<&'b [u8]>, UpdateError> {
        Ok(self.journal.read(Kind::Application, into)?)
    }

    /// Gives the flash back: the journal's, and the slots'.
    pub fn into_flash(self) -> (J, [F; 2]) {
        (self.journal.into_flash(), self.slots)
    }

    /// Whether both slots are one and the same.
    pub(crate) fn is_single(&self) -> bool {
        cfg!(feature = "in-place") && self.is_single
    }

    /// The device with the security counter that holds now.
    #[inline(never)]
    pub(crate) fn device_now(&self) -> Device<'d> {
        Device { security_counter: self.security_counter(), ..self.device }
    }

    /// Takes the word of an image about itself.
    async fn judge(&mut self, event: Event) -> Result<(), UpdateError> {
        let mut next = self.life;
        life::step(&mut next, event, self.attempts)?;
        self.check_running()?;
        self.enter(&next).await
    }

    /// Whether the slot runs that the journal means, as far as anybody has told.
    pub(crate) fn check_running(&self) -> Result<(), LifeError> {
        let is_another = self.running.is_some_and(|slot| slot != life::boots_from(&self.life));
        if is_another { Err(LifeError::AnotherSlotRuns) } else { Ok(()) }
    }

    pub(crate) async fn happen(&mut self, event: Event) -> Result<(), UpdateError> {
        let mut life = self.life;
        life::step(&mut life, event, self.attempts)?;
        self.enter(&life).await
    }

    /// Gives up what was at hand for a package that is about to be stored.
    pub(crate) async fn begin_download(&mut self, event: Event) -> Result<(), UpdateError> {
        let mut next = self.life;
        life::step(&mut next, event, self.attempts)?;
        self.discard_new().await;
        self.enter(&next).await
    }

    /// Gives up what was at hand, since it failed.
    pub(crate) async fn fail(&mut self) -> Result<(), UpdateError> {
        let mut next = self.life;
        life::step(&mut next, Event::Failed, self.attempts)?;
        self.discard_new().await;
        self.enter(&next).await
    }

    /// Takes the trailer from an image that never started, before nobody remembers that it did not: it must not be taken for
    /// what ran before. A power cut may have left one whose installation was not counted.
    ///
    /// Where the flash refuses that, nothing can be installed there either.
    async fn discard_new(&mut self) {
        let LifeState { phase, committed, target, .. } = &self.life;
        let is_new = matches!(phase, Phase::Verified | Phase::Installed | Phase::Pending);
        if !is_new || self.is_single() {
            return;
        }
        let other = slot_mut(&mut self.slots, committed.other());
        if claims(other, target) {
            let _ = unseal(other).await;
        }
    }

    /// Puts a state into the journal, and only then into effect.
    async fn enter(&mut self, life: &LifeState) -> Result<(), UpdateError> {
        let record = life.emit();
        if record != self.life.emit() {
            self.journal.append_needed(Kind::Life, &record).await?;
            self.life = *life;
        }
        Ok(())
    }
}

/// The version below which no flags document may be any more.
#[inline(never)]
fn version_of_kept(kept: &[u8], verifier: &impl Verifier) -> Result<u32, UpdateError> {
    match VerifiedFlags::authenticate(kept, verifier) {
        Err(DocumentError::UnknownKey) => Ok(0),
        _ => Ok(kept_as(kept, Flags::parse)?.head.version),
    }
}

/// What a kept document says. It was authentic when it was kept; its key may have been revoked since.
fn kept_as<'a, T>(
    kept: &'a [u8],
    parse: impl FnOnce(&'a [u8]) -> Result<T, FormatError>,
) -> Result<T, UpdateError> {
    let envelope = Envelope::parse(kept).map_err(UpdateError::Record)?.0;
    parse(envelope.payload).map_err(UpdateError::Record)
}
