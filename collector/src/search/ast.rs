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
}

/// What a field must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Present.
    Exists,
    /// This value or pattern.
    Is(Scalar),
    /// Between these.
    Range {
        /// Lower bound.
        low: Bound<String>,
        /// Upper bound.
        high: Bound<String>,
    },
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
