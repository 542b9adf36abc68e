//! Images, and a way to decode into memory.

use std::convert::Infallible;

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
