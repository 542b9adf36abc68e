//! Reads firmware in the forms in which toolchains and flashing tools deliver it.
//!
//! ```text
//! file ─▶ recognise ─▶ ihex, srec, uf2, elf ─▶ memory: pieces by address ─▶ flat ─▶ mcuboot, esp: headers inside ─▶ Input
//!                   └▶ esp, mcuboot, raw: the bytes stay as they are ─────────────┘
//! ```
//!
//! What comes out are the bytes that stand in the device's flash, in one piece, and what the file tells of them: the address of
//! the first one, whose code they are, a version. Devices are asked for the SHA-256 of those bytes, so a file is taken as a whole or
//! not at all: what is damaged, contradicts itself or leaves room for doubt is an [`Error`] that names the place.
//!
//! ```
//! use whittle_inputs::{Format, Options, read};
//!
//! let file = b":0400000001020304F2\n:00000001FF\n";
//! let input = read(file.to_vec(), &Options::default())?;
//! assert_eq!(input.format, Format::IntelHex);
//! assert_eq!(input.bytes, [1, 2, 3, 4]);
//! assert_eq!(input.load_address, Some(0));
//! # Ok::<(), whittle_inputs::Error>(())
//! ```
//!
//! Left to others: files and their names, and what to do about an address or an instruction set.

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

pub mod elf;
mod error;
pub mod esp;
mod format;
mod hex_lines;
mod ihex;
mod input;
pub mod mcuboot;
mod memory;
mod note;
mod raw;
mod srec;
pub mod uf2;

pub use error::{Error, WayOut};
pub use format::{Format, recognise};
pub use hex_lines::LineError;
pub use input::{Header, Input, Options, read};
pub use memory::{MAX_GAP_BYTES, MAX_IMAGE_BYTES, MemoryError, Place};
pub use note::Note;
