//! One device: the real updater on simulated flash, its boot loader, its application, its link and its power.
//!
//! ```text
//! boot ─▶ application: look at the documents ─▶ download ─▶ install ─▶ activate ─▶ reset ─▶ trial ─▶ healthy │ crash │ too late
//!   ▲                                                                                                   │
//!   └──────────────── power comes back, watchdog, rollback ◀────────────────────────────────────────────┘
//! ```
//!
//! A device knows by itself what to do: it verifies stage, flags and index, and draws whether it is in the share. What it keeps
//! through a reset is in its flash; the rest of [`Device`] is what it would have in RAM, what is wrong with it, and what is counted.

use whittle_flash_sim::{Cut, Outcome, SimFlash, Supply};
use whittle_format::limits::MAX_FLAGS_ENVELOPE_BYTES;
use whittle_format::{Label, ShortDigest, shorten};
use whittle_patcher_nostd::life::boots_from;
use whittle_patcher_nostd::{
    Boot, Buffers, Device as Identity, DeviceFacts, Ending, LifeState, Phase, ResetCause, Status,
    UpdateError, Updater, VerifiedManifest, VerifiedStage, compact, trailer,
};
use whittle_release::Sha256Digest;
use whittle_release::keys::Keyring;

use crate::DemoError;
use crate::character::{Character, Flaw};
use crate::draws::{Draws, Purpose};
use crate::server::Server;
use crate::workshop::{BLOCK_LOG2, PRODUCT};

/// Flash that is written in units of 8 bytes and erased in sectors of 2 KiB.
type Region = SimFlash<1, 8, 2048>;

const JOURNAL_BYTES: usize = 2 * 4096;
const SLOT_BYTES: usize = 32 << 10;
const STAGING_BYTES: usize = 28 << 10;
const PAGE_BYTES: usize = 256;
const BLOCK_BYTES: usize = 1 << BLOCK_LOG2;

/// RAM for decoding: that of the class of 16 KiB.
pub(crate) const DECODER_RAM_BYTES: u32 = 16 << 10;

/// Fetched at a time: a block of CoAP.
pub const CHUNK_BYTES: usize = 64;

/// The most that a power cut or a broken connection may make a device fetch again: a block with the hash of the next one, and what was
/// in flight.
pub const MOST_AGAIN_BYTES: usize = BLOCK_BYTES + 16 + CHUNK_BYTES;

/// A device goes through fewer steps than these in an hour.
const STEPS: usize = 64;

/// Something that a device reports, or that is seen from outside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Happening {
    /// It may take a release.
    Offered(Label),
    /// The power failed, while it was in this phase.
    PowerFailed(Phase),
    /// It went on with a download where that had stopped, at this byte.
    Resumed(u32),
    /// A package has been fetched as a whole.
    Fetched { is_delta: bool, bytes: u32, full_bytes: u32 },
    /// A release stands in its other slot.
    Installed(Label),
    /// It runs a release for good.
    Committed(Label),
    /// It went back by itself from a release, after so many boots.
    WentBack { from: Label, ending: Ending, boots: u32 },
    /// A committed application of this version crashed, and was started again.
    Crashed(Label),
}

/// What it wants to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    version: Label,
    target: ShortDigest,
}

/// What happens next.
enum Next {
    Go,
    Rest,
    Reset(ResetCause),
}

/// Why a device stops before it is done.
enum Stop {
    Update(UpdateError),
    Demo(DemoError),
}

impl From<UpdateError> for Stop {
    fn from(error: UpdateError) -> Self {
        Self::Update(error)
    }
}

impl From<DemoError> for Stop {
    fn from(error: DemoError) -> Self {
        Self::Demo(error)
    }
}

