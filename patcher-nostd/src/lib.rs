//! Applies a signed package on the device: bytes in, a verified image in the target slot out.
//!
//! ```text
//! push(bytes) -> envelope -> signature -> does it fit this device? -> is this the base?
//!             -> block -> its hash -> decoder -> erase, write, read back      (for every block)
//! finish()    -> SHA-256 of the whole target slot image
//! ```
//!
//! * **Fed, never pulled.** [`Patcher::push`] takes chunks of any size; any split gives the same result. Needing more
//!   is a [`Status`], not an error.
//! * **Nothing unauthenticated reaches the decoder.** A [`VerifiedManifest`] exists only if a trusted key signed it, and
//!   a block is decoded only after its hash has been compared. Nothing is written before the signature, the fitness
//!   for this device and the base have been checked.
//! * **The caller owns every buffer.** [`Buffers`] says how large they must be. No alloc, unless the `zstd` or
//!   `bsdiff` codec is switched on.
//! * **The running image is only read.** Whatever fails, [`PatchError::old_image_boots`] says what that means.
//!
//! A device that keeps the package somewhere before it installs it runs a [`PackageChecker`] over it first, as below:
//! then not one byte of the target slot is touched unless *every* byte of the package is authentic. A device that
//! streams leaves that pass out: blocks in front of a forged one may then stand in the slot that does not run.
//!
//! # Example
//!
//! ```
//! use whittle_patcher_nostd::*;
//! # use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
//! # fn install<B: ReadNorFlash, T: NorFlash>(
//! #     package: &[u8], base: &mut B, target: &mut T, key: [u8; 32],
//! # ) -> Result<Installed, PatchError> {
//! let device = Device {
//!     product: "thermostat",
//!     hardware_revision: 3,
//!     security_counter: 7,
//!     decoder_ram_bytes: 32 * 1024,
//! };
//! let keys = [key];
//! let (mut block, mut page) = ([0; 4096], [0; 256]);
//! let mut tables = compact::MediumTables::NEW;
//!
//! let mut checker = PackageChecker::new(&device, TrustedKeys(&keys), &mut block);
//! for mut chunk in package.chunks(64) {
//!     checker.push(&mut chunk, base, target.capacity())?;
//! }
//! checker.finish()?;
//!
//! let mut slots = Slots { base, target };
//! let buffers = Buffers { block: &mut block, page: &mut page, compact: Some(tables.lend()) };
//! let mut patcher = Patcher::new(&device, TrustedKeys(&keys), buffers);
//! for mut chunk in package.chunks(64) {
//!     if patcher.push(&mut chunk, &mut slots)? == Status::Done {
//!         break;
//!     }
//! }
//! patcher.finish(&mut slots)
//! # }
//! ```
//!
//! Under a boot loader that exists already, [`mcuboot`] or [`embassy_boot`] asks it to swap the finished image in.
//!
//! Two further documents tell the device what to do with what it has installed, and whether to install at all:
//! [`VerifiedFlags`] switches features, and [`VerifiedStage`] opens a rollout to a share of the fleet. Both are
//! borrowed or copied from bytes that the application keeps.
#![cfg_attr(not(feature = "bsdiff"), no_std)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

#[cfg(all(feature = "zstd", not(feature = "bsdiff")))]
extern crate alloc;
#[cfg(feature = "bsdiff")]
extern crate std as alloc;

mod admission;
mod blocks;
mod check;
mod codec;
mod document;
mod download;
mod draw;
pub mod embassy_boot;
mod error;
mod flags;
mod flash;
mod in_place;
mod install;
mod journal;
pub mod life;
pub mod mcuboot;
mod numbers;
mod partition;
mod patcher;
mod receiver;
mod signed_slot;
mod stage;
mod staging;
mod state_banks;
mod updater;
mod verify;

pub use admission::Device;
pub use check::{PackageChecker, authenticate};
pub use document::DocumentError;
pub use download::Download;
pub use draw::{Draw, eligible, place};
pub use error::{Culprit, FlashError, PatchError};
pub use flags::{Decision, DeviceFacts, Reason, VerifiedFlags};
pub use flash::{NoBase, Slots};
pub use in_place::InPlaceBuffers;
pub use journal::{Journal, JournalError};
pub use life::{LifeError, ResetCause};
pub use partition::Partition;
pub use patcher::{Buffers, Installed, Patcher};
pub use signed_slot::{TRAILER_BYTES, check_slot, trailer};
pub use stage::{VerifiedStage, follows};
pub use staging::StagingError;
pub use updater::{Boot, UpdateError, Updater, any_signed_slot};
#[cfg(feature = "ed25519")]
pub use verify::TrustedKeys;
pub use verify::{KeyId, PublicKey, VerifiedManifest, Verifier, VerifyError, key_id};
pub use whittle_delta::{ArrangementBuffers, DecodeError, InPlaceDecoder, compact};
pub use whittle_format::journal::Kind as RecordKind;
pub use whittle_format::life::{Ending, LifeState, Phase, SlotId};
pub use whittle_format::{FormatError, Manifest, Seed, Share, Stage};

/// Whether a machine wants more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The whole chunk was taken; the package goes on.
    NeedMore,
    /// The package is complete; the chunk is left at the first byte behind it.
    Done,
}
