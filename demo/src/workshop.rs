//! Where releases are made: built, signed and published by the real crates, into a directory that is kept or thrown away.

use std::path::{Path, PathBuf};

use whittle_format::Label;
use whittle_format::envelope::Envelope;
use whittle_format::manifest::HardwareRange;
use whittle_publish::{ReleaseKeys, Store, publish};
use whittle_release::build::{self, Base, Report, Request};
use whittle_release::keys::{Keyring, PrivateKey};
use whittle_release::{CodecChoice, DeviceProfile, Error as ReleaseError, Image, directory};

use crate::DemoError;
use crate::device::DECODER_RAM_BYTES;
use crate::draws::{Draws, Purpose};
use crate::event::{BuiltPackage, Event};
use crate::firmware;

pub(crate) const PRODUCT: &str = "thermostat";

/// The release that ran before, and takes devices back under the security counter that they have by then.
pub(crate) const LAST_GOOD: &str = "2.3.0";
pub(crate) const WAY_BACK: &str = "2.3.0-back";

/// The release that one revision does not stand, and the one that mends it.
pub(crate) const FAULTY: &str = "2.4.0";
pub(crate) const FIXED: &str = "2.4.1";

/// Blocks of 512 bytes.
pub(crate) const BLOCK_LOG2: u8 = 9;

/// What a device is given in the factory.
pub(crate) struct Factory {
    pub(crate) image: Vec<u8>,
    pub(crate) envelope: Vec<u8>,
}

pub(crate) struct Workshop {
    seed: u64,
    out: PathBuf,
    key: PrivateKey,
    key_file: PathBuf,
    keys: ReleaseKeys,
    store: Store,
}

/// What shall be built.
pub(crate) struct Plan<'a> {
    /// Version that the image's own is released as.
    pub(crate) version: &'a str,
    /// Version of the image.
    pub(crate) image: &'a str,
    pub(crate) security_counter: u32,
    /// Versions of the images that devices run, the newest first.
    pub(crate) bases: &'a [&'a str],
    pub(crate) channel: &'a str,
}

impl Workshop {
    /// Makes the key and the directories within `out`, which exists.
    pub(crate) fn open(out: &Path, seed: u64) -> Result<Self, DemoError> {
        let mut secret = [0; 32];
        let mut draws = Draws::of(seed, Purpose::Key, 0, 0);
        secret.chunks_mut(8).for_each(|part| part.copy_from_slice(&draws.next().to_le_bytes()));
        let key = PrivateKey::from_seed(&secret);
        let (key_file, public) = key.write_pair(&out.join("keys"))?;
        let keys = ReleaseKeys::read(&[public])?;
        let store = Store::open(&out.join("public").display().to_string(), [])?;
        let workshop = Self { seed, out: out.to_owned(), key, key_file, keys, store };
        let product = workshop.product_directory();
        std::fs::create_dir_all(&product).map_err(DemoError::io("create", &product))?;
        Ok(workshop)
    }

    /// What devices reach.
    pub(crate) fn public_directory(&self) -> PathBuf {
        self.out.join("public")
    }

    /// Where a product's channels and documents lie in it.
    pub(crate) fn product_directory(&self) -> PathBuf {
        self.public_directory().join("products").join(PRODUCT)
    }

    pub(crate) fn key_file(&self) -> &Path {
        &self.key_file
    }

    pub(crate) fn keyring(&self) -> Keyring {
        self.keys.keyring().clone()
    }

    /// An old release as a factory flashed it; nothing of it is published any more.
    pub(crate) fn factory(&self, version: &str) -> Result<Factory, DemoError> {
        let plan =
            Plan { version, image: version, security_counter: 1, bases: &[], channel: "factory" };
        let built = build::build(&self.request(&plan, CodecChoice::Stored)?, &|_| {})?;
        let package = built.files.first().map(|(_, bytes)| bytes.as_slice()).unwrap_or_default();
        let bad = |source| ReleaseError::Format { what: "the factory's package".into(), source };
        let envelope = Envelope::length(package).map_err(bad)?.unwrap_or_default();
        Ok(Factory {
            image: firmware::image(self.seed, version),
            envelope: package.get(..envelope).unwrap_or_default().to_vec(),
        })
    }

    /// Builds a release, signs it, writes its directory and publishes it.
    pub(crate) fn release(
        &self,
        plan: &Plan<'_>,
        tell: &mut dyn FnMut(Event),
    ) -> Result<Report, DemoError> {
        let built = build::build(&self.request(plan, CodecChoice::Auto)?, &|_| {})?;
        let release = self.out.join("releases").join(plan.version);
        let parent = self.out.join("releases");
        std::fs::create_dir_all(&parent).map_err(DemoError::io("create", &parent))?;
        directory::write(&release, &built.files)?;
        tell(Event::Built {
            version: plan.version.to_owned(),
            security_counter: plan.security_counter,
            image_bytes: built.report.target_bytes,
            packages: built.report.artifacts.iter().map(BuiltPackage::of).collect(),
        });
        let options = publish::Options {
            channel: label(plan.channel)?,
            threads: 1,
            allow_older: false,
            keys_file: None,
            read_back: false,
        };
        let published = publish::publish(&self.store, &[release], &self.keys, &options, &|_| {})?;
        tell(Event::Published {
            version: plan.version.to_owned(),
            channel: plan.channel.to_owned(),
            objects: published.uploaded,
            bytes: published.uploaded_bytes,
        });
        Ok(built.report)
    }

    fn request(&self, plan: &Plan<'_>, codec: CodecChoice) -> Result<Request<'_>, DemoError> {
        let image = |version: &str| Image::new(firmware::image(self.seed, version));
        let base = |version: &&str| -> Result<Base, DemoError> {
            Ok(Base { image: image(version)?, version: Some((*version).to_owned()) })
        };
        Ok(Request {
            product: label(PRODUCT)?,
            target_version: label(plan.version)?,
            hardware: HardwareRange { min: 1, max: 3 },
            security_counter: plan.security_counter,
            target: image(plan.image)?,
            bases: plan.bases.iter().map(base).collect::<Result<_, _>>()?,
            profile: DeviceProfile {
                codec,
                decoder_ram_bytes: DECODER_RAM_BYTES.into(),
                fixed_block_log2: Some(BLOCK_LOG2),
                ..DeviceProfile::default()
            },
            attachments: vec![],
            signer: &self.key,
            threads: 2,
        })
    }
}

fn label(text: &str) -> Result<Label, DemoError> {
    let bad = |source| ReleaseError::Format { what: format!("`{text}`"), source };
    Ok(text.parse().map_err(bad)?)
}
