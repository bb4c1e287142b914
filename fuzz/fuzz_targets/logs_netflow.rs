//! Datagrams of NetFlow and IPFIX of one exporter, one after the other.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| logs::fuzz::fuzz_netflow(data));
