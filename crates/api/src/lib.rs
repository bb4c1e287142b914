//! Types of the collector's HTTP API, a client for it, and the sealed form of what it exports.
//!
//! The OpenAPI document of the collector is generated from these types; the console, the command
//! line and every other program speak the same.
#![forbid(unsafe_code)]

pub mod client;
mod exceptions;
pub mod export;
mod redactions;
mod rules;
mod search;
mod types;

pub use exceptions::*;
pub use redactions::*;
pub use rules::*;
pub use search::*;
pub use types::*;
