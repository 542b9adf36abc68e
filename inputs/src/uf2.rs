//! UF2: blocks of 512 bytes that a boot loader takes in any order, as a drive would.
//!
//! ```text
//! 0  "UF2\n" │ 4 0x9e5d5157 │ 8 flags │ 12 address │ 16 payload bytes │ 20 number │ 24 blocks │ 28 family, or size of the file
//! 32 payload, up to 476 bytes; extensions behind it; MD5 of a region, 24 bytes │ 508 0x0ab16f30
//! ```

mod checksums;

use std::collections::{BTreeMap, BTreeSet};

use whittle_delta::compact::InstructionSet;

use crate::memory::{Flat, Memory, Place};
use crate::{Error, MemoryError, Note, Options};
use checksums::RegionMd5;

const BLOCK_BYTES: usize = 512;
const MAX_PAYLOAD_BYTES: usize = 476;
const MAGIC: [u8; 8] = *b"UF2\n\x57\x51\x5d\x9e";
const END_MAGIC: [u8; 4] = 0x0ab1_6f30_u32.to_le_bytes();

mod flag {
    pub(super) const NOT_MAIN_FLASH: u32 = 1;
    pub(super) const FILE_CONTAINER: u32 = 0x1000;
    pub(super) const HAS_FAMILY: u32 = 0x2000;
    pub(super) const HAS_MD5: u32 = 0x4000;
    pub(super) const HAS_EXTENSIONS: u32 = 0x8000;
}

/// Type of the extension that holds the version of the firmware.
const VERSION_EXTENSION: [u8; 3] = [0xbc, 0xc7, 0x9f];

/// Type of the extension that holds the SHA-2 of the firmware.
const SHA2_EXTENSION: [u8; 3] = [0xb0, 0x6d, 0xb4];

/// The family of blocks that any chip of the RP2 series takes.
const RP2_ABSOLUTE: u32 = 0xe48b_ff57;

/// What fills the block in front of images for the RP2350, which works around its fault E10.
const IGNORED_FILL: u8 = 0xef;

/// Blocks that do not make an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Uf2Error {
    /// The file ends within a block.
    #[error("UF2 file ends {0} bytes into a block of {BLOCK_BYTES}")]
    PartialBlock(usize),
    /// Something else stands where a block should be.
    #[error("block {0} of the UF2 file has wrong magic numbers")]
    Magic(u32),
    /// A block says that it holds more than there is room for.
    #[error("block {block} of the UF2 file says that it holds {got} bytes, the limit is {limit}")]
    Payload {
        /// Which block, counted in the file.
        block: u32,
        /// What it says.
        got: u32,
        /// The limit in bytes; lower if a checksum stands behind them.
        limit: usize,
    },
    /// A file for a file system, not for flash.
    #[error("block {0} of the UF2 file is part of a file, not of flash")]
    FileContainer(u32),
    /// Two blocks disagree on how many there are.
    #[error("block {block} of the UF2 file is one of {got}, block {other} one of {wanted}")]
    BlockCount {
        /// Which block, counted in the file.
        block: u32,
        /// What it says.
        got: u32,
        /// The first block of its family.
        other: u32,
        /// What that one says.
        wanted: u32,
    },
    /// A block's number is not below the number of blocks.
    #[error("block {block} of the UF2 file has the number {number} of {count}")]
    Number {
        /// Which block, counted in the file.
        block: u32,
        /// Its number.
        number: u32,
        /// How many there are.
        count: u32,
    },
    /// Two blocks have the same number and other bytes.
    #[error(
        "blocks {first} and {second} of the UF2 file are both number {number}, with different contents"
    )]
    Contradiction {
        /// The number.
        number: u32,
        /// The first of them, counted in the file.
        first: u32,
        /// The second one.
        second: u32,
    },
    /// Blocks are missing.
    #[error("UF2 file lacks {missing} of {count} blocks, number {first} first")]
    Missing {
        /// How many.
        missing: u32,
        /// How many there should be.
        count: u32,
        /// Number of the first that is missing.
        first: u32,
    },
    /// It holds images for several families of chips.
    #[error("UF2 file is for several families: {}", list(families))]
    SeveralFamilies {
        /// Which ones; `None` for blocks without a family.
        families: Vec<Option<u32>>,
    },
    /// It holds no image for the family that was asked for.
    #[error("UF2 file holds nothing for family {wanted:#010x}, but for {}", list(families))]
    NoSuchFamily {
        /// Which one was asked for.
        wanted: u32,
        /// Which ones there are.
        families: Vec<Option<u32>>,
    },
    /// A region has other bytes than its MD5 is of.
    #[error(
        "addresses {from:#x} to {to:#x} do not have the MD5 that block {block} of the UF2 file names"
    )]
    RegionChanged {
        /// Which block, counted in the file.
        block: u32,
        /// The region's first address.
        from: u64,
        /// The first one behind it.
        to: u64,
    },
    /// The firmware has other bytes than its SHA-2 is of.
    #[error("UF2 file does not have the SHA-2 of {bits} bits that its block {block} names")]
    FirmwareChanged {
        /// Which block, counted in the file.
        block: u32,
        /// Size of the hash.
        bits: usize,
    },
    /// All blocks are for other memory.
    #[error("none of the blocks of the UF2 file ({0}) is for the main flash")]
    NoMainFlash(u32),
}

