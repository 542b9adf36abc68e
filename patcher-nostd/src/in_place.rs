//! Updates of a device with a single slot: the target takes the room of its base.
//!
//! ```text
//! slot = room for base and target, with sectors to spare | … | trailer, in a sector of its own
//!
//! rearrange the base in the room ─▶ for each sector of the target: decode it, keep the decoder's state ─▶ hash ─▶ seal
//! ```
//!
//! The application runs from the slot, so this is the boot loader's work. The application downloads the package, and says
//! when it is to be installed. From the first change on the slot may hold no image that boots until the installation is done, and
//! the boot loader goes on with it after every reset: each step can be made again. Sectors of the base are moved one by one, each
//! into a slot that nothing needs; a sector of the target is made from what does not lie in its own place. The decoder's
//! state at the beginning of a sector lies in one of two banks of a region of its own, and the journal says in which.
//!
//! Before the first change, every block of the staged package is compared with its hash, and the decoder has read all that
//! stands in front of the target: what does not suit the package, the lent memory or the regions is refused while the old
//! image is whole. From then on no error ends the installation: each call goes on with it, until it is done or given up
//! ([`Updater::abandon`]). Flash that stays broken leaves a device that boots nothing but its recovery.

use embedded_storage::nor_flash::{NorFlash, NorFlashError as _, NorFlashErrorKind};
use whittle_delta::compact::Memory;
use whittle_delta::{
    Arrangement, ArrangementBuffers, Images, InPlace, Move, StateBytes, StateError, Wants,
};
use whittle_format::journal::Kind;
use whittle_format::limits::MAX_MANIFEST_ENVELOPE_BYTES;
use whittle_format::staging::{Progress, Staging};

use crate::admission::{Room, admit, check_image};
use crate::blocking::download::can_take_place;
use crate::blocking::install::{seal, unseal};
use crate::blocking::patcher::write;
use crate::blocks::BlockReader;
use crate::codec::CodecDecoder;
use crate::error::Culprit;
use crate::flash::{CHUNK, is_writable, read_back, read_unaligned, read_written};
use crate::life::Event;
use crate::numbers::{to_u32, to_usize};
use crate::page::{AHEAD, Page};
use crate::signed_slot::{last_sector, slot_mut, trailer};
use crate::staged::{PIECE, StagedBlocks, read_envelope};
use crate::state_banks::{StateBanks, StateLoader};
use crate::verify::{Purpose, verify_manifest};
use crate::{
    DecodeError, Device, FlashError, Installed, Journal, LifeError, PatchError, UpdateError,
    Updater, VerifiedManifest, Verifier,
};

/// Memory for an installation in place.
pub struct InPlaceBuffers<'a> {
    /// As in [`Buffers`](crate::Buffers).
    pub block: &'a mut [u8],
    /// As in [`Buffers`](crate::Buffers); a sector must be whole pages.
    pub page: &'a mut [u8],
    /// As in [`Buffers`](crate::Buffers).
    pub compact: Option<Memory<'a>>,
    /// For how the base is rearranged.
    pub arrangement: ArrangementBuffers<'a>,
}

