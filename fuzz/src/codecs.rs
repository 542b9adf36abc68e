//! Payloads: what a decoder makes of bytes that no encoder of ours has made, though a key may have signed them.

use std::convert::Infallible;

use whittle_delta::bsdiff40::BsdiffDecoder;
use whittle_delta::compact::{
    self, Class, ClassChoice, CodeHint, CompactDecoder, InstructionSet, LargestTables,
};
use whittle_delta::zstd::ZstdDecoder;
use whittle_delta::{ArrangementBuffers, DecodeError, Decoder, InMemory, InPlaceDecoder, Sizes};

/// Most RAM that a decoder may take, in bytes.
const MEMORY_BYTES: u64 = 1 << 26;

/// A base, a payload, and what a manifest and a network would say of them.
struct Delivery<'a> {
    base: &'a [u8],
    payload: &'a [u8],
    target_size: u32,
    chunk_len: usize,
}

impl<'a> Delivery<'a> {
    /// The first four bytes give the target's size, the length of the base in eights and that of the chunks.
    fn of(data: &'a [u8]) -> Option<Self> {
        let ([a, b, c, d], rest) = data.split_first_chunk()?;
        let (base, payload) = rest.split_at((usize::from(*c) * 8).min(rest.len()));
        let target_size = u32::from(u16::from_le_bytes([*a, *b]));
        Some(Self { base, payload, target_size, chunk_len: usize::from(*d) })
    }

    fn sizes(&self) -> Sizes {
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Sizes { base: len(self.base), target: self.target_size, payload: len(self.payload) }
    }

    /// Any payload ends in a target of the declared size or in an error, however it is cut.
    fn check(&self, decode: impl Fn(&Self) -> Option<Vec<u8>>) {
        let decoded = decode(self);
        let at_once = decode(&Self { chunk_len: self.payload.len(), ..*self });
        assert_eq!(decoded, at_once, "the split matters");
        assert!(decoded.is_none_or(|target| target.len() == self.target_size as usize));
    }

    /// Feeds the payload in chunks; `None` if it is refused.
    fn feed(&self, mut decoder: impl Decoder) -> Option<Vec<u8>> {
        let mut images = InMemory::new(self.base);
        for mut chunk in self.payload.chunks(self.chunk_len.max(1)) {
            let _ = decoder.push(&mut chunk, &mut images).ok()?;
            assert!(images.target.len() <= self.target_size as usize, "more than the target");
        }
        let _ = decoder.finish(&mut images).ok()?;
        Some(images.target)
    }
}

fn decode_compact(delivery: &Delivery<'_>) -> Option<Vec<u8>> {
    let mut tables = Box::new(LargestTables::NEW);
    delivery.feed(CompactDecoder::new(delivery.sizes(), tables.lend()))
}

/// Any payload for the `compact` decoder, over any base.
///
/// # Panics
/// If more or less than the declared target comes of it without an error, or if the split matters.
pub fn compact_decoder(data: &[u8]) {
    let Some(delivery) = Delivery::of(data) else { return };
    delivery.check(decode_compact);
}

/// Any payload for a target in the room of its base.
///
/// # Panics
/// As [`compact_decoder`].
pub fn in_place_decoder(data: &[u8]) {
    let Some(delivery) = Delivery::of(data) else { return };
    delivery.check(decode_in_place);
}

fn decode_in_place(delivery: &Delivery<'_>) -> Option<Vec<u8>> {
    let mut tables = Box::new(LargestTables::NEW);
    let (mut seats, mut head) = ([0; 64], [0; InPlaceDecoder::HEAD_BYTES]);
    let buffers = ArrangementBuffers { seats: &mut seats, head: &mut head };
    delivery.feed(InPlaceDecoder::new(delivery.sizes(), tables.lend(), buffers))
}

/// Any payload for the `zstd` decoder.
///
/// # Panics
/// As [`compact_decoder`].
pub fn zstd_decoder(data: &[u8]) {
    let Some(delivery) = Delivery::of(data) else { return };
    delivery.check(decode_zstd);
}

fn decode_zstd(delivery: &Delivery<'_>) -> Option<Vec<u8>> {
    delivery.feed(ZstdDecoder::new(delivery.sizes(), MEMORY_BYTES))
}

/// Any classic BSDIFF40 patch.
///
/// # Panics
/// As [`compact_decoder`].
pub fn bsdiff_decoder(data: &[u8]) {
    let Some(delivery) = Delivery::of(data) else { return };
    delivery.check(decode_bsdiff);
}

fn decode_bsdiff(delivery: &Delivery<'_>) -> Option<Vec<u8>> {
    let decoder: Result<_, DecodeError<Infallible>> =
        BsdiffDecoder::new(delivery.sizes(), MEMORY_BYTES);
    delivery.feed(decoder.ok()?)
}

/// Whatever is encoded is decoded again.
///
/// The first four bytes choose the instruction set, the class and where the base ends.
///
/// # Panics
/// If it is not.
pub fn compact_round_trip(data: &[u8]) {
    let Some(([set, class, low, high], rest)) = data.split_first_chunk() else { return };
    let (base, target) =
        rest.split_at(usize::from(u16::from_le_bytes([*low, *high])).min(rest.len()));
    let exact = compact::Options::of_class(Class::ALL[usize::from(*class) % Class::ALL.len()]);
    let choice = if *class < 128 { ClassChoice::Largest } else { ClassChoice::Smallest };
    let code = match InstructionSet::ALL.get(usize::from(*set) % 8) {
        Some(set) => CodeHint::Set(*set),
        None => CodeHint::Find,
    };
    let options = compact::Options { code, class: choice, ..exact };
    let payload = compact::encode(Some(base), target, options).expect("encodes").payload;
    let target_size = u32::try_from(target.len()).expect("short");
    let decoded = decode_compact(&Delivery { base, payload: &payload, target_size, chunk_len: 64 });
    assert_eq!(decoded.as_deref(), Some(target));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A seed that its decoder refuses would have nothing fuzzed but the first bytes of a stream.
    #[test]
    fn good_payloads_are_decoded() {
        let pair = crate::seed("compact_round_trip", "pair-0");
        let target = &pair[4 + 480..];
        for name in ["delta-0", "full-0"] {
            let data = crate::seed("compact_decoder", name);
            let delivery = Delivery::of(&data).expect("it has a head");
            assert_eq!(decode_compact(&delivery).as_deref(), Some(target), "{name}");
        }
        for name in ["in_place_decoder", "bsdiff_decoder", "zstd_decoder"] {
            let data = crate::seed(name, "delta-0");
            let delivery = Delivery::of(&data).expect("it has a head");
            assert_eq!(decode(name, &delivery).as_deref(), Some(target), "{name}");
        }
    }

    fn decode(name: &str, delivery: &Delivery<'_>) -> Option<Vec<u8>> {
        match name {
            "in_place_decoder" => decode_in_place(delivery),
            "bsdiff_decoder" => decode_bsdiff(delivery),
            _ => decode_zstd(delivery),
        }
    }
}
