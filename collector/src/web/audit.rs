//! What is kept of requests in the audit log, and its page.
//!
//! Questions (searches, exports, live tails) are kept before they are answered; whatever may change
//! something is kept with how it ended, also when who asked has gone away meanwhile. While records cannot be
//! kept nothing is changed, except that people may log in. Refused requests are kept up to a number a
//! minute, what goes beyond it is counted. Not kept: what shippers send, which is events; lists that the
//! console shows; suggestions while somebody types.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use api::ErrorCode;
use axum::Json;
use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{Caller, Need, address, claimed};
use super::body::Packing;
use super::{App, Failure};
use crate::audit::{Act, By, Entry};
use crate::auth::token::Scope;

/// Largest body that is looked at, bytes; larger ones are refused by who reads them.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// Characters kept of what was given with a request.
const MAX_TEXT: usize = 8_000;
/// Refused requests kept a minute.
const MAX_REFUSED: u64 = 60;
/// Records in one answer.
const MAX_LISTED: usize = 1_000;

/// What becomes of a request here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// It is not kept.
    Unkept,
    /// It asks for events.
    Question,
    /// It may change something.
    Change,
}

/// Routes that ask although their method says that they change something.
const QUESTIONS: [&str; 10] = [
    "/api/v1/search",
    "/api/v1/exceptions/preview",
    "/api/v1/rules/preview",
    "/_search",
    "/{index}/_search",
    "/_search/scroll",
    "/_msearch",
    "/{index}/_msearch",
    "/_count",
    "/{index}/_count",
];
/// Routes whose `GET` gives events.
const STREAMS: [&str; 3] = ["/api/v1/export", "/api/v1/tail", "/api/v1/audit"];
/// Routes that tell names of fields and values alone.
const NAMES: [&str; 3] = ["/api/v1/complete", "/_field_caps", "/{index}/_field_caps"];

fn class(method: &Method, path: &str, need: Need) -> Class {
    let ingest = matches!(need, Need::Token(Scope::Ingest | Scope::Metrics) | Need::Tokens(_));
    let reads = matches!(*method, Method::GET | Method::HEAD);
    if ingest || NAMES.contains(&path) {
        Class::Unkept
    } else if QUESTIONS.contains(&path) || (reads && STREAMS.contains(&path)) {
        Class::Question
    } else if reads {
        Class::Unkept
    } else {
        Class::Change
    }
}

/// Whether people must be let do it even if it cannot be kept.
fn is_entry(path: &str) -> bool {
    ["/api/v1/login", "/api/v1/logout"].contains(&path)
}

/// The path as it was asked for, without what is secret in it.
fn object(request: &Request, matched: &str) -> String {
    if matched == "/ack/{token}" {
        return matched.to_owned();
    }
    short(request.uri().path())
}

fn short(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

/// Takes what is secret out of JSON that somebody sent.
fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !["password", "old", "new", "secret"].contains(&name.as_str()));
            fields.values_mut().for_each(hide);
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

/// What a body asked for, as text: JSON without secrets; of anything else only its size.
fn words(headers: &HeaderMap, body: Bytes) -> String {
    let size = body.len();
    let plain = Packing::of(headers).and_then(|packing| packing.unpack(body));
    let values = plain.ok().and_then(|plain| {
        let values = serde_json::Deserializer::from_slice(&plain).into_iter::<Value>();
        values.take(200).collect::<Result<Vec<Value>, _>>().ok()
    });
    match values {
        Some(mut values) if !values.is_empty() => {
            values.iter_mut().for_each(hide);
            let lines: Vec<String> = values.iter().map(Value::to_string).collect();
            short(&lines.join("\n"))
        }
        _ => format!("{size} bytes"),
    }
}

fn caller_of(caller: &Caller) -> (By, String) {
    let by = match caller {
        Caller::Anonymous => return (By::Nobody, String::new()),
        Caller::Person(_) => By::Person,
        Caller::Program(_) => By::Program,
    };
    (by, caller.name().to_owned())
}

