//! Requests about exceptions and previews of rules.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What must hold of one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExceptionCondition {
    /// Field, by its EVE or ECS name or as the event has it.
    pub field: String,
    /// `is` (when absent), `contains`, `startswith`, `endswith` or `cidr`.
    #[serde(default = "is")]
    pub how: String,
    /// Values, literally; one of them must fit.
    pub values: Vec<String>,
}

fn is() -> String {
    "is".to_owned()
}

/// `POST /api/v1/exceptions/preview`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExceptionDraft {
    /// `signature`, `sigma`, `correlation`, `anomaly` or `intel`.
    pub engine: String,
    /// Rule.
    pub rule_id: String,
    /// What must hold, all of it.
    pub conditions: Vec<ExceptionCondition>,
    /// Days to look back, 30 when absent.
    #[serde(default)]
    pub days: Option<u32>,
}

/// `POST /api/v1/exceptions/add`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewException {
    /// `signature`, `sigma`, `correlation`, `anomaly` or `intel`.
    pub engine: String,
    /// Rule.
    pub rule_id: String,
    /// Title; the alert's or the rule's when absent.
    #[serde(default)]
    pub title: String,
    /// What must hold, all of it.
    pub conditions: Vec<ExceptionCondition>,
    /// Why.
    pub reason: String,
    /// Days it holds: 30 when absent, at most 180.
    #[serde(default)]
    pub days: Option<u32>,
    /// Alert it is made from.
    #[serde(default)]
    pub alert: Option<String>,
    /// Alerts judged true positive that it may hide all the same, each by its identity. Administrators only.
    #[serde(default)]
    pub put_aside: Vec<String>,
    /// It may be made although the past could not be looked at whole. Administrators only.
    #[serde(default)]
    pub untested: bool,
}

/// `POST /api/v1/exceptions/{id}/end`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndException {
    /// Why.
    pub reason: String,
}
