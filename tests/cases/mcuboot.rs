//! The adapter for MCUboot against imgtool's bytes, MCUboot's tables, and power cuts.

use embedded_storage::nor_flash::NorFlash;
use tempfile::TempDir;
use whittle_flash_sim::{Chip, Cut, Outcome, SimFlash, Supply};
use whittle_patcher_nostd::mcuboot::{
    Algorithm, Flag, Magic, Mcuboot, McubootError, NextBoot, Swap, TrailerState, next_boot,
};
use whittle_release::Image;

use crate::support::{imgtool, install, request, test_key, thermostat};

/// MCUboot as it is built by default.
const MCUBOOT: Mcuboot = Mcuboot { max_align: 8, max_sectors: 128, algorithm: Algorithm::Scratch };

const UNSET: TrailerState =
    TrailerState { magic: Magic::Unset, image_ok: Flag::Unset, copy_done: Flag::Unset };

/// What imgtool makes of an image for MCUboot.
struct Signer {
    directory: TempDir,
    /// Arguments that tell the slot.
    slot: Vec<String>,
}

impl Signer {
    fn new(mcuboot: Mcuboot, write_size: usize, slot_len: usize) -> Self {
        let mut slot = ["--align", &write_size.to_string()].map(str::to_owned).to_vec();
        let options = [
            ("--max-align", mcuboot.max_align as usize),
            ("--max-sectors", mcuboot.max_sectors as usize),
            ("--slot-size", slot_len),
            ("--header-size", 0x200),
        ];
        for (option, value) in options {
            slot.extend([option.to_owned(), value.to_string()]);
        }
        if mcuboot.algorithm == Algorithm::OverwriteOnly {
            slot.push("--overwrite-only".to_owned());
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        imgtool(&["keygen", "-t", "ed25519", "-k", "key.pem"], directory.path()).expect("a key");
        Self { directory, slot }
    }

    fn sign(&self, image: &[u8], version: &str, options: &[&str]) -> Vec<u8> {
        self.try_sign(image, version, options).expect("signs")
    }

    fn try_sign(&self, image: &[u8], version: &str, options: &[&str]) -> Result<Vec<u8>, String> {
        let path = |name: &str| self.directory.path().join(name);
        std::fs::write(path("image.bin"), image).expect("writes");
        let slot: Vec<&str> = self.slot.iter().map(String::as_str).collect();
        let fixed = ["sign", "--key", "key.pem", "--pad-header", "--version", version];
        let args = [&fixed[..], &slot, options, &["image.bin", "signed.bin"]].concat();
        imgtool(&args, self.directory.path())?;
        Ok(std::fs::read(path("signed.bin")).expect("written"))
    }
}

/// Writes an image to the front of a slot.
fn put<F: NorFlash<Error: core::fmt::Debug>>(slot: &mut F, image: &[u8]) {
    let len = image.len().next_multiple_of(F::ERASE_SIZE);
    slot.erase(0, len as u32).expect("erases");
    let mut bytes = image.to_vec();
    bytes.resize(image.len().next_multiple_of(F::WRITE_SIZE), 0xff);
    slot.write(0, &bytes).expect("writes");
}

#[test]
fn trailers_are_those_of_imgtool() {
    fn run<const W: usize, const E: usize>(mcuboot: Mcuboot, slot_len: usize) {
        let signer = Signer::new(mcuboot, W, slot_len);
        let image = signer.sign(&[0x5a; 3000], "1.2.3", &[]);
        for (swap, options) in [(Swap::Test, "--pad"), (Swap::Permanent, "--confirm")] {
            let mut slot = SimFlash::<1, W, E>::used(slot_len);
            slot.erase(0, slot_len as u32).expect("erases");
            put(&mut slot, &image);
            let requested = mcuboot.request_upgrade(&mut slot, image.len() as u32, swap);
            requested.unwrap_or_else(|error| panic!("{W}, {mcuboot:?}: {error}"));
            let padded = signer.sign(&[0x5a; 3000], "1.2.3", &[options]);
            assert!(slot.bytes() == padded, "{W}, {mcuboot:?}, {swap:?}");
        }
    }
    run::<1, 1024>(MCUBOOT, 32 << 10);
    run::<2, 4096>(MCUBOOT, 64 << 10);
    run::<4, 4096>(MCUBOOT, 48 << 10);
    run::<8, 2048>(Mcuboot { max_sectors: 200, ..MCUBOOT }, 128 << 10);
    run::<4, 4096>(Mcuboot { max_align: 32, algorithm: Algorithm::Move, ..MCUBOOT }, 64 << 10);
    run::<16, 8192>(Mcuboot { max_align: 16, ..MCUBOOT }, 64 << 10);
    run::<32, 131_072>(Mcuboot { max_align: 32, ..MCUBOOT }, 256 << 10);
}

#[test]
fn the_longest_image_is_the_longest_that_imgtool_pads() {
    fn run<const W: usize>(mcuboot: Mcuboot) {
        let slot_len = 32 << 10;
        let signer = Signer::new(mcuboot, W, slot_len);
        let slot = SimFlash::<1, W, 4096>::erased(slot_len);
        let limit = mcuboot.max_image_bytes(&slot).expect("fits") as usize;
        let overhead = signer.sign(&[1; 1024], "1.0.0", &[]).len() - 1024;
        let image = vec![1; limit - overhead];
        assert_eq!(signer.sign(&image, "1.0.0", &[]).len(), limit);
        assert_eq!(signer.sign(&image, "1.0.0", &["--pad"]).len(), slot_len);
        let longer = [&image[..], &[1; 4]].concat();
        let complaint = signer.try_sign(&longer, "1.0.0", &["--pad"]).expect_err("too long");
        assert!(complaint.contains("exceeds"), "{complaint}");
    }
    run::<4>(MCUBOOT);
    run::<16>(Mcuboot { max_align: 16, max_sectors: 64, ..MCUBOOT });
    run::<8>(Mcuboot { algorithm: Algorithm::OverwriteOnly, ..MCUBOOT });
}

#[test]
fn swaps_without_scratch_take_whole_sectors_from_the_image() {
    let slot = SimFlash::<1, 4, 4096>::erased(32 << 10);
    for algorithm in [Algorithm::Move, Algorithm::Offset] {
        let mcuboot = Mcuboot { algorithm, ..MCUBOOT };
        assert_eq!(mcuboot.max_image_bytes(&slot), Ok(6 * 4096), "{algorithm:?}");
    }
}

/// From imgtool's first image to a secondary slot that holds the second one, by a delta.
#[test]
fn a_delta_of_signed_images_ends_in_a_padded_image() {
    const SLOT: usize = 192 << 10;
    type Slot = SimFlash<1, 8, 4096>;
    let signer = Signer::new(MCUBOOT, 8, SLOT);
    let [old, new] = ["1.2.1", "1.2.2"].map(|version| {
        let image = thermostat(version);
        (signer.sign(image.bytes(), version, &[]), signer.sign(image.bytes(), version, &["--pad"]))
    });
    let images = [&old.0, &new.0].map(|bytes| Image::new(bytes.clone()).expect("small"));
    let key = test_key();
    let built = whittle_release::build::build(&request(&images, &key), &|_| {}).expect("builds");
    let package = &built.files[0].1;
    assert!(package.len() < new.0.len() / 20, "a delta, not the image: {} bytes", package.len());

    let (mut primary, mut secondary) = (Slot::holding(&old.1), Slot::erased(SLOT));
    MCUBOOT.withdraw(&mut secondary).expect("erases");
    install(package, &mut primary, &mut secondary);
    let len = new.0.len() as u32;
    MCUBOOT.request_upgrade(&mut secondary, len, Swap::Test).expect("asks");
    assert!(secondary.bytes() == new.1, "what imgtool pads");
    let states = [&mut primary, &mut secondary].map(|slot| MCUBOOT.state(slot).expect("readable"));
    assert_eq!(next_boot(states[0], states[1]), NextBoot::Test);
}

#[test]
fn the_next_boot_is_the_one_of_mcuboots_tables() {
    // "Image trailer states" in MCUboot's `docs/design.md`, and `boot_swap_tables` in its `bootutil_public.c`.
    let any_magic = [Magic::Good, Magic::Unset, Magic::Bad];
    let any_flag = [Flag::Set, Flag::Unset, Flag::Bad];
    type Row<'a> = (&'a [Magic], &'a [Flag], &'a [Flag], &'a [Magic], &'a [Flag], NextBoot);
    let tables: [Row<'_>; 3] = [
        (&any_magic, &any_flag, &any_flag, &[Magic::Good], &[Flag::Unset], NextBoot::Test),
        (&any_magic, &any_flag, &any_flag, &[Magic::Good], &[Flag::Set], NextBoot::Permanent),
        (
            &[Magic::Good],
            &[Flag::Unset],
            &[Flag::Set],
            &[Magic::Unset],
            &any_flag,
            NextBoot::Revert,
        ),
    ];
    let states = || {
        any_magic.into_iter().flat_map(move |magic| {
            any_flag.into_iter().flat_map(move |image_ok| {
                any_flag.map(|copy_done| TrailerState { magic, image_ok, copy_done })
            })
        })
    };
    let mut acted = 0;
    for primary in states() {
        for secondary in states() {
            let row =
                tables.iter().find(|(magic, image_ok, copy_done, other_magic, other_ok, _)| {
                    magic.contains(&primary.magic)
                        && image_ok.contains(&primary.image_ok)
                        && copy_done.contains(&primary.copy_done)
                        && other_magic.contains(&secondary.magic)
                        && other_ok.contains(&secondary.image_ok)
                });
            let wanted = row.map_or(NextBoot::Stay, |row| row.5);
            assert_eq!(next_boot(primary, secondary), wanted, "{primary:?}, {secondary:?}");
            acted += u32::from(wanted != NextBoot::Stay);
        }
    }
    assert_eq!(acted, 27 * 3 + 27 * 3 + 9);
}

