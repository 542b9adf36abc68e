//! Why bytes were not what they claimed to be.
//!
//! Errors carry no numbers: as part of the device's errors they are returned in one register, which makes all of its code
//! smaller. Whoever has the bytes can look at what is in them.

use core::fmt;

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
    ComponentProduct: "product of a component",
    Components: "components",
    DeviceId: "length of a device id",
    DocumentSwitches: "switches of the document",
    Ending: "ending",
    FlagOrder: "order of the flags",
    FlagSwitches: "switches of a flag",
    Flags: "flags",
    FlagsDocument: "length of a flags document",
    HardwareMin: "lowest hardware revision",
    KeyRoles: "roles of a key",
    Keys: "keys",
    Kind: "kind",
    ManifestEnvelope: "manifest envelope",
    MemoryClass: "memory class",
    Packages: "packages",
    PayloadLength: "payload length",
    PayloadSize: "payload size",
    Phase: "phase",
    Progress: "progress",
    RequiredVersion: "required version",
    Requirements: "requirements",
    Reserved: "reserved byte",
    RevokedKey: "a revoked key",
    RevokedKeys: "revoked keys",
    Rules: "rules of a flag",
    Share: "share",
    Signatures: "signatures",
    Slot: "slot",
    Subject: "subject",
    Subjects: "subjects of a rule",
    TargetSize: "target size",
    Threshold: "threshold",
}

/// A layout error; all of them are the fault of whoever made the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes end before the layout does.
    Truncated,
    /// Bytes follow the end of the layout.
    TrailingBytes,
    /// The bytes do not begin with a COSE_Sign1 envelope of the one shape that whittle emits.
    NotAnEnvelope,
    /// The payload is of another kind or of a format version that this reader does not know.
    WrongMagic,
    /// A declared number is above its limit, or below its minimum.
    OutOfRange {
        /// Which field.
        field: Part,
    },
    /// A field holds a code that no reader of this version knows.
    UnknownCode {
        /// Which field.
        field: Part,
    },
    /// A name is empty, too long, has a character outside `A-Z a-z 0-9 . _ + -`, or begins with a dot or hyphen.
    BadLabel,
    /// A full image names a base, or two fields contradict each other.
    Contradiction {
        /// Which field.
        field: Part,
    },
    /// The caller's buffer is too small.
    BufferTooSmall,
}

const _: () = assert!(size_of::<FormatError>() == 2);

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("incomplete"),
            Self::TrailingBytes => f.write_str("bytes follow the end"),
            Self::NotAnEnvelope => f.write_str("not a signed whittle envelope"),
            Self::WrongMagic => f.write_str("payload of another kind or version"),
            Self::OutOfRange { field } => write!(f, "{field} is out of range"),
            Self::UnknownCode { field } => write!(f, "{field} has an unknown code"),
            Self::BadLabel => f.write_str(
                "a name must be 1 to 32 characters of `A-Z a-z 0-9 . _ + -`, no dot or hyphen first",
            ),
            Self::Contradiction { field } => write!(f, "{field} contradicts another field"),
            Self::BufferTooSmall => f.write_str("buffer too small"),
        }
    }
}

impl core::error::Error for FormatError {}
