//! The Elasticsearch-compatible surface: what shippers send and clients of search ask, unchanged.
//!
//! Rooms: [`bulk`] takes events; [`dsl`] reads queries and [`aggregations`] groupings; [`request`]
//! is one search as it was asked and [`hits`] what was found; [`handlers`] serves searches,
//! [`cluster`] what clients ask about the server and [`fields`] about fields; [`indices`] says what
//! names of indices mean. Not here: a language or an engine of its own. Queries become
//! [`crate::search::Node`]s, and what the product cannot answer as asked is refused by name.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

mod aggregations;
mod bulk;
mod cluster;
mod dsl;
mod fields;
mod handlers;
mod hits;
pub(super) mod ids;
mod indices;
mod read;
mod request;
mod scroll;
#[cfg(test)]
mod tests;

pub(super) use bulk::{bulk, bulk_into};
pub(super) use cluster::{
    absent, acknowledge, health, identity, index, license, nodes, root, settings,
};
pub(super) use fields::{caps, caps_of, cat_indices, mapping, mapping_of};
pub(super) use handlers::{
    clear, count, count_of, multi, multi_of, scroll as scroll_on, search, search_of,
};
#[cfg(any(test, feature = "fuzzing"))]
pub use request::fuzz_elastic;

/// Header without which clients do not go on.
const PRODUCT: (&str, &str) = ("x-elastic-product", "Elasticsearch");

/// A request that cannot be answered, in the words and numbers that clients expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    status: u16,
    kind: &'static str,
    reason: String,
}

impl Wrong {
    /// A body or a parameter is not what it should be.
    fn parsing(reason: impl Into<String>) -> Self {
        Self { status: 400, kind: "parsing_exception", reason: reason.into() }
    }

    /// What is asked is well formed and not allowed.
    fn argument(reason: impl Into<String>) -> Self {
        Self { status: 400, kind: "illegal_argument_exception", reason: reason.into() }
    }

    /// The same, with the place it was found at in front.
    fn at(mut self, place: &str) -> Self {
        self.reason = format!("[{place}] {}", self.reason);
        self
    }

    /// The error as clients read it.
    fn body(&self) -> Value {
        json!({
            "error": {
                "root_cause": [{"type": self.kind, "reason": self.reason}],
                "type": self.kind, "reason": self.reason,
            },
            "status": self.status,
        })
    }
}

impl From<crate::search::SearchError> for Wrong {
    fn from(error: crate::search::SearchError) -> Self {
        use crate::search::SearchError as Why;
        match error {
            Why::Cancelled | Why::Failed { .. } => {
                tracing::error!(error = service::causes(&error), "search failed");
                let reason = "the search failed; see the log of the collector".to_owned();
                Self { status: 503, kind: "search_phase_execution_exception", reason }
            }
            Why::Limit { .. } | Why::TooCostly { .. } => Self::argument(error.to_string()),
            other => Self::parsing(other.to_string()),
        }
    }
}

impl From<super::Failure> for Wrong {
    fn from(failure: super::Failure) -> Self {
        let status = failure.status().as_u16();
        Self { status, kind: "illegal_argument_exception", reason: failure.to_string() }
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let mut response = (status, Json(self.body())).into_response();
        response.headers_mut().insert(PRODUCT.0, HeaderValue::from_static(PRODUCT.1));
        response
    }
}

/// An answer with the product header and, when asked for, the client's own media type.
fn answered(value: &Value, accept: Option<&HeaderValue>) -> Response {
    let compatible = accept.filter(|value| {
        value.as_bytes().starts_with(b"application/vnd.elasticsearch+json") && value.len() < 100
    });
    let media = compatible.cloned().unwrap_or(HeaderValue::from_static("application/json"));
    let mut response = (StatusCode::OK, value.to_string()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response.headers_mut().insert(PRODUCT.0, HeaderValue::from_static(PRODUCT.1));
    response
}
