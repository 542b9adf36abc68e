//! Updates of a single slot under power cuts: from the first sector that is moved on, only going on can help.

use std::cell::RefCell;

use whittle_flash_sim::{Chip, Cut, Outcome, SimFlash, Supply};
use whittle_patcher_nostd::{
    ArrangementBuffers, Boot, Ending, InPlaceBuffers, InPlaceDecoder, Partition, PatchError, Phase,
    ResetCause, Status, UpdateError, Updater, compact, trailer,
};
use whittle_release::InPlaceRoom;

use super::blocking::world::DEVICE;
use super::packages::{FastVerifier, InPlaceReleases, Package};

const SECTOR: usize = 256;

/// Where things lie on the one chip of the device.
mod region {
    use super::SECTOR;

    pub(super) const SLOT: (usize, usize) = (0, 9 * SECTOR);
    pub(super) const STAGING: (usize, usize) = (9 * SECTOR, 10 * SECTOR);
    pub(super) const JOURNAL: (usize, usize) = (19 * SECTOR, 8 * SECTOR);
    pub(super) const STATES: (usize, usize) = (27 * SECTOR, 40 * SECTOR);
    pub(super) const END: usize = 67 * SECTOR;
}

const ROOM: InPlaceRoom = InPlaceRoom { sector_bytes: SECTOR as u32, sectors: 8 };

type Sim = SimFlash<1, 8, SECTOR>;

#[derive(Clone)]
struct World<'r> {
    releases: &'r InPlaceReleases,
    package: &'r Package,
    chip: Sim,
    supply: Supply,
    boots: u64,
    story: Vec<Cut>,
}

impl<'r> World<'r> {
    fn new(chip: Chip, releases: &'r InPlaceReleases, package: &'r Package) -> Self {
        let supply = Supply::new();
        let mut bytes = vec![0xff; region::END];
        bytes[..releases.old.len()].copy_from_slice(&releases.old);
        let slot_end = region::SLOT.1;
        bytes[slot_end - 256..slot_end].copy_from_slice(&trailer(releases.old_full.envelope()));
        let chip = SimFlash::holding(&bytes).with(chip).on(&supply);
        let mut world = Self { releases, package, chip, supply, boots: 0, story: Vec::new() };
        world.with(|_, _, _| Ok(())).expect("opens");
        world
    }

    fn what(&self) -> String {
        format!("{:?}", self.story)
    }

    /// Opens the updater over the chip; the other two are the staging region and that of the states.
    fn with<T>(
        &mut self,
        work: impl FnOnce(
            &mut Updater<'_, Partition<'_, Sim>, Partition<'_, Sim>, FastVerifier>,
            &mut Partition<'_, Sim>,
            &mut Partition<'_, Sim>,
        ) -> Result<T, UpdateError>,
    ) -> Result<T, UpdateError> {
        // The chip is lent for as long as the updater lives.
        let chip = RefCell::new(self.chip.clone());
        let outcome = {
            let part = |(offset, len): (usize, usize)| {
                Partition::new(&chip, offset as u32, len as u32).expect("whole sectors")
            };
            let (mut staging, mut states) = (part(region::STAGING), part(region::STATES));
            Updater::open_single(&DEVICE, FastVerifier, part(region::JOURNAL), part(region::SLOT))
                .and_then(|mut updater| work(&mut updater, &mut staging, &mut states))
        };
        self.chip = chip.into_inner();
        outcome
    }

    /// Runs until the update is over, or until the power is gone; `true` if it is over.
    fn run(&mut self) -> bool {
        for _ in 0..20 {
            match self.boot() {
                Ok(true) => return true,
                Ok(false) => {}
                Err(error) => {
                    assert!(self.supply.is_down(), "{error}: {}", self.what());
                    return false;
                }
            }
        }
        panic!("boots without an end: {}", self.what());
    }

    /// The boot loader, and the application that it starts.
    fn boot(&mut self) -> Result<bool, UpdateError> {
        self.boots += 1;
        self.go_on()?;
        let (boot, life) =
            self.with(|updater, _, _| Ok((updater.boot(ResetCause::PowerOn)?, *updater.life())))?;
        let Boot::Slot(_, manifest) = boot else { panic!("a brick: {}", self.what()) };
        let image =
            if life.ending == Ending::Committed { &self.releases.new } else { &self.releases.old };
        let bytes = self.chip.bytes();
        assert!(bytes[..manifest.target_size as usize] == image[..], "{life:?}: {}", self.what());
        match (life.phase, life.ending) {
            (Phase::Idle, Ending::Committed) => {
                assert_eq!(life.security_counter, 8);
                return Ok(true);
            }
            (Phase::Idle | Phase::Downloading, _) => self.fetch()?,
            (phase, _) => assert_eq!(phase, Phase::Verified),
        }
        self.with(|updater, _, _| updater.request_in_place())?;
        Ok(false)
    }

