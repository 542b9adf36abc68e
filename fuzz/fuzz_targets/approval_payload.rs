//! See `whittle_fuzz::approval_payload`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::approval_payload(data));
