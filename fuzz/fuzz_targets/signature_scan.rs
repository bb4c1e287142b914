//! Payloads against compiled signatures.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| signature::fuzz::fuzz_scan(data));
