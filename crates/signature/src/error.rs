//! Why a rule is refused: one structured error per cause, always naming the keyword.

use thiserror::Error;

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleError {
    /// The rule does not have the shape `action proto src sport -> dst dport (options)`.
    #[error("rule header: {what}")]
    Header {
        /// What is missing or malformed.
        what: String,
    },
    /// The option is not a keyword of the language.
    #[error("unknown keyword \"{name}\"{hint}")]
    UnknownKeyword {
        /// As written.
        name: String,
        /// Empty, or `; did you mean ...?`.
        hint: String,
    },
    /// The keyword exists in the language but is not evaluated here.
    #[error("keyword \"{keyword}\" is not evaluated: {why}")]
    Unsupported {
        /// Which one.
        keyword: String,
        /// What is missing.
        why: String,
    },
    /// The value of a keyword cannot be understood.
    #[error("{keyword}: {why}: \"{value}\"")]
    BadValue {
        /// Which keyword.
        keyword: String,
        /// Its value, shortened.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// A keyword stands where it has no meaning, or contradicts another.
    #[error("{keyword}: {why}")]
    Misplaced {
        /// Which keyword.
        keyword: String,
        /// Why it cannot stand there.
        why: String,
    },
    /// A variable that nobody defined.
    #[error("variable ${name} is not defined")]
    Variable {
        /// Without the dollar sign.
        name: String,
    },
    /// The rule itself says that it is not for this version or sensor: left out by its own wish.
    #[error("requires: not met: {what}")]
    Requires {
        /// The part that is not met.
        what: String,
    },
    /// The whole rule contradicts itself.
    #[error("{what}")]
    Conflict {
        /// What does not go together.
        what: String,
    },
}

impl RuleError {
    pub(crate) fn header(what: impl Into<String>) -> Self {
        Self::Header { what: what.into() }
    }

    pub(crate) fn value(keyword: &str, value: &[u8], why: impl Into<String>) -> Self {
        Self::BadValue { keyword: keyword.to_owned(), value: shown(value), why: why.into() }
    }

    pub(crate) fn misplaced(keyword: &str, why: impl Into<String>) -> Self {
        Self::Misplaced { keyword: keyword.to_owned(), why: why.into() }
    }

    pub(crate) fn unsupported(keyword: &str, why: impl Into<String>) -> Self {
        Self::Unsupported { keyword: shown(keyword.as_bytes()), why: why.into() }
    }

    pub(crate) fn conflict(what: impl Into<String>) -> Self {
        Self::Conflict { what: what.into() }
    }
}

/// Text of a rule as errors show it: readable, and short however long it is.
pub(crate) fn shown(text: &[u8]) -> String {
    let mut shown: String = String::from_utf8_lossy(text).chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}

/// An error at a byte of the rule's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    /// Byte offset within the rule's text.
    pub(crate) offset: usize,
    /// What is wrong.
    pub(crate) error: RuleError,
}

impl RuleError {
    pub(crate) fn at(self, offset: usize) -> Located {
        Located { offset, error: self }
    }
}
