//! Flash that cannot be read for a while, broken cells, and connections that break.

use whittle_flash_sim::{Chip, Supply};
use whittle_patcher_nostd::{Boot, Culprit, Phase, ResetCause, SlotId, Status, UpdateError};

use super::blocking::world::{Flash, Geometry};
use super::packages::{Package, Releases};

const GEOMETRY: Geometry = Geometry { bank: 1024, slot: 1024, staging: 2048 };

fn begin(flash: &mut Flash<1, 8, 256>, package: &Package, bytes: usize) {
    let (mut updater, region) = flash.with_staging().expect("opens");
    let mut block = [0; 256];
    let mut download = updater.download(region, &mut block).expect("begins");
    download.push(&mut &package.bytes[..bytes]).expect("stages");
}

#[test]
fn a_resume_with_one_failing_read_is_no_new_download() {
    let releases = Releases::new(600, 6);
    let mut flash = Flash::<1, 8, 256>::new(Chip::PLAIN, GEOMETRY, &releases, &Supply::new());
    begin(&mut flash, &releases.delta, releases.delta.bytes.len() - 20);
    let mut none = Vec::new();
    for read in 0..8 {
        let mut flash = flash.clone();
        let (mut updater, region) = flash.with_staging().expect("opens");
        region.refuse_reads(read..read + 1);
        let mut block = [0; 256];
        if matches!(updater.resume(region, &mut block), Ok(None)) {
            none.push(("staging", read));
        }
    }
    for read in 0..3 {
        let mut flash = flash.clone();
        flash.slots[0].refuse_reads(read..read + 1);
        let (mut updater, region) = flash.with_staging().expect("opens");
        let mut block = [0; 256];
        if matches!(updater.resume(region, &mut block), Ok(None)) {
            none.push(("base", read));
        }
    }
    assert!(none.is_empty(), "nothing to go on with: {none:?}");
}

#[test]
fn one_failing_read_at_boot_does_not_reject_a_trial() {
    let releases = Releases::new(600, 6);
    let mut flash = Flash::<1, 8, 256>::new(Chip::PLAIN, GEOMETRY, &releases, &Supply::new());
    flash.fetch_whole(&releases.new_full).expect("fetched");
    flash.install().expect("installs");
    flash.updater().expect("opens").activate().expect("activates");
    flash.slots[1].refuse_reads(2..3);
    let boot = flash.updater().expect("opens").boot(ResetCause::PowerOn).expect("boots");
    flash.slots[1].refuse_reads(0..0);
    let life = *flash.updater().expect("opens").life();
    let again = flash.fetch_whole(&releases.new_full);
    assert!(matches!(boot, Boot::Slot(SlotId::B, _)), "{life:?}, again: {again:?}");
}

/// Fetches over a connection that breaks after each block and a half, with one updater or, as after resets, with a new one
/// each time; how often it began anew, and whether it ended.
fn fetch_in_pieces(staging: usize, releases: &Releases, is_reset: bool) -> (usize, bool) {
    let geometry = Geometry { bank: 1024, slot: 4096, staging };
    let mut flash = Flash::<1, 8, 256>::new(Chip::PLAIN, geometry, releases, &Supply::new());
    let bytes = &releases.new_full.bytes;
    let (mut begun, mut rounds) = (0, 0);
    while rounds < 200 {
        let (mut updater, region) = flash.with_staging().expect("opens");
        loop {
            rounds += 1;
            let mut block = [0; 256];
            let resumes = updater.resume(region, &mut block).expect("opens").is_some();
            let mut download = if resumes {
                updater.resume(region, &mut block).expect("opens").expect("it was there")
            } else {
                begun += 1;
                updater.download(region, &mut block).expect("begins")
            };
            let at = download.offset() as usize;
            let len = if at == 0 { releases.new_full.envelope_len + 100 } else { 120 };
            match download.push(&mut &bytes[at..(at + len).min(bytes.len())]) {
                Ok(Status::Done) => return (begun, true),
                Ok(Status::NeedMore) => {}
                Err(error) => panic!("{error}"),
            }
            if is_reset || rounds >= 200 {
                break;
            }
        }
    }
    (begun, false)
}

#[test]
fn a_connection_that_breaks_often_costs_no_block_twice() {
    let releases = Releases::new(2000, 6);
    let staging = releases.new_full.bytes.len() + 300;
    assert_eq!(fetch_in_pieces(staging, &releases, false), (1, true));
}

#[test]
fn a_staging_region_that_gaps_have_filled_is_not_gone_on_with() {
    let releases = Releases::new(2000, 6);
    let staging = releases.new_full.bytes.len() + 300;
    let (begun, _) = fetch_in_pieces(staging, &releases, true);
    assert!(begun > 1, "it begins anew instead");
}