pub(crate) struct Device {
    pub(crate) number: u32,
    pub(crate) id: String,
    pub(crate) character: Character,
    seed: u64,
    flash: Flash,
    supply: Supply,
    /// What runs; none while the power is off, or once nothing boots.
    running: Option<VerifiedManifest>,
    /// The edition of the documents that it knows.
    edition: u32,
    wanted: Option<Wanted>,
    /// How many bytes of the package at hand have ever been fetched.
    high_water: usize,
    /// How often the image at hand has been tried.
    trial_boots: u32,
    /// The target whose rollback it has reported.
    reported: ShortDigest,
    pub(crate) counts: Counts,
    /// What has happened since it was last asked.
    happenings: Vec<Happening>,
}

/// What is counted of a device.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) power_cuts: u32,
    pub(crate) resumed: u32,
    pub(crate) trial_boots: u32,
    pub(crate) fetched_bytes: u64,
    /// The most that was fetched again after one interruption.
    pub(crate) most_again_bytes: usize,
    /// Nothing boots any more.
    pub(crate) is_bricked: bool,
}

impl Device {
    /// A device as it left the factory, with an image in slot A.
    pub(crate) fn new(
        number: u32,
        character: Character,
        seed: u64,
        factory: &crate::workshop::Factory,
        keys: &Keyring,
    ) -> Result<Self, DemoError> {
        let supply = Supply::new();
        let mut device = Self {
            id: format!("TH-{number:04}"),
            number,
            character,
            seed,
            flash: Flash::holding(factory, &supply),
            supply,
            running: None,
            edition: 0,
            wanted: None,
            high_water: 0,
            trial_boots: 0,
            reported: ShortDigest::default(),
            counts: Counts::default(),
            happenings: vec![],
        };
        device.boot(keys, ResetCause::PowerOn).map_err(|error| device.failed(0, error))?;
        device.happenings.clear();
        Ok(device)
    }

    /// Version of what runs; none if nothing does.
    pub(crate) fn version(&self) -> Option<Label> {
        self.running.map(|manifest| manifest.target_version)
    }

