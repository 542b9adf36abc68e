//! A decoder that is given the state of another one goes on as that one would have.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "tests")]

#[allow(dead_code, reason = "other tests use more of it")]
mod common;

use std::convert::Infallible;

use common::{End, Loaded, code_like, edited, instructions, program, state_of};
use proptest::prelude::*;
use whittle_delta::compact::{
    self, Class, CodeHint, CompactDecoder, HugeTables, InstructionSet, LargestTables, Memory,
    TinyTables,
};
use whittle_delta::stored::{self, StoredDecoder};
use whittle_delta::{Decoder, Images, InMemory, MAX_STEP_BYTES, Resume, Sizes, StateError, Wants};

/// Takes a page of bytes at a time, and what a step makes beyond it.
struct Paged<'a> {
    images: InMemory<'a>,
    page_bytes: usize,
    page_end: usize,
}

impl<'a> Paged<'a> {
    fn new(base: &'a [u8], page_bytes: usize) -> Self {
        Self { images: InMemory::new(base), page_bytes, page_end: page_bytes }
    }

    /// Makes room for one more page.
    fn turn(&mut self) {
        assert!(self.images.target.len() >= self.page_end, "a pause in front of the page's end");
        self.page_end += self.page_bytes;
    }
}

impl Images for Paged<'_> {
    type Error = Infallible;

    fn read_base(&mut self, offset: u32, into: &mut [u8]) -> Result<(), Infallible> {
        self.images.read_base(offset, into)
    }

    fn read_target(&mut self, offset: u32, into: &mut [u8]) -> Result<(), Infallible> {
        self.images.read_target(offset, into)
    }

    fn room(&self) -> u32 {
        let end = self.page_end + MAX_STEP_BYTES as usize - 1;
        (end - self.images.target.len()) as u32
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        assert!(bytes.len() as u32 <= self.room(), "more than there is room for");
        self.images.append(bytes)
    }
}

fn sizes(base: &[u8], target: &[u8], payload: &[u8]) -> Sizes {
    Sizes { base: base.len() as u32, target: target.len() as u32, payload: payload.len() as u32 }
}

/// Decodes and gives the state to a new decoder at every pause; returns the target and the longest state.
fn decode_in_parts<D: Resume>(
    base: &[u8],
    payload: &[u8],
    page_bytes: usize,
    chunk_len: usize,
    mut new: impl FnMut() -> D,
) -> (Vec<u8>, usize) {
    let mut images = Paged::new(base, page_bytes);
    let (mut decoder, mut longest) = (new(), 0);
    let mut successor = |decoder: &mut D| {
        let state = state_of(decoder);
        longest = longest.max(state.len());
        let mut next = new();
        let mut loaded = Loaded(&state);
        next.pass_state(&mut loaded).expect("is taken");
        assert!(loaded.0.is_empty(), "a state is taken whole");
        assert!(state_of(&mut next) == state, "a state is told as it was taken");
        next
    };
    for mut chunk in payload.chunks(chunk_len) {
        while decoder.push(&mut chunk, &mut images).expect("decodes") == Wants::Room {
            decoder = successor(&mut decoder);
            images.turn();
        }
        assert!(chunk.is_empty());
        decoder = successor(&mut decoder);
    }
    while decoder.finish(&mut images).expect("is complete") == Wants::Room {
        decoder = successor(&mut decoder);
        images.turn();
    }
    (images.images.target, longest)
}

fn compact_encode(base: &[u8], target: &[u8], class: Class, code: CodeHint) -> Vec<u8> {
    let options = compact::Options {
        load_address: Some(0x4020_0000),
        code,
        effort: compact::Effort::Quick,
        ..compact::Options::of_class(class)
    };
    compact::encode(Some(base), target, options).expect("encodes").payload
}

/// Tables of its own for each decoder of a test.
fn lent<'a>() -> Memory<'a> {
    Box::leak(Box::new(TinyTables::NEW)).lend()
}

#[test]
fn every_class_goes_on_at_every_page() {
    let base = instructions(1, 3000);
    let target = edited(&base);
    for class in Class::ALL {
        let payload = compact_encode(&base, &target, class, CodeHint::Set(InstructionSet::Thumb));
        let new = || {
            let tables: &mut HugeTables = Box::leak(Box::new(LargestTables::NEW));
            CompactDecoder::new(sizes(&base, &target, &payload), tables.lend())
        };
        let (decoded, longest) = decode_in_parts(&base, &payload, 2048, 300, new);
        assert!(decoded == target, "{class:?}");
        assert!(longest as u64 <= class.state_bytes(), "{class:?}: {longest}");
        println!("{class:?}: {longest} of {} bytes", class.state_bytes());
    }
}

#[test]
fn every_instruction_set_goes_on_after_every_step() {
    for (seed, set) in (1..).zip(InstructionSet::ALL) {
        let base = program(set, seed, 3000);
        let target = edited(&base);
        let payload = compact_encode(&base, &target, Class::Tiny, CodeHint::Set(set));
        let new = || CompactDecoder::new(sizes(&base, &target, &payload), lent());
        let (decoded, _) = decode_in_parts(&base, &payload, 1, 1, new);
        assert!(decoded == target, "{set:?}");
    }
}

