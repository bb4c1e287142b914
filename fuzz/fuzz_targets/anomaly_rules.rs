//! Anomaly rules as YAML.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anomaly::fuzz::fuzz_rules(data));
