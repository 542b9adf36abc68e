//! Keys as files, and who signs.
//!
//! Private keys are PKCS#8 **version 1** PEM, which OpenSSL and imgtool read; version 2, which carries the public key
//! too, is rejected by both. Public keys are SubjectPublicKeyInfo PEM.

use std::path::{Path, PathBuf};

use ed25519_dalek::Signer as _;
use ed25519_dalek::pkcs8::spki::EncodePublicKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, KeypairBytes};
pub use whittle_patcher_nostd::{KeyId, PublicKey};
use whittle_patcher_nostd::{TrustedKeys, Verifier, VerifyError, key_id};

use crate::files::Readable;
use crate::{Error, Result, files};

/// File name of a generated private key.
pub const PRIVATE_KEY_FILE: &str = "release.key.pem";

/// File name of a generated public key.
pub const PUBLIC_KEY_FILE: &str = "release.pub.pem";

const MAX_KEY_FILE_BYTES: u64 = 64 << 10;

/// Signs what is to be signed; whether in this process, in a token or elsewhere.
pub trait Signer: Sync {
    /// The public key that verifies the signatures.
    fn public_key(&self) -> PublicKey;

    /// An Ed25519 signature over `message`.
    ///
    /// # Errors
    /// Any [`Error`] that tells why there is none.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64]>;
}

/// A private key in memory; the key itself, not the text that it was read from, is wiped when it is dropped.
pub struct PrivateKey(ed25519_dalek::SigningKey);

impl PrivateKey {
    /// Makes a new key from the operating system's random numbers.
    ///
    /// # Errors
    /// [`Error::NoRandomness`].
    pub fn generate() -> Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(Error::NoRandomness)?;
        Ok(Self::from_seed(&seed))
    }

    /// The key that belongs to a 32-byte seed (RFC 8032 calls it the private key).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Parses PKCS#8 PEM, version 1 or 2.
    #[must_use]
    pub fn from_pem(pem: &str) -> Option<Self> {
        ed25519_dalek::SigningKey::from_pkcs8_pem(pem).ok().map(Self)
    }

    /// Reads a PKCS#8 PEM file.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::BadKey`].
    pub fn read(path: &Path) -> Result<Self> {
        let wrong =
            || Error::BadKey { path: path.to_owned(), wanted: "Ed25519 private key in PKCS#8 PEM" };
        read_text(path)?.as_deref().and_then(Self::from_pem).ok_or_else(wrong)
    }

    /// Writes the key pair into a directory and returns the paths of the private and the public key.
    ///
    /// # Errors
    /// [`Error::KeyExists`]: a key is never overwritten. [`Error::Io`].
    pub fn write_pair(&self, directory: &Path) -> Result<(PathBuf, PathBuf)> {
        std::fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
        let (private, public) = (directory.join(PRIVATE_KEY_FILE), directory.join(PUBLIC_KEY_FILE));
        if public.exists() {
            return Err(Error::KeyExists(public));
        }
        let bad = |path: &Path| Error::BadKey { path: path.to_owned(), wanted: "encodable key" };
        let bytes = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        let pem = bytes.to_pkcs8_pem(LineEnding::LF).map_err(|_| bad(&private))?;
        files::write_new(&private, pem.as_bytes(), Readable::ByOwner).map_err(key_exists)?;
        let pem = public_pem(&self.public_key()).ok_or_else(|| bad(&public))?;
        files::write_new(&public, pem.as_bytes(), Readable::ByAll).map_err(key_exists)?;
        Ok((private, public))
    }
}

impl Signer for PrivateKey {
    fn public_key(&self) -> PublicKey {
        self.0.verifying_key().to_bytes()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64]> {
        Ok(self.0.sign(message).to_bytes())
    }
}

/// A public key as SubjectPublicKeyInfo PEM; `None` if these bytes are no point of the curve.
#[must_use]
pub fn public_pem(key: &PublicKey) -> Option<String> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(key).ok()?;
    key.to_public_key_pem(LineEnding::LF).ok()
}

/// Reads a public key from SubjectPublicKeyInfo PEM, or takes it out of a private key's PEM.
///
/// # Errors
/// [`Error::Io`] or [`Error::BadKey`].
pub fn read_public(path: &Path) -> Result<PublicKey> {
    let wrong = || Error::BadKey { path: path.to_owned(), wanted: "Ed25519 public key in PEM" };
    let text = read_text(path)?.ok_or_else(wrong)?;
    if let Ok(key) = ed25519_dalek::VerifyingKey::from_public_key_pem(&text) {
        return Ok(key.to_bytes());
    }
    PrivateKey::from_pem(&text).map(|key| key.public_key()).ok_or_else(wrong)
}

fn key_exists(error: Error) -> Error {
    match error {
        Error::Io { path, source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists => {
            Error::KeyExists(path)
        }
        other => other,
    }
}

pub(crate) fn read_text(path: &Path) -> Result<Option<String>> {
    Ok(files::read_at_most(path, MAX_KEY_FILE_BYTES)?
        .and_then(|bytes| String::from_utf8(bytes).ok()))
}

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
