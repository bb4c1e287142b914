//! TCP segments in any cut and order: the bytes that come out are the stream's.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| net::fuzz::fuzz_stream(data));
