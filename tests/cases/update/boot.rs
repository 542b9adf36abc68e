//! Which image boots when flash has been damaged, and what a device keeps besides.

use whittle_flash_sim::{Chip, Cut, Outcome, SimFlash, Supply};
use whittle_patcher_nostd::{
    Boot, Buffers, Device, DocumentError, Ending, Journal, LifeError, LifeState, PatchError, Phase,
    RecordKind, ResetCause, SlotId, StagingError, UpdateError, Updater, any_signed_slot,
};

use super::blocking::world::{DEVICE, Flash, Geometry};
use super::packages::{FastVerifier, Releases, flags, stage};
use super::two_small_slots::{GEOMETRY, boot, commit, install, life, on_trial, plain};

/// Flips a bit in the image of a slot.
fn damage(flash: &mut Flash<1, 8, 256>, slot: SlotId) {
    flash.slots[slot as usize].break_cell(123, 5);
}

#[test]
fn a_damaged_trial_is_rolled_back() {
    let releases = Releases::new(600, 6);
    let mut flash = on_trial(&releases);
    damage(&mut flash, SlotId::B);
    assert!(matches!(boot(&mut flash), Boot::Slot(SlotId::A, _)));
    assert_eq!((life(&mut flash).ending, life(&mut flash).phase), (Ending::Damaged, Phase::Idle));
}

#[test]
fn the_other_slot_takes_over_from_a_damaged_committed_one_unless_it_was_rejected() {
    let releases = Releases::new(600, 6);
    let mut flash = on_trial(&releases);
    flash.updater().expect("opens").unhealthy().expect("rolls back");
    damage(&mut flash, SlotId::A);
    assert_eq!(boot(&mut flash), Boot::Recovery, "what failed its checks does not come back");

    // An image that is installed and has not been tried is as good as any.
    let mut flash = plain(&releases);
    install(&mut flash, &releases);
    flash.updater().expect("opens").abandon().expect_err("it is installed");
    damage(&mut flash, SlotId::A);
    let Boot::Slot(SlotId::B, _) = boot(&mut flash) else { panic!("B boots") };
    damage(&mut flash, SlotId::B);
    assert_eq!(boot(&mut flash), Boot::Recovery);
    assert_eq!(boot(&mut flash), Boot::Recovery, "again and again");
}

#[test]
fn the_counter_is_never_below_that_of_the_committed_image() {
    let releases = Releases::new(600, 6);
    let mut flash = plain(&releases);
    let stale = LifeState::new(SlotId::A, 1);
    let mut journal = Journal::open(&mut flash.journal).expect("opens");
    journal.append(RecordKind::Life, &stale.emit()).expect("written");
    assert_eq!(life(&mut flash).security_counter, 1);
    boot(&mut flash);
    assert_eq!(life(&mut flash).security_counter, 7);
}

#[test]
fn images_below_the_security_counter_do_not_boot() {
    let releases = Releases::new(600, 6);
    let mut flash = on_trial(&releases);
    commit(&mut flash);
    assert_eq!(life(&mut flash).security_counter, 8);
    // The old image, with counter 7, is still there, whole and signed.
    damage(&mut flash, SlotId::B);
    assert_eq!(boot(&mut flash), Boot::Recovery);
}

/// A release under the highest counter that there is leaves no device without updates.
#[test]
fn a_counter_at_its_end_shuts_nobody_out() {
    let releases = Releases::new(600, 6);
    let [last, next] =
        [&releases.new_full, &releases.old_full].map(|package| package.under_counter(u32::MAX));
    let mut flash = plain(&releases);
    for package in [last, next] {
        flash.fetch_whole(&package).expect("the counter is not below the device's");
        flash.install().expect("installs");
        flash.updater().expect("opens").activate().expect("activates");
        boot(&mut flash);
        commit(&mut flash);
        assert_eq!(life(&mut flash).security_counter, u32::MAX);
    }
    let refused = flash.fetch_whole(&releases.new_full);
    assert_eq!(refused, Err(UpdateError::Patch(PatchError::CounterTooLow)));
}

#[test]
fn a_security_counter_in_fuses_counts_too() {
    let releases = Releases::new(600, 6);
    let mut flash = plain(&releases);
    let device = Device { security_counter: 8, ..DEVICE };
    let [a, b] = &mut flash.slots;
    let mut updater =
        Updater::open(&device, FastVerifier, &mut flash.journal, [a, b]).expect("opens");
    assert_eq!(updater.security_counter(), 8);
    assert_eq!(updater.boot(ResetCause::Unknown), Ok(Boot::Recovery));
}

#[test]
fn a_lost_journal_is_no_brick() {
    let releases = Releases::new(600, 6);
    for is_committed in [false, true] {
        let mut flash = on_trial(&releases);
        if is_committed {
            commit(&mut flash);
        }
        flash.journal = SimFlash::used(2048);
        // Both images are signed: the one with the higher counter is taken, and the counter does not fall.
        assert!(matches!(boot(&mut flash), Boot::Slot(SlotId::B, _)));
        assert_eq!(life(&mut flash).security_counter, 8);
        damage(&mut flash, SlotId::B);
        flash.journal = SimFlash::used(2048);
        assert!(matches!(boot(&mut flash), Boot::Slot(SlotId::A, _)));
    }
}

