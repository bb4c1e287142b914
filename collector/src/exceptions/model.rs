//! What an exception is: its parts as they are kept, made and listed, and what makes one whole.
//!
//! Pure data; which ones hold and what they do is in the room above.

use event::{Engine, Timestamp};
use serde::{Deserialize, Serialize};
use sigma::{Condition, Conditions, RuleError};

use super::due;
use crate::alert::Entry;
use crate::keys::KeyError;
use crate::state::{Record, StateError};

/// Days an exception holds unless it is said.
pub const USUAL_DAYS: u32 = 30;
/// Most days an exception may hold: after that somebody has to look again.
pub const MAX_DAYS: u32 = 180;
/// Days without a suppression after which an exception is told to be unused.
const UNUSED_DAYS: i64 = 14;
/// Most characters of a title or reason.
pub(super) const MAX_TEXT: usize = 2_000;

/// An exception.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exception {
    /// Identity.
    pub id: String,
    /// Title.
    pub title: String,
    /// Engine of the rule.
    pub engine: Engine,
    /// Rule.
    pub rule_id: String,
    /// What must hold of a detection's event.
    pub conditions: Vec<Condition>,
    /// Why.
    pub reason: String,
    /// Who made it.
    pub author: String,
    /// When it was made.
    pub made: Timestamp,
    /// First moment at which it has no effect any more.
    pub expires: Timestamp,
    /// Alert it was made from.
    pub alert: Option<String>,
    /// When it was ended before its time.
    pub ended: Option<Timestamp>,
    /// Alerts with the verdict true positive that it would have hidden, and that were put aside by name.
    #[serde(default)]
    pub overridden: Vec<String>,
    /// History.
    pub history: Vec<Entry>,
    /// What of its end was told.
    #[serde(default)]
    pub told: due::Told,
}

impl Record for Exception {
    const KIND: &'static str = "exception";
    fn id(&self) -> &str {
        &self.id
    }
}

/// What an exception has suppressed; of those from files too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hits {
    /// Identity of the exception.
    pub id: String,
    /// Detections suppressed, and matches kept out of correlations.
    pub count: u64,
    /// The last time, by the collector's clock.
    pub last: Option<Timestamp>,
}

impl Record for Hits {
    const KIND: &'static str = "exception_hits";
    fn id(&self) -> &str {
        &self.id
    }
}

/// How an exception stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It suppresses.
    Active,
    /// Somebody ended it.
    Ended,
    /// Its time is over.
    Expired,
}

impl Exception {
    /// How it stands.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        match self.ended {
            Some(_) => Standing::Ended,
            None if self.expires <= now => Standing::Expired,
            None => Standing::Active,
        }
    }

    pub(super) fn note(&mut self, time: Timestamp, who: &str, what: impl Into<String>) {
        self.history.push(Entry { time, who: who.to_owned(), what: what.into() });
    }
}

/// Whether something that holds has suppressed nothing for long.
pub(super) fn unused(now: Timestamp, made: Timestamp, last: Option<Timestamp>) -> bool {
    now.micros_since(last.map_or(made, |last| last.max(made))) > UNUSED_DAYS * 86_400_000_000
}

/// An exception as it is to be made.
#[derive(Clone, Debug)]
pub struct New {
    /// Title; made of the rule's when empty.
    pub title: String,
    /// Engine of the rule.
    pub engine: Engine,
    /// Rule.
    pub rule_id: String,
    /// What must hold.
    pub conditions: Vec<Condition>,
    /// Why.
    pub reason: String,
    /// Who makes it.
    pub author: String,
    /// How long it holds.
    pub days: u32,
    /// Alert it is made from.
    pub alert: Option<String>,
    /// True positives that are put aside by name.
    pub overridden: Vec<String>,
}

/// Why an exception is not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum ExceptionError {
    /// It is not whole.
    #[error("{0}")]
    Wrong(String),
    /// Its conditions cannot be evaluated.
    #[error(transparent)]
    Conditions(#[from] RuleError),
    /// No such exception.
    #[error("no exception {id:?}")]
    Unknown {
        /// As asked for.
        id: String,
    },
    /// It is over.
    #[error("the exception is {standing} already")]
    Over {
        /// How it stands.
        standing: &'static str,
    },
    /// State could not be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// No identity could be made.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// An exception with what it has done, for lists.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listed {
    /// The exception.
    #[serde(flatten)]
    pub exception: Exception,
    /// How it stands.
    pub standing: Standing,
    /// Whether it holds and has suppressed nothing for 14 days.
    pub unused: bool,
    /// What it has suppressed.
    pub hits: u64,
    /// The last time.
    pub last_hit: Option<Timestamp>,
}

/// An exception from a file of the collector, for lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FromFile {
    /// Identity.
    pub id: String,
    /// Title.
    pub title: String,
    /// File.
    pub file: String,
    /// Rules; empty means any.
    pub rules: Vec<String>,
    /// Why.
    pub reason: String,
    /// Who wrote it.
    pub author: String,
    /// First moment at which it has no effect any more.
    pub expires: Timestamp,
    /// Whether it still holds.
    pub standing: Standing,
    /// What it has suppressed.
    pub hits: u64,
    /// The last time.
    pub last_hit: Option<Timestamp>,
}

/// Whether what is said of a new exception is whole.
pub(super) fn check(new: &New) -> Result<(), ExceptionError> {
    let wrong = |what: &str| Err(ExceptionError::Wrong(what.to_owned()));
    if new.engine == Engine::Health {
        return wrong("what Pikett tells of itself has no exceptions: its cause must be removed");
    }
    if new.rule_id.is_empty() || new.rule_id.len() > 512 {
        return wrong("without a rule");
    }
    if new.reason.trim().is_empty() {
        return wrong("without a reason");
    }
    if [&new.title, &new.reason].iter().any(|text| text.chars().count() > MAX_TEXT) {
        return wrong("title and reason have at most 2000 characters");
    }
    if !(1..=MAX_DAYS).contains(&new.days) {
        return Err(ExceptionError::Wrong(format!("it holds between 1 and {MAX_DAYS} days")));
    }
    Conditions::new(std::iter::once(("new", new.conditions.as_slice())))?;
    Ok(())
}
