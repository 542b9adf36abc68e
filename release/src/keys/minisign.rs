//! Keys as minisign and rsign2 keep them.
//!
//! A line of comment, and a line of base64 over
//!
//! ```text
//! public   0  2  "Ed"        2  8  key number    10 32  public key
//! secret   0  2  "Ed"        2  2  "Sc": scrypt, or two zeros: not encrypted     4  2  "B2": BLAKE2b
//!          6 32  salt       38  8  operations of scrypt at most    46  8  bytes of memory of scrypt at most
//!         54  8  key number 62 32  seed    94 32  public key    126 32  BLAKE2b-256 of "Ed", number, seed, public key
//! ```
//!
//! Everything from the key number on is combined, by exclusive or, with what scrypt makes of the passphrase.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use super::pkcs8::MAX_SCRYPT_BYTES;
use super::{Ask, Passphrase, PrivateKey, PublicKey, key_id};
use crate::image::hex;
use crate::{Error, Result};

const ALGORITHM: &[u8; 2] = b"Ed";
const SCRYPT: &[u8; 2] = b"Sc";
const NOT_ENCRYPTED: &[u8; 2] = &[0; 2];
const CHECKSUM: &[u8; 2] = b"B2";

const PUBLIC_LEN: usize = 2 + 8 + 32;
const SECRET_LEN: usize = HEAD_LEN + BODY_LEN;
const HEAD_LEN: usize = 2 + 2 + 2 + 32 + 8 + 8;
const BODY_LEN: usize = 8 + 32 + 32 + 32;

/// What minisign itself takes: 1 GiB of memory, and some seconds.
const OPERATIONS: u64 = 1 << 25;
const MEMORY_BYTES: u64 = 1 << 30;

/// The key in a public key's file, or in its last line alone.
pub(super) fn parse_public(text: &str) -> Option<PublicKey> {
    let bytes: [u8; PUBLIC_LEN] = decoded_line(text)?.as_slice().try_into().ok()?;
    let (algorithm, rest) = bytes.split_first_chunk::<2>()?;
    (algorithm == ALGORITHM).then(|| rest.last_chunk().copied())?
}

/// A public key's file.
pub(super) fn emit_public(key: &PublicKey) -> String {
    let number = key_id(key);
    let bytes = [&ALGORITHM[..], &number, key].concat();
    let shown = shown(number);
    format!("untrusted comment: minisign public key {shown}\n{}\n", BASE64.encode(bytes))
}

/// A key number as minisign shows it.
fn shown(mut number: [u8; 8]) -> String {
    number.reverse();
    hex(&number).to_uppercase()
}

/// The bytes of the first line that is no comment.
fn decoded_line(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with("untrusted comment:"))?;
    BASE64.decode(line).ok().map(Zeroizing::new)
}

/// A secret key's file, which may be encrypted.
pub(super) struct SecretKey {
    is_encrypted: bool,
    salt: [u8; 32],
    operations: u64,
    memory_bytes: u64,
    body: Zeroizing<[u8; BODY_LEN]>,
}

impl SecretKey {
    /// Parses a file; `None` if it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = decoded_line(text)?;
        let bytes: &[u8; SECRET_LEN] = bytes.as_slice().try_into().ok()?;
        let (algorithm, rest) = bytes.split_first_chunk::<2>()?;
        let (kdf, rest) = rest.split_first_chunk::<2>()?;
        let (checksum, rest) = rest.split_first_chunk::<2>()?;
        let (salt, rest) = rest.split_first_chunk::<32>()?;
        let (operations, rest) = rest.split_first_chunk::<8>()?;
        let (memory, rest) = rest.split_first_chunk::<8>()?;
        let is_known = algorithm == ALGORITHM
            && checksum == CHECKSUM
            && (kdf == SCRYPT || kdf == NOT_ENCRYPTED);
        is_known.then_some(Self {
            is_encrypted: kdf == SCRYPT,
            salt: *salt,
            operations: u64::from_le_bytes(*operations),
            memory_bytes: u64::from_le_bytes(*memory),
            body: Zeroizing::new(rest.try_into().ok()?),
        })
    }

    /// Decrypts it, if need be, and checks it; `name` is where it comes from.
    pub(super) fn open(mut self, name: &Path, ask: Ask<'_>) -> Result<PrivateKey> {
        if self.is_encrypted {
            if self.memory_bytes > MAX_SCRYPT_BYTES || self.operations > OPERATIONS {
                return Err(Error::CostlyKey(name.to_owned()));
            }
            let passphrase = ask(name)?;
            let costly = || Error::CostlyKey(name.to_owned());
            self.combine(&passphrase).ok_or_else(costly)?;
        }
        let wrong = || {
            let wanted = "secret key of minisign that fits its own public half";
            match self.is_encrypted {
                true => Error::WrongPassphrase(name.to_owned()),
                false => Error::BadKey { path: name.to_owned(), wanted },
            }
        };
        let key = self.checked().ok_or_else(wrong)?;
        Ok(PrivateKey(key))
    }

    fn checked(&self) -> Option<SigningKey> {
        let (number, rest) = self.body.split_first_chunk::<8>()?;
        let (seed, rest) = rest.split_first_chunk::<32>()?;
        let (public, sum) = rest.split_first_chunk::<32>()?;
        let key = SigningKey::from_bytes(seed);
        // A file that is not encrypted may do without a sum.
        let is_whole =
            sum == checksum(number, seed, public) || (!self.is_encrypted && sum == [0; 32]);
        (is_whole && key.verifying_key().as_bytes() == public).then_some(key)
    }

    /// Turns an encrypted body into a plain one, or the other way round.
    fn combine(&mut self, passphrase: &Passphrase) -> Option<()> {
        let mut stream = Zeroizing::new([0; BODY_LEN]);
        let parameters = parameters(self.operations, self.memory_bytes)?;
        scrypt::scrypt(passphrase.as_bytes(), &self.salt, &parameters, &mut *stream).ok()?;
        for (byte, mask) in self.body.iter_mut().zip(stream.iter()) {
            *byte ^= mask;
        }
        Some(())
    }

    fn emit(&self) -> Zeroizing<String> {
        let kdf = if self.is_encrypted { SCRYPT } else { NOT_ENCRYPTED };
        let [operations, memory] = [self.operations, self.memory_bytes].map(u64::to_le_bytes);
        let parts = [&ALGORITHM[..], kdf, CHECKSUM, &self.salt, &operations, &memory, &*self.body];
        let bytes = Zeroizing::new(parts.concat());
        let line = Zeroizing::new(BASE64.encode(&*bytes));
        Zeroizing::new(format!("untrusted comment: minisign encrypted secret key\n{}\n", &*line))
    }
}

