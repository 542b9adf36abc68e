//! A device, the server that it asks, and the power that fails: what runs between two power cuts, over and over.

use whittle_flash_sim::{Chip, Cut, SimFlash, Supply};
use whittle_format::life::PackageKind;
use whittle_patcher_nostd::life::boots_from;
use whittle_patcher_nostd::{
    Boot, Buffers, Device, Ending, LifeError, LifeState, PatchError, Phase, ResetCause, SlotId,
    Status, UpdateError, compact, trailer,
};

use super::super::packages::{FastVerifier, Package, Releases};
use super::{Lent, Updater, lend, wait};
use crate::support::PRODUCT;

pub(crate) const DEVICE: Device<'static> = Device {
    product: PRODUCT,
    hardware_revision: 3,
    security_counter: 0,
    decoder_ram_bytes: 16 << 20,
};

/// What the new firmware does when it is on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Works,
    Crashes,
    FailsItsChecks,
    /// It works, but the deltas that lead to it were made wrongly.
    ComesByFullImage,
}

impl Behaviour {
    pub(crate) const ALL: [Self; 4] =
        [Self::Works, Self::Crashes, Self::FailsItsChecks, Self::ComesByFullImage];

    /// How the update must end.
    fn ending(self) -> Ending {
        match self {
            Self::Works | Self::ComesByFullImage => Ending::Committed,
            Self::Crashes => Ending::Crashed,
            Self::FailsItsChecks => Ending::Unhealthy,
        }
    }
}

/// The flash regions of a device, on one supply.
#[derive(Clone, Debug)]
pub(crate) struct Flash<const R: usize, const W: usize, const E: usize> {
    pub(crate) journal: SimFlash<R, W, E>,
    pub(crate) slots: [SimFlash<R, W, E>; 2],
    pub(crate) staging: SimFlash<R, W, E>,
}

impl<const R: usize, const W: usize, const E: usize> Flash<R, W, E> {
    /// A device as it leaves the factory: the old image in slot A, its journal begun.
    pub(crate) fn new(
        chip: Chip,
        geometry: Geometry,
        releases: &Releases,
        supply: &Supply,
    ) -> Self {
        let slot_len = geometry.slot.next_multiple_of(E);
        let mut a = vec![0xff; slot_len];
        a[..releases.old.len()].copy_from_slice(&releases.old);
        a[slot_len - 256..].copy_from_slice(&trailer(releases.old_full.envelope()));
        let region = |flash: SimFlash<R, W, E>, name| flash.with(chip).named(name).on(supply);
        let flash = Self {
            journal: region(SimFlash::erased(2 * geometry.bank.next_multiple_of(E)), "journal"),
            slots: [
                region(SimFlash::holding(&a), "slot A"),
                region(SimFlash::used(slot_len), "slot B"),
            ],
            staging: region(SimFlash::used(geometry.staging), "staging"),
        };
        let mut flash = flash;
        flash.updater().expect("opens");
        flash
    }

    pub(crate) fn updater(&mut self) -> Result<FlashUpdater<'_, R, W, E>, UpdateError> {
        let [a, b] = &mut self.slots;
        let slots = [lend(a), lend(b)];
        wait(Updater::open(&DEVICE, FastVerifier, lend(&mut self.journal), slots))
    }

    /// The same with the staging region beside it.
    pub(crate) fn with_staging(
        &mut self,
    ) -> Result<(FlashUpdater<'_, R, W, E>, Lent<'_, R, W, E>), UpdateError> {
        let [a, b] = &mut self.slots;
        let slots = [lend(a), lend(b)];
        let updater = wait(Updater::open(&DEVICE, FastVerifier, lend(&mut self.journal), slots))?;
        Ok((updater, lend(&mut self.staging)))
    }

    /// Downloads a package at one go.
    pub(crate) fn fetch_whole(&mut self, package: &Package) -> Result<(), UpdateError> {
        let (mut updater, mut region) = self.with_staging()?;
        let mut block = [0; 256];
        let mut download = updater.download(&mut region, &mut block)?;
        wait(download.push(&mut &package.bytes[..]))?;
        wait(download.finish()).map(|_| ())
    }

    /// Installs what is staged.
    pub(crate) fn install(&mut self) -> Result<(), UpdateError> {
        let (mut block, mut page) = ([0; 256], [0; 256]);
        let mut tables = compact::TinyTables::NEW;
        // Pages that do not divide sectors, where they can be larger than a write.
        let page = &mut page[..if W < 80 { 3 * W } else { W }];
        let buffers = Buffers { block: &mut block, page, compact: Some(tables.lend()) };
        let (mut updater, mut region) = self.with_staging()?;
        wait(updater.install(&mut region, buffers, &mut |_| {})).map(|_| ())
    }
}

