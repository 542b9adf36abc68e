//! Puts releases where devices fetch them, keeps the place clean, and fetches as a device does.
//!
//! ```text
//! release directory ─▶ publish ─▶ Store: a directory, or S3 ◀─ gc
//!                                   └▶ Source: the same, or any web server in front of it ─▶ pull ─▶ package file
//! build ◀─▶ cache: a directory, a store, or both
//! ```
//!
//! What a store holds is drawn in [`layout`]: packages by their content, which never change, and small signed indexes, which name
//! them. Nothing in a store is believed: indexes are signed, and packages are listed in them by size and digest.
//!
//! The crate blocks; the async runtime of `object_store` stays within it. It reads no environment: variables are arguments. It waits
//! between tries, and measures the ages of objects by the store's own clock.
//!
//! # Example
//!
//! ```
//! use whittle_publish::{Source, Store, publish, pull};
//! use whittle_release::keys::{Keyring, PrivateKey};
//! # use whittle_release::build::{Base, Request, build};
//! # use whittle_release::{DeviceProfile, Image, directory};
//! # use whittle_format::manifest::HardwareRange;
//! # let temporary = tempfile::tempdir()?;
//! # let dir = temporary.path();
//! # let key = PrivateKey::from_seed(&[7; 32]);
//! # let (_, public) = key.write_pair(&dir.join("keys"))?;
//! # let words = |seed| (0..1000u32).map(move |n| if n == 9 { seed } else { n.wrapping_mul(0x9e37_79b1) >> 3 });
//! # let image = |seed| Image::new(words(seed).flat_map(u32::to_le_bytes).collect());
//! # let base = image(0)?;
//! # let request = Request {
//! #     product: "thermostat".parse()?, target_version: "1.2.2".parse()?, hardware: HardwareRange::ANY, security_counter: 1,
//! #     target: image(1)?, bases: vec![Base { image: base.clone(), version: None }], profile: DeviceProfile::default(),
//! #     attachments: vec![], signer: &key, threads: 1,
//! # };
//! # let release = dir.join("release");
//! # directory::write(&release, &build(&request, &|_| {})?.files)?;
//! # let address = dir.join("public").display().to_string();
//! let store = Store::open(&address, std::env::vars())?;
//! let keys = whittle_publish::ReleaseKeys::read(&[public])?;
//! let options = publish::Options {
//!     channel: "stable".parse()?, threads: 8, allow_older: false, keys_file: None, read_back: false,
//! };
//! let published = publish::publish(&store, &[release], &keys, &options, &|_| {})?;
//! assert_eq!(published.releases[0].version, "1.2.2");
//!
//! let source = Source::open(&address, std::env::vars())?;
//! let request = pull::Request {
//!     product: "thermostat".parse()?,
//!     which: pull::Which::Channel("stable".parse()?),
//!     base: Some(base.digest()),
//!     security_counter: 0,
//!     piece_log2: 10,
//! };
//! let pulled = pull::pull(&source, keys.keyring(), &request, &dir.join("update.pkg"), &|_, _| {})?;
//! assert_eq!(pulled.kind, "delta");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod busy;
pub mod cache;
mod chain;
mod document;
mod error;
pub mod gc;
pub mod layout;
mod order;
pub mod publish;
pub mod pull;
mod release_keys;
mod source;
mod store;
mod workers;

pub use error::{Error, Result};
pub use release_keys::ReleaseKeys;
pub use source::{Patience, Source};
pub use store::Store;
