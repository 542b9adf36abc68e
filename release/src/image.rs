//! A firmware image and its identity.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use whittle_format::limits::MAX_IMAGE_BYTES;

use crate::source::Source;
use crate::{Error, InputOptions, Result, files};

/// A SHA-256 digest that prints, parses and serialises as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(into = "String", try_from = "String")]
#[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[0-9a-f]{64}$")))]
pub struct Sha256Digest(pub [u8; 32]);

impl Sha256Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The first eight digits, as people compare digests.
    #[must_use]
    pub fn short(&self) -> String {
        hex(&self.0[..4])
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex(&self.0))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Sha256Digest> for String {
    fn from(digest: Sha256Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Sha256Digest {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for Sha256Digest {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        from_hex(text).map(Self).ok_or("a SHA-256 digest has 64 hexadecimal digits")
    }
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Parses exactly as many hexadecimal digits as `N` bytes take.
#[must_use]
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// The bytes that stand in a device's flash. Two images are equal if their bytes are.
#[derive(Clone)]
pub struct Image {
    bytes: Vec<u8>,
    digest: Sha256Digest,
    source: Source,
}

impl PartialEq for Image {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Image {}

impl Image {
    /// Takes bytes as an image.
    ///
    /// # Errors
    /// [`Error::ImageTooLarge`].
    pub fn new(bytes: Vec<u8>) -> Result<Self> {
        if bytes.len() as u64 > u64::from(MAX_IMAGE_BYTES) {
            return Err(Error::ImageTooLarge {
                got: bytes.len() as u64,
                limit: MAX_IMAGE_BYTES.into(),
            });
        }
        let digest = Sha256Digest::of(&bytes);
        Ok(Self { bytes, digest, source: Source::default() })
    }

    /// Reads a file whose bytes are the image.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::ImageTooLarge`].
    pub fn read(path: &Path) -> Result<Self> {
        read_file(path).and_then(Self::new)
    }

    /// Reads a firmware file in whichever format it is, and what it tells of the image.
    ///
    /// # Errors
    /// [`Error::Input`] if it is damaged; [`Error::Io`] or [`Error::ImageTooLarge`].
    pub fn read_firmware(path: &Path, options: &InputOptions) -> Result<Self> {
        let input = whittle_inputs::read(read_file(path)?, options)
            .map_err(|source| Error::Input { path: path.to_owned(), source: Box::new(source) })?;
        let source = Source::of(&input);
        Ok(Self::new(input.bytes)?.with_source(source))
    }

    /// The same bytes, of which this is known.
    #[must_use]
    pub fn with_source(self, source: Source) -> Self {
        Self { source, ..self }
    }

    /// What is known of it besides its bytes.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its SHA-256.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// Its size in bytes; at most [`MAX_IMAGE_BYTES`].
    #[must_use]
    pub fn size(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("size", &self.size()).field("digest", &self.digest).finish()
    }
}

/// Reads a file of at most as many bytes as an image has.
fn read_file(path: &Path) -> Result<Vec<u8>> {
    let limit = u64::from(MAX_IMAGE_BYTES);
    // A device or a pipe has no length of its own.
    let len = || std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let too_large = || Error::ImageTooLarge { got: len().max(limit + 1), limit };
    files::read_at_most(path, limit)?.ok_or_else(too_large)
}
