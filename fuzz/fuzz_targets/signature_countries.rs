//! Databases of countries through the loader of signatures.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| signature::fuzz::fuzz_countries(data));
