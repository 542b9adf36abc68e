//! Signatures: checked by the library, or by what the chip has.

use core::ffi::{c_int, c_void};

use whittle_patcher_nostd::{KeyId, VerifyError};
#[cfg(feature = "ed25519")]
use whittle_patcher_nostd::{PublicKey, TrustedKeys};

/// Checks an Ed25519 signature (64 bytes) over a message by the key with this id (8 bytes: the first of the SHA-256 of
/// the public key).
///
/// Returns 0 if it is good, 1 if no trusted key has the id, anything else if it is bad. It must refuse keys of small
/// order and encodings that are not canonical.
pub type Verify = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        key_id: *const u8,
        message: *const u8,
        message_len: usize,
        signature: *const u8,
    ) -> c_int,
>;

/// Whoever checks signatures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verifier {
    #[cfg(feature = "ed25519")]
    pub(crate) keys: &'static [PublicKey],
    pub(crate) function: Verify,
    pub(crate) context: *mut c_void,
}

impl whittle_patcher_nostd::Verifier for Verifier {
    fn verify(
        &self,
        key_id: &KeyId,
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), VerifyError> {
        let Some(function) = self.function else {
            #[cfg(feature = "ed25519")]
            return TrustedKeys(self.keys).verify(key_id, message, signature);
            #[cfg(not(feature = "ed25519"))]
            return Err(VerifyError::UnknownKey);
        };
        // SAFETY: by the header's rules the function only reads these bytes, which are there.
        let code = unsafe {
            function(
                self.context,
                key_id.as_ptr(),
                message.as_ptr(),
                message.len(),
                signature.as_ptr(),
            )
        };
        match code {
            0 => Ok(()),
            1 => Err(VerifyError::UnknownKey),
            _ => Err(VerifyError::BadSignature),
        }
    }
}
