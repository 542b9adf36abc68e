//! See `whittle_fuzz::manifest_payload`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::manifest_payload(data));
