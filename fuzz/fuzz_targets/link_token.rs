//! Enrolment tokens as people paste them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| link::fuzz::fuzz_token(data));
