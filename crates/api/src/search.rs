//! Requests about searching.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST /api/v1/search`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Query, with stages if it has some (docs/search.md); empty or `*` finds everything.
    #[serde(default)]
    pub query: String,
    /// Earliest time, inclusive: RFC 3339, a day, or relative such as `now-15m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Latest time, exclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Most events to return; 50 when absent, at most 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Which events come first; the newest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<EventOrder>,
    /// Go on behind this place: `next` of an earlier answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Place>,
    /// Groupings over all events of the query; not together with stages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aggregations: Vec<serde_json::Value>,
    /// Longest time to spend, milliseconds; 10,000 when absent, at most 120,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_ms: Option<u64>,
}

/// Which events come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventOrder {
    /// The latest first.
    Newest,
    /// The earliest first.
    Oldest,
}

impl EventOrder {
    /// As requests name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
        }
    }
}

/// A place in the order of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// Time of the event, microseconds since the epoch.
    pub time: i64,
    /// Tells events of one time apart.
    pub tie: u64,
}

/// `POST /api/v1/complete`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Complete {
    /// What has been typed.
    pub text: String,
    /// Where the cursor stands, in characters from 0.
    pub place: usize,
}

/// `POST /api/v1/searches/save`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveSearch {
    /// Identity of a kept search that is to be changed.
    #[serde(default)]
    pub id: Option<String>,
    /// What it is called, at most 100 characters.
    pub name: String,
    /// Query, with stages if it has some.
    pub query: String,
    /// Earliest time: RFC 3339, or relative such as `now-24h`.
    #[serde(default)]
    pub from: Option<String>,
    /// Latest time.
    #[serde(default)]
    pub to: Option<String>,
    /// Whether all see it.
    #[serde(default)]
    pub shared: bool,
}
