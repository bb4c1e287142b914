//! TLS records and handshake messages, given to the parser from its first byte on.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| net::fuzz::fuzz_tls(data));
