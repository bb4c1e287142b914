//! Files that are said to be sealed exports.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| api::export::fuzz::fuzz_export(data));
