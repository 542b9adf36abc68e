//! See `whittle_fuzz::compact_round_trip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::compact_round_trip(data));
