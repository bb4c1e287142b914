//! The agent: packets and logs in, detection, spool, link. The binary is `main.rs`.
#![forbid(unsafe_code)]

pub mod config;
pub mod parse;
