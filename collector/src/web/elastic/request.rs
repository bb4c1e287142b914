//! One search as a client asked for it: body and parameters, checked.
//!
//! Keys that only say how to work and not what to answer (`preference`, `request_cache`, ...) are
//! read and left, as is `highlight`: no hit has highlights. Hits come newest first; nothing is
//! scored. What would change the answer and is not supported is refused by name.

use std::collections::BTreeMap;

use event::Timestamp;
use serde_json::{Map, Value, json};

use super::Wrong;
use super::aggregations::{self, Shapes};
use super::dsl::times::width;
use super::dsl::{field, query, text};
use super::hits::{Show, Source, cursor, patterns, wanted};
use super::indices::restrict;
use super::read::{Keys, scalar, texts};
use crate::search::{HitOrder, MAX_LIMIT, Node, SearchRequest, SearchResponse};

/// Parameters of a URL, by name.
pub(super) type Parameters = BTreeMap<String, String>;

/// Parameters that say how to work and change no answer of ours.
const WORKING: [&str; 18] = [
    "allow_no_indices",
    "allow_partial_search_results",
    "batched_reduce_size",
    "ccs_minimize_roundtrips",
    "error_trace",
    "expand_wildcards",
    "human",
    "ignore_throttled",
    "ignore_unavailable",
    "include_named_queries_score",
    "max_concurrent_searches",
    "max_concurrent_shard_requests",
    "pre_filter_shard_size",
    "preference",
    "pretty",
    "request_cache",
    "routing",
    "format",
];

/// Takes the parameters that change no answer.
pub(super) fn without_working(parameters: &mut Parameters) {
    parameters.retain(|name, _| !WORKING.contains(&name.as_str()));
}

/// Refuses the first parameter that is left.
///
/// # Errors
/// [`Wrong`] that names it.
pub(super) fn finish(parameters: &Parameters) -> Result<(), Wrong> {
    match parameters.keys().next() {
        None => Ok(()),
        Some(name) => {
            let name: String = name.chars().take(64).collect();
            Err(Wrong::argument(format!("request contains unrecognized parameter: [{name}]")))
        }
    }
}

/// A search that can be run, and how its answer is written.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// What the store is asked.
    pub request: SearchRequest,
    show: Show,
    names: Vec<String>,
    shapes: Shapes,
    /// Hits to leave out at the beginning.
    skip: usize,
    total: bool,
    total_as_number: bool,
}

impl Asked {
    /// Reads a search.
    ///
    /// # Errors
    /// [`Wrong`] that names what is wrong.
    pub(super) fn read(
        index: &str,
        body: Value,
        mut parameters: Parameters,
        now: Timestamp,
    ) -> Result<Self, Wrong> {
        without_working(&mut parameters);
        let mut body = if body.is_null() { json!({}) } else { body };
        let mut every = false;
        if let Value::Object(map) = &mut body {
            every = from_parameters(map, &mut parameters)?;
        }
        let total_as_number = parameters
            .remove("rest_total_hits_as_int")
            .is_some_and(|text| text.is_empty() || text == "true");
        typed(&mut parameters)?;
        finish(&parameters)?;
        let mut keys = Keys::of("request", body)?;
        let mut nodes: Vec<Node> = restrict(index)?.into_iter().collect();
        if let Some(json) = keys.take("query") {
            nodes.push(query(json, now)?);
        }
        if let Some(words) = keys.text("q")? {
            nodes.push(text(&words, every, now)?);
        }
        let size = count(&mut keys, "size", 10)?;
        let skip = count(&mut keys, "from", 0)?;
        if size.saturating_add(skip) > MAX_LIMIT {
            let words = "Result window is too large, from + size must be less than or equal to:";
            let asked = size.saturating_add(skip);
            return Err(Wrong::argument(format!("{words} [{MAX_LIMIT}] but was [{asked}]")));
        }
        let (aggregations, shapes) = match (keys.take("aggs"), keys.take("aggregations")) {
            (None, None) => Default::default(),
            (Some(json), None) | (None, Some(json)) => aggregations::read(json, now)?,
            _ => return Err(Wrong::parsing("[request] has both [aggs] and [aggregations]")),
        };
        let show = shown(&mut keys)?;
        let sorted = sorted(&mut keys)?;
        let order = sorted.unwrap_or_default();
        let after = keys.take("search_after").map(|json| cursor(json, order)).transpose()?;
        let total = total(&mut keys)?;
        let budget_ms = timeout(&mut keys)?;
        plain(&mut keys)?;
        keys.finish()?;
        let (names, aggregations) = aggregations.into_iter().unzip();
        let request = SearchRequest {
            node: (!nodes.is_empty()).then_some(Node::And(nodes)),
            limit: size.saturating_add(skip),
            order,
            after,
            aggregations,
            budget_ms,
            ..SearchRequest::default()
        };
        let show = Show { sort: sorted.is_some() || after.is_some(), ..show };
        Ok(Self { request, show, names, shapes, skip, total, total_as_number })
    }

