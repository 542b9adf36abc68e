//! Laws that hold for every codec, and the interop of `bsdiff40` with the tools in the field.
#![allow(missing_docs, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "tests")]

#[allow(dead_code, reason = "other tests use more of it")]
mod common;

use std::process::Command;

use common::{code_like, decode, edited, instructions};
use proptest::prelude::*;
use whittle_delta::bsdiff40::BsdiffDecoder;
use whittle_delta::compact::{self, Class, CodeHint, CompactDecoder, HugeTables, InstructionSet};
use whittle_delta::stored::StoredDecoder;
use whittle_delta::zstd::ZstdDecoder;
use whittle_delta::{DecodeError, Encoded, Sizes, bsdiff40, stored, zstd};

fn sizes(base: &[u8], target: &[u8], payload: &[u8]) -> Sizes {
    Sizes { base: base.len() as u32, target: target.len() as u32, payload: payload.len() as u32 }
}

fn bsdiff_decoder(sizes: Sizes) -> BsdiffDecoder {
    BsdiffDecoder::new::<()>(sizes, u64::MAX).expect("no limit")
}

fn compact_encode(base: Option<&[u8]>, target: &[u8], class: Class) -> Encoded {
    compact::encode(base, target, compact::Options::of_class(class)).expect("encodes")
}

fn compact_decode(
    base: &[u8],
    target: &[u8],
    payload: &[u8],
    chunk_len: usize,
) -> Result<Vec<u8>, DecodeError<std::convert::Infallible>> {
    let mut tables = Box::new(HugeTables::NEW);
    let decoder = CompactDecoder::new(sizes(base, target, payload), tables.lend());
    decode(decoder, base, payload, chunk_len)
}

fn zstd_encode(base: Option<&[u8]>, target: &[u8]) -> Encoded {
    zstd::encode(base, target, zstd::Options::default()).expect("encodes")
}

fn pairs() -> Vec<(Vec<u8>, Vec<u8>)> {
    let image = code_like(1, 40_000);
    let same = image.clone();
    let incompressible: Vec<u8> =
        (0..30_000u32).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect();
    vec![
        (image.clone(), edited(&image)),
        (image.clone(), same),
        (image.clone(), image[..400].to_vec()),
        (image[..400].to_vec(), image.clone()),
        (vec![0; 5000], vec![0xff; 7000]),
        (vec![0xff; 300_000], vec![0xff; 400_000]),
        (image.clone(), incompressible),
        (image.clone(), Vec::new()),
        (image, vec![7]),
        (vec![1], vec![7]),
        (Vec::new(), vec![1, 2, 3]),
        (Vec::new(), Vec::new()),
    ]
}

#[test]
fn every_codec_gives_the_target_back_in_any_split() {
    for (number, (base, target)) in pairs().into_iter().enumerate() {
        let delta = zstd_encode(Some(&base), &target);
        let full = zstd_encode(None, &target);
        let classic = bsdiff40::encode(&base, &target).expect("encodes");
        let stored = stored::encode(&target);
        let small = compact_encode(Some(&base), &target, Class::Tiny);
        let alone = compact_encode(None, &target, Class::Medium);
        for chunk_len in [1, 2, 3, 7, 64, 1000, usize::MAX] {
            let context = format!("pair {number}, chunks of {chunk_len}");
            let decoded = compact_decode(&base, &target, &small.payload, chunk_len);
            assert!(
                decoded.as_ref() == Ok(&target),
                "compact, {context}: {:?}",
                decoded.map(|d| d.len())
            );
            let decoded = compact_decode(&[], &target, &alone.payload, chunk_len);
            assert!(
                decoded.as_ref() == Ok(&target),
                "compact full, {context}: {:?}",
                decoded.map(|d| d.len())
            );
            let s = sizes(&base, &target, &delta.payload);
            let decoder = ZstdDecoder::new(s, delta.decoder_ram_bytes);
            assert_eq!(
                decode(decoder, &base, &delta.payload, chunk_len).as_ref(),
                Ok(&target),
                "zstd, {context}"
            );
            let s = sizes(&[], &target, &full.payload);
            let decoder = ZstdDecoder::new(s, full.decoder_ram_bytes);
            assert_eq!(
                decode(decoder, &[], &full.payload, chunk_len).as_ref(),
                Ok(&target),
                "zstd full, {context}"
            );
            let s = sizes(&base, &target, &classic.payload);
            assert_eq!(
                decode(bsdiff_decoder(s), &base, &classic.payload, chunk_len).as_ref(),
                Ok(&target),
                "bsdiff, {context}"
            );
            let s = sizes(&[], &target, &stored.payload);
            assert_eq!(
                decode(StoredDecoder::new(s), &[], &stored.payload, chunk_len).as_ref(),
                Ok(&target),
                "{context}"
            );
        }
    }
}

