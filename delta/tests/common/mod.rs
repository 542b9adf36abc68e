//! Images, and a way to decode into memory.

use std::convert::Infallible;

use whittle_delta::{DecodeError, Decoder, InMemory};

/// Feeds `payload` in chunks of `chunk_len` and returns the target.
pub(crate) fn decode(
    mut decoder: impl Decoder,
    base: &[u8],
    payload: &[u8],
    chunk_len: usize,
) -> Result<Vec<u8>, DecodeError<Infallible>> {
    let mut images = InMemory::new(base);
    for chunk in payload.chunks(chunk_len) {
        decoder.push(chunk, &mut images)?;
    }
    decoder.finish(&mut images)?;
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
