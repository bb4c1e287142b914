//! The kept state of correlations.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sigma::fuzz::fuzz_snapshot(data));
