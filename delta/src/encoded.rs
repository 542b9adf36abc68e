//! What an encoder hands over.

use core::fmt;

use crate::compact::InstructionSet;

/// A payload and what its decoder needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The bytes to ship.
    pub payload: Vec<u8>,
    /// RAM that the decoder needs at most, in bytes.
    pub decoder_ram_bytes: u64,
    /// Revision of the encoder; the same revision gives the same bytes for the same input.
    pub encoder: u16,
    /// Whose code the payload takes the images for; none for codecs that know no code, and for images that are none.
    pub instruction_set: Option<InstructionSet>,
}

/// Why an image cannot be encoded.
#[derive(Debug)]
#[non_exhaustive]
pub enum EncodeError {
    /// No window fits into the RAM that the device has.
    Memory {
        /// Bytes that the smallest decoder needs.
        needed: u64,
        /// Bytes that the device has.
        limit: u64,
    },
    /// This codec needs a base.
    NoBase,
    /// An image is larger than this codec can describe.
    TooLarge {
        /// Its size in bytes.
        got: u64,
    },
    /// The room is too small for an application in place, or has more sectors than can be told.
    NoRoom,
    /// The compressor failed.
    Compressor(std::io::Error),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { needed, limit } => {
                write!(
                    f,
                    "the smallest decoder needs {needed} bytes of RAM, the device has {limit}"
                )
            }
            Self::NoBase => f.write_str("this codec makes deltas only"),
            Self::TooLarge { got } => {
                write!(f, "an image of {got} bytes is too large for this codec")
            }
            Self::NoRoom => {
                f.write_str("the slot has no room for base and target with a sector to spare")
            }
            Self::Compressor(_) => f.write_str("the compressor failed"),
        }
    }
}

impl std::error::Error for EncodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Compressor(cause) => Some(cause),
            _ => None,
        }
    }
}
