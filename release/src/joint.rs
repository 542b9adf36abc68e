//! Documents that several keys sign, at different places and times: each adds its signature to what is there.

use whittle_format::envelope::SIGNATURE_LEN;
use whittle_format::joint::{self, ENTRY_LEN, JointEnvelope, OVERHEAD, Signature, TBS_OVERHEAD};
use whittle_patcher_nostd::{KeyId, key_id};

use crate::keys::Signer;
use crate::{Error, Result};

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
