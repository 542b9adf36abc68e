//! See `whittle_fuzz::package`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::package(data));
