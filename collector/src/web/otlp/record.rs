//! Records of OTLP into events.
//!
//! A text in the body is read as any log line is, so that what a file reader forwards gets the same
//! fields as from an agent; attributes win over what the text says of itself (whoever can write a line
//! does not choose the host it is from), those of the record over those of the resource. Names of
//! OpenTelemetry's semantic conventions that ECS has another name for are renamed by [`RENAMED`],
//! the others are kept as they are.

use api::ErrorCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use event::{Event, Object, Timestamp, set};
use logs::config::Format;
use logs::parse::{Parser, Zone};
use serde_json::Value;

use super::message::{Any, AnyValue, Export, KeyValue, LogRecord, Scope};
use crate::web::{Failure, foreign};

/// Most records of one request.
const MAX_RECORDS: usize = 100_000;
/// Most attributes kept of a resource or a record.
const MAX_ATTRIBUTES: usize = 256;
/// Most bytes that attributes of resources may come to when each record has its copy.
const MAX_COPIED: usize = 256 * 1024 * 1024;
/// Names with more dots are kept as one key.
const MAX_DOTS: usize = 8;

/// Names of OpenTelemetry and what ECS calls them.
const RENAMED: [(&str, &str); 19] = [
    ("cloud.platform", "cloud.service.name"),
    ("container.image.tags", "container.image.tag"),
    ("deployment.environment", "service.environment"),
    ("deployment.environment.name", "service.environment"),
    ("enduser.id", "user.id"),
    ("exception.message", "error.message"),
    ("exception.stacktrace", "error.stack_trace"),
    ("exception.type", "error.type"),
    ("host.arch", "host.architecture"),
    ("k8s.cluster.name", "orchestrator.cluster.name"),
    ("k8s.container.name", "container.name"),
    ("k8s.namespace.name", "orchestrator.namespace"),
    ("k8s.node.name", "kubernetes.node.name"),
    ("k8s.pod.name", "kubernetes.pod.name"),
    ("k8s.pod.uid", "kubernetes.pod.uid"),
    ("network.peer.address", "src_ip"),
    ("network.peer.port", "src_port"),
    ("process.executable.path", "process.executable"),
    ("service.instance.id", "service.node.name"),
];

/// Attributes that are not in an event, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Beyond those that are kept.
    pub(super) too_many: u64,
    /// Without a name.
    pub(super) nameless: u64,
    /// Without a value.
    pub(super) valueless: u64,
}

impl LeftOut {
    const fn and(self, other: Self) -> Self {
        Self {
            too_many: self.too_many.saturating_add(other.too_many),
            nameless: self.nameless.saturating_add(other.nameless),
            valueless: self.valueless.saturating_add(other.valueless),
        }
    }

    /// Each with the words it is told by, and its name in an event.
    pub(super) const fn by_reason(self) -> [(&'static str, &'static str, u64); 3] {
        [
            ("attribute beyond 256", "otel.dropped_attributes", self.too_many),
            ("attribute without a name", "otel.nameless_attributes", self.nameless),
            ("attribute without a value", "otel.valueless_attributes", self.valueless),
        ]
    }

    fn mark(self, fields: &mut Object) {
        for (_, name, count) in self.by_reason() {
            if count > 0 {
                set(fields, name, count.into());
            }
        }
    }
}

/// What all records of a resource and scope have.
struct Common<'a> {
    fields: &'a Object,
    left_out: LeftOut,
}

/// The events of a request, in its order, and what is not in them; each says so of itself too.
///
/// # Errors
/// When it holds too much.
pub(super) fn events(export: Export, now: Timestamp) -> Result<(Vec<Event>, LeftOut), Failure> {
    let (mut out, mut all) = (Vec::new(), LeftOut::default());
    let mut copied = 0_usize;
    for logs in export.resource_logs {
        let mut resource = Object::new();
        let list = logs.resource.map(|one| one.attributes).unwrap_or_default();
        let left_out = attributes(&mut resource, list);
        all = all.and(left_out);
        let size = Value::Object(resource.clone()).to_string().len();
        for scoped in logs.scope_logs {
            let mut common = resource.clone();
            let scope = scoped.scope.as_ref().map_or(0, |scope| mark(&mut common, scope));
            let each = size.saturating_add(scope);
            copied = copied.saturating_add(each.saturating_mul(scoped.log_records.len()));
            if copied > MAX_COPIED || out.len() + scoped.log_records.len() > MAX_RECORDS {
                let words = "over 100000 records, or 256 MiB of attributes of their resources";
                return Err(Failure::new(ErrorCode::TooLarge, words));
            }
            let common = Common { fields: &common, left_out };
            for record in scoped.log_records {
                let (event, own) = event(record, &common, now);
                all = all.and(own);
                out.push(event);
            }
        }
    }
    Ok((out, all))
}

