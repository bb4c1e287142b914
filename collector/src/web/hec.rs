//! Ingest for shippers that speak to Splunk's HTTP event collector (HEC).
//!
//! `/services/collector/event` takes JSON objects one behind the other, `/services/collector/raw`
//! lines of text. Tokens are those for ingest, as `Authorization: Splunk TOKEN` or Basic. A request
//! is stored whole or refused whole, and the answer goes out only when all of it is durable, so
//! that there are no acknowledgements to ask for later.

use std::collections::BTreeMap;

use api::ErrorCode;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use event::{Event, Timestamp, set};
use logs::config::Format;
use logs::parse::{Parser, Zone};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::Caller;
use super::{App, Failure, body, foreign};

/// Most events of one request.
const MAX_EVENTS: usize = 100_000;
/// Most further fields of one event.
const MAX_FIELDS: usize = 256;
/// Most characters kept of a name that is said beside an event.
const MAX_NAME: usize = 1024;
/// Which of them were cut, in the event.
const CUT: &str = "splunk.cut";

/// How many events had each of these names cut.
type Cuts = BTreeMap<&'static str, u64>;

/// Source types by how they begin, and the parser of each.
const SOURCE_TYPES: [(&str, &str); 20] = [
    ("access_co", "access"),
    ("apache:error", "apache"),
    ("aws:cloudtrail", "aws_cloudtrail"),
    ("cisco:asa", "cisco_asa"),
    ("cisco:ios", "cisco_ios"),
    ("fgt_", "fortigate"),
    ("fortigate", "fortigate"),
    ("haproxy", "haproxy"),
    ("juniper", "juniper"),
    ("kube:audit", "kubernetes_audit"),
    ("linux_audit", "auditd"),
    ("linux_messages", "syslog"),
    ("linux_secure", "syslog"),
    ("ms:iis", "iis"),
    ("nginx", "nginx"),
    ("pan:", "paloalto"),
    ("postfix", "syslog"),
    ("squid", "squid"),
    ("syslog", "syslog"),
    ("_json", "json"),
];

/// What is wrong with a request; the numbers are those of HEC, which clients know.
#[derive(Debug)]
enum Refusal {
    /// There is nothing in it.
    NoData,
    /// It is no JSON, or no object.
    Format(usize, String),
    /// An event without `event`.
    NoEvent(usize),
    /// An event whose `event` is empty.
    Blank(usize),
    /// `fields` are no flat object.
    Fields(usize),
    /// Too large, or the collector cannot take it.
    Failure(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (code, text, number) = match self {
            Self::NoData => (5, "No data".to_owned(), None),
            Self::Format(number, why) => (6, format!("Invalid data format: {why}"), Some(number)),
            Self::NoEvent(number) => (12, "Event field is required".to_owned(), Some(number)),
            Self::Blank(number) => (13, "Event field cannot be blank".to_owned(), Some(number)),
            Self::Fields(number) => {
                (15, "Error in handling indexed fields".to_owned(), Some(number))
            }
            Self::Failure(failure) => {
                let code = if failure.code() == ErrorCode::Unavailable { 9 } else { 6 };
                let answer = json!({ "text": failure.to_string(), "code": code });
                return (failure.status(), Json(answer)).into_response();
            }
        };
        let mut answer = json!({ "text": text, "code": code });
        if let (Some(number), Some(object)) = (number, answer.as_object_mut()) {
            object.insert("invalid-event-number".into(), number.into());
        }
        (StatusCode::BAD_REQUEST, Json(answer)).into_response()
    }
}

/// What a request says about all its lines, and an event about itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Origin {
    host: Option<String>,
    source: Option<String>,
    sourcetype: Option<String>,
    index: Option<String>,
    time: Option<Value>,
}

/// One JSON object of a request.
#[derive(Debug, Deserialize)]
struct Envelope {
    #[serde(flatten)]
    origin: Origin,
    event: Option<Value>,
    fields: Option<Value>,
}

pub(super) async fn health() -> Json<Value> {
    Json(json!({ "text": "HEC is healthy", "code": 17 }))
}

pub(super) async fn acknowledgements() -> Response {
    let answer = json!({ "text": "ACK is disabled", "code": 14 });
    (StatusCode::BAD_REQUEST, Json(answer)).into_response()
}

pub(super) async fn events(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    answer(take(&app, &caller, request, events_of).await)
}

pub(super) async fn raw(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(origin): Query<Origin>,
    request: Request,
) -> Response {
    let lines = move |bytes: &[u8], now| lines_of(bytes, &origin, now);
    answer(take(&app, &caller, request, lines).await)
}

