//! Exceptions from Sigma rules.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sigma::fuzz::fuzz_exceptions(data));
