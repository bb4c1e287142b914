//! Records of Suricata and Zeek, with the head of their file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| logs::fuzz::fuzz_sensor(data));
