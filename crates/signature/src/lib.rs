//! Suricata-language rules: parse, check, compile, scan.
#![forbid(unsafe_code)]