#[test]
fn a_cut_payload_is_never_complete() {
    let base = code_like(3, 3000);
    let target = edited(&base);
    let delta = zstd_encode(Some(&base), &target).payload;
    let classic = bsdiff40::encode(&base, &target).expect("encodes").payload;
    for cut in 0..delta.len() {
        let decoder = ZstdDecoder::new(sizes(&base, &target, &delta), u64::MAX);
        assert!(decode(decoder, &base, &delta[..cut], 100).is_err(), "zstd cut at {cut}");
    }
    let compact = compact_encode(Some(&base), &target, Class::Medium).payload;
    for cut in 0..compact.len() - 12 {
        let decoded = compact_decode(&base, &target, &compact[..cut], 100);
        assert!(decoded.as_ref() != Ok(&target), "compact cut at {cut}");
    }
    let mut longer = compact.clone();
    longer.extend([1; 8]);
    assert!(compact_decode(&base, &target, &longer, 100).is_err(), "compact with trailing bytes");
    for cut in 0..classic.len() - 16 {
        let decoder = bsdiff_decoder(sizes(&base, &target, &classic));
        assert!(decode(decoder, &base, &classic[..cut], 100).is_err(), "bsdiff cut at {cut}");
    }
}

#[test]
fn a_window_above_the_limit_is_refused_before_it_is_allocated() {
    let target = code_like(5, 3_000_000);
    let large = zstd_encode(None, &target);
    let limit = zstd::decoder_ram_bytes(1 << 16);
    let refused = decode(
        ZstdDecoder::new(sizes(&[], &target, &large.payload), limit),
        &[],
        &large.payload,
        1000,
    );
    assert!(matches!(refused, Err(DecodeError::Memory)), "{refused:?}");

    let options = zstd::Options { decoder_ram_bytes: limit, ..Default::default() };
    let small = zstd::encode(None, &target, options).expect("encodes");
    assert!(small.decoder_ram_bytes <= limit);
    let decoder = ZstdDecoder::new(sizes(&[], &target, &small.payload), limit);
    assert_eq!(decode(decoder, &[], &small.payload, 1000), Ok(target));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn related_images_survive_the_round_trip(
        base in proptest::collection::vec(0u8..8, 0..2000),
        cuts in proptest::collection::vec((0usize..2000, 0usize..300, any::<u8>()), 0..12),
        chunk_len in 1usize..200,
    ) {
        let mut target = Vec::new();
        for (from, len, byte) in cuts {
            target.extend(base.iter().skip(from).take(len));
            target.push(byte);
        }
        let delta = zstd_encode(Some(&base), &target);
        let decoder = ZstdDecoder::new(sizes(&base, &target, &delta.payload), delta.decoder_ram_bytes);
        let decoded = decode(decoder, &base, &delta.payload, chunk_len);
        prop_assert_eq!(decoded.as_ref(), Ok(&target));
        let classic = bsdiff40::encode(&base, &target).expect("encodes").payload;
        let decoder = bsdiff_decoder(sizes(&base, &target, &classic));
        let decoded = decode(decoder, &base, &classic, chunk_len);
        prop_assert_eq!(decoded.as_ref(), Ok(&target));
    }

    #[test]
    fn a_flipped_bit_ends_in_a_result(at in any::<proptest::sample::Index>(), bit in 0..8u32) {
        let base = code_like(3, 3000);
        let target = edited(&base);
        let mut delta = zstd_encode(Some(&base), &target).payload;
        let at = at.index(delta.len());
        delta[at] ^= 1u8 << bit;
        let _ = decode(ZstdDecoder::new(sizes(&base, &target, &delta), 1 << 24), &base, &delta, 100);
        let mut classic = bsdiff40::encode(&base, &target).expect("encodes").payload;
        let at = at % classic.len();
        classic[at] ^= 1u8 << bit;
        let _ = decode(bsdiff_decoder(sizes(&base, &target, &classic)), &base, &classic, 100);
        let mut compact = compact_encode(Some(&base), &target, Class::Small).payload;
        let at = at % compact.len();
        compact[at] ^= 1u8 << bit;
        let _ = compact_decode(&base, &target, &compact, 100);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_end_the_compact_decoder_in_bounded_work(
        stream in proptest::collection::vec(any::<u8>(), 0..300),
        class in 0u8..5,
        target_len in 0usize..5000,
    ) {
        let base = code_like(3, 3000);
        let mut payload = vec![class];
        payload.extend(stream);
        let decoded = compact_decode(&base, &vec![0; target_len], &payload, 50);
        prop_assert!(decoded.is_err() || decoded.is_ok_and(|decoded| decoded.len() == target_len));
    }
}

#[test]
fn degenerate_images_survive_the_round_trip() {
    let noise = |seed, len| code_like(seed, len).iter().map(|b| b.wrapping_mul(167)).collect();
    let images: [Vec<u8>; 8] = [
        vec![],
        vec![7],
        vec![0; 60_000],
        vec![0xff; 60_000],
        noise(1, 30_000),
        noise(2, 1000),
        b"abcabcab".repeat(4000),
        code_like(3, 30_000),
    ];
    for (base, target) in images.iter().flat_map(|base| images.iter().map(move |t| (base, t))) {
        // An empty target is no release; the codec makes nothing of it.
        let encoded = compact_encode(Some(base), target, Class::Medium).payload;
        let decoded = compact_decode(base, target, &encoded, 4096);
        assert_eq!(decoded.as_ref(), Ok(target), "{} > {}", base.len(), target.len());
        if base == target {
            assert!(encoded.len() < 100, "{} bytes for no change", encoded.len());
        }
    }
}

#[test]
fn every_instruction_set_survives_the_round_trip() {
    for (seed, set) in (1..).zip(InstructionSet::ALL) {
        let base = instructions(seed, 6000);
        let target = edited(&base);
        let options = compact::Options {
            load_address: Some(0x4020_0000),
            code: CodeHint::Set(set),
            ..Default::default()
        };
        for base in [&base[..], &[]] {
            let encoded = compact::encode(Some(base), &target, options).unwrap();
            assert_eq!(encoded.instruction_set, Some(set));
            for chunk_len in [1, 4096] {
                let decoded = compact_decode(base, &target, &encoded.payload, chunk_len);
                assert_eq!(decoded.as_ref(), Ok(&target), "{set:?}");
            }
        }
    }
}

/// A program linked for one slot and its next release for the other: what it refers to moves with the slot, and by what came in
/// between.
#[test]
fn base_and_target_may_lie_at_different_addresses() {
    const LEN: u32 = 48_000;
    const NEW: u32 = 600;
    let [base_load, load] = [0x0800_4000_u32, 0x0804_4000];
    let code = code_like(7, 40_000);
    let linked = |address: &dyn Fn(u32) -> u32| -> Vec<u8> {
        let pointers =
            (0..2000u32).map(|n| address(2 * (n.wrapping_mul(0x9e37_79b1) % (LEN / 2))) + 1);
        let chunks = pointers.zip(code.chunks_exact(20));
        chunks.flat_map(|(pointer, code)| [&pointer.to_le_bytes(), code].concat()).collect()
    };
    let middle = LEN / 2;
    let base = linked(&|offset| base_load + offset);
    let mut target = linked(&|offset| load + offset + if offset < middle { 0 } else { NEW });
    let at = middle as usize;
    target.splice(at..at, code_like(99, NEW as usize));
    let len = |base_load_address: Option<u32>, load_address: Option<u32>| {
        let code = CodeHint::Set(InstructionSet::Thumb);
        let options =
            compact::Options { load_address, base_load_address, code, ..Default::default() };
        let payload = compact::encode(Some(&base), &target, options).unwrap().payload;
        assert_eq!(compact_decode(&base, &target, &payload, 512).as_ref(), Ok(&target));
        payload.len()
    };
    let (known, same) = (len(Some(base_load), Some(load)), len(None, Some(load)));
    assert!(known * 10 < same * 9, "{known} bytes, {same} with one address for both");
    assert_eq!(len(Some(base_load), None), len(None, None));
}

#[test]
fn a_target_may_begin_inside_a_pair() {
    let filler = std::iter::repeat_n(0x0000_0013u32, 300);
    let pair = std::iter::once(0x1000_0537).chain(std::iter::repeat_n(0x0015_8593, 10));
    let words = filler.clone().chain(pair).chain([0x0045_0513]).chain(filler);
    let base: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
    let options = compact::Options {
        load_address: Some(0x1000_0000),
        code: CodeHint::Set(InstructionSet::Riscv32),
        ..Default::default()
    };
    for cut in 1201..1212 {
        let target = base[cut..].to_vec();
        let encoded = compact::encode(Some(&base), &target, options).unwrap();
        assert_eq!(compact_decode(&base, &target, &encoded.payload, 64).as_ref(), Ok(&target));
    }
}

#[test]
fn progress_rises_to_the_end() {
    let base = code_like(5, 20_000);
    let target = edited(&base);
    let told = std::cell::RefCell::new(Vec::new());
    let report = |share| told.borrow_mut().push(share);
    let options = compact::Options::default();
    let encoded = compact::encode_reporting(Some(&base), &target, options, &report).unwrap();
    assert_eq!(encoded, compact::encode(Some(&base), &target, options).unwrap());
    let told = told.into_inner();
    assert!(told.is_sorted_by(|a, b| a < b) && told.len() > 100, "{told:?}");
    assert_eq!(told.last(), Some(&1000));
}

#[test]
fn calls_and_pointers_that_moved_cost_less_than_half() {
    // 600 functions that call each other and a table that points to them; some grow, so that all behind them move.
    let scattered = |n: usize| (n.wrapping_mul(0x9e37_79b9) >> 9) % 10_007;
    let image = |grown: bool| {
        let mut starts = Vec::new();
        let mut end = 0;
        for function in 0..600 {
            let grows = grown && scattered(function) % 5 == 0;
            end += if grows { 2 + scattered(function + 1000) % 9 * 2 } else { 0 };
            starts.push(end);
            end += 40;
        }
        let mut code = vec![0u8; end.next_multiple_of(4)];
        for (function, start) in starts.iter().enumerate() {
            let mut body = code_like(function as u32 + 1, 36);
            // Instructions of two bytes only: longer ones begin with three ones.
            body.iter_mut().skip(1).step_by(2).for_each(|high| *high &= 0x7f);
            code[*start..start + 36].copy_from_slice(&body);
            let callee = starts[scattered(function + 5000) % 600];
            let distance = (callee as i64 - (*start as i64 + 40)) >> 1;
            let (high, low) = (0xf000 | (distance >> 11) & 0x7ff, 0xf800 | distance & 0x7ff);
            code[start + 36..start + 38].copy_from_slice(&(high as u16).to_le_bytes());
            code[start + 38..start + 40].copy_from_slice(&(low as u16).to_le_bytes());
        }
        for start in starts {
            code.extend((0x0800_0001 + start as u32).to_le_bytes());
        }
        code
    };
    let (base, target) = (image(false), image(true));
    let compact = compact_encode(Some(&base), &target, Class::Medium).payload;
    let zstd = zstd_encode(Some(&base), &target).payload;
    assert_eq!(compact_decode(&base, &target, &compact, 64).as_ref(), Ok(&target));
    assert!(
        compact.len() * 2 < zstd.len(),
        "compact {} against zstd {}",
        compact.len(),
        zstd.len()
    );
}

/// Runs a tool of Debian's `bsdiff` package with three files of a directory; it must be installed.
fn run_tool(tool: &str, dir: &std::path::Path, files: [&str; 3]) {
    let status = Command::new(tool).args(files).current_dir(dir).status();
    let status =
        status.unwrap_or_else(|e| panic!("`{tool}` is needed (Debian package `bsdiff`): {e}"));
    assert!(status.success(), "{tool} {files:?}");
}

#[test]
fn debians_bspatch_applies_our_patch_and_we_apply_debians() {
    for (number, (base, target)) in pairs().into_iter().enumerate() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(dir.path().join(name), bytes).expect("writes");
        };
        let read = |name: &str| std::fs::read(dir.path().join(name)).expect("reads");
        write("base", &base);
        write("target", &target);
        write("ours", &bsdiff40::encode(&base, &target).expect("encodes").payload);
        run_tool("bspatch", dir.path(), ["base", "from-ours", "ours"]);
        assert_eq!(read("from-ours"), target, "pair {number}: bspatch of our patch");

        if base.is_empty() || target.is_empty() {
            continue; // Debian's bsdiff cannot map an empty file.
        }
        run_tool("bsdiff", dir.path(), ["base", "target", "theirs"]);
        let theirs = read("theirs");
        let decoder = bsdiff_decoder(sizes(&base, &target, &theirs));
        assert_eq!(
            decode(decoder, &base, &theirs, 512),
            Ok(target),
            "pair {number}: bsdiff's patch"
        );
    }
}

