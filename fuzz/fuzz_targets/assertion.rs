//! Feeds `sluice_fuzz::assertion`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sluice_fuzz::assertion(data));
