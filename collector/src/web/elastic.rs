//! Ingest for shippers that speak to Elasticsearch: `_bulk` and what clients ask before.
//!
//! Accepted are POST and PUT, actions `index` and `create`, gzip bodies, and the media types of
//! versions 7 to 9. An answer goes out only when the events are durable. A line that is no
//! document gets an error of its own and never stops the others.

use std::io::Read;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use event::{AgentId, Event, Kind, Object, Timestamp};
use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};

use super::access::Caller;
use super::{App, Failure};
use crate::auth::token::Scope;

/// Largest request, packed or not, bytes.
const MAX_BODY: usize = 64 * 1024 * 1024;
/// Most documents in one request.
const MAX_DOCUMENTS: usize = 100_000;
/// Version that clients are told; they refuse servers of another major version.
const VERSION: &str = "9.0.0";
/// Header without which clients do not go on.
const PRODUCT: (&str, &str) = ("x-elastic-product", "Elasticsearch");

/// What became of one action.
enum Item {
    /// Action, index, and the document's place among the events.
    Taken {
        action: &'static str,
        index: String,
        id: Option<String>,
    },
    Failed {
        action: &'static str,
        index: String,
        reason: String,
    },
}

pub(super) async fn bulk(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Failure> {
    take(&app, &caller, None, request).await
}

pub(super) async fn bulk_into(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(index): Path<String>,
    request: Request,
) -> Result<Response, Failure> {
    take(&app, &caller, Some(index), request).await
}

async fn take(
    app: &App,
    caller: &Caller,
    index: Option<String>,
    request: Request,
) -> Result<Response, Failure> {
    let begun = app.clock.monotonic();
    let sender = AgentId::new(caller.name()).map_err(|error| Failure::internal(&error))?;
    let media = request.headers().get(header::ACCEPT).cloned();
    let gzip = request
        .headers()
        .get(header::CONTENT_ENCODING)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"gzip"));
    let body = to_bytes(request.into_body(), MAX_BODY)
        .await
        .map_err(|_| Failure::new(api::ErrorCode::TooLarge, "request is larger than 64 MiB"))?;
    let now = app.now();
    let parsed = tokio::task::spawn_blocking(move || {
        let body = if gzip { unpack(&body)? } else { body };
        parse(&body, index.as_deref(), now)
    });
    let (items, events) = parsed.await.map_err(|error| Failure::internal(&error))??;
    let failed = items.iter().filter(|item| matches!(item, Item::Failed { .. })).count();
    let refused = u64::try_from(failed).unwrap_or(u64::MAX);
    app.telemetry.count("pikett_bulk_refused", "lines of _bulk refused", &[], refused);
    app.pipeline.ingest(&sender, events).await?;
    let took = app.clock.monotonic().saturating_sub(begun).as_millis();
    let items: Vec<Value> = items.into_iter().enumerate().map(show).collect();
    let answer = json!({
        "took": u64::try_from(took).unwrap_or(0), "errors": failed > 0, "items": items,
    });
    Ok(answered(&answer, media.as_ref()))
}

fn unpack(body: &Bytes) -> Result<Bytes, Failure> {
    let mut out = Vec::new();
    let limit = u64::try_from(MAX_BODY).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(body.as_ref())
        .take(limit)
        .read_to_end(&mut out)
        .map_err(|error| Failure::bad(format!("body is no gzip: {error}")))?;
    if out.len() > MAX_BODY {
        return Err(Failure::new(api::ErrorCode::TooLarge, "unpacked body is over 64 MiB"));
    }
    Ok(out.into())
}

