//! Events against anomaly rules.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anomaly::fuzz::fuzz_events(data));