impl<J: NorFlash, F: NorFlash, V: Verifier> Updater<'_, J, F, V> {
    /// Installs the staged package in the place of the running image, or goes on with it.
    ///
    /// `states` keeps the decoder's state twice, each time in whole sectors: [`IN_PLACE_STATE_BYTES`] and what
    /// [`Class::state_bytes`](crate::compact::Class::state_bytes) tells. `watch` is called for each block of the package
    /// that is read, and for each sector that is written, with the bytes of the target that are written.
    ///
    /// # Errors
    /// [`LifeError::OutOfTurn`] unless it [is wanted](Self::is_in_place_wanted). [`UpdateError::Patch`]: if nothing has been
    /// changed yet and its [`culprit`](PatchError::culprit) is the package, the update has failed, and the old image
    /// boots; otherwise calling it again goes on.
    pub fn install_in_place<S: NorFlash, C: NorFlash>(
        &mut self,
        region: &mut S,
        states: &mut C,
        buffers: InPlaceBuffers<'_>,
        watch: &mut dyn FnMut(u32),
    ) -> Result<Installed, UpdateError> {
        if !self.is_in_place_wanted()? {
            return Err(LifeError::OutOfTurn { phase: self.life.phase }.into());
        }
        let (staged, progress) = (self.staged()?, self.progress()?);
        let device = self.device_now();
        let mut envelope = [0; MAX_MANIFEST_ENVELOPE_BYTES];
        let mut is_begun = progress.moves > 0;
        // Where the base is not whole any more, there is only one way.
        let purpose = if is_begun { Purpose::Installed } else { Purpose::Arriving };
        let outcome = read_envelope(region, &mut envelope).and_then(|envelope| {
            let slot = slot_mut(&mut self.slots, self.life.committed);
            let manifest = verify_manifest(envelope, purpose, &self.verifier)?;
            device.check(&manifest)?;
            let place = Place { slot, journal: &mut self.journal, progress, watch };
            let states = StateBanks::new(states);
            let mut replacement = Replacement { manifest, place, states };
            let outcome = replacement.run(region, &staged, envelope.len(), &device, buffers);
            is_begun = replacement.place.progress.moves > 0;
            outcome?;
            // Made anew after each reset: one that a power cut left may read well now, and badly next time.
            let slot = replacement.place.slot;
            seal_image(slot, envelope, &manifest)?;
            Ok(Installed { manifest })
        });
        match outcome {
            Ok(installed) => {
                self.happen(Event::Replaced)?;
                Ok(installed)
            }
            Err(error) if !is_begun && error.culprit() == Culprit::Package => {
                self.happen(Event::Failed)?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Compares the hash of what stands in the slot, and only then lets it boot.
fn seal_image<F: NorFlash>(
    slot: &mut F,
    envelope: &[u8],
    manifest: &VerifiedManifest,
) -> Result<(), PatchError> {
    let failed = |kind| PatchError::Flash(FlashError::Target(kind));
    check_image(slot, manifest)?;
    unseal(slot).map_err(failed)?;
    seal(slot, &trailer(envelope))
}

/// A package in the staging region.
struct Staged<'x> {
    state: &'x Staging,
    manifest: &'x VerifiedManifest,
    envelope_len: usize,
}

impl Staged<'_> {
    /// Hands on the payload of each block, once it has turned out to be authentic.
    fn each_block<S: NorFlash>(
        &self,
        region: &mut S,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]) -> Result<(), PatchError>,
    ) -> Result<(), PatchError> {
        let mut blocks = BlockReader::new(buffer);
        blocks.begin(self.manifest);
        let mut extents =
            StagedBlocks::new(self.state, self.manifest, self.envelope_len, S::WRITE_SIZE);
        while let Some(mut extent) = extents.next() {
            let mut is_whole = false;
            while extent.len > 0 {
                let mut bytes = [0; PIECE];
                let mut piece = extent.take_piece(region, &mut bytes)?;
                is_whole = blocks.push(&mut piece)?;
            }
            if !is_whole {
                return Err(PatchError::Truncated);
            }
            take(blocks.data())?;
        }
        if blocks.is_done() { Ok(()) } else { Err(PatchError::Truncated) }
    }
}

/// The slot and how far it has been changed.
struct Place<'x, J, F> {
    slot: &'x mut F,
    journal: &'x mut Journal<J>,
    progress: Progress,
    watch: &'x mut dyn FnMut(u32),
}

struct Replacement<'x, J, F, C> {
    manifest: VerifiedManifest,
    place: Place<'x, J, F>,
    states: StateBanks<'x, C>,
}

