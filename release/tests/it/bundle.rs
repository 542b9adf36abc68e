//! Devices of several components: order, requirements, and releases that were exchanged.

use std::collections::BTreeMap;
use std::path::Path;

use whittle_format::Label;
use whittle_format::manifest::HardwareRange;
use whittle_release::build::{Request, build};
use whittle_release::bundle::{self, BUNDLE_FILE, Requirement, Step, VerifiedBundle, Version};
use whittle_release::directory::{self, VerifiedRelease};
use whittle_release::keys::{Keyring, PrivateKey};
use whittle_release::{Culprit, DeviceProfile, Error, Image};

fn label(name: &str) -> Label {
    name.parse().unwrap()
}

fn key() -> PrivateKey {
    PrivateKey::from_seed(&[7; 32])
}

/// Builds a release of one component into a directory of its name.
fn release(directory: &Path, product: &str, version: &str) -> VerifiedRelease {
    let key = key();
    let request = Request {
        product: label(product),
        target_version: label(version),
        hardware: HardwareRange { min: 0, max: 1 },
        security_counter: 0,
        target: Image::new(format!("{product} {version}").repeat(20).into_bytes()).unwrap(),
        bases: Vec::new(),
        profile: DeviceProfile::default(),
        attachments: Vec::new(),
        signer: &key,
        threads: 1,
    };
    let out = directory.join(product);
    directory::write(&out, &build(&request, &|_| {}).unwrap().files).unwrap();
    VerifiedRelease::open(&out, &Keyring::of(&key)).unwrap()
}

fn require(component: &str, required: &str, at_least: &str) -> Requirement {
    Requirement {
        component: label(component),
        required: label(required),
        at_least: Version::of(&label(at_least)).unwrap(),
    }
}

fn sign(releases: &[VerifiedRelease], requirements: &[Requirement]) -> Result<Vec<u8>, Error> {
    let request = bundle::Request {
        product: label("hub"),
        version: label("7"),
        components: releases,
        requirements,
        signer: &key(),
    };
    bundle::sign(&request).map(|signed| signed.0)
}

/// A boot loader, an application and a radio, of which the application needs a new boot loader and a radio that is in the field.
fn hub(directory: &Path) -> VerifiedBundle {
    let versions = [("hub-boot", "1.3.0"), ("hub-app", "2.0.0"), ("hub-radio", "5.1.0")];
    let releases = versions.map(|(product, version)| release(directory, product, version));
    let requirements =
        [require("hub-app", "hub-boot", "1.3.0"), require("hub-app", "hub-radio", "4.0.0")];
    let signed = sign(&releases, &requirements).unwrap();
    std::fs::write(directory.join(BUNDLE_FILE), signed).unwrap();
    VerifiedBundle::open(directory, &Keyring::of(&key())).unwrap()
}

fn installed(versions: &[(&str, &str)]) -> BTreeMap<Label, Label> {
    versions.iter().map(|(product, version)| (label(product), label(version))).collect()
}

fn install(product: &str) -> Step {
    Step::Install(label(product))
}

#[test]
fn a_device_goes_through_the_bundle_in_order_and_from_wherever_it_was_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let hub = hub(directory.path());
    assert_eq!((hub.product(), hub.version()), (&label("hub"), &label("7")));
    let steps = |versions: &[(&str, &str)]| hub.steps(&installed(versions)).unwrap();
    let old = [("hub-boot", "1.2.0"), ("hub-app", "1.9.0"), ("hub-radio", "4.2.0")];
    let all = [install("hub-boot"), install("hub-app"), install("hub-radio")];
    assert_eq!(steps(&old), all);
    let keep = |product| Step::Keep(label(product));
    let halfway = [("hub-boot", "1.3.0"), ("hub-app", "1.9.0"), ("hub-radio", "4.2.0")];
    assert_eq!(steps(&halfway), [keep("hub-boot"), install("hub-app"), install("hub-radio")]);
    let there = [("hub-boot", "1.3.0"), ("hub-app", "2.0.0"), ("hub-radio", "5.1.0")];
    assert_eq!(steps(&there), [keep("hub-boot"), keep("hub-app"), keep("hub-radio")]);
}

#[test]
fn what_is_required_from_before_must_be_there() {
    let directory = tempfile::tempdir().unwrap();
    let hub = hub(directory.path());
    for radio in [Some("3.9.9"), Some("4.0.0-rc1"), Some("nightly"), None] {
        let mut versions = vec![("hub-boot", "1.2.0"), ("hub-app", "1.9.0")];
        versions.extend(radio.map(|radio| ("hub-radio", radio)));
        let error = hub.steps(&installed(&versions)).unwrap_err();
        assert_eq!(error.culprit(), Culprit::Base);
        let text = error.to_string();
        assert!(text.contains("`hub-app` requires `hub-radio` 4.0.0 or later"), "{text}");
        assert!(text.contains(radio.unwrap_or("none")), "{text}");
    }
}

#[test]
fn bundles_that_contradict_themselves_are_not_signed() {
    let directory = tempfile::tempdir().unwrap();
    let boot = release(directory.path(), "boot", "1.3.0");
    let app = release(directory.path(), "app", "nightly");
    let both = [boot.clone(), app];
    let refused = |requirement| match sign(&both, &[requirement]) {
        Err(Error::Refused { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    let why = refused(require("app", "boot", "1.4.0"));
    assert_eq!(why, "`app` requires `boot` 1.4.0 or later, the bundle brings 1.3.0");
    assert!(refused(require("boot", "app", "0.0.1")).contains("three numbers are wanted"));
    assert_eq!(refused(require("app", "radio", "1.0.0")), "there is no component `radio`");
    assert_eq!(refused(require("boot", "boot", "1.0.0")), "component `boot` requires itself");
    assert!(refused(require("app", "boot", "1.3.0-rc1")).contains("before a release"));
    assert!(matches!(sign(&[boot.clone(), boot], &[]), Err(Error::Refused { .. })));
    assert!(matches!(sign(&[], &[]), Err(Error::Format { .. })));
}

#[test]
fn a_release_that_was_exchanged_or_a_list_that_nobody_trusts_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    hub(directory.path());
    let keys = Keyring::of(&key());
    let stranger = Keyring::of(&PrivateKey::from_seed(&[8; 32]));
    let error = VerifiedBundle::open(directory.path(), &stranger).unwrap_err();
    assert_eq!(error.culprit(), Culprit::Key);

    // Signed by the same key, but not what the bundle was tested with.
    std::fs::remove_dir_all(directory.path().join("hub-app")).unwrap();
    release(directory.path(), "hub-app", "2.0.1");
    let error = VerifiedBundle::open(directory.path(), &keys).unwrap_err();
    assert!(matches!(&error, Error::NotTheListedFile { file } if file == "hub-app/index.cose"));

    let path = directory.path().join(BUNDLE_FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(VerifiedBundle::open(directory.path(), &keys).unwrap_err().culprit(), Culprit::Key);
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(VerifiedBundle::open(directory.path(), &keys), Err(Error::Io { .. })));
}
