//! Pikett command line: search, tail, alerts, rules, scan.
#![forbid(unsafe_code)]

fn main() {}