impl<J: NorFlash, F: NorFlash, C: NorFlash> Replacement<'_, J, F, C> {
    /// Makes the target, from wherever it stands.
    fn run<'a, S: NorFlash>(
        &mut self,
        region: &mut S,
        staged: &Staging,
        envelope_len: usize,
        device: &Device<'_>,
        buffers: InPlaceBuffers<'a>,
    ) -> Result<(), PatchError> {
        let manifest = self.manifest;
        if self.place.progress.written >= manifest.target_size {
            return Ok(());
        }
        if !can_take_place(&manifest) {
            return Err(PatchError::UnsupportedCodec { codec: manifest.codec });
        }
        if !(is_writable::<F>(F::WRITE_SIZE) && is_writable::<C>(C::WRITE_SIZE)) {
            return Err(PatchError::Flash(FlashError::ReadSize));
        }
        let InPlaceBuffers { block, page, compact, arrangement } = buffers;
        if self.place.progress.moves == 0 {
            let slot = to_usize(last_sector(self.place.slot, F::ERASE_SIZE));
            let room = Room { slot, block_buffer: block.len() };
            admit(&manifest, device, room, self.place.slot)?;
        }
        let package = Staged { state: staged, manifest: &manifest, envelope_len };
        if self.place.progress.moves == 0 {
            let watch = &mut *self.place.watch;
            package.each_block(region, block, |_| {
                watch(0);
                Ok(())
            })?;
        }
        let mut decoder = CodecDecoder::new(compact);
        decoder.begin(&manifest, Some(arrangement))?;
        let is_resumed = self.place.progress.written > 0;
        let mut target = Target::new(page, manifest.base().is_some() || !is_resumed);
        target.page.check::<F>(F::WRITE_SIZE).map_err(PatchError::Flash)?;
        if !target.is_closed {
            self.open(&mut decoder, &mut target)?;
        }
        package.each_block(region, block, |data| self.take(data, &mut decoder, &mut target))?;
        self.finish(&mut decoder, &mut target)
    }

    /// Decodes the payload of one block, and what stands in the way of it.
    fn take<'a>(
        &mut self,
        data: &[u8],
        decoder: &mut CodecDecoder<'a>,
        target: &mut Target<'a>,
    ) -> Result<(), PatchError> {
        let mut input = data;
        loop {
            let known = target.resumed_at.saturating_sub(target.consumed);
            if known > 0 && !target.is_closed {
                let known = to_usize(known).min(input.len());
                input = input.get(known..).unwrap_or_default();
                target.consumed = target.consumed.saturating_add(to_u32(known));
                if input.is_empty() {
                    (self.place.watch)(self.place.progress.written);
                    return Ok(());
                }
            }
            let before = input.len();
            let mut images = target.images(self.place.slot);
            let wants = decoder.push(&mut input, &mut images)?;
            let taken = before.saturating_sub(input.len());
            target.consumed = target.consumed.saturating_add(to_u32(taken));
            match wants {
                Wants::Room => self.pause(decoder, target)?,
                Wants::Input | Wants::Nothing => return Ok(()),
            }
        }
    }

    fn finish<'a>(
        &mut self,
        decoder: &mut CodecDecoder<'a>,
        target: &mut Target<'a>,
    ) -> Result<(), PatchError> {
        loop {
            let mut images = target.images(self.place.slot);
            match decoder.finish(&mut images)? {
                Wants::Room => self.pause(decoder, target)?,
                Wants::Nothing => break,
                Wants::Input => return Err(PatchError::Truncated),
            }
        }
        while target.page.has_unwritten() {
            write(&mut target.page, self.place.slot)?;
        }
        let written = self.manifest.target_size;
        self.place.count(Progress { written, ..self.place.progress })
    }

    /// Where the decoder asks for room: the base is to be rearranged first, or a page is full.
    fn pause<'a>(
        &mut self,
        decoder: &mut CodecDecoder<'a>,
        target: &mut Target<'a>,
    ) -> Result<(), PatchError> {
        if target.is_closed {
            let is_resumed = self.place.progress.written > 0;
            if !target.is_asked && !is_resumed {
                // It goes on up to its first byte of the target, and so tells all that it asks for.
                target.is_asked = true;
                return Ok(());
            }
            return self.open(decoder, target);
        }
        write(&mut target.page, self.place.slot)?;
        if target.page.flushed.checked_rem(target.sector_bytes) == Some(0) {
            self.keep(decoder, target)?;
        }
        Ok(())
    }

    /// Rearranges the base, and takes up the state that was kept, if there is one.
    fn open<'a>(
        &mut self,
        decoder: &mut CodecDecoder<'a>,
        target: &mut Target<'a>,
    ) -> Result<(), PatchError> {
        let sector = to_u32(F::ERASE_SIZE).max(1);
        let room = last_sector(self.place.slot, F::ERASE_SIZE);
        let (mut moves, mut in_place, mut sector_bytes) = (None, None, sector);
        if let Some(Arrangement { in_place: known, room_sectors }) = decoder.arrangement() {
            sector_bytes = known.sector_bytes();
            let wanted = u32::from(room_sectors).saturating_mul(sector_bytes);
            if wanted > room || sector_bytes.checked_rem(sector) != Some(0) {
                return Err(PatchError::TargetTooLarge);
            }
            (moves, in_place) = (Some(known.moves(room_sectors)), Some(known));
        }
        let page = target.page.len();
        if to_usize(sector_bytes).checked_rem(page) != Some(0) {
            return Err(PatchError::Flash(FlashError::PageBuffer));
        }
        if self.place.progress.moves == 0 {
            let needed = decoder.state_bytes().saturating_add(IN_PLACE_STATE_BYTES);
            if needed > self.states.bank_bytes().into() {
                return Err(PatchError::StateRoom);
            }
        }
        let mut made = 0u16;
        for one in moves.into_iter().flatten() {
            // The first sector counts as one more.
            made = made
                .checked_add(1)
                .filter(|made| *made < u16::MAX)
                .ok_or(PatchError::Payload(DecodeError::Corrupt))?;
            if made > self.place.progress.moves {
                self.place.carry_out(one, sector_bytes)?;
                self.place.count(Progress { moves: made, ..self.place.progress })?;
            }
        }
        // One more tells that the first sector may be gone.
        let rearranged = made.saturating_add(1);
        if self.place.progress.moves < rearranged {
            self.place.count(Progress { moves: rearranged, ..self.place.progress })?;
        }
        target.arrange(in_place, sector_bytes);
        if self.place.progress.written > 0 {
            self.take_up(decoder, target)?;
        }
        Ok(())
    }

    /// Keeps the decoder's state at the end of a sector: from here on it can be gone on with.
    fn keep(
        &mut self,
        decoder: &mut CodecDecoder<'_>,
        target: &mut Target<'_>,
    ) -> Result<(), PatchError> {
        let in_second_bank = !self.place.progress.in_second_bank;
        let mut saver = self.states.saver(in_second_bank);
        let mut head = Head { consumed: target.consumed, ..Head::default() };
        let written = target.page.flushed;
        head.tail_len = u8::try_from(target.page.waiting()).unwrap_or(u8::MAX);
        target.page.read(written, head.tail.get_mut(..head.tail_len.into()).unwrap_or_default());
        head.pass(&mut saver)?;
        decoder.pass_state(&mut saver).map_err(state_error)?;
        let state_crc = saver.finish().map_err(PatchError::Flash)?;
        let progress = Progress { written, in_second_bank, state_crc, ..self.place.progress };
        self.place.count(progress)?;
        (self.place.watch)(written);
        Ok(())
    }

    /// Takes up the state that was kept last.
    fn take_up(
        &mut self,
        decoder: &mut CodecDecoder<'_>,
        target: &mut Target<'_>,
    ) -> Result<(), PatchError> {
        let progress = self.place.progress;
        let mut loader: StateLoader<'_, C> = self.states.loader(progress.in_second_bank);
        let mut head = Head::default();
        head.pass(&mut loader)?;
        decoder.pass_state(&mut loader).map_err(state_error)?;
        if loader.crc() != progress.state_crc {
            return Err(PatchError::Flash(FlashError::State));
        }
        target.take_up(&head, progress.written);
        Ok(())
    }
}

