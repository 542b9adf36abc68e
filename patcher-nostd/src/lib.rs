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
//! The feature `async` adds `asynchronous`: the same for flash that is erased and written in the background. The feature
//! `defmt` lets firmware log errors, states and manifests by [`defmt`](https://docs.rs/defmt).
//!
//! Under a boot loader that exists already, [`mcuboot`] or [`embassy_boot`] asks it to swap the finished image in.
//!
//! Two further documents tell the device what to do with what it has installed, and whether to install at all:
//! [`VerifiedFlags`] switches features, and [`VerifiedStage`] opens a rollout to a share of the fleet. Both are
//! borrowed or copied from bytes that the application keeps.
//!
//! The keys that a device trusts are part of its firmware. With the feature `key-documents`, signed documents change them, and
//! targets may need the approval of several.
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
#[cfg(feature = "async")]
mod async_flash;
mod blocks;
mod check;
mod codec;
mod crc;
mod document;
mod draw;
pub mod embassy_boot;
mod error;
mod flags;
mod flash;
mod gate;
#[cfg(feature = "in-place")]
mod in_place;
#[cfg(feature = "key-documents")]
mod keys;
pub mod life;
pub mod mcuboot;
mod numbers;
mod page;
mod partition;
mod receiver;
mod signed_slot;
mod stage;
mod staged;
#[cfg(feature = "in-place")]
mod state_banks;
mod turn;
mod verify;

/// What erases and writes flash, for callers that wait.
#[path = "both"]
mod blocking {
    pub(crate) use embedded_storage::nor_flash::NorFlash;
    pub(crate) use whittle_both::blocking as both;

    pub(crate) use crate::turn::blocking as turn;

    pub(crate) mod download;
    pub(crate) mod install;
    pub(crate) mod journal;
    #[cfg(feature = "key-documents")]
    pub(crate) mod keys;
    pub(crate) mod patcher;
    #[cfg(feature = "in-place")]
    pub(crate) mod single_slot;
    pub(crate) mod staging;
    pub(crate) mod updater;
}

#[cfg(feature = "async")]
#[path = "both"]
#[expect(clippy::duplicate_mod, reason = "one source serves both")]
pub mod asynchronous {
    //! The same for async callers: what erases and writes flash is awaited.
    //!
    //! [`Journal`], [`Updater`], [`Download`] and [`Patcher`] are made of the very source that the blocking ones at the
    //! root are made of; all other types are shared.
    //!
    //! * **Reads are not awaited.** Decoders read the base and what they have written in between any two bytes, and hashes
    //!   and records are read the same way. So a flash is wanted that can be read at once, such as one that is mapped into
    //!   memory, and erased and written in the background: it implements `ReadNorFlash` of `embedded-storage` besides
    //!   `NorFlash` of `embedded-storage-async`, which together make a [`NorFlash`].
    //! * **Between two awaits** lies the decoding of a page at most. Signatures and the hash of a whole image are
    //!   computed at one go.
    //! * **A future that is dropped is a power cut**, no worse: open the [`Updater`] again and go on. What was left in
    //!   the middle says `Interrupted` until then. A driver must be ready for the next access, whatever it was at.
    //!
    //! ```
    //! use whittle_patcher_nostd::asynchronous::{NorFlash, Updater};
    //! use whittle_patcher_nostd::{Buffers, UpdateError, Verifier};
    //!
    //! async fn install<F: NorFlash, V: Verifier + Clone>(
    //!     updater: &mut Updater<'_, F, F, V>,
    //!     staging: &mut F,
    //!     buffers: Buffers<'_>,
    //! ) -> Result<(), UpdateError> {
    //!     updater.install(staging, buffers, &mut |_| {}).await?;
    //!     updater.activate().await
    //! }
    //! ```

    pub(crate) use whittle_both::asynchronous as both;

    pub(crate) use crate::turn::asynchronous as turn;

    pub(crate) mod download;
    pub(crate) mod install;
    pub(crate) mod journal;
    #[cfg(feature = "key-documents")]
    pub(crate) mod keys;
    pub(crate) mod patcher;
    #[cfg(feature = "in-place")]
    pub(crate) mod single_slot;
    pub(crate) mod staging;
    pub(crate) mod updater;

    pub use crate::async_flash::NorFlash;
    pub use download::Download;
    pub use journal::Journal;
    pub use patcher::Patcher;
    pub use updater::Updater;
}

pub use admission::Device;
pub use blocking::download::Download;
pub use blocking::journal::Journal;
pub use blocking::patcher::Patcher;
pub use blocking::updater::Updater;
pub use check::{PackageChecker, authenticate};
pub use document::DocumentError;
pub use draw::{Draw, eligible, place};
pub use error::{Culprit, FlashError, JournalError, PatchError, StagingError, UpdateError};
pub use flags::{Decision, DeviceFacts, Reason, VerifiedFlags};
pub use flash::{NoBase, Slots};
pub use gate::Gate;
#[cfg(feature = "in-place")]
pub use in_place::{IN_PLACE_STATE_BYTES, InPlaceBuffers};
#[cfg(all(feature = "key-documents", feature = "ed25519"))]
pub use keys::Ed25519;
#[cfg(feature = "key-documents")]
pub use keys::{DeviceKeys, FactoryKeys, KeyChecker, KeySet, Roles, TrustedKey};
pub use life::{LifeError, ResetCause};
pub use page::Buffers;
pub use partition::Partition;
pub use signed_slot::{Boot, TRAILER_BYTES, any_signed_slot, check_slot, trailer};
pub use stage::{VerifiedStage, follows};
#[cfg(feature = "ed25519")]
pub use verify::TrustedKeys;
pub use verify::{KeyId, PublicKey, Purpose, VerifiedManifest, Verifier, VerifyError, key_id};
#[cfg(feature = "in-place")]
pub use whittle_delta::{ArrangementBuffers, InPlaceDecoder};
pub use whittle_delta::{DecodeError, compact};
pub use whittle_format::journal::Kind as RecordKind;
pub use whittle_format::life::{Ending, LifeState, Phase, SlotId};
pub use whittle_format::{FormatError, Manifest, Part, Seed, Share, Stage};

/// Whether a machine wants more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Status {
    /// The whole chunk was taken; the package goes on.
    NeedMore,
    /// The package is complete; the chunk is left at the first byte behind it.
    Done,
}

/// A target image that stands complete and authentic in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Installed {
    /// What was installed.
    pub manifest: VerifiedManifest,
}
