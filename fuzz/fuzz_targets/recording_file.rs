//! See `whittle_fuzz::recording_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::recording_file(data));
