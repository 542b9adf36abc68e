//! Images with the header of MCUboot, as imgtool makes them: the device wants them whole, so they are only read and checked.
//!
//! ```text
//! 0  magic 0x96f3b83d │ 4 load address │ 8 header size u16 │ 10 size of protected trailer u16
//! 12 image size │ 16 flags │ 20 version: major u8, minor u8, revision u16, build u32 │ 28 padding to the header's size
//! image │ protected trailer │ trailer        trailer: magic u16, size u16 with these 4 bytes; entries: type u16, size u16, value
//! ```
//!
//! The hash in the trailer covers header, image and protected trailer.

use std::fmt;

use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::Note;

const MAGIC: [u8; 4] = 0x96f3_b83d_u32.to_le_bytes();
const HEADER_BYTES: usize = 32;
const TRAILER_MAGIC: u16 = 0x6907;
const PROTECTED_TRAILER_MAGIC: u16 = 0x6908;

/// What a slot ends in once the boot loader keeps its record there, with writes of at most 8 bytes and with larger ones.
const RECORD_MAGICS: [&[u8]; 2] = [
    &[
        0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f, 0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79,
        0x80,
    ],
    &[0x2d, 0xe1, 0x5d, 0x29, 0x41, 0x0b, 0x8d, 0x77, 0x67, 0x9c, 0x11, 0x0f, 0x1f, 0x8a],
];

mod flag {
    pub(super) const ENCRYPTED: u32 = 0x4 | 0x8;
    pub(super) const RAM_LOAD: u32 = 0x20;
    pub(super) const ROM_FIXED: u32 = 0x100;
}

mod entry {
    pub(super) const SHA256: u16 = 0x10;
    pub(super) const SHA384: u16 = 0x11;
    pub(super) const SHA512: u16 = 0x12;
    /// RSA, ECDSA and Ed25519.
    pub(super) const SIGNATURES: std::ops::RangeInclusive<u16> = 0x20..=0x24;
    /// The signature is over the image itself, which then needs no hash.
    pub(super) const PURE_SIGNATURE: u16 = 0x25;
    pub(super) const SECURITY_COUNTER: u16 = 0x50;
}

/// What the header of an image says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Version of the image.
    pub version: Version,
    /// Address of the header in RAM or flash, if the image is made for one.
    pub load_address: Option<u32>,
    /// Size of the header in bytes.
    pub header_bytes: u32,
    /// Size of what is behind the header, without trailers, in bytes.
    pub image_bytes: u32,
    /// Security counter in the protected trailer.
    pub security_counter: Option<u32>,
    /// Whether there is a signature; it is not verified.
    pub is_signed: bool,
    /// Whether what is behind the header is encrypted.
    pub is_encrypted: bool,
}

/// A version as MCUboot has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Changes with what is incompatible.
    pub major: u8,
    /// Changes with what is new.
    pub minor: u8,
    /// Changes with what is mended.
    pub revision: u16,
    /// Number of the build; 0 if there is none.
    pub build: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { major, minor, revision, build } = self;
        write!(f, "{major}.{minor}.{revision}")?;
        if *build == 0 { Ok(()) } else { write!(f, "+{build}") }
    }
}

/// An MCUboot image that is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum McubootError {
    /// It is shorter than it says.
    #[error("MCUboot image has {got} bytes, its {part} reaches to {wanted}")]
    Truncated {
        /// Which part.
        part: &'static str,
        /// Bytes found.
        got: u64,
        /// Bytes wanted at least.
        wanted: u64,
    },
    /// A header that is smaller than its fields.
    #[error(
        "MCUboot image says that its header has {got} bytes, {HEADER_BYTES} are wanted at least"
    )]
    HeaderSize {
        /// What it says.
        got: u16,
    },
    /// Where its trailer should be is something else.
    #[error(
        "MCUboot image has no {part} at offset {at}: {got:#06x} stands there, {wanted:#06x} is wanted"
    )]
    NoTrailer {
        /// Which trailer.
        part: &'static str,
        /// Where it should be.
        at: u64,
        /// What stands there.
        got: u16,
        /// What is wanted.
        wanted: u16,
    },
    /// The size of a trailer contradicts the header or its entries.
    #[error("{part} of the MCUboot image says that it has {got} bytes, {wanted} are wanted")]
    TrailerSize {
        /// Which trailer.
        part: &'static str,
        /// What it says.
        got: u64,
        /// What the header or its entries call for.
        wanted: u64,
    },
    /// It has no hash of itself, without which no boot loader starts it.
    #[error("MCUboot image has no hash of itself in its trailer")]
    NoHash,
    /// Its hash is that of other bytes.
    #[error(
        "MCUboot image does not have the hash in its trailer: it has changed since it was made"
    )]
    HashMismatch,
}

