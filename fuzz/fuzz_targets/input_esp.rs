//! See `whittle_fuzz::input_esp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::input_esp(data));
