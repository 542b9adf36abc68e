//! The bytes of documents that several keys sign, held in place; a COSE library reads the same ones.
//!
//! `WHITTLE_UPDATE_GOLDENS=1 cargo test -p whittle-release golden` writes them anew after a deliberate change, which brings a
//! new format version with it.

use std::path::{Path, PathBuf};

use coset::{CoseSign, TaggedCborSerializable as _, iana};
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use whittle_format::approval::Approval;
use whittle_format::index::Release;
use whittle_format::keys::Head;
use whittle_format::manifest::HardwareRange;
use whittle_patcher_nostd::{FactoryKeys, Roles, TrustedKey};
use whittle_release::approval::SignedApproval;
use whittle_release::directory::ReleaseIndex;
use whittle_release::keys::{PrivateKey, Signer as _, key_id};
use whittle_release::keys_file::{KeyDocument, KeysFile};

use crate::support::PRODUCT;

/// Of this format version.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/golden/v1").join(name)
}

fn assert_golden(name: &str, bytes: &[u8]) {
    if std::env::var_os("WHITTLE_UPDATE_GOLDENS").is_some() {
        std::fs::write(golden(name), bytes).expect("writes");
    }
    let golden = std::fs::read(golden(name)).expect("the golden file is committed");
    assert!(*bytes == golden, "{name} differs from what it is made of");
}

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

fn trusted(seed: u8, roles: Roles) -> TrustedKey {
    TrustedKey { public_key: key(seed).public_key(), roles }
}

const RELEASE: Roles = Roles::PACKAGES.and(Roles::FLAGS);

/// Two roots and a key for everything else; then that one is revoked, and another one is there.
fn keys_file() -> KeysFile {
    let product = PRODUCT.parse().expect("a label");
    let head = Head { product, version: 1, key_threshold: 2, package_threshold: 1 };
    let mut first = KeyDocument { head, keys: Vec::new(), revoked: Vec::new() };
    for (seed, roles) in [(1, Roles::KEYS), (2, Roles::KEYS), (7, RELEASE.and(Roles::STAGES))] {
        first.trust(key(seed).public_key(), roles);
    }
    let mut second = first.clone();
    second.head.version = 2;
    second.head.package_threshold = 2;
    second.trust(key(8).public_key(), RELEASE);
    second.trust(key(9).public_key(), Roles::PACKAGES.and(Roles::STAGES));
    assert!(second.revoke(key_id(&key(7).public_key())), "it is there");
    let mut file = KeysFile::new(first).expect("valid");
    for document in [None, Some(second)] {
        if let Some(document) = document {
            file = file.then(document, None).expect("follows");
        }
        file.sign(&key(1)).expect("signs");
        file.sign(&key(2)).expect("signs");
    }
    file
}

fn approval() -> SignedApproval {
    let release = Release {
        product: PRODUCT.parse().expect("a label"),
        target_version: "2.4.1".parse().expect("a label"),
        hardware: HardwareRange { min: 2, max: 5 },
        security_counter: 7,
        target_size: 1900,
        target_digest: [0xab; 32],
    };
    let index = ReleaseIndex {
        release,
        bases: Vec::new(),
        packages: Vec::new(),
        attachments: Vec::new(),
        key_id: Default::default(),
    };
    let mut approval = SignedApproval::of(&index).expect("valid");
    assert_eq!(approval.approval, Approval(release));
    approval.sign(&key(8)).expect("signs");
    approval.sign(&key(9)).expect("signs");
    approval
}

#[test]
fn the_bytes_of_a_keys_file_do_not_change() {
    let file = keys_file();
    assert_golden("keys.bin", &file.emit().expect("signed"));
    let factory = [trusted(1, Roles::KEYS), trusted(2, Roles::KEYS), trusted(7, Roles::ALL)];
    let factory = FactoryKeys { keys: &factory, key_threshold: 2, package_threshold: 1 };
    let read = KeysFile::read(&golden("keys.bin")).expect("committed");
    let set = read.follow(Path::new("keys.bin"), &factory).expect("signed by both roots");
    assert_eq!((set.version(), set.key_threshold(), set.package_threshold()), (2, 2, 2));
    assert_eq!((set.keys().count(), set.revoked().count()), (5, 1));
    assert_eq!(read, file);
}

#[test]
fn the_bytes_of_an_approval_do_not_change() {
    assert_golden("approval.bin", &approval().emit().expect("signed"));
    let read = SignedApproval::read(&golden("approval.bin")).expect("committed");
    assert_eq!(read, approval());
}

#[test]
fn a_cose_library_verifies_them() {
    let mut rest = &std::fs::read(golden("keys.bin")).expect("committed")[..];
    let mut envelopes = vec![std::fs::read(golden("approval.bin")).expect("committed")];
    while !rest.is_empty() {
        let (_, behind) = whittle_format::joint::JointEnvelope::parse(rest).expect("own bytes");
        envelopes.push(rest[..rest.len() - behind.len()].to_vec());
        rest = behind;
    }
    assert_eq!(envelopes.len(), 3);
    for envelope in envelopes {
        let cose = CoseSign::from_tagged_slice(&envelope).expect("a COSE_Sign");
        assert_eq!(cose.signatures.len(), 2);
        for (at, signature) in cose.signatures.iter().enumerate() {
            let header = &signature.protected.header;
            let eddsa = coset::Algorithm::Assigned(iana::Algorithm::EdDSA);
            assert_eq!(header.alg, Some(eddsa));
            let signer =
                (1..10).map(key).find(|key| key_id(&key.public_key())[..] == header.key_id);
            let signer = signer.expect("one of ours").public_key();
            let verifier = VerifyingKey::from_bytes(&signer).expect("a key");
            cose.verify_signature(at, b"", |signature, message| {
                verifier.verify(message, &Signature::from_slice(signature).expect("64 bytes"))
            })
            .expect("it counts");
        }
        assert_eq!(cose.to_tagged_vec().expect("serialises"), envelope, "deterministic encoding");
    }
}
