//! Payloads of batches from agents.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| link::fuzz::fuzz_payload(data));
