//! Alerts: list, show, act.

use api::{AlertAction, AlertFilter, ErrorCode};
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use event::Severity;
use serde_json::{Value, json};

use super::access::Caller;
use super::{App, Failure};
use crate::alert::{Action, Alert, Status, Verdict};

/// Most alerts in one answer.
const MAX: usize = 1_000;

pub(super) async fn list(
    State(app): State<App>,
    Query(filter): Query<AlertFilter>,
) -> Result<Json<Value>, Failure> {
    let status = filter.status.as_deref().unwrap_or("live").to_owned();
    if !["open", "acknowledged", "closed", "live", "all"].contains(&status.as_str()) {
        return Err(Failure::bad("status is open, acknowledged, closed, live or all"));
    }
    let severity = match filter.severity.as_deref() {
        None | Some("") => Severity::Informational,
        Some(name) => Severity::from_name(name).ok_or_else(|| Failure::bad("no such severity"))?,
    };
    let text = filter.text.unwrap_or_default().to_lowercase();
    let wanted = |alert: &Alert| {
        let stands = match alert.status {
            Status::Open => ["open", "live", "all"].contains(&status.as_str()),
            Status::Acknowledged => ["acknowledged", "live", "all"].contains(&status.as_str()),
            Status::Closed => ["closed", "all"].contains(&status.as_str()),
        };
        let found = || {
            [&alert.title, &alert.rule_id, &alert.entity.value]
                .iter()
                .any(|part| part.to_lowercase().contains(&text))
        };
        stands && alert.severity >= severity && (text.is_empty() || found())
    };
    let (alerts, total) = app.alerts.list(wanted, filter.limit.unwrap_or(100).min(MAX));
    Ok(Json(json!({ "total": total, "alerts": alerts })))
}

pub(super) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Alert>, Failure> {
    let alert = app.alerts.get(&id);
    alert.map(Json).ok_or_else(|| Failure::new(ErrorCode::NotFound, "no such alert"))
}

pub(super) async fn act(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    Json(request): Json<AlertAction>,
) -> Result<Json<Alert>, Failure> {
    let action = match (request.action.as_str(), request.verdict.as_deref()) {
        ("acknowledge", None) => Action::Acknowledge,
        ("reopen", None) => Action::Reopen,
        ("close", Some("true_positive")) => Action::Close(Verdict::TruePositive),
        ("close", Some("benign")) => Action::Close(Verdict::Benign),
        ("close", Some("false_positive")) => Action::Close(Verdict::FalsePositive),
        ("close", _) => {
            return Err(Failure::bad("verdict is true_positive, benign or false_positive"));
        }
        _ => return Err(Failure::bad("action is acknowledge, close (with a verdict) or reopen")),
    };
    let note: String = request.note.chars().take(2_000).collect();
    let alert = app.alerts.act(&id, action, caller.name(), &note)?;
    tracing::info!(alert = id, who = caller.name(), action = request.action, "alert changed");
    Ok(Json(alert))
}