#[test]
fn what_the_application_keeps_leaves_room_for_a_download() {
    let releases = Releases::new(600, 6);
    let mut flash = Flash::<1, 8, 256>::new(Chip::PLAIN, GEOMETRY, &releases, &Supply::new());
    let kept =
        (1..1024).rev().find(|len| flash.updater().expect("opens").keep(&vec![7; *len]).is_ok());
    let fetched = flash.fetch_whole(&releases.delta);
    assert!(fetched.is_ok(), "kept {kept:?}: {fetched:?}");
}

#[test]
fn a_broken_cell_in_a_trailer_is_the_flashs_fault() {
    let releases = Releases::new(600, 6);
    let mut flash = Flash::<1, 8, 256>::new(Chip::PLAIN, GEOMETRY, &releases, &Supply::new());
    flash.fetch_whole(&releases.delta).expect("fetched");
    flash.slots[1].break_cell(1024 - 256 + 150, 3);
    let failed = flash.install();
    let life = *flash.updater().expect("opens").life();
    assert!(
        matches!(&failed, Err(UpdateError::Patch(error)) if error.culprit() == Culprit::Hardware),
        "{failed:?}, {life:?}"
    );
    assert_eq!(life.phase, Phase::Verified);
}

#[test]
fn reads_that_fail_for_a_while_do_not_lower_the_counter() {
    let releases = Releases::new(600, 6);
    let mut lowered = Vec::new();
    for before in 0..12 {
        let mut flash = Flash::<1, 8, 256>::new(Chip::PLAIN, GEOMETRY, &releases, &Supply::new());
        flash.fetch_whole(&releases.new_full).expect("fetched");
        flash.install().expect("installs");
        flash.updater().expect("opens").activate().expect("activates");
        flash.updater().expect("opens").boot(ResetCause::PowerOn).expect("boots");
        for n in 0..before {
            flash.updater().expect("opens").keep(&[n; 9]).expect("kept");
        }
        flash.updater().expect("opens").healthy().expect("commits");
        flash.updater().expect("opens").boot(ResetCause::PowerOn).expect("boots");
        flash.journal.refuse_reads(0..0);
        flash.updater().expect("opens");
        let reads = flash.journal.reads();
        for n in 0..reads {
            for count in [9, 12, 30, 100, 300] {
                let mut flash = flash.clone();
                flash.journal.refuse_reads(n..n + count);
                let _ = flash.updater().map(|_| ());
                flash.journal.refuse_reads(0..0);
                let Ok(updater) = flash.updater() else { continue };
                let life = *updater.life();
                if life.security_counter < 8 {
                    lowered.push((
                        before,
                        n,
                        count,
                        life.phase,
                        life.committed,
                        life.security_counter,
                    ));
                }
            }
        }
    }
    assert!(lowered.is_empty(), "{}: {:?}", lowered.len(), &lowered[..lowered.len().min(4)]);
}

#[test]
fn a_rolled_back_image_does_not_come_back_when_the_journal_is_lost() {
    let releases = Releases::new(600, 6);
    let mut flash = Flash::<1, 8, 256>::new(Chip::PLAIN, GEOMETRY, &releases, &Supply::new());
    flash.fetch_whole(&releases.new_full).expect("fetched");
    flash.install().expect("installs");
    flash.updater().expect("opens").activate().expect("activates");
    flash.updater().expect("opens").boot(ResetCause::PowerOn).expect("boots");
    flash.updater().expect("opens").unhealthy().expect("rolls back");
    flash.updater().expect("opens").boot(ResetCause::PowerOn).expect("boots");
    flash.journal = whittle_flash_sim::SimFlash::used(2048);
    let boot = flash.updater().expect("opens").boot(ResetCause::PowerOn).expect("boots");
    let life = *flash.updater().expect("opens").life();
    assert!(matches!(boot, Boot::Slot(SlotId::A, _)), "{life:?}");
}

#[test]
fn reads_that_fail_for_a_while_do_not_lower_the_version_of_flags() {
    let releases = Releases::new(600, 6);
    let geometry = Geometry { bank: 4096, ..GEOMETRY };
    let mut lowered = Vec::new();
    for before in 0..40 {
        let mut flash = Flash::<1, 8, 256>::new(Chip::PLAIN, geometry, &releases, &Supply::new());
        flash.updater().expect("opens").accept_flags(&super::packages::flags(4)).expect("valid");
        for n in 0..before {
            flash.updater().expect("opens").keep(&[n; 99]).expect("kept");
        }
        flash.journal.refuse_reads(0..0);
        flash.updater().expect("opens");
        for n in 0..flash.journal.reads() {
            for count in [12, 30] {
                let mut flash = flash.clone();
                flash.journal.refuse_reads(n..n + count);
                let _ = flash.updater().map(|_| ());
                flash.journal.refuse_reads(0..0);
                let Ok(mut updater) = flash.updater() else { continue };
                if updater.accept_flags(&super::packages::flags(3)).is_ok() {
                    lowered.push((before, n, count));
                }
            }
        }
    }
    assert!(lowered.is_empty(), "{}: {:?}", lowered.len(), &lowered[..lowered.len().min(6)]);
}
