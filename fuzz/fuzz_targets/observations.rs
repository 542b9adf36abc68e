//! See `whittle_fuzz::observations`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::observations(data));