/// Keeps a record beside the threads that do IO; what goes wrong is told by the log itself.
async fn keep(app: &App, act: Act, sync: bool) {
    let vault = Arc::clone(&app.vault);
    let kept = tokio::task::spawn_blocking(move || vault.audit.append(act, sync)).await;
    if !matches!(kept, Ok(Ok(_))) {
        app.telemetry.count("pikett_audit_lost", "audit records that were not kept", &[], 1);
    }
}

async fn is_ready(app: &App) -> bool {
    let vault = Arc::clone(&app.vault);
    tokio::task::spawn_blocking(move || vault.audit.is_ready()).await.unwrap_or(false)
}

/// Lets a request through and keeps what has to be kept of it.
pub(super) async fn watched(
    app: &App,
    (path, need, caller): (&'static str, Need, &Caller),
    request: Request,
    next: Next,
) -> Response {
    let class = class(request.method(), path, need);
    if class == Class::Unkept {
        return next.run(request).await;
    }
    let (by, who) = caller_of(caller);
    let mut act = Act {
        by,
        who,
        from: address(&request),
        action: format!("{} {path}", request.method()),
        object: object(&request, path),
        ..Act::default()
    };
    if let Some(query) = request.uri().query() {
        act.about.insert("query".to_owned(), short(query));
    }
    let request = match asked(request, &mut act.about).await {
        Ok(request) => request,
        Err(failure) => return failure.into_response(),
    };
    if class == Class::Question {
        act.outcome = "asked".to_owned();
        keep(app, act, false).await;
        return next.run(request).await;
    }
    if !is_entry(path) && !is_ready(app).await {
        let words =
            "the audit log cannot be written, so nothing is changed; see to the collector's disk";
        return Failure::new(ErrorCode::Unavailable, words).into_response();
    }
    // Not cut short when who asked goes away: what is done must be kept.
    let app = app.clone();
    let done = tokio::spawn(async move {
        let response = next.run(request).await;
        act.outcome = response.status().as_u16().to_string();
        keep(&app, act, true).await;
        response
    });
    done.await.unwrap_or_else(|error| Failure::internal(&error).into_response())
}

/// Notes what a request asks for, and gives it back whole.
async fn asked(request: Request, about: &mut BTreeMap<String, String>) -> Result<Request, Failure> {
    let least = request.body().size_hint().lower();
    if least > u64::try_from(MAX_BODY).unwrap_or(u64::MAX) {
        about.insert("body".to_owned(), format!("{least} bytes"));
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY)
        .await
        .map_err(|_| Failure::new(ErrorCode::TooLarge, "request is larger than 4 MiB"))?;
    if !body.is_empty() {
        let (headers, body) = (parts.headers.clone(), body.clone());
        let text = tokio::task::spawn_blocking(move || words(&headers, body)).await;
        about.insert("body".to_owned(), text.map_err(|error| Failure::internal(&error))?);
    }
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// How many refused requests were kept in the present minute, and how many were not.
#[derive(Clone, Debug, Default)]
pub struct Refused(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    minute: i64,
    kept: u64,
    more: u64,
}

impl Refused {
    /// Counts one more; gives how many were not kept before it when it is to be kept.
    fn count(&self, now: i64) -> Option<u64> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.div_euclid(60_000_000);
        if counts.minute != minute {
            (counts.minute, counts.kept) = (minute, 0);
        }
        if counts.kept >= MAX_REFUSED {
            counts.more = counts.more.saturating_add(1);
            return None;
        }
        counts.kept = counts.kept.saturating_add(1);
        Some(std::mem::take(&mut counts.more))
    }
}

/// Keeps that a request was refused before anything was done with it.
pub(super) fn refused(app: &App, path: &str, request: &Request, failure: &Failure) {
    let Some(more) = app.refused.count(app.clock.now_micros()) else { return };
    let (by, who) = caller_of(&claimed(app, request.headers()));
    let mut about = BTreeMap::from([("reason".to_owned(), failure.to_string())]);
    if more > 0 {
        about.insert("further refused requests before".to_owned(), more.to_string());
    }
    let act = Act {
        by,
        who,
        from: address(request),
        action: format!("{} {path}", request.method()),
        object: object(request, path),
        outcome: failure.status().as_u16().to_string(),
        about,
    };
    let app = app.clone();
    tokio::spawn(async move { keep(&app, act, false).await });
}

/// Which records are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Only those that hold this text somewhere.
    #[serde(default)]
    text: String,
    /// Only those before this number.
    #[serde(default)]
    before: Option<u64>,
    #[serde(default)]
    limit: Option<usize>,
}

