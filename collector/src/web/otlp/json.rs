//! OTLP in JSON (OTLP specification, "JSON Protobuf Encoding"): names in lowerCamelCase, 64-bit
//! numbers as text or number, trace and span ids in hexadecimal, bytes in base64; what is not
//! known is skipped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};

use super::message::{
    Any, AnyValue, Export, KeyValue, List, LogRecord, Map, Resource, ResourceLogs, Scope, ScopeLogs,
};

/// Reads a request.
///
/// # Errors
/// With line and column, when it is none.
pub(super) fn read(bytes: &[u8]) -> serde_json::Result<Export> {
    Ok(serde_json::from_slice::<JsonExport>(bytes)?.into())
}

/// A list that may be `null` or absent.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(from)?.unwrap_or_default())
}

/// A whole number as number or text.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(from = "JsonNumber")]
struct Number(i128);

#[derive(Deserialize)]
#[serde(untagged)]
enum JsonNumber {
    Signed(i64),
    Unsigned(u64),
    Text(String),
    Other(serde::de::IgnoredAny),
}

impl From<JsonNumber> for Number {
    fn from(number: JsonNumber) -> Self {
        Self(match number {
            JsonNumber::Signed(value) => value.into(),
            JsonNumber::Unsigned(value) => value.into(),
            JsonNumber::Text(text) => text.trim().parse().unwrap_or(0),
            JsonNumber::Other(_) => 0,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonExport {
    #[serde(default, deserialize_with = "list")]
    resource_logs: Vec<JsonResourceLogs>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonResourceLogs {
    resource: Option<JsonResource>,
    #[serde(default, deserialize_with = "list")]
    scope_logs: Vec<JsonScopeLogs>,
}

#[derive(Deserialize)]
struct JsonResource {
    #[serde(default, deserialize_with = "list")]
    attributes: Vec<JsonKeyValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonScopeLogs {
    scope: Option<JsonScope>,
    #[serde(default, deserialize_with = "list")]
    log_records: Vec<JsonRecord>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct JsonScope {
    name: String,
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonRecord {
    #[serde(default)]
    time_unix_nano: Number,
    #[serde(default)]
    observed_time_unix_nano: Number,
    #[serde(default)]
    severity_number: Number,
    severity_text: Option<String>,
    body: Option<JsonAny>,
    #[serde(default, deserialize_with = "list")]
    attributes: Vec<JsonKeyValue>,
    trace_id: Option<String>,
    span_id: Option<String>,
    event_name: Option<String>,
}

#[derive(Deserialize)]
struct JsonKeyValue {
    #[serde(default)]
    key: String,
    value: Option<JsonAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonAny {
    string_value: Option<String>,
    bool_value: Option<bool>,
    int_value: Option<Number>,
    double_value: Option<f64>,
    array_value: Option<JsonList>,
    kvlist_value: Option<JsonMap>,
    bytes_value: Option<String>,
}

#[derive(Deserialize)]
struct JsonList {
    #[serde(default, deserialize_with = "list")]
    values: Vec<JsonAny>,
}

#[derive(Deserialize)]
struct JsonMap {
    #[serde(default, deserialize_with = "list")]
    values: Vec<JsonKeyValue>,
}

fn all<A: Into<B>, B>(list: Vec<A>) -> Vec<B> {
    list.into_iter().map(Into::into).collect()
}

impl From<JsonExport> for Export {
    fn from(json: JsonExport) -> Self {
        Self { resource_logs: all(json.resource_logs) }
    }
}

impl From<JsonResourceLogs> for ResourceLogs {
    fn from(json: JsonResourceLogs) -> Self {
        let resource = json.resource.map(|one| Resource { attributes: all(one.attributes) });
        Self { resource, scope_logs: all(json.scope_logs) }
    }
}

impl From<JsonScopeLogs> for ScopeLogs {
    fn from(json: JsonScopeLogs) -> Self {
        let scope = json.scope.map(|one| Scope { name: one.name, version: one.version });
        Self { scope, log_records: all(json.log_records) }
    }
}

impl From<JsonRecord> for LogRecord {
    fn from(json: JsonRecord) -> Self {
        let id = |text: Option<String>| hex(&text.unwrap_or_default()).unwrap_or_default();
        Self {
            time_unix_nano: u64::try_from(json.time_unix_nano.0).unwrap_or(0),
            severity_number: i32::try_from(json.severity_number.0).unwrap_or(0),
            severity_text: json.severity_text.unwrap_or_default(),
            body: json.body.map(Into::into),
            attributes: all(json.attributes),
            trace_id: id(json.trace_id),
            span_id: id(json.span_id),
            observed_time_unix_nano: u64::try_from(json.observed_time_unix_nano.0).unwrap_or(0),
            event_name: json.event_name.unwrap_or_default(),
        }
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

impl From<JsonKeyValue> for KeyValue {
    fn from(json: JsonKeyValue) -> Self {
        Self { key: json.key, value: json.value.map(Into::into) }
    }
}

impl From<JsonAny> for AnyValue {
    fn from(json: JsonAny) -> Self {
        let bytes = |text: String| STANDARD.decode(text).unwrap_or_default();
        let value = (json.string_value.map(Any::Text))
            .or_else(|| json.bool_value.map(Any::Bool))
            .or_else(|| Some(Any::Int(i64::try_from(json.int_value?.0).unwrap_or(i64::MAX))))
            .or_else(|| json.double_value.map(Any::Double))
            .or_else(|| Some(Any::List(List { values: all(json.array_value?.values) })))
            .or_else(|| Some(Any::Map(Map { values: all(json.kvlist_value?.values) })))
            .or_else(|| json.bytes_value.map(bytes).map(Any::Bytes));
        Self { value }
    }
}
