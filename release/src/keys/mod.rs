//! Keys as files, and who signs.
//!
//! ```text
//! read    PKCS#8 PEM, version 1 or 2, plain or encrypted · minisign secret keys          -> PrivateKey
//!         SubjectPublicKeyInfo PEM · minisign public keys · 32 bytes raw, hex, base64    -> PublicKey
//! write   PKCS#8 version 1 PEM, or minisign's secret key; the public half beside it
//! ```
//!
//! Private keys are written as PKCS#8 **version 1**, which OpenSSL and imgtool read; version 2, which carries the public key
//! too, is rejected by both. A passphrase is asked for only where a file is encrypted, and only by the caller.

mod command;
mod detached;
mod keyring;
mod minisign;
mod passphrase;
mod pkcs8;
mod public;
mod source;

use std::path::{Path, PathBuf};

use ed25519_dalek::Signer as _;
pub use whittle_patcher_nostd::{KeyId, PublicKey, key_id};
use zeroize::Zeroizing;

use crate::files::Readable;
use crate::{Error, Result, development_key, files};

pub use command::{CommandSigner, DEFAULT_TIMEOUT};
pub use detached::DetachedSigner;
pub use keyring::Keyring;
pub use passphrase::Passphrase;
pub use public::{
    is_development_file, parse_public, public_minisign, public_pem, read_public,
    read_public_for_use,
};
pub use source::{KeySource, check_variable};

/// File name of a generated private key.
pub const PRIVATE_KEY_FILE: &str = "release.key.pem";

/// File name of a generated public key.
pub const PUBLIC_KEY_FILE: &str = "release.pub.pem";

/// The same in minisign's format.
pub const MINISIGN_PRIVATE_KEY_FILE: &str = "release.key";

/// The same in minisign's format.
pub const MINISIGN_PUBLIC_KEY_FILE: &str = "release.pub";

/// File names of a development key, the private one first.
pub const DEVELOPMENT_KEY_FILES: [&str; 2] = ["development.key.pem", "development.pub.pem"];

/// Length of an Ed25519 signature.
pub(crate) const SIGNATURE_LEN: usize = whittle_format::envelope::SIGNATURE_LEN;

const MAX_KEY_FILE_BYTES: usize = 64 << 10;

/// Whether a private key stands at the beginning of a file, which may be the only place where it does.
///
/// # Errors
/// [`Error::Io`].
pub fn is_private_file(path: &Path) -> Result<bool> {
    let head = files::read_secret_head(path, MAX_KEY_FILE_BYTES)?;
    let is_minisign = |text| minisign::SecretKey::parse(text).is_some();
    Ok(pkcs8::is_private(&head) || std::str::from_utf8(&head).is_ok_and(is_minisign))
}

/// Signs what is to be signed; whether in this process, in a token or elsewhere.
pub trait Signer: Sync {
    /// The public key that verifies the signatures.
    fn public_key(&self) -> PublicKey;

    /// An Ed25519 signature over `message`.
    ///
    /// # Errors
    /// Any [`Error`] that tells why there is none.
    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN]>;
}

/// Asked for the passphrase of a file, where it is encrypted.
pub type Ask<'a> = &'a mut dyn FnMut(&Path) -> Result<Passphrase>;

/// How a key pair is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyFormat {
    /// PKCS#8 and SubjectPublicKeyInfo, in PEM.
    #[default]
    Pkcs8,
    /// As minisign and rsign2 write them.
    Minisign,
}

/// A private key in memory; it is wiped when it is dropped, as is the text that it was read from.
pub struct PrivateKey(ed25519_dalek::SigningKey);

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateKey").finish_non_exhaustive()
    }
}

