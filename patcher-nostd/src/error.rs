//! What can go wrong on the device, whose fault it is, and whether the old image still boots.
//!
//! Errors carry no numbers: each is returned in one register, which makes all of the device's code smaller. What they would
//! tell stands in the manifest and in what the device knows of itself.

use core::convert::Infallible;
use core::fmt;

use embedded_storage::nor_flash::NorFlashErrorKind;
use whittle_delta::DecodeError;
use whittle_format::FormatError;
use whittle_format::manifest::Codec;

#[cfg(feature = "async")]
use crate::turn::Interrupted;
use crate::{DocumentError, LifeError};

/// A flash access that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FlashError {
    /// The base slot cannot be read.
    Base(NorFlashErrorKind),
    /// The staging region cannot be read.
    Staging(NorFlashErrorKind),
    /// The journal cannot be written.
    Journal,
    /// The region for the decoder's state cannot be used, is too small, or reads back differently.
    State,
    /// The target slot cannot be read, erased or written.
    Target(NorFlashErrorKind),
    /// The target slot reads back differently from what was written.
    ReadBack,
    /// The flash reads in units that do not divide 64 bytes and the write size, or writes in units that do not divide 256.
    ReadSize,
    /// The caller's page buffer is empty or no multiple of the write size.
    PageBuffer,
}

/// Who must act on an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Culprit {
    /// The firmware that calls this crate: a buffer or a call order.
    Caller,
    /// Whoever made or delivered the package: fetch it again, or fetch another one.
    Package,
    /// The flash.
    Hardware,
}

/// Why a package was not installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PatchError {
    /// The bytes do not begin with a signed envelope, or it is longer than a manifest can be.
    Envelope(FormatError),
    /// No trusted key has the key id of the envelope.
    UnknownKey,
    /// The signature is not one of the named key over these bytes.
    BadSignature,
    /// A trusted key signed it, but as many keys as the device wants have not approved the target.
    NotApproved,
    /// A trusted key signed something that is no manifest this version reads.
    Manifest(FormatError),
    /// The package is for another product.
    WrongProduct,
    /// The package is for other hardware revisions.
    WrongHardware,
    /// The package is older than what the device may run.
    CounterTooLow,
    /// The target does not fit into the slot.
    TargetTooLarge,
    /// The decoder needs more RAM than the device has for it.
    DecoderRam,
    /// This build has no decoder for the codec.
    UnsupportedCodec {
        /// The codec.
        codec: Codec,
    },
    /// The block buffer is smaller than the package's blocks.
    BlockBuffer,
    /// The device does not run the image that the delta was made from.
    BaseMismatch,
    /// A block is not the one that was signed.
    BlockMismatch,
    /// An authentic payload cannot be decoded: the package was built wrongly.
    Payload(DecodeError<FlashError>),
    /// A flash access failed.
    Flash(FlashError),
    /// The finished image is not the one that was signed, although every page read back as it was written: the
    /// package was built wrongly.
    ImageMismatch,
    /// A bank of the region for the decoder's state is too small, during an installation in place.
    StateRoom,
    /// The bytes ended before the package did.
    Truncated,
    /// Bytes follow the package where exactly one was wanted.
    TrailingBytes,
    /// A future of the patcher was dropped before it ended: begin anew.
    #[cfg(feature = "async")]
    Interrupted,
}

impl PatchError {
    /// Who must act. Tables that are lent too small for a package count as the package's: another one may do with them.
    #[must_use]
    pub fn culprit(&self) -> Culprit {
        match self {
            #[cfg(feature = "async")]
            Self::Interrupted => Culprit::Caller,
            Self::BlockBuffer
            | Self::StateRoom
            | Self::Flash(FlashError::PageBuffer | FlashError::ReadSize) => Culprit::Caller,
            Self::Flash(_) | Self::Payload(DecodeError::Images(_)) => Culprit::Hardware,
            _ => Culprit::Package,
        }
    }

    /// Whether the image that was running still boots: a patcher never writes to it, so it does. An installation in place
    /// does write to it, and is not asked.
    #[must_use]
    pub fn old_image_boots(&self) -> bool {
        true
    }
}

impl fmt::Display for FlashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base(kind) => write!(f, "base slot: {kind}"),
            Self::Staging(kind) => write!(f, "staging region: {kind}"),
            Self::Journal => f.write_str("the journal cannot be written"),
            Self::State => {
                f.write_str("the decoder's state cannot be kept, or is not what was kept")
            }
            Self::Target(kind) => write!(f, "target slot: {kind}"),
            Self::ReadBack => f.write_str("target slot reads back differently"),
            Self::ReadSize => f.write_str("flash with an unsupported read size"),
            Self::PageBuffer => f.write_str("page buffer does not suit the flash's write size"),
        }
    }
}