/// Notes which library wrote records; gives the bytes this adds to each.
fn mark(fields: &mut Object, scope: &Scope) -> usize {
    let texts = [("otel.scope.name", &scope.name), ("otel.scope.version", &scope.version)];
    for (name, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
        set(fields, name, Value::String((*text).clone()));
    }
    scope.name.len().saturating_add(scope.version.len())
}

/// An event, and what of the record itself is not in it.
fn event(record: LogRecord, common: &Common<'_>, now: Timestamp) -> (Event, LeftOut) {
    let nanos = |nanos: u64| {
        let micros = i64::try_from(nanos / 1_000).ok().filter(|micros| *micros > 0);
        micros.map(Timestamp::from_micros)
    };
    let (mut fields, said, of_body) = body(record.body, now);
    for (name, value) in common.fields {
        merge(&mut fields, name, value.clone());
    }
    let own = attributes(&mut fields, record.attributes).and(of_body);
    own.and(common.left_out).mark(&mut fields);
    let severity = i64::from(record.severity_number);
    if (1..=24).contains(&severity) {
        set(&mut fields, "event.severity", severity.into());
    }
    for (name, text) in [
        ("log.level", level(&record.severity_text, severity)),
        ("event.action", record.event_name),
        ("trace.id", hex(&record.trace_id)),
        ("span.id", hex(&record.span_id)),
    ] {
        if !text.is_empty() {
            set(&mut fields, name, Value::String(text));
        }
    }
    let time = nanos(record.time_unix_nano).or(said);
    let time = time.or_else(|| nanos(record.observed_time_unix_nano)).unwrap_or(now);
    let mut event = foreign::event(fields, time);
    event.seen = now;
    (event, own)
}

/// Adds a value under a name that may have one: objects are joined, others replaced.
fn merge(fields: &mut Object, name: &str, value: Value) {
    match (fields.get_mut(name), value) {
        (Some(Value::Object(there)), Value::Object(new)) => {
            for (name, value) in new {
                merge(there, &name, value);
            }
        }
        (_, value) => {
            fields.insert(name.to_owned(), value);
        }
    }
}

/// Fields of what a record says, the time it says, and what of it is left out.
fn body(body: Option<AnyValue>, now: Timestamp) -> (Object, Option<Timestamp>, LeftOut) {
    let none = LeftOut::default();
    match body.and_then(|body| body.value) {
        None => (Object::new(), None, none),
        Some(Any::Text(text)) => {
            let (event, _) = Parser::new(Format::Auto, Zone::utc()).event(text.as_bytes(), now);
            (event.fields, (event.time != now).then_some(event.time), none)
        }
        Some(Any::Map(map)) => {
            let mut fields = Object::new();
            let left_out = attributes(&mut fields, map.values);
            (fields, None, left_out)
        }
        Some(other) => {
            let mut fields = Object::new();
            let text = match value(other) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            fields.insert("message".to_owned(), Value::String(text));
            (fields, None, none)
        }
    }
}

/// Sets attributes by their names; tells what is left out.
fn attributes(fields: &mut Object, list: Vec<KeyValue>) -> LeftOut {
    let dropped = list.len().saturating_sub(MAX_ATTRIBUTES);
    let too_many = u64::try_from(dropped).unwrap_or(u64::MAX);
    let mut left_out = LeftOut { too_many, ..LeftOut::default() };
    for KeyValue { key, value: held } in list.into_iter().take(MAX_ATTRIBUTES) {
        let Some(held) = held.and_then(|held| held.value) else {
            left_out.valueless = left_out.valueless.saturating_add(1);
            continue;
        };
        let renamed = RENAMED.binary_search_by_key(&key.as_str(), |(name, _)| *name);
        let name = renamed.ok().and_then(|at| RENAMED.get(at)).map_or(key.as_str(), |pair| pair.1);
        if name.is_empty() {
            left_out.nameless = left_out.nameless.saturating_add(1);
            continue;
        }
        if name.bytes().filter(|byte| *byte == b'.').count() > MAX_DOTS {
            fields.insert(name.to_owned(), value(held));
        } else {
            set(fields, name, value(held));
        }
    }
    left_out
}

fn value(any: Any) -> Value {
    let inner = |held: AnyValue| held.value.map_or(Value::Null, value);
    match any {
        Any::Text(text) => Value::String(text),
        Any::Bool(truth) => Value::Bool(truth),
        Any::Int(number) => number.into(),
        Any::Double(number) => serde_json::Number::from_f64(number)
            .map_or_else(|| Value::String(number.to_string()), Value::Number),
        Any::List(list) => list.values.into_iter().map(inner).collect(),
        Any::Map(map) => {
            let pairs = map.values.into_iter();
            pairs.map(|one| (one.key, one.value.map_or(Value::Null, inner))).collect()
        }
        Any::Bytes(bytes) => Value::String(STANDARD.encode(bytes)),
    }
}

/// The level as its source calls it, else by its number (OpenTelemetry logs data model).
fn level(text: &str, number: i64) -> String {
    if !text.is_empty() {
        return text.to_lowercase();
    }
    let name = match number {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => "",
    };
    name.to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(16).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
