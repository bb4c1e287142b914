//! Why a rule is not taken: file, key and reason.

/// A rule that is not in the set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {key}: {problem}")]
pub struct RuleError {
    /// Name of its source, with the number of the document when it holds several.
    pub file: String,
    /// Dotted path of the key that is wrong, `rule` for the whole.
    pub key: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text is no YAML.
    #[error("not YAML: {reason}")]
    Yaml {
        /// What the reader says.
        reason: String,
    },
    /// No such key here.
    #[error("unknown key")]
    Unknown,
    /// A key that must be there.
    #[error("is missing")]
    Missing,
    /// A value of another type or form.
    #[error("found {found}, expected {expected}")]
    Value {
        /// What stands there, shortened.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// Keys that do not go together, or a value that contradicts another.
    #[error("{reason}")]
    Conflict {
        /// Why.
        reason: &'static str,
    },
}
