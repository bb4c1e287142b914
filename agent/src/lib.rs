//! The agent: packets and logs in, detection, spool, link. The binary is `main.rs`.
#![forbid(unsafe_code)]

pub mod config;
pub mod detect;
mod exporters;
pub mod filestore;
pub mod identity;
pub mod inbox;
mod keys;
pub mod memory;
pub mod outbox;
pub mod privileges;
pub mod replay;
pub mod report;
pub mod run;
pub(crate) mod sensor;
pub mod watch;
