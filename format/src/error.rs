//! Why bytes were not what they claimed to be.

use core::fmt;

/// A layout error; all of them are the fault of whoever made the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes end before the layout does; `needed` is the length that was looked for.
    Truncated {
        /// Bytes that the layout needs up to the missing field.
        needed: usize,
        /// Bytes that were there.
        got: usize,
    },
    /// Bytes follow the end of the layout.
    TrailingBytes {
        /// How many bytes are left over.
        extra: usize,
    },
    /// The bytes do not begin with a COSE_Sign1 envelope of the one shape that whittle emits.
    NotAnEnvelope {
        /// Offset of the first byte that differs.
        offset: usize,
    },
    /// The payload is of another kind or of a format version that this reader does not know.
    WrongMagic {
        /// The magic that was found.
        got: [u8; 4],
        /// The magic that was wanted.
        wanted: [u8; 4],
    },
    /// A declared number is above its limit, or below its minimum.
    OutOfRange {
        /// Which field.
        field: &'static str,
        /// The declared value.
        got: u32,
        /// The bound that it breaks.
        limit: u32,
    },
    /// A field holds a code that no reader of this version knows.
    UnknownCode {
        /// Which field.
        field: &'static str,
        /// The code.
        got: u8,
    },
    /// A name is empty, too long, has a character outside `A-Z a-z 0-9 . _ + -`, or begins with a dot or hyphen.
    BadLabel,
    /// A full image names a base, or two fields contradict each other.
    Contradiction {
        /// Which field.
        field: &'static str,
    },
    /// The caller's buffer is too small.
    BufferTooSmall {
        /// Bytes that are needed.
        needed: usize,
    },
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { needed, got } => {
                write!(f, "ends after {got} bytes, {needed} are needed")
            }
            Self::TrailingBytes { extra } => write!(f, "{extra} bytes follow the end"),
            Self::NotAnEnvelope { offset } => {
                write!(f, "not a signed whittle envelope (differs at byte {offset})")
            }
            Self::WrongMagic { got, wanted } => {
                write!(f, "payload begins with {got:02x?}, wanted {wanted:02x?}")
            }
            Self::OutOfRange { field, got, limit } => {
                write!(f, "{field} is {got}, the limit is {limit}")
            }
            Self::UnknownCode { field, got } => write!(f, "{field} has the unknown code {got}"),
            Self::BadLabel => f.write_str(
                "a name must be 1 to 32 characters of `A-Z a-z 0-9 . _ + -`, no dot or hyphen first",
            ),
            Self::Contradiction { field } => write!(f, "{field} contradicts another field"),
            Self::BufferTooSmall { needed } => {
                write!(f, "buffer too small, {needed} bytes are needed")
            }
        }
    }
}

impl core::error::Error for FormatError {}
