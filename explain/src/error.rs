//! Why a delta cannot be explained.

use whittle_delta::EncodeError;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of an explanation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The images cannot be encoded.
    #[error("the delta cannot be encoded")]
    Encode(#[source] EncodeError),
    /// A file describes no program.
    #[error("neither an ELF file nor a map of GNU ld or LLD")]
    NoProgram,
    /// An ELF file is damaged.
    #[error("damaged ELF file: {0}")]
    BadElf(String),
    /// A map cannot be read.
    #[error("damaged map: line {line} makes no sense")]
    BadMap {
        /// The line, from 1 on.
        line: usize,
    },
    /// An ELF file or a map describes another image.
    #[error("describes another image: {same} of {all} bytes are found in this one")]
    OtherImage {
        /// Bytes of its sections that stand in the image.
        same: u64,
        /// Bytes of its sections.
        all: u64,
    },
}
