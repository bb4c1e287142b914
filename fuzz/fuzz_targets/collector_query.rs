//! Queries as analysts type them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pikett_collector::search::parse::fuzz_query(data));
