//! Updates of a single slot under power cuts: from the first sector that is moved on, only going on can help.

use std::cell::RefCell;

use embedded_storage::nor_flash::NorFlash;
use whittle_flash_sim::{Chip, Cut, Outcome, SimFlash, Supply};
use whittle_format::manifest::Codec;
use whittle_patcher_nostd::{
    ArrangementBuffers, Boot, Culprit, Ending, FlashError, InPlaceBuffers, InPlaceDecoder,
    Partition, PatchError, Phase, ResetCause, Status, UpdateError, Updater, compact, trailer,
};
use whittle_release::InPlaceRoom;

use super::blocking::world::DEVICE;
use super::is_thorough;
use super::packages::{FastVerifier, InPlaceReleases, Package, compact_delta, full_image};
use crate::support::{Draws, code_like};

const SECTOR: usize = 256;

/// Where things lie on the one chip of the device.
mod region {
    use super::SECTOR;

    pub(super) const SLOT: (usize, usize) = (0, 9 * SECTOR);
    pub(super) const STAGING: (usize, usize) = (9 * SECTOR, 10 * SECTOR);
    pub(super) const STATES: (usize, usize) = (19 * SECTOR, 40 * SECTOR);
    pub(super) const END: usize = 91 * SECTOR;

    /// Banks of a size that makes the journal rotate often.
    pub(super) const fn journal(write_size: usize) -> (usize, usize) {
        (59 * SECTOR, if write_size < 256 { 8 * SECTOR } else { 32 * SECTOR })
    }
}

const ROOM: InPlaceRoom = InPlaceRoom { sector_bytes: SECTOR as u32, sectors: 8 };

/// What the device lends for an installation.
#[derive(Clone, Copy)]
struct Lent {
    page: usize,
    seats: usize,
    states: (usize, usize),
}

const LENT: Lent = Lent { page: 64, seats: 8, states: region::STATES };

/// A device whose flash is written in units of `W`.
#[derive(Clone)]
struct World<'r, const W: usize> {
    releases: &'r InPlaceReleases,
    package: &'r Package,
    lent: Lent,
    chip: SimFlash<1, W, SECTOR>,
    supply: Supply,
    cuts: u64,
    boots: u64,
    story: Vec<Cut>,
}

type Part<'c, const W: usize> = Partition<'c, SimFlash<1, W, SECTOR>>;

