//! A download into the staging region, which goes on after a power cut where the last whole block ended.

use whittle_format::journal::Kind;
use whittle_format::life::{PackageKind, Phase};
use whittle_format::limits::MAX_MANIFEST_ENVELOPE_BYTES;
use whittle_format::manifest::{BaseRef, Codec, Manifest};
use whittle_format::shorten;
use whittle_format::staging::{Progress, Staging};

use super::staging::{Put, put};
use super::turn::Turn;
use super::updater::Updater;
use super::{NorFlash, both};
use crate::life;
use crate::numbers::{to_u32, to_usize};
use crate::receiver::{Event, Receiver};
use crate::signed_slot::{image_room, last_sector, slot_mut};
use crate::staged::{StagedBlocks, extent, read_envelope, read_link, skip_doubtful};
use crate::{
    Culprit, JournalError, LifeError, PatchError, StagingError, Status, UpdateError,
    VerifiedManifest, Verifier,
};

/// A download of one package, fed with chunks of any size.
///
/// Every block is authenticated before it is staged, and counted in the journal after it has been read back. Dropping
/// this value, or losing power, loses nothing but the block at hand: [`Updater::resume`] makes another one.
pub struct Download<'u, 'd, J, F, S, V> {
    updater: &'u mut Updater<'d, J, F, V>,
    region: &'u mut S,
    receiver: Receiver<'u, V>,
    state: Staging,
    /// Why what the receiver passed on was not staged, so that nothing behind it can be.
    failed: Option<UpdateError>,
    turn: Turn,
}

#[both]
impl<'d, J: NorFlash, F: NorFlash, V: Verifier + Clone> Updater<'d, J, F, V> {
    /// Begins the download of a package at its first byte; what was staged before is given up.
    ///
    /// `block_buffer` is as in [`Buffers`](crate::Buffers); `region` must hold the package and, for each power cut that
    /// shall be survived without beginning anew, one block more.
    ///
    /// # Errors
    /// [`LifeError::OutOfTurn`] while a trial runs: commit it, or roll it back, before anything else is downloaded;
    /// [`LifeError::AnotherSlotRuns`].
    pub fn download<'u, S: NorFlash>(
        &'u mut self,
        region: &'u mut S,
        block_buffer: &'u mut [u8],
    ) -> Result<Download<'u, 'd, J, F, S, V>, UpdateError>
    where
        'd: 'u,
    {
        self.check_running()?;
        if self.life.phase == Phase::Trial {
            return Err(LifeError::OutOfTurn { phase: Phase::Trial }.into());
        }
        let receiver = Receiver::new(&self.device_now(), self.verifier.clone(), block_buffer);
        Ok(Download {
            updater: self,
            region,
            receiver,
            state: Staging::default(),
            failed: None,
            turn: Turn::default(),
        })
    }

    /// Goes on with the download that was interrupted; `None` if there is nothing to go on with.
    ///
    /// [`Download::offset`] tells where in the package file. An updater that stays open where a connection breaks leaves no
    /// gap in the region; a new one skips a block's length, and can do so 16 times in one download.
    ///
    /// # Errors
    /// [`UpdateError::Journal`], [`UpdateError::Record`], [`LifeError::AnotherSlotRuns`], and errors of flash that cannot be
    /// read now: it may be there later.
    #[inline(never)]
    pub async fn resume<'u, S: NorFlash>(
        &'u mut self,
        region: &'u mut S,
        block_buffer: &'u mut [u8],
    ) -> Result<Option<Download<'u, 'd, J, F, S, V>>, UpdateError>
    where
        'd: 'u,
    {
        if self.life.phase != Phase::Downloading {
            return Ok(None);
        }
        let state = self.staged()?;
        let mut download = self.download(region, block_buffer)?;
        if state.next == 0 || !download.restore(state)? {
            return Ok(None);
        }
        if download.state.next != state.next {
            download.count(download.state).await?;
        }
        Ok(Some(download))
    }
}

