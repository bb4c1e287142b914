//! Pikett agent: captures packets and logs, detects, ships.
#![forbid(unsafe_code)]

fn main() {}
