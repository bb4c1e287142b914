//! Logs of a Zeek beside us, as JSON or as TSV, under EVE's names: addresses, ports and protocol of
//! every log, and those logs that EVE has a type for (conn, dns, http, ssl, files, notice); all that
//! Zeek says is kept below `zeek`.
//!
//! Which log a line is of is told by `_path` (JSON streaming) or the head of the file (TSV), else by the
//! fields it has. Documentation: Zeek "Log Formats and Inspection", "ASCII writer".

use event::{Kind, Object, Timestamp, set};
use serde_json::Value;

use super::Entry;

/// Most columns of a line.
const MAX_COLUMNS: usize = 512;
/// Longest name of a log.
const MAX_PATH: usize = 64;

/// What the head of a TSV file says of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    separator: char,
    set_separator: String,
    empty: String,
    unset: String,
    path: String,
    fields: Vec<String>,
    types: Vec<String>,
}

impl Head {
    /// Reads the `#` lines at the beginning of a file; `None` when they do not name the columns.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut head = Self {
            separator: '\t',
            set_separator: ",".to_owned(),
            empty: "(empty)".to_owned(),
            unset: "-".to_owned(),
            path: String::new(),
            fields: Vec::new(),
            types: Vec::new(),
        };
        for line in text.lines().map_while(|line| line.strip_prefix('#')) {
            if let Some(written) = line.strip_prefix("separator ") {
                head.separator = separator(written)?;
                continue;
            }
            let (name, rest) = line.split_once(head.separator).unwrap_or((line, ""));
            let list = || rest.split(head.separator).take(MAX_COLUMNS).map(str::to_owned).collect();
            match name {
                "set_separator" => head.set_separator = rest.to_owned(),
                "empty_field" => head.empty = rest.to_owned(),
                "unset_field" => head.unset = rest.to_owned(),
                "path" => head.path = rest.chars().take(MAX_PATH).collect(),
                "fields" => head.fields = list(),
                "types" => head.types = list(),
                _ => {}
            }
        }
        (!head.fields.is_empty() && !head.set_separator.is_empty()).then_some(head)
    }

    /// The columns of a line as JSON would have them.
    fn columns(&self, line: &str) -> Object {
        let mut out = Object::new();
        for (at, (name, text)) in self.fields.iter().zip(line.split(self.separator)).enumerate() {
            if text == self.unset {
                continue;
            }
            let kind = self.types.get(at).map_or("string", String::as_str);
            out.insert(name.clone(), self.value(kind, text));
        }
        if !self.path.is_empty() {
            out.insert("_path".to_owned(), Value::String(self.path.clone()));
        }
        out
    }

    fn value(&self, kind: &str, text: &str) -> Value {
        let inner = kind.split_once('[').and_then(|(_, rest)| rest.strip_suffix(']'));
        if let Some(inner) = inner {
            if text == self.empty {
                return Value::Array(Vec::new());
            }
            let parts = text.split(self.set_separator.as_str()).take(MAX_COLUMNS);
            return parts.map(|part| scalar(inner, part)).collect();
        }
        if text == self.empty { Value::String(String::new()) } else { scalar(kind, text) }
    }
}

/// `\x09`, or the character itself.
fn separator(written: &str) -> Option<char> {
    match written.strip_prefix("\\x") {
        Some(hex) => u8::from_str_radix(hex.trim(), 16).ok().map(char::from),
        None => written.chars().next(),
    }
}

fn scalar(kind: &str, text: &str) -> Value {
    let number = match kind {
        "count" | "int" | "port" => text.parse::<i64>().ok().map(Value::from),
        "double" | "interval" | "time" => {
            text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number)
        }
        "bool" => match text {
            "T" => Some(Value::Bool(true)),
            "F" => Some(Value::Bool(false)),
            _ => None,
        },
        _ => None,
    };
    number.unwrap_or_else(|| Value::String(unescaped(text)))
}

