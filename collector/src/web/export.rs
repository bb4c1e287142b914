//! Everything a search finds, as lines of JSON, for as long as whoever asked takes them.
//!
//! Events come newest first, or oldest first when asked so, in pages that the store gives one after the other; a slow reader makes the
//! store wait, one who goes away ends it. The last line is a summary that says whether all of it came:
//! an export without one is torn.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Sender;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::search::{Gone, window};
use super::{App, Failure};
use crate::completeness::{MAX_REASONS, Window};
use crate::search::answer::Reason;
use crate::search::{
    Cancel, HitOrder, MAX_LIMIT, Missing, Pages, SearchError, SearchRequest, Table, answer, pipe,
};

/// Events of one page, and of one piece of the body.
const PAGE: usize = 1_000;
/// Pieces made ahead of the reader.
const AHEAD: usize = 2;
/// Longest time for one page, milliseconds.
const PAGE_BUDGET: u64 = 60_000;

/// What to export.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(default)]
    query: String,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    order: HitOrder,
}

pub(super) async fn export(
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let Asked { query, from, to, order } = asked;
    // Events that arrive meanwhile are no part of it, so that it comes to an end.
    let to = to.or_else(|| Some("now".to_owned()));
    let budget_ms = PAGE_BUDGET;
    let mut request =
        SearchRequest { query, from, to, order, budget_ms, ..SearchRequest::default() };
    let mut pipeline = pipe::compile(&request.query, app.now())?;
    if let Some(order) = pipeline.take_order().filter(|_| pipeline.stages.is_empty()) {
        (request.order, request.query) = (order, pipeline.query);
    }
    let window = window(&app, &request)?;
    let permit = app.limits.export()?;
    let (sender, pieces) = tokio::sync::mpsc::channel(AHEAD);
    let gone = Gone(Cancel::new());
    let cancel = gone.0.clone();
    let staged = !pipeline.stages.is_empty();
    tokio::task::spawn_blocking(move || {
        Exporter { app, request, cancel, sender, permit, sent: 0 }.run(staged, window);
    });
    let body = ReceiverStream::new(pieces).map(move |piece| {
        // Dropped with the body: then nobody reads any more.
        let _reader = &gone;
        piece
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"pikett-export.ndjson\""),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

type Piece = Result<Bytes, Infallible>;

struct Exporter {
    app: App,
    request: SearchRequest,
    cancel: Cancel,
    sender: Sender<Piece>,
    permit: OwnedSemaphorePermit,
    sent: u64,
}

impl Exporter {
    fn run(mut self, staged: bool, window: Window) {
        let done = if staged { self.rows() } else { self.events() };
        let error = match &done {
            Ok(_) => None,
            Err(SearchError::Cancelled) => return,
            Err(error) => Some(error.to_string()),
        };
        let missing = done.unwrap_or_default();
        let complete = error.is_none() && missing.is_empty();
        let completeness = self.app.ledgers.judge(&self.app, window, MAX_REASONS);
        let summary = json!({ "_summary": {
            "sent": self.sent, "complete": complete, "missing": missing, "error": error,
            "completeness": completeness,
        }});
        if self.send(vec![summary]).is_err() {
            tracing::debug!("nobody waits for the end of an export");
        }
        drop(self.permit);
    }

    /// Sends lines; waits while the reader is behind.
    fn send(&self, lines: Vec<Value>) -> Result<(), SearchError> {
        let mut text = String::new();
        for line in lines {
            text.push_str(&line.to_string());
            text.push('\n');
        }
        self.sender.blocking_send(Ok(text.into())).map_err(|_| SearchError::Cancelled)
    }

    fn count(&mut self, more: usize) {
        self.sent = self.sent.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
    }

    fn events(&mut self) -> Result<Vec<Missing>, SearchError> {
        let store = std::sync::Arc::clone(self.app.pipeline.store());
        let request = SearchRequest { limit: PAGE, ..self.request.clone() };
        let cancel = self.cancel.clone();
        let mut pages = Pages::new(store.as_ref(), &request, &cancel, self.app.now())?;
        while let Some(hits) = pages.page()? {
            if self.app.shutdown.is_triggered() {
                return Err(SearchError::Failed { reason: "the collector stops".to_owned() });
            }
            let count = hits.len();
            self.send(hits.into_iter().map(|hit| Value::Object(hit.document)).collect())?;
            self.count(count);
        }
        Ok(pages.missing())
    }

    fn rows(&mut self) -> Result<Vec<Missing>, SearchError> {
        let store = std::sync::Arc::clone(self.app.pipeline.store());
        let request = SearchRequest { limit: MAX_LIMIT, ..self.request.clone() };
        let found = answer(store.as_ref(), &request, &self.cancel, self.app.now())?;
        let lines: Vec<Value> = match found.table {
            Some(table) => objects(table),
            None => found.found.hits.into_iter().map(|hit| Value::Object(hit.document)).collect(),
        };
        for piece in lines.chunks(PAGE) {
            self.send(piece.to_vec())?;
            self.count(piece.len());
        }
        let mut missing = found.missing;
        if found.more {
            let words = format!("there are more than {MAX_LIMIT} events behind these stages");
            missing.push(Missing { reason: Reason::Rows, count: None, words });
        }
        Ok(missing)
    }
}

/// Rows as objects by the names of their columns.
fn objects(table: Table) -> Vec<Value> {
    let Table { columns, rows } = table;
    let object = |row: Vec<Value>| {
        let names = columns.iter().map(|column| column.name.clone());
        Value::Object(names.zip(row).collect::<Map<String, Value>>())
    };
    rows.into_iter().map(object).collect()
}
