//! Hits as clients of Elasticsearch read them: `_source` with what was asked of it, `fields`,
//! `docvalue_fields`, the values to go on from.
//!
//! The document is the one that was stored; `@timestamp` stands in it besides `timestamp`, because
//! clients look for their time there.

use event::{Document, FieldType, Timestamp};
use serde_json::{Map, Value, json};

use super::Wrong;
use super::dsl::field;
use super::dsl::times::Format;
use super::indices::{ALL, FIELD, pattern};
use super::read::{Keys, texts};
use crate::search::plan::FieldRef;
use crate::search::wildcard::Wildcard;
use crate::search::{Cursor, Hit, HitOrder};

/// Which parts of the document are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Source {
    /// None of it.
    pub none: bool,
    /// Only these; empty for all.
    pub includes: Vec<Wildcard>,
    /// Not these.
    pub excludes: Vec<Wildcard>,
}

impl Source {
    /// `_source` of a body: a truth, a pattern, patterns, or an object of both.
    ///
    /// # Errors
    /// [`Wrong`] when it is something else.
    pub(super) fn read(json: Value) -> Result<Self, Wrong> {
        match json {
            Value::Bool(wanted) => Ok(Self { none: !wanted, ..Self::default() }),
            Value::Object(_) => {
                let mut keys = Keys::of("_source", json)?;
                let mut list = |names: [&str; 2]| -> Result<Vec<Wildcard>, Wrong> {
                    let given = names.into_iter().filter_map(|name| keys.take(name)).next();
                    given.map_or_else(
                        || Ok(Vec::new()),
                        |json| patterns(&texts("_source", json, false)?),
                    )
                };
                let includes = list(["includes", "include"])?;
                let excludes = list(["excludes", "exclude"])?;
                keys.finish()?;
                Ok(Self { none: false, includes, excludes })
            }
            other => {
                let includes = patterns(&texts("_source", other, false)?)?;
                Ok(Self { none: false, includes, excludes: Vec::new() })
            }
        }
    }

    /// What is left of an object.
    pub(super) fn keep(&self, object: &Map<String, Value>) -> Map<String, Value> {
        if self.includes.is_empty() && self.excludes.is_empty() {
            return object.clone();
        }
        self.object(object, "", self.includes.is_empty())
    }

    fn object(&self, object: &Map<String, Value>, path: &str, inside: bool) -> Map<String, Value> {
        let mut out = Map::new();
        for (key, value) in object {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            if let Some(value) = self.value(value, &path, inside) {
                out.insert(key.clone(), value);
            }
        }
        out
    }

    fn value(&self, value: &Value, path: &str, inside: bool) -> Option<Value> {
        if self.excludes.iter().any(|pattern| pattern.matches(path)) {
            return None;
        }
        let inside = inside || self.includes.iter().any(|pattern| pattern.matches(path));
        match value {
            Value::Object(map) => {
                let kept = self.object(map, path, inside);
                (inside || !kept.is_empty()).then_some(Value::Object(kept))
            }
            Value::Array(list) if list.iter().any(Value::is_object) => {
                let kept: Vec<Value> =
                    list.iter().filter_map(|one| self.value(one, path, inside)).collect();
                (inside || !kept.is_empty()).then_some(Value::Array(kept))
            }
            scalar => inside.then(|| scalar.clone()),
        }
    }
}

/// Patterns of names, each also under the name it has in stored documents.
///
/// # Errors
/// [`Wrong`] when one is too long.
pub(super) fn patterns(names: &[String]) -> Result<Vec<Wildcard>, Wrong> {
    let mut out = Vec::new();
    for name in names {
        let one = pattern(name).ok_or_else(|| Wrong::argument("a name of a field is too long"))?;
        let canonical = FieldRef::new(&field(name)).name;
        if canonical != *name {
            out.extend(pattern(&canonical));
        }
        out.push(one);
    }
    Ok(out)
}

/// One entry of `fields` or `docvalue_fields`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    name: String,
    digits: usize,
    format: Format,
}

/// Most entries of `fields` and of `docvalue_fields`.
const MAX_WANTED: usize = 200;

/// The entries of `fields` or `docvalue_fields`.
///
/// # Errors
/// [`Wrong`] when one is wrong or there are too many.
pub(super) fn wanted(at: &str, json: Value) -> Result<Vec<Wanted>, Wrong> {
    let Value::Array(list) = json else {
        return Err(Wrong::parsing(format!("[{at}] must be a list")));
    };
    if list.len() > MAX_WANTED {
        return Err(Wrong::argument(format!("[{at}] has more than {MAX_WANTED} entries")));
    }
    let one = |json: Value| match json {
        Value::String(name) => Ok(Wanted { name, digits: 3, format: Format::Text }),
        json => {
            let mut keys = Keys::of(at, json)?;
            let name = keys.text("field")?;
            let name = keys.must("field", name)?;
            let mut peek = keys.clone();
            let nanos = peek.text("format")?.is_some_and(|format| format.ends_with("_nanos"));
            let format = Format::read(&mut keys)?;
            keys.only_flag("include_unmapped", false)?;
            keys.finish()?;
            Ok(Wanted { name, digits: if nanos { 9 } else { 3 }, format })
        }
    };
    list.into_iter().map(one).collect()
}

