//! The async build: it leaves the same bytes as the blocking one, and its futures may be dropped anywhere.

use whittle_flash_sim::{Chip, Supply};
use whittle_patcher_nostd::{Buffers, JournalError, UpdateError, compact};

use super::asynchronous::world::{Behaviour, CHUNK, Flash, Geometry, World};
use super::awaited::{poll_at_most, wait_behind};
use super::packages::{Package, Releases};
use super::{asynchronous, blocking};

const GEOMETRY: Geometry = Geometry { bank: 1024, slot: 1024, staging: 2048 };

#[test]
fn both_builds_leave_the_same_bytes() {
    let releases = Releases::new(600, 6);
    let geometry = blocking::world::Geometry { bank: 1024, slot: 1024, staging: 2048 };
    for (once, twice) in blocking::world::Behaviour::ALL.into_iter().zip(Behaviour::ALL) {
        let mut waiting =
            blocking::sweep::factory::<4, 8, 256>(Chip::CORRECTING, geometry, &releases, once);
        let mut awaiting =
            asynchronous::sweep::factory::<4, 8, 256>(Chip::CORRECTING, GEOMETRY, &releases, twice);
        assert!(waiting.run() && awaiting.run(), "no power cuts");
        let (waiting, awaiting) = (&waiting.flash, &awaiting.flash);
        assert!(waiting.journal.bytes() == awaiting.journal.bytes(), "journal, {once:?}");
        assert!(waiting.slots[0].bytes() == awaiting.slots[0].bytes(), "slot A, {once:?}");
        assert!(waiting.slots[1].bytes() == awaiting.slots[1].bytes(), "slot B, {once:?}");
        assert!(waiting.staging.bytes() == awaiting.staging.bytes(), "staging, {once:?}");
    }
}

/// Downloads, installs and activates, without any other access in between.
async fn update(flash: &mut Flash<1, 8, 256>, package: &Package) -> Result<(), UpdateError> {
    let (mut updater, mut region) = flash.with_staging()?;
    let (mut block, mut page) = ([0; 256], [0; 24]);
    let mut download = updater.download(&mut region, &mut block)?;
    for mut chunk in package.bytes.chunks(CHUNK) {
        download.push(&mut chunk).await?;
    }
    download.finish().await?;
    let mut tables = compact::TinyTables::NEW;
    let buffers = Buffers { block: &mut block, page: &mut page, compact: Some(tables.lend()) };
    updater.install(&mut region, buffers, &mut |_| {}).await?;
    updater.activate().await
}

#[test]
fn an_update_may_be_dropped_wherever_it_waits() {
    let releases = Releases::new(600, 6);
    let mut drops = 0;
    for behind in [false, true] {
        wait_behind(behind);
        for polls in 0.. {
            let supply = Supply::new();
            let mut flash = Flash::new(Chip::CORRECTING, GEOMETRY, &releases, &supply);
            let done = poll_at_most(update(&mut flash, &releases.delta), polls);
            let mut world = World::new(flash, &releases, Behaviour::Works, &supply);
            assert!(world.run() && world.run(), "dropped after {polls} polls, {behind}");
            if let Some(outcome) = done {
                outcome.expect("updates");
                break;
            }
            drops += 1;
        }
    }
    wait_behind(false);
    println!("dropped futures: {drops} places, 0 bricks");
    assert!(drops > 100, "{drops}");
}

#[test]
fn another_package_may_take_the_place_of_one_that_is_staged() {
    let releases = Releases::new(600, 6);
    let mut flash = Flash::<1, 8, 256>::new(Chip::PLAIN, GEOMETRY, &releases, &Supply::new());
    flash.fetch_whole(&releases.delta).expect("fetched");
    flash.fetch_whole(&releases.new_full).expect("fetched");
    flash.install().expect("installs");
}

#[test]
fn who_was_left_in_the_middle_does_not_go_on() {
    let releases = Releases::new(600, 6);
    let mut flash = Flash::<1, 8, 256>::new(Chip::PLAIN, GEOMETRY, &releases, &Supply::new());
    let interrupted = UpdateError::Journal(JournalError::Interrupted);
    {
        let (mut updater, mut region) = flash.with_staging().expect("opens");
        assert_eq!(poll_at_most(updater.disable(1), 1), None);
        assert_eq!(poll_at_most(updater.disable(2), 1), Some(Err(interrupted)));
        let mut block = [0; 256];
        let resumed = poll_at_most(updater.resume(&mut region, &mut block), 1).expect("at once");
        assert!(resumed.is_ok_and(|download| download.is_none()), "nothing was being downloaded");
    }
    let (mut updater, mut region) = flash.with_staging().expect("opens");
    let mut block = [0; 256];
    let mut download = updater.download(&mut region, &mut block).expect("begins");
    let mut input = &releases.delta.bytes[..];
    assert_eq!(poll_at_most(download.push(&mut input), 9), None);
    assert_eq!(poll_at_most(download.push(&mut input), 1), Some(Err(interrupted)));
    let end = poll_at_most(download.finish(), 1).expect("at once");
    assert_eq!(end.map(|_| ()), Err(interrupted));
}
