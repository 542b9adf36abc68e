//! A target that takes the room of its base is made of nothing that it has overwritten.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "tests")]

#[allow(dead_code, reason = "other tests use more of it")]
mod common;

use common::{Loaded, code_like, edited, instructions, program, state_of};
use proptest::prelude::*;
use whittle_delta::compact::{self, Class, CodeHint, CompactDecoder, InstructionSet, TinyTables};
use whittle_delta::{
    DecodeError, Decoder, Images, InPlace, MAX_STEP_BYTES, Move, Resume, Sizes, Wants,
};

/// A room in which the base is rearranged, and which takes the target from the front.
struct Room<'a> {
    in_place: InPlace<'a>,
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

impl<'a> Room<'a> {
    fn new(in_place: InPlace<'a>, base: &[u8], target_len: usize, pauses: bool) -> Self {
        let sector = in_place.sector_bytes() as usize;
        let sectors = room_sectors(in_place.seats(), target_len, sector);
        let mut bytes = vec![0xff; sectors * sector];
        bytes[..base.len()].copy_from_slice(base);
        assert!(in_place.fits(sectors as u16));
        for Move { from, to } in in_place.moves(sectors as u16) {
            let from = usize::from(from) * sector;
            bytes.copy_within(from..from + sector, usize::from(to) * sector);
        }
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

impl Images for Room<'_> {
    type Error = Gone;

    fn read_base(&mut self, offset: u32, into: &mut [u8]) -> Result<(), Gone> {
        let mut offset = offset;
        let mut into = into;
        while !into.is_empty() {
            if self.in_place.is_gone(offset, self.written()) {
                return Err(Gone { offset, written: self.written() });
            }
            let (place, left) = self.in_place.place(offset).expect("in the base");
            let (now, later) = into.split_at_mut(into.len().min(left as usize));
            now.copy_from_slice(&self.bytes[place as usize..][..now.len()]);
            offset += now.len() as u32;
            into = later;
        }
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

/// As many sectors as both images take, and one more than the base.
fn room_sectors(seats: &[u16], target_len: usize, sector: usize) -> usize {
    let last = seats.iter().max().map_or(0, |last| usize::from(*last) + 1);
    last.max(target_len.div_ceil(sector)).max(seats.len() + 1)
}

/// The seats of a base of so many sectors, each that many further on.
fn moved_up(base: &[u8], sector_bytes: u32, by: u16) -> Vec<u16> {
    let sectors = base.len().div_ceil(sector_bytes as usize) as u16;
    (by..by + sectors).collect()
}

/// Seats in no order.
fn shuffled(base: &[u8], sector_bytes: u32, spare: u16, seed: u32) -> Vec<u16> {
    let sectors = base.len().div_ceil(sector_bytes as usize);
    let mut seats: Vec<u16> = (0..sectors as u16 + spare).collect();
    let noise = code_like(seed, 2 * seats.len() + 2);
    for (at, noise) in noise.chunks_exact(2).enumerate().take(seats.len()) {
        let other = usize::from(u16::from_le_bytes([noise[0], noise[1]])) % (at + 1);
        seats.swap(at, other);
    }
    seats.truncate(sectors);
    seats
}

fn sizes(base: &[u8], target_len: usize, payload: &[u8]) -> Sizes {
    let [base, payload] = [base, payload].map(|bytes| bytes.len() as u32);
    Sizes { base, target: target_len as u32, payload }
}

fn decode(
    in_place: InPlace<'_>,
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
fn decode_twice(in_place: InPlace<'_>, base: &[u8], target_len: usize, payload: &[u8]) -> Vec<u8> {
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
fn round_trip(base: &[u8], target: &[u8], in_place: InPlace<'_>, set: InstructionSet) -> usize {
    let options = compact::Options {
        decoder_ram_bytes: Class::Tiny.ram_bytes(),
        load_address: Some(0x4020_0000),
        code: CodeHint::Set(set),
        effort: compact::Effort::Quick,
        ..Default::default()
    };
    let payload = compact::encode_in_place(base, target, options, in_place).unwrap().payload;
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
        let base = program(set, seed, 12_000);
        let targets = [edited(&base), moved(&base, 3000), moved(&base, -5000), base.clone()];
        for (target, seed) in targets.iter().zip(1..) {
            for (sector, by) in [(64, 3), (256, 0), (1024, 1)] {
                let seats = moved_up(&base, sector, by);
                round_trip(&base, target, InPlace::new(sector, &seats).unwrap(), set);
            }
            for sector in [64, 512] {
                let seats = shuffled(&base, sector, 2, seed);
                round_trip(&base, target, InPlace::new(sector, &seats).unwrap(), set);
            }
        }
    }
}

#[test]
fn bytes_whose_source_is_gone_are_made_anew_and_others_are_not() {
    let base = code_like(3, 40_000);
    let [near, far] = [4000, 12_000].map(|by| moved(&base, by));
    let len = |target: &[u8], by| {
        let seats = moved_up(&base, 4096, by);
        round_trip(&base, target, InPlace::new(4096, &seats).unwrap(), InstructionSet::Thumb)
    };
    let new = len(&near, 3);
    assert!(len(&near, 2) < new + 30);
    assert!(len(&far, 2) > base.len() / 3 && len(&far, 4) < new * 4);
}

#[test]
fn a_base_is_rearranged_for_what_is_needed_late() {
    let base = code_like(3, 60_000);
    // The parts of the image change places.
    let parts: Vec<&[u8]> = base.chunks(5000).collect();
    let order = [7, 2, 9, 0, 11, 4, 1, 10, 6, 3, 8, 5];
    let target: Vec<u8> = order.iter().flat_map(|part| parts[*part].to_vec()).collect();
    let options = compact::Options {
        decoder_ram_bytes: Class::Tiny.ram_bytes(),
        code: CodeHint::Unknown,
        ..Default::default()
    };
    let room = 60_000u32.div_ceil(1024) + 2;
    let seats = compact::rearrange(&base, &target, options, 1024, room).unwrap().unwrap();
    let len = |seats: &[u16]| {
        let in_place = InPlace::new(1024, seats).unwrap();
        round_trip(&base, &target, in_place, InstructionSet::Thumb)
    };
    let (rearranged, moved) = (len(&seats), len(&moved_up(&base, 1024, 2)));
    assert!(rearranged * 4 < moved, "{rearranged} {moved}");
    let same = compact::rearrange(&base, &base, options, 1024, room).unwrap();
    assert_eq!(same, Some(moved_up(&base, 1024, 2)));
    assert_eq!(compact::rearrange(&base, &target, options, 1024, 59).unwrap(), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_change_is_decoded_in_place(
        seed in 1u32..1000,
        is_code in any::<bool>(),
        cuts in proptest::collection::vec((0usize..12_000, 0usize..4000, 0usize..1500), 1..6),
        (sector_log2, spare) in (6u32..13, 0u16..5),
        is_shuffled in any::<bool>(),
        set in proptest::sample::select(InstructionSet::ALL.to_vec()),
    ) {
        let base = if is_code { program(set, seed, 12_000) } else { instructions(seed, 3000) };
        let mut target = Vec::new();
        for (from, len, new) in cuts {
            target.extend(base.iter().skip(from).take(len));
            target.extend(code_like(seed + 1, new));
        }
        let seats = if is_shuffled {
            shuffled(&base, 1 << sector_log2, spare, seed)
        } else {
            moved_up(&base, 1 << sector_log2, spare)
        };
        round_trip(&base, &target, InPlace::new(1 << sector_log2, &seats).unwrap(), set);
    }

    #[test]
    fn no_stream_reads_what_is_gone(
        stream in proptest::collection::vec(any::<u8>(), 0..2000),
        target_len in 1usize..9000,
        (sector_log2, spare) in (6u32..11, 0u16..5),
    ) {
        let base = instructions(3, 2000);
        let payload = [&[0][..], &stream].concat();
        let seats = shuffled(&base, 1 << sector_log2, spare, target_len as u32);
        let in_place = InPlace::new(1 << sector_log2, &seats).unwrap();
        let decoded = decode(in_place, &base, target_len, &payload);
        prop_assert!(!matches!(decoded, Err(DecodeError::Images(_))), "{decoded:?}");
    }

    #[test]
    fn no_stream_for_another_room_reads_what_is_gone(
        seed in 1u32..1000,
        by in -3000isize..3000,
        (sector_log2, spare) in (6u32..12, 0u16..5),
        set in proptest::sample::select(InstructionSet::ALL.to_vec()),
    ) {
        let base = program(set, seed, 12_000);
        let target = moved(&base, by);
        let options = compact::Options {
            decoder_ram_bytes: Class::Tiny.ram_bytes(),
            load_address: Some(0x4020_0000),
            code: CodeHint::Set(set),
            ..Default::default()
        };
        let payload = compact::encode(Some(&base), &target, options).unwrap().payload;
        let seats = shuffled(&base, 1 << sector_log2, spare, seed);
        let in_place = InPlace::new(1 << sector_log2, &seats).unwrap();
        let decoded = decode(in_place, &base, target.len(), &payload);
        prop_assert!(!matches!(decoded, Err(DecodeError::Images(_))), "{set:?}");
    }
}
