//! Thresholds and learned baselines over events.
#![forbid(unsafe_code)]
