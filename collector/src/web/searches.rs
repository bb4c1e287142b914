//! Kept searches: list, save, remove.

use api::SaveSearch;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::access::Caller;
use super::{App, Failure};
use crate::auth::Role;
use crate::searches::{New, SavedSearch};

pub(super) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Json<Vec<SavedSearch>> {
    let who = caller.person().ok().map(|(_, user)| user.name.clone());
    Json(app.searches.list(who.as_deref()))
}

pub(super) async fn save(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Json(asked): Json<SaveSearch>,
) -> Result<Json<SavedSearch>, Failure> {
    let (_, user) = caller.person()?;
    let SaveSearch { id, name, query, from, to, shared } = asked;
    let saved = app.searches.save(New { id, name, query, from, to, shared }, &user.name)?;
    tracing::info!(id = saved.id, who = user.name, shared, "search saved");
    Ok(Json(saved))
}

pub(super) async fn remove(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Failure> {
    let (_, user) = caller.person()?;
    app.searches.remove(&id, &user.name, user.role >= Role::Admin)?;
    tracing::info!(id, who = user.name, "search removed");
    Ok(Json(json!({})))
}
