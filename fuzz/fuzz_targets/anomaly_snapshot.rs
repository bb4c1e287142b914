//! Saved state of the anomaly detectors.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anomaly::fuzz::fuzz_snapshot(data));
