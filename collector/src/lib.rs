//! Pikett collector as a library: the binary is a thin shell around these modules.
#![forbid(unsafe_code)]

pub mod agents;
pub mod alert;
pub mod audit;
pub mod auth;
pub mod completeness;
pub mod config;
pub mod correlate;
pub mod custody;
pub mod exceptions;
pub mod hunts;
pub mod init;
pub mod intake;
pub mod journal;
pub mod keyring;
pub mod keys;
pub mod lines;
pub mod local;
pub mod oncall;
pub mod pipeline;
pub mod process;
pub mod receive;
pub mod redaction;
mod room;
pub mod run;
pub mod search;
pub mod searches;
pub mod state;
pub mod store;
#[cfg(test)]
mod testing;
pub mod upkeep;
pub mod vault;
pub mod verify;
mod watch;
pub mod web;
