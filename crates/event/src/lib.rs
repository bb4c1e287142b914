//! The common language of Pikett: events, batches, ids, detections and the field dictionary.
//!
//! Pure data and its serialised form. Nothing here reads a clock, a file or a socket. Agents make
//! [`Event`]s, `link` carries them in [`Batch`]es, the collector stores their documents.
#![forbid(unsafe_code)]

mod batch;
mod detection;
mod event;
mod fields;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod id;
mod ledger;
mod path;
mod report;
mod time;

pub use batch::{Batch, Outcome, Receipt};
pub use detection::{Detection, Engine, Entity, Severity, Technique};
pub use event::{Document, DocumentError, Event, Kind, Origin};
pub use fields::{FIELDS, Field, FieldType, by_name, canonical};
pub use id::{AgentId, EventId, IdError};
pub use ledger::{Hop, Ledger};
pub use path::{flatten, get, set};
pub use report::{PeerReport, Report, SourceReport};
pub use time::{TimeError, Timestamp};

/// A JSON object with its keys in the order they were written.
pub type Object = serde_json::Map<String, serde_json::Value>;
