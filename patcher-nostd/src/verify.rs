//! Signatures: the only place where bytes become trusted.

use core::ops::Deref;

use sha2::{Digest as _, Sha256};
use whittle_format::envelope::{Envelope, SIGNATURE_LEN, TBS_OVERHEAD};
use whittle_format::{Digest, FormatError, Manifest, manifest};

use crate::PatchError;
pub use whittle_format::envelope::KeyId;

/// What a signature is checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Purpose {
    /// Something new is to be taken in.
    Arriving,
    /// What is installed, and was never committed, is to boot for the first time.
    Starting,
    /// What was committed is to boot.
    Installed,
}

/// Checks signatures, in software or by the crypto that the chip has.
pub trait Verifier {
    /// Checks an Ed25519 signature over `message` by the key with this id.
    ///
    /// An implementation must reject what `ed25519-dalek`'s `verify_strict` rejects: small-order keys and
    /// non-canonical encodings.
    ///
    /// # Errors
    /// [`VerifyError`].
    fn verify(
        &self,
        key_id: &KeyId,
        message: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), VerifyError>;

    /// The same where it may matter what for; unless implemented, it does not.
    ///
    /// # Errors
    /// [`VerifyError`].
    #[inline]
    fn verify_for(
        &self,
        _purpose: Purpose,
        key_id: &KeyId,
        message: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), VerifyError> {
        self.verify(key_id, message, signature)
    }
}

impl<V: Verifier> Verifier for &V {
    fn verify(
        &self,
        key_id: &KeyId,
        message: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), VerifyError> {
        (*self).verify(key_id, message, signature)
    }

    #[inline]
    fn verify_for(
        &self,
        purpose: Purpose,
        key_id: &KeyId,
        message: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), VerifyError> {
        (*self).verify_for(purpose, key_id, message, signature)
    }
}

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum VerifyError {
    /// No trusted key has this id.
    UnknownKey,
    /// The key with this id did not sign these bytes.
    BadSignature,
    /// The signature is good, but more keys must approve the target, and have not.
    NotApproved,
}

/// A raw Ed25519 public key.
pub type PublicKey = [u8; 32];

/// The id of a public key: the first 8 bytes of its SHA-256.
#[must_use]
pub fn key_id(public_key: &PublicKey) -> KeyId {
    let digest: Digest = Sha256::digest(public_key).into();
    digest.first_chunk().copied().unwrap_or_default()
}

/// The keys that a device trusts, checked with ed25519-dalek.
#[cfg(feature = "ed25519")]
#[derive(Clone, Copy, Debug)]
pub struct TrustedKeys<'a>(pub &'a [PublicKey]);

#[cfg(feature = "ed25519")]
impl Verifier for TrustedKeys<'_> {
    fn verify(
        &self,
        id: &KeyId,
        message: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), VerifyError> {
        let key = self.0.iter().find(|key| key_id(key) == *id).ok_or(VerifyError::UnknownKey)?;
        verify_ed25519(key, message, signature)
    }
}

/// Checks a signature with ed25519-dalek.
#[cfg(feature = "ed25519")]
#[inline]
pub(crate) fn verify_ed25519(
    key: &PublicKey,
    message: &[u8],
    signature: &[u8; SIGNATURE_LEN],
) -> Result<(), VerifyError> {
    let bad = |_| VerifyError::BadSignature;
    let key = ed25519_dalek::VerifyingKey::from_bytes(key).map_err(bad)?;
    key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).map_err(bad)
}

/// A manifest that a trusted key signed; there is no other way to make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct VerifiedManifest(Manifest);

impl Deref for VerifiedManifest {
    type Target = Manifest;
    fn deref(&self) -> &Manifest {
        &self.0
    }
}

/// Checks the signature of a complete envelope, and only then parses what it signs.
pub(crate) fn verify_manifest(
    bytes: &[u8],
    purpose: Purpose,
    verifier: &impl Verifier,
) -> Result<VerifiedManifest, PatchError> {
    let (envelope, _) = Envelope::parse(bytes).map_err(PatchError::Envelope)?;
    let mut tbs = [0; manifest::MAX_LEN + TBS_OVERHEAD];
    check_signature(&envelope, purpose, verifier, &mut tbs).map_err(|error| match error {
        SignatureError::Envelope(cause) => PatchError::Envelope(cause),
        SignatureError::UnknownKey => PatchError::UnknownKey,
        SignatureError::BadSignature => PatchError::BadSignature,
        SignatureError::NotApproved => PatchError::NotApproved,
    })?;
    Manifest::parse(envelope.payload).map(VerifiedManifest).map_err(PatchError::Manifest)
}

/// Why an envelope does not count, whatever it signs.
pub(crate) enum SignatureError {
    Envelope(FormatError),
    UnknownKey,
    BadSignature,
    NotApproved,
}

/// Checks the signature of an envelope; `tbs` must have room for the payload and [`TBS_OVERHEAD`] more.
pub(crate) fn check_signature(
    envelope: &Envelope<'_>,
    purpose: Purpose,
    verifier: &impl Verifier,
    tbs: &mut [u8],
) -> Result<(), SignatureError> {
    let key_id = envelope.key_id;
    let len = envelope.tbs(tbs).map_err(SignatureError::Envelope)?;
    let message = tbs.get(..len).unwrap_or_default();
    let verified = verifier.verify_for(purpose, &key_id, message, envelope.signature);
    verified.map_err(|error| match error {
        VerifyError::UnknownKey => SignatureError::UnknownKey,
        VerifyError::BadSignature => SignatureError::BadSignature,
        VerifyError::NotApproved => SignatureError::NotApproved,
    })
}

/// The hash of all that a hasher was given.
#[inline(never)]
pub(crate) fn finish(hasher: Sha256) -> Digest {
    hasher.finalize().into()
}

#[cfg(all(test, feature = "ed25519"))]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"what is to be signed";

    /// The order of Ed25519's group, little-endian.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];

    fn verify(key: &PublicKey, signature: &[u8; SIGNATURE_LEN]) -> Result<(), VerifyError> {
        TrustedKeys(&[*key]).verify(&key_id(key), MESSAGE, signature)
    }

    #[test]
    fn a_key_that_signs_anything_signs_nothing() {
        let neutral = {
            let mut point = [0; 32];
            point[0] = 1;
            point
        };
        // The equation of a signature holds for this one, whatever the message is.
        let mut signature = [0; SIGNATURE_LEN];
        signature[..32].copy_from_slice(&neutral);
        assert_eq!(verify(&neutral, &signature), Err(VerifyError::BadSignature));
    }

    #[test]
    fn a_message_has_one_signature() {
        use ed25519_dalek::Signer as _;
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key().to_bytes();
        let good = key.sign(MESSAGE).to_bytes();
        assert_eq!(verify(&public, &good), Ok(()));
        // The scalar plus the group's order is the same scalar to who does not look.
        let mut second = good;
        let mut carry = 0u16;
        for (at, byte) in second[32..].iter_mut().enumerate() {
            let sum = u16::from(*byte) + u16::from(ORDER[at]) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert_ne!(second, good);
        assert_eq!(verify(&public, &second), Err(VerifyError::BadSignature));
    }
}