/// What MCUboot does with this secondary slot, if nothing was swapped in before; it takes a slot that it cannot read for
/// an empty one.
fn wish<F: NorFlash>(mcuboot: Mcuboot, secondary: &mut F) -> NextBoot {
    next_boot(UNSET, mcuboot.state(secondary).unwrap_or(UNSET))
}

fn wish_of(swap: Swap) -> NextBoot {
    match swap {
        Swap::Test => NextBoot::Test,
        Swap::Permanent => NextBoot::Permanent,
    }
}

/// What stands in the trailer before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Erased,
    Remains,
    Requested(Swap),
}

const IMAGE: [u8; 1500] = [0x42; 1500];

/// Cuts the power at every step of a request; returns how many cuts there were.
fn sweep_request<const W: usize, const E: usize>(
    mcuboot: Mcuboot,
    chip: Chip,
    before: Before,
    swap: Swap,
) -> u64 {
    let len = IMAGE.len() as u32;
    let fresh = || {
        let supply = Supply::new();
        let slot_len = 16 << 10;
        let mut slot = match before {
            Before::Remains => SimFlash::<1, W, E>::used(slot_len),
            _ => SimFlash::<1, W, E>::erased(slot_len),
        };
        slot = slot.with(chip).on(&supply);
        put(&mut slot, &IMAGE);
        if let Before::Requested(swap) = before {
            mcuboot.request_upgrade(&mut slot, len, swap).expect("no cut");
        }
        (slot, supply)
    };
    let (mut whole, supply) = fresh();
    let begun = supply.steps();
    mcuboot.request_upgrade(&mut whole, len, swap).expect("no cut");
    let steps = supply.steps() - begun;
    for step in 0..steps {
        for outcome in Outcome::ALL {
            let (mut slot, supply) = fresh();
            supply.arm(Cut { step, outcome }, step);
            mcuboot.request_upgrade(&mut slot, len, swap).expect_err("the cut comes");
            supply.restore();
            let what = format!("{W}/{E}, {chip:?}, {before:?}, {swap:?}, {step}, {outcome:?}");
            for _ in 0..8 {
                let wish = wish(mcuboot, &mut slot);
                let mut fine = vec![NextBoot::Stay, wish_of(swap)];
                if let Before::Requested(swap) = before {
                    // An erase may reach `image ok` before the magic.
                    fine.extend([NextBoot::Test, wish_of(swap)]);
                }
                assert!(fine.contains(&wish), "{wish:?}: {what}");
            }
            let again = mcuboot.request_upgrade(&mut slot, len, swap);
            again.unwrap_or_else(|error| panic!("{error}: {what}"));
            assert!(slot.bytes() == whole.bytes(), "{what}");
            for _ in 0..8 {
                assert_eq!(wish(mcuboot, &mut slot), wish_of(swap), "{what}");
            }
        }
    }
    steps * Outcome::ALL.len() as u64
}

