//! The device crate against simulated flash.

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use whittle_flash_sim::{Access, SimFlash};
use whittle_format::envelope::Envelope;
use whittle_patcher_nostd::{
    Buffers, Device, FlashError, Installed, PackageChecker, PatchError, Patcher, Slots, Status,
    compact,
};
use whittle_release::CodecChoice;
use whittle_release::keys::{Keyring, Signer};

use crate::support::{COUNTER, PRODUCT, foreign_key, keys, request, small_series, test_key};

const DEVICE: Device<'static> = Device {
    product: PRODUCT,
    hardware_revision: 3,
    security_counter: COUNTER,
    decoder_ram_bytes: 16 << 20,
};

/// Byte-wise flash with pages of 256 and sectors of 4096, as on many microcontrollers.
type Flash = SimFlash<1, 4, 4096>;

fn feed<B: ReadNorFlash, T: NorFlash>(
    package: &[u8],
    device: &Device<'_>,
    keys: &Keyring,
    chunk_len: usize,
    base: &mut B,
    target: &mut T,
) -> Result<Installed, PatchError> {
    let (mut block, mut page) = (vec![0; 4096], vec![0; 256]);
    let mut tables = Box::new(compact::HugeTables::NEW);
    let mut slots = Slots { base, target };
    let mut patcher = Patcher::new(
        device,
        keys,
        Buffers { block: &mut block, page: &mut page, compact: Some(tables.lend()) },
    );
    for mut chunk in package.chunks(chunk_len) {
        if patcher.push(&mut chunk, &mut slots)? == Status::Done {
            break;
        }
    }
    patcher.finish(&mut slots)
}

fn check(
    package: &[u8],
    device: &Device<'_>,
    keys: &Keyring,
    base: &mut Flash,
) -> Result<(), PatchError> {
    let mut block = vec![0; 4096];
    let mut checker = PackageChecker::new(device, keys, &mut block);
    for mut chunk in package.chunks(100) {
        if checker.push(&mut chunk, base, 64 << 10)? == Status::Done {
            break;
        }
    }
    checker.finish().map(|_| ())
}

/// A delta package with its base and target.
struct Update {
    package: Vec<u8>,
    base: Vec<u8>,
    target: Vec<u8>,
}

fn update(codec: CodecChoice, signer: &dyn Signer) -> Update {
    let series = small_series();
    let mut request = request(&series[2..], signer);
    request.profile.codec = codec;
    let built = whittle_release::build::build(&request, &|_| {}).expect("builds");
    let [base, target] = [&series[2], &series[3]].map(|image| image.bytes().to_vec());
    Update { package: built.files[0].1.clone(), base, target }
}

#[test]
fn any_split_installs_the_same_image_and_erases_each_sector_once() {
    for codec in [CodecChoice::Compact, CodecChoice::Zstd, CodecChoice::Bsdiff, CodecChoice::Stored]
    {
        let update = update(codec, &test_key());
        for chunk_len in [1, 2, 13, 64, 500, usize::MAX] {
            let (mut base, mut target) = (Flash::holding(&update.base), Flash::used(40_000));
            let installed =
                feed(&update.package, &DEVICE, &keys(), chunk_len, &mut base, &mut target);
            let installed =
                installed.unwrap_or_else(|error| panic!("{codec:?}, {chunk_len}: {error}"));
            assert_eq!(installed.manifest.target_version.as_str(), "2.4.1");
            assert!(target.bytes().starts_with(&update.target), "{codec:?}, chunks of {chunk_len}");
            let sectors = update.target.len().div_ceil(4096);
            let counts = target.erase_counts();
            assert!(counts[..sectors].iter().all(|count| *count == 1), "{counts:?}");
            assert!(
                counts[sectors..].iter().all(|count| *count == 0),
                "nothing beyond the image: {counts:?}"
            );
            assert_eq!(base.log(), [], "the base is only read");
        }
    }
}

#[test]
fn any_geometry_will_do() {
    fn run<const READ: usize, const WRITE: usize, const ERASE: usize>(update: &Update) {
        let mut base = SimFlash::<READ, WRITE, ERASE>::holding(&update.base);
        let mut target = SimFlash::<READ, WRITE, ERASE>::used(update.target.len());
        feed(&update.package, &DEVICE, &keys(), 333, &mut base, &mut target)
            .unwrap_or_else(|error| panic!("{READ}/{WRITE}/{ERASE}: {error}"));
        assert!(target.bytes().starts_with(&update.target), "{READ}/{WRITE}/{ERASE}");
    }
    let update = update(CodecChoice::Zstd, &test_key());
    run::<1, 1, 512>(&update);
    run::<2, 2, 1024>(&update);
    run::<4, 8, 2048>(&update);
    run::<8, 32, 131_072>(&update);
    run::<1, 256, 4096>(&update);
}

