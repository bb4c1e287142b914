//! Ingest for shippers that speak to Elasticsearch: `_bulk`.
//!
//! Accepted are POST and PUT, actions `index` and `create`, gzip bodies, and the media types of
//! versions 7 to 9. An answer goes out only when the events are durable. A line that is no
//! document gets an error of its own and never stops the others. A document with an `_id` that its
//! sender has used lately ([`super::ids`]) is not stored again: `create` conflicts (409), `index` with the
//! same content changes nothing (200). Events never change: other content under the same `_id` is
//! a further event.

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::header;
use axum::response::Response;
use event::{AgentId, Event, Object, Timestamp};
use serde_json::{Value, json};

use super::answered;
use super::ids::{Known, Named, Undo, Window};
use crate::web::access::Caller;
use crate::web::{App, Failure, body, foreign};

/// Most documents in one request.
const MAX_DOCUMENTS: usize = 100_000;

/// Longest `_id`, bytes, as the servers it imitates have it.
const MAX_ID: usize = 512;

/// What became of one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Its document is among the events.
    Created,
    /// It is there already, as sent.
    Same,
    /// It was to be new and is there already.
    Conflict,
    /// It cannot be taken.
    Failed,
}

/// One action and its answer.
struct Item {
    action: &'static str,
    index: String,
    id: Option<String>,
    outcome: Outcome,
    reason: String,
    named: Option<Named>,
}

pub(in crate::web) async fn bulk(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Failure> {
    take(&app, &caller, None, request).await
}

pub(in crate::web) async fn bulk_into(
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
    let sender = foreign::sender(caller)?;
    let name = sender.to_string();
    let media = request.headers().get(header::ACCEPT).cloned();
    let packing = body::Packing::of(request.headers())?;
    let bytes = body::read(request).await?;
    let now = app.now();
    let parsed = tokio::task::spawn_blocking(move || {
        parse(&packing.unpack(bytes)?, (&name, index.as_deref()), now)
    });
    let (items, events) = parsed.await.map_err(|error| Failure::internal(&error))??;
    // A client that goes away must not leave a request half done.
    let storing = tokio::spawn(store(app.clone(), sender, items, events));
    let items = storing.await.map_err(|error| Failure::internal(&error))??;
    let count = |outcome| items.iter().filter(|item| item.outcome == outcome).count();
    let tell = |name, help, count: usize| {
        app.telemetry.count(name, help, &[], u64::try_from(count).unwrap_or(u64::MAX));
    };
    let (failed, conflicts) = (count(Outcome::Failed), count(Outcome::Conflict));
    tell("pikett_bulk_refused", "lines of _bulk refused", failed);
    let known = conflicts.saturating_add(count(Outcome::Same));
    tell("pikett_bulk_duplicates", "documents of _bulk that were there already", known);
    let took = app.clock.monotonic().saturating_sub(begun).as_millis();
    let errors = failed.saturating_add(conflicts) > 0;
    let items: Vec<Value> = items.into_iter().enumerate().map(show).collect();
    let answer = json!({
        "took": u64::try_from(took).unwrap_or(0), "errors": errors, "items": items,
    });
    Ok(answered(&answer, media.as_ref()))
}

/// Stores what is not there yet. Requests with identities wait for each other: two that carry the
/// same document must not both find it new.
async fn store(
    app: App,
    sender: AgentId,
    mut items: Vec<Item>,
    events: Vec<Event>,
) -> Result<Vec<Item>, Failure> {
    if items.iter().all(|item| item.named.is_none()) {
        app.pipeline.ingest(&sender, events).await?;
        return Ok(items);
    }
    let mut window = app.bulk_ids.lock().await;
    let (kept, fresh) = sift(&mut window, &mut items, events);
    if let Err(error) = app.pipeline.ingest(&sender, kept).await {
        fresh.iter().rev().for_each(|undo| window.undo(undo));
        return Err(error.into());
    }
    Ok(items)
}

/// The events that are to be stored; the window knows them from here on.
fn sift(window: &mut Window, items: &mut [Item], events: Vec<Event>) -> (Vec<Event>, Vec<Undo>) {
    let (mut kept, mut fresh) = (Vec::new(), Vec::new());
    let mut events = events.into_iter();
    for item in items.iter_mut().filter(|item| item.outcome == Outcome::Created) {
        let Some(event) = events.next() else { break };
        if let Some(named) = item.named {
            item.outcome = match (item.action, window.look(&named)) {
                (_, Known::New) | ("index", Known::Changed) => Outcome::Created,
                ("index", Known::Same) => Outcome::Same,
                _ => Outcome::Conflict,
            };
            if item.outcome != Outcome::Created {
                continue;
            }
            fresh.push(window.put(named));
        }
        kept.push(event);
    }
    (kept, fresh)
}

/// Actions and documents of a body, line by line.
fn parse(
    body: &[u8],
    (sender, index): (&str, Option<&str>),
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
        let mut item = action(line, index).map_err(|reason| {
            Failure::bad(format!("line {}: {reason}", number.saturating_add(1)))
        })?;
        // A deletion has no document; everything else has one, also when it is refused.
        if item.action != "delete" {
            let Some((_, document)) = lines.next() else {
                return Err(Failure::bad("the last action has no document"));
            };
            if item.outcome == Outcome::Created {
                match fields(document) {
                    Ok(fields) => {
                        let named = |id: &String| Named::new(sender, &item.index, id, document);
                        item.named = item.id.as_ref().map(named);
                        events.push(event(fields, &item.index, now));
                    }
                    Err(reason) => item.refuse(reason),
                }
            }
        }
        items.push(item);
    }
    if items.is_empty() {
        return Err(Failure::bad("the body holds no action"));
    }
    Ok((items, events))
}