/// A secret key's file, encrypted if there is a passphrase.
pub(super) fn emit_secret(
    key: &SigningKey,
    passphrase: Option<&Passphrase>,
) -> Result<Zeroizing<String>> {
    let limits = passphrase.map_or((0, 0), |_| (OPERATIONS, MEMORY_BYTES));
    let mut salt = [0; 32];
    if passphrase.is_some() {
        getrandom::fill(&mut salt).map_err(Error::NoRandomness)?;
    }
    Ok(secret(key, passphrase, salt, limits).emit())
}

fn secret(
    key: &SigningKey,
    passphrase: Option<&Passphrase>,
    salt: [u8; 32],
    (operations, memory_bytes): (u64, u64),
) -> SecretKey {
    let public = key.verifying_key().to_bytes();
    let (number, seed) = (key_id(&public), Zeroizing::new(key.to_bytes()));
    let mut body = Zeroizing::new([0; BODY_LEN]);
    let sum = checksum(&number, &seed, &public);
    let parts = number.iter().chain(seed.iter()).chain(&public).chain(&sum);
    for (to, from) in body.iter_mut().zip(parts) {
        *to = *from;
    }
    let is_encrypted = passphrase.is_some();
    let mut secret = SecretKey { is_encrypted, salt, operations, memory_bytes, body };
    if let Some(passphrase) = passphrase {
        // Our own limits suit scrypt.
        let _ = secret.combine(passphrase);
    }
    secret
}

fn checksum(number: &[u8; 8], seed: &[u8; 32], public: &[u8; 32]) -> [u8; 32] {
    let mut hasher = Blake2b::<U32>::new();
    for part in [&ALGORITHM[..], number, seed, public] {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// What libsodium makes of its limits: `N`, `r` and `p` of scrypt (`crypto_pwhash_scryptsalsa208sha256`).
fn parameters(operations: u64, memory_bytes: u64) -> Option<scrypt::Params> {
    const BLOCK: u32 = 8;
    let operations = operations.max(1 << 15);
    let is_quick = operations < memory_bytes / 32;
    let most = if is_quick { operations / (4 * u64::from(BLOCK)) } else { memory_bytes / 1024 };
    let log_n = (1..63u8).find(|log_n| 1u64 << log_n > most / 2)?;
    let lanes = match is_quick {
        true => 1,
        false => ((operations / 4) >> log_n).min(0x3fff_ffff) / u64::from(BLOCK),
    };
    scrypt::Params::new(log_n, BLOCK, u32::try_from(lanes).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quick enough for a test.
    const QUICK: (u64, u64) = (1 << 15, 1 << 20);

    #[test]
    fn limits_become_what_libsodium_makes_of_them() {
        let known = |log_n, p| scrypt::Params::new(log_n, 8, p).ok().map(|it| format!("{it:?}"));
        let made =
            |(operations, memory)| parameters(operations, memory).map(|made| format!("{made:?}"));
        assert_eq!(made((OPERATIONS, MEMORY_BYTES)), known(20, 1));
        assert_eq!(made((1 << 19, 1 << 24)), known(14, 1));
        assert_eq!(made((1 << 20, 1 << 25)), known(15, 1));
    }

    #[test]
    fn what_is_written_opens_with_its_passphrase_alone() {
        let key = SigningKey::from_bytes(&[9; 32]);
        let passphrase = Passphrase::new("open sesame");
        let text = secret(&key, Some(&passphrase), [3; 32], QUICK).emit();
        let open = |words: &str| {
            let secret = SecretKey::parse(&text).expect("own text");
            secret.open(Path::new("k"), &mut |_| Ok(Passphrase::new(words)))
        };
        assert_eq!(open("open sesame").expect("opens").0.to_bytes(), [9; 32]);
        assert!(matches!(open("open sesami"), Err(Error::WrongPassphrase(_))));
        assert!(!text.contains(&BASE64.encode([9; 30])), "the seed is not there in clear");
    }

    #[test]
    fn a_file_that_asks_for_all_memory_is_refused() {
        let key = SigningKey::from_bytes(&[9; 32]);
        let mut secret = secret(&key, Some(&Passphrase::new("x")), [3; 32], QUICK);
        for (operations, memory_bytes) in [(1 << 15, 1 << 40), (u64::MAX, 1 << 20)] {
            (secret.operations, secret.memory_bytes) = (operations, memory_bytes);
            let read = SecretKey::parse(&secret.emit()).expect("own text");
            let mut ask = |_: &Path| -> Result<Passphrase> { panic!("nobody is asked") };
            let error = read.open(Path::new("k"), &mut ask).expect_err("too much");
            assert!(matches!(error, Error::CostlyKey(_)));
        }
    }
}
