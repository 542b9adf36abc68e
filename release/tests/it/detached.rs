use std::path::Path;

use whittle_format::index::AttachmentKind;
use whittle_release::artifact_cache::NoCache;
use whittle_release::build::{self, AttachedFile, Base, Request};
use whittle_release::detached::{Attached, PLAN_FILE, attach, emit};
use whittle_release::keys::Signer;
use whittle_release::{CodecChoice, Error};

use crate::support::{self, image, profile, test_key};

fn request(signer: &dyn Signer) -> Request<'_> {
    Request {
        target: image(3, 9000),
        bases: vec![Base { image: image(3, 8000), version: None }],
        profile: profile(CodecChoice::Zstd),
        attachments: vec![AttachedFile { kind: AttachmentKind::Notes, bytes: b"notes".to_vec() }],
        ..support::request(signer)
    }
}

/// Signs as a person without a network would: the files, and nothing else.
fn sign_all(files: &[std::path::PathBuf]) {
    for file in files {
        let signature = test_key().sign(&std::fs::read(file).expect("put down")).expect("signs");
        std::fs::write(file.with_extension("sig"), signature).expect("writes");
    }
}

fn wanted(attached: Attached) -> Vec<std::path::PathBuf> {
    match attached {
        Attached::Wanted(files) => files,
        Attached::Complete(_) => panic!("nothing is signed yet"),
    }
}

fn emitted(directory: &Path) -> Vec<std::path::PathBuf> {
    let key = test_key();
    let unsigned = build::prepare(&request(&key), &NoCache, &|_| {}).expect("builds");
    emit(&unsigned, key.public_key(), directory).expect("puts down")
}

#[test]
fn a_release_that_is_signed_elsewhere_is_the_same() {
    let room = tempfile::tempdir().expect("a directory");
    let directory = room.path().join("to sign");
    let first = emitted(&directory);
    assert_eq!(first.len(), 2, "two packages, and the index later: {first:?}");
    // One after the other, with looks in between.
    sign_all(&first[..1]);
    assert_eq!(wanted(attach(&directory).expect("so far")), first[1..]);
    sign_all(&first[1..]);
    let index = wanted(attach(&directory).expect("so far"));
    assert_eq!(index, [directory.join("index.cose.tbs")]);
    sign_all(&index);
    let built = build::build(&request(&test_key()), &|_| {}).expect("builds");
    assert_eq!(attach(&directory).expect("complete"), Attached::Complete(built.files));
}

#[test]
fn what_does_not_fit_is_refused() {
    let room = tempfile::tempdir().expect("a directory");
    let directory = room.path().join("to-sign");
    let first = emitted(&directory);
    sign_all(&first);
    // Signatures that are mixed up.
    let [a, b] = [&first[0], &first[1]].map(|file| file.with_extension("sig"));
    let (of_a, of_b) = (std::fs::read(&a).expect("read"), std::fs::read(&b).expect("read"));
    std::fs::write(&a, &of_b).expect("writes");
    assert!(matches!(attach(&directory), Err(Error::WrongSignature(_))));
    std::fs::write(&a, &of_a).expect("writes");
    // A block that was changed after it was put down.
    let unsigned = first[0].with_extension("unsigned");
    let bytes = std::fs::read(&unsigned).expect("read");
    let mut changed = bytes.clone();
    *changed.last_mut().expect("blocks") ^= 1;
    std::fs::write(&unsigned, &changed).expect("writes");
    assert!(matches!(attach(&directory), Err(Error::SelfCheck { .. })));
    std::fs::write(&unsigned, &bytes).expect("writes");
    // A plan that leads elsewhere.
    let plan = directory.join(PLAN_FILE);
    let text = std::fs::read_to_string(&plan).expect("read");
    let key_id = "\"key_id\": \"";
    for (from, to) in [
        ("thermostat-2.4.1-full.pkg", "../thermostat-2.4.1-full.pkg"),
        ("thermostat-2.4.1-full.pkg", "index.cose"),
        ("\"base\": 0", "\"base\": 1"),
        ("\"base\": 0", "\"base\": null"),
        ("\"schema\": 1", "\"schema\": 2"),
        ("release-notes.md", "../release-notes.md"),
        (key_id, "\"key_id\": \"00"),
    ] {
        std::fs::write(&plan, text.replace(from, to)).expect("writes");
        let error = attach(&directory).expect_err(to);
        assert!(matches!(error, Error::BadPlan { .. }), "{to}: {error}");
    }
    std::fs::write(&plan, "{}").expect("writes");
    assert!(matches!(attach(&directory), Err(Error::Json { .. })));
}
