//! Agents, ledgers, enrolment tokens.

use api::{AgentAction, ErrorCode, NewEnrolment};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use link::enrol::Token;
use serde_json::{Value, json};

use super::access::Caller;
use super::{App, Failure};

pub(super) async fn list(State(app): State<App>) -> Json<Value> {
    let now = app.now();
    let agents = app.agents.list().into_iter().map(|agent| {
        let (health, residue) = (agent.health(now), agent.residue());
        let silent = now.micros_since(agent.seen) / 1_000_000;
        json!({ "agent": agent, "health": health, "residue": residue, "seconds_since_seen": silent })
    });
    Json(Value::Array(agents.collect()))
}

pub(super) async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    Json(action): Json<AgentAction>,
) -> Result<Json<Value>, Failure> {
    if !app.agents.set_revoked(&id, action.revoked)? {
        return Err(Failure::new(ErrorCode::NotFound, "no such agent"));
    }
    tracing::info!(agent = id, revoked = action.revoked, who = caller.name(), "agent changed");
    Ok(Json(json!({})))
}

pub(super) async fn ledger(State(app): State<App>) -> Json<Value> {
    let figures = app.pipeline.store().figures();
    let received = app.receiving.figures();
    let hops = [figures.intake.residue(), figures.index.residue(), received.ledger.residue()];
    let residue = i64::try_from(hops.iter().sum::<i128>()).unwrap_or(i64::MAX);
    Json(json!({ "store": figures, "receive": received, "residue": residue }))
}

pub(super) async fn enrol(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Json(request): Json<NewEnrolment>,
) -> Result<Json<Value>, Failure> {
    let seconds = i64::from(request.minutes).saturating_mul(60);
    let (enrolment, secret) = app.enrolments.create(seconds, caller.name())?;
    let token = Token { id: enrolment.id.clone(), secret, authority: app.authority };
    let text = token.reveal();
    let command = format!("pikett-agent enroll --collector {} --token {text}", app.enrol_at);
    tracing::info!(token = enrolment.id, who = caller.name(), "enrolment token made");
    Ok(Json(json!({ "token": text, "expires": enrolment.expires, "command": command })))
}
