//! Bytes to packets, flows, streams and transactions.
//!
//! No IO, no clock, no threads: bytes and their capture time come in through [`Engine::packet`],
//! what they mean goes out through a [`Sink`]. Everything is owned by one [`Engine`], one engine
//! belongs to one worker, so nothing here locks.
//!
//! Reading order: [`decode`] (bytes to [`Packet`]), [`defrag`], [`flow`] (packet to [`Flow`]),
//! [`stream`] (TCP segments to [`Chunk`]s), [`app`] (chunks to [`Transaction`]s), [`engine`]
//! (the order in which all that happens). It knows nothing of rules, records or capture devices.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod app;
pub mod cursor;
pub mod decode;
pub mod defrag;
pub mod engine;
pub mod flow;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod policy;
pub mod prefetch;
pub mod stream;
#[cfg(test)]
mod testing;

pub use app::{Protocol, Transaction};
pub use decode::{Anomalies, DecoderEvent, LinkType, Packet};
pub use engine::{Config, Engine, EventCounts, Meta, Sink, Stats};
pub use flow::{Direction, EndReason, Flow, FlowId, FlowName, FlowState};
pub use stream::{Chunk, Content};
