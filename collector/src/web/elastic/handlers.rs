//! Serving searches: `_search`, `_msearch`, `_count`, scrolling.
//!
//! A client that goes away stops its search.

use axum::body::to_bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use event::Timestamp;
use serde_json::{Value, json};

use super::read::{Keys, scalar, texts};
use super::request::{Asked, Parameters, filtered};
use super::scroll::Scroll;
use super::{Wrong, answered};
use crate::search::{Cancel, HitOrder, SearchRequest, SearchResponse};
use crate::web::App;
use crate::web::body::Packing;

/// Largest body, packed or not, bytes.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// Most searches of one `_msearch`.
const MAX_SEARCHES: usize = 100;

type Answer = Result<Response, Wrong>;

/// Stops a search when it is dropped.
struct Stop(Cancel);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The body of a request as bytes.
pub(super) async fn bytes(request: Request) -> Result<Vec<u8>, Wrong> {
    let packing = Packing::of(request.headers())?;
    let large = || Wrong {
        status: 413,
        kind: "content_too_long_exception",
        reason: "the body is larger than 4 MiB".to_owned(),
    };
    let body = to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| large())?;
    let body = packing.unpack(body)?;
    if body.len() > MAX_BODY { Err(large()) } else { Ok(body.to_vec()) }
}

/// A body as JSON; null when it is empty.
pub(super) fn parsed(bytes: &[u8]) -> Result<Value, Wrong> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|error| Wrong::parsing(format!("body: {error}")))
}

fn accept(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(header::ACCEPT).cloned()
}

async fn run(app: &App, request: SearchRequest) -> Result<(SearchResponse, u64), Wrong> {
    let begun = app.clock.monotonic();
    let stop = Stop(Cancel::new());
    let cancel = stop.0.clone();
    let store = std::sync::Arc::clone(app.pipeline.store());
    let searched = tokio::task::spawn_blocking(move || store.search(&request, &cancel)).await;
    let found = searched.map_err(|error| Wrong::from(crate::web::Failure::internal(&error)))??;
    let took = app.clock.monotonic().saturating_sub(begun).as_millis();
    Ok((found, u64::try_from(took).unwrap_or(u64::MAX)))
}

pub(in crate::web) async fn search(
    State(app): State<App>,
    Query(parameters): Query<Parameters>,
    request: Request,
) -> Answer {
    found(&app, "", parameters, request).await
}

pub(in crate::web) async fn search_of(
    State(app): State<App>,
    Path(index): Path<String>,
    Query(parameters): Query<Parameters>,
    request: Request,
) -> Answer {
    found(&app, &index, parameters, request).await
}

async fn found(app: &App, index: &str, mut parameters: Parameters, request: Request) -> Answer {
    let media = accept(request.headers());
    let path = parameters.remove("filter_path");
    let scrolls = parameters.remove("scroll").is_some();
    let body = parsed(&bytes(request).await?)?;
    let now = app.now();
    let answer = if scrolls {
        let (index, now) = (index.to_owned(), now.micros());
        page(app, Scroll { index, body, parameters, now, after: None, until: None, done: false })
            .await?
    } else {
        one(app, index, (body, parameters), now).await?
    };
    Ok(answered(&filtered(answer, path.as_ref())?, media.as_ref()))
}

async fn one(
    app: &App,
    index: &str,
    (body, parameters): (Value, Parameters),
    now: Timestamp,
) -> Result<Value, Wrong> {
    let asked = Asked::read(index, body, parameters, now)?;
    let (response, took) = run(app, asked.request.clone()).await?;
    Ok(asked.answer(response, took))
}

/// One page of a scroll, with the id of the next.
async fn page(app: &App, mut scroll: Scroll) -> Result<Value, Wrong> {
    let mut asked =
        Asked::read(&scroll.index, scroll.body.clone(), scroll.parameters.clone(), scroll.now())?;
    if asked.request.limit == 0 {
        return Err(Wrong::argument("[size] cannot be [0] in a scroll context"));
    }
    if scroll.until.is_none() && asked.request.order == HitOrder::Oldest {
        scroll.until = Some(newest(app, &asked.request).await?.unwrap_or(scroll.now));
    }
    let end = scroll.until.map(|until| Timestamp::from_micros(until.saturating_add(1)));
    asked.request.to = end.map(|end| end.to_string());
    if scroll.after.is_some() {
        asked.request.after = scroll.after;
        asked = asked.further();
    }
    let (mut response, took) = if scroll.done {
        (SearchResponse::default(), 0)
    } else {
        run(app, asked.request.clone()).await?
    };
    // Newest first, the first hit of all is the newest.
    scroll.until = scroll.until.or_else(|| response.hits.first().map(|hit| hit.cursor.time));
    scroll.done = scroll.done || response.next.is_none();
    scroll.after = response.next.take().or(scroll.after);
    let id = scroll.id()?;
    let mut answer = asked.answer(response, took);
    answer["_scroll_id"] = Value::String(id);
    Ok(answer)
}

/// Time of the newest event that a search finds, microseconds.
async fn newest(app: &App, request: &SearchRequest) -> Result<Option<i64>, Wrong> {
    let order = HitOrder::Newest;
    let mut asked = SearchRequest { limit: 1, order, after: None, ..request.clone() };
    asked.aggregations.clear();
    let (found, _) = run(app, asked).await?;
    Ok(found.hits.first().map(|hit| hit.cursor.time))
}

