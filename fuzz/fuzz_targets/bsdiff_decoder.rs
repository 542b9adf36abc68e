//! See `whittle_fuzz::bsdiff_decoder`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::bsdiff_decoder(data));
