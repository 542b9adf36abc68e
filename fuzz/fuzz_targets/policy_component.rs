//! See `whittle_fuzz::policy_component`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::policy_component(data));
