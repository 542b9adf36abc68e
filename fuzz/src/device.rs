//! A device whose package, journal and slots hold whatever somebody has put there.

use sha2::{Digest as _, Sha256};
use whittle_flash_sim::{Access, SimFlash};
use whittle_format::block::{self, BlockLayout};
use whittle_format::{Manifest, manifest, shorten};
use whittle_patcher_nostd::{
    Boot, Buffers, Device, Installed, Journal, PackageChecker, Patcher, RecordKind, ResetCause,
    Slots, Status, Updater, any_signed_slot, authenticate, compact,
};

use crate::documents::{Gullible, sealed};

/// Slots and banks are small, so that much of them is reached.
type Flash = SimFlash<1, 4, 256>;
const SLOT_BYTES: usize = 4096;
const BANK_BYTES: usize = 1024;

const DEVICE: Device<'static> = Device {
    product: "thermostat",
    hardware_revision: 3,
    security_counter: 0,
    decoder_ram_bytes: 1 << 26,
};

/// Any package, as it comes and behind a signature.
///
/// The first byte gives the length of the manifest's payload, the next two the length of the base and that of the chunks; behind
/// them stand these and the payload, whose blocks are chained anew.
///
/// # Panics
/// If a package installs something else than its manifest says, or writes beyond its target.
pub fn package(data: &[u8]) {
    let _ = authenticate(data, &Gullible, &mut [0; 1 << 16]);
    let Some(Delivery { package, base, device, chunk_len }) = Delivery::of(data) else { return };
    let at_once = install(&package, package.len(), &device, base);
    let in_chunks = install(&package, chunk_len, &device, base);
    assert_eq!(at_once, in_chunks, "the split matters");
    if at_once.is_some() {
        assert!(is_good(&package, &device, base), "it was installed, and is no good package");
    }
}

/// A package, and who gets it how.
struct Delivery<'a> {
    package: Vec<u8>,
    base: &'a [u8],
    device: Device<'static>,
    chunk_len: usize,
}

impl<'a> Delivery<'a> {
    fn of(data: &'a [u8]) -> Option<Self> {
        let ([manifest_len, base_len, chunk_len], rest) = data.split_first_chunk()?;
        let (manifest, rest) = rest.split_at(usize::from(*manifest_len).min(rest.len()));
        let (base, payload) = rest.split_at((usize::from(*base_len) * 8).min(rest.len()));
        let manifest = Manifest::parse(manifest).ok()?;
        let package = chained(manifest, payload)?;
        let device = Device { hardware_revision: manifest.hardware.min, ..DEVICE };
        Some(Self { package, base, device, chunk_len: usize::from(*chunk_len).max(1) })
    }
}

/// A package with this payload, whatever its manifest said of another one.
fn chained(manifest: Manifest, payload: &[u8]) -> Option<Vec<u8>> {
    let payload_size = u32::try_from(payload.len()).ok()?;
    let layout = BlockLayout::new(payload_size, manifest.block_log2).ok()?;
    let mut blocks = vec![0; usize::try_from(layout.wire_len()).ok()?];
    let short = |bytes: &[u8]| shorten(&Sha256::digest(bytes).into());
    let root = block::emit(payload, layout, &mut blocks, short).ok()?;
    let mut signed = [0; manifest::MAX_LEN];
    let len = Manifest { root, payload_size, ..manifest }.emit(&mut signed).ok()?;
    let mut package = sealed(&signed[..len])?;
    package.extend(blocks);
    Some(package)
}

/// Installs a package over a base; `None` if it is refused.
fn install(package: &[u8], chunk_len: usize, device: &Device<'_>, base: &[u8]) -> Option<Vec<u8>> {
    let (mut block, mut page) = (vec![0; 1 << 16], [0; 256]);
    let mut tables = Box::new(compact::LargestTables::NEW);
    let (mut base, mut target) = (Flash::holding(base), Flash::used(SLOT_BYTES));
    let mut slots = Slots { base: &mut base, target: &mut target };
    let compact = Some(tables.lend());
    let buffers = Buffers { block: &mut block, page: &mut page, compact };
    let mut patcher = Patcher::new(device, Gullible, buffers);
    let pushed = package
        .chunks(chunk_len.max(1))
        .try_for_each(|mut chunk| patcher.push(&mut chunk, &mut slots).map(|_| ()));
    let installed = pushed.and_then(|()| patcher.finish(&mut slots));
    assert_eq!(base.log(), [], "the base is only read");
    let Installed { manifest } = installed.ok()?;
    let size = manifest.target_size as usize;
    let reaches = |access: &Access| match *access {
        Access::Write { offset, len } => offset as usize + len,
        _ => 0,
    };
    let end = target.log().iter().map(reaches).max().unwrap_or(0);
    assert!(end < size + 4, "{end} bytes were written of a target of {size}");
    let image = target.bytes()[..size].to_vec();
    assert_eq!(manifest.target_digest, <[u8; 32]>::from(Sha256::digest(&image)));
    Some(image)
}

