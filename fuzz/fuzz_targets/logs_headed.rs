//! Files that name their columns: W3C extended logs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| logs::fuzz::fuzz_headed(data));
