//! The bytes of format version 1, held in place: old files must stay readable, and new ones must not drift.
//!
//! `WHITTLE_UPDATE_GOLDENS=1 cargo test -p whittle-tests golden` writes them anew after a deliberate change, which
//! brings a new format version with it.

use std::path::{Path, PathBuf};

use whittle_format::envelope::Envelope;
use whittle_format::index::Index;
use whittle_format::{Label, Manifest, Share, Stage};
use whittle_patcher_nostd::{Draw, VerifiedFlags, VerifiedStage, place};
use whittle_release::build::INDEX_FILE;
use whittle_release::flags::FlagsSource;
use whittle_release::image::hex;
use whittle_release::{CodecChoice, Image};

use crate::support::{PRODUCT, VERSION, build, code_like, keys, request, root, test_key};

/// Small enough to be looked at; stored, so that no compressor's version shows.
fn series() -> Vec<Image> {
    let base = code_like(3, 2000);
    let mut target = base.clone();
    target.truncate(1900);
    vec![Image::new(base).expect("small"), Image::new(target).expect("small")]
}

#[test]
fn the_bytes_of_a_release_do_not_change() {
    let (series, key) = (series(), test_key());
    let mut request = request(&series, &key);
    request.profile.codec = CodecChoice::Stored;
    let built = whittle_release::build::build(&request, &|_| {}).expect("builds");
    for (name, bytes) in &built.files {
        assert_golden(name, bytes);
    }
}

/// A golden file of this format version.
pub(crate) fn golden(name: &str) -> PathBuf {
    root().join("fixtures/golden/v1").join(name)
}

/// Compares bytes with a golden file, or writes it anew.
fn assert_golden(name: &str, bytes: &[u8]) {
    assert_file(&golden(name), bytes);
}

/// The same for a file that lies elsewhere.
pub(crate) fn assert_file(path: &Path, bytes: &[u8]) {
    if std::env::var_os("WHITTLE_UPDATE_GOLDENS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("creates");
        std::fs::write(path, bytes).expect("writes");
    }
    let golden = std::fs::read(path).expect("the golden file is committed");
    assert!(*bytes == golden, "{} differs from what it is made of", path.display());
}

/// The worked example of `docs/flags.md`.
pub(crate) const FLAGS_SOURCE: &str = "flags.json";
pub(crate) const FLAGS_FILE: &str = "flags.bin";
pub(crate) const STAGE_FILE: &str = "stage.bin";

#[test]
fn the_bytes_of_a_flags_document_do_not_change() {
    let source = FlagsSource::read(&golden(FLAGS_SOURCE)).expect("valid");
    assert_golden(FLAGS_FILE, &source.sign(&test_key()).expect("signs").0);
    let bytes = std::fs::read(golden(FLAGS_FILE)).expect("committed");
    let flags = VerifiedFlags::check(&bytes, PRODUCT, 42, &keys()).expect("authentic");
    let names: Vec<_> = flags.iter().map(|flag| flag.name.to_string()).collect();
    assert_eq!(names, ["bluetooth-mesh", "holiday-mode", "new-sensor-algorithm"]);
}

#[test]
fn the_example_of_the_documentation_is_the_golden_one() {
    let page = std::fs::read_to_string(root().join("docs/flags.md")).expect("committed");
    let source = std::fs::read_to_string(golden(FLAGS_SOURCE)).expect("committed");
    assert!(page.contains(&format!("```json\n{source}```\n")));
}

#[test]
fn the_bytes_of_a_stage_do_not_change() {
    let stage = Stage {
        product: PRODUCT.parse().expect("a label"),
        target_version: VERSION.parse().expect("a label"),
        target_digest: [0xab; 16],
        seed: *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f",
        number: 2,
        share: Share::from_ppm(50_000).expect("in range"),
    };
    assert_golden(STAGE_FILE, &whittle_release::stage::sign(&stage, &test_key()).expect("signs").0);
    let bytes = std::fs::read(golden(STAGE_FILE)).expect("committed");
    let read = VerifiedStage::check(&bytes, PRODUCT, None, &keys()).expect("authentic");
    assert_eq!(*read, stage);
}

/// What another language must come to: the places that `docs/format.md` defines.
#[test]
fn the_places_of_devices_do_not_change() {
    let seeds =
        [[0; 16], [0xff; 16], *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"];
    let names = ["holiday-mode", "x"].map(|name| name.parse::<Label>().expect("a label"));
    let draws = [Draw::Rollout, Draw::Flag(&names[0]), Draw::Flag(&names[1])];
    let ids: [&[u8]; 6] =
        [b"1", b"TH-2026-0001", b"24:6f:28:00:00:01", b"\x24\x6f\x28\x00\x00\x01", &[0; 64], b""];
    let mut lines = "draw,seed_hex,flag,device_id_hex,place\n".to_owned();
    for draw in draws {
        let (kind, name) = match draw {
            Draw::Rollout => ("rollout", ""),
            Draw::Flag(name) => ("flag", name.as_str()),
        };
        for seed in &seeds {
            for id in ids {
                let place = place(draw, seed, id);
                lines += &format!("{kind},{},{name},{},{place}\n", hex(seed), hex(id));
            }
        }
    }
    assert_golden("places.csv", lines.as_bytes());
}

#[test]
fn the_golden_files_say_what_they_were_made_to_say() {
    let bytes = std::fs::read(golden("thermostat-2.4.1-full.pkg")).expect("committed");
    let (envelope, blocks) = Envelope::parse(&bytes).expect("an envelope");
    assert_eq!(envelope.payload.len(), 96 + "thermostat".len() + "2.4.1".len());
    let manifest = Manifest::parse(envelope.payload).expect("a manifest");
    assert_eq!((manifest.target_size, manifest.payload_size, manifest.block_log2), (1900, 1900, 9));
    assert_eq!(blocks.len(), 1900 + 3 * 16);
    whittle_release::directory::authenticate_file("golden", &bytes, &keys()).expect("authentic");

    let bytes = std::fs::read(golden(INDEX_FILE)).expect("committed");
    let (envelope, _) = Envelope::parse(&bytes).expect("an envelope");
    let index = Index::parse(envelope.payload).expect("an index");
    assert_eq!((index.bases.iter().count(), index.packages.iter().count()), (1, 1));
}

#[test]
fn envelopes_stay_within_256_bytes() {
    for (name, bytes) in build(&crate::support::small_series(), &test_key()).files {
        let (_, rest) = Envelope::parse(&bytes).expect("own bytes");
        let len = bytes.len() - rest.len();
        assert!(name == INDEX_FILE || len <= 256, "{name}: {len}");
    }
}
