//! Windows events as XML, structured messages of syslog.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| logs::fuzz::fuzz_windows_xml(data));