fn is_good(mut package: &[u8], device: &Device<'_>, base: &[u8]) -> bool {
    let mut block = vec![0; 1 << 16];
    let mut checker = PackageChecker::new(device, Gullible, &mut block);
    let pushed = checker.push(&mut package, &mut Flash::holding(base), SLOT_BYTES);
    pushed == Ok(Status::Done) && checker.finish().is_ok()
}

/// Any bytes in the flash of a journal and of two slots, the journal first.
///
/// # Panics
/// If what boots is not what a slot's envelope says, if a second look differs, or if a record that was acknowledged is not there.
pub fn device_flash(data: &[u8]) {
    let mut journal = flash(data, 0, 2 * BANK_BYTES);
    let [mut a, mut b] =
        [0, 1].map(|slot| flash(data, 2 * BANK_BYTES + slot * SLOT_BYTES, SLOT_BYTES));
    keeps_a_record(journal.clone());
    let found = any_signed_slot(&DEVICE, &Gullible, &mut [&mut a, &mut b]);
    let Ok(mut updater) = Updater::open(&DEVICE, Gullible, &mut journal, [&mut a, &mut b]) else {
        return;
    };
    let counter = updater.security_counter();
    let Ok(booted) = updater.boot(ResetCause::PowerOn) else { return };
    assert!(updater.security_counter() >= counter, "the security counter fell");
    if let Boot::Slot(slot, manifest) = booted {
        assert!(found.is_some(), "no slot holds a whole image");
        let slot = [a, b][slot as usize].bytes();
        let image = &slot[..manifest.target_size as usize];
        assert_eq!(manifest.target_digest, <[u8; 32]>::from(Sha256::digest(image)));
    }
}

/// The next `len` bytes from `at` on; what is not given is erased.
fn flash(data: &[u8], at: usize, len: usize) -> Flash {
    let mut bytes = data.get(at..).unwrap_or_default().to_vec();
    bytes.resize(len, 0xff);
    Flash::holding(&bytes)
}

fn keeps_a_record(mut flash: Flash) {
    let Ok(mut journal) = Journal::open(&mut flash) else { return };
    if journal.append(RecordKind::Application, b"kept").is_err() {
        return;
    }
    let mut journal = Journal::open(&mut flash).expect("it was open");
    let mut bytes = [0; 1024];
    assert_eq!(journal.read(RecordKind::Application, &mut bytes), Ok(Some(&b"kept"[..])));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_packages_are_installed() {
        for name in ["bsdiff", "compact", "compact-full", "stored", "zstd"] {
            let data = crate::seed("package", name);
            let Delivery { package, base, device, .. } = Delivery::of(&data).expect("a package");
            assert!(install(&package, 100, &device, base).is_some(), "{name}");
        }
    }

    #[test]
    fn a_good_slot_boots() {
        let data = crate::seed("device_flash", "after-3-boots");
        let mut journal = flash(&data, 0, 2 * BANK_BYTES);
        let mut slots =
            [0, 1].map(|slot| flash(&data, 2 * BANK_BYTES + slot * SLOT_BYTES, SLOT_BYTES));
        let [a, b] = &mut slots;
        let mut updater =
            Updater::open(&DEVICE, Gullible, &mut journal, [a, b]).expect("it is whole");
        assert!(matches!(updater.boot(ResetCause::PowerOn), Ok(Boot::Slot(..))));
        let mut bytes = [0; 1024];
        assert_eq!(updater.kept(&mut bytes), Ok(Some(&[3; 40][..])));
    }
}
