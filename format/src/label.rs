//! Names that are safe in a file name, a log line and a 32-byte field.

use core::fmt;
use core::str::FromStr;

use crate::FormatError;
use crate::limits::MAX_LABEL_BYTES;

/// A product name or version: 1 to 32 characters of `A-Z a-z 0-9 . _ + -`, beginning with none of `. -`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    bytes: [u8; MAX_LABEL_BYTES],
    len: u8,
}

impl Label {
    /// Checks bytes and takes them as a label.
    ///
    /// # Errors
    /// [`FormatError::BadLabel`] if they are empty, too long, begin with a dot or hyphen, or hold any other character.
    pub fn parse(name: &[u8]) -> Result<Self, FormatError> {
        let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'+' | b'-');
        // Hidden files and options of commands begin so.
        let starts_badly = matches!(name.first(), Some(b'.' | b'-'));
        let mut bytes = [0; MAX_LABEL_BYTES];
        let room = bytes.get_mut(..name.len()).ok_or(FormatError::BadLabel)?;
        if name.is_empty() || starts_badly || !name.iter().all(allowed) {
            return Err(FormatError::BadLabel);
        }
        for (to, from) in room.iter_mut().zip(name) {
            *to = *from;
        }
        let len = u8::try_from(name.len()).map_err(|_| FormatError::BadLabel)?;
        Ok(Self { bytes, len })
    }

    /// The characters as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The characters as bytes, and zeros behind them.
    pub(crate) fn filled(&self) -> [u8; MAX_LABEL_BYTES] {
        self.bytes
    }

    /// The characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl FromStr for Label {
    type Err = FormatError;
    fn from_str(name: &str) -> Result<Self, FormatError> {
        Self::parse(name.as_bytes())
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Label {
    fn format(&self, f: defmt::Formatter<'_>) {
        self.as_str().format(f);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_products_are_labels() {
        for name in [
            "thermostat",
            "2.4.1",
            "2025.01-3+deb13u1",
            "x",
            "ABC_def",
            "a2345678901234567890123456789012",
        ] {
            assert_eq!(name.parse::<Label>().map(|l| l.as_str() == name), Ok(true), "{name}");
        }
    }

    #[test]
    fn what_could_escape_a_directory_is_not() {
        for name in [
            "",
            ".",
            "..",
            "-x",
            "../x",
            "a/b",
            "a b",
            "ä",
            "a\0",
            "a23456789012345678901234567890123",
        ] {
            assert_eq!(name.parse::<Label>(), Err(FormatError::BadLabel), "{name}");
        }
    }
}
