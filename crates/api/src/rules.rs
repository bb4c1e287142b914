//! Requests about rules.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST /api/v1/rules/preview`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RulePreview {
    /// Sigma rules, one or more YAML documents.
    pub rules: String,
    /// Earliest time: RFC 3339, or relative; `now-7d` when absent.
    #[serde(default)]
    pub from: Option<String>,
    /// Latest time, `now` when absent.
    #[serde(default)]
    pub to: Option<String>,
}
