//! A target that takes the room of its base is made of nothing that it has overwritten.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "tests")]

#[allow(dead_code, reason = "other tests use more of it")]
mod common;

use common::{Loaded, code_like, edited, instructions, state_of};
use proptest::prelude::*;
use whittle_delta::compact::{self, Class, CodeHint, CompactDecoder, InstructionSet, TinyTables};
use whittle_delta::{DecodeError, Decoder, Images, InPlace, MAX_STEP_BYTES, Resume, Sizes, Wants};

/// A room that holds the base, moved up, and takes the target from the front.
struct Room {
    in_place: InPlace,
    bytes: Vec<u8>,
    /// Bytes of the target whose sectors are written.
    flushed: usize,
    /// What comes behind them.
    page: Vec<u8>,
    /// Whether decoders pause at the end of each sector.
    pauses: bool,
}

/// A read of base bytes that are gone.
#[derive(Debug, PartialEq, Eq)]
struct Gone {
    offset: u32,
    written: u32,
}

impl Room {
    fn new(in_place: InPlace, base: &[u8], target_len: usize, pauses: bool) -> Self {
        let sectors = in_place.room_sectors(base.len() as u32, target_len as u32);
        let mut bytes = vec![0xff; (sectors * in_place.sector_bytes()) as usize];
        let moved = (in_place.moved_sectors() * in_place.sector_bytes()) as usize;
        bytes[moved..][..base.len()].copy_from_slice(base);
        Self { in_place, bytes, flushed: 0, page: Vec::new(), pauses }
    }

    fn written(&self) -> u32 {
        (self.flushed + self.page.len()) as u32
    }

    /// Writes the sector that is complete, and half of the next one, as a loss of power may leave it.
    fn flush(&mut self) {
        let sector = self.in_place.sector_bytes() as usize;
        let rest = self.page.split_off(sector.min(self.page.len()));
        self.bytes[self.flushed..][..self.page.len()].copy_from_slice(&self.page);
        self.flushed += self.page.len();
        self.page = rest;
        let half_erased = self.bytes.iter_mut().skip(self.flushed).take(sector);
        half_erased.for_each(|byte| *byte = 0xa5);
    }
}

impl Images for Room {
    type Error = Gone;

    fn read_base(&mut self, offset: u32, into: &mut [u8]) -> Result<(), Gone> {
        if offset < self.in_place.gone_bytes(self.written()) {
            return Err(Gone { offset, written: self.written() });
        }
        let at = offset + self.in_place.moved_sectors() * self.in_place.sector_bytes();
        into.copy_from_slice(&self.bytes[at as usize..][..into.len()]);
        Ok(())
    }

    fn read_target(&mut self, offset: u32, into: &mut [u8]) -> Result<(), Gone> {
        for (byte, at) in into.iter_mut().zip(offset as usize..) {
            *byte = match at.checked_sub(self.flushed) {
                Some(in_page) => self.page[in_page],
                None => self.bytes[at],
            };
        }
        Ok(())
    }

    fn room(&self) -> u32 {
        let end = self.in_place.sector_bytes() + MAX_STEP_BYTES - 1;
        if self.pauses { end - self.page.len() as u32 } else { u32::MAX }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.page.extend_from_slice(bytes);
        if !self.pauses && self.page.len() >= self.in_place.sector_bytes() as usize {
            self.flush();
        }
        Ok(())
    }
}

fn sizes(base: &[u8], target_len: usize, payload: &[u8]) -> Sizes {
    let [base, payload] = [base, payload].map(|bytes| bytes.len() as u32);
    Sizes { base, target: target_len as u32, payload }
}

fn decode(
    in_place: InPlace,
    base: &[u8],
    target_len: usize,
    payload: &[u8],
) -> Result<Vec<u8>, DecodeError<Gone>> {
    let mut tables = TinyTables::NEW;
    let sizes = sizes(base, target_len, payload);
    let mut decoder = CompactDecoder::in_place(sizes, tables.lend(), in_place);
    let mut room = Room::new(in_place, base, target_len, false);
    for mut chunk in payload.chunks(100) {
        let _ = decoder.push(&mut chunk, &mut room)?;
    }
    let _ = decoder.finish(&mut room)?;
    room.flush();
    room.bytes.truncate(target_len);
    Ok(room.bytes)
}

/// Makes every sector twice, as if power went just before it was complete.
fn decode_twice(in_place: InPlace, base: &[u8], target_len: usize, payload: &[u8]) -> Vec<u8> {
    let sizes = sizes(base, target_len, payload);
    let mut room = Room::new(in_place, base, target_len, true);
    // At the end of a sector: the decoder's state, what of the next sector is there, and how much of the payload is taken.
    let mut checkpoint: Option<(Vec<u8>, Vec<u8>, usize)> = None;
    loop {
        let mut made = [(); 2].map(|()| {
            let mut tables = TinyTables::NEW;
            let mut decoder = CompactDecoder::in_place(sizes, tables.lend(), in_place);
            let mut input = payload;
            room.page.clear();
            if let Some((state, page, taken)) = &checkpoint {
                decoder.pass_state(&mut Loaded(state)).expect("is taken");
                (room.page, input) = (page.clone(), &payload[*taken..]);
            }
            let wants = match decoder.push(&mut input, &mut room).expect("decodes") {
                Wants::Room => Wants::Room,
                _ => decoder.finish(&mut room).expect("is complete"),
            };
            (wants, state_of(&mut decoder), room.page.clone(), payload.len() - input.len())
        });
        assert!(made[0] == made[1], "the second time gives the same");
        room.flush();
        let (wants, state, _, taken) =
            core::mem::replace(&mut made[1], (Wants::Nothing, vec![], vec![], 0));
        if wants == Wants::Nothing {
            room.flush();
            room.bytes.truncate(target_len);
            return room.bytes;
        }
        checkpoint = Some((state, room.page.clone(), taken));
    }
}

