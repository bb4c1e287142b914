//! How stored events stand ([`crate::upkeep`]).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::{App, Failure};
use crate::custody;
use crate::upkeep::{self, Destroyed, Upkeep};

pub(super) async fn retention(State(app): State<App>) -> Result<Json<Upkeep>, Failure> {
    let now = app.now();
    let look = move || {
        let storage = app.pipeline.store().storage();
        let mut found = upkeep::of(storage, (&app.retention, &app.storage), now);
        let vault = Arc::clone(&app.vault);
        let gone = custody::deletions(vault.journal.path(), &vault.keyring)?;
        found.destroyed = Some(Destroyed::from(gone));
        anyhow::Ok(found)
    };
    let found = tokio::task::spawn_blocking(look).await.map_err(|e| Failure::internal(&e))?;
    found.map(Json).map_err(|error| Failure::internal(&*error))
}
