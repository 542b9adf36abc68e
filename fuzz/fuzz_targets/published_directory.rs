//! See `whittle_fuzz::published_directory`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::published_directory(data));