    fn go_on(&mut self) -> Result<(), UpdateError> {
        self.go_on_with(64)
    }

    fn go_on_with(&mut self, page_bytes: usize) -> Result<(), UpdateError> {
        self.with(|updater, staging, states| {
            if !updater.is_in_place_wanted()? {
                return Ok(());
            }
            let (mut block, mut page) = ([0; 256], vec![0; page_bytes]);
            let mut tables = compact::TinyTables::NEW;
            let (mut seats, mut head) = ([0; 8], [0; InPlaceDecoder::HEAD_BYTES]);
            let buffers = InPlaceBuffers {
                block: &mut block,
                page: &mut page,
                compact: Some(tables.lend()),
                arrangement: ArrangementBuffers { seats: &mut seats, head: &mut head },
            };
            updater.install_in_place(staging, states, buffers, &mut |_| {}).map(|_| ())
        })
    }

    fn fetch(&mut self) -> Result<(), UpdateError> {
        let package = self.package;
        self.with(|updater, staging, _| {
            let mut block = [0; 256];
            let resumes = updater.resume(staging, &mut block)?.is_some();
            let mut download = if resumes {
                updater.resume(staging, &mut block)?.expect("it was there")
            } else {
                updater.download(staging, &mut block)?
            };
            let mut rest = &package.bytes[download.offset() as usize..];
            assert_eq!(download.push(&mut rest)?, Status::Done);
            download.finish().map(|_| ())
        })
    }
}

/// Every cut that can hit this device from where it stands.
fn cuts<'r>(world: &World<'r>) -> impl Iterator<Item = World<'r>> {
    let all = (0..).flat_map(|step| Outcome::ALL.map(|outcome| Cut { step, outcome }));
    all.map_while(|cut| {
        // A clone of the flash hangs on the same supply.
        let mut world = world.clone();
        world.story.push(cut);
        world.supply.arm(cut, cut.step ^ 0x55);
        world.run();
        let came = world.supply.is_down();
        world.supply.restore();
        came.then_some(world)
    })
}

fn sweep(what: &str, chip: Chip, package: impl Fn(&InPlaceReleases) -> &Package) {
    let releases = InPlaceReleases::new(1200, 7, ROOM);
    let (mut cuts_made, mut boots) = (0u64, 0);
    for mut world in cuts(&World::new(chip, &releases, package(&releases))) {
        assert!(world.run() && world.run(), "it ends: {}", world.what());
        cuts_made += 1;
        boots += world.boots;
    }
    println!(
        "power cuts: one slot, single cuts, {what}: {cuts_made} cuts, {boots} boots, 0 bricks"
    );
}

#[test]
fn power_cuts_do_not_brick_a_single_slot() {
    sweep("delta, plain", Chip::PLAIN, |releases| &releases.delta);
}

#[test]
fn power_cuts_do_not_brick_a_single_slot_with_error_correction() {
    sweep("delta, error correction", Chip::CORRECTING, |releases| &releases.delta);
}

#[test]
fn power_cuts_do_not_brick_a_single_slot_that_takes_a_full_image() {
    sweep("full image, plain", Chip::PLAIN, |releases| &releases.new_full);
}

#[test]
fn what_does_not_suit_a_single_slot_is_refused_before_anything_is_changed() {
    let releases = InPlaceReleases::new(1200, 7, ROOM);
    let mut world = World::new(Chip::PLAIN, &releases, &releases.delta);
    let before = world.chip.bytes();
    world.with(|updater, _, _| updater.request_in_place()).expect_err("nothing is staged");
    world.fetch().expect("fetched");
    let refused = world.with(|updater, staging, _| {
        let (mut block, mut page) = ([0; 256], [0; 16]);
        let buffers =
            whittle_patcher_nostd::Buffers { block: &mut block, page: &mut page, compact: None };
        updater.install(staging, buffers, &mut |_| {}).map(|_| ())
    });
    assert!(matches!(refused, Err(UpdateError::Life(_))), "{refused:?}");
    world.with(|updater, _, _| updater.request_in_place()).expect("wanted");
    for page_bytes in [4, 48, 512] {
        let refused = world.go_on_with(page_bytes);
        assert!(matches!(refused, Err(UpdateError::Patch(PatchError::Flash(_)))), "{refused:?}");
    }
    // An unrelated base.
    world.chip.break_cell(77, 1);
    let refused = world.go_on();
    assert!(
        matches!(refused, Err(UpdateError::Patch(PatchError::BaseMismatch { .. }))),
        "{refused:?}"
    );
    let slot = region::SLOT.1;
    let after = world.chip.bytes();
    assert!(before[..slot] == after[..slot]);
}
