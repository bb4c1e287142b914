//! Blocks of the kernel's ring.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| capture::fuzz::fuzz_block(data));