#[test]
fn a_request_that_is_cut_can_be_made_again() {
    let wide = Mcuboot { max_align: 32, ..MCUBOOT };
    let mut cuts = 0;
    for chip in [Chip::PLAIN, Chip::CORRECTING] {
        for before in [
            Before::Erased,
            Before::Remains,
            Before::Requested(Swap::Test),
            Before::Requested(Swap::Permanent),
        ] {
            for swap in [Swap::Test, Swap::Permanent] {
                cuts += sweep_request::<1, 4096>(MCUBOOT, chip, before, swap);
                cuts += sweep_request::<4, 1024>(MCUBOOT, chip, before, swap);
                cuts += sweep_request::<8, 2048>(MCUBOOT, chip, before, swap);
                cuts += sweep_request::<8, 2048>(wide, chip, before, swap);
                cuts += sweep_request::<32, 1024>(
                    Mcuboot { max_sectors: 16, ..wide },
                    chip,
                    before,
                    swap,
                );
            }
        }
    }
    println!("MCUboot, request: {cuts} cuts");
}

/// The trailer cannot be erased alone if the image ends in its sector.
#[test]
fn a_request_beside_the_end_of_the_image_is_finished_or_refused() {
    const SLOT: usize = 8 << 10;
    const LEN: u32 = 5000;
    let image = [0x42; LEN as usize];
    let mut counts = [0; 2];
    for (chip, swap) in [Chip::PLAIN, Chip::CORRECTING]
        .into_iter()
        .flat_map(|chip| [Swap::Test, Swap::Permanent].map(|swap| (chip, swap)))
    {
        let steps = if swap == Swap::Test { 4 } else { 5 };
        for (step, outcome) in
            (0..steps).flat_map(|step| Outcome::ALL.map(|outcome| (step, outcome)))
        {
            let supply = Supply::new();
            let mut slot = SimFlash::<1, 4, 4096>::used(SLOT).with(chip).on(&supply);
            MCUBOOT.withdraw(&mut slot).expect("no cut");
            put(&mut slot, &image);
            supply.arm(Cut { step, outcome }, step);
            MCUBOOT.request_upgrade(&mut slot, LEN, swap).expect_err("the cut comes");
            supply.restore();
            let what = format!("{chip:?}, {swap:?}, {step}, {outcome:?}");
            assert!([NextBoot::Stay, wish_of(swap)].contains(&wish(MCUBOOT, &mut slot)), "{what}");
            let again = MCUBOOT.request_upgrade(&mut slot, LEN, swap);
            assert!(slot.bytes().starts_with(&image), "{what}");
            assert!(again.is_ok() || chip != Chip::PLAIN, "{again:?}: {what}");
            counts[usize::from(again.is_err())] += 1;
            if again.is_err() {
                MCUBOOT.withdraw(&mut slot).expect("erases");
                put(&mut slot, &image);
                MCUBOOT.request_upgrade(&mut slot, LEN, swap).expect("asks");
            }
            for _ in 0..8 {
                assert_eq!(wish(MCUBOOT, &mut slot), wish_of(swap), "{what}");
            }
        }
    }
    let [finished, refused] = counts;
    println!("MCUboot, request beside the image: {finished} cuts finished, {refused} refused");
    assert!(refused > 0, "words are written once on one of the chips");
}

