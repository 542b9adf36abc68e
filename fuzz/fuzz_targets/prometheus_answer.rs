//! See `whittle_fuzz::prometheus_answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::prometheus_answer(data));
