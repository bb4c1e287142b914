//! Sigma rules and correlations over events.
#![forbid(unsafe_code)]
