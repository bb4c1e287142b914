//! Application bytes of both directions, with gaps.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| net::fuzz::fuzz_app(data));
