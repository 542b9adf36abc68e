//! See `whittle_fuzz::flags_source`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::flags_source(data));