impl<J: NorFlash, F: NorFlash, V: Verifier> Updater<'_, J, F, V> {
    /// The journal's record of what is staged.
    pub(crate) fn staged(&mut self) -> Result<Staging, UpdateError> {
        let mut bytes = [0; Staging::MAX_LEN];
        match self.journal.read(Kind::Staging, &mut bytes)? {
            Some(bytes) => Staging::parse(bytes).map_err(UpdateError::Record),
            None => Ok(Staging::default()),
        }
    }

    /// Bytes that a target may have.
    fn room(&mut self) -> usize {
        let is_single = self.is_single();
        let target = slot_mut(&mut self.slots, self.life.committed.other());
        // Of a single slot the last sector is written once all else is.
        if is_single { to_usize(last_sector(target, F::ERASE_SIZE)) } else { image_room(target) }
    }
}

#[both]
impl<J: NorFlash, F: NorFlash, S: NorFlash, V: Verifier> Download<'_, '_, J, F, S, V> {
    /// Where in the package file the bytes are wanted from, when nothing has been pushed yet.
    #[must_use]
    pub fn offset(&self) -> u32 {
        let Some(manifest) = self.manifest() else { return 0 };
        let layout = manifest.block_layout();
        // All blocks but the last are of one size, and behind the last one the package ends.
        let staged = self.state.complete.wrapping_mul(layout.block_size());
        let all = u32::try_from(layout.wire_len()).unwrap_or(u32::MAX);
        to_u32(self.receiver.envelope().len()).wrapping_add(all.min(staged))
    }

    /// What is being downloaded, once its envelope has come.
    #[must_use]
    pub fn manifest(&self) -> Option<&VerifiedManifest> {
        self.receiver.manifest()
    }

    /// Takes the whole chunk, unless the package ends inside it.
    ///
    /// Nothing is written before the signature, the fitness for this device, the base's hash and the room for the package have
    /// been checked.
    ///
    /// # Errors
    /// [`UpdateError`]; what is staged and counted stays, so that [`Updater::resume`] goes on behind it. This value does not:
    /// it tells the same from then on.
    pub async fn push(&mut self, input: &mut &[u8]) -> Result<Status, UpdateError> {
        self.turn.begin().map_err(JournalError::from)?;
        let outcome = self.take(input).await;
        self.turn.end();
        outcome
    }

    async fn take(&mut self, input: &mut &[u8]) -> Result<Status, UpdateError> {
        self.failed.map_or(Ok(()), Err)?;
        loop {
            let room = self.updater.room();
            let base = slot_mut(&mut self.updater.slots, self.updater.life.committed);
            let event = self.receiver.next(input, base, room)?;
            let staged = match event {
                Event::NeedMore => return Ok(Status::NeedMore),
                Event::End => return Ok(Status::Done),
                Event::Admitted => self.begin().await,
                Event::Payload => self.stage(Staged::Block).await,
            };
            self.failed = staged.err();
            staged?;
        }
    }

    /// Ends the download: the package is whole, and can be installed.
    ///
    /// # Errors
    /// [`UpdateError::Patch`] with [`PatchError::Truncated`] if bytes are missing, or
    /// [`UpdateError::Journal`].
    pub async fn finish(mut self) -> Result<VerifiedManifest, UpdateError> {
        self.turn.begin().map_err(JournalError::from)?;
        self.failed.map_or(Ok(()), Err)?;
        let manifest = *self.receiver.finish()?;
        self.updater.journal.append_needed(Kind::Progress, &Progress::default().emit()).await?;
        self.updater.happen(life::Event::Verified).await?;
        Ok(manifest)
    }

    /// Stages the envelope of an admitted package.
    async fn begin(&mut self) -> Result<(), UpdateError> {
        #[cfg(feature = "in-place")]
        if self.updater.is_being_replaced()? {
            return Err(LifeError::OutOfTurn { phase: self.updater.life.phase }.into());
        }
        let manifest = self.receiver.manifest().ok_or(PatchError::Truncated)?;
        let suits = match self.updater.is_single() {
            // A delta in place is for the single slot that it was made for.
            false => manifest.codec != Codec::InPlace,
            true => can_take_place(manifest),
        };
        if !suits {
            return Err(PatchError::UnsupportedCodec { codec: manifest.codec }.into());
        }
        let (nothing, envelope) = (Staging::default(), self.receiver.envelope().len());
        let blocks = StagedBlocks::new(&nothing, manifest, envelope, S::WRITE_SIZE);
        let all = extent(envelope, S::WRITE_SIZE).wrapping_add(blocks.following_extent());
        if all > to_u32(self.region.capacity()) {
            return Err(StagingError::Full.into());
        }
        let admitted = self.updater.begin_download(life::Event::Download {
            target: shorten(&manifest.target_digest),
            security_counter: manifest.security_counter,
            kind: kind(manifest.base()),
        });
        admitted.await?;
        self.count(Staging::default()).await?;
        self.stage(Staged::Envelope).await
    }

