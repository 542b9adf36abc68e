//! See `whittle_fuzz::release_index`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::release_index(data));
