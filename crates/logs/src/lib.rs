//! Log sources and parsers: lines in, events out; for agent, collector and command line alike.
//!
//! [`source`] reads files, the journal and what others send, and says how far each was read; [`parse`] makes
//! events of lines and needs no source; [`evtx`] takes Windows event logs apart. What becomes of an event is not known here: it goes into the
//! queue of whoever opened the source.
#![forbid(unsafe_code)]

pub mod config;
pub mod evtx;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod netflow;
pub mod parse;
pub mod source;