    /// The same search as a later page of it: the first one had what is left out and the groupings.
    pub(super) fn further(mut self) -> Self {
        self.request.limit = self.request.limit.saturating_sub(self.skip);
        self.request.aggregations.clear();
        self.names.clear();
        self.skip = 0;
        self
    }

    /// The answer to it.
    pub(super) fn answer(&self, response: SearchResponse, took: u64) -> Value {
        let SearchResponse {
            total,
            hits,
            aggregations,
            partial,
            failures,
            partitions,
            skipped,
            ..
        } = response;
        let shown: Vec<Value> = hits.iter().skip(self.skip).map(|hit| self.show.hit(hit)).collect();
        let mut inner = Map::new();
        if self.total_as_number {
            inner.insert("total".to_owned(), json!(total));
        } else if self.total {
            let relation = if partial { "gte" } else { "eq" };
            inner.insert("total".to_owned(), json!({"value": total, "relation": relation}));
        }
        inner.insert("max_score".to_owned(), Value::Null);
        inner.insert("hits".to_owned(), Value::Array(shown));
        let mut out = Map::new();
        out.insert("took".to_owned(), json!(took));
        out.insert("timed_out".to_owned(), json!(partial));
        let (failed, skipped) = (failures.len(), usize::try_from(skipped.all()).unwrap_or(0));
        let partitions = partitions.saturating_add(skipped);
        let mut shards = json!({
            "total": partitions, "successful": partitions.saturating_sub(failed),
            "skipped": skipped, "failed": failed,
        });
        if failed > 0 {
            let list = failures.iter().enumerate().map(|(number, failure)| {
                json!({"shard": number, "index": failure.partition, "node": "pikett",
                    "reason": {"type": "io_exception", "reason": failure.reason}})
            });
            shards["failures"] = Value::Array(list.collect());
        }
        out.insert("_shards".to_owned(), shards);
        out.insert("hits".to_owned(), Value::Object(inner));
        if !self.names.is_empty() {
            let results = self.names.iter().cloned().zip(aggregations).collect();
            let results = aggregations::answer(&results, &self.shapes);
            out.insert("aggregations".to_owned(), Value::Object(results));
        }
        Value::Object(out)
    }
}