type FlashUpdater<'f, const R: usize, const W: usize, const E: usize> =
    Updater<'static, Lent<'f, R, W, E>, Lent<'f, R, W, E>, FastVerifier>;

/// Lengths of regions, at least.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) bank: usize,
    pub(crate) slot: usize,
    pub(crate) staging: usize,
}

/// Why the device stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// It reset itself, or crashed.
    Reset(ResetCause),
    /// The update has ended, one way or the other.
    Over(Ending),
    /// The flash refused: the power is gone, or the test fails.
    Failed(UpdateError),
}

impl From<UpdateError> for Stop {
    fn from(error: UpdateError) -> Self {
        Self::Failed(error)
    }
}

/// A device in the field with its server.
#[derive(Clone)]
pub(crate) struct World<'r, const R: usize, const W: usize, const E: usize> {
    releases: &'r Releases,
    behaviour: Behaviour,
    pub(crate) flash: Flash<R, W, E>,
    pub(crate) supply: Supply,
    /// Bytes that the server has sent.
    pub(crate) fetched: usize,
    /// Bytes of all packages that were begun anew.
    pub(crate) wanted: usize,
    pub(crate) boots: u64,
    highest_counter: u32,
    /// Power cuts so far.
    pub(crate) cuts: u64,
    /// What is being tried, for failures to tell.
    pub(crate) story: Vec<Cut>,
}

/// Fetched at a time.
pub(crate) const CHUNK: usize = 48;

impl<'r, const R: usize, const W: usize, const E: usize> World<'r, R, W, E> {
    pub(crate) fn new(
        flash: Flash<R, W, E>,
        releases: &'r Releases,
        behaviour: Behaviour,
        supply: &Supply,
    ) -> Self {
        Self {
            releases,
            behaviour,
            flash,
            supply: supply.clone(),
            fetched: 0,
            wanted: 0,
            boots: 0,
            highest_counter: 0,
            cuts: 0,
            story: Vec::new(),
        }
    }

    /// Which run this is.
    pub(crate) fn what(&self) -> String {
        format!("{W}/{E}, {:?}, {:?}", self.behaviour, self.story)
    }

    /// Runs until the update is over, or until the power is gone; `true` if it is over.
    pub(crate) fn run(&mut self) -> bool {
        let mut cause = ResetCause::PowerOn;
        for _ in 0..40 {
            match self.boot(cause) {
                Stop::Reset(next) => cause = next,
                Stop::Over(ending) => {
                    assert_eq!(ending, self.behaviour.ending(), "{}", self.what());
                    return true;
                }
                Stop::Failed(error) => {
                    assert!(self.supply.is_down(), "{error}: {}", self.what());
                    return false;
                }
            }
            if self.supply.is_down() {
                return false;
            }
        }
        panic!("boots without an end: {}", self.what());
    }

    /// The boot loader, and the application that it starts.
    fn boot(&mut self, cause: ResetCause) -> Stop {
        self.boots += 1;
        let releases = self.releases;
        let (version, life) = match self.start(cause) {
            Ok(started) => started,
            Err(error) => return error.into(),
        };
        self.supply.note(&format!("boots {version:?}, {:?}", life.phase));
        assert!(
            life.security_counter >= self.highest_counter,
            "the counter falls: {}",
            self.what()
        );
        self.highest_counter = life.security_counter;
        self.run_application(releases, version, &life).unwrap_or_else(|stop| stop)
    }

