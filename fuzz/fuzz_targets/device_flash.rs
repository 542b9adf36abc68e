//! See `whittle_fuzz::device_flash`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| whittle_fuzz::device_flash(data));
