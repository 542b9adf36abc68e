//! Images, and a way to decode into memory.

use std::convert::Infallible;

use whittle_delta::compact::InstructionSet;
use whittle_delta::{DecodeError, Decoder, InMemory, Resume, StateBytes, Wants};

/// Feeds `payload` in chunks of `chunk_len` and returns the target.
pub(crate) fn decode(
    mut decoder: impl Decoder,
    base: &[u8],
    payload: &[u8],
    chunk_len: usize,
) -> Result<Vec<u8>, DecodeError<Infallible>> {
    let mut images = InMemory::new(base);
    for mut chunk in payload.chunks(chunk_len) {
        assert_eq!(decoder.push(&mut chunk, &mut images)?, Wants::Input);
        assert!(chunk.is_empty());
    }
    let _ = decoder.finish(&mut images)?;
    Ok(images.target)
}

/// Bytes that look like code: a small vocabulary in no order, the same for the same seed.
pub(crate) fn code_like(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let words: Vec<[u8; 2]> = (0..400).map(|_| (next() as u16).to_le_bytes()).collect();
    let mut bytes: Vec<u8> = std::iter::repeat_with(|| words[(next() % 400) as usize])
        .take(len / 2 + 1)
        .flatten()
        .collect();
    bytes.truncate(len);
    bytes
}

/// A later release of `base`: some bytes changed, some inserted, some gone.
pub(crate) fn edited(base: &[u8]) -> Vec<u8> {
    let mut target = base.to_vec();
    for at in (100..target.len()).step_by(997) {
        target[at] = target[at].wrapping_add(3);
    }
    let middle = target.len() / 2;
    target.splice(middle..middle, code_like(99, base.len() / 20));
    let quarter = target.len() / 4;
    target.drain(quarter..quarter + base.len() / 50);
    target
}

/// Words that are instructions of one set or another, at places that make some of them refer to each other.
pub(crate) fn instructions(seed: u32, count: usize) -> Vec<u8> {
    const OPENINGS: [u32; 28] = [
        0xd000_f000,
        0x9000_f000,
        0x8000_f000,
        0x4800_a000,
        0xe000_d000,
        0xb100_4478,
        0x0000_f8df,
        0x0a00_ed9f,
        0x0000_f240,
        0x0000_f2c0,
        0xef,
        0x63,
        0xa001_c001,
        0x537,
        0x517,
        0x0005_0513,
        0x0005_2503,
        0x00a5_2023,
        0x0001_8513,
        0x05,
        0x21,
        0x9400_0000,
        0x9000_0000,
        0x9100_0000,
        0xeb00_0000,
        0xe59f_0000,
        0xe08f_0000,
        0x4020_0000,
    ];
    let noise = code_like(seed, count * 4);
    let word = |(at, noise): (usize, &[u8])| {
        let noise = u32::from_le_bytes(noise.try_into().unwrap());
        let opening = OPENINGS[(noise >> 3) as usize % OPENINGS.len()];
        (opening | noise & 0x03f0_01f0 & (at as u32 * 0x55)).to_le_bytes()
    };
    noise.chunks_exact(4).enumerate().flat_map(word).collect()
}

/// Stores a state.
#[derive(Default)]
struct Stored(Vec<u8>);

impl StateBytes for Stored {
    type Error = Infallible;

    fn pass(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Gives a state back, as far as there is one.
pub(crate) struct Loaded<'a>(pub(crate) &'a [u8]);

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End;

impl StateBytes for Loaded<'_> {
    type Error = End;

    fn pass(&mut self, bytes: &mut [u8]) -> Result<(), End> {
        let (now, later) = self.0.split_at_checked(bytes.len()).ok_or(End)?;
        bytes.copy_from_slice(now);
        self.0 = later;
        Ok(())
    }
}

pub(crate) fn state_of(decoder: &mut impl Resume) -> Vec<u8> {
    let mut state = Stored::default();
    decoder.pass_state(&mut state).expect("is stored");
    state.0
}

/// Code that is taken for that of a set: most of it common instructions, with addresses in pairs, calls and constants.
pub(crate) fn program(set: InstructionSet, seed: u32, len: usize) -> Vec<u8> {
    let noise = code_like(seed, 4 * len);
    let mut noise =
        noise.chunks_exact(4).map(|noise| u32::from_le_bytes(noise.try_into().unwrap()));
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let noise = noise.next().unwrap().wrapping_mul(0x9e37_79b9);
        let (kind, few, reg) = (noise >> 28, noise >> 8 & 0x3f, noise >> 4 & 1);
        match set {
            InstructionSet::Thumb => bytes.extend(instructions(noise, 8)),
            InstructionSet::Arm => bytes.extend(
                match kind {
                    0..4 => 0xe1a0_0000 | few,
                    4..7 => 0xeb00_0000 | few << 4,
                    7..10 => 0xe59f_0000 | reg << 12 | few << 2,
                    10..13 => 0xe08f_0000 | reg << 12 | reg,
                    13..15 => few << 9,
                    _ => 0x4020_0000 + (few << 6),
                }
                .to_le_bytes(),
            ),
            InstructionSet::Aarch64 => bytes.extend(
                match kind {
                    0..3 => 0xaa00_03e0 | few << 16 & 0x1f_0000,
                    3..5 => 0x9400_0000 | few << 4,
                    5..9 => 0x9000_0000 | (few & 3) << 29 | reg,
                    9..12 => 0x9100_0000 | few << 12 | reg << 5 | reg,
                    12..14 => 0xf940_0000 | few << 10 | reg << 5,
                    _ => 0x5400_0000 | few << 5,
                }
                .to_le_bytes(),
            ),
            InstructionSet::Riscv32 | InstructionSet::Riscv64 => match kind {
                0..3 => bytes.extend([0x01, 0x45]),
                3..5 => bytes.extend([0x2e, 0x85]),
                5..7 => bytes.extend((0x0000_00ef | few << 21).to_le_bytes()),
                7..10 => bytes.extend((0x0000_0517 | few << 12 & 0x7000).to_le_bytes()),
                10..12 => bytes.extend((0x4020_0537 | few << 12 & 0x3000).to_le_bytes()),
                12..14 => bytes.extend((0x0005_0513 | few << 20).to_le_bytes()),
                _ => bytes.extend((0x0005_2503 | few << 22).to_le_bytes()),
            },
            InstructionSet::Xtensa => match kind {
                0..4 => bytes.extend([0x25, few as u8, 0]),
                4..8 => bytes.extend([0x21, few as u8, 0xff]),
                8..14 => bytes.extend([0x3d, few as u8 | 0xf0]),
                _ => bytes.extend([0x1d, 0xf0, 0x36, 0x41, 0]),
            },
        }
    }
    bytes.truncate(len);
    bytes
}