fn list(families: &[Option<u32>]) -> String {
    let name = |family: &Option<u32>| match family {
        Some(family) => format!("{family:#010x}"),
        None => "none".to_owned(),
    };
    families.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// What a file holds.
pub(crate) struct Contents {
    pub(crate) flat: Flat,
    pub(crate) family: Option<u32>,
    pub(crate) version: Option<String>,
}

/// Whether a file begins with a block.
pub(crate) fn begins(file: &[u8]) -> bool {
    file.starts_with(&MAGIC)
}

/// Reads a file.
///
/// # Errors
/// [`Error`] of the first block that is wrong, or of all together.
pub(crate) fn read(file: &[u8], options: &Options) -> Result<Contents, Error> {
    let (chunks, rest) = file.as_chunks::<BLOCK_BYTES>();
    let mut blocks = Vec::new();
    let (mut ignored, mut others) = (0u32, 0u32);
    for (index, chunk) in (0u32..).zip(chunks) {
        let block = Block::parse(index, chunk)?;
        if block.is_ignored() {
            ignored = ignored.saturating_add(1);
        } else {
            blocks.push(block);
        }
    }
    if !rest.is_empty() {
        return Err(Uf2Error::PartialBlock(rest.len()).into());
    }
    let family = family(&blocks, options.family)?;
    blocks.retain(|block| {
        let is_wanted = Some(block.family) == family;
        others = others.saturating_add(u32::from(!is_wanted));
        is_wanted
    });
    let repeated = check_numbers(&mut blocks)?;
    let all = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
    let version = blocks.iter().find_map(Block::version);
    let sha2: Vec<_> = blocks.iter().filter_map(Block::sha2).collect();
    blocks.retain(|block| block.flags & flag::NOT_MAIN_FLASH == 0);
    let main = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
    if main == 0 && all > 0 {
        return Err(Uf2Error::NoMainFlash(all).into());
    }
    let mut memory = Memory::new(options.range.clone());
    for block in &blocks {
        let place = Place::Block(block.index);
        if block.to() > 1 << 32 {
            return Err(MemoryError::BehindTheEnd(place).into());
        }
        memory.put(block.address.into(), block.payload, place)?;
    }
    let mut flat = memory.flatten(options.fill)?;
    let unchecked = checksums::check(&blocks, &sha2)?;
    let counts = [
        (repeated, Note::RepeatedBlocks as fn(u32) -> Note),
        (all.saturating_sub(main), Note::NotMainFlash),
        (ignored, Note::IgnoredBlocks),
        (others, Note::OtherFamilies),
        (unchecked, Note::ChecksumsNotChecked),
    ];
    flat.notes.extend(counts.into_iter().filter(|(n, _)| *n > 0).map(|(n, note)| note(n)));
    Ok(Contents { flat, family: family.flatten(), version })
}

/// A block; its number and family as they stand there, its index counted in the file.
struct Block<'a> {
    index: u32,
    flags: u32,
    address: u32,
    number: u32,
    count: u32,
    family: Option<u32>,
    payload: &'a [u8],
    extensions: &'a [u8],
    md5: Option<RegionMd5>,
}