#[test]
fn a_boot_loader_without_a_journal_starts_a_signed_slot() {
    let releases = Releases::new(600, 6);
    let mut flash = on_trial(&releases);
    (0..2048).for_each(|at| flash.journal.break_cell(at, 1));
    assert!(matches!(flash.updater().map(|_| ()), Err(UpdateError::Journal(_))));
    let [a, b] = &mut flash.slots;
    let found = any_signed_slot(&DEVICE, &FastVerifier, &mut [a, b]);
    assert_eq!(found.map(|(slot, _)| slot), Some(SlotId::B));
}

#[test]
fn what_a_device_keeps_comes_back() {
    let releases = Releases::new(600, 6);
    let mut flash = Flash::<1, 8, 256>::new(
        Chip::CORRECTING,
        Geometry { bank: 4096, ..GEOMETRY },
        &releases,
        &Supply::new(),
    );
    let (older_flags, newer_flags) = (flags(3), flags(4));
    let [two, three] = [2, 3].map(stage);
    let mut updater = flash.updater().expect("opens");
    updater.accept_flags(&newer_flags).expect("valid");
    let older = UpdateError::Document(DocumentError::VersionTooLow);
    assert_eq!(updater.accept_flags(&older_flags), Err(older));
    assert_eq!(updater.accept_stage(&three).expect("valid").number, 3);
    let older = UpdateError::Document(DocumentError::StageTooLow);
    assert_eq!(updater.accept_stage(&two).map(|_| ()), Err(older));
    updater.keep(b"set point 21.5").expect("kept");
    updater.disable(0b1010).expect("noted");
    updater.enable(0b0010).expect("noted");

    let mut updater = flash.updater().expect("opens");
    let mut bytes = [0; 1024];
    let flags = updater.flags(&mut bytes).expect("readable").expect("kept");
    assert_eq!(flags.version(), 4);
    assert_eq!(updater.stage().expect("readable").expect("kept").number, 3);
    let mut bytes = [0; 64];
    assert_eq!(updater.kept(&mut bytes), Ok(Some(&b"set point 21.5"[..])));
    assert_eq!(updater.disabled(), 0b1000);
}

#[test]
fn steps_out_of_turn_are_refused() {
    let releases = Releases::new(600, 6);
    let mut flash = plain(&releases);
    let refused = |result: Result<(), UpdateError>| {
        assert!(matches!(result, Err(UpdateError::Life(_))), "{result:?}");
    };
    refused(flash.updater().expect("opens").activate());
    refused(flash.updater().expect("opens").healthy());
    refused(flash.updater().expect("opens").abandon());
    refused(flash.install());
    install(&mut flash, &releases);
    boot(&mut flash);
    refused(flash.fetch_whole(&releases.new_full));
    // A rolled back target does not come back, and one below the counter never comes.
    flash.updater().expect("opens").unhealthy().expect("rolls back");
    refused(flash.fetch_whole(&releases.delta));
    // The next installation knows nothing of the progress of the one before.
    flash.fetch_whole(&releases.old_full).expect("another target");
    flash.install().expect("installs");
    flash.updater().expect("opens").activate().expect("activates");
    assert!(matches!(boot(&mut flash), Boot::Slot(SlotId::B, _)));
}

/// A trial would have attempts without an end.
#[test]
fn a_boot_that_cannot_be_counted_starts_the_committed_image() {
    let releases = Releases::new(600, 6);
    let mut pending = plain(&releases);
    install(&mut pending, &releases);
    for mut flash in [pending, on_trial(&releases)] {
        flash.journal.fail_after(0);
        for _ in 0..20 {
            let boot = flash.updater().expect("opens").boot(ResetCause::Watchdog);
            assert!(matches!(boot, Ok(Boot::Slot(SlotId::A, _))), "{boot:?}");
        }
        flash.journal.fail_after(usize::MAX);
        assert!(matches!(boot(&mut flash), Boot::Slot(SlotId::B, _)));
    }
}

/// A boot loader that could not read the journal for a while has started the old image while the new one is on trial.
#[test]
fn what_a_slot_says_that_the_journal_does_not_mean_is_refused() {
    let releases = Releases::new(600, 6);
    let mut flash = on_trial(&releases);
    let another = Err(UpdateError::Life(LifeError::AnotherSlotRuns));
    let mut updater = flash.updater().expect("opens");
    updater.disable(0b1).expect("of the image on trial");
    let before = *updater.life();
    assert_eq!(updater.healthy(), another, "nobody has told who says so");
    updater.set_running_slot(SlotId::A);
    assert_eq!(updater.healthy(), another);
    assert_eq!(updater.unhealthy(), another);
    assert_eq!(updater.too_late(), another);
    assert_eq!(updater.disable(0b10), another);
    assert_eq!(updater.enable(0b1), another);
    assert_eq!((*updater.life(), updater.disabled()), (before, 0));
    updater.set_running_slot(SlotId::B);
    assert_eq!(updater.disabled(), 0b1);
    updater.healthy().expect("on trial");

    // Now slot A is the one that an installation writes to.
    let (mut updater, region) = flash.with_staging().expect("opens");
    updater.set_running_slot(SlotId::A);
    let mut block = [0; 256];
    assert_eq!(updater.download(region, &mut block).err(), another.err());
    let again = releases.old_full.under_counter(9);
    flash.fetch_whole(&again).expect("fetched");
    let before = flash.slots[0].bytes();
    let (mut updater, region) = flash.with_staging().expect("opens");
    updater.set_running_slot(SlotId::A);
    let (mut block, mut page) = ([0; 256], [0; 64]);
    let buffers = Buffers { block: &mut block, page: &mut page, compact: None };
    assert_eq!(updater.install(region, buffers, &mut |_| {}).err(), another.err());
    assert_eq!(updater.abandon(), another);
    assert!(flash.slots[0].bytes() == before);
}

