//! See `whittle_fuzz::policy_answers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::policy_answers(data));
