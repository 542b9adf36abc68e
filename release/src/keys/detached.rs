//! A signer whose signatures come as files from elsewhere, such as a machine without a network.
//!
//! ```text
//! <directory>/<name>.tbs    the bytes that are to be signed, as they are: Ed25519 over the file
//! <directory>/<name>.sig    the signature: 64 bytes, raw, in hexadecimal digits or in base64
//! ```

use std::path::{Path, PathBuf};

use super::{PublicKey, SIGNATURE_LEN, Signer, check_signature, parse_signature};
use crate::{Error, Result, files};

const MAX_SIGNATURE_FILE_BYTES: u64 = 4096;

/// Looks for one signature beside what is to be signed; where it is missing, puts down what is.
#[derive(Clone, Debug)]
pub struct DetachedSigner {
    public_key: PublicKey,
    tbs: PathBuf,
    signature: PathBuf,
}

impl DetachedSigner {
    /// Signs under this name in a directory.
    #[must_use]
    pub fn new(directory: &Path, name: &str, public_key: PublicKey) -> Self {
        let file = |kind| directory.join(format!("{name}.{kind}"));
        Self { public_key, tbs: file("tbs"), signature: file("sig") }
    }
}

impl Signer for DetachedSigner {
    fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// # Errors
    /// [`Error::SignatureWanted`] where there is none yet: what is to be signed stands there then.
    /// [`Error::WrongSignature`] for one that does not fit, such as another signer's: what is to be signed stands there then, too.
    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN]> {
        let wrong = || match files::write_atomically(&self.tbs, message) {
            Ok(()) => Error::WrongSignature(self.signature.clone()),
            Err(error) => error,
        };
        let bytes = match files::read_at_most(&self.signature, MAX_SIGNATURE_FILE_BYTES) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                files::write_atomically(&self.tbs, message)?;
                return Err(Error::SignatureWanted(self.tbs.clone()));
            }
            found => found?.ok_or_else(wrong)?,
        };
        let signature = parse_signature(&bytes).ok_or_else(wrong)?;
        if check_signature(&self.public_key, message, &signature) {
            Ok(signature)
        } else {
            Err(wrong())
        }
    }
}
