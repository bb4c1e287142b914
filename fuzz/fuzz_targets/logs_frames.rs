//! Syslog streams in both framings, whole and cut.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| logs::fuzz::fuzz_frames(data));
