//! Searching events: the query language, its meaning, and the requests a store answers.
//!
//! Text goes through [`mod@parse`] into an [`ast::Expr`], through [`mod@plan`] into typed
//! [`plan::Node`]s, which a store executes or [`mod@matches`] applies to one document in memory
//! (live tail). Nothing here knows how a store works; the web layer and the Elasticsearch
//! surface wrap [`SearchRequest`] and [`SearchResponse`].

pub mod aggregate;
pub mod answer;
pub mod ast;
pub mod calendar;
pub mod complete;
pub mod matches;
pub mod notes;
pub mod pages;
pub mod parse;
pub mod pipe;
pub mod plan;
pub mod regex;
pub mod suggest;
pub mod timespan;
pub mod value;
pub mod wildcard;
pub mod words;

#[cfg(test)]
mod grammar_tests;
#[cfg(test)]
mod meaning_tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use event::Document;
use serde::{Deserialize, Serialize};

pub use aggregate::{Aggregated, Aggregation, TermBucket, TimeBucket};
pub use answer::{Answer, Missing, Table, answer};
pub use matches::Matcher;
pub use pages::Pages;
pub use parse::{ParseError, parse};
pub use plan::{Node, PlanError, plan};

/// Most hits one request may ask for.
pub const MAX_LIMIT: usize = 10_000;
/// Most buckets of one aggregation.
pub const MAX_BUCKETS: usize = 10_000;

/// What to look for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// Query text; empty or `*` finds everything.
    #[serde(default)]
    pub query: String,
    /// A compiled query that must hold besides the text, from surfaces with a language of their own.
    #[serde(skip)]
    pub node: Option<Node>,
    /// Earliest event time, inclusive: RFC 3339, a day, or relative such as `now-15m`, `now-1d/d`.
    #[serde(default)]
    pub from: Option<String>,
    /// Latest event time, exclusive; same forms.
    #[serde(default)]
    pub to: Option<String>,
    /// Most hits to return, in the order asked for; 0 only counts.
    #[serde(default = "default_limit")]
    pub limit: usize,
    /// Which hits come first.
    #[serde(default)]
    pub order: HitOrder,
    /// Go on after this hit: `next` of an earlier response.
    #[serde(default)]
    pub after: Option<Cursor>,
    /// Groupings over all hits of the query, whatever the limit.
    #[serde(default)]
    pub aggregations: Vec<Aggregation>,
    /// Longest time to spend, milliseconds; what was found by then is returned as partial.
    #[serde(default = "default_budget")]
    pub budget_ms: u64,
}

const fn default_limit() -> usize {
    50
}

const fn default_budget() -> u64 {
    10_000
}

impl Default for SearchRequest {
    fn default() -> Self {
        Self {
            query: String::new(),
            node: None,
            from: None,
            to: None,
            limit: default_limit(),
            order: HitOrder::default(),
            after: None,
            aggregations: Vec::new(),
            budget_ms: default_budget(),
        }
    }
}

impl SearchRequest {
    /// Time budget.
    #[must_use]
    pub const fn budget(&self) -> Duration {
        Duration::from_millis(self.budget_ms)
    }
}

/// Which hits come first. One order is the other turned round, also among hits of one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HitOrder {
    /// The latest first.
    #[default]
    Newest,
    /// The earliest first.
    Oldest,
}

impl HitOrder {
    /// A time as it counts in this order: the greater one comes first. Done twice it is the time again.
    #[must_use]
    pub const fn time(self, time: i64) -> i64 {
        match self {
            Self::Newest => time,
            Self::Oldest => !time,
        }
    }

    /// A place as it counts in this order: the greater one comes first. Done twice it is the place again.
    #[must_use]
    pub const fn place(self, place: Cursor) -> Cursor {
        match self {
            Self::Newest => place,
            Self::Oldest => Cursor { time: !place.time, tie: !place.tie },
        }
    }
}

/// A position in the order of hits (by time, then by tie); stable while the store changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cursor {
    /// Event time of the last hit, microseconds since the epoch.
    pub time: i64,
    /// Tie-breaker of the last hit.
    pub tie: u64,
}

/// One hit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// `event.id`.
    pub id: String,
    /// Its place in the order of hits.
    pub cursor: Cursor,
    /// The document as it was stored.
    pub document: Document,
}

/// A partition that could not be searched; the others were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionFailure {
    /// Name of the partition.
    pub partition: String,
    /// Why.
    pub reason: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SearchResponse {
    /// Events that match, whatever the limit and cursor.
    pub total: u64,
    /// In the order asked for.
    pub hits: Vec<Hit>,
    /// Where to go on; `None` when these were the last.
    pub next: Option<Cursor>,
    /// One result for each aggregation asked for.
    pub aggregations: Vec<Aggregated>,
    /// The time budget ran out: totals and groupings are lower bounds.
    pub partial: bool,
    /// Partitions that could not be read.
    pub failures: Vec<PartitionFailure>,
    /// Partitions searched; others were outside the time range, or are in [`Self::skipped`].
    pub partitions: usize,
    /// Partitions that were not looked at because they cannot hold a hit.
    #[serde(default)]
    pub skipped: Skipped,
}

/// Partitions of the days searched that cannot hold a hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Because none of their events is of the time.
    pub by_time: u64,
    /// Because they lack a term that every hit has.
    pub by_terms: u64,
}

impl Skipped {
    /// Of both kinds.
    #[must_use]
    pub const fn all(self) -> u64 {
        self.by_time.saturating_add(self.by_terms)
    }
}

/// A field that events have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldSeen {
    /// Canonical name.
    pub name: String,
    /// Kinds of its values: `text`, `number`, `ip`, `date`, `bool`.
    pub kinds: Vec<String>,
    /// Events that have it, about.
    pub events: u64,
}

/// A value that events have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueSeen {
    /// As text; words of running text in lower case.
    pub value: String,
    /// Events that have it, about.
    pub events: u64,
}

/// Why a search gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The query text is wrong.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The query asks something its fields cannot answer.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A time of the range is wrong.
    #[error("{which}: {source}")]
    Time {
        /// `from` or `to`.
        which: &'static str,
        /// Why.
        #[source]
        source: timespan::TimeSpanError,
    },
    /// The values of this field cannot be grouped: it has no column.
    #[error("cannot group by {field}; group by a keyword, number, address or short text field")]
    Ungroupable {
        /// Field as stored.
        field: String,
    },
    /// An aggregation cannot mean anything.
    #[error("aggregation {at}: {problem}")]
    Aggregation {
        /// Which one: its number, then the names of those below it, as `0.hosts.bytes`.
        at: String,
        /// What is wrong.
        problem: String,
    },
    /// Buckets of numbers are too narrow to tell them apart.
    #[error(
        "interval {interval:e} is too small for the values of {field}: there would be over 2^53 buckets"
    )]
    Narrow {
        /// Width of a bucket.
        interval: f64,
        /// Field as stored.
        field: String,
    },
    /// A limit of the request is out of bounds.
    #[error("{what} is {given}, at most {limit} is allowed")]
    Limit {
        /// Which one.
        what: &'static str,
        /// What was asked.
        given: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The answer needs more than one search may take.
    #[error("{what}; narrow the query or ask for fewer groups")]
    TooCostly {
        /// What it needs too much of.
        what: &'static str,
    },
    /// The caller cancelled.
    #[error("search was cancelled")]
    Cancelled,
    /// The store could not answer at all.
    #[error("search failed: {reason}")]
    Failed {
        /// What the store said.
        reason: String,
    },
}

/// Lets another thread stop a search.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Not cancelled yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the searches that hold a clone of this.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
