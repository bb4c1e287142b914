//! Search and live tail.

use std::convert::Infallible;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;

use super::{App, Failure};
use crate::search::{Cancel, Matcher, SearchRequest, SearchResponse};

pub(super) async fn search(
    State(app): State<App>,
    Json(request): Json<SearchRequest>,
) -> Result<Json<SearchResponse>, Failure> {
    let store = std::sync::Arc::clone(app.pipeline.store());
    let searched =
        tokio::task::spawn_blocking(move || store.search(&request, &Cancel::default())).await;
    Ok(Json(searched.map_err(|error| Failure::internal(&error))??))
}

pub(super) async fn fields() -> Json<Value> {
    let list = event::FIELDS.iter().map(|field| {
        let kind = format!("{:?}", field.kind).to_lowercase();
        json!({"name": field.name, "alias": field.alias, "type": kind, "doc": field.doc})
    });
    Json(Value::Array(list.collect()))
}

#[derive(Deserialize)]
pub(super) struct Tail {
    #[serde(default)]
    query: String,
}

/// Events as they are stored. What a slow reader misses is said as an event `lost` with its number.
pub(super) async fn tail(
    State(app): State<App>,
    Query(tail): Query<Tail>,
) -> Result<Sse<impl Stream<Item = Result<Sent, Infallible>>>, Failure> {
    let matcher =
        Matcher::new(&tail.query, app.now()).map_err(|error| Failure::bad(error.to_string()))?;
    let mut live = app.pipeline.live();
    let (sender, stream) = tokio::sync::mpsc::channel(256);
    let shutdown = app.shutdown;
    tokio::spawn(async move {
        loop {
            let next = tokio::select! {
                next = live.recv() => next,
                () = sender.closed() => return,
                () = shutdown.wait() => return,
            };
            let sent = match next {
                Ok(document) if matcher.matches(&document) => {
                    Sent::default().data(Value::Object((*document).clone()).to_string())
                }
                Ok(_) => continue,
                Err(RecvError::Lagged(count)) => {
                    Sent::default().event("lost").data(count.to_string())
                }
                Err(RecvError::Closed) => return,
            };
            if sender.send(Ok(sent)).await.is_err() {
                return;
            }
        }
    });
    Ok(Sse::new(ReceiverStream::new(stream)).keep_alive(KeepAlive::default()))
}
