//! Log lines of every format.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pikett_agent::fuzz::fuzz_line(data));
