//! Documents that a device keeps: whether a trusted key signed one, and why one is refused.

use core::fmt;

use whittle_format::FormatError;
use whittle_format::envelope::Envelope;

use crate::Verifier;
use crate::verify::{KeyId, SignatureError, check_signature};

/// Why a flags document or a stage was refused; what the device had before still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DocumentError {
    /// The bytes are more than a document of this kind can have.
    TooLong {
        /// How many they are.
        got: usize,
        /// How many they may be.
        limit: usize,
    },
    /// The bytes are not exactly one signed envelope.
    Envelope(FormatError),
    /// No trusted key has the key id of the envelope.
    UnknownKey {
        /// The id that the envelope names.
        key_id: KeyId,
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
        got: u32,
        /// Version that the device has.
        stored: u32,
    },
    /// The stage comes before the one of the same rollout that the device has.
    StageTooLow {
        /// Number of the stage.
        got: u32,
        /// Number of the stage that the device has.
        accepted: u32,
    },
    /// The stage has a smaller share than the one of the same rollout that the device has.
    ShareTooLow {
        /// Parts per million of the stage.
        got: u32,
        /// Parts per million that the device has.
        accepted: u32,
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
            Self::TooLong { got, limit } => {
                write!(f, "document has {got} bytes, the limit is {limit}")
            }
            Self::Envelope(cause) | Self::Document(cause) => {
                write!(f, "document is not readable: {cause}")
            }
            Self::UnknownKey { key_id } => {
                let [a, b, c, d, ..] = key_id;
                write!(f, "document is signed by the unknown key {a:02x}{b:02x}{c:02x}{d:02x}")
            }
            Self::BadSignature => f.write_str("the signature does not match the document"),
            Self::WrongProduct => f.write_str("document is for another product"),
            Self::VersionTooLow { got, stored } => {
                write!(f, "document has version {got}, the device already has {stored}")
            }
            Self::StageTooLow { got, accepted } => {
                write!(f, "stage {got} comes before stage {accepted}, which is already accepted")
            }
            Self::ShareTooLow { got, accepted } => {
                write!(f, "share of {got} ppm is below the {accepted} ppm already accepted")
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
            SignatureError::UnknownKey { key_id } => Self::UnknownKey { key_id },
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
        return Err(DocumentError::TooLong { got: bytes.len(), limit: LIMIT });
    }
    let (envelope, rest) = Envelope::parse(bytes).map_err(DocumentError::Envelope)?;
    if !rest.is_empty() {
        return Err(DocumentError::Envelope(FormatError::TrailingBytes { extra: rest.len() }));
    }
    // What is signed is shorter than its envelope, whatever the payload.
    let mut tbs = [0; LIMIT];
    check_signature(&envelope, verifier, &mut tbs)?;
    Ok(envelope)
}
