//! Flash that cannot be read for a while, broken cells, and connections that break.

use whittle_flash_sim::{Chip, Cut, Outcome, SimFlash, Supply};
use whittle_patcher_nostd::{Boot, Culprit, Phase, SlotId, Status, UpdateError};

use super::blocking::world::{Flash, Geometry};
use super::packages::{Package, Releases};
use super::two_small_slots::{GEOMETRY, boot, commit, install, life, on_trial, plain};

fn begin(flash: &mut Flash<1, 8, 256>, package: &Package, bytes: usize) {
    let (mut updater, region) = flash.with_staging().expect("opens");
    let mut block = [0; 256];
    let mut download = updater.download(region, &mut block).expect("begins");
    download.push(&mut &package.bytes[..bytes]).expect("stages");
}

#[test]
fn a_resume_with_one_failing_read_is_no_new_download() {
    let releases = Releases::new(600, 6);
    let mut flash = plain(&releases);
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
    let mut flash = plain(&releases);
    install(&mut flash, &releases);
    flash.slots[1].refuse_reads(2..3);
    let boot = boot(&mut flash);
    flash.slots[1].refuse_reads(0..0);
    let life = life(&mut flash);
    let again = flash.fetch_whole(&releases.new_full);
    assert!(matches!(boot, Boot::Slot(SlotId::B, _)), "{life:?}, again: {again:?}");
}

/// Wherever reads fail twice in a row, as on a disturbed bus, an installation goes on as if nothing had been.
#[test]
fn reads_that_fail_twice_in_a_row_cost_an_installation_nothing() {
    type Device = Flash<1, 8, 256>;
    type Region = fn(&mut Device) -> &mut SimFlash<1, 8, 256>;
    let regions: [(&str, Region); 4] = [
        ("base", |flash| &mut flash.slots[0]),
        ("target", |flash| &mut flash.slots[1]),
        ("staging", |flash| &mut flash.staging),
        ("journal", |flash| &mut flash.journal),
    ];
    let releases = Releases::new(600, 6);
    let mut ready = plain(&releases);
    ready.fetch_whole(&releases.delta).expect("fetched");
    for (name, region) in regions {
        let mut undisturbed = ready.clone();
        region(&mut undisturbed).refuse_reads(0..0);
        undisturbed.install().expect("installs");
        let reads = region(&mut undisturbed).reads();
        assert!(reads > 0, "{name} is read");
        for n in 0..reads {
            let mut flash = ready.clone();
            region(&mut flash).refuse_reads(n..n + 2);
            assert!(flash.install().is_ok(), "{name}, reads {n} and {}", n + 1);
        }
    }
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
    let mut flash = plain(&releases);
    let kept =
        (1..1024).rev().find(|len| flash.updater().expect("opens").keep(&vec![7; *len]).is_ok());
    let fetched = flash.fetch_whole(&releases.delta);
    assert!(fetched.is_ok(), "kept {kept:?}: {fetched:?}");
}