impl<'r, const W: usize> World<'r, W> {
    fn new(chip: Chip, releases: &'r InPlaceReleases, package: &'r Package) -> Self {
        let lent = Lent { page: LENT.page.max(W), ..LENT };
        let supply = Supply::new();
        let mut bytes = vec![0xff; region::END];
        bytes[..releases.old.len()].copy_from_slice(&releases.old);
        let slot_end = region::SLOT.1;
        bytes[slot_end - 256..slot_end].copy_from_slice(&trailer(releases.old_full.envelope()));
        let chip = SimFlash::holding(&bytes).with(chip).on(&supply);
        let mut world =
            Self { releases, package, lent, chip, supply, cuts: 0, boots: 0, story: Vec::new() };
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
            &mut Updater<'_, Part<'_, W>, Part<'_, W>, FastVerifier>,
            &mut Part<'_, W>,
            &mut Part<'_, W>,
        ) -> Result<T, UpdateError>,
    ) -> Result<T, UpdateError> {
        // The chip is lent for as long as the updater lives.
        let lent = self.lent;
        let chip = RefCell::new(self.chip.clone());
        let outcome = {
            let part = |(offset, len): (usize, usize)| {
                Partition::new(&chip, offset as u32, len as u32).expect("whole sectors")
            };
            let (mut staging, mut states) = (part(region::STAGING), part(lent.states));
            Updater::open_single(
                &DEVICE,
                FastVerifier,
                part(region::journal(W)),
                part(region::SLOT),
            )
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
        self.go_on_with::<SimFlash<1, W, SECTOR>>(None)
    }

    /// The same with states of the decoder elsewhere.
    fn go_on_with<C: NorFlash>(&mut self, elsewhere: Option<&mut C>) -> Result<(), UpdateError> {
        let lent = self.lent;
        self.with(|updater, staging, states| {
            if !updater.is_in_place_wanted()? {
                return Ok(());
            }
            let (mut block, mut page) = ([0; 256], vec![0; lent.page]);
            let mut tables = compact::TinyTables::NEW;
            let (mut seats, mut head) = (vec![0; lent.seats], [0; InPlaceDecoder::HEAD_BYTES]);
            let buffers = InPlaceBuffers {
                block: &mut block,
                page: &mut page,
                compact: Some(tables.lend()),
                arrangement: ArrangementBuffers { seats: &mut seats, head: &mut head },
            };
            let installed = match elsewhere {
                Some(states) => updater.install_in_place(staging, states, buffers, &mut |_| {}),
                None => updater.install_in_place(staging, states, buffers, &mut |_| {}),
            };
            installed.map(|_| ())
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

impl<const W: usize> World<'_, W> {
    /// Lets the power fail once; whether that came before the update was over.
    fn cut(&mut self, cut: Cut) -> bool {
        self.story.push(cut);
        self.supply.arm(cut, cut.step ^ 0x55 ^ self.cuts);
        self.run();
        let came = self.supply.is_down();
        self.supply.restore();
        self.cuts += u64::from(came);
        came
    }

    fn end(&mut self) {
        assert!(self.run() && self.run(), "it ends: {}", self.what());
    }
}

/// Every cut that can hit this device from where it stands.
fn cuts<'r, const W: usize>(world: &World<'r, W>) -> impl Iterator<Item = World<'r, W>> {
    let all = (0..).flat_map(|step| Outcome::ALL.map(|outcome| Cut { step, outcome }));
    all.map_while(|cut| {
        // A clone of the flash hangs on the same supply.
        let mut world = world.clone();
        world.cut(cut).then_some(world)
    })
}

/// Counts what a sweep did.
#[derive(Default)]
struct Count {
    cuts: u64,
    boots: u64,
}

impl Count {
    fn add<const W: usize>(&mut self, world: &World<'_, W>) {
        self.cuts += world.cuts;
        self.boots += world.boots;
    }

    fn tell(&self, what: &str) {
        println!(
            "power cuts: one slot, {what}: {} cuts, {} boots, 0 bricks",
            self.cuts, self.boots
        );
    }
}

fn sweep<const W: usize>(
    what: &str,
    chip: Chip,
    page: usize,
    package: impl Fn(&InPlaceReleases) -> &Package,
) {
    sweep_of::<W>(&InPlaceReleases::new(1200, 7, ROOM), what, chip, page, package);
}

fn sweep_of<const W: usize>(
    releases: &InPlaceReleases,
    what: &str,
    chip: Chip,
    page: usize,
    package: impl Fn(&InPlaceReleases) -> &Package,
) {
    let mut count = Count::default();
    let mut world = World::<W>::new(chip, releases, package(releases));
    world.lent.page = page;
    for mut world in cuts(&world) {
        world.end();
        count.add(&world);
    }
    count.tell(&format!("single cuts, writes of {W}, pages of {page}, {what}"));
}

#[test]
fn power_cuts_do_not_brick_a_single_slot() {
    sweep::<8>("delta, plain", Chip::PLAIN, 64, |releases| &releases.delta);
}

#[test]
fn power_cuts_do_not_brick_a_single_slot_with_error_correction() {
    sweep::<32>("delta, error correction", Chip::CORRECTING, 32, |releases| &releases.delta);
}

#[test]
fn power_cuts_do_not_brick_a_single_slot_that_erases_to_zeros() {
    sweep::<4>("delta, erased to zeros", Chip::INVERTED, 256, |releases| &releases.delta);
}

#[test]
fn power_cuts_do_not_brick_a_single_slot_that_takes_a_full_image() {
    sweep::<8>("full image, plain", Chip::PLAIN, 8, |releases| &releases.new_full);
}

#[test]
fn power_cuts_do_not_brick_a_single_slot_whose_image_shrinks() {
    let releases = InPlaceReleases::shrunk(1500, 7, ROOM);
    sweep_of::<16>(&releases, "delta to a smaller image, plain", Chip::PLAIN, 16, |releases| {
        &releases.delta
    });
}

#[test]
fn power_cuts_during_recovery_do_not_brick_a_single_slot() {
    let releases = InPlaceReleases::new(600, 8, ROOM);
    let mut count = Count::default();
    let world = World::<256>::new(Chip::CORRECTING, &releases, &releases.delta);
    let every = if is_thorough() { 1 } else { 61 };
    for once in cuts(&world).step_by(every) {
        for mut twice in cuts(&once) {
            twice.end();
            count.add(&twice);
        }
    }
    count.tell(&format!("pairs of cuts (every {every}th first one), writes of 256"));
}

#[test]
fn random_schedules_of_power_cuts_do_not_brick_a_single_slot() {
    let releases = InPlaceReleases::new(1200, 7, ROOM);
    let mut count = Count::default();
    let schedules: u64 = if is_thorough() { 1_000_000 } else { 10_000 };
    for seed in 0..schedules {
        let mut draws = Draws::new(seed);
        let chip = draws.one_of(&[Chip::PLAIN, Chip::CORRECTING, Chip::INVERTED]);
        let package = draws.one_of(&[&releases.delta, &releases.new_full]);
        let mut world = World::<32>::new(chip, &releases, package);
        world.lent.page = draws.one_of(&[32, 64, 128, 256]);
        for _ in 0..1 + draws.below(10) {
            let most = 1 << draws.below(11);
            let next = Cut { step: draws.below(most), outcome: draws.one_of(&Outcome::ALL) };
            if !world.cut(next) {
                break;
            }
        }
        world.end();
        count.add(&world);
    }
    count.tell(&format!("{schedules} random schedules, writes of 32"));
}

#[test]
fn what_does_not_suit_a_single_slot_is_refused_before_anything_is_changed() {
    let releases = InPlaceReleases::new(1200, 7, ROOM);
    let mut world = World::<8>::new(Chip::PLAIN, &releases, &releases.delta);
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
    let short = (region::STATES.0, 16 * SECTOR);
    for lent in [
        Lent { page: 4, ..LENT },
        Lent { page: 48, ..LENT },
        Lent { page: 512, ..LENT },
        Lent { states: short, ..LENT },
    ] {
        world.lent = lent;
        let refused = world.go_on();
        assert!(
            matches!(&refused, Err(UpdateError::Patch(error)) if error.culprit() == Culprit::Caller),
            "{refused:?}"
        );
    }
    world.lent = LENT;
    // Words of which no chunk is made.
    let mut odd = SimFlash::<1, 24, 240>::erased(40 * SECTOR);
    let refused = world.go_on_with(Some(&mut odd));
    assert_eq!(refused, Err(UpdateError::Patch(PatchError::Flash(FlashError::ReadSize))));
    // An unrelated base.
    world.chip.break_cell(77, 1);
    let refused = world.go_on();
    assert!(matches!(refused, Err(UpdateError::Patch(PatchError::BaseMismatch))), "{refused:?}");
    let slot = region::SLOT.1;
    let after = world.chip.bytes();
    assert!(before[..slot] == after[..slot]);
}

/// A delta that wants its base where it was, or an image into which the last sector is needed, is not even staged.
#[test]
fn what_cannot_take_the_place_of_its_base_is_not_downloaded() {
    let releases = InPlaceReleases::new(1200, 7, ROOM);
    let beside_its_base = compact_delta(&releases.old, &releases.new, 7);
    let most = region::SLOT.1 - SECTOR;
    let [fits, is_longer] = [most, most + 1].map(|len| full_image(&code_like(3, len), 7, 8));
    for (package, refused) in [
        (&beside_its_base, Some(PatchError::UnsupportedCodec { codec: Codec::Compact })),
        (&is_longer, Some(PatchError::TargetTooLarge)),
        (&fits, None),
    ] {
        let mut world = World::<8>::new(Chip::PLAIN, &releases, package);
        let before = world.chip.bytes();
        assert_eq!(world.fetch().err(), refused.map(UpdateError::Patch), "{:?}", package.manifest);
        assert_eq!(before == world.chip.bytes(), refused.is_some(), "{:?}", package.manifest);
    }
}

#[test]
fn tables_that_are_too_small_are_found_before_anything_is_changed() {
    let releases = InPlaceReleases::new(1200, 7, ROOM);
    let mut world = World::<8>::new(Chip::PLAIN, &releases, &releases.delta);
    let before = world.chip.bytes();
    world.fetch().expect("fetched");
    world.with(|updater, _, _| updater.request_in_place()).expect("wanted");
    world.lent.seats = 1;
    let refused = world.go_on();
    assert!(matches!(refused, Err(UpdateError::Patch(PatchError::Payload(_)))), "{refused:?}");
    assert!(before[..region::SLOT.1] == world.chip.bytes()[..region::SLOT.1]);
    let life = world.with(|updater, _, _| Ok(*updater.life())).expect("opens");
    assert_eq!((life.phase, life.ending), (Phase::Idle, Ending::Abandoned));
}

/// A device that has fetched the package and wants it installed.
fn about_to_install<'r>(releases: &'r InPlaceReleases, package: &'r Package) -> World<'r, 8> {
    let mut world = World::new(Chip::PLAIN, releases, package);
    world.fetch().expect("fetched");
    world.with(|updater, _, _| updater.request_in_place()).expect("wanted");
    world
}

#[test]
fn a_staged_block_that_went_bad_is_found_before_anything_is_changed() {
    let releases = InPlaceReleases::new(1200, 6, ROOM);
    let slot = ..region::SLOT.1;
    for package in [&releases.delta, &releases.new_full] {
        let world = about_to_install(&releases, package);
        // The envelope takes whole words.
        let blocks = region::STAGING.0 + package.envelope_len.next_multiple_of(8);
        for offset in (0..package.bytes.len() - package.envelope_len).step_by(19) {
            let mut world = world.clone();
            world.chip.break_cell((blocks + offset) as u32, 3);
            let before = world.chip.bytes();
            let refused = world.go_on();
            assert!(matches!(refused, Err(UpdateError::Patch(_))), "byte {offset}: {refused:?}");
            assert!(before[slot] == world.chip.bytes()[slot], "byte {offset}");
            let boot = world.with(|updater, _, _| updater.boot(ResetCause::PowerOn));
            assert!(matches!(boot, Ok(Boot::Slot(..))), "byte {offset}: {boot:?}");
        }
    }
}

#[test]
fn a_package_for_another_room_is_refused_before_anything_is_changed() {
    let larger = InPlaceRoom { sectors: ROOM.sectors + 1, ..ROOM };
    let finer = InPlaceRoom { sector_bytes: ROOM.sector_bytes / 2, sectors: 2 * ROOM.sectors };
    for room in [larger, finer] {
        let releases = InPlaceReleases::new(1200, 7, room);
        let mut world = about_to_install(&releases, &releases.delta);
        world.lent.seats = room.sectors.into();
        let before = world.chip.bytes();
        let refused = world.go_on();
        assert_eq!(refused, Err(UpdateError::Patch(PatchError::TargetTooLarge)), "{room:?}");
        assert!(before[..region::SLOT.1] == world.chip.bytes()[..region::SLOT.1], "{room:?}");
    }
}

/// The state that was kept last goes bad while the power is off: nothing is made from it.
#[test]
fn a_state_that_went_bad_is_not_taken_up() {
    let releases = InPlaceReleases::new(1200, 7, ROOM);
    let mut undisturbed = about_to_install(&releases, &releases.delta);
    let before = undisturbed.supply.steps();
    undisturbed.go_on().expect("it installs");
    let steps = undisturbed.supply.steps() - before;
    let mut refused = 0;
    for step in [steps * 2 / 5, steps * 7 / 10, steps * 9 / 10] {
        let mut world = about_to_install(&releases, &releases.delta);
        world.supply.arm(Cut { step, outcome: Outcome::Nothing }, step);
        world.go_on().expect_err("the cut comes");
        world.supply.restore();
        let flip = |world: &mut World<'_, 8>, offset: usize| {
            let mut bytes = world.chip.bytes();
            bytes[offset] ^= 4;
            world.chip = SimFlash::holding(&bytes).on(&world.supply);
        };
        let (states, end) = region::STATES;
        for offset in (states..states + end).step_by(29) {
            let mut world = world.clone();
            flip(&mut world, offset);
            let before = world.chip.bytes();
            let outcome = world.go_on();
            if outcome.is_err() {
                let wanted = Err(UpdateError::Patch(PatchError::Flash(FlashError::State)));
                assert_eq!(outcome, wanted, "step {step}, byte {offset}");
                assert!(before[..region::SLOT.1] == world.chip.bytes()[..region::SLOT.1]);
                flip(&mut world, offset);
                refused += 1;
            }
            world.end();
        }
    }
    assert!(refused > 100, "{refused} states were refused");
}

