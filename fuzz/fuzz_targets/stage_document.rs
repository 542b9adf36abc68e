//! See `whittle_fuzz::stage_document`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::stage_document(data));