#[test]
fn a_broken_cell_in_a_trailer_is_the_flashs_fault() {
    let releases = Releases::new(600, 6);
    let mut flash = plain(&releases);
    flash.fetch_whole(&releases.delta).expect("fetched");
    flash.slots[1].break_cell(1024 - 256 + 150, 3);
    let failed = flash.install();
    let life = life(&mut flash);
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
        let mut flash = on_trial(&releases);
        for n in 0..before {
            flash.updater().expect("opens").keep(&[n; 9]).expect("kept");
        }
        commit(&mut flash);
        boot(&mut flash);
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
    let mut flash = on_trial(&releases);
    flash.updater().expect("opens").unhealthy().expect("rolls back");
    boot(&mut flash);
    flash.journal = SimFlash::used(2048);
    let boot = boot(&mut flash);
    let life = life(&mut flash);
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

#[test]
fn broken_cells_are_found_where_they_are_written() {
    let releases = Releases::new(600, 6);
    let new = plain(&releases);
    for offset in (0..releases.delta.bytes.len() as u32).step_by(7) {
        let mut flash = new.clone();
        flash.staging.break_cell(offset, 3);
        let fetched = flash.fetch_whole(&releases.delta);
        assert!(matches!(fetched, Err(UpdateError::Staging(_))), "byte {offset}: {fetched:?}");
    }
    let mut fetched = new;
    fetched.fetch_whole(&releases.delta).expect("fetched");
    for offset in (0..releases.new.len() as u32).step_by(7) {
        let mut flash = fetched.clone();
        flash.slots[1].break_cell(offset, 3);
        assert!(is_flashs_fault(&flash.install()), "byte {offset}");
    }
}

#[test]
fn what_went_bad_after_a_power_cut_is_written_anew() {
    let releases = Releases::new(600, 6);
    let supply = Supply::new();
    let mut flash = Flash::<1, 8, 256>::new(Chip::PLAIN, GEOMETRY, &releases, &supply);
    flash.fetch_whole(&releases.delta).expect("fetched");
    let before = supply.steps();
    let steps = {
        let supply = Supply::new();
        let mut flash = Flash::<1, 8, 256>::new(Chip::PLAIN, GEOMETRY, &releases, &supply);
        flash.fetch_whole(&releases.delta).expect("fetched");
        flash.install().expect("installs");
        supply.steps() - before
    };
    supply.arm(Cut { step: steps - 40, outcome: Outcome::Nothing }, 1);
    flash.install().expect_err("the power is gone");
    supply.restore();
    flash.slots[1].break_cell(100, 3);
    let erased = flash.slots[1].erase_counts()[0];
    assert!(is_flashs_fault(&flash.install()), "it is compared");
    assert_eq!(flash.slots[1].erase_counts()[0], erased, "it is only compared");
    assert!(is_flashs_fault(&flash.install()), "the cell is still broken");
    assert_eq!(flash.slots[1].erase_counts()[0], erased + 1, "all is written anew");
}

/// A block that was written and never counted is in doubt for an updater that stays open, too.
#[test]
fn a_block_that_could_not_be_read_back_is_not_written_over() {
    let releases = Releases::new(600, 6);
    let bytes = &releases.new_full.bytes;
    let new = Flash::<1, 8, 256>::new(Chip::CORRECTING, GEOMETRY, &releases, &Supply::new());
    let mut resumed = 0;
    for read in 0.. {
        let mut flash = new.clone();
        let (mut updater, region) = flash.with_staging().expect("opens");
        let mut block = [0; 256];
        region.refuse_reads(read..read + 12);
        let mut download = updater.download(region, &mut block).expect("begins");
        if download.push(&mut &bytes[..]).is_ok() {
            break;
        }
        region.refuse_reads(0..0);
        // Without its envelope a download begins anew.
        let Some(mut download) = updater.resume(region, &mut block).expect("opens") else {
            continue;
        };
        resumed += 1;
        let offset = download.offset() as usize;
        let staged = download.push(&mut &bytes[offset..]);
        assert_eq!(staged, Ok(Status::Done), "read {read}");
        download.finish().expect("whole");
    }
    assert!(resumed > 5, "{resumed}");
}

#[test]
fn a_state_that_could_not_be_written_does_not_come_into_effect() {
    let releases = Releases::new(600, 6);
    let flash = on_trial(&releases);
    let mut failures = 0;
    for accesses in 0.. {
        let mut flash = flash.clone();
        flash.journal.fail_after(accesses);
        let mut updater = flash.updater().expect("opens");
        let before = *updater.life();
        updater.set_running_slot(SlotId::B);
        let committed = updater.healthy();
        if committed.is_ok() {
            break;
        }
        failures += 1;
        assert!(matches!(committed, Err(UpdateError::Journal(_))), "{committed:?}");
        assert_eq!(*updater.life(), before, "after {accesses} accesses");
    }
    assert!(failures > 1, "{failures}");
}

#[test]
fn an_installation_goes_on_once_the_journal_can_be_written_again() {
    let releases = Releases::new(600, 6);
    let mut fetched = plain(&releases);
    fetched.fetch_whole(&releases.delta).expect("fetched");
    let mut failures = 0;
    for accesses in 0.. {
        let mut flash = fetched.clone();
        flash.journal.fail_after(accesses);
        let installed = flash.install();
        if installed.is_ok() {
            break;
        }
        failures += 1;
        assert!(matches!(installed, Err(UpdateError::Journal(_))), "{installed:?}");
        flash.journal.fail_after(usize::MAX);
        // Its end may have been written, though not for certain.
        if life(&mut flash).phase != Phase::Installed {
            flash.install().expect("goes on");
        }
    }
    assert!(failures > 3, "{failures}");
}

fn is_flashs_fault(outcome: &Result<(), UpdateError>) -> bool {
    matches!(outcome, Err(UpdateError::Patch(error)) if error.culprit() == Culprit::Hardware)
}