impl<J: NorFlash, F: NorFlash> Place<'_, J, F> {
    /// Puts the progress into the journal, and only then into effect.
    fn count(&mut self, progress: Progress) -> Result<(), PatchError> {
        let counted = self.journal.append_needed(Kind::Progress, &progress.emit());
        counted.map_err(|_| PatchError::Flash(FlashError::Journal))?;
        self.progress = progress;
        Ok(())
    }

    /// Copies a sector to another slot.
    fn carry_out(&mut self, one: Move, sector_bytes: u32) -> Result<(), PatchError> {
        let [from, to] =
            [one.from, one.to].map(|slot| u32::from(slot).saturating_mul(sector_bytes));
        let failed = |kind| PatchError::Flash(FlashError::Target(kind));
        let erased = self.slot.erase(to, to.saturating_add(sector_bytes));
        erased.map_err(|error| failed(error.kind()))?;
        let mut done = 0u32;
        while done < sector_bytes {
            let mut chunk = [0; CHUNK];
            let left = to_usize(sector_bytes.saturating_sub(done));
            let chunk = chunk.get_mut(..left.min(CHUNK)).unwrap_or_default();
            read_unaligned(self.slot, from.saturating_add(done), chunk).map_err(failed)?;
            let at = to.saturating_add(done);
            self.slot.write(at, chunk).map_err(|error| failed(error.kind()))?;
            read_back(self.slot, at, chunk).map_err(PatchError::Flash)?;
            done = done.saturating_add(to_u32(chunk.len()));
        }
        (self.watch)(0);
        Ok(())
    }
}

