//! The console's files, embedded at build time.
//!
//! `dashboards/dist` is made by the build of the console. A collector built without it says so
//! instead of serving nothing.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{App, elastic};

#[derive(rust_embed::RustEmbed)]
#[folder = "../dashboards/dist"]
#[allow_missing = true]
struct Files;

const MISSING: &str = "This collector was built without its console. \
    Build it with `cargo xtask run` or `cargo xtask console`.\n";

/// Style of the pages that are served without the console.
const PAGE_CSS: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f6f7f9;color:#1a1d21}\
    main{max-width:40rem;margin:2rem auto;padding:0 1rem}li{margin:.5rem 0}\
    button{font:inherit;padding:.8rem 2rem;border:0;border-radius:.4rem;background:#0b57d0;color:#fff}\
    @media(prefers-color-scheme:dark){body{background:#15171a;color:#e8eaed}}";

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

fn file(path: &str) -> Option<Response> {
    if path == "page.css" {
        return Some(([(header::CONTENT_TYPE, kind(path))], PAGE_CSS).into_response());
    }
    let found = Files::get(path)?;
    let mut response = found.data.into_owned().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind(path)));
    Some(response)
}

/// Whatever is no route: a file of the console, the version or an index for Elasticsearch clients, or nothing.
pub(super) async fn serve(State(app): State<App>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let program = request.headers().contains_key(header::AUTHORIZATION);
    if program && path.is_empty() {
        return elastic::root(&app, &request);
    }
    if program && !path.contains('/') && !path.starts_with('_') {
        return elastic::index(&app, &path, request).await;
    }
    let path = if path.is_empty() { "index.html" } else { path.as_str() };
    if let Some(response) = file(path) {
        return response;
    }
    if path == "index.html" {
        return (StatusCode::SERVICE_UNAVAILABLE, MISSING).into_response();
    }
    let nothing = super::Failure::new(api::ErrorCode::NotFound, "no such page");
    nothing.into_response()
}
