//! The bytes of format version 1, held in place: old files must stay readable, and new ones must not drift.
//!
//! `WHITTLE_UPDATE_GOLDENS=1 cargo test -p whittle-tests golden` writes them anew after a deliberate change, which
//! brings a new format version with it.

use whittle_format::Manifest;
use whittle_format::envelope::Envelope;
use whittle_format::index::Index;
use whittle_release::build::INDEX_FILE;
use whittle_release::{CodecChoice, Image};

use crate::support::{build, code_like, keys, request, root, test_key};

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
    let directory = root().join("fixtures/golden/v1");
    for (name, bytes) in &built.files {
        let path = directory.join(name);
        if std::env::var_os("WHITTLE_UPDATE_GOLDENS").is_some() {
            std::fs::create_dir_all(&directory).expect("creates");
            std::fs::write(&path, bytes).expect("writes");
        }
        let golden = std::fs::read(&path).expect("the golden file is committed");
        assert!(*bytes == golden, "{name} differs from its golden file");
    }
}

#[test]
fn the_golden_files_say_what_they_were_made_to_say() {
    let directory = root().join("fixtures/golden/v1");
    let bytes = std::fs::read(directory.join("thermostat-2.4.1-full.pkg")).expect("committed");
    let (envelope, blocks) = Envelope::parse(&bytes).expect("an envelope");
    assert_eq!(envelope.payload.len(), 96 + "thermostat".len() + "2.4.1".len());
    let manifest = Manifest::parse(envelope.payload).expect("a manifest");
    assert_eq!((manifest.target_size, manifest.payload_size, manifest.block_log2), (1900, 1900, 9));
    assert_eq!(blocks.len(), 1900 + 3 * 16);
    whittle_release::directory::authenticate_file("golden", &bytes, &keys()).expect("authentic");

    let bytes = std::fs::read(directory.join(INDEX_FILE)).expect("committed");
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