/// A full image needs nothing of the old one, so no move tells that the old one is gone.
#[test]
fn a_package_that_goes_bad_once_the_first_sector_is_begun_ends_no_installation() {
    let releases = InPlaceReleases::new(1200, 7, ROOM);
    let world = about_to_install(&releases, &releases.new_full);
    let old = world.chip.bytes();
    let mut begun = 0;
    for step in 0..60 {
        let mut world = world.clone();
        world.supply.arm(Cut { step, outcome: Outcome::Nothing }, step);
        world.go_on().expect_err("the cut comes");
        world.supply.restore();
        if world.chip.bytes()[..SECTOR] == old[..SECTOR] {
            continue;
        }
        begun += 1;
        let last = region::STAGING.0 + releases.new_full.bytes.len() - 16;
        world.chip.break_cell(last as u32, 3);
        let refused = world.go_on();
        assert!(matches!(refused, Err(UpdateError::Patch(_))), "step {step}: {refused:?}");
        let life = world.with(|updater, _, _| Ok(*updater.life())).expect("opens");
        assert_eq!(life.phase, Phase::Verified, "step {step}");
    }
    assert!(begun > 20, "{begun} times the first sector was gone");
}

#[test]
fn errors_on_the_way_end_no_installation_that_has_begun() {
    let releases = InPlaceReleases::new(1200, 7, ROOM);
    let mut world = World::<8>::new(Chip::PLAIN, &releases, &releases.delta);
    world.fetch().expect("fetched");
    world.with(|updater, _, _| updater.request_in_place()).expect("wanted");
    world.chip.refuse_reads(0..0);
    let reads = {
        let mut world = world.clone();
        world.go_on().expect("installs");
        world.chip.reads()
    };
    let mut begun = 0;
    for from in (0..reads).step_by(13) {
        let mut world = world.clone();
        world.chip.refuse_reads(from..from + 1000);
        let failed = world.go_on();
        world.chip.refuse_reads(0..0);
        let life = world.with(|updater, _, _| Ok(*updater.life())).expect("opens");
        if failed.is_err() && life.phase == Phase::Verified {
            begun += 1;
            let boot = world.with(|updater, _, _| updater.boot(ResetCause::PowerOn));
            if boot == Ok(Boot::Recovery) {
                let mut other = World { package: &releases.new_full, ..world.clone() };
                let refused = other.fetch();
                assert!(matches!(refused, Err(UpdateError::Life(_))), "read {from}: {refused:?}");
            }
        }
        world.end();
    }
    assert!(begun > 20, "{begun} installations went on");
}