#[test]
#[allow(clippy::cast_precision_loss, reason = "payloads are small")]
fn every_bit_of_a_payload_is_accounted_for() {
    let small = pairs().into_iter().filter(|(base, _)| base.len() <= 100_000);
    for (number, (base, target)) in small.enumerate() {
        for base in [Some(&base[..]), None] {
            let options = compact::Options { effort: compact::Effort::Quick, ..Default::default() };
            let explained = compact::encode_explained(base, &target, options, &|_| {}).unwrap();
            let plain = compact::encode(base, &target, options).unwrap();
            assert_eq!(explained.encoded, plain, "pair {number}");
            assert_eq!(explained.bytes.len(), target.len());
            let (payload_bits, all) = (plain.payload.len() as f64 * 8.0, explained.total_bits());
            assert!(
                (payload_bits - all).abs() < 0.01 + 1e-5 * all,
                "{number}: {payload_bits} {all}"
            );
            // The coder needs at most four bytes for its end, and leaves out eight at most.
            assert!((-64.0..=32.0).contains(&explained.end_bits), "{number}: {explained:?}");
        }
    }
}

#[test]
fn an_account_tells_what_is_new_and_where_the_rest_comes_from() {
    let base = code_like(3, 20_000);
    let mut target = base.clone();
    let noise: Vec<u8> = (0..300u32).map(|n| (n.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect();
    target.splice(8000..8000, noise);
    let options = compact::Options::default();
    let explained = compact::encode_explained(Some(&base), &target, options, &|_| {}).unwrap();
    let bits = |range: std::ops::Range<usize>| -> f64 {
        explained.bytes[range].iter().map(compact::ByteCost::bits).sum()
    };
    assert!(bits(7990..8310) > 0.9 * bits(0..target.len()));
    assert_eq!(explained.bytes[9000].source, Some(compact::CopiedFrom::Base(8700)));
    assert_eq!(explained.bytes[9000].told, compact::Told::Hit);
}

#[test]
fn a_smaller_class_is_taken_where_the_payload_is_no_larger() {
    let image = code_like(1, 40_000);
    for target in [image.clone(), edited(&image)] {
        let options = compact::Options { decoder_ram_bytes: 1 << 20, ..Default::default() };
        let taken = compact::encode(Some(&image), &target, options).unwrap();
        let exact = Class::ALL.map(|class| compact_encode(Some(&image), &target, class));
        for (class, exact) in Class::ALL.into_iter().zip(&exact) {
            assert_eq!(
                (exact.payload[0], exact.decoder_ram_bytes),
                (class.code(), class.ram_bytes())
            );
        }
        assert!(taken.payload.len() <= exact[4].payload.len());
        let class = Class::from_code(taken.payload[0]).unwrap();
        assert_eq!(taken.decoder_ram_bytes, class.ram_bytes());
        // Where nothing has changed, there is nothing to learn.
        assert!(target != image || class == Class::Tiny, "{class:?}");
        let decoded = compact_decode(&image, &target, &taken.payload, 4096);
        assert!(decoded.is_ok_and(|decoded| decoded == target));
    }
}
