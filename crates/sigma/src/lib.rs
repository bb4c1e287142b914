//! Sigma rules, filters and correlations over events.
//!
//! [`RuleSet::load`] turns rule texts into one compiled, immutable set; [`RuleSet::evaluate`] tells
//! which rules a [`Record`] matches, [`RuleSet::describe`] says why in words. [`Correlator`] keeps the
//! state of correlation rules. Nothing here reads a clock, a file or a socket; time is event time.
//!
//! ```
//! use sigma::{Correlator, Options, Record, RuleSet, Scratch};
//!
//! let text = "title: Root\nid: r\nlogsource: {product: linux, service: sshd}\n\
//!             detection:\n  s:\n    user.name: root\n  condition: s\n";
//! let (rules, report) = RuleSet::load([("ssh.yml", text)].into_iter(), &Options::default());
//! assert_eq!((report.accepted, report.rejected.len()), (1, 0));
//!
//! let mut scratch = Scratch::new(); // one for each thread
//! let mut correlator = Correlator::new(&rules); // one owner
//! let event = serde_json::json!({"process": {"name": "sshd"}, "user": {"name": "root"}});
//! let record = Record::new(event.as_object().unwrap());
//! let matched = rules.evaluate(&record, &mut scratch).to_vec();
//! for rule in matched.iter().filter(|rule| rules.speaks(**rule)) {
//!     let found = rules.describe(*rule, &record, &mut scratch).unwrap();
//!     assert_eq!(found.into_detection().entity.value, "root");
//! }
//! assert!(correlator.observe(&record, &matched).is_empty());
//! ```
#![forbid(unsafe_code)]

mod check;
mod compile;
mod conditions;
pub mod correlation;
mod describe;
mod encode;
mod error;
mod evaluate;
mod exception;
mod expression;
mod hunt;
mod index;
mod load;
mod logsource;
mod mapping;
mod modifiers;
mod pattern;
mod query;
mod record;
mod route;
mod rule;
mod test;

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
#[cfg(test)]
mod tests;

pub use conditions::{Condition, Conditions, How, detection_text};
pub use correlation::{Correlated, Correlator, Limits, RestoreError, Restored};
pub use describe::Match;
pub use error::RuleError;
pub use evaluate::{RuleIndex, Scratch};
pub use exception::{Exception, Exceptions};
pub use hunt::{Fired, Hunter, Made};
pub use load::{Inert, Options, Rejected, Report, RuleSet};
pub use logsource::{Source, sources};
pub use mapping::Mappings;
pub use modifiers::Placeholders;
pub use record::{Entry, Record, Scalar, Tape};
pub use rule::Meta;
