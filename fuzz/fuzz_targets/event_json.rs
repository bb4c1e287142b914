//! Events as a hostile agent may write them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| event::fuzz::fuzz_event(data));
