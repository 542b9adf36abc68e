//! What protects a private key at rest.

use std::path::Path;

use zeroize::Zeroizing;

use crate::{Error, Result, files};

const MAX_PASSPHRASE_BYTES: usize = 4096;

/// A passphrase; it is wiped when it is dropped, and no `Debug` or error shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Takes text as it is, but for one line end.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self::from_bytes(text.as_bytes())
    }

    /// Reads the first line of a file.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::FileTooLarge`].
    pub fn read(path: &Path) -> Result<Self> {
        let limit = MAX_PASSPHRASE_BYTES;
        let too_large = || Error::FileTooLarge { path: path.to_owned(), limit: limit as u64 };
        let bytes = files::read_secret(path, limit)?.ok_or_else(too_large)?;
        Ok(Self::from_bytes(&bytes))
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Self(Zeroizing::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec()))
    }

    /// Whether it protects nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_end_is_no_part_of_it() {
        for text in ["open sesame", "open sesame\n", "open sesame\r\n", "open sesame\nmore"] {
            assert_eq!(Passphrase::new(text).as_bytes(), b"open sesame", "{text:?}");
        }
        assert!(!format!("{:?}", Passphrase::new("open sesame")).contains("sesame"));
    }
}
