//! Why bytes were not what they claimed to be.
//!
//! Errors carry little, and nothing that wants to be aligned: as part of the device's errors they are returned in two
//! registers.

use core::fmt;

/// A number in an error, without an alignment.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Number([u8; 4]);

impl Number {
    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        u32::from_ne_bytes(self.0)
    }
}

impl From<u32> for Number {
    fn from(number: u32) -> Self {
        Self(number.to_ne_bytes())
    }
}

impl From<usize> for Number {
    /// Numbers beyond 2^32 become the largest.
    fn from(number: usize) -> Self {
        u32::try_from(number).unwrap_or(u32::MAX).into()
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

macro_rules! parts {
    ($($part:ident: $name:literal),* $(,)?) => {
        /// What of a document is wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub enum Part {
            $(#[doc = concat!("The ", $name, ".")] $part),*
        }

        impl fmt::Display for Part {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$part => $name),*
                })
            }
        }
    };
}
parts! {
    AttachmentKind: "attachment kind",
    Attachments: "attachments",
    BaseOfFullImage: "base of a full image",
    BaseOfPackage: "base of a package",
    BaseSize: "base size",
    Bases: "bases",
    BlockSize: "block size (log2)",
    Codec: "codec",
    DeviceId: "length of a device id",
    DocumentSwitches: "switches of the document",
    Ending: "ending",
    FlagOrder: "order of the flags",
    FlagSwitches: "switches of a flag",
    Flags: "flags",
    FlagsDocument: "length of a flags document",
    HardwareMin: "lowest hardware revision",
    IndexEnvelope: "index envelope",
    Kind: "kind",
    ManifestEnvelope: "manifest envelope",
    MemoryClass: "memory class",
    Packages: "packages",
    PayloadLength: "payload length",
    PayloadSize: "payload size",
    Phase: "phase",
    Progress: "progress",
    Reserved: "reserved byte",
    Rules: "rules of a flag",
    Share: "share",
    Slot: "slot",
    Subject: "subject",
    Subjects: "subjects of a rule",
    TargetSize: "target size",
}

/// A layout error; all of them are the fault of whoever made the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes end before the layout does.
    Truncated {
        /// Bytes that the layout needs up to the missing field.
        needed: Number,
    },
    /// Bytes follow the end of the layout.
    TrailingBytes {
        /// How many bytes are left over.
        extra: Number,
    },
    /// The bytes do not begin with a COSE_Sign1 envelope of the one shape that whittle emits.
    NotAnEnvelope {
        /// Offset of the first byte that differs.
        offset: Number,
    },
    /// The payload is of another kind or of a format version that this reader does not know.
    WrongMagic {
        /// The magic that was found.
        got: [u8; 4],
    },
    /// A declared number is above its limit, or below its minimum.
    OutOfRange {
        /// Which field.
        field: Part,
        /// The declared value.
        got: Number,
    },
    /// A field holds a code that no reader of this version knows.
    UnknownCode {
        /// Which field.
        field: Part,
        /// The code.
        got: u8,
    },
    /// A name is empty, too long, has a character outside `A-Z a-z 0-9 . _ + -`, or begins with a dot or hyphen.
    BadLabel,
    /// A full image names a base, or two fields contradict each other.
    Contradiction {
        /// Which field.
        field: Part,
    },
    /// The caller's buffer is too small.
    BufferTooSmall {
        /// Bytes that are needed.
        needed: Number,
    },
}

const _: () = assert!(size_of::<FormatError>() == 5);

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { needed } => write!(f, "incomplete, {needed} bytes are needed"),
            Self::TrailingBytes { extra } => write!(f, "{extra} bytes follow the end"),
            Self::NotAnEnvelope { offset } => {
                write!(f, "not a signed whittle envelope (differs at byte {offset})")
            }
            Self::WrongMagic { got } => {
                write!(f, "payload of another kind or version: it begins with {got:02x?}")
            }
            Self::OutOfRange { field, got } => write!(f, "{field} is out of range: {got}"),
            Self::UnknownCode { field, got } => write!(f, "{field} has the unknown code {got}"),
            Self::BadLabel => f.write_str(
                "a name must be 1 to 32 characters of `A-Z a-z 0-9 . _ + -`, no dot or hyphen first",
            ),
            Self::Contradiction { field } => write!(f, "{field} contradicts another field"),
            Self::BufferTooSmall { needed } => {
                write!(f, "buffer too small, {needed} bytes are needed")
            }
        }
    }
}

impl core::error::Error for FormatError {}
