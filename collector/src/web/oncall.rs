//! Who is on call, the schedule, the history of pages.

use axum::extract::{Query, State};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::Caller;
use super::{App, Failure};
use crate::oncall::Schedule;

pub(super) async fn show(State(app): State<App>) -> Json<Value> {
    let now = app.now();
    let schedule = app.pager.schedule();
    let on_call = schedule.as_ref().and_then(|schedule| schedule.on_call(now, 0));
    let next = schedule.as_ref().and_then(|schedule| schedule.on_call(now, 1));
    let handover = schedule.as_ref().map(|schedule| schedule.handover(now));
    Json(json!({ "on_call": on_call, "next": next, "handover": handover, "schedule": schedule }))
}

pub(super) async fn set(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Json(schedule): Json<Schedule>,
) -> Result<Json<Value>, Failure> {
    app.pager.set_schedule(schedule)?;
    tracing::info!(who = caller.name(), "on-call schedule changed");
    Ok(show(State(app)).await)
}

#[derive(Deserialize)]
pub(super) struct Pages {
    #[serde(default)]
    limit: Option<usize>,
}

pub(super) async fn pages(State(app): State<App>, Query(query): Query<Pages>) -> Json<Value> {
    let limit = query.limit.unwrap_or(100).min(1_000);
    let pages = app.pager.pages(limit).into_iter().map(|page| {
        let titles: Vec<String> = page
            .alerts
            .iter()
            .take(5)
            .filter_map(|id| app.alerts.get(id))
            .map(|alert| alert.title)
            .collect();
        json!({ "page": page, "titles": titles })
    });
    Json(Value::Array(pages.collect()))
}
