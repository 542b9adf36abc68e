//! See `whittle_fuzz::keys_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::keys_file(data));
