//! What clients ask about fields and indices: `_field_caps`, `_mapping`, `_cat/indices`.
//!
//! Told are the fields that events have: those of the dictionary under both of their names with its types,
//! others with the kinds of their values. With an empty store these are the names of the time alone.

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use event::FieldType;
use serde_json::{Map, Value, json};

use super::handlers::{bytes, parsed};
use super::indices::{ALL, FIELD, pattern, restrict};
use super::read::{Keys, texts};
use super::request::{Parameters, finish, without_working};
use super::{PRODUCT, Wrong, answered};
use crate::search::aggregate::TermBucket;
use crate::search::wildcard::Wildcard;
use crate::search::{
    Aggregated, Aggregation, Cancel, FieldSeen, SearchError, SearchRequest, value,
};
use crate::store::Store;
use crate::web::App;

type Answer = Result<Response, Wrong>;

/// Most indices that are listed.
const MAX_LISTED: usize = 1000;

/// The type of a field as clients know it.
const fn kind(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Keyword => "keyword",
        FieldType::Text => "text",
        FieldType::Number => "double",
        FieldType::Ip => "ip",
        FieldType::Date => "date",
        FieldType::Bool => "boolean",
    }
}

/// Whether values of a field can be grouped.
fn groups(name: &str) -> bool {
    !matches!(name, "message" | "event.original" | "detection.explanation" | "event.id")
}

/// The type of the values of a field that is not in the dictionary.
fn kind_of(seen: &str) -> &'static str {
    match seen {
        "number" => "double",
        "bool" => "boolean",
        "ip" => "ip",
        "date" => "date",
        _ => "keyword",
    }
}

/// A name that can be asked for.
struct Told {
    name: String,
    /// The types of its values, the widest first: texts can hold everything.
    kinds: Vec<&'static str>,
    groups: bool,
}