impl PrivateKey {
    /// Makes a new key from the operating system's random numbers.
    ///
    /// # Errors
    /// [`Error::NoRandomness`].
    pub fn generate() -> Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(Error::NoRandomness)?;
        Ok(Self::from_seed(&seed))
    }

    /// The key that belongs to a 32-byte seed (RFC 8032 calls it the private key).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Parses PKCS#8 PEM, version 1 or 2, that is not encrypted.
    #[must_use]
    pub fn from_pem(pem: &str) -> Option<Self> {
        pkcs8::parse(pem)
    }

    /// Reads a private key that is not encrypted.
    ///
    /// # Errors
    /// As [`Self::read_with`]; [`Error::PassphraseWanted`] if it is encrypted.
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_with(path, &mut |path| Err(Error::PassphraseWanted(path.to_owned())))
    }

    /// Reads a private key in any format; `ask` is called if it is encrypted.
    ///
    /// # Errors
    /// [`Error::Io`], or as [`Self::parse`].
    pub fn read_with(path: &Path, ask: Ask<'_>) -> Result<Self> {
        match read_text(path)? {
            Some(text) => Self::parse(path, &text, ask),
            None => Err(no_private_key(path)),
        }
    }

    /// Parses a private key in any format; `name` is where it comes from, for errors, and for `ask` if it is encrypted.
    ///
    /// # Errors
    /// [`Error::BadKey`], [`Error::CostlyKey`], [`Error::WrongPassphrase`], or what `ask` returns.
    pub fn parse(name: &Path, text: &str, ask: Ask<'_>) -> Result<Self> {
        if pkcs8::is_encrypted(text) {
            return pkcs8::decrypt(name, text, &ask(name)?);
        }
        if let Some(key) = Self::from_pem(text) {
            return Ok(key);
        }
        match minisign::SecretKey::parse(text) {
            Some(key) => key.open(name, ask),
            None => Err(no_private_key(name)),
        }
    }

    /// Writes the key pair into a directory and returns the paths of the private and the public key.
    ///
    /// # Errors
    /// As [`Self::write_pair_as`].
    pub fn write_pair(&self, directory: &Path) -> Result<(PathBuf, PathBuf)> {
        self.write_pair_as(KeyFormat::Pkcs8, None, directory)
    }

    /// The same in this format, and behind a passphrase if there is one.
    ///
    /// # Errors
    /// [`Error::KeyExists`]: a key is never overwritten. [`Error::Io`] or [`Error::NoRandomness`].
    pub fn write_pair_as(
        &self,
        format: KeyFormat,
        passphrase: Option<&Passphrase>,
        directory: &Path,
    ) -> Result<(PathBuf, PathBuf)> {
        let (private_file, public_file) = match format {
            KeyFormat::Pkcs8 => (PRIVATE_KEY_FILE, PUBLIC_KEY_FILE),
            KeyFormat::Minisign => (MINISIGN_PRIVATE_KEY_FILE, MINISIGN_PUBLIC_KEY_FILE),
        };
        let (private, public) = (directory.join(private_file), directory.join(public_file));
        let (private_text, public_text) = match format {
            KeyFormat::Pkcs8 => {
                (pkcs8::emit(&self.0, passphrase, &private)?, public_pem(&self.public_key()))
            }
            KeyFormat::Minisign => (
                minisign::emit_secret(&self.0, passphrase)?,
                Some(public_minisign(&self.public_key())),
            ),
        };
        let unusable = || Error::BadKey { path: public.clone(), wanted: "encodable key" };
        let public_text = public_text.ok_or_else(unusable)?;
        write_new_pair((&private, &private_text), (&public, &public_text))?;
        Ok((private, public))
    }

    /// The same in PKCS#8, marked as a key that nothing in the field may trust (see [`development_key`]).
    ///
    /// # Errors
    /// As of [`write_pair`](Self::write_pair).
    pub fn write_development_pair(&self, directory: &Path) -> Result<(PathBuf, PathBuf)> {
        let [private, public] = DEVELOPMENT_KEY_FILES.map(|file| directory.join(file));
        let private_text =
            Zeroizing::new(development_key::mark(&pkcs8::emit(&self.0, None, &private)?));
        let unusable = || Error::BadKey { path: public.clone(), wanted: "encodable key" };
        let public_text = public_pem(&self.public_key()).ok_or_else(unusable)?;
        let public_text = development_key::mark(&public_text);
        write_new_pair((&private, &private_text), (&public, &public_text))?;
        Ok((private, public))
    }
}

/// Writes two files, of which neither must be there: both or none.
fn write_new_pair(private: (&Path, &str), public: (&Path, &str)) -> Result<()> {
    if let Some(directory) = private.0.parent() {
        std::fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
    }
    if let Some((path, _)) = [private, public].into_iter().find(|(path, _)| path.exists()) {
        return Err(Error::KeyExists(path.to_owned()));
    }
    files::write_new(private.0, private.1.as_bytes(), Readable::ByOwner).map_err(key_exists)?;
    let written = files::write_new(public.0, public.1.as_bytes(), Readable::ByAll);
    written.map_err(key_exists).inspect_err(|_| {
        // Nobody has it yet.
        let _ = std::fs::remove_file(private.0);
    })
}

impl Signer for PrivateKey {
    fn public_key(&self) -> PublicKey {
        self.0.verifying_key().to_bytes()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN]> {
        Ok(self.0.sign(message).to_bytes())
    }
}

/// Checks a signature that came from outside before anything is done with it.
pub(crate) fn check_signature(
    key: &PublicKey,
    message: &[u8],
    signature: &[u8; SIGNATURE_LEN],
) -> bool {
    let signature = ed25519_dalek::Signature::from_bytes(signature);
    ed25519_dalek::VerifyingKey::from_bytes(key)
        .is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
}

/// Reads 64 bytes as they come out of tools: raw, in hexadecimal digits, or in base64; white space around them is left out.
pub(crate) fn parse_signature(bytes: &[u8]) -> Option<[u8; SIGNATURE_LEN]> {
    if let Ok(raw) = bytes.try_into() {
        return Some(raw);
    }
    let text = std::str::from_utf8(bytes).ok()?.trim();
    public::from_digits(text)
}

fn no_private_key(path: &Path) -> Error {
    Error::BadKey {
        path: path.to_owned(),
        wanted: "Ed25519 private key in PKCS#8 PEM or minisign's format",
    }
}

fn key_exists(error: Error) -> Error {
    match error {
        Error::Io { path, source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists => {
            Error::KeyExists(path)
        }
        other => other,
    }
}

pub(crate) fn read_text(path: &Path) -> Result<Option<Zeroizing<String>>> {
    let Some(bytes) = files::read_secret(path, MAX_KEY_FILE_BYTES)? else { return Ok(None) };
    Ok(std::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.to_owned())))
}
