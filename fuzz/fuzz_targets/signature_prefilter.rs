//! The prefilter against a search for each content.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| signature::fuzz::fuzz_prefilter(data));
