//! Which format a file is in.

use std::fmt;
use std::str::FromStr;

use crate::{elf, esp, hex_lines, ihex, mcuboot, srec, uf2};

/// A format of firmware files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The bytes as they stand in flash.
    Raw,
    /// Intel HEX.
    IntelHex,
    /// Motorola's S-records.
    Srec,
    /// UF2, for boot loaders that look like a drive.
    Uf2,
    /// ELF, of firmware.
    Elf,
    /// An image for the boot loader of ESP-IDF.
    Esp,
    /// An image with the header of MCUboot.
    Mcuboot,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Raw, Self::IntelHex, Self::Srec, Self::Uf2, Self::Elf, Self::Esp, Self::Mcuboot];

    /// Whether its files say where their bytes belong, so that a range of addresses may be taken from them.
    #[must_use]
    pub fn has_addresses(self) -> bool {
        matches!(self, Self::IntelHex | Self::Srec | Self::Uf2 | Self::Elf)
    }

    /// Its name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::IntelHex => "ihex",
            Self::Srec => "srec",
            Self::Uf2 => "uf2",
            Self::Elf => "elf",
            Self::Esp => "esp",
            Self::Mcuboot => "mcuboot",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Raw => "raw",
            Self::IntelHex => "Intel HEX",
            Self::Srec => "S-record",
            Self::Uf2 => "UF2",
            Self::Elf => "ELF",
            Self::Esp => "ESP-IDF",
            Self::Mcuboot => "MCUboot",
        })
    }
}

/// A name that is none of [`Format::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a format is one of raw, ihex, srec, uf2, elf, esp, mcuboot")]
pub struct UnknownFormat;

impl FromStr for Format {
    type Err = UnknownFormat;
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or(UnknownFormat)
    }
}

/// Tells a file's format by what it begins with.
///
/// What begins as a format does is taken for it even where the rest is damaged: a broken file must not become a raw image in
/// silence. One byte is not enough for that, so text must look like text, and the header of an ESP-IDF image must make sense.
#[must_use]
pub fn recognise(file: &[u8]) -> Format {
    if elf::begins(file) {
        return Format::Elf;
    }
    if uf2::begins(file) {
        return Format::Uf2;
    }
    let text = hex_lines::first_lines(file).find_map(|line| match line {
        line if ihex::is_record(line) => Some(Format::IntelHex),
        line if srec::is_record(line) => Some(Format::Srec),
        _ => None,
    });
    text.unwrap_or_else(|| header(file))
}

/// The format of bytes that stay as they are, by their header.
pub(crate) fn header(bytes: &[u8]) -> Format {
    if mcuboot::begins(bytes) {
        Format::Mcuboot
    } else if esp::begins(bytes) {
        Format::Esp
    } else {
        Format::Raw
    }
}

/// The text format that a file in UTF-16 would be in.
pub(crate) fn of_utf_16(file: &[u8]) -> Option<Format> {
    match hex_lines::first_of_utf_16(file)? {
        [b':', second] if second.is_ascii_hexdigit() => Some(Format::IntelHex),
        [b'S', b'0'..=b'3'] => Some(Format::Srec),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_is_not_enough() {
        for file in
            [&b":\x00\x01binary"[..], b"S0\xff\xfe", b"\xe9", &[0xe9; 64], b"SOS", b"S", b""]
        {
            assert_eq!(recognise(file), Format::Raw, "{file:?}");
        }
        assert_eq!(recognise(b"\r\n  :zz"), Format::IntelHex);
        assert_eq!(recognise(b"\xef\xbb\xbf:00000001FF"), Format::IntelHex);
        assert_eq!(recognise(b"S0xx"), Format::Srec);
        assert_eq!(recognise(b"S1137AF0"), Format::Srec);
    }

    #[test]
    fn names_are_read_back() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
        assert_eq!("hex".parse::<Format>(), Err(UnknownFormat));
    }
}