impl fmt::Display for PatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Envelope(cause) | Self::Manifest(cause) => {
                write!(f, "package is not readable: {cause}")
            }
            Self::UnknownKey => f.write_str("package is signed by an unknown key"),
            Self::BadSignature => f.write_str("the signature does not match the manifest"),
            Self::NotApproved => f.write_str("too few keys have approved the target"),
            Self::WrongProduct => f.write_str("package is for another product"),
            Self::WrongHardware => f.write_str("package is for other hardware revisions"),
            Self::CounterTooLow => {
                f.write_str("package has a lower security counter than the device requires")
            }
            Self::TargetTooLarge => f.write_str("image does not fit the slot"),
            Self::DecoderRam => f.write_str("decoder needs more RAM than the device has"),
            Self::UnsupportedCodec { codec } => {
                write!(f, "no decoder for the codec `{}`", codec.name())
            }
            Self::BlockBuffer => f.write_str("block buffer is smaller than the blocks"),
            Self::BaseMismatch => f.write_str("package expects another base"),
            Self::BlockMismatch => f.write_str("a block is not the one that was signed"),
            Self::Payload(cause) => write!(f, "payload cannot be decoded: {cause}"),
            Self::Flash(cause) => cause.fmt(f),
            Self::ImageMismatch => f.write_str("the finished image is not the one that was signed"),
            Self::StateRoom => f.write_str("the decoder's state does not fit a bank for it"),
            Self::Truncated => f.write_str("the package is incomplete"),
            Self::TrailingBytes => f.write_str("bytes follow the package"),
            #[cfg(feature = "async")]
            Self::Interrupted => f.write_str("a call before this one was dropped before it ended"),
        }
    }
}

impl From<DecodeError<FlashError>> for PatchError {
    /// Tells failures of the flash from those of the payload.
    fn from(error: DecodeError<FlashError>) -> Self {
        match error {
            DecodeError::Images(cause) => Self::Flash(cause),
            cause => Self::Payload(cause),
        }
    }
}

impl core::error::Error for FlashError {}
impl core::error::Error for PatchError {}

/// Why the journal could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum JournalError {
    /// The region cannot be read, erased or written.
    Flash(NorFlashErrorKind),
    /// The region reads back differently from what was written.
    ReadBack,
    /// The records do not fit into a bank, which is half of the region.
    Full,
    /// The region is no even number of sectors, its write size does not divide 256, or its read size does not divide that and 64.
    Geometry,
    /// The caller's buffer is shorter than the record.
    BufferTooSmall,
    /// The payload is longer than a record can be.
    TooLong,
    /// A future that wrote was dropped before it ended, as if power had failed: open the journal again.
    #[cfg(feature = "async")]
    Interrupted,
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(kind) => write!(f, "journal: {kind}"),
            Self::ReadBack => f.write_str("journal reads back differently"),
            Self::Full => f.write_str("records do not fit into a journal bank"),
            Self::Geometry => f.write_str("journal region is not two banks of whole sectors"),
            Self::BufferTooSmall => f.write_str("record does not fit the buffer"),
            Self::TooLong => f.write_str("record is too long"),
            #[cfg(feature = "async")]
            Self::Interrupted => f.write_str("a call before this one was dropped before it ended"),
        }
    }
}

impl core::error::Error for JournalError {}

/// Why the staging region could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StagingError {
    /// The region cannot be read, erased or written.
    Flash(NorFlashErrorKind),
    /// The region reads back differently from what was written.
    ReadBack,
    /// The region has no room for what comes next.
    Full,
    /// The write size does not divide 256, or the read size does not divide that and 64.
    Geometry,
}

impl fmt::Display for StagingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(kind) => write!(f, "staging region: {kind}"),
            Self::ReadBack => f.write_str("staging region reads back differently"),
            Self::Full => f.write_str("staging region is too small"),
            Self::Geometry => f.write_str("staging region has an unsupported read or write size"),
        }
    }
}

impl core::error::Error for StagingError {}

impl From<FlashError> for StagingError {
    fn from(error: FlashError) -> Self {
        match error {
            FlashError::ReadBack => Self::ReadBack,
            FlashError::Base(kind) | FlashError::Staging(kind) | FlashError::Target(kind) => {
                Self::Flash(kind)
            }
            FlashError::ReadSize
            | FlashError::PageBuffer
            | FlashError::Journal
            | FlashError::State => Self::Geometry,
        }
    }
}

/// Why a step of an update failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(align(4))]
pub enum UpdateError {
    /// The journal cannot be read or written.
    Journal(JournalError),
    /// The journal holds a record that this version does not read.
    Record(FormatError),
    /// The step does not fit where the device stands.
    Life(LifeError),
    /// The staging region cannot be used.
    Staging(StagingError),
    /// The package was refused, or could not be applied.
    Patch(PatchError),
    /// The document was refused.
    Document(DocumentError),
}

const _: () = assert!(size_of::<UpdateError>() <= 4, "errors are returned in one register");

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(cause) => cause.fmt(f),
            Self::Record(cause) => write!(f, "journal holds an unknown record: {cause}"),
            Self::Life(cause) => cause.fmt(f),
            Self::Staging(cause) => cause.fmt(f),
            Self::Patch(cause) => cause.fmt(f),
            Self::Document(cause) => cause.fmt(f),
        }
    }
}

impl core::error::Error for UpdateError {}

macro_rules! from {
    ($($variant:ident($cause:ty)),*) => {$(
        impl From<$cause> for UpdateError {
            fn from(cause: $cause) -> Self {
                Self::$variant(cause)
            }
        }
    )*};
}
from!(
    Journal(JournalError),
    Life(LifeError),
    Staging(StagingError),
    Patch(PatchError),
    Document(DocumentError)
);

/// Blocking calls cannot be dropped, so what asks for it is one source with the async ones.
macro_rules! from_turn {
    ($($error:ident),*) => {$(
        impl From<Infallible> for $error {
            fn from(never: Infallible) -> Self {
                match never {}
            }
        }

        #[cfg(feature = "async")]
        impl From<Interrupted> for $error {
            fn from(_: Interrupted) -> Self {
                Self::Interrupted
            }
        }
    )*};
}
from_turn!(JournalError, PatchError);
