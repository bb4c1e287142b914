//! Search, its suggestions, and live tail.

use std::convert::Infallible;
use std::sync::Arc;

use api::Complete;
use axum::Json;
use axum::extract::{Query, State};
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use event::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;

use super::{App, Failure};
use crate::completeness::{Completeness, MAX_ASKED, MAX_REASONS, Window};
use crate::search::complete::{Completion, complete};
use crate::search::{
    Answer, Cancel, FieldSeen, Matcher, SearchError, SearchRequest, answer, timespan, value,
};
use crate::store::Store;

/// Longest time a search may ask for, milliseconds.
const MAX_BUDGET: u64 = 120_000;

/// Cancels a search when whoever asked has gone.
#[derive(Debug)]
pub(super) struct Gone(pub(super) Cancel);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// An answer, and how complete what it was taken from is.
#[derive(Debug, Serialize)]
pub(super) struct Answered {
    #[serde(flatten)]
    answer: Answer,
    completeness: Completeness,
}

/// The window of time that a request is about.
pub(super) fn window(app: &App, request: &SearchRequest) -> Result<Window, Failure> {
    let now = app.now();
    let point = |which, text: &Option<String>, open: i64| match text {
        None => Ok(open),
        Some(text) => timespan::point(text, now)
            .map_err(|source| Failure::from(SearchError::Time { which, source })),
    };
    let low = point("from", &request.from, value::TIME_BOUNDS.0)?;
    let high = point("to", &request.to, now.micros().saturating_add(1))?.saturating_sub(1);
    Ok(Window { low, high, now })
}

pub(super) async fn search(
    State(app): State<App>,
    Json(request): Json<SearchRequest>,
) -> Result<Json<Answered>, Failure> {
    if request.budget_ms > MAX_BUDGET {
        return Err(Failure::bad(format!("budget_ms is at most {MAX_BUDGET}")));
    }
    let (window, now) = (window(&app, &request)?, app.now());
    let gone = Gone(Cancel::new());
    let cancel = gone.0.clone();
    let permit = app.limits.search().await?;
    let work = app.clone();
    let searched = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let found = answer(work.pipeline.store().as_ref(), &request, &cancel, now)?;
        Ok::<_, SearchError>((found, work.ledgers.judge(&work, window, MAX_REASONS)))
    });
    let (answer, completeness) = searched.await.map_err(|error| Failure::internal(&error))??;
    drop(gone);
    if answer.found.partial {
        for missing in &answer.missing {
            let reason = format!("{:?}", missing.reason).to_lowercase();
            let labels = [("reason", reason.as_str())];
            app.telemetry.count(
                "pikett_searches_partial",
                "answers with something missing",
                &labels,
                1,
            );
        }
    }
    Ok(Json(Answered { answer, completeness }))
}

/// Which window is asked about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedWindow {
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
}

/// How complete a window is.
#[derive(Debug, Serialize)]
pub(super) struct Judged {
    from: Option<Timestamp>,
    to: Timestamp,
    #[serde(flatten)]
    completeness: Completeness,
}

pub(super) async fn completeness(
    State(app): State<App>,
    Query(AskedWindow { from, to }): Query<AskedWindow>,
) -> Result<Json<Judged>, Failure> {
    let request = SearchRequest { from, to, ..SearchRequest::default() };
    let window = window(&app, &request)?;
    let judged =
        tokio::task::spawn_blocking(move || app.ledgers.judge(&app, window, MAX_ASKED)).await;
    let completeness = judged.map_err(|error| Failure::internal(&error))?;
    let from = (window.low > value::TIME_BOUNDS.0).then(|| Timestamp::from_micros(window.low));
    let to = Timestamp::from_micros(window.high.saturating_add(1));
    Ok(Json(Judged { from, to, completeness }))
}

/// A field of the dictionary, or one that events have.
#[derive(Debug, Serialize)]
pub(super) struct FieldInfo {
    name: String,
    alias: &'static str,
    r#type: String,
    doc: &'static str,
    events: u64,
}

/// The fields that events have, and those of the dictionary.
async fn seen(store: &Arc<dyn Store>) -> Result<Vec<FieldSeen>, Failure> {
    let store = Arc::clone(store);
    let seen = tokio::task::spawn_blocking(move || store.fields()).await;
    Ok(seen.map_err(|error| Failure::internal(&error))??)
}

pub(super) async fn fields(State(app): State<App>) -> Result<Json<Vec<FieldInfo>>, Failure> {
    let seen = seen(app.pipeline.store()).await?;
    let events = |name: &str| seen.iter().find(|one| one.name == name).map_or(0, |one| one.events);
    let known = event::FIELDS.iter().map(|field| FieldInfo {
        name: field.name.to_owned(),
        alias: field.alias,
        r#type: format!("{:?}", field.kind).to_lowercase(),
        doc: field.doc,
        events: events(field.name),
    });
    let further = seen.iter().filter(|one| value::field(&one.name).is_none());
    let further = further.map(|one| FieldInfo {
        name: one.name.clone(),
        alias: "",
        r#type: one.kinds.join(" or "),
        doc: "",
        events: one.events,
    });
    Ok(Json(known.chain(further).collect()))
}

pub(super) async fn suggest(
    State(app): State<App>,
    Json(asked): Json<Complete>,
) -> Result<Json<Completion>, Failure> {
    let store = Arc::clone(app.pipeline.store());
    let seen = seen(&store).await?;
    let found = tokio::task::spawn_blocking(move || {
        let values = |field: &str, prefix: &str, count| {
            // A suggestion that cannot be made is none.
            store.values(field, prefix, count).unwrap_or_default()
        };
        complete(&asked.text, asked.place, &seen, &values)
    });
    found.await.map(Json).map_err(|error| Failure::internal(&error))
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