/// The ids of a body or of parameters.
fn ids(body: Value, parameters: &mut Parameters) -> Result<Vec<String>, Wrong> {
    parameters.remove("scroll");
    let given = parameters.remove("scroll_id").map(Value::String);
    let given = if body.is_null() {
        given
    } else {
        let mut keys = Keys::of("scroll", body)?;
        keys.text("scroll")?;
        let own = keys.take("scroll_id");
        keys.finish()?;
        own.or(given)
    };
    let given = given.ok_or_else(|| Wrong::argument("scroll_id is missing"))?;
    texts("scroll_id", given, true)
}

pub(in crate::web) async fn scroll(
    State(app): State<App>,
    Query(mut parameters): Query<Parameters>,
    request: Request,
) -> Answer {
    let media = accept(request.headers());
    let path = parameters.remove("filter_path");
    let body = parsed(&bytes(request).await?)?;
    let ids = ids(body, &mut parameters)?;
    let [id] = ids.as_slice() else { return Err(Wrong::argument("one scroll_id is needed")) };
    let mut scroll = Scroll::read(id)?;
    if let Some(wanted) = parameters.remove("rest_total_hits_as_int") {
        scroll.parameters.insert("rest_total_hits_as_int".to_owned(), wanted);
    }
    let answer = page(&app, scroll).await?;
    Ok(answered(&filtered(answer, path.as_ref())?, media.as_ref()))
}

pub(in crate::web) async fn clear(
    Query(mut parameters): Query<Parameters>,
    request: Request,
) -> Answer {
    let media = accept(request.headers());
    let body = parsed(&bytes(request).await?)?;
    let freed = ids(body, &mut parameters)?.len();
    Ok(answered(&json!({"succeeded": true, "num_freed": freed}), media.as_ref()))
}

pub(in crate::web) async fn count(
    State(app): State<App>,
    Query(parameters): Query<Parameters>,
    request: Request,
) -> Answer {
    counted(&app, "", parameters, request).await
}

pub(in crate::web) async fn count_of(
    State(app): State<App>,
    Path(index): Path<String>,
    Query(parameters): Query<Parameters>,
    request: Request,
) -> Answer {
    counted(&app, &index, parameters, request).await
}

async fn counted(app: &App, index: &str, mut parameters: Parameters, request: Request) -> Answer {
    let media = accept(request.headers());
    let path = parameters.remove("filter_path");
    let mut body = parsed(&bytes(request).await?)?;
    if body.is_null() {
        body = json!({});
    }
    if let Some(key) = body.as_object().and_then(|map| map.keys().find(|key| *key != "query")) {
        let key: String = key.chars().take(64).collect();
        return Err(Wrong::parsing(format!("[count] does not support [{key}]")));
    }
    body["size"] = json!(0);
    let answer = one(app, index, (body, parameters), app.now()).await?;
    let answer = json!({"count": answer["hits"]["total"]["value"], "_shards": answer["_shards"]});
    Ok(answered(&filtered(answer, path.as_ref())?, media.as_ref()))
}

pub(in crate::web) async fn multi(
    State(app): State<App>,
    Query(parameters): Query<Parameters>,
    request: Request,
) -> Answer {
    several(&app, "", parameters, request).await
}

pub(in crate::web) async fn multi_of(
    State(app): State<App>,
    Path(index): Path<String>,
    Query(parameters): Query<Parameters>,
    request: Request,
) -> Answer {
    several(&app, &index, parameters, request).await
}

async fn several(app: &App, index: &str, mut parameters: Parameters, request: Request) -> Answer {
    let begun = app.clock.monotonic();
    let media = accept(request.headers());
    let path = parameters.remove("filter_path");
    let body = bytes(request).await?;
    let lines: Vec<&[u8]> = body
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .collect();
    if lines.is_empty() || !lines.len().is_multiple_of(2) {
        return Err(Wrong::parsing(
            "each search needs a line of its header and a line of its body",
        ));
    }
    if lines.len() > MAX_SEARCHES.saturating_mul(2) {
        return Err(Wrong::argument(format!("more than {MAX_SEARCHES} searches in one request")));
    }
    let now = app.now();
    let mut responses = Vec::with_capacity(lines.len() / 2);
    for pair in lines.chunks(2) {
        let [header, body] = pair else { continue };
        let one = match headed(header, body, (index, &parameters)) {
            Ok((index, body, parameters)) => one(app, &index, (body, parameters), now).await,
            Err(wrong) => Err(wrong),
        };
        responses.push(match one {
            Ok(mut answer) => {
                answer["status"] = json!(200);
                answer
            }
            Err(wrong) => wrong.body(),
        });
    }
    let took = app.clock.monotonic().saturating_sub(begun).as_millis();
    let took = u64::try_from(took).unwrap_or(u64::MAX);
    let answer = json!({"took": took, "responses": responses});
    Ok(answered(&filtered(answer, path.as_ref())?, media.as_ref()))
}

/// One search of `_msearch`: what its header adds to the parameters.
fn headed(
    header: &[u8],
    body: &[u8],
    (index, parameters): (&str, &Parameters),
) -> Result<(String, Value, Parameters), Wrong> {
    let (mut index, mut parameters) = (index.to_owned(), parameters.clone());
    for (name, value) in Keys::of("header", parsed(header)?)?.entries() {
        if matches!(name.as_str(), "index" | "indices") {
            if !value.is_null() {
                index = texts("index", value, true)?.join(",");
            }
            continue;
        }
        let text = match &value {
            Value::Array(_) => texts(&name, value, true)?.join(","),
            value => scalar(value)
                .ok_or_else(|| Wrong::parsing(format!("[header.{name}] must be a scalar")))?,
        };
        parameters.insert(name, text);
    }
    Ok((index, parsed(body)?, parameters))
}
