//! Rule text through the parser and the compiler of signatures.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| signature::fuzz::fuzz_rules(data));