/// A time as RFC 3339 in UTC with 3 digits of a second, or 9.
pub(super) fn iso(time: Timestamp, digits: usize) -> String {
    // 2026-11-22T15:04:05.123456+0000 without its zone.
    let text = time.to_string();
    let whole = text.get(..19).unwrap_or(&text);
    let micros = time.micros().rem_euclid(1_000_000);
    if digits > 3 {
        format!("{whole}.{micros:06}000Z")
    } else {
        format!("{whole}.{:03}Z", micros / 1000)
    }
}

/// The values of a field of a document, times in the format that was asked for.
fn values(document: &Document, wanted: &Wanted) -> Vec<Value> {
    let field = FieldRef::new(&field(&wanted.name));
    let dates = field.kind() == Some(FieldType::Date);
    let mut out = Vec::new();
    event::flatten(document, &mut |name, scalar| {
        let canonical = crate::search::value::field(name).map_or(name, |known| known.name);
        if canonical != field.name || scalar.is_null() {
            return;
        }
        let time =
            scalar.as_str().filter(|_| dates).and_then(|text| text.parse::<Timestamp>().ok());
        out.push(match (time, wanted.format) {
            (None, _) => scalar.clone(),
            (Some(time), Format::Text) => json!(iso(time, wanted.digits)),
            (Some(time), Format::Millis) => json!(time.micros().div_euclid(1000).to_string()),
            (Some(time), Format::Seconds) => json!(time.seconds().to_string()),
        });
    });
    out
}

/// The fields that are asked for by name or pattern and have a value.
fn fields(document: &Document, asked: &[Wanted]) -> Map<String, Value> {
    let mut out = Map::new();
    for wanted in asked {
        let mut names = vec![wanted.name.clone()];
        if let Some(pattern) = pattern(&wanted.name).filter(|_| wanted.name.contains('*')) {
            names.clear();
            event::flatten(document, &mut |name, _| {
                if pattern.matches(name) && names.last().is_none_or(|last| last != name) {
                    names.push(name.to_owned());
                }
            });
        }
        for name in names {
            let found = values(document, &Wanted { name: name.clone(), ..wanted.clone() });
            if !found.is_empty() {
                out.insert(name, Value::Array(found));
            }
        }
    }
    out
}

/// What a hit shows.
#[derive(Clone, Debug, Default)]
pub(super) struct Show {
    /// Of its document.
    pub source: Source,
    /// Fields beside it.
    pub fields: Vec<Wanted>,
    /// Whether the place in the order is told.
    pub sort: bool,
}

impl Show {
    /// A hit.
    pub(super) fn hit(&self, hit: &Hit) -> Value {
        let index = event::get(&hit.document, FIELD).and_then(Value::as_str).unwrap_or(ALL);
        let mut out = Map::new();
        out.insert("_index".to_owned(), json!(index));
        out.insert("_id".to_owned(), json!(hit.id));
        out.insert("_score".to_owned(), Value::Null);
        if !self.source.none {
            let mut source = hit.document.clone();
            if let Some(time) = time(&hit.document)
                && !source.contains_key("@timestamp")
            {
                source.insert("@timestamp".to_owned(), json!(iso(time, 3)));
            }
            out.insert("_source".to_owned(), Value::Object(self.source.keep(&source)));
        }
        if !self.fields.is_empty() {
            out.insert("fields".to_owned(), Value::Object(fields(&hit.document, &self.fields)));
        }
        if self.sort {
            out.insert(
                "sort".to_owned(),
                json!([millis(hit.cursor.time), hit.cursor.tie.to_string()]),
            );
        }
        Value::Object(out)
    }
}

fn time(document: &Document) -> Option<Timestamp> {
    document.get("timestamp")?.as_str()?.parse().ok()
}

/// Milliseconds, with a fraction when there is one.
fn millis(micros: i64) -> Value {
    if micros % 1000 == 0 {
        return json!(micros / 1000);
    }
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    let millis = micros as f64 / 1000.0;
    json!(millis)
}

/// The place to go on from that a client gives back; with the time alone, behind all of that moment in
/// the order of the search.
///
/// # Errors
/// [`Wrong`] when it is none of ours.
pub(super) fn cursor(json: Value, order: HitOrder) -> Result<Cursor, Wrong> {
    let wrong = || Wrong::parsing("[search_after] must be the [sort] of a hit");
    let Value::Array(list) = json else { return Err(wrong()) };
    let (time, tie) = match list.as_slice() {
        [time] => (time, None),
        [time, tie] => (time, Some(tie)),
        _ => return Err(wrong()),
    };
    let time = match time {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let time = time.filter(|time| time.is_finite()).ok_or_else(wrong)?;
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
    let time = (time * 1000.0).round() as i64;
    let tie = match tie {
        None => Some(order.place(Cursor { time, tie: 0 }).tie),
        Some(Value::String(text)) => text.parse().ok(),
        Some(Value::Number(number)) => number.as_u64(),
        Some(_) => None,
    };
    Ok(Cursor { time, tie: tie.ok_or_else(wrong)? })
}
