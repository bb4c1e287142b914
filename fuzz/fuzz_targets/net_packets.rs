//! Frames of every link type through decoding, defragmentation, reassembly and parsers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| net::fuzz::fuzz_packets(data));
