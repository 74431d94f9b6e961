//! Feeds `sluice_fuzz::jwks`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sluice_fuzz::jwks(data));
