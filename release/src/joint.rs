//! Documents that several keys sign, at different places and times: each adds its signature to what is there.

use whittle_format::envelope::SIGNATURE_LEN;
use whittle_format::joint::{self, ENTRY_LEN, JointEnvelope, OVERHEAD, Signature, TBS_OVERHEAD};
use whittle_patcher_nostd::{KeyId, key_id};

use crate::keys::{PublicKey, Signer, check_signature};
use crate::{Error, Result};

/// Bytes of the envelope around a payload of this length, with this many signatures.
pub(crate) fn envelope_len(payload: usize, signatures: usize) -> usize {
    let saved = match payload {
        0..=23 => 2,
        24..=255 => 1,
        _ => 0,
    };
    OVERHEAD - saved + payload + signatures * ENTRY_LEN
}

/// A payload and the signatures that it has so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Joint {
    pub(crate) payload: Vec<u8>,
    signatures: Vec<Signature>,
}

impl Joint {
    pub(crate) fn new(payload: Vec<u8>) -> Self {
        Self { payload, signatures: Vec::new() }
    }

    /// Parses an envelope and returns what follows it; `what` names it in errors.
    pub(crate) fn parse<'a>(what: &str, bytes: &'a [u8]) -> Result<(Self, &'a [u8])> {
        let (envelope, rest) = JointEnvelope::parse(bytes).map_err(Error::format(what))?;
        let signatures = envelope.signatures().map(|(id, signature)| (id, *signature)).collect();
        Ok((Self { payload: envelope.payload.to_vec(), signatures }, rest))
    }

    /// Adds a signature, or replaces the one that this key has made.
    pub(crate) fn sign(&mut self, signer: &dyn Signer) -> Result<()> {
        let id = key_id(&signer.public_key());
        let mut tbs = vec![0; self.payload.len() + TBS_OVERHEAD];
        let len = joint::tbs(&id, &self.payload, &mut tbs)
            .map_err(Error::format("what is to be signed"))?;
        let signature: [u8; SIGNATURE_LEN] = signer.sign(&tbs[..len])?;
        self.signatures.retain(|(signed, _)| *signed != id);
        self.signatures.push((id, signature));
        self.signatures.sort_by_key(|(id, _)| *id);
        Ok(())
    }

    /// Whether what this key is said to have signed is its signature; also if it has not signed.
    pub(crate) fn is_whole(&self, key: &PublicKey) -> Result<bool> {
        let id = key_id(key);
        let found = self.signatures.iter().find(|(signed, _)| *signed == id);
        let Some((_, signature)) = found else { return Ok(true) };
        let mut tbs = vec![0; self.payload.len() + TBS_OVERHEAD];
        let len = joint::tbs(&id, &self.payload, &mut tbs)
            .map_err(Error::format("what is said to be signed"))?;
        Ok(check_signature(key, &tbs[..len], signature))
    }

    /// Bytes of the envelope with this many signatures.
    pub(crate) fn len_with(&self, signatures: usize) -> usize {
        envelope_len(self.payload.len(), signatures)
    }

    /// Who is said to have signed.
    pub(crate) fn signers(&self) -> impl Iterator<Item = KeyId> {
        self.signatures.iter().map(|(id, _)| *id)
    }

    /// The envelope.
    pub(crate) fn emit(&self) -> Result<Vec<u8>> {
        let room = self.payload.len() + OVERHEAD + self.signatures.len() * ENTRY_LEN;
        let mut bytes = vec![0; room];
        let len = joint::emit(&self.payload, &self.signatures, &mut bytes)
            .map_err(Error::format("the envelope"))?;
        bytes.truncate(len);
        Ok(bytes)
    }
}
