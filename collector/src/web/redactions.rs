//! Redactions: what a redaction would take, taking it, and what was taken.
//!
//! Nothing is taken that was not shown before: asked without `confirm`, it says what it would take and gives
//! the word that confirms exactly that. Only administrators, signed in, may; a reason is required; an alert
//! tells everybody. Not here: how it is done ([`crate::redaction`]).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api::{ErrorCode, RedactionAsked};
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{Path, State};
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
use crate::search::{Cancel, Hit, SearchRequest, pipe};
use crate::store::{Holding, StoreError};
use crate::vault::Vault;

/// Fewest and most characters of a reason.
const REASON: std::ops::RangeInclusive<usize> = 10..=1_000;
/// Events that are shown before it is confirmed.
const SHOWN: usize = 20;
/// Longest time for finding the events, milliseconds.
const BUDGET: u64 = 60_000;
/// Time between two looks whether one is begun.
const LOOK: Duration = Duration::from_millis(50);

/// How far one is that is not done yet: only what may stay is told.
fn pending(order: &Order) -> Value {
    let rewritten = order.partitions.values().filter(|part| part.after.is_some()).count();
    json!({
        "id": order.id, "time": order.time, "who": order.who, "reason": order.reason,
        "when": Timestamp::from_micros(order.time), "fields": order.fields,
        "events": order.events.len(), "partitions": order.partitions.len(), "rewritten": rewritten,
    })
}

/// Reads journal and keyring beside the runtime.
async fn look<T: Send + 'static>(
    app: App,
    read: impl FnOnce(&Vault) -> anyhow::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(move || read(&app.vault)).await;
    done.map_err(|error| Failure::internal(&error))?.map_err(|error| Failure::internal(&*error))
}

pub(super) async fn list(State(app): State<App>) -> Result<Json<Value>, Failure> {
    let read = |vault: &Vault| {
        // In this order: one that ends meanwhile is in both rather than in neither.
        let orders = vault.keyring.orders();
        let list = custody::redactions(vault.journal.path(), &vault.keyring)?;
        let pending: Vec<Value> = orders.iter().map(pending).collect();
        Ok(json!({"redactions": list, "pending": pending}))
    };
    look(app, read).await.map(Json)
}

pub(super) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let read = move |vault: &Vault| {
        if let Some(order) = vault.keyring.orders().iter().find(|order| order.id == id) {
            return Ok(Some(json!({"done": false, "pending": pending(order)})));
        }
        let list = custody::redactions(vault.journal.path(), &vault.keyring)?;
        let found = list.into_iter().find(|one| one.stone.id == id);
        Ok(found.map(|one| json!({"done": true, "redaction": one})))
    };
    let found = look(app, read).await?;
    found.map(Json).ok_or_else(|| Failure::new(ErrorCode::NotFound, "no such redaction"))
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

/// What a redaction would take.
struct Meant {
    hits: Vec<Hit>,
    holding: Vec<Holding>,
}

impl Meant {
    fn targets(&self) -> Vec<Target> {
        let target = |hit: &Hit| Target { id: hit.id.clone(), time: hit.cursor.time };
        self.hits.iter().map(target).collect()
    }

    /// As it is shown before it is confirmed by `word`.
    fn shown(self, fields: &[String], word: &str) -> Value {
        let events = self.hits.len();
        let shown = self.hits.into_iter().take(SHOWN).map(|hit| {
            json!({"id": hit.id, "time": Timestamp::from_micros(hit.cursor.time), "document": hit.document})
        });
        json!({
            "done": false, "events": events, "shown": shown.collect::<Vec<_>>(), "fields": fields,
            "partitions": self.holding, "confirm": word,
        })
    }
}

/// The events that are meant: all that the query finds, none of which may be beyond reach.
fn find(app: &App, asked: RedactionAsked) -> Result<Meant, Failure> {
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
    let ids: Vec<&str> = found.hits.iter().map(|hit| hit.id.as_str()).collect();
    let holding = store.holding(&ids).map_err(|error| unavailable(&error))?;
    Ok(Meant { hits: found.hits, holding })
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
    let (reason, confirm, wait) = (reason(&asked)?, asked.confirm.clone(), asked.wait);
    let finder = app.clone();
    let found = tokio::task::spawn_blocking(move || find(&finder, asked)).await;
    let meant = found.map_err(|error| Failure::internal(&error))??;
    let events = meant.targets();
    if events.is_empty() {
        return Err(Failure::new(ErrorCode::NotFound, "the query finds no event"));
    }
    let word = word(&events, &fields);
    let Some(confirm) = confirm else { return Ok(Json(meant.shown(&fields, &word))) };
    if confirm != word {
        let words = "this does not confirm what the query finds now: look again what it would take";
        return Err(Failure::new(ErrorCode::Conflict, words));
    }
    let id = hex(&random::<8>().map_err(|error| Failure::internal(&error))?);
    let time = app.now().micros();
    let order = Order { id: id.clone(), time, who, reason, fields, events, ..Order::default() };
    // Goes on, and is told, also when who asked goes away.
    let mut work = tokio::spawn(carry_out(app.clone(), order));
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            () = tokio::time::sleep(LOOK) => {}
        }
        let orders = if wait { Vec::new() } else { app.vault.keyring.orders() };
        if let Some(order) = orders.iter().find(|order| order.id == id) {
            return Ok(Json(json!({"done": false, "pending": pending(order)})));
        }
    };
    let stone = done.map_err(|error| Failure::internal(&error))??;
    Ok(Json(json!({"done": true, "events": stone.events.len(), "redaction": stone})))
}

/// Carries an order out, and tells everybody.
async fn carry_out(app: App, order: Order) -> Result<Tombstone, Failure> {
    let (id, store) = (order.id.clone(), Arc::clone(app.pipeline.store()));
    let done = tokio::task::spawn_blocking(move || store.redact(order)).await;
    match done.map_err(|error| Failure::internal(&error))? {
        Ok(stone) => {
            tell(&app, &stone).await;
            Ok(stone)
        }
        Err(StoreError::Absent) => {
            Err(Failure::new(ErrorCode::NotFound, "the events are gone meanwhile"))
        }
        Err(error) if app.vault.keyring.orders().iter().any(|order| order.id == id) => {
            let failure = unavailable(&error);
            let words = format!(
                "redaction {id} is begun, and goes on by itself as soon as it can: {failure}"
            );
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