impl<'a> Block<'a> {
    fn parse(index: u32, bytes: &'a [u8; BLOCK_BYTES]) -> Result<Self, Uf2Error> {
        let words = bytes.as_chunks().0;
        let [_, _, flags, address, len, number, count, last, ..] = words else {
            return Err(Uf2Error::Magic(index));
        };
        if !begins(bytes) || !bytes.ends_with(&END_MAGIC) {
            return Err(Uf2Error::Magic(index));
        }
        let [flags, address, len, number, count, last] =
            [flags, address, len, number, count, last].map(|word| u32::from_le_bytes(*word));
        let data = bytes.get(32..).and_then(|data| data.get(..MAX_PAYLOAD_BYTES));
        let data = data.ok_or(Uf2Error::Magic(index))?;
        let md5 = data.split_last_chunk().filter(|_| flags & flag::HAS_MD5 != 0);
        let data = md5.map_or(data, |(front, _)| front);
        let parts = data.split_at_checked(len as usize);
        let too_long = Uf2Error::Payload { block: index, got: len, limit: data.len() };
        let (payload, behind) = parts.ok_or(too_long)?;
        if flags & flag::FILE_CONTAINER != 0 {
            return Err(Uf2Error::FileContainer(index));
        }
        let has_extensions = flags & flag::HAS_EXTENSIONS != 0;
        // They begin on a multiple of four bytes.
        let aligned = (len as usize).wrapping_neg() % 4;
        let extensions = behind.get(aligned..).filter(|_| has_extensions).unwrap_or_default();
        let family = (flags & flag::HAS_FAMILY != 0).then_some(last);
        let md5 = md5.map(|(_, md5)| RegionMd5::parse(md5));
        Ok(Self { index, flags, address, number, count, family, payload, extensions, md5 })
    }

    /// Its first address.
    fn from(&self) -> u64 {
        self.address.into()
    }

    /// The first address behind it.
    fn to(&self) -> u64 {
        self.from().saturating_add(self.payload.len() as u64)
    }

    /// The block in front of images for the RP2350 that its boot loader must see, and that goes nowhere.
    fn is_ignored(&self) -> bool {
        let is_filled = self.payload.iter().all(|byte| *byte == IGNORED_FILL);
        self.family == Some(RP2_ABSOLUTE) && self.count == 2 && self.number == 0 && is_filled
    }

    fn is_same(&self, other: &Self) -> bool {
        (self.address, self.flags, self.payload) == (other.address, other.flags, other.payload)
    }

    /// The version among the extensions.
    fn version(&self) -> Option<String> {
        let text = std::str::from_utf8(self.extension(VERSION_EXTENSION)?).ok()?;
        (!text.contains(char::is_control)).then(|| text.to_owned())
    }

    /// The hash of the firmware among the extensions, with the number of this block.
    fn sha2(&self) -> Option<(u32, &'a [u8])> {
        self.extension(SHA2_EXTENSION).map(|hash| (self.index, hash))
    }

    /// The value of the first extension of a type: each has its size, its type of three bytes and its value, and fills up to four bytes.
    fn extension(&self, wanted: [u8; 3]) -> Option<&'a [u8]> {
        let mut rest = self.extensions;
        loop {
            let (len, kind) = match rest {
                [len, a, b, c, ..] if *len >= 4 => (usize::from(*len), [*a, *b, *c]),
                _ => return None,
            };
            if kind == wanted {
                return rest.get(4..len);
            }
            rest = rest.get(len.checked_next_multiple_of(4)?..)?;
        }
    }
}

