//! The values of a document as fields of the dictionary have them: one typed form that indexing
//! and in-memory matching share, so that both mean the same.
//!
//! Field names are resolved to the canonical one. A value that does not fit the type of its field
//! (an address that is none, a port that is a word) is kept as a keyword under the same name.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::LazyLock;

use event::{Document, Field, FieldType, Timestamp};
use hashbrown::HashMap;
use serde_json::Value as Json;

/// Most scalar values of one document that become searchable; more are kept in the document only.
pub const MAX_VALUES: u32 = 1024;
/// Longest keyword compared, bytes; longer ones are cut, in documents and queries alike.
pub const MAX_KEYWORD: usize = 4096;
/// Longest name of a field outside the dictionary, bytes.
pub const MAX_NAME: usize = 256;

/// A number without loss: integers stay integers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Fits 64 bits signed.
    Int(i64),
    /// Above the signed range.
    Big(u64),
    /// Has a fraction or is beyond both.
    Float(f64),
}

impl Number {
    /// From JSON; an integral float becomes an integer. `None` for what is not finite.
    #[must_use]
    pub fn from_json(number: &serde_json::Number) -> Option<Self> {
        if let Some(int) = number.as_i64() {
            return Some(Self::Int(int));
        }
        if let Some(big) = number.as_u64() {
            return Some(Self::Big(big));
        }
        number.as_f64().and_then(Self::from_f64)
    }

    /// From text, decimal.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        if let Ok(int) = text.parse() {
            return Some(Self::Int(int));
        }
        if let Ok(big) = text.parse() {
            return Some(Self::Big(big));
        }
        text.parse().ok().and_then(Self::from_f64)
    }

    /// From a float; an integral one becomes an integer. `None` for what is not finite.
    #[must_use]
    pub fn from_f64(float: f64) -> Option<Self> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if !float.is_finite() {
            return None;
        }
        if float.fract() == 0.0 && float.abs() <= EXACT {
            // The text of an integral float in this range is its integer.
            return format!("{float:.0}").parse().ok().map(Self::Int);
        }
        Some(Self::Float(float))
    }

    /// As a float, rounding large integers.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "rounding is what is documented")]
        match self {
            Self::Int(int) => int as f64,
            Self::Big(big) => big as f64,
            Self::Float(float) => float,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.partial_cmp(b),
            (Self::Big(a), Self::Big(b)) => a.partial_cmp(b),
            (Self::Int(_), Self::Big(_)) => Some(Ordering::Less),
            (Self::Big(_), Self::Int(_)) => Some(Ordering::Greater),
            (a, b) => a.as_f64().partial_cmp(&b.as_f64()),
        }
    }
}

/// One value of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Exact text.
    Keyword(Cow<'a, str>),
    /// Running text.
    Text(Cow<'a, str>),
    /// Number.
    Number(Number),
    /// Address; IPv4 as IPv4-mapped.
    Ip(Ipv6Addr),
    /// Microseconds since the epoch.
    Date(i64),
    /// Truth.
    Bool(bool),
}

static BY_NAME: LazyLock<HashMap<&'static str, &'static Field>> = LazyLock::new(|| {
    let mut map = HashMap::new();
    for field in event::FIELDS {
        map.insert(field.name, field);
        if !field.alias.is_empty() {
            map.insert(field.alias, field);
        }
    }
    map
});

/// The dictionary's entry for a name or alias; constant time.
#[must_use]
pub fn field(name: &str) -> Option<&'static Field> {
    BY_NAME.get(name).copied()
}

/// Whether values of this type have a place of their own in the dictionary, as opposed to being
/// kept by name among all others.
#[must_use]
pub const fn fits(kind: FieldType, value: &Value<'_>) -> bool {
    matches!(
        (kind, value),
        (FieldType::Keyword, Value::Keyword(_))
            | (FieldType::Text, Value::Text(_))
            | (FieldType::Number, Value::Number(_))
            | (FieldType::Ip, Value::Ip(_))
            | (FieldType::Date, Value::Date(_))
            | (FieldType::Bool, Value::Bool(_))
    )
}

/// Cuts a keyword at [`MAX_KEYWORD`] bytes on a character border.
#[must_use]
pub fn keyword(text: &str) -> &str {
    let mut end = text.len().min(MAX_KEYWORD);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or("")
}

/// An address as it is compared: IPv4 becomes IPv4-mapped.
#[must_use]
pub const fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// The typed form of a JSON scalar of a field; `None` for null.
#[must_use]
pub fn typed(kind: Option<FieldType>, scalar: &Json) -> Option<Value<'_>> {
    let text: Cow<'_, str> = match scalar {
        Json::String(text) => Cow::Borrowed(text),
        Json::Number(number) => Cow::Owned(number.to_string()),
        Json::Bool(truth) => Cow::Borrowed(if *truth { "true" } else { "false" }),
        Json::Null | Json::Array(_) | Json::Object(_) => return None,
    };
    let fitting = match (kind, scalar) {
        (Some(FieldType::Text), _) => return Some(Value::Text(text)),
        (Some(FieldType::Number) | None, Json::Number(number)) => {
            Number::from_json(number).map(Value::Number)
        }
        (Some(FieldType::Number), _) => Number::parse(&text).map(Value::Number),
        (Some(FieldType::Ip), _) => text.parse().ok().map(|ip| Value::Ip(mapped(ip))),
        (Some(FieldType::Date), _) => {
            text.parse::<Timestamp>().ok().map(|time| Value::Date(clamp(time.micros())))
        }
        (Some(FieldType::Bool) | None, Json::Bool(truth)) => Some(Value::Bool(*truth)),
        (Some(FieldType::Bool), _) => text.parse().ok().map(Value::Bool),
        (Some(FieldType::Keyword) | None, _) => None,
    };
    Some(fitting.unwrap_or_else(|| Value::Keyword(cut(text))))
}

