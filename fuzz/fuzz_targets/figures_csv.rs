//! See `whittle_fuzz::figures_csv`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::figures_csv(data));
