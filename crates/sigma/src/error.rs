//! Why a rule is not loaded.

/// Why a rule, filter or correlation is refused. A part that would be ignored is such a reason.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The text is no YAML, or larger or deeper than the limits.
    #[error("not readable as YAML: {reason}")]
    Yaml {
        /// What the reader says.
        reason: String,
    },
    /// The Sigma parser refuses it.
    #[error("{reason}")]
    Parse {
        /// What the parser says.
        reason: String,
    },
    /// A part of the document would have no effect.
    #[error("{part} would be ignored")]
    Ignored {
        /// Which part.
        part: String,
    },
    /// Modifiers or values that have no meaning together.
    #[error("modifier: {what}")]
    Modifier {
        /// What is wrong.
        what: String,
    },
    /// A regular expression that is not supported.
    #[error("regular expression: {source}")]
    Regex {
        /// What the compiler says.
        source: Box<regex::Error>,
    },
    /// Not an address range.
    #[error("not a network: {text:?}")]
    Network {
        /// The text.
        text: String,
    },
    /// The condition names what does not exist.
    #[error("condition: nothing is called {name:?}")]
    Unknown {
        /// The name or pattern.
        name: String,
    },
    /// A filter or correlation refers to a rule that is not loaded.
    #[error("refers to the rule {name:?}, which is not loaded")]
    Reference {
        /// Identity, name or title it refers to.
        name: String,
    },
    /// Another rule has this identity.
    #[error("another rule has the identity {id:?}")]
    Duplicate {
        /// Identity.
        id: String,
    },
    /// A correlation that has no meaning.
    #[error("correlation: {what}")]
    Correlation {
        /// What is wrong.
        what: String,
    },
    /// An exception that is not whole.
    #[error("exception: {what}")]
    Exception {
        /// What is wrong.
        what: String,
    },
    /// The rule is sound, and cannot fire as things are configured.
    #[error("placeholder %{placeholder}% has no values")]
    Inert {
        /// Name of the placeholder.
        placeholder: String,
    },
}