#[test]
fn the_package_ends_where_it_ends() {
    let mut update = update(CodecChoice::Zstd, &test_key());
    update.package.extend(b"next message");
    let (mut block, mut page) = (vec![0; 4096], vec![0; 256]);
    let (mut base, mut target) = (Flash::holding(&update.base), Flash::used(40_000));
    let mut tables = Box::new(compact::HugeTables::NEW);
    let mut slots = Slots { base: &mut base, target: &mut target };
    let keys = keys();
    let mut patcher = Patcher::new(
        &DEVICE,
        &keys,
        Buffers { block: &mut block, page: &mut page, compact: Some(tables.lend()) },
    );
    let mut input = &update.package[..];
    assert_eq!(patcher.push(&mut input, &mut slots), Ok(Status::Done));
    assert_eq!(input, b"next message");
    assert_eq!(patcher.push(&mut input, &mut slots), Ok(Status::Done));
    assert_eq!(input, b"next message");
    patcher.finish(&mut slots).expect("complete");
}

#[test]
fn a_refused_package_means_not_one_write() {
    let good = update(CodecChoice::Zstd, &test_key());
    let base = Flash::holding(&good.base);
    let refuse = |what: &str,
                  package: &[u8],
                  device: &Device<'_>,
                  base: &Flash,
                  wanted: fn(&PatchError) -> bool| {
        let (mut base, mut target) = (base.clone(), Flash::used(40_000));
        let error = feed(package, device, &keys(), 77, &mut base, &mut target).expect_err(what);
        assert!(wanted(&error), "{what}: {error:?}");
        assert!(error.old_image_boots());
        assert_eq!(target.log(), [], "{what}: {error}");
        let checked = check(package, device, &keys(), &mut base);
        assert_eq!(checked, Err(error), "{what}: the checker says the same");
    };
    use PatchError as E;
    let foreign = update(CodecChoice::Zstd, &foreign_key());
    let mut other_base = good.base.clone();
    other_base[10] ^= 1;
    let unsigned = &good.package[good.package.len() / 2..];
    refuse("foreign key", &foreign.package, &DEVICE, &base, |e| matches!(e, E::UnknownKey));
    refuse("unsigned", unsigned, &DEVICE, &base, |e| matches!(e, E::Envelope(_)));
    refuse("wrong base", &good.package, &DEVICE, &Flash::holding(&other_base), |e| {
        matches!(e, E::BaseMismatch)
    });
    refuse("short base", &good.package, &DEVICE, &Flash::holding(&[1; 4096]), |e| {
        matches!(e, E::BaseMismatch)
    });
    let device = Device { product: "toaster", ..DEVICE };
    refuse("wrong product", &good.package, &device, &base, |e| *e == E::WrongProduct);
    let device = Device { hardware_revision: 6, ..DEVICE };
    refuse("wrong hardware", &good.package, &device, &base, |e| matches!(e, E::WrongHardware));
    let device = Device { security_counter: COUNTER + 1, ..DEVICE };
    refuse("downgrade", &good.package, &device, &base, |e| matches!(e, E::CounterTooLow));
    let device = Device { decoder_ram_bytes: 4096, ..DEVICE };
    refuse("decoder RAM", &good.package, &device, &base, |e| matches!(e, E::DecoderRam));
    for cut in [0, 1, 50, 150] {
        refuse("cut envelope", &good.package[..cut], &DEVICE, &base, |e| *e == E::Truncated);
    }
}

#[test]
fn what_has_no_end_is_given_up() {
    let good = update(CodecChoice::Zstd, &test_key());
    let (_, blocks) = Envelope::parse(&good.package).expect("own bytes");
    let envelope_len = good.package.len() - blocks.len();
    // An envelope that says that it is 64 KB long, noise, and zeros.
    let mut long = good.package[..envelope_len].to_vec();
    long.splice(17..19, [0x59, 0xff, 0xff]);
    for start in [long, vec![0x5a; 16], vec![0; 16]] {
        let (mut base, mut target) = (Flash::holding(&good.base), Flash::used(40_000));
        let (mut block, mut page) = (vec![0; 4096], vec![0; 256]);
        let (keys, mut slots) = (keys(), Slots { base: &mut base, target: &mut target });
        let buffers = Buffers { block: &mut block, page: &mut page, compact: None };
        let mut patcher = Patcher::new(&DEVICE, &keys, buffers);
        let mut endless = start.into_iter().chain(std::iter::repeat(0x5a));
        let error = (0..1000).find_map(|_| {
            let byte = [endless.next().expect("it has no end")];
            patcher.push(&mut &byte[..], &mut slots).err()
        });
        assert!(matches!(error, Some(PatchError::Envelope(_))), "{error:?}");
        assert_eq!(target.log(), []);
    }
    // Of a good package nothing behind its end is taken.
    let mut endless = good.package.clone();
    endless.resize(endless.len() + (1 << 20), 0x5a);
    let (mut base, mut target) = (Flash::holding(&good.base), Flash::used(40_000));
    feed(&endless, &DEVICE, &keys(), usize::MAX, &mut base, &mut target).expect("installs");
    assert!(target.erase_counts()[good.target.len().div_ceil(4096)..].iter().all(|n| *n == 0));
}

