//! Lines of every declarative parser: the first byte chooses which.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| logs::fuzz::fuzz_parsers(data));
