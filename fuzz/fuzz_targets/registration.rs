//! Feeds `sluice_fuzz::registration`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sluice_fuzz::registration(data));
