//! See `whittle_fuzz::rollout_log`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::rollout_log(data));
