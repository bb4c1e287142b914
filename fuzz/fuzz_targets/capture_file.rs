//! Capture files: pcap and pcapng, compressed or not.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| capture::fuzz::fuzz_file(data));
