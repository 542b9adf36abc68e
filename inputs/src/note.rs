//! What people should know of a file that was taken all the same.

use std::fmt;

use crate::elf::Kept;

/// Something about a file that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// Bytes between its pieces, which the file says nothing of.
    GapsFilled {
        /// How many gaps.
        gaps: u32,
        /// Bytes in all of them.
        bytes: u64,
        /// What stands there now.
        fill: u8,
    },
    /// Bytes outside the range of addresses that was asked for.
    OutsideRange {
        /// How many.
        bytes: u64,
    },
    /// An ELF file that is delivered as it is.
    ElfKept(Kept),
    /// Blocks of a UF2 file that stand there more than once, with the same bytes.
    RepeatedBlocks(u32),
    /// Blocks of a UF2 file that are not for the main flash, and were left out.
    NotMainFlash(u32),
    /// Blocks of a UF2 file that are there for a fault of a boot loader only, and were left out.
    IgnoredBlocks(u32),
    /// Blocks of a UF2 file for other families than the one that was asked for.
    OtherFamilies(u32),
    /// Checksums within a UF2 file that are of more bytes than it holds, or of a kind that is not known.
    ChecksumsNotChecked(u32),
    /// A family of chips whose instruction set is not known.
    UnknownFamily(u32),
    /// An ESP-IDF image without a description of its application, as boot loaders have none.
    NoAppDescription,
    /// An ESP-IDF image without a SHA-256 of itself.
    NoHash,
    /// An MCUboot image whose own hash is of what it is decrypted to, or that has a signature of the image instead.
    HashNotChecked,
    /// An MCUboot image that nobody has signed: most boot loaders refuse it.
    NotSigned,
    /// An MCUboot image that fills its slot, with the record of the boot loader at the end: such an image is for flashing by wire.
    PaddedToSlot,
    /// Bytes behind the image that its header describes, such as a signature or padding.
    BytesBehind(u64),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GapsFilled { gaps: 1, bytes, fill } => {
                write!(f, "a gap of {} is filled with {fill:#04x}", counted(*bytes, "byte"))
            }
            Self::GapsFilled { gaps, bytes, fill } => {
                write!(f, "{gaps} gaps of {bytes} bytes in all are filled with {fill:#04x}")
            }
            Self::OutsideRange { bytes } => {
                let (what, are) = (counted(*bytes, "byte"), are(*bytes));
                write!(f, "{what} outside the range of addresses {are} left out")
            }
            Self::ElfKept(why) => write!(f, "the ELF file is delivered as it is: {why}"),
            Self::RepeatedBlocks(count) => {
                let (what, stand) = (counted(*count, "block"), if *count == 1 { "stands" } else { "stand" });
                write!(f, "{what} {stand} there again, with the same bytes")
            }
            Self::NotMainFlash(count) => {
                let (what, are) = (counted(*count, "block"), are(*count));
                write!(f, "{what} {are} not for the main flash and {are} left out")
            }
            Self::IgnoredBlocks(count) => {
                let (what, are) = (counted(*count, "block"), are(*count));
                write!(f, "{what} for a fault of the boot loader {are} left out")
            }
            Self::OtherFamilies(count) => {
                let (what, are) = (counted(*count, "block"), are(*count));
                write!(f, "{what} of other families {are} left out")
            }
            Self::ChecksumsNotChecked(count) => {
                let (what, are) = (counted(*count, "checksum"), are(*count));
                write!(f, "{what} in the UF2 file {are} not checked: what they are of is not all there")
            }
            Self::UnknownFamily(family) => {
                write!(f, "the instruction set of family {family:#010x} is not known")
            }
            Self::NoAppDescription => {
                f.write_str("the image describes no application: is it a boot loader?")
            }
            Self::NoHash => f.write_str("the image has no SHA-256 of itself"),
            Self::HashNotChecked => f.write_str("the image has no hash that can be checked here"),
            Self::NotSigned => f.write_str("the image is not signed for MCUboot"),
            Self::PaddedToSlot => f.write_str(
                "the image is padded to its slot and ends in a record of MCUboot: sign without `--pad` for updates",
            ),
            Self::BytesBehind(1) => f.write_str("1 byte follows the image"),
            Self::BytesBehind(count) => write!(f, "{count} bytes follow the image"),
        }
    }
}

/// So many of something.
fn counted(count: impl Into<u64>, what: &str) -> String {
    match count.into() {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

fn are(count: impl Into<u64>) -> &'static str {
    if count.into() == 1 { "is" } else { "are" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        for (note, text) in [
            (Note::BytesBehind(1), "1 byte follows the image"),
            (Note::BytesBehind(2), "2 bytes follow the image"),
            (
                Note::GapsFilled { gaps: 1, bytes: 1, fill: 0xff },
                "a gap of 1 byte is filled with 0xff",
            ),
            (Note::OutsideRange { bytes: 1 }, "1 byte outside the range of addresses is left out"),
            (Note::RepeatedBlocks(1), "1 block stands there again, with the same bytes"),
            (Note::NotMainFlash(1), "1 block is not for the main flash and is left out"),
            (Note::NotMainFlash(2), "2 blocks are not for the main flash and are left out"),
            (Note::IgnoredBlocks(1), "1 block for a fault of the boot loader is left out"),
            (Note::OtherFamilies(1), "1 block of other families is left out"),
        ] {
            assert_eq!(note.to_string(), text);
        }
    }
}