/// What may stand in the URL as well as in the body; the URL wins. Tells whether all terms of `q` must hold.
fn from_parameters(body: &mut Map<String, Value>, from: &mut Parameters) -> Result<bool, Wrong> {
    for name in ["q", "size", "from", "track_total_hits", "timeout", "search_type"] {
        if let Some(text) = from.remove(name) {
            body.insert(name.to_owned(), Value::String(text));
        }
    }
    for name in ["analyze_wildcard", "lenient", "track_scores", "analyzer", "df"] {
        match from.remove(name).as_deref() {
            None | Some("true" | "false") => {}
            Some(_) => return Err(Wrong::argument(format!("[{name}] is not supported"))),
        }
    }
    let every = match from.remove("default_operator").map(|t| t.to_ascii_lowercase()).as_deref() {
        None | Some("or") => false,
        Some("and") => true,
        Some(_) => return Err(Wrong::argument("[default_operator] must be and or or")),
    };
    if let Some(text) = from.remove("sort") {
        let one = |part: &str| match part.split_once(':') {
            Some((name, order)) => json!({name: {"order": order}}),
            None => json!(part),
        };
        body.insert("sort".to_owned(), text.split(',').map(one).collect());
    }
    let list = |text: String| texts("_source", Value::String(text), true);
    let includes = from.remove("_source_includes").map(list).transpose()?;
    let excludes = from.remove("_source_excludes").map(list).transpose()?;
    let source = match from.remove("_source").as_deref() {
        Some("true") => Some(Value::Bool(true)),
        Some("false") => Some(Value::Bool(false)),
        Some(text) => Some(json!(list(text.to_owned())?)),
        None => None,
    };
    if includes.is_some() || excludes.is_some() {
        let parts = json!({"includes": includes.unwrap_or_default(), "excludes": excludes.unwrap_or_default()});
        body.insert("_source".to_owned(), parts);
    } else if let Some(source) = source {
        body.insert("_source".to_owned(), source);
    }
    for name in ["docvalue_fields", "fields"] {
        if let Some(text) = from.remove(name) {
            body.insert(name.to_owned(), json!(list(text)?));
        }
    }
    Ok(every)
}

/// Answers whose names carry types are not given.
fn typed(parameters: &mut Parameters) -> Result<(), Wrong> {
    match parameters.remove("typed_keys").as_deref() {
        None | Some("false") => Ok(()),
        Some(_) => Err(Wrong::argument("[typed_keys] is not supported")),
    }
}

fn count(keys: &mut Keys, key: &str, default: u64) -> Result<usize, Wrong> {
    let number = keys.number(key)?.unwrap_or(default);
    Ok(usize::try_from(number).unwrap_or(usize::MAX))
}

fn shown(keys: &mut Keys) -> Result<Show, Wrong> {
    let source = keys.take("_source").map(Source::read).transpose()?.unwrap_or_default();
    let mut fields = Vec::new();
    for key in ["fields", "docvalue_fields"] {
        if let Some(json) = keys.take(key) {
            fields.extend(wanted(key, json)?);
        }
    }
    Ok(Show { source, fields, sort: false })
}

/// The order that was asked for, which must be one by time.
fn sorted(keys: &mut Keys) -> Result<Option<HitOrder>, Wrong> {
    let Some(json) = keys.take("sort") else { return Ok(None) };
    let mut found = None;
    let list = match json {
        Value::Array(list) => list,
        // Grafana sends one object with several keys.
        Value::Object(map) => map.into_iter().map(|(name, value)| json!({name: value})).collect(),
        one => vec![one],
    };
    for one in list {
        let (name, order) = match one {
            Value::String(name) => (name, None),
            one => {
                let (name, how) = Keys::of("sort", one)?.only()?;
                (name, Some(how))
            }
        };
        // Nothing is scored, and the order of documents is the order of hits.
        if matches!(name.as_str(), "_score" | "_doc" | "_shard_doc") {
            continue;
        }
        let order = match order {
            None => "asc".to_owned(),
            Some(Value::String(order)) => order,
            Some(how) => {
                let mut how = Keys::of("sort", how)?;
                let order = how.text("order")?.unwrap_or_else(|| "asc".to_owned());
                for left in ["unmapped_type", "missing", "format", "numeric_type", "mode"] {
                    how.scalar(left)?;
                }
                how.finish()?;
                order
            }
        };
        let time = crate::search::plan::FieldRef::new(&field(&name)).name == "timestamp";
        let order = match order.as_str() {
            "desc" if time => HitOrder::Newest,
            "asc" if time => HitOrder::Oldest,
            _ => {
                let short = |text: &str| text.chars().take(64).collect::<String>();
                let (name, order) = (short(&name), short(&order));
                let words = "hits are sorted by @timestamp, asc or desc, only";
                return Err(Wrong::argument(format!("cannot sort by [{name}] [{order}]: {words}")));
            }
        };
        // Events of one time have an order of their own, which no further key changes.
        found.get_or_insert(order);
    }
    Ok(Some(found.unwrap_or_default()))
}

