//! The envelope of DSSE version 1.0.2: a payload, its type, and signatures over both.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use serde::{Deserialize, Serialize};
use whittle_patcher_nostd::{Verifier, key_id};
use whittle_release::image::{from_hex, hex};
use whittle_release::keys::{Keyring, Signer};

use crate::{Error, ParseError, Result};

const ENVELOPE: &str = "the DSSE envelope";

/// Larger envelopes are not read.
pub const MAX_DSSE_BYTES: usize = 4 << 20;

/// Envelopes with more signatures are not read: each may be tried with every key.
const MAX_SIGNATURES: usize = 64;

/// A signed payload: untrusted until [`Self::verified_payload`] hands it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DsseEnvelope {
    payload_type: String,
    payload: Vec<u8>,
    signatures: Vec<DsseSignature>,
}

/// Who is said to have signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DsseSignature {
    /// Which key: an id of ours in hexadecimal digits, if it is of ours. DSSE takes it for a hint.
    pub key_id: String,
    /// The signature.
    pub bytes: Vec<u8>,
}

/// The envelope as JSON; further fields are nobody's concern, as DSSE wants it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    payload_type: String,
    payload: String,
    signatures: Vec<JsonSignature>,
}

#[derive(Serialize, Deserialize)]
struct JsonSignature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

impl DsseEnvelope {
    /// Signs a payload of a type.
    ///
    /// # Errors
    /// What the signer returns.
    pub fn sign(payload_type: &str, payload: Vec<u8>, signer: &dyn Signer) -> Result<Self> {
        let bytes = signer.sign(&pre_authentication(payload_type, &payload))?.to_vec();
        let key_id = hex(&key_id(&signer.public_key()));
        let signatures = vec![DsseSignature { key_id, bytes }];
        Ok(Self { payload_type: payload_type.to_owned(), payload, signatures })
    }

    /// The envelope as JSON on one line.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let signatures = self.signatures.iter().map(|signature| JsonSignature {
            keyid: signature.key_id.clone(),
            sig: BASE64_STANDARD.encode(&signature.bytes),
        });
        let json = Json {
            payload_type: self.payload_type.clone(),
            payload: BASE64_STANDARD.encode(&self.payload),
            signatures: signatures.collect(),
        };
        // Strings are always JSON.
        serde_json::to_vec(&json).unwrap_or_default()
    }

    /// Parses an envelope; base64 may be of either alphabet.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.len() > MAX_DSSE_BYTES {
            return Err(ParseError::TooLarge { got: bytes.len(), limit: MAX_DSSE_BYTES });
        }
        let json: Json = serde_json::from_slice(bytes)
            .map_err(|error| ParseError::NotJson { what: ENVELOPE, why: error.to_string() })?;
        if json.signatures.len() > MAX_SIGNATURES {
            return Err(ParseError::Unexpected { what: ENVELOPE, wanted: "at most 64 signatures" });
        }
        let signature = |signature: JsonSignature| {
            Ok(DsseSignature { key_id: signature.keyid, bytes: decode(&signature.sig)? })
        };
        Ok(Self {
            payload_type: json.payload_type,
            payload: decode(&json.payload)?,
            signatures: json.signatures.into_iter().map(signature).collect::<Result<_, _>>()?,
        })
    }

    /// The payload, if it is of this type and one of these keys signed it, whichever the envelope names.
    ///
    /// # Errors
    /// [`Error::Statement`] for another type, [`Error::UnknownKey`] or [`Error::BadSignature`].
    pub fn verified_payload(&self, payload_type: &str, keys: &Keyring) -> Result<&[u8]> {
        if self.payload_type != payload_type {
            let wanted = "the type of an in-toto statement";
            return Err(Error::Statement(ParseError::Unexpected { what: ENVELOPE, wanted }));
        }
        let message = pre_authentication(&self.payload_type, &self.payload);
        let mut is_named = false;
        for signature in &self.signatures {
            let id = from_hex(&signature.key_id);
            let named = keys.ids().find(|known| Some(*known) == id);
            is_named |= named.is_some();
            let Ok(bytes) = signature.bytes.as_slice().try_into() else { continue };
            // A key's id is a hint: what names none that is trusted may be of any.
            let mut tried = keys.ids().filter(|known| named.is_none_or(|named| named == *known));
            if tried.any(|id| keys.verify(&id, &message, bytes).is_ok()) {
                return Ok(&self.payload);
            }
        }
        Err(if is_named { Error::BadSignature } else { Error::UnknownKey })
    }
}

/// What is signed: DSSE's "pre-authentication encoding", which says where each part ends.
#[must_use]
pub fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

fn decode(text: &str) -> Result<Vec<u8>, ParseError> {
    let decoded = BASE64_STANDARD.decode(text).or_else(|_| BASE64_URL_SAFE.decode(text));
    decoded.map_err(|_| ParseError::Unexpected { what: ENVELOPE, wanted: "base64" })
}
