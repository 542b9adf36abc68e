//! See `whittle_fuzz::zstd_decoder`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::zstd_decoder(data));
