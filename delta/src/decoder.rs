//! What every decoder is given, does, and may fail with.

use core::fmt;

/// The images behind a decoder: random reads of the base and of what is already written, appends to the target.
pub trait Images {
    /// Why a read or a write failed.
    type Error;

    /// Fills `into` from the base, beginning at `offset`; the decoder asks for nothing beyond the base's end.
    ///
    /// # Errors
    /// The implementor's, if the base cannot be read.
    fn read_base(&mut self, offset: u32, into: &mut [u8]) -> Result<(), Self::Error>;

    /// Fills `into` from the target, beginning at `offset`; the decoder asks for nothing that it has not appended.
    ///
    /// # Errors
    /// The implementor's, if the target cannot be read.
    fn read_target(&mut self, offset: u32, into: &mut [u8]) -> Result<(), Self::Error>;

    /// Appends to the target.
    ///
    /// # Errors
    /// The implementor's, if the target cannot be written.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// The sizes that the signed manifest declares, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Of the base; 0 for a full image.
    pub base: u32,
    /// Of the target.
    pub target: u32,
    /// Of the payload.
    pub payload: u32,
}

/// Turns payload bytes into target bytes.
///
/// Feeding the same payload in any split gives the same target.
pub trait Decoder {
    /// Takes the whole chunk and appends what follows from it.
    ///
    /// # Errors
    /// [`DecodeError`]; the decoder is of no further use then.
    fn push<I: Images>(
        &mut self,
        chunk: &[u8],
        images: &mut I,
    ) -> Result<(), DecodeError<I::Error>>;

    /// Ends the payload; succeeds only if the target is complete.
    ///
    /// # Errors
    /// [`DecodeError`], most likely [`DecodeError::Incomplete`].
    fn finish<I: Images>(&mut self, images: &mut I) -> Result<(), DecodeError<I::Error>>;
}

/// Why a payload cannot be decoded; all but [`DecodeError::Images`] are the fault of whoever made the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError<E> {
    /// Reading or writing an image failed.
    Images(E),
    /// The payload ends before the target does.
    Incomplete {
        /// Bytes appended so far.
        written: u32,
        /// Size of the target.
        target: u32,
    },
    /// The payload makes more than the target.
    TargetOverrun {
        /// Size of the target.
        target: u32,
    },
    /// An operation reads outside the base.
    OutsideBase {
        /// First byte that it wants.
        offset: i64,
        /// How many.
        len: u32,
        /// Size of the base.
        base: u32,
    },
    /// Bytes follow the operation that completes the target.
    TrailingBytes,
    /// The payload is not a stream of this codec, or one for an instruction set that this build leaves out.
    Corrupt,
    /// The decoder would need more memory than the manifest declares.
    Memory {
        /// Bytes that it would need.
        needed: u64,
        /// Bytes that it may use.
        limit: u64,
    },
}

impl<E: fmt::Display> fmt::Display for DecodeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images(cause) => write!(f, "image access failed: {cause}"),
            Self::Incomplete { written, target } => {
                write!(f, "payload ends after {written} of {target} target bytes")
            }
            Self::TargetOverrun { target } => {
                write!(f, "payload makes more than the {target} target bytes")
            }
            Self::OutsideBase { offset, len, base } => {
                write!(f, "payload reads {len} bytes at {offset} of a base of {base} bytes")
            }
            Self::TrailingBytes => f.write_str("bytes follow the end of the payload"),
            Self::Corrupt => f.write_str("payload is not a stream of its codec"),
            Self::Memory { needed, limit } => {
                write!(f, "decoder needs {needed} bytes of memory, {limit} are allowed")
            }
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for DecodeError<E> {}
