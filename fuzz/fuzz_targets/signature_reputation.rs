//! Files of categories and reputations through the loader of signatures.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| signature::fuzz::fuzz_reputation(data));
