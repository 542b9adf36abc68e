use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind, ReadNorFlash};

use crate::{Chip, Cut, Outcome, SimError, SimFlash, Supply};

type Flash = SimFlash<1, 4, 16>;

fn read(flash: &mut Flash) -> Result<[u8; 16], SimError> {
    let mut bytes = [0; 16];
    flash.read(0, &mut bytes).map(|()| bytes)
}

/// Cuts the power at the second step: an erase and then a write of four words.
fn torn(chip: Chip, step: u64, outcome: Outcome) -> Flash {
    let supply = Supply::new();
    let mut flash = Flash::used(16).with(chip).on(&supply);
    supply.arm(Cut { step, outcome }, 3);
    let result = flash.erase(0, 16).and_then(|()| flash.write(0, &[0x0f; 16]));
    assert_eq!(result, Err(SimError::NoPower));
    assert_eq!(read(&mut flash), Err(SimError::NoPower), "nothing works without power");
    assert_eq!(flash.erase(0, 16), Err(SimError::NoPower));
    supply.restore();
    flash
}

#[test]
fn writing_clears_bits_and_erasing_sets_them() {
    let mut flash = Flash::used(20);
    assert_eq!(flash.capacity(), 32);
    assert_eq!(flash.write(0, &[0xff; 4]), Err(SimError::NotErased { offset: 0 }));
    flash.erase(0, 16).expect("aligned");
    flash.write(0, &[1, 2, 3, 4]).expect("erased");
    assert_eq!(flash.write(0, &[1, 2, 3, 5]), Err(SimError::NotErased { offset: 3 }));
    assert_eq!(flash.erase_counts(), [1, 0]);
    assert_eq!(flash.erase(3, 16), Err(SimError::Geometry(NorFlashErrorKind::NotAligned)));
}

#[test]
fn each_outcome_of_a_torn_write_is_what_it_says() {
    let bytes = |outcome| torn(Chip::PLAIN, 2, outcome).bytes();
    let with = |word: [u8; 4]| [&[0x0f; 4], &word[..], &[0xff; 8]].concat();
    assert_eq!(bytes(Outcome::Nothing), with([0xff; 4]));
    assert_eq!(bytes(Outcome::Prefix), with([0x0f, 0x0f, 0xff, 0xff]));
    assert_eq!(bytes(Outcome::AllButLast), with([0x0f, 0x0f, 0x0f, 0xff]));
    assert_eq!(bytes(Outcome::Done), with([0x0f; 4]));
    let random = bytes(Outcome::RandomBits);
    assert_ne!(random, with([0x0f; 4]));
    assert!(random[4..8].iter().all(|byte| byte & 0x0f == 0x0f), "only wanted bits change");
}

#[test]
fn each_outcome_of_a_torn_erase_is_what_it_says() {
    let bytes = |outcome| torn(Chip::PLAIN, 0, outcome).bytes();
    assert_eq!(bytes(Outcome::Nothing), [0x5a; 16]);
    assert_eq!(bytes(Outcome::Prefix), [[0xff; 8], [0x5a; 8]].concat());
    assert_eq!(bytes(Outcome::AllButLast), [&[0xff; 12], &[0x5a; 4][..]].concat());
    assert_eq!(bytes(Outcome::Done), [0xff; 16]);
    assert!(bytes(Outcome::RandomBits).iter().all(|byte| byte & 0x5a == 0x5a));
}

#[test]
fn unstable_bits_read_differently_until_they_are_erased() {
    for step in [0, 1] {
        let mut flash = torn(Chip::PLAIN, step, Outcome::Unstable);
        let reads: Vec<_> = (0..20).map(|_| read(&mut flash).expect("power is back")).collect();
        assert!(reads.iter().any(|other| *other != reads[0]), "step {step}");
        flash.erase(0, 16).expect("power is back");
        assert_eq!(read(&mut flash), Ok([0xff; 16]));
        flash.write(0, &[0x5a; 16]).expect("erased");
        assert_eq!(read(&mut flash), Ok([0x5a; 16]));
    }
}

#[test]
fn error_correction_gives_up_on_torn_words_and_words_are_written_once() {
    let mut flash = torn(Chip::CORRECTING, 1, Outcome::Prefix);
    assert_eq!(read(&mut flash), Err(SimError::Uncorrectable));
    flash.read(4, &mut [0; 4]).expect("another word");
    flash.write(4, &[0xff; 4]).expect("erased");
    assert_eq!(flash.write(4, &[0xff; 4]), Err(SimError::NotErased { offset: 4 }));
}

#[test]
fn inverted_flash_erases_to_zeros() {
    let mut flash = torn(Chip::INVERTED, 2, Outcome::AllButLast);
    assert_eq!(flash.bytes(), [&[0x0f; 7], &[0; 9][..]].concat());
    assert_eq!(read(&mut flash), Ok(*flash.bytes().first_chunk().expect("16 bytes")));
}

#[test]
fn a_weak_cell_reads_differently_each_time_until_it_is_erased() {
    let mut flash = Flash::used(16);
    let old = flash.bytes()[5];
    flash.weaken_cell(5, 2);
    let seen: Vec<_> = (0..64).map(|_| read(&mut flash).expect("reads")[5]).collect();
    assert!(seen.contains(&old) && seen.contains(&(old ^ 4)), "{seen:02x?}");
    flash.erase(0, 16).expect("erased");
    assert!((0..64).all(|_| read(&mut flash) == Ok([0xff; 16])), "it is erased");
}

#[test]
fn the_story_names_regions_cuts_and_notes() {
    let supply = Supply::telling();
    let mut flash = Flash::used(16).named("slot").on(&supply);
    supply.note("an update begins");
    supply.arm(Cut { step: 3, outcome: Outcome::Prefix }, 0);
    flash.erase(0, 16).and_then(|()| flash.write(0, &[0; 16])).expect_err("cut");
    supply.restore();
    let story = supply.story();
    for words in [
        "an update begins",
        "slot      erases 0x0",
        "writes 0x0 +16 -- power fails in word 2: Prefix",
        "power is back",
    ] {
        assert!(story.contains(words), "{story}");
    }
}
