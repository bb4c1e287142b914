//! Keyring, journal, lists of segments, anchors and log records as somebody may have left them on disk.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pikett_collector::verify::fuzz_files(data));
