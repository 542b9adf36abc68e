//! The decoder's heap stays within what the manifest declares, measured by the allocator.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "tests")]

#[expect(dead_code, reason = "shared with the other test")]
mod common;

use common::{code_like, edited};
use peak_alloc::PeakAlloc;
use whittle_delta::InMemory;
use whittle_delta::zstd::{self, ZstdDecoder};
use whittle_delta::{Decoder, Sizes};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Peak heap of decoding, beyond the images themselves.
fn peak_bytes(base: &[u8], target_len: usize, payload: &[u8], limit: u64) -> usize {
    let sizes =
        Sizes { base: base.len() as u32, target: target_len as u32, payload: payload.len() as u32 };
    let mut images = InMemory { base, target: Vec::with_capacity(target_len) };
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let mut decoder = ZstdDecoder::new(sizes, limit);
    for mut chunk in payload.chunks(4096) {
        let _ = decoder.push(&mut chunk, &mut images).expect("decodes");
    }
    let _ = decoder.finish(&mut images).expect("is complete");
    HEAP.peak_usage() - before
}

/// A frame with a window of 1 KiB around one block.
fn frame(block: &[u8]) -> Vec<u8> {
    let header = 1 | 2 << 1 | (block.len() as u32) << 3;
    [&[0x28, 0xb5, 0x2f, 0xfd, 0, 0], &header.to_le_bytes()[..3], block].concat()
}

#[test]
fn a_block_that_declares_more_than_a_block_is_refused() {
    let literals = 0xf_ffffu32;
    let run_of_literals =
        [0x0d | (literals << 4) as u8, (literals >> 4) as u8, (literals >> 12) as u8, 0xaa, 0];
    let many_sequences = [0x08, 0, 255, 0xff, 0xff, 0x54, 0, 0, 0, 1];
    for block in [&run_of_literals[..], &many_sequences] {
        let payload = frame(block);
        let sizes = Sizes { base: 0, target: literals, payload: payload.len() as u32 };
        let mut images = InMemory::new(&[]);
        let mut decoder = ZstdDecoder::new(sizes, zstd::decoder_ram_bytes(1 << 10));
        let refused = decoder.push(&mut &payload[..], &mut images);
        assert!(matches!(refused, Err(whittle_delta::DecodeError::Memory)), "{refused:?}");
    }
}

#[test]
fn the_zstd_decoder_stays_within_its_memory() {
    let base = code_like(1, 1_500_000);
    let target = edited(&base);
    let noise: Vec<u8> =
        (0..200_000u32).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect();
    for log2 in zstd::MIN_WINDOW_LOG2..=zstd::MAX_WINDOW_LOG2 {
        let declared = zstd::decoder_ram_bytes(1 << log2);
        let options = zstd::Options { decoder_ram_bytes: declared, level: 19 };
        for (name, base, target) in
            [("delta", Some(&base), &target), ("full", None, &target), ("noise", None, &noise)]
        {
            let encoded = zstd::encode(base.map(Vec::as_slice), target, options).expect("encodes");
            let base = base.map_or(&[][..], Vec::as_slice);
            let peak = peak_bytes(base, target.len(), &encoded.payload, encoded.decoder_ram_bytes);
            println!(
                "window 2^{log2}, {name}: peak {peak}, declared {}",
                encoded.decoder_ram_bytes
            );
            assert!(
                peak as u64 <= encoded.decoder_ram_bytes,
                "window 2^{log2}, {name}: {peak} > {}",
                encoded.decoder_ram_bytes
            );
        }
    }
}
