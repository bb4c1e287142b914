//! Fragments of IPv4 and IPv6 datagrams, in any order and overlap.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| net::fuzz::fuzz_fragments(data));
