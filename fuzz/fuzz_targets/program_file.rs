//! See `whittle_fuzz::program_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::program_file(data));