#[test]
fn a_withdrawal_that_is_cut_can_be_made_again() {
    for swap in [Swap::Test, Swap::Permanent] {
        for (step, outcome) in (0..4).flat_map(|step| Outcome::ALL.map(|outcome| (step, outcome))) {
            let supply = Supply::new();
            let mut slot = SimFlash::<1, 4, 512>::erased(8 << 10).on(&supply);
            put(&mut slot, &IMAGE);
            MCUBOOT.request_upgrade(&mut slot, IMAGE.len() as u32, swap).expect("no cut");
            supply.arm(Cut { step, outcome }, step);
            MCUBOOT.withdraw(&mut slot).expect_err("the cut comes");
            supply.restore();
            let wish_now = wish(MCUBOOT, &mut slot);
            let fine = [NextBoot::Stay, NextBoot::Test, wish_of(swap)];
            assert!(fine.contains(&wish_now), "{wish_now:?}: {step}, {outcome:?}");
            MCUBOOT.withdraw(&mut slot).expect("erases");
            assert_eq!(MCUBOOT.state(&mut slot), Ok(UNSET));
        }
    }
}

/// A primary slot as MCUboot leaves it behind a swap for a test.
fn on_trial<const W: usize>(chip: Chip, supply: &Supply) -> SimFlash<1, W, 4096> {
    let mut slot = SimFlash::<1, W, 4096>::erased(16 << 10).with(chip).on(supply);
    put(&mut slot, &IMAGE);
    MCUBOOT.request_upgrade(&mut slot, IMAGE.len() as u32, Swap::Test).expect("no cut");
    let mut word = [0xff; W];
    word[0] = 1;
    let copy_done = (16 << 10) - 16 - 2 * 8;
    slot.write(copy_done, &word).expect("no cut");
    slot
}

