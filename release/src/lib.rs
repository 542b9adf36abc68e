//! The host side: images in, a signed release directory out, and back again.
//!
//! ```text
//! firmware files -> images -> plan (bases + full) -> encode -> package -> replay on the device crate -> sign -> directory
//! ```
//!
//! The crate prints nothing, reads no environment and no clock: what it needs comes in as arguments, what it learns
//! goes out as values. The same input gives the same bytes, whatever the number of threads.

pub mod apply;
pub mod approval;
pub mod archive;
pub mod artifact_cache;
pub mod budget;
pub mod build;
pub mod bundle;
pub mod detached;
pub mod development_key;
pub mod device_id;
pub mod directory;
mod encode;
mod error;
pub mod files;
pub mod flags;
pub mod image;
mod joint;
pub mod keys;
pub mod keys_file;
mod package;
pub mod percent;
pub mod ram_flash;
mod refusal;
mod self_check;
mod source;
pub mod stage;

pub use encode::{Alternative, CodecChoice, DeviceProfile, InPlaceRoom};
pub use error::{Culprit, Error, Result};
pub use image::{Image, Sha256Digest};
pub use package::{Package, SignedEnvelope};
pub use source::Source;
pub use whittle_inputs::{Format as InputFormat, Options as InputOptions, WayOut};
