//! Redactions: what a redaction would take, taking it, and what was taken.
//!
//! Nothing is taken that was not shown before: asked without `confirm`, it says what it would take and gives
//! the word that confirms exactly that. Only administrators, signed in, may; a reason is required; an alert
//! tells everybody. Not here: how it is done ([`crate::redaction`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use api::{ErrorCode, RedactionAsked};
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::State;
use axum::{Extension, Json};
use event::{Detection, Engine, Entity, Severity, Timestamp};
use serde_json::{Value, json};
use service::causes;

use super::access::Caller;
use super::{App, Failure};
use crate::custody;
use crate::keyring::hex;
use crate::keys::random;
use crate::redaction::{KEPT, MAX_EVENTS, MAX_FIELDS, Order, Target, Tombstone};
use crate::search::plan::FieldRef;
use crate::search::{Cancel, SearchRequest, pipe};
use crate::store::StoreError;

/// Fewest and most characters of a reason.
const REASON: std::ops::RangeInclusive<usize> = 10..=1_000;
/// Events that are shown before it is confirmed.
const SHOWN: usize = 20;
/// Longest time for finding the events, milliseconds.
const BUDGET: u64 = 60_000;

pub(super) async fn list(State(app): State<App>) -> Result<Json<Value>, Failure> {
    let vault = app.vault;
    let read = move || {
        let list = custody::redactions(vault.journal.path(), &vault.keyring)?;
        // Of what is not done yet only what may stay is told.
        let pending = vault.keyring.orders().into_iter().map(|order| {
            json!({"id": order.id, "time": order.time, "who": order.who, "reason": order.reason,
                   "events": order.events.len()})
        });
        anyhow::Ok(json!({"redactions": list, "pending": pending.collect::<Vec<_>>()}))
    };
    let read =
        tokio::task::spawn_blocking(read).await.map_err(|error| Failure::internal(&error))?;
    read.map(Json).map_err(|error| Failure::internal(&*error))
}

/// Canonical names of the fields that are to go.
fn fields(asked: &[String]) -> Result<Vec<String>, Failure> {
    let names: BTreeSet<String> = asked.iter().map(|name| FieldRef::new(name).name).collect();
    if names.len() > MAX_FIELDS {
        return Err(Failure::bad(format!("a redaction takes at most {MAX_FIELDS} fields")));
    }
    let kept = |name: &&String| {
        let below =
            |kept: &&str| kept.strip_prefix(name.as_str()).is_some_and(|r| r.starts_with('.'));
        name.is_empty() || KEPT.contains(&name.as_str()) || KEPT.iter().any(below)
    };
    if let Some(name) = names.iter().find(kept) {
        let words = format!("{name:?} cannot go by itself: redact the whole event");
        return Err(Failure::bad(words));
    }
    Ok(names.into_iter().collect())
}

fn reason(asked: &RedactionAsked) -> Result<String, Failure> {
    let reason = asked.reason.trim();
    if REASON.contains(&reason.chars().count()) {
        Ok(reason.to_owned())
    } else {
        let (least, most) = (REASON.start(), REASON.end());
        Err(Failure::bad(format!("the reason has {least} to {most} characters")))
    }
}

/// The events that are meant: all that the query finds, none of which may be beyond reach.
fn find(app: &App, asked: RedactionAsked) -> Result<Vec<Target>, Failure> {
    let RedactionAsked { query, from, to, .. } = asked;
    if query.trim().is_empty() {
        return Err(Failure::bad("a redaction needs a query, for example event.id:\"…\""));
    }
    if !pipe::compile(&query, app.now())?.stages.is_empty() {
        return Err(Failure::bad("a redaction takes a query without stages"));
    }
    let limit = MAX_EVENTS;
    let request =
        SearchRequest { query, from, to, limit, budget_ms: BUDGET, ..SearchRequest::default() };
    let store = app.pipeline.store();
    store.flush().map_err(|error| unavailable(&error))?;
    let found = store.search(&request, &Cancel::new())?;
    if found.partial || !found.failures.is_empty() {
        let words = "not everything could be searched, so it is not known what is meant";
        return Err(Failure::new(ErrorCode::Unavailable, words));
    }
    if found.total > found.hits.len() as u64 {
        let words = format!(
            "the query finds {} events, and a redaction takes at most {MAX_EVENTS}: narrow it",
            found.total
        );
        return Err(Failure::bad(words));
    }
    let targets = found.hits.into_iter().map(|hit| Target { id: hit.id, time: hit.cursor.time });
    Ok(targets.collect())
}

