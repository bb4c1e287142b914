//! Log lines of every format.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| logs::fuzz::fuzz_line(data));
