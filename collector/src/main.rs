//! Pikett collector: receives, stores, searches, correlates, alerts, pages.
#![forbid(unsafe_code)]

fn main() {}
