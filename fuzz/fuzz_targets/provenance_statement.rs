//! See `whittle_fuzz::provenance_statement`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::provenance_statement(data));