#[test]
fn a_stored_image_goes_on_at_every_page() {
    let target = code_like(1, 10_000);
    let payload = stored::encode(&target).payload;
    let new = || StoredDecoder::new(sizes(&[], &target, &payload));
    let (decoded, longest) = decode_in_parts(&[], &payload, 256, 100, new);
    assert!(decoded == target);
    assert_eq!(longest as u64, stored::STATE_BYTES);
}

#[test]
fn only_a_new_decoder_takes_a_state_of_another_class() {
    let base = code_like(1, 3000);
    let target = edited(&base);
    let payloads = [Class::Tiny, Class::Small]
        .map(|class| compact_encode(&base, &target, class, CodeHint::Find));
    let mut states = Vec::new();
    for payload in &payloads {
        let tables: &mut HugeTables = Box::leak(Box::new(LargestTables::NEW));
        let mut decoder = CompactDecoder::new(sizes(&base, &target, payload), tables.lend());
        let mut images = Paged::new(&base, 1000);
        let _ = decoder.push(&mut &payload[..], &mut images).expect("decodes");
        states.push((state_of(&mut decoder), decoder));
    }
    let [(_, tiny), (small, _)] = &mut states[..] else { panic!("two") };
    assert_eq!(tiny.pass_state(&mut Loaded(small)), Err(StateError::Corrupt));
    // There is no room for the other class.
    let mut new = CompactDecoder::new(sizes(&base, &target, &payloads[1]), lent());
    assert_eq!(new.pass_state(&mut Loaded(small)), Err(StateError::Corrupt));
    let mut new = CompactDecoder::new(sizes(&base, &target, &payloads[0]), lent());
    assert_eq!(new.pass_state(&mut Loaded(&small[..0])), Err(StateError::Bytes(End)));
}

/// A state in the middle of a payload, and what of the payload is left.
fn paused(set: InstructionSet) -> (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>) {
    let base = instructions(5, 1500);
    let target = edited(&base);
    let payload = compact_encode(&base, &target, Class::Tiny, CodeHint::Set(set));
    let mut tables = TinyTables::NEW;
    let mut decoder = CompactDecoder::new(sizes(&base, &target, &payload), tables.lend());
    let mut images = Paged::new(&base, 2500);
    let mut input = &payload[..];
    assert_eq!(decoder.push(&mut input, &mut images), Ok(Wants::Room));
    (base, target, state_of(&mut decoder), input.to_vec())
}

/// What becomes of a decoder that is given this state.
fn go_on(base: &[u8], target: &[u8], state: &[u8], rest: &[u8]) {
    let mut tables = TinyTables::NEW;
    let mut decoder = CompactDecoder::new(sizes(base, target, rest), tables.lend());
    let _ = decoder.pass_state(&mut Loaded(state));
    let mut images = InMemory::new(base);
    images.target.resize(target.len(), 0xa5);
    let _ = decoder.push(&mut &rest[..], &mut images);
    let _ = decoder.finish(&mut images);
    assert!(images.target.len() <= 2 * target.len(), "more than a target");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_image_goes_on_at_every_pause(
        seed in 1u32..1000,
        cuts in proptest::collection::vec((0usize..6000, 0usize..2000, 0usize..700), 1..6),
        page_bytes in 1usize..600,
        chunk_len in 1usize..400,
        set in proptest::sample::select(InstructionSet::ALL.to_vec()),
    ) {
        let base = program(set, seed, 6000);
        let mut target = Vec::new();
        for (from, len, new) in cuts {
            target.extend(base.iter().skip(from).take(len));
            target.extend(code_like(seed + 1, new));
        }
        let payload = compact_encode(&base, &target, Class::Tiny, CodeHint::Set(set));
        let new = || CompactDecoder::new(sizes(&base, &target, &payload), lent());
        let (decoded, longest) = decode_in_parts(&base, &payload, page_bytes, chunk_len, new);
        prop_assert!(decoded == target);
        prop_assert!(longest as u64 <= Class::Tiny.state_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_state_ends_in_a_result(
        set in proptest::sample::select(InstructionSet::ALL.to_vec()),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        len in proptest::option::of(any::<proptest::sample::Index>()),
        is_in_front in any::<bool>(),
    ) {
        let (base, target, mut state, rest) = paused(set);
        for (at, byte) in damage {
            // The scalars stand in front of the tables.
            let at = at.index(if is_in_front { 500 } else { state.len() });
            state[at] = byte;
        }
        if let Some(len) = len {
            state.truncate(len.index(state.len()));
        }
        go_on(&base, &target, &state, &rest);
    }

    #[test]
    fn any_bytes_as_a_state_end_in_a_result(
        state in proptest::collection::vec(any::<u8>(), 0..4096),
        rest in proptest::collection::vec(any::<u8>(), 0..300),
        mode in 0u8..12,
    ) {
        let (base, target) = (instructions(5, 500), vec![0; 3000]);
        let mut state = state;
        // A class that there is, a place inside the target, and a mode that there is.
        for (at, byte) in [(0, 0), (220, 0), (221, 0), (219, 7), (233, mode)] {
            if let Some(room) = state.get_mut(at) {
                *room = byte;
            }
        }
        go_on(&base, &target, &state, &rest);
    }
}
