//! Feeds `sluice_fuzz::scopes`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sluice_fuzz::scopes(data));