fn answer(done: Result<(), Refusal>) -> Response {
    match done {
        Ok(()) => Json(json!({ "text": "Success", "code": 0 })).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn take(
    app: &App,
    caller: &Caller,
    request: Request,
    read: impl FnOnce(&[u8], Timestamp) -> Result<(Vec<Event>, Cuts), Refusal> + Send + 'static,
) -> Result<(), Refusal> {
    let sender = foreign::sender(caller)?;
    let packing = body::Packing::of(request.headers())?;
    let bytes = body::read(request).await?;
    let now = app.now();
    let parsed = tokio::task::spawn_blocking(move || read(&packing.unpack(bytes)?, now));
    let parsed = parsed.await.map_err(|error| Failure::internal(&error))?;
    let (events, cuts) = parsed.inspect_err(|refusal| {
        tracing::warn!(?refusal, "HEC request refused");
        app.telemetry.count("pikett_hec_refused", "requests of HEC refused", &[], 1);
    })?;
    foreign::store(app, sender, events).await?;
    for (name, count) in cuts {
        foreign::left_out(app, "hec", &format!("{name} cut at {MAX_NAME} characters"), count);
    }
    Ok(())
}

fn too_many() -> Refusal {
    Failure::new(ErrorCode::TooLarge, "over 100000 events").into()
}

/// The events of JSON objects one behind the other, with or without space between them.
fn events_of(bytes: &[u8], now: Timestamp) -> Result<(Vec<Event>, Cuts), Refusal> {
    let (mut out, mut cuts) = (Vec::new(), Cuts::new());
    for envelope in serde_json::Deserializer::from_slice(bytes).into_iter::<Envelope>() {
        let number = out.len();
        if number >= MAX_EVENTS {
            return Err(too_many());
        }
        let envelope = envelope.map_err(|error| Refusal::Format(number, error.to_string()))?;
        out.push(event_of(envelope, (number, now), &mut cuts)?);
    }
    if out.is_empty() { Err(Refusal::NoData) } else { Ok((out, cuts)) }
}

fn event_of(
    envelope: Envelope,
    (number, now): (usize, Timestamp),
    cuts: &mut Cuts,
) -> Result<Event, Refusal> {
    let Envelope { origin, event, fields } = envelope;
    let mut event = match event {
        None | Some(Value::Null) => return Err(Refusal::NoEvent(number)),
        Some(Value::String(text)) if text.is_empty() => return Err(Refusal::Blank(number)),
        Some(Value::String(text)) => line(text.as_bytes(), &origin, now),
        Some(Value::Object(object)) => foreign::event(object, now),
        Some(other) => line(other.to_string().as_bytes(), &origin, now),
    };
    if let Some(fields) = fields {
        let Value::Object(fields) = fields else { return Err(Refusal::Fields(number)) };
        if fields.len() > MAX_FIELDS || fields.values().any(Value::is_object) {
            return Err(Refusal::Fields(number));
        }
        for (name, value) in fields {
            event.fields.entry(name).or_insert(value);
        }
        // Fields may not smuggle in what the event may not.
        event = Event { kind: event.kind, ..foreign::event(event.fields, event.time) };
        event.seen = now;
    }
    origin.mark(&mut event, cuts);
    Ok(event)
}

/// Each line that is not empty is an event.
fn lines_of(bytes: &[u8], origin: &Origin, now: Timestamp) -> Result<(Vec<Event>, Cuts), Refusal> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let (mut out, mut cuts) = (Vec::new(), Cuts::new());
    for text in lines {
        if out.len() >= MAX_EVENTS {
            return Err(too_many());
        }
        let mut event = line(text, origin, now);
        origin.mark(&mut event, &mut cuts);
        out.push(event);
    }
    if out.is_empty() { Err(Refusal::NoData) } else { Ok((out, cuts)) }
}

/// A line of text, read as what its source type says it is.
fn line(text: &[u8], origin: &Origin, now: Timestamp) -> Event {
    let (event, _) = Parser::new(origin.format(), Zone::utc()).event(text, now);
    Event { seen: now, ..foreign::event(event.fields, event.time) }
}

impl Origin {
    /// How lines of this source type are read.
    fn format(&self) -> Format {
        let kind = self.sourcetype.as_deref().unwrap_or_default();
        let known = SOURCE_TYPES.iter().find(|(begin, _)| kind.starts_with(begin));
        known.and_then(|(_, name)| Format::named(name)).unwrap_or(Format::Auto)
    }

    /// Sets what is said about an event beside it.
    fn mark(&self, event: &mut Event, cuts: &mut Cuts) {
        let time = self.time.as_ref().and_then(foreign::time);
        event.time = time.unwrap_or(event.time);
        let mut cut = Vec::new();
        let mut text = |name: &'static str, value: &Option<String>| {
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                let kept: String = value.chars().take(MAX_NAME).collect();
                if kept.len() < value.len() {
                    let count = cuts.entry(name).or_default();
                    *count = count.saturating_add(1);
                    cut.push(Value::from(name));
                }
                set(&mut event.fields, name, Value::String(kept));
            }
        };
        text("host.name", &self.host);
        text("splunk.source", &self.source);
        text("splunk.sourcetype", &self.sourcetype);
        text("splunk.index", &self.index);
        if !cut.is_empty() {
            if let Some(theirs) = event::get(&event.fields, CUT).cloned() {
                set(&mut event.fields, &format!("original.{CUT}"), theirs);
            }
            set(&mut event.fields, CUT, Value::Array(cut));
        }
    }
}

#[cfg(test)]
mod tests;
