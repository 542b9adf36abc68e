//! Laws that hold for every codec, and the interop of `bsdiff40` with the tools in the field.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "tests")]

mod common;

use std::process::Command;

use common::{code_like, decode, edited};
use proptest::prelude::*;
use whittle_delta::bsdiff40::BsdiffDecoder;
use whittle_delta::stored::StoredDecoder;
use whittle_delta::zstd::ZstdDecoder;
use whittle_delta::{DecodeError, Encoded, Sizes, bsdiff40, stored, zstd};

fn sizes(base: &[u8], target: &[u8], payload: &[u8]) -> Sizes {
    Sizes { base: base.len() as u32, target: target.len() as u32, payload: payload.len() as u32 }
}

fn bsdiff_decoder(sizes: Sizes) -> BsdiffDecoder {
    BsdiffDecoder::new::<()>(sizes, u64::MAX).expect("no limit")
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
        for chunk_len in [1, 2, 3, 7, 64, 1000, usize::MAX] {
            let context = format!("pair {number}, chunks of {chunk_len}");
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
    assert!(
        matches!(refused, Err(DecodeError::Memory { limit: l, .. }) if l == limit),
        "{refused:?}"
    );

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
    }
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
