//! See `whittle_fuzz::input_mcuboot`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::input_mcuboot(data));
