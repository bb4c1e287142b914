//! The query as it was written: structure and texts, no types yet.

use std::ops::Bound;

use super::wildcard::{Part, Wildcard};

/// A query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// Everything.
    All,
    /// All of these.
    And(Vec<Self>),
    /// Any of these.
    Or(Vec<Self>),
    /// None of this.
    Not(Box<Self>),
    /// A test of one field.
    Field {
        /// Name as written.
        name: String,
        /// What it must be.
        test: Test,
        /// Column of the name, from 1.
        column: usize,
    },
    /// A term without a field.
    Bare {
        /// What is looked for.
        term: Scalar,
        /// Its column, from 1.
        column: usize,
    },
    /// A regular expression without a field.
    BareRegex {
        /// What is looked for.
        pattern: Regex,
        /// Its column, from 1.
        column: usize,
    },
}

/// A query and the stages behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piped {
    /// Which events.
    pub query: Expr,
    /// Characters of the text that are the query.
    pub query_ends: usize,
    /// What is done with them, one after the other.
    pub stages: Vec<super::pipe::Stage>,
}

/// What a field must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Present.
    Exists,
    /// This value or pattern.
    Is(Scalar),
    /// Fits this regular expression as a whole.
    Regex(Regex),
    /// Between these.
    Range {
        /// Lower bound.
        low: Bound<String>,
        /// Upper bound.
        high: Bound<String>,
    },
}

/// A regular expression as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regex {
    /// What stands between the slashes.
    pub source: String,
    /// Whether case is of no account.
    pub insensitive: bool,
    /// Column of its first character, from 1.
    pub column: usize,
}

/// A value as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Its characters and wildcards; quoted text has no wildcards.
    pub parts: Wildcard,
    /// Whether it stood in quotes.
    pub quoted: bool,
}

impl Scalar {
    /// The plain text when there is no wildcard in it.
    #[must_use]
    pub fn literal(&self) -> Option<String> {
        self.parts
            .parts()
            .iter()
            .map(|part| match part {
                Part::Char(c) => Some(*c),
                Part::One | Part::Many => None,
            })
            .collect()
    }
}
