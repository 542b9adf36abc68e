//! The envelope (draft-ietf-suit-manifest-33, sections 8.2 and 8.3): a manifest, who signed it, and what may stand beside it.

use coset::cbor::Value;
use whittle_patcher_nostd::Verifier;
use whittle_release::keys::{Keyring, Signer};

use super::cbor::{self, Fields};
use super::labels::{ENVELOPE_TAG, envelope as label, manifest};
use super::manifest::{Manifest, Member, Severed};
use super::signature::{Algorithm, Signature};
use crate::{Error, ParseError, Result};

const ENVELOPE: &str = "the envelope";
const AUTHENTICATION: &str = "the authentication";
const MANIFEST: &str = "the manifest";

/// Larger envelopes are not read.
pub const MAX_ENVELOPE_BYTES: usize = 4 << 20;

/// A signed manifest: untrusted until it is a [`VerifiedEnvelope`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What is signed.
    pub manifest: Manifest,
    /// Who is said to have signed it.
    pub signatures: Vec<Signature>,
}

impl Envelope {
    /// Signs a manifest.
    ///
    /// # Errors
    /// What the signer returns.
    pub fn sign(manifest: Manifest, algorithm: Algorithm, signer: &dyn Signer) -> Result<Self> {
        let unsigned = Self { manifest, signatures: Vec::new() };
        let signature = Signature::sign(algorithm, &unsigned.signed_bytes(), signer)?;
        Ok(Self { signatures: vec![signature], ..unsigned })
    }

    /// What signatures are over: the SUIT_Digest of the manifest.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let (manifest, _) = self.manifest.emit();
        cbor::emit(cbor::digest(&cbor::digest_of(&manifest)))
    }

    /// The same without what only people read; the signatures still fit.
    #[must_use]
    pub fn without_text(self) -> Self {
        let text = self.manifest.text.map(Member::sever);
        Self { manifest: Manifest { text, ..self.manifest }, ..self }
    }

    /// The bytes of the envelope.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let (manifest, beside) = self.manifest.emit();
        let digest = Value::Bytes(self.signed_bytes());
        let signatures = self.signatures.iter().map(|one| Value::Bytes(one.emit()));
        let authentication = Value::Array(std::iter::once(digest).chain(signatures).collect());
        let front =
            [(label::AUTHENTICATION, cbor::emit(authentication)), (label::MANIFEST, manifest)];
        let members = front.into_iter().chain(beside);
        let members = members.map(|(label, bytes)| (label.into(), Value::Bytes(bytes)));
        cbor::emit(Value::Tag(ENVELOPE_TAG, Box::new(Value::Map(members.collect()))))
    }

    /// Parses an envelope; nothing in it is to be acted on before it is verified.
    ///
    /// # Errors
    /// [`ParseError`] for anything that [`Self::emit`] does not emit, and for digests that do not fit.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.len() > MAX_ENVELOPE_BYTES {
            return Err(ParseError::TooLarge { got: bytes.len(), limit: MAX_ENVELOPE_BYTES });
        }
        let Value::Tag(ENVELOPE_TAG, map) = cbor::parse(ENVELOPE, bytes)? else {
            return Err(ParseError::Unexpected { what: ENVELOPE, wanted: "tag 107" });
        };
        let mut fields = Fields::of(ENVELOPE, *map)?;
        let authentication = fields.want_bytes(label::AUTHENTICATION)?;
        let manifest_bytes = fields.want_bytes(label::MANIFEST)?;
        let mut beside = Severed::new();
        for label in [manifest::PAYLOAD_FETCH, manifest::INSTALL, manifest::TEXT] {
            if let Some(value) = fields.take(label) {
                beside.insert(label, cbor::bytes(ENVELOPE, value)?);
            }
        }
        fields.finish()?;
        let signatures = parse_authentication(&authentication, &manifest_bytes)?;
        Ok(Self { manifest: Manifest::parse(&manifest_bytes, beside)?, signatures })
    }

    fn check_signatures(&self, keys: &Keyring) -> Result<()> {
        let message = self.signed_bytes();
        let mut is_named = false;
        for signature in &self.signatures {
            if keys
                .verify(&signature.key_id, &signature.message(&message), &signature.bytes)
                .is_ok()
            {
                return Ok(());
            }
            is_named |= keys.ids().any(|id| id == signature.key_id);
        }
        Err(if is_named { Error::BadSignature } else { Error::UnknownKey })
    }
}

/// Parses who signed; the digest must be that of the manifest.
fn parse_authentication(bytes: &[u8], manifest: &[u8]) -> Result<Vec<Signature>, ParseError> {
    let items = cbor::array(AUTHENTICATION, cbor::parse(AUTHENTICATION, bytes)?)?;
    let mut items = items.into_iter().map(|item| cbor::bytes(AUTHENTICATION, item));
    let missing = ParseError::Unexpected { what: AUTHENTICATION, wanted: "a digest" };
    let digest = items.next().ok_or(missing)??;
    let digest = cbor::parse_digest(AUTHENTICATION, cbor::parse(AUTHENTICATION, &digest)?)?;
    if digest != cbor::digest_of(manifest) {
        return Err(ParseError::DigestMismatch { what: MANIFEST });
    }
    items.map(|item| Signature::parse(&item?)).collect()
}

/// An envelope that a trusted key signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedEnvelope(Envelope);

impl VerifiedEnvelope {
    /// Parses an envelope and checks that one of these keys signed it.
    ///
    /// # Errors
    /// [`Error::Suit`], [`Error::UnknownKey`] or [`Error::BadSignature`].
    pub fn authenticate(bytes: &[u8], keys: &Keyring) -> Result<Self> {
        let envelope = Envelope::parse(bytes).map_err(Error::Suit)?;
        envelope.check_signatures(keys)?;
        Ok(Self(envelope))
    }

    /// What was signed.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }
}
