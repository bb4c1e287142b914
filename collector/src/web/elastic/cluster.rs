//! What clients and shippers ask about the server before they go on: version, health, licence, nodes,
//! settings, templates.
//!
//! Fields have their types from the dictionary and indices come into being with their first event, so
//! templates, policies and pipelines that shippers set up are taken note of and change nothing: asked
//! for they are absent, set they are acknowledged.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::indices::{covers, restrict};
use super::{Wrong, answered};
use crate::auth::token::Scope;
use crate::search::{Cancel, SearchRequest};
use crate::web::App;

/// Version that clients are told; they refuse servers of another major version.
const VERSION: &str = "9.0.0";

fn identity_body() -> Value {
    json!({
        "name": "pikett", "cluster_name": "pikett", "cluster_uuid": "pikett",
        "version": {
            "number": VERSION, "build_flavor": "default", "build_type": "tar",
            "build_hash": "unknown", "build_date": "2026-01-01T00:00:00.000Z",
            "build_snapshot": false, "lucene_version": "10.0.0",
            "minimum_wire_compatibility_version": "8.0.0",
            "minimum_index_compatibility_version": "8.0.0",
        },
        "tagline": "You Know, for Search",
    })
}

pub(in crate::web) async fn identity(request: Request) -> Response {
    answered(&identity_body(), request.headers().get(header::ACCEPT))
}

/// `/` for programs: the identity, when their token may ingest or read.
pub(in crate::web) fn root(app: &App, request: &Request) -> Response {
    let scopes = [Scope::Ingest, Scope::Read];
    match crate::web::access::program(app, request.headers(), &scopes) {
        Ok(()) => answered(&identity_body(), request.headers().get(header::ACCEPT)),
        Err(failure) => failure.into_response(),
    }
}

/// `/{index}` for programs: whether it holds anything (GET, HEAD), or making it (PUT), which needs
/// nothing to be done.
pub(in crate::web) async fn index(app: &App, name: &str, request: Request) -> Response {
    let making = *request.method() == Method::PUT;
    let scopes: &[Scope] = if making { &[Scope::Ingest] } else { &[Scope::Ingest, Scope::Read] };
    if let Err(failure) = crate::web::access::program(app, request.headers(), scopes) {
        return failure.into_response();
    }
    let reads = crate::web::access::program(app, request.headers(), &[Scope::Read]).is_ok();
    let media = request.headers().get(header::ACCEPT).cloned();
    if making {
        let body = json!({"acknowledged": true, "shards_acknowledged": true, "index": name});
        return answered(&body, media.as_ref());
    }
    match holds(app, name).await {
        Ok(true) => {
            // Who only sends is told nothing of what others have sent.
            let mappings = match reads {
                true => super::fields::mappings(app).await,
                false => Ok(json!({"dynamic": "true", "properties": {}})),
            };
            let mappings = match mappings {
                Ok(mappings) => mappings,
                Err(wrong) => return wrong.into_response(),
            };
            let body = json!({name: {"aliases": {}, "mappings": mappings, "settings": {
                "index": {"number_of_shards": "1", "number_of_replicas": "0", "provided_name": name}
            }}});
            answered(&body, media.as_ref())
        }
        Ok(false) => missing(name).into_response(),
        Err(wrong) => wrong.into_response(),
    }
}

fn missing(name: &str) -> Wrong {
    let name: String = name.chars().take(255).collect();
    Wrong {
        status: 404,
        kind: "index_not_found_exception",
        reason: format!("no such index [{name}]"),
    }
}

/// Whether an event was sent to an index.
async fn holds(app: &App, name: &str) -> Result<bool, Wrong> {
    if name.split(',').any(covers) {
        return Ok(true);
    }
    let node = restrict(name)?;
    let request = SearchRequest { node, limit: 0, ..SearchRequest::default() };
    let store = std::sync::Arc::clone(app.pipeline.store());
    let searched =
        tokio::task::spawn_blocking(move || store.search(&request, &Cancel::default())).await;
    let found = searched.map_err(|error| Wrong::from(crate::web::Failure::internal(&error)))??;
    Ok(found.total > 0)
}

pub(in crate::web) async fn health(request: Request) -> Response {
    let body = json!({
        "cluster_name": "pikett", "status": "green", "timed_out": false, "number_of_nodes": 1,
        "number_of_data_nodes": 1, "active_primary_shards": 1, "active_shards": 1,
        "relocating_shards": 0, "initializing_shards": 0, "unassigned_shards": 0,
        "delayed_unassigned_shards": 0, "number_of_pending_tasks": 0, "number_of_in_flight_fetch": 0,
        "task_max_waiting_in_queue_millis": 0, "active_shards_percent_as_number": 100.0,
    });
    answered(&body, request.headers().get(header::ACCEPT))
}

pub(in crate::web) async fn license() -> Response {
    answered(&json!({"license": {"uid": "pikett", "type": "basic", "status": "active"}}), None)
}

/// The one node there is, at the address the client reached it by.
pub(in crate::web) async fn nodes(headers: HeaderMap) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host: String = host.chars().take(255).collect();
    let body = json!({
        "_nodes": {"total": 1, "successful": 1, "failed": 0}, "cluster_name": "pikett",
        "nodes": {"pikett": {
            "name": "pikett", "version": VERSION, "roles": ["data", "ingest", "master"],
            "http": {"publish_address": host},
        }},
    });
    answered(&body, headers.get(header::ACCEPT))
}

pub(in crate::web) async fn settings(headers: HeaderMap) -> Response {
    answered(&json!({"persistent": {}, "transient": {}}), headers.get(header::ACCEPT))
}

/// A template, policy or pipeline: there is none.
pub(in crate::web) async fn absent() -> Response {
    let reason = "none is kept here: fields have their types from the dictionary".to_owned();
    Wrong { status: 404, kind: "resource_not_found_exception", reason }.into_response()
}

/// A template, policy or pipeline is set: counted, and nothing more.
pub(in crate::web) async fn acknowledge(State(app): State<App>) -> Response {
    let help = "templates, policies and pipelines that shippers set, which change nothing";
    app.telemetry.count("pikett_elastic_settings_left", help, &[], 1);
    let mut response = Json(json!({"acknowledged": true})).into_response();
    let name = axum::http::HeaderValue::from_static(super::PRODUCT.1);
    response.headers_mut().insert(super::PRODUCT.0, name);
    response
}