fn holds(entry: &Entry, text: &str) -> bool {
    let Act { who, from, action, object, outcome, about, .. } = &entry.what;
    let parts = [who, from, action, object, outcome].into_iter();
    let mut parts = parts.chain(about.iter().flat_map(|(name, text)| [name, text]));
    text.is_empty() || parts.any(|part| part.to_lowercase().contains(text))
}

pub(super) async fn list(
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Failure> {
    let (vault, limit) = (app.vault, asked.limit.unwrap_or(100).clamp(1, MAX_LISTED));
    let text = asked.text.to_lowercase();
    let read = move || {
        let page = vault.audit.page(|entry| holds(entry, &text), asked.before, limit)?;
        Ok::<_, std::io::Error>((page, vault.audit.head()?, vault.audit.checked()))
    };
    let read =
        tokio::task::spawn_blocking(read).await.map_err(|error| Failure::internal(&error))?;
    let (page, head, checked) = read.map_err(|error| Failure::internal(&error))?;
    Ok(Json(json!({
        "records": page.records, "next": page.next, "upto": head.count, "checked": checked,
    })))
}

pub(super) async fn check(State(app): State<App>) -> Result<Json<Value>, Failure> {
    let vault = app.vault;
    let looked = tokio::task::spawn_blocking(move || vault.audit.check());
    let looked = looked.await.map_err(|error| Failure::internal(&error))?;
    Ok(Json(json!(looked.map_err(|error| Failure::internal(&error))?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Role;
    use crate::web::ROUTES;

    #[test]
    fn whatever_may_change_something_is_kept() {
        for route in ROUTES.iter().filter(|route| route.method != "GET") {
            let method = Method::from_bytes(route.method.as_bytes()).unwrap();
            let class = class(&method, route.path, route.need);
            let known = QUESTIONS.contains(&route.path) || NAMES.contains(&route.path);
            let ingest = matches!(route.need, Need::Token(Scope::Ingest));
            assert_eq!(class == Class::Change, !known && !ingest, "{route:?}");
        }
        let all: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
        for path in QUESTIONS.iter().chain(&STREAMS).chain(&NAMES) {
            assert!(all.contains(path), "{path} is no route");
        }
        let need = Need::User(Role::Admin);
        assert_eq!(class(&Method::DELETE, "/api/v1/users/{name}", need), Class::Change);
    }

    #[test]
    fn secrets_are_not_kept() {
        let body = r#"{"name":"ada","password":"p1","deep":[{"old":"p2","new":"p3","note":"n"}]}"#;
        let kept = words(&HeaderMap::new(), Bytes::from_static(body.as_bytes()));
        assert_eq!(kept, r#"{"name":"ada","deep":[{"note":"n"}]}"#);
        assert_eq!(words(&HeaderMap::new(), Bytes::from_static(b"password=p1")), "11 bytes");
    }

    #[test]
    fn refusals_are_bounded_and_counted() {
        let refused = Refused::default();
        let kept = (0..100).filter(|_| refused.count(0).is_some()).count();
        assert_eq!(kept, 60);
        assert_eq!(refused.count(60_000_000), Some(40));
        assert_eq!(refused.count(60_000_000), Some(0));
    }
}
