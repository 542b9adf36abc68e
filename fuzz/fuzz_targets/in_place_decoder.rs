//! See `whittle_fuzz::in_place_decoder`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::in_place_decoder(data));
