//! Feeds `sluice_fuzz::selection`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sluice_fuzz::selection(data));
