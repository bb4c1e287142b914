//! Rules and an event: the index against every rule looked at.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sigma::fuzz::fuzz_differential(data));