fn cut(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(keyword(text)),
        Cow::Owned(text) => Cow::Owned(keyword(&text).to_owned()),
    }
}

/// Earliest and latest time that can be stored, microseconds (years 1678 and 2261).
pub const TIME_BOUNDS: (i64, i64) = (-9_200_000_000_000_000, 9_200_000_000_000_000);

/// A time within [`TIME_BOUNDS`].
#[must_use]
pub fn clamp(micros: i64) -> i64 {
    micros.clamp(TIME_BOUNDS.0, TIME_BOUNDS.1)
}

/// Whether a name outside the dictionary can be searched as a field.
#[must_use]
pub fn searchable_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.contains(|c: char| c.is_control() || c == '\\')
        && !name.split('.').any(str::is_empty)
}

/// Calls `sink(name, dictionary entry, value)` for every searchable value of the document.
/// Gives the number of values left out because of [`MAX_VALUES`] or unsearchable names.
pub fn visit<'a>(
    document: &'a Document,
    sink: &mut dyn FnMut(&str, Option<&'static Field>, Value<'a>),
) -> u32 {
    let (mut taken, mut left_out) = (0_u32, 0_u32);
    event::flatten(document, &mut |name, scalar| {
        let known = field(name);
        if taken >= MAX_VALUES || (known.is_none() && !searchable_name(name)) {
            left_out = left_out.saturating_add(1);
            return;
        }
        let Some(value) = typed(known.map(|field| field.kind), scalar) else { return };
        taken = taken.saturating_add(1);
        sink(known.map_or(name, |field| field.name), known, value);
    });
    left_out
}

/// Names whose values a bare term does not look at: identities of single events and bulk text.
#[must_use]
pub fn hidden_from_bare(name: &str) -> bool {
    matches!(name, "event.id" | "agent.version" | "detection.rule_text" | "detection.evidence")
}

/// Calls `sink` with every lowercase term under which a bare query term finds this value.
pub fn bare_terms(name: &str, value: &Value<'_>, sink: &mut dyn FnMut(&str)) {
    if hidden_from_bare(name) {
        return;
    }
    let text = match value {
        Value::Keyword(text) | Value::Text(text) => Cow::Borrowed(text.as_ref()),
        Value::Ip(ip) => Cow::Owned(ip.to_canonical().to_string()),
        Value::Number(_) | Value::Date(_) | Value::Bool(_) => return,
    };
    if let Some(whole) = super::words::whole(&text) {
        sink(&whole);
    }
    if matches!(value, Value::Ip(_)) {
        return;
    }
    let mut stream = super::words::words(&text);
    let mut word = String::new();
    while stream.next_into(&mut word).is_some() {
        sink(&word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_keep_integers() {
        for (text, expected) in [
            ("5", Number::Int(5)),
            ("-5", Number::Int(-5)),
            ("5.0", Number::Int(5)),
            ("18446744073709551615", Number::Big(u64::MAX)),
            ("0.5", Number::Float(0.5)),
            ("1e300", Number::Float(1e300)),
        ] {
            assert_eq!(Number::parse(text), Some(expected), "{text}");
        }
        for text in ["", "-", "abc", "0x10", "inf", "NaN", "1e999", "+1", ".5"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
        assert!(Number::Big(u64::MAX) > Number::Int(i64::MAX));
        assert!(Number::Float(0.5) < Number::Int(1));
    }

    #[test]
    fn typed_values_of_a_document() {
        let Json::Object(document) = json!({
            "source": {"ip": "10.0.0.1"}, "src_port": "http", "dest_port": "80",
            "alert": {"signature_id": 2_000_001, "signature": "X"},
            "flow": {"alerted": "true", "start": "2026-11-22T00:00:00Z"},
            "own": {"n": 1.0, "t": "a", "b": false, "z": null}, "bad\\name": 1, "a..b": 1
        }) else {
            panic!("an object")
        };
        let mut out = String::new();
        let left_out = visit(&document, &mut |name, known, value| {
            out.push_str(&format!("{name} {} {value:?}\n", known.is_some()));
        });
        expect_test::expect![[r#"
            src_ip true Ip(::ffff:10.0.0.1)
            src_port true Keyword("http")
            dest_port true Number(Int(80))
            alert.signature_id true Keyword("2000001")
            alert.signature true Text("X")
            flow.alerted true Bool(true)
            flow.start true Date(1795305600000000)
            own.n false Number(Int(1))
            own.t false Keyword("a")
            own.b false Bool(false)
        "#]]
        .assert_eq(&out);
        assert_eq!(left_out, 2);
    }

    #[test]
    fn caps_hold() {
        let document: Document = (0..5000).map(|n| (format!("k{n}"), json!(n))).collect();
        let mut seen = 0;
        assert_eq!(visit(&document, &mut |_, _, _| seen += 1), 5000 - MAX_VALUES);
        assert_eq!(seen, MAX_VALUES);
        assert_eq!(keyword(&"é".repeat(4096)).len(), MAX_KEYWORD);
    }
}
