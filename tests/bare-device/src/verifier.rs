//! Who is trusted: a chip that checks signatures itself, or ed25519-dalek.

#[cfg(feature = "ed25519")]
mod checker {
    pub type Checker = whittle_patcher_nostd::TrustedKeys<'static>;
    pub const VERIFIER: Checker = whittle_patcher_nostd::TrustedKeys(&[[7; 32]]);
}

#[cfg(not(feature = "ed25519"))]
mod checker {
    use whittle_patcher_nostd::{KeyId, Verifier, VerifyError};

    use crate::board::{input, output};

    /// Hands everything to the chip.
    #[derive(Clone, Copy)]
    pub struct Checker;

    pub const VERIFIER: Checker = Checker;

    impl Verifier for Checker {
        fn verify(
            &self,
            key_id: &KeyId,
            message: &[u8],
            signature: &[u8; 64],
        ) -> Result<(), VerifyError> {
            for bytes in [&key_id[..], message, signature] {
                output(bytes.as_ptr().addr() as u32);
                output(bytes.len() as u32);
            }
            if input() == 0 { Ok(()) } else { Err(VerifyError::BadSignature) }
        }
    }

    #[cfg(feature = "key-documents")]
    impl whittle_patcher_nostd::KeyChecker for Checker {
        fn check(
            &self,
            key: &[u8; 32],
            message: &[u8],
            signature: &[u8; 64],
        ) -> Result<(), VerifyError> {
            output(key.as_ptr().addr() as u32);
            self.verify(&[0; 8], message, signature)
        }
    }
}

/// The same where documents change the keys.
#[cfg(feature = "key-documents")]
mod keys {
    use whittle_patcher_nostd::{DeviceKeys, FactoryKeys, Roles, TrustedKey};

    #[cfg(feature = "ed25519")]
    pub type Signatures = whittle_patcher_nostd::Ed25519;
    #[cfg(feature = "ed25519")]
    const SIGNATURES: Signatures = whittle_patcher_nostd::Ed25519;

    #[cfg(not(feature = "ed25519"))]
    pub type Signatures = super::Checker;
    #[cfg(not(feature = "ed25519"))]
    const SIGNATURES: Signatures = super::VERIFIER;

    const FACTORY: FactoryKeys<'static> = FactoryKeys {
        keys: &[
            TrustedKey { public_key: [1; 32], roles: Roles::KEYS },
            TrustedKey { public_key: [2; 32], roles: Roles::KEYS },
            TrustedKey { public_key: [3; 32], roles: Roles::ALL },
        ],
        key_threshold: 2,
        package_threshold: 1,
    };

    pub fn keys() -> DeviceKeys<'static, Signatures> {
        DeviceKeys::new(&FACTORY, SIGNATURES)
    }
}

#[cfg(not(all(feature = "key-documents", feature = "ed25519")))]
pub use checker::Checker;
#[allow(unused_imports, reason = "boot loaders without a journal have fixed keys")]
pub use checker::VERIFIER;
#[cfg(feature = "key-documents")]
pub use keys::{Signatures, keys};
