//! Bodies of searches as clients of Elasticsearch send them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pikett_collector::web::fuzz_elastic(data));