    /// Goes on where the record says; whether what is staged is what the device is downloading, whole so far, and has room
    /// for the rest.
    #[inline(never)]
    fn restore(&mut self, state: Staging) -> Result<bool, UpdateError> {
        let mut bytes = [0; MAX_MANIFEST_ENVELOPE_BYTES];
        let Some(mut envelope) = unless_unreadable(read_envelope(self.region, &mut bytes))? else {
            return Ok(false);
        };
        let life = &self.updater.life;
        let (target, counter) = (life.target, life.target_counter);
        let (package, base) = (life.kind, life.committed);
        let room = self.updater.room();
        let base = slot_mut(&mut self.updater.slots, base);
        let event = self.receiver.next(&mut envelope, base, room);
        let admitted = unless_unreadable(event)?.and(self.receiver.manifest());
        let Some(manifest) = admitted else { return Ok(false) };
        let is_this = shorten(&manifest.target_digest) == target
            && kind(manifest.base()) == package
            && manifest.security_counter == counter;
        if !is_this {
            return Ok(false);
        }
        let mut staged =
            StagedBlocks::new(&state, manifest, self.receiver.envelope().len(), S::WRITE_SIZE);
        let mut last = None;
        while let Some(block) = staged.next() {
            last = Some(block);
        }
        if let Some(last) = last {
            let is_last = staged.is_at_end();
            let link = if is_last { None } else { Some(read_link(self.region, last)?) };
            self.receiver.skip(state.complete, link);
        }
        self.state = state;
        let is_settled = staged.is_at_end() || self.updater.settled == state.next;
        let has_gap =
            is_settled || skip_doubtful(&mut self.state, staged.following_len(), S::WRITE_SIZE);
        let end = self.state.next.wrapping_add(staged.following_extent());
        Ok(has_gap && end <= to_u32(self.region.capacity()))
    }

    /// Writes the envelope or a block, and counts it.
    async fn stage(&mut self, bytes: Staged) -> Result<(), UpdateError> {
        // Until it is counted, something may lie behind what is.
        self.updater.settled = 0;
        let bytes = match bytes {
            Staged::Envelope => self.receiver.envelope(),
            Staged::Block => self.receiver.block(),
        };
        let Put { end, erased } = put(self.region, &self.state, bytes).await?;
        let mut state = self.state;
        state.complete = state.complete.wrapping_add(u32::from(state.next > 0));
        (state.next, state.erased) = (end, erased);
        self.count(state).await?;
        self.updater.settled = end;
        Ok(())
    }

    /// Puts what is staged into the journal.
    async fn count(&mut self, state: Staging) -> Result<(), UpdateError> {
        let mut bytes = [0; Staging::MAX_LEN];
        self.updater.journal.append_needed(Kind::Staging, state.emit(&mut bytes)).await?;
        self.state = state;
        Ok(())
    }
}

/// What is written at a time.
#[derive(Clone, Copy)]
enum Staged {
    Envelope,
    Block,
}

/// What came out, or nothing; an error only where the flash is to blame, so that it may come out the next time.
fn unless_unreadable<T>(outcome: Result<T, PatchError>) -> Result<Option<T>, UpdateError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.culprit() == Culprit::Hardware => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// Whether a package can be installed in place: other decoders cannot tell their state, and other deltas want their base where it
/// was.
pub(crate) fn can_take_place(manifest: &Manifest) -> bool {
    match manifest.codec {
        Codec::InPlace => manifest.base().is_some(),
        Codec::Stored | Codec::Compact => manifest.base().is_none(),
        _ => false,
    }
}

fn kind(base: Option<BaseRef>) -> PackageKind {
    if base.is_some() { PackageKind::Delta } else { PackageKind::Full }
}
