//! Small releases and bundles on disk.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use whittle_export::suit::{Algorithm, Envelope, Manifest, Payload, Placement, Request, compose};
use whittle_export::{Delivery, Result};
use whittle_format::Label;
use whittle_format::index::AttachmentKind;
use whittle_format::manifest::HardwareRange;
use whittle_release::build::{self, AttachedFile, Base};
use whittle_release::bundle::{self, BUNDLE_FILE, Requirement, Version};
use whittle_release::directory::{self, VerifiedRelease};
use whittle_release::keys::{Keyring, PrivateKey};
use whittle_release::{CodecChoice, DeviceProfile, Image};

pub(crate) const DOMAIN: &str = "example.com";
pub(crate) const NOTES: &str = "# 2.4.1\n\nThe display no longer flickers.\n";
pub(crate) const SBOM: &str = r#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#;

pub(crate) fn key() -> PrivateKey {
    PrivateKey::from_seed(&[7; 32])
}

pub(crate) fn keys() -> Keyring {
    Keyring::of(&key())
}

pub(crate) fn label(name: &str) -> Label {
    name.parse().expect("a label")
}

/// An image of a product, each version a small step from the one before.
pub(crate) fn image(product: &str, version: u8) -> Image {
    let seed =
        product.bytes().fold(1_u32, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as u8
    };
    let mut bytes: Vec<u8> = (0..6000).map(|_| next()).collect();
    for step in 0..usize::from(version) {
        bytes[100 + 50 * step] ^= 0x55;
        bytes.splice(2000..2000, [step as u8; 20]);
    }
    Image::new(bytes).expect("small")
}

/// How a release is made.
pub(crate) struct Recipe {
    pub(crate) product: &'static str,
    pub(crate) bases: &'static [u8],
    pub(crate) codec: CodecChoice,
    pub(crate) attachments: Vec<(AttachmentKind, Vec<u8>)>,
}

impl Recipe {
    pub(crate) fn of(product: &'static str) -> Self {
        let attachments = vec![
            (AttachmentKind::Notes, NOTES.as_bytes().to_vec()),
            (AttachmentKind::Sbom, SBOM.as_bytes().to_vec()),
        ];
        Self { product, bases: &[2, 1], codec: CodecChoice::Auto, attachments }
    }

    /// Builds version 3 into a directory of the product's name.
    pub(crate) fn build(self, directory: &Path) -> PathBuf {
        let key = key();
        let bases = self
            .bases
            .iter()
            .map(|version| Base { image: image(self.product, *version), version: None });
        let attachments =
            self.attachments.into_iter().map(|(kind, bytes)| AttachedFile { kind, bytes });
        let request = build::Request {
            product: label(self.product),
            target_version: label("2.4.1"),
            hardware: HardwareRange { min: 2, max: 5 },
            security_counter: 7,
            target: image(self.product, 3),
            bases: bases.collect(),
            profile: DeviceProfile { codec: self.codec, ..DeviceProfile::default() },
            attachments: attachments.collect(),
            signer: &key,
            threads: 1,
        };
        let out = directory.join(self.product);
        let built = build::build(&request, &|_| {}).expect("builds");
        directory::write(&out, &built.files).expect("writes");
        out
    }
}

/// A release of a thermostat, and the directory that it is in.
pub(crate) fn thermostat() -> (TempDir, Delivery) {
    let directory = tempfile::tempdir().expect("a directory");
    let release = Recipe::of("thermostat").build(directory.path());
    let delivery = Delivery::open(&release, &keys()).expect("a release");
    (directory, delivery)
}

/// A bundle of a boot loader and an application; the application requires the other of them or the other way round.
pub(crate) fn hub(required: &str, requires: &str) -> (TempDir, Delivery) {
    let directory = tempfile::tempdir().expect("a directory");
    let releases = ["hub-boot", "hub-app"].map(|product| {
        let out = Recipe::of(product).build(directory.path());
        VerifiedRelease::open(&out, &keys()).expect("a release")
    });
    let at_least = Version::of(&label("2.0.0")).expect("a version");
    let requirements =
        [Requirement { component: label(requires), required: label(required), at_least }];
    let signed = bundle::sign(&bundle::Request {
        product: label("hub"),
        version: label("7"),
        components: &releases,
        requirements: &requirements,
        signer: &key(),
    });
    signed.expect("signs").write(&directory.path().join(BUNDLE_FILE)).expect("writes");
    let delivery = Delivery::open(directory.path(), &keys()).expect("a bundle");
    (directory, delivery)
}

pub(crate) fn path(payload: &Payload) -> String {
    payload.path.clone()
}

/// What most tests ask for.
pub(crate) fn request(delivery: &Delivery) -> Request<'_> {
    Request {
        delivery,
        sequence_number: 7,
        vendor_domain: DOMAIN,
        classes: &[],
        uri: &path,
        reference_uri: None,
        language: "en",
        placement: Placement::InPlace,
        invoke: None,
    }
}

pub(crate) fn sign(manifest: Manifest) -> Envelope {
    Envelope::sign(manifest, Algorithm::EdDsa, &key()).expect("signs")
}

/// The bytes of the envelope that a request makes.
pub(crate) fn export(request: &Request<'_>) -> Result<Vec<u8>> {
    compose(request).map(|manifest| sign(manifest).emit())
}
