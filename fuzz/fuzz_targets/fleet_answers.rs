//! See `whittle_fuzz::fleet_answers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::fleet_answers(data));
