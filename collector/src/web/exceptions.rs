//! Exceptions: list, propose from an alert, preview, make, end.
//!
//! Nothing is made that was not tested against the past first, here and not by the caller. What is made or
//! ended is told in the log, in the exception's history, on its alert, and as an event of kind `audit`.

use api::{EndException, ErrorCode, ExceptionCondition, ExceptionDraft, NewException};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use event::{Engine, Object};
use serde_json::{Value, json};
use service::causes;
use sigma::{Condition, How};

use super::access::Caller;
use super::{App, Failure};
use crate::auth::Role;
use crate::exceptions::preview::{self, Draft, Preview};
use crate::exceptions::propose::{self, Proposal};
use crate::exceptions::{Exception, Listed, MAX_DAYS, New, USUAL_DAYS};

/// Most days a preview looks back.
const MAX_BACK: u32 = 400;
/// Days that are looked at before an exception is made.
const TESTED_DAYS: u32 = 30;

fn engine(name: &str) -> Result<Engine, Failure> {
    serde_json::from_value(Value::String(name.to_owned()))
        .map_err(|_| Failure::bad("engine is signature, sigma, correlation, anomaly or intel"))
}

fn conditions(list: Vec<ExceptionCondition>) -> Result<Vec<Condition>, Failure> {
    let how = |name: String| {
        serde_json::from_value::<How>(Value::String(name))
            .map_err(|_| Failure::bad("how is is, contains, startswith, endswith or cidr"))
    };
    let one = |one: ExceptionCondition| {
        Ok(Condition { field: one.field, how: how(one.how)?, values: one.values })
    };
    list.into_iter().map(one).collect()
}

/// Who does something, for histories.
fn who(caller: &Caller) -> String {
    match caller {
        Caller::Program(token) => format!("token {}", token.name),
        other => other.name().to_owned(),
    }
}

pub(super) async fn list(State(app): State<App>) -> Json<Value> {
    let (made, files) = app.exceptions.list();
    Json(json!({
        "exceptions": made, "files": files, "usual_days": USUAL_DAYS, "max_days": MAX_DAYS,
    }))
}

