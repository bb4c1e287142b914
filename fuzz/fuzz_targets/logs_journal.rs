//! The journal's export format, lines of container runtimes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| logs::fuzz::fuzz_journal(data));