/// Whether these bytes begin with such a header.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Reads the header and checks sizes, trailers and hash.
///
/// # Errors
/// [`McubootError`].
pub(crate) fn check(bytes: &[u8]) -> Result<(Header, Vec<Note>), McubootError> {
    let truncated = |part: &'static str, wanted: u64| McubootError::Truncated {
        part,
        got: bytes.len() as u64,
        wanted,
    };
    let fields = bytes.first_chunk().ok_or(truncated("header", HEADER_BYTES as u64))?;
    let fields = Fields::parse(fields);
    if usize::from(fields.header_bytes) < HEADER_BYTES {
        return Err(McubootError::HeaderSize { got: fields.header_bytes });
    }
    let image_end = u64::from(fields.header_bytes).saturating_add(fields.image_bytes.into());
    let protected_end = image_end.saturating_add(fields.protected_bytes.into());
    let covered = usize::try_from(protected_end).ok().and_then(|end| bytes.get(..end));
    let covered = covered.ok_or(truncated("image", protected_end))?;
    let mut entries = Vec::new();
    if fields.protected_bytes > 0 {
        let (part, wanted) = ("protected trailer", u64::from(fields.protected_bytes));
        let size = trailer(bytes, image_end, PROTECTED_TRAILER_MAGIC, part, &mut entries)?;
        if size != wanted {
            return Err(McubootError::TrailerSize { part, got: size, wanted });
        }
    }
    let security_counter = entries.iter().find(|entry| entry.kind == entry::SECURITY_COUNTER);
    let security_counter =
        security_counter.and_then(|entry| Some(word(entry.value.try_into().ok()?)));
    let size = trailer(bytes, protected_end, TRAILER_MAGIC, "trailer", &mut entries)?;
    let end = protected_end.saturating_add(size);
    let is_encrypted = fields.flags & flag::ENCRYPTED != 0;
    let is_pure = entries.iter().any(|entry| entry.kind == entry::PURE_SIGNATURE);
    let mut notes = Vec::new();
    match check_hash(&entries, covered) {
        None if is_pure => notes.push(Note::HashNotChecked),
        _ if is_encrypted => notes.push(Note::HashNotChecked),
        None => return Err(McubootError::NoHash),
        Some(false) => return Err(McubootError::HashMismatch),
        Some(true) => {}
    }
    let is_signed = entries.iter().any(|entry| entry::SIGNATURES.contains(&entry.kind));
    if !is_signed {
        notes.push(Note::NotSigned);
    }
    notes.extend(behind(bytes, end));
    let is_fixed = fields.flags & (flag::RAM_LOAD | flag::ROM_FIXED) != 0;
    let header = Header {
        version: fields.version,
        load_address: is_fixed.then_some(fields.load_address),
        header_bytes: fields.header_bytes.into(),
        image_bytes: fields.image_bytes,
        security_counter,
        is_signed,
        is_encrypted,
    };
    Ok((header, notes))
}

/// Numbers of the header.
struct Fields {
    load_address: u32,
    header_bytes: u16,
    protected_bytes: u16,
    image_bytes: u32,
    flags: u32,
    version: Version,
}

