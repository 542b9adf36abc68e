//! Documents beside the indexes that two publish at once.

use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::sync::Arc;

use tempfile::TempDir;
use whittle_publish::publish::{Event, Options, Published};
use whittle_publish::{Error, Result};
use whittle_release::approval::{APPROVAL_FILE, SignedApproval};
use whittle_release::directory::VerifiedRelease;
use whittle_release::keys::PrivateKey;

use crate::place::Place;
use crate::support::{Plan, key, keyring, keys_file, options, release_keys};
use crate::way::Fault;

const KEYS: &str = "products/thermostat/keys.bin";

/// Publishes with a keys file; something else happens while objects are sent.
fn publish(
    place: &Place,
    release: &Path,
    keys: &Path,
    meanwhile: &(dyn Fn() + Sync),
) -> Result<Published> {
    let options = Options { keys_file: Some(keys.to_owned()), ..options() };
    let progress = |event| {
        if let Event::Begin { .. } = event {
            meanwhile();
        }
    };
    let publish = whittle_publish::publish::publish;
    publish(&place.store(), from_ref(&release.to_owned()), &release_keys(), &options, &progress)
}

/// Keys files of these versions, each in a directory of its own, and their bytes.
fn keys_of<const N: usize>(room: &Path, versions: [u32; N]) -> [(PathBuf, Vec<u8>); N] {
    versions.map(|version| {
        let directory = room.join(format!("keys-{version}"));
        std::fs::create_dir(&directory).expect("made");
        let path = keys_file(&directory, &key(), "thermostat", version);
        let bytes = std::fs::read(&path).expect("there");
        (path, bytes)
    })
}

fn is_older(error: &Error) -> bool {
    matches!(error, Error::OlderKeys { current: 3, version: 2, .. })
}

#[test]
fn keys_that_became_the_older_ones_while_objects_were_sent_are_refused() {
    let room = TempDir::new().expect("there is room");
    let release = Plan::new("1.0", 1).write(room.path());
    let [(older, _), (newer, _)] = keys_of(room.path(), [2, 3]);
    for place in Place::each() {
        let other = || drop(publish(&place, &release, &newer, &|| {}).expect("publishes"));
        let refused = publish(&place, &release, &older, &other).expect_err("older by now");
        assert!(is_older(&refused), "{refused}");
        let refused = publish(&place, &release, &older, &|| {}).expect_err("the newer are there");
        assert!(is_older(&refused), "{refused}");
    }
}

#[test]
fn keys_that_became_the_older_ones_just_before_they_are_written_are_refused() {
    let room = TempDir::new().expect("there is room");
    let release = Plan::new("1.0", 1).write(room.path());
    let [(_, first), (older, _), (_, newer)] = keys_of(room.path(), [1, 2, 3]);
    for before in [None, Some(first)] {
        let place = Arc::new(Place::s3());
        if let Some(before) = before {
            place.put(KEYS, &before);
        }
        let (kept, newer) = (Arc::clone(&place), newer.clone());
        let others_write = move || kept.put(KEYS, &newer);
        place.proxy().set(Fault::Meanwhile("keys.bin", Arc::new(others_write)));
        let refused = publish(&place, &release, &older, &|| {}).expect_err("older by now");
        assert!(is_older(&refused), "{refused}");
        // Until now the proxy held the place, and the place the proxy.
        place.proxy().set(Fault::None);
        let refused = publish(&place, &release, &older, &|| {}).expect_err("the newer are there");
        assert!(is_older(&refused), "{refused}");
    }
}

#[test]
fn an_approval_takes_back_no_signature_that_came_while_objects_were_sent() {
    let room = TempDir::new().expect("there is room");
    let release = Plan::new("1.0", 1).write(room.path());
    let verified = VerifiedRelease::open(&release, &keyring()).expect("opens");
    let approval_of = |signers: &[PrivateKey]| {
        let mut approval = SignedApproval::of(verified.index()).expect("fits");
        signers.iter().for_each(|signer| approval.sign(signer).expect("signed"));
        approval
    };
    let both = approval_of(&[key(), PrivateKey::from_seed(&[99; 32])]).emit().expect("signed");
    approval_of(&[key()]).write(&release.join(APPROVAL_FILE)).expect("written");
    let [(keys, _)] = keys_of(room.path(), [1]);
    for place in Place::each() {
        let at = "products/thermostat/approvals/1.0.cose";
        let refused = publish(&place, &release, &keys, &|| place.put(at, &both));
        let refused = refused.expect_err("a signature less");
        assert!(matches!(refused, Error::FewerSignatures { .. }), "{refused}");
        let refused = publish(&place, &release, &keys, &|| {}).expect_err("it is there still");
        assert!(matches!(refused, Error::FewerSignatures { .. }), "{refused}");
    }
}