#[test]
fn a_confirmation_that_is_cut_can_be_made_again() {
    fn run<const W: usize>(chip: Chip, outcome: Outcome) {
        let supply = Supply::new();
        let mut slot = on_trial::<W>(chip, &supply);
        let next =
            |slot: &mut SimFlash<1, W, 4096>| Some(next_boot(MCUBOOT.state(slot).ok()?, UNSET));
        assert_eq!(next(&mut slot), Some(NextBoot::Revert));
        supply.arm(Cut { step: 0, outcome }, 3);
        MCUBOOT.confirm(&mut slot).expect_err("the cut comes");
        supply.restore();
        let again = MCUBOOT.confirm(&mut slot);
        let what = format!("{W}, {chip:?}, {outcome:?}: {again:?}");
        // A flag that wavers may have been read as set, and chips that correct errors do not read a torn one, or write
        // it a second time.
        let certain = outcome.is_stable() && (again.is_ok() || chip == Chip::PLAIN);
        for _ in 0..8 {
            match next(&mut slot) {
                Some(NextBoot::Stay) => {}
                Some(NextBoot::Revert) | None if !certain => {}
                other => panic!("{other:?}, {what}"),
            }
        }
        assert!(again.is_ok() || chip != Chip::PLAIN, "{what}");
        if chip == Chip::PLAIN && outcome.is_stable() {
            let state = MCUBOOT.state(&mut slot).expect("readable");
            assert_eq!(state.image_ok, Flag::Set, "{what}");
        }
    }
    for chip in [Chip::PLAIN, Chip::CORRECTING] {
        for outcome in Outcome::ALL {
            run::<1>(chip, outcome);
            run::<4>(chip, outcome);
            run::<8>(chip, outcome);
        }
    }
}