#[test]
fn a_package_that_was_made_wrongly_ends_in_recovery_and_with_a_full_image() {
    let releases = InPlaceReleases::new(1200, 7, ROOM);
    let wrong = releases.delta.promising([7; 32]);
    let mut world = World::<8>::new(Chip::PLAIN, &releases, &wrong);
    world.fetch().expect("fetched");
    world.with(|updater, _, _| updater.request_in_place()).expect("wanted");
    for _ in 0..3 {
        let failed = world.go_on();
        assert_eq!(failed, Err(UpdateError::Patch(PatchError::ImageMismatch)));
        let boot = world.with(|updater, _, _| updater.boot(ResetCause::PowerOn));
        assert_eq!(boot, Ok(Boot::Recovery));
    }
    // The recovery gives it up, and asks for the full image.
    world.package = &releases.new_full;
    world.with(|updater, _, _| updater.abandon()).expect("given up");
    world.fetch().expect("fetched");
    world.with(|updater, _, _| updater.request_in_place()).expect("wanted");
    world.end();
}

#[test]
fn a_read_that_fails_at_boot_loses_nothing() {
    let releases = InPlaceReleases::new(1200, 7, ROOM);
    let mut world = World::<8>::new(Chip::PLAIN, &releases, &releases.delta);
    world.with(|updater, _, _| updater.disable(5)).expect("noted");
    world.fetch().expect("fetched");
    world.with(|updater, _, _| updater.request_in_place()).expect("wanted");
    let look = |world: &mut World<'_, 8>| {
        world.with(|updater, _, _| {
            updater.boot(ResetCause::PowerOn)?;
            Ok((updater.disabled(), updater.life().phase))
        })
    };
    world.chip.refuse_reads(0..0);
    let reads = {
        let mut world = world.clone();
        look(&mut world).expect("boots");
        world.chip.reads()
    };
    for (read, count) in (0..reads).flat_map(|read| [(read, 1), (read, 4), (read, 40)]) {
        let mut world = world.clone();
        world.chip.refuse_reads(read..read + count);
        let _ = look(&mut world);
        world.chip.refuse_reads(0..0);
        assert_eq!(look(&mut world), Ok((5, Phase::Verified)), "{count} from read {read} on");
    }
}

