//! The codecs that turn a base image and a payload into a target image, and back.
//!
//! | module | codec | decodes on | needs |
//! |---|---|---|---|
//! | [`stored`] | the image as it is | anything | nothing |
//! | [`compact`] | structure-aware prediction, mixed contexts, arithmetic coding | microcontrollers | 4, 8, 16 or 64 KiB of tables, or 1 MiB |
//! | `zstd` | bsdiff-style operations in a zstd frame | Linux-class devices, large microcontrollers | a heap |
//! | `bsdiff40` | classic BSDIFF40 | hosts, devices already in the field | std |
//!
//! A decoder is a machine that is fed authenticated payload bytes in chunks of any size. It reads the base, and what
//! it has already written of the target, through [`Images`], and appends to the target through it. Each codec keeps
//! its decoder and its encoder (feature `encode`) in one module, so that both share one description of the stream.
//!
//! A target may take the room of its base ([`InPlace`]), and a decoder that is cut off may be gone on with ([`Resume`]).
//!
//! A new codec is one module with a [`Decoder`] and an `encode`; the manifest's codec code and the match in
//! `patcher-nostd` name it.
#![cfg_attr(not(any(feature = "bsdiff", test)), no_std)]
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
#[cfg(any(feature = "bsdiff", test))]
extern crate std as alloc;

mod arrangement;
#[cfg(feature = "bsdiff")]
pub mod bsdiff40;
pub mod compact;
mod decoder;
#[cfg(feature = "encode")]
mod encoded;
#[cfg(feature = "encode")]
mod entropy;
#[cfg(any(feature = "bsdiff", test))]
mod in_memory;
mod in_place;
pub mod in_place_payload;
#[cfg(any(feature = "zstd", test))]
mod ops;
mod state;
pub mod stored;
#[cfg(feature = "zstd")]
pub mod zstd;

#[cfg(feature = "encode")]
pub use arrangement::emit_seats;
pub use arrangement::parse_seats;
pub use decoder::{DecodeError, Decoder, Images, MAX_STEP_BYTES, Sizes, Wants};
#[cfg(feature = "encode")]
pub use encoded::{EncodeError, Encoded};
#[cfg(feature = "encode")]
pub use entropy::entropy;
#[cfg(any(feature = "bsdiff", test))]
pub use in_memory::InMemory;
pub use in_place::{InPlace, Move, Moves};
pub use in_place_payload::{Arrangement, ArrangementBuffers, InPlaceDecoder};
pub use state::{Resume, StateBytes, StateError};
