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

    /// How many bytes can be appended now. Where that is less than the next step may make, at most
    /// [`MAX_STEP_BYTES`], decoders pause and ask for [`Wants::Room`].
    fn room(&self) -> u32 {
        u32::MAX
    }

    /// Appends to the target.
    ///
    /// # Errors
    /// The implementor's, if the target cannot be written.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// Most bytes that a decoder needs room for to go on.
///
/// Who writes pages of `n` bytes and wants to pause at the end of each lends `n + MAX_STEP_BYTES - 1`: what lies behind the
/// page's end is the beginning of the next one.
pub const MAX_STEP_BYTES: u32 = 16;

/// What a decoder needs to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Wants {
    /// More of the payload: all of the input has been taken.
    Input,
    /// Room for target bytes: input may be left, and comes again once there is.
    Room,
    /// Nothing: the target is complete.
    Nothing,
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
/// Feeding the same payload in any split, and with any room at a time, gives the same target.
pub trait Decoder {
    /// Takes input off the front of the slice and appends what follows from it, until all of it is taken
    /// ([`Wants::Input`]) or there is too little room ([`Wants::Room`]).
    ///
    /// # Errors
    /// [`DecodeError`]; the decoder is of no further use then.
    fn push<I: Images>(
        &mut self,
        input: &mut &[u8],
        images: &mut I,
    ) -> Result<Wants, DecodeError<I::Error>>;

    /// Ends the payload and appends what is left: to be called again where it asks for [`Wants::Room`], until it asks for
    /// [`Wants::Nothing`].
    ///
    /// # Errors
    /// [`DecodeError`], most likely [`DecodeError::Incomplete`].
    fn finish<I: Images>(&mut self, images: &mut I) -> Result<Wants, DecodeError<I::Error>>;
}

/// Why a payload cannot be decoded; all but [`DecodeError::Images`] are the fault of whoever made the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DecodeError<E> {
    /// Reading or writing an image failed.
    Images(E),
    /// The payload ends before the target does.
    Incomplete,
    /// The payload makes more than the target.
    TargetOverrun,
    /// An operation reads outside the base.
    OutsideBase,
    /// Bytes follow the operation that completes the target.
    TrailingBytes,
    /// The payload is not a stream of this codec, or one for an instruction set that this build leaves out.
    Corrupt,
    /// The decoder would need more memory than it may use.
    Memory,
}

impl<E: fmt::Display> fmt::Display for DecodeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images(cause) => write!(f, "image access failed: {cause}"),
            Self::Incomplete => f.write_str("payload ends before the target does"),
            Self::TargetOverrun => f.write_str("payload makes more than the target"),
            Self::OutsideBase => f.write_str("payload reads outside the base"),
            Self::TrailingBytes => f.write_str("bytes follow the end of the payload"),
            Self::Corrupt => f.write_str("payload is not a stream of its codec"),
            Self::Memory => f.write_str("decoder needs more memory than it may use"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for DecodeError<E> {}