#[test]
fn a_target_larger_than_the_slot_is_refused() {
    let update = update(CodecChoice::Zstd, &test_key());
    let (mut base, mut target) = (Flash::holding(&update.base), Flash::used(16_384));
    let error =
        feed(&update.package, &DEVICE, &keys(), 77, &mut base, &mut target).expect_err("too large");
    assert!(matches!(error, PatchError::TargetTooLarge), "{error:?}");
    assert_eq!(target.log(), []);
}

#[test]
fn buffers_that_do_not_suit_are_refused() {
    let update = update(CodecChoice::Zstd, &test_key());
    for (block_len, page_len) in [(16, 256), (4096, 0), (4096, 7)] {
        let (mut block, mut page) = (vec![0; block_len], vec![0; page_len]);
        let (mut base, mut target) = (Flash::holding(&update.base), Flash::used(40_000));
        let mut tables = Box::new(compact::HugeTables::NEW);
        let mut slots = Slots { base: &mut base, target: &mut target };
        let keys = keys();
        let mut patcher = Patcher::new(
            &DEVICE,
            &keys,
            Buffers { block: &mut block, page: &mut page, compact: Some(tables.lend()) },
        );
        let error = patcher.push(&mut &update.package[..], &mut slots).expect_err("refused");
        assert!(
            matches!(error, PatchError::BlockBuffer | PatchError::Flash(FlashError::PageBuffer)),
            "{error:?}"
        );
        assert_eq!(
            patcher.push(&mut &update.package[..], &mut slots),
            Err(error),
            "an error stays"
        );
        assert_eq!(patcher.finish(&mut slots), Err(error));
        assert_eq!(target.log(), []);
    }
}

#[test]
fn no_flipped_bit_reaches_the_flash_behind_a_check() {
    let good = update(CodecChoice::Zstd, &test_key());
    let mut kinds = std::collections::BTreeSet::new();
    for step in 0..200 {
        let at = step * (good.package.len() - 1) / 199;
        let mut package = good.package.clone();
        package[at] ^= 1 << (step % 8);
        let checked = check(&package, &DEVICE, &keys(), &mut Flash::holding(&good.base));
        let error = checked.expect_err("a flipped bit");
        kinds.insert(format!("{error:?}").split([' ', '(', '{']).next().map(str::to_owned));

        // Fed without the check, blocks in front of the flipped one may have been written, but only those.
        let (mut base, mut target) = (Flash::holding(&good.base), Flash::used(40_000));
        assert_eq!(
            feed(&package, &DEVICE, &keys(), 77, &mut base, &mut target),
            Err(error),
            "byte {at}"
        );
        for access in target.log() {
            if let Access::Write { offset, len } = *access {
                let written = &target.bytes()[offset as usize..][..len];
                assert_eq!(
                    written,
                    &good.target[offset as usize..][..len],
                    "byte {at}: only authentic bytes"
                );
            }
        }
    }
    assert!(kinds.len() >= 4, "distinct errors: {kinds:?}");
}

#[test]
fn a_truncated_package_is_never_installed() {
    let good = update(CodecChoice::Zstd, &test_key());
    for cut in (0..good.package.len()).step_by(37) {
        let (mut base, mut target) = (Flash::holding(&good.base), Flash::used(40_000));
        let result = feed(&good.package[..cut], &DEVICE, &keys(), 64, &mut base, &mut target);
        assert_eq!(result, Err(PatchError::Truncated), "cut at {cut}");
        let checked = check(&good.package[..cut], &DEVICE, &keys(), &mut base);
        assert_eq!(checked, Err(PatchError::Truncated), "cut at {cut}");
    }
}

#[test]
fn broken_flash_is_told_from_a_broken_package() {
    let good = update(CodecChoice::Zstd, &test_key());
    let (mut base, mut target) = (Flash::holding(&good.base), Flash::used(40_000));
    target.break_cell(5000, 3);
    let error =
        feed(&good.package, &DEVICE, &keys(), 64, &mut base, &mut target).expect_err("a stuck bit");
    assert!(matches!(error, PatchError::Flash(FlashError::ReadBack)), "{error:?}");
    assert_eq!(error.culprit(), whittle_patcher_nostd::Culprit::Hardware);

    for accesses in 0..20 {
        let mut target = Flash::used(40_000);
        target.fail_after(accesses);
        let error =
            feed(&good.package, &DEVICE, &keys(), 64, &mut base, &mut target).expect_err("a fault");
        assert!(matches!(error, PatchError::Flash(FlashError::Target(_))), "{error:?}");
    }
}
