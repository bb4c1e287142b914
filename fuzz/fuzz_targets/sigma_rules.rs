//! Sigma rules, correlations and filters as YAML.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sigma::fuzz::fuzz_rules(data));
