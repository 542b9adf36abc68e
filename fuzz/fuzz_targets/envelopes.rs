//! See `whittle_fuzz::envelopes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::envelopes(data));