/// Actions and documents of a body, line by line.
fn parse(
    body: &[u8],
    index: Option<&str>,
    now: Timestamp,
) -> Result<(Vec<Item>, Vec<Event>), Failure> {
    let mut items = Vec::new();
    let mut events = Vec::new();
    let lines = body.split(|byte| *byte == b'\n').map(|line| line.trim_ascii()).enumerate();
    let mut lines = lines.filter(|(_, line)| !line.is_empty());
    while let Some((number, line)) = lines.next() {
        if items.len() >= MAX_DOCUMENTS {
            return Err(Failure::new(api::ErrorCode::TooLarge, "over 100000 documents"));
        }
        let (action, target, id) = action(line, index).map_err(|reason| {
            Failure::bad(format!("line {}: {reason}", number.saturating_add(1)))
        })?;
        let Some(action) = action else {
            // Update has a second line, delete has none; neither fits events that never change.
            items.push(Item::Failed {
                action: "index",
                index: target,
                reason: "only index and create are accepted: events do not change".to_owned(),
            });
            if line.windows(8).any(|window| window == b"\"update\"") {
                lines.next();
            }
            continue;
        };
        let Some((_, document)) = lines.next() else {
            return Err(Failure::bad("the last action has no document"));
        };
        match serde_json::from_slice::<Value>(document) {
            Ok(Value::Object(fields)) => {
                events.push(event(fields, &target, now));
                items.push(Item::Taken { action, index: target, id });
            }
            Ok(_) => items.push(Item::Failed {
                action,
                index: target,
                reason: "document is no JSON object".to_owned(),
            }),
            Err(error) => items.push(Item::Failed {
                action,
                index: target,
                reason: format!("document is no JSON: {error}"),
            }),
        }
    }
    Ok((items, events))
}

type Action = (Option<&'static str>, String, Option<String>);

fn action(line: &[u8], index: Option<&str>) -> Result<Action, String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let object = value.as_object().filter(|object| object.len() == 1);
    let (name, details) =
        object.and_then(|object| object.iter().next()).ok_or("an action is expected")?;
    let text = |name: &str| details.get(name).and_then(Value::as_str).map(str::to_owned);
    let target = text("_index").or_else(|| index.map(str::to_owned)).unwrap_or_default();
    let action = match name.as_str() {
        "index" => Some("index"),
        "create" => Some("create"),
        "update" | "delete" => None,
        other => return Err(format!("unknown action {other:?}")),
    };
    Ok((action, target.chars().take(255).collect(), text("_id")))
}

/// A document as event: its own time and kind when it has them.
fn event(mut fields: Object, index: &str, now: Timestamp) -> Event {
    let mut time = None;
    for name in ["@timestamp", "timestamp"] {
        if let Some(value) = fields.get(name) {
            time = time.or_else(|| value.as_str().and_then(|text| text.parse().ok()));
            fields.shift_remove(name);
        }
    }
    let kind = match fields.shift_remove("event_type") {
        Some(Value::String(name)) if name.len() <= 64 => Kind::from_name(&name),
        _ => Kind::Log,
    };
    // A shipper cannot make detections, health or audit records of ours.
    let kind = match kind {
        Kind::Health | Kind::Audit => Kind::Log,
        other => other,
    };
    fields.shift_remove("detection");
    if !index.is_empty() {
        event::set(&mut fields, "elastic.index", Value::String(index.to_owned()));
    }
    Event { seq: 0, time: time.unwrap_or(now), seen: now, kind, fields }
}

fn show((number, item): (usize, Item)) -> Value {
    match item {
        Item::Taken { action, index, id } => {
            let id = id.unwrap_or_else(|| number.to_string());
            json!({ action: {
                "_index": index, "_id": id, "_version": 1, "result": "created", "status": 201,
                "_shards": { "total": 1, "successful": 1, "failed": 0 },
            }})
        }
        Item::Failed { action, index, reason } => json!({ action: {
            "_index": index, "_id": null, "status": 400,
            "error": { "type": "document_parsing_exception", "reason": reason },
        }}),
    }
}

