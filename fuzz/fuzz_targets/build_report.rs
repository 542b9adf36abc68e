//! See `whittle_fuzz::build_report`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::build_report(data));
