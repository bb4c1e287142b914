//! Chunks of Windows event logs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| logs::fuzz::fuzz_evtx(data));
