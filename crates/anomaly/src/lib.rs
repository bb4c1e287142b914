//! Thresholds, rates, sequences, first-seen sets and learned baselines over events.
//!
//! Rules in YAML (`rules/FORMAT.md`) go in at [`RuleSet::load`]. An [`Engine`] sees one event after
//! the other and appends [`Finding`]s; its time is that of the events alone, so a replay gives the
//! same findings. It opens no file and reads no clock. Memory is bounded by each rule: the least
//! recently seen group goes first, and every one that goes is counted.
//!
//! ```
//! use anomaly::{Engine, EventView, Options, RuleSet, Source};
//! let text = "
//! title: Many failures
//! id: 6f3c0b8e-6f5b-4d0a-9d0e-0f5b6a1c2d3e
//! level: high
//! select: { event.outcome: failure }
//! group-by: [src_ip]
//! timespan: 60s
//! threshold: { count: events, gte: 2 }
//! ";
//! let source = Source { name: "my.yml".into(), text: text.into() };
//! let (rules, errors) = RuleSet::load(&[source], &Options::default());
//! assert!(errors.is_empty());
//! let mut engine = Engine::new(&rules);
//! let serde_json::Value::Object(fields) =
//!     serde_json::json!({"event": {"outcome": "failure"}, "src_ip": "192.0.2.7"}) else { return };
//! let mut found = Vec::new();
//! for second in 0..2 {
//!     let time = event::Timestamp::from_seconds(second);
//!     engine.observe(&EventView { time, kind: "log", id: None, fields: &fields }, &mut found);
//! }
//! assert_eq!(found[0].value, 2.0);
//! ```
#![forbid(unsafe_code)]

mod domain;
mod engine;
mod error;
mod filter;
mod finding;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod rule;
mod snapshot;
mod state;
mod view;

pub use engine::{Counters, Engine};
pub use error::{Problem, RuleError};
pub use filter::Filter;
pub use finding::Finding;
pub use rule::{
    Baseline, Check, Condition, GroupKey, Measure, Model, Options, Rule, RuleSet, Source, Status,
    Step,
};
pub use snapshot::{RestoreError, Restored};
pub use view::EventView;
