//! Images for the boot loader of ESP-IDF: the device wants them whole, so they are only read and checked.
//!
//! ```text
//! 0  magic 0xe9 │ 1 segments │ 2 flash mode, speed, size │ 4 entry │ 8 pins │ 12 chip u16 │ 14 revisions │ 23 has a SHA-256?
//! 24 segments: address, size, bytes… │ zeros up to the last byte of 16 │ checksum │ SHA-256 of all in front of it
//! ```
//!
//! The checksum is 0xef and all bytes of segments, XORed. The first segment of an application begins with its description.

use sha2::{Digest as _, Sha256};
use whittle_delta::compact::InstructionSet;

use crate::Note;

const MAGIC: u8 = 0xe9;
const HEADER_BYTES: usize = 24;
const MAX_SEGMENTS: u8 = 16;
const CHECKSUM_SEED: u8 = 0xef;
const HASH_BYTES: usize = 32;
const APP_MAGIC: [u8; 4] = 0xabcd_5432_u32.to_le_bytes();

/// Where anything that an image loads or runs can lie.
const ADDRESSES: std::ops::Range<u32> = 0x2000_0000..0x6000_0000;

/// What the header of an image says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which chip it is for.
    pub chip: Chip,
    /// Where it begins to run.
    pub entry: u32,
    /// Its segments.
    pub segments: Vec<Segment>,
    /// Description of the application; boot loaders have none.
    pub app: Option<App>,
}

/// A stretch that is loaded or mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Address of its first byte.
    pub address: u32,
    /// Its size in bytes.
    pub bytes: u32,
}

/// What an application says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Name of the project.
    pub project: String,
    /// Version of the application.
    pub version: String,
    /// Version of ESP-IDF.
    pub idf_version: String,
    /// Security counter.
    pub secure_version: u32,
}

/// A chip with a number of its own in image headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chip(&'static str, InstructionSet);

impl Chip {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0
    }

    /// Its instruction set.
    #[must_use]
    pub fn instruction_set(self) -> InstructionSet {
        self.1
    }

    fn from_id(id: u16) -> Option<Self> {
        use InstructionSet::{Riscv32, Xtensa};
        let (name, set) = match id {
            0 => ("ESP32", Xtensa),
            2 => ("ESP32-S2", Xtensa),
            9 => ("ESP32-S3", Xtensa),
            5 => ("ESP32-C3", Riscv32),
            12 => ("ESP32-C2", Riscv32),
            13 => ("ESP32-C6", Riscv32),
            16 => ("ESP32-H2", Riscv32),
            18 => ("ESP32-P4", Riscv32),
            20 => ("ESP32-C61", Riscv32),
            23 => ("ESP32-C5", Riscv32),
            25 => ("ESP32-H21", Riscv32),
            28 => ("ESP32-H4", Riscv32),
            32 => ("ESP32-S31", Riscv32),
            _ => return None,
        };
        Some(Self(name, set))
    }
}

/// An ESP-IDF image that is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EspError {
    /// It is shorter than its segments.
    #[error("ESP-IDF image has {got} bytes, its segment {segment} reaches to {wanted}")]
    Segment {
        /// Which segment; the first is 0.
        segment: u8,
        /// Bytes found.
        got: u64,
        /// Bytes wanted at least.
        wanted: u64,
    },
    /// It ends before its checksum or hash.
    #[error("ESP-IDF image has {got} bytes, its checksum and hash reach to {wanted}")]
    NoEnd {
        /// Bytes found.
        got: u64,
        /// Bytes wanted at least.
        wanted: u64,
    },
    /// Its checksum is another.
    #[error("checksum of the ESP-IDF image is {got:#04x}, its segments make {wanted:#04x}")]
    Checksum {
        /// What stands there.
        got: u8,
        /// What the segments call for.
        wanted: u8,
    },
    /// Its hash is that of other bytes.
    #[error("ESP-IDF image does not have the SHA-256 at its end: it has changed since it was made")]
    HashMismatch,
}

/// Whether these bytes begin with such a header, as far as can be told: the magic alone is one byte.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    let Some(header) = bytes.first_chunk() else { return false };
    let fields = Fields::parse(header);
    let first = bytes.get(HEADER_BYTES..).and_then(<[u8]>::first_chunk);
    let first_address = first.map_or(fields.entry, |address| u32::from_le_bytes(*address));
    fields.magic == MAGIC
        && (1..=MAX_SEGMENTS).contains(&fields.segments)
        && fields.chip.is_some()
        && fields.has_hash <= 1
        && [fields.entry, first_address].iter().all(|address| ADDRESSES.contains(address))
}