    pub(crate) fn take_happenings(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happenings)
    }

    /// Whether an update is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.running.is_none() || self.wanted.is_some()
    }

    /// Lets it run until there is nothing more to do in this hour, or the power fails.
    pub(crate) fn wake(&mut self, server: &Server, hour: u32) -> Result<(), DemoError> {
        let outcome = self.go_on(server, hour);
        self.flash.forget();
        match outcome {
            Ok(()) => Ok(()),
            Err(Stop::Demo(error)) => Err(error),
            Err(Stop::Update(_)) if self.supply.is_down() => {
                self.lose_power();
                Ok(())
            }
            Err(Stop::Update(error)) => Err(self.failed(hour, error)),
        }
    }

    /// Its application crashes, and the watchdog resets it.
    pub(crate) fn crash(&mut self, server: &Server, hour: u32) -> Result<(), DemoError> {
        let Some(version) = self.version() else { return Ok(()) };
        self.happenings.push(Happening::Crashed(version));
        match self.boot(&server.keys, ResetCause::Watchdog) {
            Err(_) if self.supply.is_down() => self.lose_power(),
            booted => booted.map_err(|error| self.failed(hour, error))?,
        }
        Ok(())
    }

    fn failed(&self, hour: u32, error: UpdateError) -> DemoError {
        DemoError::Device { device: self.id.clone(), hour, error }
    }

    fn lose_power(&mut self) {
        self.running = None;
        self.counts.power_cuts += 1;
    }

    fn go_on(&mut self, server: &Server, hour: u32) -> Result<(), Stop> {
        if self.counts.is_bricked {
            return Ok(());
        }
        if self.running.is_none() {
            self.supply.restore();
            self.boot(&server.keys, ResetCause::PowerOn)?;
            // What it was at when the power failed, as its journal tells.
            let phase = self.life(&server.keys)?.phase;
            self.happenings.push(Happening::PowerFailed(phase));
        }
        self.look(server)?;
        for _ in 0..STEPS {
            match self.step(server)? {
                Next::Go => {}
                Next::Rest => return Ok(()),
                Next::Reset(cause) => self.boot(&server.keys, cause)?,
            }
        }
        Err(DemoError::Restless { device: self.id.clone(), hour }.into())
    }

    /// The boot loader.
    fn boot(&mut self, keys: &Keyring, cause: ResetCause) -> Result<(), UpdateError> {
        let (mut updater, _) = self.flash.open(self.character.hardware.number(), keys)?;
        let booted = updater.boot(cause)?;
        let life = *updater.life();
        self.running = None;
        match booted {
            Boot::Slot(_, manifest) => self.running = Some(manifest),
            Boot::Recovery => self.counts.is_bricked = true,
        }
        if life.phase == Phase::Trial {
            self.trial_boots += 1;
            self.counts.trial_boots += 1;
        }
        self.report(&life);
        Ok(())
    }

    /// Reports how an update ended, as its journal tells, whatever was lost with the power.
    fn report(&mut self, life: &LifeState) {
        let Some(wanted) = self.wanted.filter(|_| life.phase == Phase::Idle) else { return };
        let runs = self.running.map(|manifest| shorten(&manifest.target_digest));
        if runs == Some(wanted.target) {
            self.wanted = None;
            self.happenings.push(Happening::Committed(wanted.version));
        } else if life.rejected == wanted.target && life.rejected != self.reported {
            self.wanted = None;
            self.reported = life.rejected;
            let (from, ending, boots) = (wanted.version, life.ending, self.trial_boots);
            self.happenings.push(Happening::WentBack { from, ending, boots });
        }
    }

    /// Reads the documents of the rollout if they have changed, and draws what they mean for it.
    fn look(&mut self, server: &Server) -> Result<(), UpdateError> {
        let documents = &server.documents;
        if self.edition == documents.edition {
            return Ok(());
        }
        let (mut updater, _) = self.flash.open(self.character.hardware.number(), &server.keys)?;
        if updater.life().phase == Phase::Trial {
            // First things first.
            return Ok(());
        }
        if let Some(flags) = &documents.flags {
            updater.accept_flags(flags)?;
        }
        if let Some(stage) = &documents.stage {
            updater.accept_stage(stage)?;
        }
        self.edition = documents.edition;
        let wanted = self.wants(server)?;
        if let Some(wanted) = wanted.filter(|wanted| self.wanted != Some(*wanted)) {
            self.happenings.push(Happening::Offered(wanted.version));
            (self.high_water, self.trial_boots) = (0, 0);
            self.meet_fate(wanted.version);
        }
        self.wanted = wanted;
        Ok(())
    }

    /// What the documents that it keeps mean for it; none if it shall stay as it is.
    fn wants(&mut self, server: &Server) -> Result<Option<Wanted>, UpdateError> {
        let Some(running) = self.running else { return Ok(None) };
        let group = self.character.hardware.group();
        let groups = [group.as_str()];
        let facts = DeviceFacts { id: self.id.as_bytes(), groups: &groups, region: None };
        let (mut updater, _) = self.flash.open(self.character.hardware.number(), &server.keys)?;
        let rejected = updater.life().rejected;
        let Some(stage) = updater.stage()? else { return Ok(None) };
        let mut bytes = [0; MAX_FLAGS_ENVELOPE_BYTES];
        let Some(flags) = updater.flags(&mut bytes)? else { return Ok(None) };
        let here = shorten(&running.target_digest);
        if let Some(way_back) = &server.documents.way_back {
            let back = VerifiedStage::check(way_back, PRODUCT, None, &server.keys)
                .map_err(UpdateError::Document)?;
            if here == stage.target_digest && back.admits(&flags, &facts) {
                let (version, target) = (back.target_version, back.target_digest);
                return Ok(Some(Wanted { version, target }));
            }
        }
        let target = stage.target_digest;
        let is_new = target != here && target != rejected;
        let is_for_it = is_new && stage.admits(&flags, &facts);
        Ok(is_for_it.then_some(Wanted { version: stage.target_version, target }))
    }

    /// Some devices lose their power in the middle of an update, once or twice.
    fn meet_fate(&mut self, version: Label) {
        let subject = version
            .as_bytes()
            .iter()
            .fold(self.number, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
        let mut draws = Draws::of(self.seed, Purpose::Power, subject, 0);
        if draws.happens(POWER_CUTS_OF_1000) {
            // Words written and sectors erased: a delta takes a few hundred to be stored, and any image some thousand to be installed.
            let most = draws.one_of([250, 4200]);
            let cut =
                Cut { step: u64::from(draws.below(most)), outcome: draws.one_of(Outcome::ALL) };
            self.supply.arm(cut, draws.next());
        }
    }

    fn life(&mut self, keys: &Keyring) -> Result<LifeState, UpdateError> {
        Ok(*self.flash.open(self.character.hardware.number(), keys)?.0.life())
    }

    /// The application.
    fn step(&mut self, server: &Server) -> Result<Next, Stop> {
        let life = self.life(&server.keys)?;
        let Some(running) = self.running else { return Ok(Next::Rest) };
        let hardware = self.character.hardware.number();
        let is_wanted = self.wanted.is_some_and(|wanted| wanted.target == life.target);
        match life.phase {
            Phase::Trial => Ok(self.try_out(running.target_version, &server.keys)?),
            Phase::Pending => Ok(Next::Reset(ResetCause::Software)),
            Phase::Installed if is_wanted => {
                self.flash.open(hardware, &server.keys)?.0.activate()?;
                Ok(Next::Reset(ResetCause::Software))
            }
            Phase::Verified if is_wanted => {
                let installed = self.flash.install(hardware, &server.keys)?;
                self.happenings.push(Happening::Installed(installed.target_version));
                Ok(Next::Go)
            }
            _ => match self.wanted {
                Some(wanted) => self.fetch(wanted, &running, server),
                None => Ok(Next::Rest),
            },
        }
    }

    /// What the new application does in its first minutes: its health checks, or what is wrong with it.
    fn try_out(&mut self, version: Label, keys: &Keyring) -> Result<Next, UpdateError> {
        let (mut updater, _) = self.flash.open(self.character.hardware.number(), keys)?;
        updater.set_running_slot(boots_from(updater.life()));
        match self.character.flaw_of(version.as_str()) {
            Some(Flaw::CrashesAtStart) => return Ok(Next::Reset(ResetCause::Watchdog)),
            Some(Flaw::HangsAtStart) => {
                // The checks have a deadline, and whoever watches it is not the application.
                updater.too_late()?;
                return Ok(Next::Reset(ResetCause::Watchdog));
            }
            Some(Flaw::CrashesLater) | None => updater.healthy()?,
        }
        let life = *updater.life();
        self.report(&life);
        Ok(Next::Rest)
    }

    /// Fetches the package for what runs, from where the last download ended, as far as the link goes in an hour.
    fn fetch(
        &mut self,
        wanted: Wanted,
        running: &VerifiedManifest,
        server: &Server,
    ) -> Result<Next, Stop> {
        let index = server.index(&running.product, &wanted.version)?;
        let base = Sha256Digest(running.target_digest);
        // What is too old for a delta takes the full image.
        let full = index.full().map_err(DemoError::from)?;
        let entry = index.package_for(base).unwrap_or(full);
        let package = server.package(&Sha256Digest(entry.digest))?;
        let is_delta = entry.base.is_some();

        let mut block = [0; BLOCK_BYTES];
        let hardware = self.character.hardware.number();
        let (mut updater, region) = self.flash.open(hardware, &server.keys)?;
        let resumes = updater.resume(region, &mut block)?.is_some_and(|download| {
            download.manifest().is_some_and(|manifest| {
                shorten(&manifest.target_digest) == wanted.target
                    && manifest.base().is_some() == is_delta
            })
        });
        // Another look, now that it is known whether to go on.
        let download = if resumes { updater.resume(region, &mut block)? } else { None };
        let mut download = match download {
            Some(download) => download,
            None => updater.download(region, &mut block)?,
        };
        let at = download.offset();
        if at > 0 {
            self.counts.resumed += 1;
            self.happenings.push(Happening::Resumed(at));
        }
        let mut fetched = at as usize;
        if self.high_water > 0 {
            let again = self.high_water.saturating_sub(fetched);
            self.counts.most_again_bytes = self.counts.most_again_bytes.max(again);
        }
        let mut left = self.character.link.bytes_per_hour();
        let mut status = Status::NeedMore;
        for mut chunk in package.get(fetched..).unwrap_or_default().chunks(CHUNK_BYTES) {
            let Some(rest) = left.checked_sub(chunk.len()) else { return Ok(Next::Rest) };
            left = rest;
            fetched += chunk.len();
            self.counts.fetched_bytes += chunk.len() as u64;
            self.high_water = self.high_water.max(fetched);
            status = download.push(&mut chunk)?;
        }
        if status != Status::Done {
            download.push(&mut &[][..])?;
        }
        download.finish()?;
        let (bytes, full_bytes) = (entry.size, full.size);
        self.happenings.push(Happening::Fetched { is_delta, bytes, full_bytes });
        Ok(Next::Go)
    }
}