fn fields(document: &[u8]) -> Result<Object, String> {
    match serde_json::from_slice::<Value>(document) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("document is no JSON object".to_owned()),
        Err(error) => Err(format!("document is no JSON: {error}")),
    }
}

impl Item {
    fn refuse(&mut self, reason: String) {
        self.outcome = Outcome::Failed;
        self.reason = reason;
    }
}

/// One line that says what to do with the document behind it.
fn action(line: &[u8], index: Option<&str>) -> Result<Item, String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let object = value.as_object().filter(|object| object.len() == 1);
    let (name, details) =
        object.and_then(|object| object.iter().next()).ok_or("an action is expected")?;
    let text = |name: &str| details.get(name).and_then(Value::as_str).map(str::to_owned);
    let target = text("_index").or_else(|| index.map(str::to_owned)).unwrap_or_default();
    let known = ["index", "create", "update", "delete"];
    let action = known.into_iter().find(|known| known == name);
    let action = action.ok_or_else(|| format!("unknown action {name:?}"))?;
    let mut item = Item {
        action,
        index: target.chars().take(255).collect(),
        id: text("_id").filter(|id| !id.is_empty()),
        outcome: Outcome::Created,
        reason: String::new(),
        named: None,
    };
    if ["update", "delete"].contains(&action) {
        item.refuse("only index and create are accepted: events do not change".to_owned());
    }
    if let Some(length) = item.id.as_ref().map(String::len).filter(|length| *length > MAX_ID) {
        item.id = None;
        item.refuse(format!("_id has {length} bytes, at most {MAX_ID} are allowed"));
    }
    Ok(item)
}

/// A document as event.
fn event(mut fields: Object, index: &str, now: Timestamp) -> Event {
    if !index.is_empty() {
        event::set(&mut fields, "elastic.index", Value::String(index.to_owned()));
    }
    foreign::event(fields, now)
}

fn show((number, item): (usize, Item)) -> Value {
    let Item { action, index, id, outcome, reason, .. } = item;
    let stored = |result: &str, status: u16| {
        let id = id.clone().unwrap_or_else(|| number.to_string());
        json!({ action: {
            "_index": index, "_id": id, "_version": 1, "result": result, "status": status,
            "_shards": { "total": 1, "successful": 1, "failed": 0 },
        }})
    };
    let failed = |kind: &str, status: u16, reason: &str| {
        json!({ action: {
            "_index": index, "_id": id, "status": status,
            "error": { "type": kind, "reason": reason },
        }})
    };
    match outcome {
        Outcome::Created => stored("created", 201),
        Outcome::Same => stored("noop", 200),
        Outcome::Conflict => {
            let name = id.as_deref().unwrap_or_default();
            let words = format!("[{name}]: version conflict, document already exists");
            failed("version_conflict_engine_exception", 409, &words)
        }
        Outcome::Failed => failed("document_parsing_exception", 400, &reason),
    }
}

#[cfg(test)]
mod tests;