#[test]
fn confirming_writes_only_what_is_not_there() {
    let mut slot = on_trial::<4>(Chip::CORRECTING, &Supply::new());
    MCUBOOT.confirm(&mut slot).expect("confirms");
    slot.clear_log();
    MCUBOOT.confirm(&mut slot).expect("is confirmed");
    let mut bare = SimFlash::<1, 4, 4096>::erased(16 << 10);
    MCUBOOT.confirm(&mut bare).expect("nothing to confirm");
    assert_eq!((slot.log(), bare.log()), (&[][..], &[][..]));
    let mut foreign = SimFlash::<1, 4, 4096>::used(16 << 10);
    assert_eq!(MCUBOOT.confirm(&mut foreign), Err(McubootError::BadMagic));
}

#[test]
fn the_secondary_slot_is_kept_for_the_way_back() {
    let overwriting = Mcuboot { algorithm: Algorithm::OverwriteOnly, ..MCUBOOT };
    let mut slot = on_trial::<4>(Chip::PLAIN, &Supply::new());
    assert_eq!(MCUBOOT.check_confirmed(&mut slot), Err(McubootError::NotConfirmed));
    assert_eq!(overwriting.check_confirmed(&mut slot), Ok(()));
    let mut torn = slot.clone();
    torn.write((16 << 10) - 16 - 8, &[0x55; 4]).expect("no cut");
    assert_eq!(MCUBOOT.state(&mut torn).map(|state| state.image_ok), Ok(Flag::Bad));
    assert_eq!(MCUBOOT.check_confirmed(&mut torn), Ok(()), "MCUboot does not swap back");
    MCUBOOT.confirm(&mut slot).expect("confirms");
    assert_eq!(MCUBOOT.check_confirmed(&mut slot), Ok(()));
    let mut bare = SimFlash::<1, 4, 4096>::erased(16 << 10);
    assert_eq!(MCUBOOT.check_confirmed(&mut bare), Ok(()), "nothing was swapped in");
}

#[test]
fn what_does_not_fit_is_refused_without_a_write() {
    let mut slot = SimFlash::<1, 4, 4096>::used(16 << 10);
    let limit = MCUBOOT.max_image_bytes(&slot).expect("fits");
    assert_eq!(limit, (16 << 10) - 128 * 3 * 4 - 4 * 8 - 16);
    let too_long = MCUBOOT.request_upgrade(&mut slot, limit + 1, Swap::Test);
    assert_eq!(too_long, Err(McubootError::ImageTooLong { got: limit + 1, limit }));
    let remains = MCUBOOT.request_upgrade(&mut slot, limit, Swap::Test);
    assert_eq!(remains, Err(McubootError::NotErased { offset: limit }));
    for mcuboot in [
        Mcuboot { max_align: 12, ..MCUBOOT },
        Mcuboot { max_sectors: 2000, ..MCUBOOT },
        Mcuboot { max_sectors: u32::MAX, ..MCUBOOT },
    ] {
        let geometry = Err(McubootError::Geometry);
        assert_eq!(mcuboot.request_upgrade(&mut slot, 1, Swap::Test), geometry, "{mcuboot:?}");
    }
    assert_eq!(slot.log(), []);
    let mut wide = SimFlash::<1, 64, 4096>::used(16 << 10);
    let widest = Mcuboot { max_align: 32, ..MCUBOOT };
    assert_eq!(widest.withdraw(&mut wide), Err(McubootError::Geometry));
    // An image that fills the slot cannot be moved by a sector.
    let mut small = SimFlash::<1, 4, 4096>::used(8 << 10);
    let moving = Mcuboot { algorithm: Algorithm::Move, ..MCUBOOT };
    let none = moving.request_upgrade(&mut small, 1, Swap::Test);
    assert_eq!(none, Err(McubootError::ImageTooLong { got: 1, limit: 0 }));
    assert_eq!((wide.log(), small.log()), (&[][..], &[][..]));
}

#[test]
fn a_broken_cell_is_told() {
    let mut slot = SimFlash::<1, 4, 4096>::used(16 << 10);
    let offset = (16 << 10) - 3;
    slot.break_cell(offset, 6);
    let told = MCUBOOT.request_upgrade(&mut slot, 100, Swap::Test);
    assert_eq!(told, Err(McubootError::ReadBack { offset }));
}
