//! Writes the seeds that are made of bytes: `cargo run -p whittle-fuzz --example seeds`, after a change of what is coded.
//!
//! Images are the pairs that `compact_round_trip` has. Other seeds are texts, or were found.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use whittle_delta::compact::{self, CodeHint, InstructionSet};
use whittle_delta::{InPlace, bsdiff40, in_place_payload, zstd};
use whittle_flash_sim::SimFlash;
use whittle_format::bundle::{self, Component, Requirement, Version};
use whittle_format::envelope::{self, KeyId, SIGNATURE_LEN};
use whittle_format::index::{self, Attachment, AttachmentKind, Base, Package, Release};
use whittle_format::manifest::{BaseRef, Codec, HardwareRange, Kind};
use whittle_format::{Manifest, approval, joint, shorten};
use whittle_patcher_nostd::{Device, ResetCause, Updater, Verifier, VerifyError, trailer};

/// Two images, and the instruction set of their code if it is known.
struct Pair {
    set: Option<InstructionSet>,
    base: Vec<u8>,
    target: Vec<u8>,
}

impl Pair {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("the pair is there");
        let ([set, _, low, high], rest) = bytes.split_first_chunk().expect("it has a head");
        // The other targets give the base's length in eights.
        let len = usize::from(u16::from_le_bytes([*low, *high])) / 8 * 8;
        let (base, target) = rest.split_at(len);
        let set = InstructionSet::ALL.get(usize::from(*set) % 8).copied();
        Self { set, base: base.to_vec(), target: target.to_vec() }
    }

    fn options(&self) -> compact::Options {
        let code = self.set.map_or(CodeHint::Find, CodeHint::Set);
        compact::Options { decoder_ram_bytes: 1 << 12, code, ..Default::default() }
    }

    /// The input of a decoder's target.
    fn delivery(&self, has_base: bool, payload: &[u8]) -> Vec<u8> {
        let [low, high, ..] = self.target.len().to_le_bytes();
        let base: &[u8] = if has_base { &self.base } else { &[] };
        let eights = u8::try_from(base.len() / 8).expect("a short base");
        [&[low, high, eights, 17], base, payload].concat()
    }

    fn in_place(&self) -> Vec<u8> {
        const SECTOR_BYTES: u32 = 64;
        let sectors = self.target.len().max(self.base.len()).div_ceil(64) + 2;
        let sectors = u16::try_from(sectors).expect("a small room");
        let options = self.options();
        let seats =
            compact::rearrange(&self.base, &self.target, options, SECTOR_BYTES, sectors.into());
        let seats = seats.expect("encodes").expect("there is room");
        let in_place = InPlace::new(SECTOR_BYTES, &seats).expect("valid");
        let coded = compact::encode_in_place(&self.base, &self.target, options, in_place);
        in_place_payload::emit(in_place, sectors, &coded.expect("encodes").payload).expect("short")
    }

    /// The manifest of a package with this payload.
    fn manifest(&self, codec: Codec, has_base: bool, payload: &[u8]) -> Manifest {
        let base = BaseRef { size: size(&self.base), digest: shorten(&sha256(&self.base)) };
        Manifest {
            product: "thermostat".parse().expect("a label"),
            target_version: "2.4.1".parse().expect("a label"),
            hardware: HardwareRange { min: 2, max: 5 },
            security_counter: 7,
            target_size: size(&self.target),
            target_digest: sha256(&self.target),
            kind: if has_base { Kind::Delta(base) } else { Kind::Full },
            codec,
            encoder: 1,
            memory_class: 26,
            block_log2: 6,
            payload_size: size(payload),
            root: [0; 16],
        }
    }
}

