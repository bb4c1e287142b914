//! Metrics, liveness, readiness.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::App;

pub(super) async fn metrics(State(app): State<App>) -> Response {
    let figures = app.pipeline.store().figures();
    let set = |name, help, value: u64| {
        app.telemetry.set(name, help, &[], i64::try_from(value).unwrap_or(i64::MAX));
    };
    set("pikett_store_documents", "documents searchable", figures.documents);
    set("pikett_store_log_bytes", "bytes of the durable log", figures.log_bytes);
    set("pikett_store_index_bytes", "bytes of the index", figures.index_bytes);
    set("pikett_store_quarantined", "damaged parts set aside", figures.index_quarantined);
    set("pikett_store_segments", "segments of the index", figures.segments);
    set("pikett_store_merges", "merges in quiet partitions since the start", figures.merges);
    let failed = "merges in quiet partitions that failed since the start";
    set("pikett_store_merges_failed", failed, figures.merges_failed);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.telemetry.render()).into_response()
}

pub(super) async fn health() -> &'static str {
    "ok\n"
}

pub(super) async fn ready(State(app): State<App>) -> Response {
    if app.shutdown.is_triggered() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response()
    } else {
        "ready\n".into_response()
    }
}
