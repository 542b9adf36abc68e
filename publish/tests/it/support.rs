//! Releases to publish.

use std::path::{Path, PathBuf};

use whittle_format::Label;
use whittle_format::index::AttachmentKind;
use whittle_format::manifest::HardwareRange;
use whittle_publish::publish::{Options, Published};
use whittle_publish::{ReleaseKeys, Result, Store};
use whittle_release::build::{AttachedFile, Base, Built, Request};
use whittle_release::image::hex;
use whittle_release::keys::{Keyring, PrivateKey, Signer as _, public_pem};
use whittle_release::keys_file::{KeyDocument, KeysFile};
use whittle_release::{CodecChoice, DeviceProfile, Image, build, directory};

pub(crate) fn label(text: &str) -> Label {
    text.parse().expect("a label")
}

pub(crate) fn key() -> PrivateKey {
    PrivateKey::from_seed(&[7; 32])
}

pub(crate) fn keyring() -> Keyring {
    Keyring::of(&key())
}

/// The same as whoever publishes has it: out of a file.
pub(crate) fn release_keys() -> ReleaseKeys {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let pem = public_pem(&key().public_key()).expect("a key");
    std::fs::write(file.path(), pem).expect("written");
    ReleaseKeys::read(&[file.path()]).expect("a key")
}

/// Writes a keys file into a directory, in the place of the one before.
pub(crate) fn keys_file(
    directory: &Path,
    signer: &PrivateKey,
    product: &str,
    version: u32,
) -> PathBuf {
    let [path, out] = ["keys.json", "keys.bin"].map(|name| directory.join(name));
    let public: String = hex(&key().public_key());
    let json = format!(
        r#"{{"product": "{product}", "version": {version}, "keys": [{{"public_key": "{public}", "roles": ["all"]}}]}}"#
    );
    std::fs::write(&path, json).expect("written");
    let document = KeyDocument::read(&path, false).expect("a document");
    let mut file = KeysFile::new(document).expect("fits");
    file.sign(signer).and_then(|()| file.write(&out)).expect("signed");
    out
}

/// An image that no other seed gives; images of the same family differ little.
pub(crate) fn image(family: u32, seed: u32, bytes: usize) -> Image {
    let word = |n: u32| (n ^ family.wrapping_mul(0x85eb_ca6b)).wrapping_mul(0x9e37_79b1) >> 9;
    let mut words: Vec<u32> = (0..u32::try_from(bytes / 4).expect("small")).map(word).collect();
    words[5] = seed;
    Image::new(words.into_iter().flat_map(u32::to_le_bytes).collect()).expect("small")
}

/// What a release is made from.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) product: &'static str,
    pub(crate) version: String,
    pub(crate) counter: u32,
    pub(crate) family: u32,
    pub(crate) bases: u32,
    pub(crate) bytes: usize,
}

impl Plan {
    pub(crate) fn new(version: &str, counter: u32) -> Self {
        let family = version.bytes().map(u32::from).fold(1, |sum, byte| sum * 31 % 65_521 + byte);
        Self {
            product: "thermostat",
            version: version.to_owned(),
            counter,
            family,
            bases: 2,
            bytes: 12_000,
        }
    }

    pub(crate) fn target(&self) -> Image {
        image(self.family, 0, self.bytes)
    }

    pub(crate) fn base(&self, number: u32) -> Image {
        image(self.family, number + 1, self.bytes)
    }

    pub(crate) fn request<'a>(&self, signer: &'a PrivateKey) -> Request<'a> {
        let bases = (0..self.bases).map(|number| Base { image: self.base(number), version: None });
        Request {
            product: label(self.product),
            target_version: label(&self.version),
            hardware: HardwareRange::ANY,
            security_counter: self.counter,
            target: self.target(),
            bases: bases.collect(),
            profile: DeviceProfile {
                codec: CodecChoice::Zstd,
                fixed_block_log2: Some(8),
                ..DeviceProfile::default()
            },
            attachments: vec![AttachedFile {
                kind: AttachmentKind::Notes,
                bytes: format!("notes of {} {}", self.product, self.version).into_bytes(),
            }],
            signer,
            threads: 2,
        }
    }

    pub(crate) fn build(&self) -> Built {
        build::build(&self.request(&key()), &|_| {}).expect("builds")
    }

    /// Writes the release into a directory of its own.
    pub(crate) fn write(&self, under: &Path) -> PathBuf {
        let out = under.join(format!("{}-{}-{}", self.product, self.version, self.family));
        directory::write(&out, &self.build().files).expect("writes");
        out
    }

    /// How many objects it has: the deltas, the full image, the notes.
    pub(crate) fn objects(&self) -> usize {
        self.bases as usize + 2
    }
}

/// Makes a pipe, which whoever opens it waits for.
#[cfg(unix)]
pub(crate) fn pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().expect("it starts");
    assert!(made.success());
}

pub(crate) fn options() -> Options {
    Options {
        channel: label("stable"),
        threads: 4,
        allow_older: false,
        keys_file: None,
        read_back: false,
    }
}

pub(crate) fn publish(store: &Store, releases: &[PathBuf]) -> Result<Published> {
    whittle_publish::publish::publish(store, releases, &release_keys(), &options(), &|_| {})
}