/// The family whose blocks are wanted, itself `None` if they say none; the outer `None` if there are no blocks at all.
fn family(blocks: &[Block<'_>], wanted: Option<u32>) -> Result<Option<Option<u32>>, Uf2Error> {
    let families: BTreeSet<_> = blocks.iter().map(|block| block.family).collect();
    let listed = || families.iter().copied().collect();
    match (wanted, families.len()) {
        (Some(wanted), _) if families.contains(&Some(wanted)) => Ok(Some(Some(wanted))),
        (Some(wanted), _) => Err(Uf2Error::NoSuchFamily { wanted, families: listed() }),
        (None, 0 | 1) => Ok(families.first().copied()),
        (None, _) => Err(Uf2Error::SeveralFamilies { families: listed() }),
    }
}

/// Checks that each number is there, drops blocks that are there again, and returns how many those were.
fn check_numbers(blocks: &mut Vec<Block<'_>>) -> Result<u32, Uf2Error> {
    let Some((other, wanted)) = blocks.first().map(|block| (block.index, block.count)) else {
        return Ok(0);
    };
    let mut seen: BTreeMap<u32, usize> = BTreeMap::new();
    let mut again = BTreeSet::new();
    for (at, block) in blocks.iter().enumerate() {
        let Block { index, number, count, .. } = *block;
        if count != wanted {
            return Err(Uf2Error::BlockCount { block: index, got: count, other, wanted });
        }
        if number >= count {
            return Err(Uf2Error::Number { block: index, number, count });
        }
        match seen.get(&number).and_then(|first| blocks.get(*first)) {
            Some(first) if first.is_same(block) => {
                again.insert(index);
            }
            Some(first) => {
                let (first, second) = (first.index, index);
                return Err(Uf2Error::Contradiction { number, first, second });
            }
            None => {
                seen.insert(number, at);
            }
        }
    }
    let found = u32::try_from(seen.len()).unwrap_or(u32::MAX);
    if found < wanted {
        let first = (0..).zip(seen.keys()).find(|(expected, number)| expected != *number);
        let first = first.map_or(found, |(expected, _)| expected);
        return Err(Uf2Error::Missing {
            missing: wanted.saturating_sub(found),
            count: wanted,
            first,
        });
    }
    blocks.retain(|block| !again.contains(&block.index));
    Ok(u32::try_from(again.len()).unwrap_or(u32::MAX))
}

/// Whose code a family of chips runs, of families that are well known.
#[must_use]
pub fn instruction_set(family: u32) -> Option<InstructionSet> {
    let of = |families: &[u32]| families.contains(&family);
    if of(&THUMB) {
        Some(InstructionSet::Thumb)
    } else if of(&RISCV32) {
        Some(InstructionSet::Riscv32)
    } else if of(&XTENSA) {
        Some(InstructionSet::Xtensa)
    } else {
        None
    }
}

const THUMB: [u32; 30] = [
    0xe48b_ff56, // RP2040
    0xe48b_ff59, // RP2350, Arm, secure
    0xe48b_ff5b, // RP2350, Arm, not secure
    0x68ed_2b88, // SAMD21
    0x5511_4460, // SAMD51
    0x1851_780a, // SAML21
    0x1b57_745f, // nRF52
    0x621e_937a, // nRF52833
    0xada5_2840, // nRF52840
    0x6478_24b6, // STM32F0
    0x5ee2_1072, // STM32F1
    0x5d1a_0a2e, // STM32F2
    0x6b84_6188, // STM32F3
    0x5775_5a57, // STM32F4
    0x6d09_22fa, // STM32F407
    0x8fb0_60fe, // STM32F407VG
    0x53b8_0f00, // STM32F7
    0x300f_5633, // STM32G0
    0x4c71_240a, // STM32G4
    0x6db6_6082, // STM32H7
    0x202e_3a91, // STM32L0
    0x1e1f_432d, // STM32L1
    0x00ff_6919, // STM32L4
    0x0424_0bdf, // STM32L5
    0x70d1_6653, // STM32WB
    0x2146_0ff0, // STM32WL
    0x4fb2_d5bd, // i.MX RT10xx
    0x2abc_77ec, // LPC55
    0x7f83_e793, // KL32L2
    0x31d2_28c6, // GD32F350
];
const RISCV32: [u32; 12] = [
    0xe48b_ff5a, // RP2350, RISC-V
    0xd42b_a06c, // ESP32-C3
    0x2b88_d29c, // ESP32-C2
    0x540d_df62, // ESP32-C6
    0xf71c_0343, // ESP32-C5
    0x77d8_50c4, // ESP32-C61
    0x3327_26f6, // ESP32-H2
    0x3d30_8e94, // ESP32-P4
    0x9af0_3e33, // GD32VF103
    0xb6dd_00af, // ESP32-H21
    0x9e0b_aa8a, // ESP32-H4
    0x3101_f7c1, // ESP32-S31
];
const XTENSA: [u32; 4] = [
    0x7eab_61ed, // ESP8266
    0x1c5f_21b0, // ESP32
    0xbfdd_4eee, // ESP32-S2
    0xc47e_5767, // ESP32-S3
];