fn total(keys: &mut Keys) -> Result<bool, Wrong> {
    match keys.take("track_total_hits") {
        None | Some(Value::Number(_)) => Ok(true),
        Some(Value::Bool(wanted)) => Ok(wanted),
        Some(Value::String(text)) => match text.as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            text if text.parse::<u64>().is_ok() => Ok(true),
            _ => Err(Wrong::parsing("[track_total_hits] must be a truth or a number")),
        },
        Some(_) => Err(Wrong::parsing("[track_total_hits] must be a truth or a number")),
    }
}

/// Longest time a search may take, milliseconds.
const MAX_BUDGET: u64 = 60_000;

fn timeout(keys: &mut Keys) -> Result<u64, Wrong> {
    let default = SearchRequest::default().budget_ms;
    match keys.take("timeout") {
        None => Ok(default),
        Some(value) => {
            let wrong = || Wrong::parsing("[timeout] must be a width of time such as 10s");
            let text = scalar(&value).ok_or_else(wrong)?;
            if text == "-1" {
                return Ok(MAX_BUDGET);
            }
            Ok(width(&text).ok_or_else(wrong)?.clamp(1, MAX_BUDGET))
        }
    }
}

/// Keys that are allowed where they ask for what is done anyway.
fn plain(keys: &mut Keys) -> Result<(), Wrong> {
    keys.only_text("search_type", &["query_then_fetch", "dfs_query_then_fetch"])?;
    for key in ["explain", "profile", "version", "seq_no_primary_term"] {
        keys.only_flag(key, false)?;
    }
    keys.flag("track_scores")?;
    if let Some(json) = keys.take("highlight") {
        Keys::of("highlight", json)?;
    }
    for key in ["script_fields", "runtime_mappings", "ext"] {
        if let Some(json) = keys.take(key) {
            Keys::of(key, json)?.finish()?;
        }
    }
    if let Some(list) = keys.take("stored_fields") {
        let list = texts("stored_fields", list, true)?;
        if list.iter().any(|name| name != "_none_" && name != "*") {
            return Err(Wrong::argument("[stored_fields] is supported only as _none_ or *"));
        }
    }
    Ok(())
}

/// Keeps of an answer what `filter_path` names.
///
/// # Errors
/// [`Wrong`] when a pattern is too long.
pub(super) fn filtered(answer: Value, path: Option<&String>) -> Result<Value, Wrong> {
    let (Some(path), Value::Object(map)) = (path, &answer) else { return Ok(answer) };
    let list = texts("filter_path", Value::String(path.clone()), true)?;
    let (out, within): (Vec<String>, Vec<String>) =
        list.into_iter().partition(|name| name.starts_with('-'));
    let out: Vec<String> = out.iter().map(|name| name.trim_start_matches('-').to_owned()).collect();
    // `**` is any path, which one star is here, too.
    let plain = |list: Vec<String>| -> Vec<String> {
        list.into_iter().map(|name| name.replace("**", "*")).collect()
    };
    let source = Source {
        none: false,
        includes: patterns(&plain(within))?,
        excludes: patterns(&plain(out))?,
    };
    Ok(Value::Object(source.keep(map)))
}

/// Fuzz entry: any body ends with a search or an error, and a search with an answer.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz_elastic(data: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Value>(data) else { return };
    let now = Timestamp::from_seconds(1_800_000_000);
    if let Ok(asked) = Asked::read("logs-*,-x", body, Parameters::new(), now) {
        drop(asked.answer(SearchResponse::default(), 0));
    }
}
