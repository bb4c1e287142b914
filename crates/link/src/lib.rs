//! Agent to collector: protocol, mutual TLS, enrolment, acknowledgements, disk spool.
//!
//! The agent writes events into a [`spool::Spool`]; [`client`] ships them and takes the
//! acknowledgements; [`server`] is the collector's end. An event leaves the spool only when the
//! collector has it on disk. Nothing here knows what an event means.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod client;
pub mod enrol;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod payload;
pub mod pki;
pub mod server;
pub mod spool;

/// Messages of the protocol, generated from `proto/link.proto`.
#[expect(
    missing_docs,
    unused_qualifications,
    clippy::clone_on_ref_ptr,
    clippy::too_many_lines,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code; documented in proto/link.proto"
)]
pub mod proto {
    tonic::include_proto!("pikett.link.v1");
}

/// Revision of the protocol that this build speaks.
pub const PROTOCOL: u32 = 1;

/// Largest message either side accepts, bytes.
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024;