/// Bytes that are kept in front of the decoder's state.
pub const IN_PLACE_STATE_BYTES: u64 = 1 + AHEAD as u64 + 4;

/// What is kept in front of the decoder's state.
#[derive(Default)]
struct Head {
    /// Bytes that wait for the next page, and how many.
    tail: [u8; AHEAD],
    tail_len: u8,
    /// Bytes of the payload that have been taken.
    consumed: u32,
}

impl Head {
    fn pass<S: StateBytes<Error = FlashError>>(&mut self, state: &mut S) -> Result<(), PatchError> {
        let mut consumed = self.consumed.to_le_bytes();
        let mut pass = |bytes: &mut [u8]| state.pass(bytes).map_err(PatchError::Flash);
        pass(core::slice::from_mut(&mut self.tail_len))?;
        pass(&mut self.tail)?;
        pass(&mut consumed)?;
        self.consumed = u32::from_le_bytes(consumed);
        Ok(())
    }
}

/// The target as it grows.
struct Target<'a> {
    page: Page<'a>,
    in_place: Option<InPlace<'a>>,
    sector_bytes: u32,
    /// No target byte may be made before the base is rearranged.
    is_closed: bool,
    /// The decoder has been asked to go on nevertheless, up to where it makes one.
    is_asked: bool,
    /// Bytes of the payload that the decoder has taken.
    consumed: u32,
    /// Bytes that it had taken when its state was kept.
    resumed_at: u32,
}

impl<'a> Target<'a> {
    fn new(page: &'a mut [u8], is_closed: bool) -> Self {
        Self {
            page: Page::new(page),
            in_place: None,
            sector_bytes: 1,
            is_closed,
            is_asked: false,
            consumed: 0,
            resumed_at: 0,
        }
    }

    /// Lets the target grow, now that the base lies where it must.
    fn arrange(&mut self, in_place: Option<InPlace<'a>>, sector_bytes: u32) {
        (self.in_place, self.sector_bytes, self.is_closed) = (in_place, sector_bytes, false);
    }

    fn take_up(&mut self, head: &Head, written: u32) {
        let tail = head.tail.get(..head.tail_len.into()).unwrap_or_default();
        self.page.resume(written, tail);
        self.resumed_at = head.consumed;
    }

    fn images<'x, F>(&'x mut self, slot: &'x mut F) -> SlotImages<'x, 'a, F> {
        SlotImages { target: self, slot }
    }
}

/// What the decoder sees of the slot: a base that goes, and a target that comes.
struct SlotImages<'x, 'a, F> {
    target: &'x mut Target<'a>,
    slot: &'x mut F,
}

impl<F: NorFlash> Images for SlotImages<'_, '_, F> {
    type Error = FlashError;

    fn read_base(&mut self, offset: u32, into: &mut [u8]) -> Result<(), FlashError> {
        let (mut offset, mut rest) = (offset, into);
        while !rest.is_empty() {
            let place = self.target.in_place.and_then(|in_place| in_place.place(offset));
            let out_of_bounds = FlashError::Base(NorFlashErrorKind::OutOfBounds);
            let (at, left) = place.ok_or(out_of_bounds)?;
            let len = to_usize(left).min(rest.len());
            let (now, later) = rest.split_at_mut_checked(len).ok_or(out_of_bounds)?;
            read_unaligned(self.slot, at, now).map_err(FlashError::Base)?;
            offset = offset.saturating_add(to_u32(len));
            rest = later;
        }
        Ok(())
    }

    fn read_target(&mut self, offset: u32, into: &mut [u8]) -> Result<(), FlashError> {
        read_written(self.slot, &self.target.page, offset, into)
    }

    fn room(&self) -> u32 {
        if self.target.is_closed { 0 } else { self.target.page.room() }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), FlashError> {
        self.target.page.append(bytes);
        Ok(())
    }
}

fn state_error(error: StateError<FlashError>) -> PatchError {
    match error {
        StateError::Bytes(cause) => PatchError::Flash(cause),
        StateError::Corrupt => PatchError::Flash(FlashError::State),
    }
}
