//! Why a file is not taken.

use crate::elf::ElfError;
use crate::esp::EspError;
use crate::mcuboot::McubootError;
use crate::{LineError, MemoryError};
use crate::{format::Format, uf2::Uf2Error};

/// A file that is not taken, and where it is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing in it at all.
    #[error("the file is empty")]
    Empty,
    /// A line of a text format.
    #[error("line {line} of the {format} file is wrong")]
    Line {
        /// Which line; the first is 1.
        line: u32,
        /// What the file is.
        format: Format,
        /// What is wrong with it.
        source: LineError,
    },
    /// A text file that stops without saying so: the rest of it may be missing.
    #[error("{format} file ends with line {line}, without an end record")]
    NoEnd {
        /// What the file is.
        format: Format,
        /// Its last line.
        line: u32,
    },
    /// Records behind the one that ends the file.
    #[error("line {line} follows the end record in line {end_line}")]
    BehindEnd {
        /// Which line.
        line: u32,
        /// Where the file ends.
        end_line: u32,
    },
    /// A text file that some editor or shell wrote in UTF-16.
    #[error("{format} file is in UTF-16, ASCII is wanted")]
    Utf16 {
        /// What the file would be.
        format: Format,
    },
    /// A text file is larger than any image makes it.
    #[error("{format} file of {got} bytes is too large, the limit is {limit}")]
    FileTooLarge {
        /// What the file is.
        format: Format,
        /// Its size in bytes.
        got: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A file was said to be in a format that it is not in.
    #[error("the file is no {wanted} file")]
    NotThatFormat {
        /// What it was said to be.
        wanted: Format,
    },
    /// Pieces that do not make one image.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A UF2 file.
    #[error(transparent)]
    Uf2(#[from] Uf2Error),
    /// An ELF file.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// An ESP-IDF image.
    #[error(transparent)]
    Esp(#[from] EspError),
    /// An MCUboot image.
    #[error(transparent)]
    Mcuboot(#[from] McubootError),
    /// What a file with addresses holds is an image with a header, and that is wrong.
    #[error("the {format} file holds an image that is wrong")]
    Inside {
        /// What the file is.
        format: Format,
        /// What is wrong with the image.
        source: Box<Error>,
    },
}

/// What a caller may do about an error, besides having the file made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayOut {
    /// Nothing else: its bytes are no image, and what they hold is damaged.
    Anew,
    /// Take the file as it is: [`Format::Raw`]. Only where its bytes are those of the image.
    Raw,
    /// Name the file's format, so that what it holds is taken whatever it is.
    Unlooked,
    /// Say whether the file is firmware, [`Format::Elf`], or a program to be taken as it is, [`Format::Raw`].
    FirmwareOrProgram,
    /// Take a part of it: [`crate::Options::range`].
    Range,
    /// Say which family of chips is meant: [`crate::Options::family`].
    Family,
    /// Name the right format.
    Format,
}

impl Error {
    /// What may be done about it.
    #[must_use]
    pub fn way_out(&self) -> WayOut {
        match self {
            Self::Memory(
                MemoryError::Gap { .. }
                | MemoryError::NothingInRange { .. }
                | MemoryError::TooLarge { .. }
                | MemoryError::TooMuch { .. },
            ) => WayOut::Range,
            Self::Uf2(Uf2Error::SeveralFamilies { .. } | Uf2Error::NoSuchFamily { .. }) => {
                WayOut::Family
            }
            Self::Elf(ElfError::FirmwareOrProgram) => WayOut::FirmwareOrProgram,
            Self::NotThatFormat { .. } => WayOut::Format,
            Self::Esp(_) | Self::Mcuboot(_) => WayOut::Raw,
            Self::Inside { .. } => WayOut::Unlooked,
            // The bytes of a text, of blocks or of an ELF file are those of no image.
            Self::Empty
            | Self::Line { .. }
            | Self::NoEnd { .. }
            | Self::BehindEnd { .. }
            | Self::Utf16 { .. }
            | Self::FileTooLarge { .. }
            | Self::Memory(_)
            | Self::Uf2(_)
            | Self::Elf(_) => WayOut::Anew,
        }
    }
}
