//! Pikett collector as a library: the binary is a thin shell around these modules.
#![forbid(unsafe_code)]

pub mod alert;
pub mod auth;
pub mod keys;
pub mod oncall;
pub mod search;
pub mod state;
pub mod store;
