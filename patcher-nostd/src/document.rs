//! Documents that a device keeps: whether a trusted key signed one, and why one is refused.

use core::fmt;

use whittle_format::FormatError;
use whittle_format::envelope::Envelope;

use crate::Verifier;
use crate::verify::{Purpose, SignatureError, check_signature};

/// Why a document was refused; what the device had before still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DocumentError {
    /// The bytes are more than a document of this kind can have.
    TooLong,
    /// The bytes are not exactly one signed envelope.
    Envelope(FormatError),
    /// No trusted key has the key id of the envelope.
    UnknownKey,
    /// The signature is not one of the named key over these bytes.
    BadSignature,
    /// A trusted key signed something that is no document of this kind, or none that this version reads.
    Document(FormatError),
    /// Fewer keys signed than must.
    TooFewSignatures,
    /// The document is for another product.
    WrongProduct,
    /// The flags or the keys are older than those that the device has.
    VersionTooLow,
    /// The stage comes before the one of the same rollout that the device has.
    StageTooLow,
    /// The stage has a smaller share than the one of the same rollout that the device has.
    ShareTooLow,
    /// The stage has the seed of the rollout that the device has, but another target.
    TargetChanged,
    /// The keys do not follow those that the device has: others may sign them, or another document has their version.
    OtherKeys,
    /// A document of keys trusts a key that is revoked, or leaves out that it is.
    RevokedKey,
    /// By these keys the image that the device runs would not boot any more.
    ImageNotTrusted,
}

impl DocumentError {
    /// Whether the signature is what is wrong: somebody made or changed the document who must not.
    #[must_use]
    pub fn is_about_the_key(&self) -> bool {
        matches!(self, Self::UnknownKey | Self::BadSignature | Self::TooFewSignatures)
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooLong => f.write_str("document is too long"),
            Self::Envelope(cause) | Self::Document(cause) => {
                write!(f, "document is not readable: {cause}")
            }
            Self::UnknownKey => f.write_str("document is signed by an unknown key"),
            Self::BadSignature => f.write_str("the signature does not match the document"),
            Self::TooFewSignatures => f.write_str("document is signed by too few keys"),
            Self::WrongProduct => f.write_str("document is for another product"),
            Self::VersionTooLow => f.write_str("the device already has a later document"),
            Self::StageTooLow => f.write_str("stage comes before the one already accepted"),
            Self::ShareTooLow => f.write_str("share is below the one already accepted"),
            Self::TargetChanged => f.write_str("stage has another target than its rollout"),
            Self::OtherKeys => f.write_str("the keys do not follow those that the device has"),
            Self::RevokedKey => f.write_str("a key that is revoked stays so"),
            Self::ImageNotTrusted => {
                f.write_str("by these keys the image that runs would not boot any more")
            }
        }
    }
}

impl core::error::Error for DocumentError {}

impl From<SignatureError> for DocumentError {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::Envelope(cause) => Self::Envelope(cause),
            SignatureError::UnknownKey => Self::UnknownKey,
            SignatureError::BadSignature => Self::BadSignature,
            SignatureError::NotApproved => Self::TooFewSignatures,
        }
    }
}

/// Checks that the bytes are exactly one envelope of at most `LIMIT` bytes, and that a trusted key signed it.
pub(crate) fn authenticate_document<'a, const LIMIT: usize>(
    bytes: &'a [u8],
    verifier: &impl Verifier,
) -> Result<Envelope<'a>, DocumentError> {
    if bytes.len() > LIMIT {
        return Err(DocumentError::TooLong);
    }
    let (envelope, rest) = Envelope::parse(bytes).map_err(DocumentError::Envelope)?;
    if !rest.is_empty() {
        return Err(DocumentError::Envelope(FormatError::TrailingBytes));
    }
    // What is signed is shorter than its envelope, whatever the payload.
    let mut tbs = [0; LIMIT];
    check_signature(&envelope, Purpose::Arriving, verifier, &mut tbs)?;
    Ok(envelope)
}
