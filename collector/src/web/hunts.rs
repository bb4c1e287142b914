//! Previews of rules over the stored past, and what rules mean here.

use std::sync::Arc;

use api::{ErrorCode, RulePreview};
use axum::Json;
use axum::extract::{Path, State};

use super::{App, Failure};
use crate::hunts::{HuntError, Progress, Settings, Wanted, settings};
use crate::search::timespan;

impl From<HuntError> for Failure {
    fn from(error: HuntError) -> Self {
        let code = match &error {
            HuntError::Rules(_) => ErrorCode::BadRequest,
            HuntError::Busy => ErrorCode::TooMany,
            HuntError::Failed(_) => return Self::internal(&error),
        };
        Self::new(code, error.to_string())
    }
}

pub(super) async fn means(State(app): State<App>) -> Result<Json<Settings>, Failure> {
    let read = tokio::task::spawn_blocking(move || settings(&app.rules, &app.exceptions)).await;
    let read = read.map_err(|error| Failure::internal(&error))?;
    read.map(Json).map_err(|error| {
        tracing::error!(error = format!("{error:#}"), "settings of rules cannot be read");
        Failure::new(ErrorCode::Internal, "the collector failed; see its log")
    })
}

pub(super) async fn begin(
    State(app): State<App>,
    Json(request): Json<RulePreview>,
) -> Result<Json<Progress>, Failure> {
    let wanted = Wanted {
        rules: request.rules,
        from: request.from.unwrap_or_else(|| "now-7d".to_owned()),
        to: request.to.unwrap_or_else(|| "now".to_owned()),
    };
    for text in [&wanted.from, &wanted.to] {
        timespan::point(text, app.now()).map_err(|error| Failure::bad(error.to_string()))?;
    }
    let begun = tokio::task::spawn_blocking(move || {
        let store = Arc::clone(app.pipeline.store());
        app.hunts.begin(wanted, (store, app.clock), (&app.rules, &app.exceptions))
    });
    Ok(Json(begun.await.map_err(|error| Failure::internal(&error))??))
}

fn unknown() -> Failure {
    Failure::new(
        ErrorCode::NotFound,
        "no such preview; the collector was started since, or it is too old",
    )
}

pub(super) async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Progress>, Failure> {
    app.hunts.get(&id).map(Json).ok_or_else(unknown)
}

pub(super) async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<serde_json::Value>, Failure> {
    if app.hunts.cancel(&id) { Ok(Json(serde_json::json!({}))) } else { Err(unknown()) }
}
