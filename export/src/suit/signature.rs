//! A signature of the manifest: a COSE_Sign1 (RFC 9052) whose payload, the digest of the manifest, stands elsewhere.

use coset::iana::{self, EnumI64};
use coset::{CoseSign1, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable};
use whittle_patcher_nostd::{KeyId, key_id};
use whittle_release::keys::Signer;

use crate::{ParseError, Result};

const SIGNATURE: &str = "the signature";
const SIGNATURE_LEN: usize = 64;

/// What the signature is called; it is Ed25519's either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// EdDSA, -8, with Ed25519 following from the key (RFC 9053): what libraries know.
    #[default]
    EdDsa,
    /// Ed25519, -19, as RFC 9864 wants it said from now on.
    Ed25519,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// What it is called.
    pub algorithm: Algorithm,
    /// Who is said to have signed.
    pub key_id: KeyId,
    /// The signature itself.
    pub bytes: [u8; SIGNATURE_LEN],
}

impl Signature {
    /// Signs a payload that is not part of it.
    pub(super) fn sign(algorithm: Algorithm, payload: &[u8], signer: &dyn Signer) -> Result<Self> {
        let key_id = key_id(&signer.public_key());
        let unsigned = Self { algorithm, key_id, bytes: [0; SIGNATURE_LEN] };
        let bytes = signer.sign(&unsigned.message(payload))?;
        Ok(Self { bytes, ..unsigned })
    }

    /// What is signed: the `Sig_structure` of RFC 9052, section 4.4.
    pub(super) fn message(&self, payload: &[u8]) -> Vec<u8> {
        self.cose().tbs_detached_data(payload, b"")
    }

    pub(super) fn emit(&self) -> Vec<u8> {
        // Writing to memory does not fail.
        self.cose().to_tagged_vec().unwrap_or_default()
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let wrong = |wanted| ParseError::Unexpected { what: SIGNATURE, wanted };
        let cose = CoseSign1::from_tagged_slice(bytes).map_err(|_| wrong("a COSE_Sign1"))?;
        let header = &cose.protected.header;
        let all = [Algorithm::EdDsa, Algorithm::Ed25519];
        let is_meant = |algorithm: &Algorithm| header.alg == Some(algorithm.cose().into());
        let parsed = Self {
            algorithm: all.into_iter().find(is_meant).ok_or(wrong("EdDSA or Ed25519"))?,
            key_id: header
                .key_id
                .as_slice()
                .try_into()
                .map_err(|_| wrong("a key id of 8 bytes"))?,
            bytes: cose.signature.as_slice().try_into().map_err(|_| wrong("64 bytes"))?,
        };
        // Other headers, a payload, other bytes for the same.
        if parsed.emit() == bytes { Ok(parsed) } else { Err(wrong("our shape of a COSE_Sign1")) }
    }

    fn cose(&self) -> CoseSign1 {
        let header =
            HeaderBuilder::new().algorithm(self.algorithm.cose()).key_id(self.key_id.to_vec());
        CoseSign1Builder::new().protected(header.build()).signature(self.bytes.to_vec()).build()
    }
}

impl Algorithm {
    fn cose(self) -> iana::Algorithm {
        match self {
            Self::EdDsa => iana::Algorithm::EdDSA,
            Self::Ed25519 => iana::Algorithm::Ed25519,
        }
    }

    /// Its number in COSE's registry.
    #[must_use]
    pub fn number(self) -> i64 {
        self.cose().to_i64()
    }
}