#[test]
fn broken_cells_are_found_where_a_single_slot_writes_them() {
    let releases = InPlaceReleases::new(1200, 7, ROOM);
    let mut fetched = World::<8>::new(Chip::PLAIN, &releases, &releases.delta);
    fetched.fetch().expect("fetched");
    fetched.with(|updater, _, _| updater.request_in_place()).expect("wanted");
    let found = |range: core::ops::Range<usize>| {
        let mut found = 0;
        for offset in range.clone() {
            let mut world = fetched.clone();
            world.chip.break_cell(offset as u32, 3);
            match world.go_on() {
                Ok(()) => continue,
                Err(UpdateError::Patch(error)) if error.culprit() == Culprit::Hardware => {}
                Err(error) => panic!("byte {offset}: {error}"),
            }
            found += 1;
            let life = world.with(|updater, _, _| Ok(*updater.life())).expect("opens");
            assert_eq!(life.phase, Phase::Verified, "byte {offset}");
        }
        found
    };
    // Behind the base: sectors to spare, and the end of a target that grew.
    let room = releases.old.len()..ROOM.sectors as usize * SECTOR;
    assert!(found(room.clone()) > 0, "nothing behind the base is written");
    let states = region::STATES.0..region::STATES.0 + 64;
    assert_eq!(found(states), 64, "the states are compared");
}
