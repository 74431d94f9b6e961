//! Feeds `sluice_fuzz::token_form`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sluice_fuzz::token_form(data));
