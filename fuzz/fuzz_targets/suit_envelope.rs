//! See `whittle_fuzz::suit_envelope`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::suit_envelope(data));