/// `\x41` is the byte it names.
fn unescaped(text: &str) -> String {
    if !text.contains("\\x") {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend(before.bytes());
        let named = after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (named, after.get(2..)) {
            (Some(byte), Some(behind)) => {
                bytes.push(byte);
                rest = behind;
            }
            _ => {
                bytes.extend(b"\\x");
                rest = after;
            }
        }
    }
    bytes.extend(rest.bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads one line; false when it is none of Zeek's. Lines of a head are understood and say nothing.
pub(super) fn read(line: &str, head: Option<&Head>, entry: &mut Entry) -> bool {
    let record = if line.starts_with('{') {
        match serde_json::from_str(line) {
            Ok(Value::Object(record)) => record,
            _ => return false,
        }
    } else if let Some(head) = head.filter(|_| !line.starts_with('#')) {
        head.columns(line)
    } else {
        return line.starts_with('#');
    };
    let Some(time) = record.get("ts").and_then(time) else { return false };
    entry.time = time;
    let path = path(&record);
    fill(&path, &record, entry);
    let mut below = Object::new();
    below.insert(path.clone(), Value::Object(record));
    entry.fields.insert("zeek".to_owned(), Value::Object(below));
    entry.text("event.module", "zeek");
    entry.text("event.dataset", &format!("zeek.{path}"));
    true
}

/// Seconds since the epoch, or ISO 8601 as `LogAscii::json_timestamps` may be set.
fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(number) => Some(super::times::epoch(number.as_f64()?)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Which log a record is of.
fn path(record: &Object) -> String {
    if let Some(path) = record.get("_path").and_then(Value::as_str) {
        let path: String =
            path.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if !path.is_empty() {
            return path.chars().take(MAX_PATH).collect();
        }
    }
    const BY_FIELD: [(&str, &str); 9] = [
        ("conn_state", "conn"),
        ("qtype_name", "dns"),
        ("rcode_name", "dns"),
        ("user_agent", "http"),
        ("status_code", "http"),
        ("cipher", "ssl"),
        ("server_name", "ssl"),
        ("fuid", "files"),
        ("note", "notice"),
    ];
    let known = BY_FIELD.iter().find(|(field, _)| record.contains_key(*field));
    known.map_or("other", |(_, path)| path).to_owned()
}

/// What each log says under EVE's names: Zeek's field, EVE's name.
const COMMON: [(&str, &str); 6] = [
    ("id.orig_h", "src_ip"),
    ("id.orig_p", "src_port"),
    ("id.resp_h", "dest_ip"),
    ("id.resp_p", "dest_port"),
    ("service", "app_proto"),
    ("community_id", "community_id"),
];
const CONN: [(&str, &str); 6] = [
    ("orig_pkts", "flow.pkts_toserver"),
    ("resp_pkts", "flow.pkts_toclient"),
    ("orig_ip_bytes", "flow.bytes_toserver"),
    ("resp_ip_bytes", "flow.bytes_toclient"),
    ("duration", "flow.age"),
    ("conn_state", "flow.state"),
];
const DNS: [(&str, &str); 4] = [
    ("query", "dns.rrname"),
    ("qtype_name", "dns.rrtype"),
    ("rcode_name", "dns.rcode"),
    ("trans_id", "dns.id"),
];
const HTTP: [(&str, &str); 7] = [
    ("method", "http.http_method"),
    ("host", "http.hostname"),
    ("uri", "http.url"),
    ("referrer", "http.http_refer"),
    ("user_agent", "http.http_user_agent"),
    ("status_code", "http.status"),
    ("response_body_len", "http.length"),
];
const SSL: [(&str, &str); 6] = [
    ("version", "tls.version"),
    ("server_name", "tls.sni"),
    ("subject", "tls.subject"),
    ("issuer", "tls.issuerdn"),
    ("ja3", "tls.ja3.hash"),
    ("ja3s", "tls.ja3s.hash"),
];
const FILES: [(&str, &str); 7] = [
    ("tx_hosts", "src_ip"),
    ("rx_hosts", "dest_ip"),
    ("filename", "fileinfo.filename"),
    ("total_bytes", "fileinfo.size"),
    ("md5", "fileinfo.md5"),
    ("sha1", "fileinfo.sha1"),
    ("sha256", "fileinfo.sha256"),
];
const NOTICE: [(&str, &str); 4] =
    [("note", "event.action"), ("msg", "message"), ("src", "src_ip"), ("dst", "dest_ip")];

fn fill(path: &str, record: &Object, entry: &mut Entry) {
    let (kind, names): (&str, &[(&str, &str)]) = match path {
        "conn" => ("flow", &CONN),
        "dns" => ("dns", &DNS),
        "http" => ("http", &HTTP),
        "ssl" => ("tls", &SSL),
        "files" => ("fileinfo", &FILES),
        "notice" => ("log", &NOTICE),
        _ => ("log", &[]),
    };
    entry.kind = Kind::from_name(kind);
    for (field, name) in COMMON.iter().chain(names) {
        let value = match event::get(record, field) {
            // Of a set of hosts the first stands for it.
            Some(Value::Array(list)) => list.first().cloned(),
            other => other.cloned(),
        };
        if let Some(value) = value.filter(|value| !value.is_null() && !value.is_object()) {
            set(&mut entry.fields, name, value);
        }
    }
    if let Some(protocol) = record.get("proto").and_then(Value::as_str) {
        entry.text("proto", &protocol.to_ascii_uppercase());
    }
}
