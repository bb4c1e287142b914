//! Requests about redactions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST /api/v1/redactions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedactionAsked {
    /// What finds the events, at most 1,000: a query without stages.
    pub query: String,
    /// Begin of the time range, as in a search.
    #[serde(default)]
    pub from: Option<String>,
    /// End of the time range, exclusive.
    #[serde(default)]
    pub to: Option<String>,
    /// Fields that are taken out of the events; the events go whole when there are none.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Why, 10 to 1,000 characters; it stays in the tombstone.
    pub reason: String,
    /// The word that the same request gave without it: then it is done.
    #[serde(default)]
    pub confirm: Option<String>,
    /// Whether to answer when it is done, rather than as soon as it is begun and goes on whatever happens.
    #[serde(default = "yes")]
    pub wait: bool,
}

const fn yes() -> bool {
    true
}
