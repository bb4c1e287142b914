//! Conditions of exceptions made from alerts.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sigma::fuzz::fuzz_conditions(data));