/// Encodes in place and decodes again; returns how many bytes it takes.
fn round_trip(base: &[u8], target: &[u8], in_place: InPlace, set: InstructionSet) -> usize {
    let options = compact::Options {
        decoder_ram_bytes: Class::Tiny.ram_bytes(),
        load_address: Some(0x4020_0000),
        code: CodeHint::Set(set),
        effort: compact::Effort::Quick,
        in_place: Some(in_place),
    };
    let payload = compact::encode(Some(base), target, options).unwrap().payload;
    let decoded = decode(in_place, base, target.len(), &payload);
    let sizes = (base.len(), target.len());
    let again = decode_twice(in_place, base, target.len(), &payload);
    assert!(again == target, "twice: {set:?} {sizes:?} {in_place:?}");
    assert!(decoded.as_deref() == Ok(target), "{set:?} {sizes:?} {in_place:?}");
    payload.len()
}

/// The same image with its code some bytes further on or back.
fn moved(image: &[u8], by: isize) -> Vec<u8> {
    let by_bytes = by.unsigned_abs();
    if by < 0 { image[by_bytes..].to_vec() } else { [&code_like(7, by_bytes), image].concat() }
}

#[test]
fn every_instruction_set_is_decoded_in_place() {
    for (seed, set) in (1..).zip(InstructionSet::ALL) {
        let base = instructions(seed, 5000);
        let targets = [edited(&base), moved(&base, 3000), moved(&base, -5000), base.clone()];
        for target in &targets {
            for (sector, moved) in [(64, 1), (256, 0), (256, 3), (1024, 2), (4096, 1)] {
                round_trip(&base, target, InPlace::new(sector, moved).unwrap(), set);
            }
        }
    }
}

#[test]
fn bytes_whose_source_is_gone_are_made_anew_and_others_are_not() {
    let base = code_like(3, 40_000);
    let [near, far] = [4000, 12_000].map(|by| moved(&base, by));
    let len = |target: &[u8], moved| {
        let in_place = InPlace::new(4096, moved).unwrap();
        round_trip(&base, target, in_place, InstructionSet::Thumb)
    };
    let (new, all) = (len(&near, 3), len(&base[..1], 0) + base.len() / 3);
    assert!(len(&near, 2) < new + 30);
    assert!(len(&far, 2) > all && len(&far, 4) < new * 4);
    let grown = InPlace::with_spare(4096, 2, 40_000, far.len() as u32).unwrap();
    assert_eq!(grown.moved_sectors(), 5);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_change_is_decoded_in_place(
        seed in 1u32..1000,
        is_code in any::<bool>(),
        cuts in proptest::collection::vec((0usize..12_000, 0usize..4000, 0usize..1500), 1..6),
        (sector_log2, moved) in (6u32..13, 0u32..5),
        set in proptest::sample::select(InstructionSet::ALL.to_vec()),
    ) {
        let base = if is_code { instructions(seed, 3000) } else { code_like(seed, 12_000) };
        let mut target = Vec::new();
        for (from, len, new) in cuts {
            target.extend(base.iter().skip(from).take(len));
            target.extend(code_like(seed + 1, new));
        }
        round_trip(&base, &target, InPlace::new(1 << sector_log2, moved).unwrap(), set);
    }

    #[test]
    fn no_stream_reads_what_is_gone(
        stream in proptest::collection::vec(any::<u8>(), 0..2000),
        target_len in 1usize..9000,
        (sector_log2, moved) in (6u32..11, 0u32..5),
    ) {
        let base = instructions(3, 2000);
        let payload = [&[0][..], &stream].concat();
        let in_place = InPlace::new(1 << sector_log2, moved).unwrap();
        let decoded = decode(in_place, &base, target_len, &payload);
        prop_assert!(!matches!(decoded, Err(DecodeError::Images(_))), "{decoded:?}");
    }

    #[test]
    fn no_stream_for_another_room_reads_what_is_gone(
        seed in 1u32..1000,
        by in -3000isize..3000,
        (sector_log2, moved_sectors) in (6u32..12, 0u32..5),
        set in proptest::sample::select(InstructionSet::ALL.to_vec()),
    ) {
        let base = instructions(seed, 3000);
        let target = moved(&base, by);
        let options = compact::Options {
            decoder_ram_bytes: Class::Tiny.ram_bytes(),
            load_address: Some(0x4020_0000),
            code: CodeHint::Set(set),
            ..Default::default()
        };
        let payload = compact::encode(Some(&base), &target, options).unwrap().payload;
        let in_place = InPlace::new(1 << sector_log2, moved_sectors).unwrap();
        let decoded = decode(in_place, &base, target.len(), &payload);
        prop_assert!(!matches!(decoded, Err(DecodeError::Images(_))), "{set:?}");
    }
}