    /// The boot loader: whatever happened, it starts an image that is whole, and the right one.
    fn start(&mut self, cause: ResetCause) -> Result<(Version, LifeState), UpdateError> {
        let mut updater = self.flash.updater()?;
        let boot = wait(updater.boot(cause))?;
        let life = *updater.life();
        let Boot::Slot(slot, manifest) = boot else { panic!("a brick: {}", self.what()) };
        let bytes = self.flash.slots[usize::from(slot == SlotId::B)].bytes();
        let version = [(Version::Old, &self.releases.old), (Version::New, &self.releases.new)]
            .into_iter()
            .find(|(_, image)| bytes[..manifest.target_size as usize] == image[..])
            .unwrap_or_else(|| panic!("boots an image that nobody signed: {}", self.what()))
            .0;
        let expected = match (life.phase, life.ending) {
            (Phase::Trial, _) => Version::New,
            (_, Ending::Committed) => Version::New,
            _ => Version::Old,
        };
        assert_eq!(version, expected, "{life:?}: {}", self.what());
        Ok((version, life))
    }

    fn run_application(
        &mut self,
        releases: &Releases,
        version: Version,
        life: &LifeState,
    ) -> Result<Stop, Stop> {
        match life.phase {
            Phase::Idle => match life.ending {
                Ending::None | Ending::Abandoned => self.download(releases),
                ending => Ok(Stop::Over(ending)),
            },
            Phase::Downloading => self.download(releases),
            Phase::Verified => self.install(),
            Phase::Installed => {
                wait(self.flash.updater()?.activate())?;
                Ok(Stop::Reset(ResetCause::Software))
            }
            Phase::Pending => Ok(Stop::Reset(ResetCause::Software)),
            Phase::Trial => self.try_out(version, life),
        }
    }

    fn try_out(&mut self, version: Version, life: &LifeState) -> Result<Stop, Stop> {
        assert_eq!(version, Version::New);
        let kind = match self.behaviour {
            Behaviour::ComesByFullImage => PackageKind::Full,
            _ => PackageKind::Delta,
        };
        assert_eq!(life.kind, kind, "what was installed: {}", self.what());
        match self.behaviour {
            Behaviour::Works | Behaviour::ComesByFullImage => {
                wait(self.on_trial()?.healthy())?;
            }
            Behaviour::FailsItsChecks => wait(self.on_trial()?.unhealthy())?,
            Behaviour::Crashes => {}
        }
        Ok(Stop::Reset(ResetCause::Watchdog))
    }

    /// The updater of the image on trial.
    fn on_trial(&mut self) -> Result<FlashUpdater<'_, R, W, E>, UpdateError> {
        let mut updater = self.flash.updater()?;
        updater.set_running_slot(boots_from(updater.life()));
        Ok(updater)
    }

    /// Downloads, from where the last download ended.
    fn download(&mut self, releases: &Releases) -> Result<Stop, Stop> {
        let delta = match self.behaviour {
            Behaviour::ComesByFullImage => &releases.broken_delta,
            _ => &releases.delta,
        };
        match self.fetch(delta) {
            Err(Stop::Failed(UpdateError::Life(LifeError::FullImageWanted))) => {
                self.fetch(&releases.new_full)?;
            }
            other => other?,
        }
        self.install()
    }

    fn fetch(&mut self, package: &Package) -> Result<(), Stop> {
        let (mut block, fetched, wanted) = ([0; 256], &mut self.fetched, &mut self.wanted);
        let (mut updater, mut region) = self.flash.with_staging()?;
        let resumes = wait(updater.resume(&mut region, &mut block))?.is_some_and(|download| {
            download.manifest().is_some_and(|manifest| manifest.root == package.manifest.root)
        });
        // Another look, now that it is known whether to go on.
        let mut download = if resumes {
            wait(updater.resume(&mut region, &mut block))?.expect("it was there")
        } else {
            *wanted += package.bytes.len();
            updater.download(&mut region, &mut block)?
        };
        let mut status = Status::NeedMore;
        for mut chunk in package.bytes[download.offset() as usize..].chunks(CHUNK) {
            *fetched += chunk.len();
            status = wait(download.push(&mut chunk))?;
        }
        if status != Status::Done {
            wait(download.push(&mut &[][..]))?;
        }
        wait(download.finish())?;
        Ok(())
    }

    fn install(&mut self) -> Result<Stop, Stop> {
        match self.flash.install() {
            Ok(()) => {
                wait(self.flash.updater()?.activate())?;
                Ok(Stop::Reset(ResetCause::Software))
            }
            Err(UpdateError::Patch(PatchError::ImageMismatch | PatchError::Payload(_)))
                if self.flash.updater()?.life().ending == Ending::Abandoned =>
            {
                Ok(Stop::Reset(ResetCause::Software))
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Old,
    New,
}