pub(super) async fn propose(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Proposal>, Failure> {
    let alert = app.alerts.get(&id);
    let alert = alert.ok_or_else(|| Failure::new(ErrorCode::NotFound, "no such alert"))?;
    let (store, rules) = (std::sync::Arc::clone(app.pipeline.store()), app.rules);
    let proposed = tokio::task::spawn_blocking(move || {
        let options = crate::correlate::options(&rules).unwrap_or_else(|error| {
            tracing::error!(%error, "names of fields cannot be read");
            sigma::Options::default()
        });
        propose::propose(store.as_ref(), &alert, &options)
    });
    let proposed = proposed.await.map_err(|error| Failure::internal(&error))??;
    let gone = "the alert's events are not in the store: not indexed yet, or older than it keeps";
    proposed.map(Json).ok_or_else(|| Failure::new(ErrorCode::Conflict, gone))
}

async fn look(app: &App, draft: Draft) -> Result<Preview, Failure> {
    let (alerts, clock) = (app.alerts.clone(), app.clock.clone());
    let store = std::sync::Arc::clone(app.pipeline.store());
    let looked = tokio::task::spawn_blocking(move || {
        preview::preview(store.as_ref(), &alerts, &clock, &draft)
    });
    Ok(looked.await.map_err(|error| Failure::internal(&error))??)
}

pub(super) async fn preview(
    State(app): State<App>,
    Json(draft): Json<ExceptionDraft>,
) -> Result<Json<Preview>, Failure> {
    let days = draft.days.unwrap_or(TESTED_DAYS);
    if !(1..=MAX_BACK).contains(&days) {
        return Err(Failure::bad(format!("days is between 1 and {MAX_BACK}")));
    }
    let draft = Draft {
        engine: engine(&draft.engine)?,
        rule_id: draft.rule_id,
        conditions: conditions(draft.conditions)?,
        days,
    };
    look(&app, draft).await.map(Json)
}

/// Whether the past allows it; gives what was put aside by name.
fn judge(caller: &Caller, request: &NewException, seen: &Preview) -> Result<Vec<String>, Failure> {
    let asks = !request.put_aside.is_empty() || request.untested;
    let admin = caller.person().is_ok_and(|(_, user)| user.role >= Role::Admin);
    if asks && !admin {
        let words = "only an administrator, signed in, may put a true positive aside";
        return Err(Failure::new(ErrorCode::Forbidden, words));
    }
    if seen.partial && !request.untested {
        let words = "the past could not be looked at whole, so it is not known what it would hide; \
                     narrow it, or let an administrator make it untested";
        return Err(Failure::new(ErrorCode::Conflict, words));
    }
    let open = preview::refusals(seen, &request.put_aside);
    let unnamed = seen
        .true_positives_count
        .saturating_sub(u64::try_from(seen.true_positives.len()).unwrap_or(u64::MAX));
    if !open.is_empty() || unnamed > 0 {
        let named: Vec<String> = open.iter().map(|(id, what)| format!("{id} {what}")).collect();
        let words = format!(
            "it would have hidden what was judged a true positive ({} in all): {}; narrow it, or let an \
             administrator put each aside by its identity",
            seen.true_positives_count,
            named.join(", ")
        );
        return Err(Failure::new(ErrorCode::Conflict, words));
    }
    let touched = seen.true_positives.iter().map(|one| one.id.clone());
    Ok(touched.collect())
}

pub(super) async fn add(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Json(request): Json<NewException>,
) -> Result<Json<Listed>, Failure> {
    let draft = Draft {
        engine: engine(&request.engine)?,
        rule_id: request.rule_id.clone(),
        conditions: conditions(request.conditions.clone())?,
        days: TESTED_DAYS,
    };
    let alert = match &request.alert {
        Some(id) => {
            let alert = app.alerts.get(id);
            let alert = alert.ok_or_else(|| Failure::new(ErrorCode::NotFound, "no such alert"))?;
            if (alert.engine, &alert.rule_id) != (draft.engine, &draft.rule_id) {
                return Err(Failure::bad("the alert is of another rule"));
            }
            Some(alert)
        }
        None => None,
    };
    let seen = look(&app, draft.clone()).await?;
    let overridden = judge(&caller, &request, &seen)?;
    let title = match &alert {
        Some(alert) if request.title.trim().is_empty() => alert.title.chars().take(200).collect(),
        _ => request.title,
    };
    let new = New {
        title,
        engine: draft.engine,
        rule_id: draft.rule_id,
        conditions: draft.conditions,
        reason: request.reason,
        author: who(&caller),
        days: request.days.unwrap_or(USUAL_DAYS),
        alert: request.alert,
        overridden,
    };
    let exceptions = app.exceptions.clone();
    let made = tokio::task::spawn_blocking(move || exceptions.add(new)).await;
    let made = made.map_err(|error| Failure::internal(&error))??;
    if let Some(alert) = &alert {
        let what = format!("made the exception {} from it: {}", made.id, made.reason);
        if let Err(error) = app.alerts.note(&alert.id, &made.author, &what) {
            tracing::error!(%error, "the exception is not noted on its alert");
        }
    }
    audit(&app, "exception-made", &made.author, (&made, Some(&seen))).await;
    listed(&app, &made.id)
}

pub(super) async fn end(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    Json(request): Json<EndException>,
) -> Result<Json<Listed>, Failure> {
    let (exceptions, who) = (app.exceptions.clone(), who(&caller));
    let (asked, by) = (id.clone(), who.clone());
    let ended =
        tokio::task::spawn_blocking(move || exceptions.end(&asked, &by, &request.reason)).await;
    let ended = ended.map_err(|error| Failure::internal(&error))??;
    audit(&app, "exception-ended", &who, (&ended, None)).await;
    listed(&app, &id)
}

fn listed(app: &App, id: &str) -> Result<Json<Listed>, Failure> {
    let found = app.exceptions.get(id);
    found.map(Json).ok_or_else(|| Failure::new(ErrorCode::NotFound, "no such exception"))
}

/// Tells what was done to an exception. Its own history has it already, so that a store that takes nothing
/// now does not undo it.
async fn audit(app: &App, action: &str, who: &str, (one, seen): (&Exception, Option<&Preview>)) {
    tracing::info!(id = one.id, action, who, rule = one.rule_id, "exception changed");
    let mut exception = json!({
        "id": one.id, "title": one.title, "rule_id": one.rule_id, "engine": one.engine,
        "reason": one.reason, "author": one.author, "expires": one.expires, "alert": one.alert,
        "conditions": json!(one.conditions).to_string(), "put_aside": one.overridden,
    });
    if let (Some(seen), Some(fields)) = (seen, exception.as_object_mut()) {
        fields.insert("tested".to_owned(), seen.words.clone().into());
        fields.insert("untested".to_owned(), seen.partial.into());
    }
    let mut message = format!("{who}: {action} {} for rule {}", one.id, one.rule_id);
    if !one.overridden.is_empty() {
        message += &format!(", putting aside the true positives {}", one.overridden.join(", "));
    }
    let mut fields = Object::new();
    for (name, value) in [
        ("event.action", action.into()),
        ("user.name", who.into()),
        ("message", message.into()),
        ("exception", exception),
    ] {
        event::set(&mut fields, name, value);
    }
    if let Err(error) = app.pipeline.audit(fields).await {
        tracing::error!(error = causes(&error), "what was done to an exception is not an event");
    }
}