fn size(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("short")
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn emitted<E: std::fmt::Debug>(emit: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Vec<u8> {
    let mut bytes = vec![0; 8192];
    let len = emit(&mut bytes).expect("within the limits");
    bytes.truncate(len);
    bytes
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let directory = corpus().join(target);
    std::fs::create_dir_all(&directory).expect("there is room");
    std::fs::write(directory.join(name), bytes).expect("there is room");
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn main() {
    for number in 0..7 {
        let pair = Pair::read(&corpus().join(format!("compact_round_trip/pair-{number}")));
        write_payloads(number, &pair);
    }
    let pair = Pair::read(&corpus().join("compact_round_trip/pair-0"));
    write_documents(&pair);
    write_device(&pair);
}

fn write_payloads(number: usize, pair: &Pair) {
    let (base, target) = (&pair.base[..], &pair.target[..]);
    let coded = |base| compact::encode(base, target, pair.options()).expect("encodes").payload;
    let (delta, full) = (coded(Some(base)), coded(None));
    write("compact_decoder", &format!("delta-{number}"), &pair.delivery(true, &delta));
    write("compact_decoder", &format!("full-{number}"), &pair.delivery(false, &full));
    let in_place = pair.in_place();
    write("in_place_decoder", &format!("delta-{number}"), &pair.delivery(true, &in_place));
    let zstd =
        |base| zstd::encode(base, target, zstd::Options::default()).expect("encodes").payload;
    let bsdiff = bsdiff40::encode(base, target).expect("encodes").payload;
    if number > 1 {
        return;
    }
    write("zstd_decoder", &format!("delta-{number}"), &pair.delivery(true, &zstd(Some(base))));
    write("zstd_decoder", &format!("full-{number}"), &pair.delivery(false, &zstd(None)));
    write("bsdiff_decoder", &format!("delta-{number}"), &pair.delivery(true, &bsdiff));
    let packages = [
        ("compact", Codec::Compact, true, &delta),
        ("compact-full", Codec::Compact, false, &full),
        ("zstd", Codec::Zstd, true, &zstd(Some(base))),
        ("bsdiff", Codec::Bsdiff, true, &bsdiff),
        ("in-place", Codec::InPlace, true, &in_place),
        ("stored", Codec::Stored, false, &target.to_vec()),
    ];
    for (name, codec, has_base, payload) in packages {
        let manifest = pair.manifest(codec, has_base, payload);
        let manifest = emitted(|out| manifest.emit(out));
        write("manifest_payload", name, &manifest);
        let len = |bytes: &[u8], of: usize| u8::try_from(bytes.len() / of).expect("short");
        let base = if has_base { base } else { &[] };
        let head = [len(&manifest, 1), len(base, 8), 17];
        write("package", name, &[&head, &manifest[..], base, payload].concat());
    }
}

fn write_documents(pair: &Pair) {
    let manifest = pair.manifest(Codec::Stored, false, &pair.target);
    let payload = emitted(|out| manifest.emit(out));
    let one = emitted(|out| envelope::emit(&KeyId::default(), &payload, &[1; 64], out));
    write("envelopes", "one-signature", &one);
    let signatures = [([1; 8], [1; 64]), ([2; 8], [2; 64])];
    let several = emitted(|out| joint::emit(&payload, &signatures, out));
    write("envelopes", "two-signatures", &several);

    let release = Release {
        product: manifest.product,
        target_version: manifest.target_version,
        hardware: manifest.hardware,
        security_counter: 7,
        target_size: manifest.target_size,
        target_digest: manifest.target_digest,
    };
    write("approval_payload", "release", &emitted(|out| approval::Approval(release).emit(out)));
    let bases = [Base { size: size(&pair.base), digest: sha256(&pair.base) }];
    let full = Package {
        base: None,
        codec: Codec::Stored,
        memory_class: 0,
        block_log2: 12,
        encoder: 1,
        size: 900,
        digest: [3; 32],
    };
    let packages = [Package { base: Some(0), codec: Codec::Compact, ..full }, full];
    let notes = Attachment { kind: AttachmentKind::Notes, size: 10, digest: [4; 32] };
    let index = emitted(|out| index::emit(&release, &bases, &packages, &[notes], out));
    write("release_index", "release", &index);
    write(
        "release_index",
        "nothing-listed",
        &emitted(|out| index::emit(&release, &[], &[], &[], out)),
    );

    let component = |product: &str, version: &str| Component {
        product: product.parse().expect("a label"),
        version: version.parse().expect("a label"),
        target_digest: [5; 32],
        index_size: 300,
        index_digest: [6; 32],
    };
    let components = [component("hub-boot", "1.3.0"), component("hub-app", "2.0.0")];
    let at_least = Version::of(&components[0].version).expect("three numbers");
    let requirement = Requirement { component: 1, required: 0, at_least };
    let [product, version] = ["hub", "7"].map(|label| label.parse().expect("a label"));
    let hub = emitted(|out| bundle::emit(&product, &version, &components, &[requirement], out));
    write("bundle_payload", "hub", &hub);
    write(
        "bundle_payload",
        "one-component",
        &emitted(|out| bundle::emit(&product, &version, &components[..1], &[], out)),
    );
}

/// Takes every signature.
#[derive(Clone, Copy, Debug)]
struct Gullible;

impl Verifier for Gullible {
    fn verify(&self, _: &KeyId, _: &[u8], _: &[u8; SIGNATURE_LEN]) -> Result<(), VerifyError> {
        Ok(())
    }
}

/// As in `fuzz/src/device.rs`.
type Flash = SimFlash<1, 4, 256>;
const SLOT_BYTES: usize = 4096;
const JOURNAL_BYTES: usize = 2048;

fn write_device(pair: &Pair) {
    let device = Device {
        product: "thermostat",
        hardware_revision: 3,
        security_counter: 0,
        decoder_ram_bytes: 1 << 26,
    };
    let manifest = pair.manifest(Codec::Stored, false, &pair.target);
    let payload = emitted(|out| manifest.emit(out));
    let envelope = emitted(|out| envelope::emit(&KeyId::default(), &payload, &[1; 64], out));
    let mut slot = vec![0xff; SLOT_BYTES];
    slot[..pair.target.len()].copy_from_slice(&pair.target);
    slot[SLOT_BYTES - 256..].copy_from_slice(&trailer(&envelope));

    let mut journal = Flash::erased(JOURNAL_BYTES);
    let (mut a, mut b) = (Flash::holding(&slot), Flash::erased(SLOT_BYTES));
    let flash = |journal: &Flash| [&journal.bytes()[..], &slot].concat();
    write("device_flash", "no-journal", &flash(&journal));
    for boots in 1..=3 {
        let mut updater =
            Updater::open(&device, Gullible, &mut journal, [&mut a, &mut b]).expect("opens");
        updater.boot(ResetCause::PowerOn).expect("boots");
        updater.keep(&[boots; 40]).expect("there is room");
        write("device_flash", &format!("after-{boots}-boots"), &flash(&journal));
    }
    // A record as the journal has it, with the next one torn.
    let mut torn = flash(&journal);
    let end = torn[..JOURNAL_BYTES / 2].iter().rposition(|byte| *byte != 0xff).expect("written");
    torn[end - 3..=end].fill(0xff);
    write("device_flash", "torn", &torn);
}