/// Reads the header and checks segments, checksum and hash.
///
/// # Errors
/// [`EspError`].
pub(crate) fn check(bytes: &[u8]) -> Result<(Header, Vec<Note>), EspError> {
    let got = bytes.len() as u64;
    let no_end = |wanted: usize| EspError::NoEnd { got, wanted: wanted as u64 };
    let fields = Fields::parse(bytes.first_chunk().ok_or(no_end(HEADER_BYTES))?);
    let chip = fields.chip.ok_or(no_end(HEADER_BYTES))?;
    let mut at = HEADER_BYTES;
    let (mut segments, mut checksum) = (Vec::new(), CHECKSUM_SEED);
    for segment in 0..fields.segments {
        let rest = bytes.get(at..).unwrap_or_default();
        let short = |wanted: u64| EspError::Segment { segment, got, wanted };
        let Some(([a0, a1, a2, a3, l0, l1, l2, l3], rest)) = rest.split_first_chunk() else {
            return Err(short((at as u64).saturating_add(8)));
        };
        let len = u32::from_le_bytes([*l0, *l1, *l2, *l3]);
        let end = (at as u64).saturating_add(8).saturating_add(len.into());
        let data = rest.get(..len as usize).ok_or_else(|| short(end))?;
        checksum = data.iter().fold(checksum, |sum, byte| sum ^ byte);
        segments.push(Segment { address: u32::from_le_bytes([*a0, *a1, *a2, *a3]), bytes: len });
        at = at.saturating_add(8).saturating_add(data.len());
    }
    // At least one byte follows, up to a multiple of 16.
    let hashed = (at | 15).saturating_add(1);
    let hash_bytes = if fields.has_hash == 0 { 0 } else { HASH_BYTES };
    let end = hashed.saturating_add(hash_bytes);
    let (Some(image), Some(hash)) = (bytes.get(..hashed), bytes.get(hashed..end)) else {
        return Err(no_end(end));
    };
    let stored = image.last().copied().unwrap_or_default();
    if stored != checksum {
        return Err(EspError::Checksum { got: stored, wanted: checksum });
    }
    if !hash.is_empty() && Sha256::digest(image)[..] != *hash {
        return Err(EspError::HashMismatch);
    }
    let app = bytes.get(HEADER_BYTES.saturating_add(8)..).and_then(App::parse);
    let mut notes = Vec::new();
    notes.extend(app.is_none().then_some(Note::NoAppDescription));
    notes.extend(hash.is_empty().then_some(Note::NoHash));
    let behind = bytes.len().saturating_sub(end) as u64;
    notes.extend((behind > 0).then_some(Note::BytesBehind(behind)));
    Ok((Header { chip, entry: fields.entry, segments, app }, notes))
}

struct Fields {
    magic: u8,
    segments: u8,
    entry: u32,
    chip: Option<Chip>,
    has_hash: u8,
}

impl Fields {
    fn parse(header: &[u8; HEADER_BYTES]) -> Self {
        let [magic, segments, _, _, e0, e1, e2, e3, _, _, _, _, c0, c1, .., has_hash] = *header;
        Self {
            magic,
            segments,
            entry: u32::from_le_bytes([e0, e1, e2, e3]),
            chip: Chip::from_id(u16::from_le_bytes([c0, c1])),
            has_hash,
        }
    }
}

impl App {
    /// Reads a description: magic, security counter, 8 bytes, version, project, time and date of 16 bytes each, version of ESP-IDF.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&APP_MAGIC)?;
        let (secure_version, rest) = rest.split_first_chunk()?;
        let (version, rest) = rest.get(8..)?.split_first_chunk::<32>()?;
        let (project, rest) = rest.split_first_chunk::<32>()?;
        let idf_version = rest.get(32..)?.first_chunk::<32>()?;
        Some(Self {
            project: text(project),
            version: text(version),
            idf_version: text(idf_version),
            secure_version: u32::from_le_bytes(*secure_version),
        })
    }
}

/// Text up to the first zero; what is no printable ASCII is shown as a question mark.
fn text(bytes: &[u8]) -> String {
    let text = bytes.iter().take_while(|byte| **byte != 0);
    text.map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' }).collect()
}