/// What confirms just this.
fn word(events: &[Target], fields: &[String]) -> String {
    let ids: BTreeSet<&str> = events.iter().map(|one| one.id.as_str()).collect();
    let text = json!([ids, fields]).to_string();
    hex(digest(&SHA256, text.as_bytes()).as_ref().get(..16).unwrap_or_default())
}

fn unavailable(error: &StoreError) -> Failure {
    tracing::error!(error = causes(error), "a redaction does not get on");
    Failure::new(ErrorCode::Unavailable, error.to_string())
}

pub(super) async fn redact(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Json(asked): Json<RedactionAsked>,
) -> Result<Json<Value>, Failure> {
    let (fields, who) = (fields(&asked.fields)?, caller.name().to_owned());
    let (reason, confirm) = (reason(&asked)?, asked.confirm.clone());
    let finder = app.clone();
    let found = tokio::task::spawn_blocking(move || find(&finder, asked)).await;
    let events = found.map_err(|error| Failure::internal(&error))??;
    if events.is_empty() {
        return Err(Failure::new(ErrorCode::NotFound, "the query finds no event"));
    }
    let word = word(&events, &fields);
    let Some(confirm) = confirm else {
        let shown: Vec<Value> = events
            .iter()
            .take(SHOWN)
            .map(|one| json!({"id": one.id, "time": Timestamp::from_micros(one.time)}))
            .collect();
        return Ok(Json(json!({
            "done": false, "events": events.len(), "shown": shown, "fields": fields, "confirm": word,
        })));
    };
    if confirm != word {
        let words = "this does not confirm what the query finds now: look again what it would take";
        return Err(Failure::new(ErrorCode::Conflict, words));
    }
    let id = hex(&random::<8>().map_err(|error| Failure::internal(&error))?);
    let time = app.now().micros();
    let order = Order { id: id.clone(), time, who, reason, fields, events, ..Order::default() };
    let store = Arc::clone(app.pipeline.store());
    let done = tokio::task::spawn_blocking(move || store.redact(order)).await;
    match done.map_err(|error| Failure::internal(&error))? {
        Ok(stone) => {
            tell(&app, &stone).await;
            Ok(Json(json!({"done": true, "events": stone.events.len(), "redaction": stone})))
        }
        Err(StoreError::Absent) => {
            Err(Failure::new(ErrorCode::NotFound, "the events are gone meanwhile"))
        }
        Err(error) if app.vault.keyring.orders().iter().any(|order| order.id == id) => {
            let failure = unavailable(&error);
            let words = format!("begun, and goes on by itself as soon as it can: {failure}");
            Err(Failure::new(ErrorCode::Unavailable, words))
        }
        Err(error) => Err(unavailable(&error)),
    }
}

/// Tells everybody of a redaction, as an alert.
async fn tell(app: &App, stone: &Tombstone) {
    let what = match stone.fields.as_slice() {
        [] => "whole".to_owned(),
        fields => format!("of their fields {}", fields.join(", ")),
    };
    let detection = Detection {
        engine: Engine::Health,
        rule_id: "pikett-redaction".to_owned(),
        rule_rev: "1".to_owned(),
        title: "Events were redacted".to_owned(),
        severity: Severity::Medium,
        category: "audit".to_owned(),
        entity: Entity { field: "user.name".to_owned(), value: stone.who.clone() },
        explanation: format!(
            "{} redacted {} events {what}, redaction {}: {}",
            stone.who,
            stone.events.len(),
            stone.id,
            stone.reason
        ),
        advice: "See GET /api/v1/redactions, and ask who ordered it when nobody knows of it."
            .to_owned(),
        evidence: Vec::new(),
        attack: Vec::new(),
        rule_text: String::new(),
    };
    if let Err(error) = app.pipeline.raise(detection).await {
        tracing::error!(error = causes(&error), "a redaction is not told as an alert");
    }
}
