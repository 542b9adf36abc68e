//! See `whittle_fuzz::bundle_payload`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::bundle_payload(data));