/// Of a thousand updates, so many are interrupted by the power.
const POWER_CUTS_OF_1000: u32 = 150;

/// The flash of a device.
struct Flash {
    journal: Region,
    slots: [Region; 2],
    staging: Region,
}

type FlashUpdater<'f> = Updater<'static, &'f mut Region, &'f mut Region, &'f Keyring>;

impl Flash {
    fn holding(factory: &crate::workshop::Factory, supply: &Supply) -> Self {
        let mut first = vec![0xff; SLOT_BYTES];
        first[..factory.image.len()].copy_from_slice(&factory.image);
        let tail = trailer(&factory.envelope);
        first[SLOT_BYTES - tail.len()..].copy_from_slice(&tail);
        let region = |flash: Region, name| flash.named(name).on(supply);
        Self {
            journal: region(Region::erased(JOURNAL_BYTES), "journal"),
            slots: [
                region(Region::holding(&first), "slot A"),
                region(Region::used(SLOT_BYTES), "slot B"),
            ],
            staging: region(Region::used(STAGING_BYTES), "staging"),
        }
    }

    fn open<'f>(
        &'f mut self,
        hardware_revision: u16,
        keys: &'f Keyring,
    ) -> Result<(FlashUpdater<'f>, &'f mut Region), UpdateError> {
        let identity = Identity {
            product: PRODUCT,
            hardware_revision,
            security_counter: 0,
            decoder_ram_bytes: DECODER_RAM_BYTES,
        };
        let [a, b] = &mut self.slots;
        Ok((Updater::open(&identity, keys, &mut self.journal, [a, b])?, &mut self.staging))
    }

    /// Installs what is staged.
    fn install(
        &mut self,
        hardware_revision: u16,
        keys: &Keyring,
    ) -> Result<VerifiedManifest, UpdateError> {
        let (mut block, mut page) = ([0; BLOCK_BYTES], [0; PAGE_BYTES]);
        let mut tables = Box::new(compact::MediumTables::NEW);
        let compact = Some(tables.lend());
        let buffers = Buffers { block: &mut block, page: &mut page, compact };
        let (mut updater, region) = self.open(hardware_revision, keys)?;
        Ok(updater.install(region, buffers, &mut |_| {})?.manifest)
    }

    /// Lets the simulator forget what was written, which nobody will ask.
    fn forget(&mut self) {
        let [a, b] = &mut self.slots;
        [&mut self.journal, a, b, &mut self.staging].into_iter().for_each(SimFlash::clear_log);
    }
}
