//! Documents that a device keeps: whether a trusted key signed one, and why one is refused.

use core::fmt;

use whittle_format::envelope::Envelope;
use whittle_format::{FormatError, Number};

use crate::verify::{SignatureError, check_signature};
use crate::{ShortId, Verifier};

/// Why a flags document or a stage was refused; what the device had before still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DocumentError {
    /// The bytes are more than a document of this kind can have.
    TooLong {
        /// How many they are.
        got: Number,
    },
    /// The bytes are not exactly one signed envelope.
    Envelope(FormatError),
    /// No trusted key has the key id of the envelope.
    UnknownKey {
        /// The id that the envelope names, its front.
        key: ShortId,
    },
    /// The signature is not one of the named key over these bytes.
    BadSignature,
    /// A trusted key signed something that is no document of this kind, or none that this version reads.
    Document(FormatError),
    /// The document is for another product.
    WrongProduct,
    /// The flags document is older than the one that the device has.
    VersionTooLow {
        /// Version of the document.
        got: Number,
    },
    /// The stage comes before the one of the same rollout that the device has.
    StageTooLow {
        /// Number of the stage.
        got: Number,
    },
    /// The stage has a smaller share than the one of the same rollout that the device has.
    ShareTooLow {
        /// Parts per million of the stage.
        got: Number,
    },
    /// The stage has the seed of the rollout that the device has, but another target.
    TargetChanged,
}

impl DocumentError {
    /// Whether the signature is what is wrong: somebody made or changed the document who must not.
    #[must_use]
    pub fn is_about_the_key(&self) -> bool {
        matches!(self, Self::UnknownKey { .. } | Self::BadSignature)
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooLong { got } => write!(f, "document of {got} bytes is too long"),
            Self::Envelope(cause) | Self::Document(cause) => {
                write!(f, "document is not readable: {cause}")
            }
            Self::UnknownKey { key } => {
                write!(f, "document is signed by the unknown key {key}")
            }
            Self::BadSignature => f.write_str("the signature does not match the document"),
            Self::WrongProduct => f.write_str("document is for another product"),
            Self::VersionTooLow { got } => {
                write!(f, "document has version {got}, the device already has a later one")
            }
            Self::StageTooLow { got } => {
                write!(f, "stage {got} comes before the one that is already accepted")
            }
            Self::ShareTooLow { got } => {
                write!(f, "share of {got} ppm is below the one that is already accepted")
            }
            Self::TargetChanged => f.write_str("stage has another target than its rollout"),
        }
    }
}

impl core::error::Error for DocumentError {}

impl From<SignatureError> for DocumentError {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::Envelope(cause) => Self::Envelope(cause),
            SignatureError::UnknownKey { key } => Self::UnknownKey { key },
            SignatureError::BadSignature => Self::BadSignature,
        }
    }
}

/// Checks that the bytes are exactly one envelope of at most `LIMIT` bytes, and that a trusted key signed it.
pub(crate) fn authenticate_document<'a, const LIMIT: usize>(
    bytes: &'a [u8],
    verifier: &impl Verifier,
) -> Result<Envelope<'a>, DocumentError> {
    if bytes.len() > LIMIT {
        return Err(DocumentError::TooLong { got: bytes.len().into() });
    }
    let (envelope, rest) = Envelope::parse(bytes).map_err(DocumentError::Envelope)?;
    if !rest.is_empty() {
        return Err(DocumentError::Envelope(FormatError::TrailingBytes {
            extra: rest.len().into(),
        }));
    }
    // What is signed is shorter than its envelope, whatever the payload.
    let mut tbs = [0; LIMIT];
    check_signature(&envelope, verifier, &mut tbs)?;
    Ok(envelope)
}