#[test]
fn a_package_for_which_the_staging_region_is_too_small_is_not_begun() {
    let releases = Releases::new(600, 6);
    let whole = plain(&releases);
    let fits = |staging: usize| {
        let mut flash = whole.clone();
        flash.staging = SimFlash::used(staging);
        let before = flash.staging.bytes();
        let fetched = flash.fetch_whole(&releases.new_full);
        assert_eq!(fetched.is_err(), before == flash.staging.bytes(), "{staging} bytes");
        assert!(matches!(fetched, Ok(()) | Err(UpdateError::Staging(StagingError::Full))));
        assert_eq!(fetched.is_err(), life(&mut flash).phase == Phase::Idle, "{staging} bytes");
        fetched.is_ok()
    };
    // Each block of 64 bytes has the hash of the next one in front, and all begin on words.
    let taken = (releases.new_full.envelope_len.next_multiple_of(8)
        + (releases.new_full.bytes.len() - releases.new_full.envelope_len))
        .next_multiple_of(8);
    let exact = taken.next_multiple_of(256);
    assert!(!fits(exact - 256) && fits(exact));
}

#[test]
fn a_download_that_could_not_stage_a_block_does_not_go_on_without_it() {
    let releases = Releases::new(600, 6);
    let mut flash = plain(&releases);
    let bytes = &releases.new_full.bytes;
    let (mut updater, region) = flash.with_staging().expect("opens");
    let mut block = [0; 256];
    // Two sectors are erased and some blocks are written before an access fails.
    region.fail_after(9);
    let mut download = updater.download(region, &mut block).expect("begins");
    let mut rest = &bytes[..];
    let failed = download.push(&mut rest);
    assert!(matches!(failed, Err(UpdateError::Staging(_))), "{failed:?}");
    // Whoever asks once more is not told that the package is to blame.
    assert_eq!(download.push(&mut rest), failed);
    assert_eq!(download.finish().err(), failed.err());
    // It goes on from what is staged.
    region.fail_after(usize::MAX);
    let mut block = [0; 256];
    let mut download = updater.resume(region, &mut block).expect("opens").expect("begun");
    let offset = download.offset() as usize;
    assert!(offset > releases.new_full.envelope_len && offset < bytes.len(), "{offset}");
    download.push(&mut &bytes[offset..]).expect("stages");
    download.finish().expect("whole");
    flash.install().expect("installs");
}

/// One image signed with two counters is two packages: the counter that rises is that of the one which is staged.
#[test]
fn a_download_under_another_counter_does_not_go_on_with_what_is_staged() {
    let releases = Releases::new(600, 6);
    let again = releases.new_full.under_counter(9);
    // The power fails at each step of the second download's beginning, or never.
    for step in 0..12 {
        let supply = Supply::new();
        let mut flash = Flash::<1, 8, 256>::new(Chip::PLAIN, GEOMETRY, &releases, &supply);
        flash.fetch_whole(&releases.new_full).expect("fetched");
        supply.arm(Cut { step, outcome: Outcome::Done }, step);
        let _ = flash.fetch_whole(&again);
        supply.restore();
        let (mut updater, region) = flash.with_staging().expect("opens");
        let counter = updater.life().target_counter;
        let mut block = [0; 256];
        if let Some(download) = updater.resume(region, &mut block).expect("opens") {
            let staged = download.manifest().expect("admitted").security_counter;
            assert_eq!(staged, counter, "step {step}");
        }
    }
}

#[test]
fn a_kept_document_that_is_not_understood_is_not_replaced_by_an_older_one() {
    let releases = Releases::new(600, 6);
    let mut flash = plain(&releases);
    for kind in [RecordKind::Flags, RecordKind::Stage] {
        let mut journal = Journal::open(&mut flash.journal).expect("opens");
        journal.append(kind, b"of a later version").expect("kept");
    }
    let mut updater = flash.updater().expect("opens");
    let refused = updater.accept_flags(&flags(9));
    assert!(matches!(refused, Err(UpdateError::Record(_))), "{refused:?}");
    let refused = updater.accept_stage(&stage(9));
    assert!(matches!(refused, Err(UpdateError::Record(_))), "{refused:?}");
}
