//! Whom a verification trusts.

use whittle_patcher_nostd::{TrustedKeys, Verifier, VerifyError, key_id};

use super::{KeyId, PublicKey, Signer};

/// The public keys that a verification trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring(pub Vec<PublicKey>);

impl Keyring {
    /// Trusts what this signer signs.
    #[must_use]
    pub fn of(signer: &dyn Signer) -> Self {
        Self(vec![signer.public_key()])
    }

    /// The ids of the keys.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.0.iter().map(key_id)
    }
}

impl Verifier for Keyring {
    fn verify(
        &self,
        key_id: &KeyId,
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), VerifyError> {
        TrustedKeys(&self.0).verify(key_id, message, signature)
    }
}
