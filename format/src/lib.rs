//! Knows every byte that whittle signs, ships or stores, and nothing else.
//!
//! Each layout is written once: its fields are named in one place, and `parse` and `emit` stand side by side and both
//! use them. The crate cannot allocate, hash, verify or do I/O; it turns bytes into typed values whose numbers have
//! been compared with the named limits in [`limits`], and back. Whether such a value may be *trusted* is decided by
//! the crates that hold keys.
//!
//! ```text
//! package  = manifest envelope | block 0 | block 1 | … | block n-1
//! envelope = COSE_Sign1 over one payload: a manifest, a release index, a bundle, a flags document or a stage of a rollout
//! joint    = COSE_Sign with several signatures over one payload: a document of keys, or the approval of a target
//! ```
//!
//! All integers are little-endian; sizes are in bytes. `docs/format.md` draws the same bytes for other languages.
#![no_std]
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

pub mod approval;
pub mod block;
pub mod bundle;
pub mod envelope;
mod error;
pub mod flags;
pub mod index;
pub mod joint;
pub mod journal;
pub mod keys;
mod label;
pub mod life;
pub mod limits;
pub mod manifest;
mod release;
mod share;
pub mod stage;
pub mod staging;
mod wire;

pub use error::{FormatError, Part};
pub use label::Label;
pub use manifest::Manifest;
pub use share::{Seed, Share};
pub use stage::Stage;

/// A SHA-256 digest, 32 bytes.
pub type Digest = [u8; 32];

/// The first 16 bytes of a SHA-256 digest.
///
/// Used where only a second preimage could do harm: the signer is trusted not to craft collisions.
pub type ShortDigest = [u8; 16];

/// Shortens a digest to its first 16 bytes.
#[must_use]
pub fn shorten(digest: &Digest) -> ShortDigest {
    let mut short = ShortDigest::default();
    for (to, from) in short.iter_mut().zip(digest) {
        *to = *from;
    }
    short
}
