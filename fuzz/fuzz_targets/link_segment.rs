//! Files of the spool after a crash.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| link::fuzz::fuzz_segment(data));
