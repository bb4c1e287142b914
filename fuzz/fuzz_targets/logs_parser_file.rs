//! Files of parsers, as a user writes them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| logs::fuzz::fuzz_parser_file(data));