/// An answer with the product header and, when asked for, the client's own media type.
fn answered(value: &Value, accept: Option<&HeaderValue>) -> Response {
    let mut response = (StatusCode::OK, Body::from(value.to_string())).into_response();
    let compatible = accept.filter(|value| {
        value.as_bytes().starts_with(b"application/vnd.elasticsearch+json") && value.len() < 100
    });
    let media = compatible.cloned().unwrap_or(HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response.headers_mut().insert(PRODUCT.0, HeaderValue::from_static(PRODUCT.1));
    response
}

fn identity_body() -> Value {
    json!({
        "name": "pikett", "cluster_name": "pikett", "cluster_uuid": "pikett",
        "version": {
            "number": VERSION, "build_flavor": "default", "build_type": "tar",
            "build_hash": "unknown", "build_date": "2026-01-01T00:00:00.000Z",
            "build_snapshot": false, "lucene_version": "10.0.0",
            "minimum_wire_compatibility_version": "8.0.0",
            "minimum_index_compatibility_version": "8.0.0",
        },
        "tagline": "You Know, for Search",
    })
}

pub(super) async fn identity(request: Request) -> Response {
    answered(&identity_body(), request.headers().get(header::ACCEPT))
}

/// `/` for programs: the identity, when their token may ingest or read.
pub(super) fn root(app: &App, request: &Request) -> Response {
    let fits = super::access::program(app, request.headers(), &[Scope::Ingest, Scope::Read]);
    match fits {
        Ok(()) => answered(&identity_body(), request.headers().get(header::ACCEPT)),
        Err(failure) => failure.into_response(),
    }
}

pub(super) async fn health(request: Request) -> Response {
    let body = json!({
        "cluster_name": "pikett", "status": "green", "timed_out": false, "number_of_nodes": 1,
        "number_of_data_nodes": 1, "active_primary_shards": 1, "active_shards": 1,
        "relocating_shards": 0, "initializing_shards": 0, "unassigned_shards": 0,
    });
    answered(&body, request.headers().get(header::ACCEPT))
}

pub(super) async fn license() -> Json<Value> {
    Json(json!({ "license": { "uid": "pikett", "type": "basic", "status": "active" } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn lines(body: &str) -> (Vec<String>, Vec<Event>) {
        let (items, events) = parse(body.as_bytes(), Some("logs"), NOW).unwrap();
        let shown = items.into_iter().enumerate().map(|item| show(item).to_string());
        (shown.collect(), events)
    }

    #[test]
    fn documents_become_events() {
        let (items, events) = lines(concat!(
            "{\"index\":{}}\n{\"message\":\"hi\",\"@timestamp\":\"2026-11-22T15:04:05Z\"}\n",
            "{\"create\":{\"_index\":\"eve\",\"_id\":\"7\"}}\r\n{\"event_type\":\"dns\",\"src_ip\":\"10.0.0.1\"}\n",
        ));
        assert_eq!(events.len(), 2);
        assert_eq!((&events[0].kind, &events[1].kind), (&Kind::Log, &Kind::Dns));
        assert_eq!(events[0].time.to_string(), "2026-11-22T15:04:05.000000+0000");
        assert_eq!((events[1].time, &events[1].fields["elastic"]["index"]), (NOW, &json!("eve")));
        assert!(items[1].contains("\"_id\":\"7\"") && items[1].contains("\"status\":201"));
    }

    #[test]
    fn one_bad_line_does_not_stop_the_others() {
        let (items, events) = lines(concat!(
            "{\"index\":{}}\n{broken\n{\"index\":{}}\n[1]\n{\"delete\":{\"_id\":\"1\"}}\n",
            "{\"update\":{\"_id\":\"1\"}}\n{\"doc\":{}}\n{\"index\":{}}\n{\"a\":1}\n",
        ));
        assert_eq!((items.len(), events.len()), (5, 1));
        assert_eq!(items.iter().filter(|item| item.contains("\"status\":400")).count(), 4);
    }

    #[test]
    fn bodies_that_are_none_are_refused_with_the_line() {
        for (body, words) in [
            ("garbage\n{}\n", "line 1: expected value"),
            ("{\"index\":{}}\n", "the last action has no document"),
            ("{\"a\":{},\"b\":{}}\n{}\n", "line 1: an action is expected"),
            ("\n\n{\"steal\":{}}\n{}\n", "line 3: unknown action \"steal\""),
        ] {
            let Err(failure) = parse(body.as_bytes(), None, NOW) else { panic!("{body}") };
            assert!(failure.to_string().starts_with(words), "{failure}");
        }
    }

    #[test]
    fn a_shipper_cannot_forge_detections_or_audit() {
        let (_, events) = lines(
            "{\"index\":{}}\n{\"event_type\":\"audit\",\"detection\":{\"engine\":\"sigma\"}}\n",
        );
        assert_eq!(events[0].kind, Kind::Log);
        assert!(!events[0].fields.contains_key("detection"));
    }

    #[test]
    fn a_gzip_bomb_is_refused() {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        for _ in 0..65 {
            encoder.write_all(&vec![b' '; 1024 * 1024]).unwrap();
        }
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < 1024 * 1024);
        assert!(unpack(&bomb.into()).unwrap_err().to_string().contains("over 64 MiB"));
        assert!(unpack(&Bytes::from_static(b"no gzip")).is_err());
    }
}