impl Fields {
    fn parse(bytes: &[u8; HEADER_BYTES]) -> Self {
        let [
            _,
            _,
            _,
            _,
            a0,
            a1,
            a2,
            a3,
            h0,
            h1,
            p0,
            p1,
            i0,
            i1,
            i2,
            i3,
            f0,
            f1,
            f2,
            f3,
            major,
            minor,
            r0,
            r1,
            b0,
            b1,
            b2,
            b3,
            ..,
        ] = *bytes;
        Self {
            load_address: word([a0, a1, a2, a3]),
            header_bytes: u16::from_le_bytes([h0, h1]),
            protected_bytes: u16::from_le_bytes([p0, p1]),
            image_bytes: word([i0, i1, i2, i3]),
            flags: word([f0, f1, f2, f3]),
            version: Version {
                major,
                minor,
                revision: u16::from_le_bytes([r0, r1]),
                build: word([b0, b1, b2, b3]),
            },
        }
    }
}

struct Entry<'a> {
    kind: u16,
    value: &'a [u8],
}

/// Appends a trailer's entries, and returns its size.
fn trailer<'a>(
    bytes: &'a [u8],
    at: u64,
    magic: u16,
    part: &'static str,
    entries: &mut Vec<Entry<'a>>,
) -> Result<u64, McubootError> {
    let truncated = |size: u64| {
        let (got, wanted) = (bytes.len() as u64, at.saturating_add(size));
        McubootError::Truncated { part, got, wanted }
    };
    let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
    let Some(([m0, m1, s0, s1], _)) = rest.split_first_chunk() else { return Err(truncated(4)) };
    let got = u16::from_le_bytes([*m0, *m1]);
    if got != magic {
        return Err(McubootError::NoTrailer { part, at, got, wanted: magic });
    }
    let size = u16::from_le_bytes([*s0, *s1]);
    let mut inside = rest.get(..size.into()).ok_or_else(|| truncated(size.into()))?;
    inside =
        inside.get(4..).ok_or(McubootError::TrailerSize { part, got: size.into(), wanted: 4 })?;
    while !inside.is_empty() {
        let entry = inside.split_first_chunk().and_then(|([k0, k1, l0, l1], rest)| {
            let value = rest.split_at_checked(u16::from_le_bytes([*l0, *l1]).into())?;
            Some((u16::from_le_bytes([*k0, *k1]), value))
        });
        let Some((kind, (value, rest))) = entry else {
            let wanted = entries_reach(size, inside);
            return Err(McubootError::TrailerSize { part, got: size.into(), wanted });
        };
        entries.push(Entry { kind, value });
        inside = rest;
    }
    Ok(size.into())
}

/// The size of a trailer whose last entry does not fit it.
fn entries_reach(size: u16, last: &[u8]) -> u64 {
    let begins = u64::from(size).saturating_sub(last.len() as u64);
    let value = match last {
        [_, _, l0, l1, ..] => u16::from_le_bytes([*l0, *l1]),
        _ => 0,
    };
    begins.saturating_add(4).saturating_add(value.into())
}

/// Whether the hash among the entries is that of these bytes; `None` if there is none.
fn check_hash(entries: &[Entry<'_>], covered: &[u8]) -> Option<bool> {
    entries.iter().find_map(|entry| match entry.kind {
        entry::SHA256 => Some(Sha256::digest(covered)[..] == *entry.value),
        entry::SHA384 => Some(Sha384::digest(covered)[..] == *entry.value),
        entry::SHA512 => Some(Sha512::digest(covered)[..] == *entry.value),
        _ => None,
    })
}

/// What is behind the trailers.
fn behind(bytes: &[u8], end: u64) -> Option<Note> {
    let behind = usize::try_from(end).ok().and_then(|end| bytes.get(end..)).unwrap_or_default();
    match behind.len() {
        0 => None,
        _ if RECORD_MAGICS.iter().any(|magic| behind.ends_with(magic)) => Some(Note::PaddedToSlot),
        len => Some(Note::BytesBehind(len as u64)),
    }
}

fn word(bytes: [u8; 4]) -> u32 {
    u32::from_le_bytes(bytes)
}
