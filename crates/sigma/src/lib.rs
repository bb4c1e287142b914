//! Sigma rules, filters and correlations over events.
//!
//! [`RuleSet::load`] turns rule texts into one compiled, immutable set; [`RuleSet::evaluate`] tells
//! which rules a [`Record`] matches, [`RuleSet::describe`] says why in words. [`Correlator`] keeps the
//! state of correlation rules. Nothing here reads a clock, a file or a socket; time is event time.
#![forbid(unsafe_code)]

mod check;
mod compile;
pub mod correlation;
mod describe;
mod encode;
mod error;
mod evaluate;
mod expression;
mod index;
mod load;
mod logsource;
mod mapping;
mod modifiers;
mod pattern;
mod record;
mod rule;
mod test;

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
#[cfg(test)]
mod tests;

pub use correlation::{Correlated, Correlator, Limits};
pub use describe::Match;
pub use error::RuleError;
pub use evaluate::{RuleIndex, Scratch};
pub use load::{Inert, Options, Rejected, Report, RuleSet};
pub use logsource::{Source, sources};
pub use modifiers::Placeholders;
pub use record::{Entry, Record, Scalar};
pub use rule::Meta;
