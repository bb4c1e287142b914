//! Development tasks: run, test, check, tidy, bench.
#![forbid(unsafe_code)]

fn main() {}
