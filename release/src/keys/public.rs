//! Public keys in whatever form they come.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::VerifyingKey;
use ed25519_dalek::pkcs8::DecodePublicKey;
use ed25519_dalek::pkcs8::spki::EncodePublicKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;

use super::{MAX_KEY_FILE_BYTES, PublicKey, Signer as _, minisign, pkcs8, read_text};
use crate::image::from_hex;
use crate::{Error, Result, development_key, files};

/// A public key as SubjectPublicKeyInfo PEM; `None` if these bytes are no point of the curve.
#[must_use]
pub fn public_pem(key: &PublicKey) -> Option<String> {
    let key = VerifyingKey::from_bytes(key).ok()?;
    key.to_public_key_pem(LineEnding::LF).ok()
}

/// A public key as minisign writes it, with our key id for minisign's key number.
#[must_use]
pub fn public_minisign(key: &PublicKey) -> String {
    minisign::emit_public(key)
}

/// Reads a public key: SubjectPublicKeyInfo PEM, minisign's format, or 32 bytes, raw, in hexadecimal digits or in base64. It
/// is also taken out of a private key in PKCS#8 PEM that is not encrypted.
///
/// # Errors
/// [`Error::Io`] or [`Error::BadKey`].
pub fn read_public(path: &Path) -> Result<PublicKey> {
    let wrong = || Error::BadKey { path: path.to_owned(), wanted: "Ed25519 public key" };
    let bytes = files::read_secret(path, MAX_KEY_FILE_BYTES)?.ok_or_else(wrong)?;
    let private = || {
        let wanted = private_instead(&bytes)?;
        Some(Error::BadKey { path: path.to_owned(), wanted })
    };
    parse_public(&bytes).ok_or_else(|| private().unwrap_or_else(wrong))
}

/// What a file has in place of a public key, if that is a private one which does not show its public half.
fn private_instead(bytes: &[u8]) -> Option<&'static str> {
    let text = std::str::from_utf8(bytes).ok()?;
    if pkcs8::is_encrypted(text) {
        return Some("Ed25519 public key, but an encrypted private one: name its public half");
    }
    minisign::SecretKey::parse(text)
        .map(|_| "Ed25519 public key, but a secret key of minisign: name its public half")
}

/// Whether a key file has the [mark](development_key) of development keys; one that is no text has none.
///
/// # Errors
/// [`Error::Io`].
pub fn is_development_file(path: &Path) -> Result<bool> {
    Ok(read_text(path)?.is_some_and(|text| development_key::is_marked(&text)))
}

/// Reads a public key as [`read_public`] does, to go where nothing tells any more that it is a development key.
///
/// # Errors
/// Those of [`read_public`]; [`Error::DevelopmentKey`], unless such are allowed.
pub fn read_public_for_use(path: &Path, allow_development: bool) -> Result<PublicKey> {
    let key = read_public(path)?;
    if !allow_development && is_development_file(path)? {
        return Err(Error::DevelopmentKey(path.to_owned()));
    }
    Ok(key)
}

/// Parses a public key in any of these forms.
#[must_use]
pub fn parse_public(bytes: &[u8]) -> Option<PublicKey> {
    if let Ok(raw) = <PublicKey>::try_from(bytes) {
        return is_key(raw);
    }
    let text = std::str::from_utf8(bytes).ok()?.trim();
    if let Ok(key) = VerifyingKey::from_public_key_pem(text) {
        return Some(key.to_bytes());
    }
    let private = || pkcs8::parse(text).map(|key| key.public_key());
    let digits = || from_digits(text).and_then(is_key);
    private().or_else(|| minisign::parse_public(text).and_then(is_key)).or_else(digits)
}

/// What is no point of the curve, or a weak one, is no key.
fn is_key(bytes: PublicKey) -> Option<PublicKey> {
    VerifyingKey::from_bytes(&bytes).ok().filter(|key| !key.is_weak()).map(|_| bytes)
}

/// Bytes in hexadecimal digits or in base64.
pub(super) fn from_digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    from_hex(text).or_else(|| BASE64.decode(text).ok()?.try_into().ok())
}
