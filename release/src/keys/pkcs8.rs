//! Private keys in PKCS#8 PEM, plain or encrypted (PBES2, RFC 8018).

use std::path::Path;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::pem::LineEnding;
use pkcs8::der::{Document, SecretDocument};
use pkcs8::pkcs5::{EncryptionScheme, pbes2};
use pkcs8::{EncryptedPrivateKeyInfoRef, Error as Pkcs8Error};
use zeroize::Zeroizing;

use super::{Passphrase, PrivateKey};
use crate::{Error, Result};

const ENCRYPTED_LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// Rounds of PBKDF2 with SHA-256 for keys that we encrypt.
const ROUNDS: u32 = 600_000;

/// Most rounds that a file may ask for: some ten seconds.
const MAX_ROUNDS: u32 = 20_000_000;

/// Most memory that a file's scrypt may take, in bytes; minisign takes as much.
pub(super) const MAX_SCRYPT_BYTES: u64 = 1 << 30;

/// Whether text is a private key that cannot be read without a passphrase.
pub(super) fn is_encrypted(text: &str) -> bool {
    text.contains(&format!("-----BEGIN {ENCRYPTED_LABEL}-----"))
}

/// Whether bytes are a private key in PEM, of whatever algorithm, or have one in them.
pub(super) fn is_private(bytes: &[u8]) -> bool {
    const LABEL: &[u8] = b"PRIVATE KEY-----";
    bytes.windows(LABEL.len()).any(|window| window == LABEL)
}

/// Parses a key that is not encrypted.
pub(super) fn parse(pem: &str) -> Option<PrivateKey> {
    SigningKey::from_pkcs8_pem(pem).ok().map(PrivateKey)
}

/// Opens a key that is encrypted; `name` is where it comes from.
pub(super) fn decrypt(name: &Path, pem: &str, passphrase: &Passphrase) -> Result<PrivateKey> {
    let wanted = "encrypted Ed25519 private key in PKCS#8 PEM";
    let wrong = || Error::BadKey { path: name.to_owned(), wanted };
    let (label, document) = Document::from_pem(pem).map_err(|_| wrong())?;
    if label != ENCRYPTED_LABEL {
        return Err(wrong());
    }
    let info: EncryptedPrivateKeyInfoRef<'_> =
        document.as_bytes().try_into().map_err(|_| wrong())?;
    if is_costly(&info.encryption_algorithm) {
        return Err(Error::CostlyKey(name.to_owned()));
    }
    let opened: SecretDocument = match info.decrypt(passphrase.as_bytes()) {
        Ok(opened) => opened,
        // What the wrong key makes of it has no proper padding, or is no document.
        Err(
            Pkcs8Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::DecryptFailed)
            | Pkcs8Error::Asn1(_),
        ) => return Err(Error::WrongPassphrase(name.to_owned())),
        Err(_) => return Err(wrong()),
    };
    SigningKey::from_pkcs8_der(opened.as_bytes()).map(PrivateKey).map_err(|_| wrong())
}

/// Whether a file asks for more time or memory than any honest one.
fn is_costly(scheme: &EncryptionScheme) -> bool {
    let Some(parameters) = scheme.pbes2() else { return false };
    let rounds = parameters.kdf.pbkdf2().map_or(0, |pbkdf2| pbkdf2.iteration_count);
    let memory = parameters.kdf.scrypt().map_or(0, |scrypt| {
        let block = 128 * u64::from(scrypt.block_size);
        scrypt.cost_parameter.saturating_add(scrypt.parallelization.into()).saturating_mul(block)
    });
    rounds > MAX_ROUNDS || memory > MAX_SCRYPT_BYTES + (MAX_SCRYPT_BYTES >> 4)
}

/// Emits PKCS#8 version 1 PEM, encrypted if there is a passphrase; `path` is where it goes, for errors.
pub(super) fn emit(
    key: &SigningKey,
    passphrase: Option<&Passphrase>,
    path: &Path,
) -> Result<Zeroizing<String>> {
    let bad = || Error::BadKey { path: path.to_owned(), wanted: "encodable key" };
    let bytes = KeypairBytes { secret_key: key.to_bytes(), public_key: None };
    let Some(passphrase) = passphrase else {
        return bytes.to_pkcs8_pem(LineEnding::LF).map_err(|_| bad());
    };
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    getrandom::fill(&mut salt)
        .and_then(|()| getrandom::fill(&mut iv))
        .map_err(Error::NoRandomness)?;
    let parameters = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(ROUNDS, &salt, iv);
    let parameters = parameters.map_err(|_| bad())?;
    let plain = bytes.to_pkcs8_der().map_err(|_| bad())?;
    let encrypted = parameters.encrypt(passphrase.as_bytes(), plain.as_bytes());
    let encrypted = encrypted.map_err(|_| bad())?;
    let info = EncryptedPrivateKeyInfoRef {
        encryption_algorithm: parameters.into(),
        encrypted_data: OctetStringRef::new(&encrypted).map_err(|_| bad())?,
    };
    let document = SecretDocument::try_from(info).map_err(|_| bad())?;
    document.to_pem(ENCRYPTED_LABEL, LineEnding::LF).map_err(|_| bad())
}