/// The names that events have; those of the time always. Blocks.
fn names(store: &dyn Store) -> Result<Vec<Told>, SearchError> {
    let seen = store.fields()?;
    let time = std::iter::once("timestamp").filter(|time| !seen.iter().any(|s| s.name == *time));
    let time = time.map(|name| FieldSeen { name: name.to_owned(), kinds: Vec::new(), events: 0 });
    let mut out = Vec::new();
    for FieldSeen { name, kinds, .. } in time.chain(seen.iter().cloned()) {
        let groups = groups(&name);
        match value::field(&name) {
            Some(field) => {
                let both = [field.name, field.alias].into_iter().filter(|name| !name.is_empty());
                let kinds = vec![kind(field.kind)];
                out.extend(both.map(|name| Told {
                    name: name.to_owned(),
                    kinds: kinds.clone(),
                    groups,
                }));
            }
            None => {
                let mut kinds: Vec<&str> = kinds.iter().map(|seen| kind_of(seen)).collect();
                kinds.sort_by_key(|kind| *kind != "keyword");
                kinds.dedup();
                out.push(Told { name, kinds, groups });
            }
        }
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(out)
}

async fn told_names(app: &App) -> Result<Vec<Told>, Wrong> {
    let store = std::sync::Arc::clone(app.pipeline.store());
    let names = tokio::task::spawn_blocking(move || names(store.as_ref())).await;
    Ok(names.map_err(|error| Wrong::from(crate::web::Failure::internal(&error)))??)
}

pub(in crate::web) async fn caps(
    State(app): State<App>,
    Query(parameters): Query<Parameters>,
    request: Request,
) -> Answer {
    told(&app, parameters, request).await
}

pub(in crate::web) async fn caps_of(
    State(app): State<App>,
    Path(_): Path<String>,
    Query(parameters): Query<Parameters>,
    request: Request,
) -> Answer {
    told(&app, parameters, request).await
}

async fn told(app: &App, mut parameters: Parameters, request: Request) -> Answer {
    let media = request.headers().get(header::ACCEPT).cloned();
    without_working(&mut parameters);
    for name in ["include_unmapped", "include_empty_fields", "filters", "types"] {
        parameters.remove(name);
    }
    let mut wanted = parameters.remove("fields").map(Value::String);
    finish(&parameters)?;
    let body = parsed(&bytes(request).await?)?;
    if !body.is_null() {
        let mut keys = Keys::of("field_caps", body)?;
        wanted = keys.take("fields").or(wanted);
        if let Some(filter) = keys.take("index_filter") {
            Keys::of("index_filter", filter)?;
        }
        keys.finish()?;
    }
    let wanted = texts("fields", wanted.unwrap_or_else(|| json!("*")), true)?;
    let wanted: Vec<Wildcard> = wanted.iter().filter_map(|name| pattern(name)).collect();
    let mut fields = Map::new();
    for Told { name, kinds, groups } in told_names(app).await? {
        if wanted.iter().any(|pattern| pattern.matches(&name)) {
            let one = |kind: &str| {
                let one = json!({
                    "type": kind, "metadata_field": false, "searchable": true, "aggregatable": groups,
                });
                (kind.to_owned(), one)
            };
            fields.insert(name, Value::Object(kinds.into_iter().map(one).collect()));
        }
    }
    Ok(answered(&json!({"indices": [ALL], "fields": fields}), media.as_ref()))
}

pub(in crate::web) async fn mapping(State(app): State<App>, request: Request) -> Answer {
    let accept = request.headers().get(header::ACCEPT).cloned();
    Ok(answered(&json!({ALL: {"mappings": mappings(&app).await?}}), accept.as_ref()))
}

pub(in crate::web) async fn mapping_of(
    State(app): State<App>,
    Path(index): Path<String>,
    request: Request,
) -> Answer {
    let index: String = index.chars().take(255).collect();
    let name = if super::indices::covers(&index) { ALL } else { &index };
    let accept = request.headers().get(header::ACCEPT).cloned();
    Ok(answered(&json!({name: {"mappings": mappings(&app).await?}}), accept.as_ref()))
}

/// The fields as nested properties.
pub(super) async fn mappings(app: &App) -> Result<Value, Wrong> {
    let mut properties = Map::new();
    for Told { name, kinds, groups } in told_names(app).await? {
        let kind = kinds.first().copied().unwrap_or("keyword");
        let mut one = json!({"type": kind});
        if kind == "text" && groups {
            one["fields"] = json!({"keyword": {"type": "keyword"}});
        }
        place(&mut properties, &name, one);
    }
    Ok(json!({"dynamic": "true", "properties": properties}))
}

fn place(properties: &mut Map<String, Value>, name: &str, one: Value) {
    match name.split_once('.') {
        None => match properties.get_mut(name).and_then(Value::as_object_mut) {
            // A name with others below it is an object for clients.
            Some(_) => {}
            None => {
                properties.insert(name.to_owned(), one);
            }
        },
        Some((head, rest)) => {
            let slot = properties.entry(head).or_insert_with(|| json!({"properties": {}}));
            if slot.get("properties").is_none() {
                *slot = json!({"properties": {}});
            }
            if let Some(inner) = slot.get_mut("properties").and_then(Value::as_object_mut) {
                place(inner, rest, one);
            }
        }
    }
}

pub(in crate::web) async fn cat_indices(
    State(app): State<App>,
    Query(mut parameters): Query<Parameters>,
    request: Request,
) -> Answer {
    let media = request.headers().get(header::ACCEPT).cloned();
    let asks_json = media.as_ref().and_then(|media| media.to_str().ok());
    let as_json = parameters.get("format").is_some_and(|format| format == "json")
        || asks_json.is_some_and(|media| media.contains("json"));
    without_working(&mut parameters);
    let columns = parameters.remove("h").unwrap_or_default();
    let head = parameters.remove("v").is_some_and(|text| text != "false");
    for name in ["s", "bytes", "health", "pri", "time", "include_unloaded_segments", "index"] {
        parameters.remove(name);
    }
    finish(&parameters)?;
    let rows = rows(&app).await?;
    let all = [
        "health",
        "status",
        "index",
        "uuid",
        "pri",
        "rep",
        "docs.count",
        "docs.deleted",
        "store.size",
        "pri.store.size",
    ];
    let wanted: Vec<&str> =
        if columns.is_empty() { all.to_vec() } else { columns.split(',').map(str::trim).collect() };
    let pick = |row: &Value| -> Map<String, Value> {
        wanted
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), row.get(*name)?.clone())))
            .collect()
    };
    let picked: Vec<Map<String, Value>> = rows.iter().map(pick).collect();
    if as_json {
        return Ok(answered(&json!(picked), media.as_ref()));
    }
    let line = |row: &Map<String, Value>| {
        let cells = wanted.iter().map(|name| row.get(*name).and_then(Value::as_str).unwrap_or(""));
        cells.collect::<Vec<&str>>().join(" ")
    };
    let mut lines: Vec<String> = picked.iter().map(line).collect();
    if head {
        lines.insert(0, wanted.join(" "));
    }
    let mut response = (lines.join("\n") + "\n").into_response();
    response.headers_mut().insert(PRODUCT.0, HeaderValue::from_static(PRODUCT.1));
    Ok(response)
}

/// The index of everything, and those that events were sent to.
async fn rows(app: &App) -> Result<Vec<Value>, Wrong> {
    let request = SearchRequest {
        node: restrict(ALL)?,
        limit: 0,
        aggregations: vec![Aggregation::terms(FIELD, MAX_LISTED)],
        ..SearchRequest::default()
    };
    let store = std::sync::Arc::clone(app.pipeline.store());
    let searched = tokio::task::spawn_blocking(move || {
        let bytes = store.figures().index_bytes;
        store.search(&request, &Cancel::default()).map(|found| (found, bytes))
    });
    let searched = searched.await;
    let (found, size) =
        searched.map_err(|error| Wrong::from(crate::web::Failure::internal(&error)))??;
    let row = |name: &str, count: u64, size: &str| {
        json!({
            "health": "green", "status": "open", "index": name, "uuid": name, "pri": "1",
            "rep": "0", "docs.count": count.to_string(), "docs.deleted": "0", "store.size": size,
            "pri.store.size": size,
        })
    };
    let mut rows = vec![row(ALL, found.total, &format!("{size}b"))];
    if let Some(Aggregated::Terms { buckets, .. }) = found.aggregations.first() {
        rows.extend(buckets.iter().map(|TermBucket { value, count, .. }| row(value, *count, "")));
    }
    Ok(rows)
}
