//! What a captured text means: addresses, numbers, times, encodings, look-ups.
//!
//! A text that is not what its type says gives nothing: the field is left out, and stays in the original.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::Context;
use crate::parse::{entry, times};

/// One step from text to value.
#[derive(Clone, Debug)]
pub(super) enum Convert {
    Ip,
    Domain,
    Integer,
    Float,
    Port,
    Lower,
    Upper,
    Bool,
    Time,
    Base64,
    Hex,
    HexNumber,
    Percent,
    Unescape,
    List,
    BaseName,
    BeforeAt,
    Trim,
    Text,
    Table(Arc<BTreeMap<String, Value>>),
}

/// Types by name; tables come beside.
const NAMES: &[(&str, Convert)] = &[
    ("ip", Convert::Ip),
    ("domain", Convert::Domain),
    ("int", Convert::Integer),
    ("float", Convert::Float),
    ("port", Convert::Port),
    ("lower", Convert::Lower),
    ("upper", Convert::Upper),
    ("bool", Convert::Bool),
    ("time", Convert::Time),
    ("base64", Convert::Base64),
    ("hex", Convert::Hex),
    ("hexint", Convert::HexNumber),
    ("percent", Convert::Percent),
    ("unescape", Convert::Unescape),
    ("list", Convert::List),
    ("basename", Convert::BaseName),
    ("account", Convert::BeforeAt),
    ("trim", Convert::Trim),
    ("str", Convert::Text),
];

/// Names of all types, for messages.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _)| *name)
}

impl Convert {
    pub(super) fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, convert)| convert.clone())
    }
}

/// A value through all steps; `None` when it is not what a step wants.
pub(super) fn apply(steps: &[Convert], text: Cow<'_, str>, cx: Context<'_>) -> Option<Value> {
    let mut text = text;
    for (at, step) in steps.iter().enumerate() {
        match one(step, &text, cx)? {
            Value::String(next) => text = Cow::Owned(next),
            // Numbers, lists and truths go no further, except into a look-up.
            other => {
                let rest = steps.get(at.saturating_add(1)..).unwrap_or_default();
                return if rest.is_empty() {
                    Some(other)
                } else {
                    apply(rest, Cow::Owned(other.to_string()), cx)
                };
            }
        }
    }
    match text {
        Cow::Borrowed(text) => entry::text(text),
        Cow::Owned(text) => entry::owned(text),
    }
}

fn one(step: &Convert, text: &str, cx: Context<'_>) -> Option<Value> {
    let owned = |text: &str| Some(Value::String(text.to_owned()));
    match step {
        Convert::Ip => match address(text)? {
            // There is one way to write those, so that what was read is what would be written.
            std::net::IpAddr::V4(_) if text.len() <= 15 && !text.contains([':', '[', '%']) => {
                owned(text)
            }
            other => Some(Value::String(other.to_string())),
        },
        Convert::Domain => {
            let name = text.trim_end_matches('.');
            (!name.is_empty() && address(text).is_none()).then(|| Value::String(name.to_owned()))
        }
        Convert::Integer => text.trim().parse::<i64>().ok().map(Value::from),
        Convert::Port => text.trim().parse::<u16>().ok().map(Value::from),
        Convert::Float => {
            let number = text.trim().parse::<f64>().ok()?;
            serde_json::Number::from_f64(number).map(Value::Number)
        }
        Convert::HexNumber => {
            let digits = text.trim_start_matches("0x");
            i64::from_str_radix(digits, 16).ok().map(Value::from)
        }
        Convert::Lower => owned(&text.to_lowercase()),
        Convert::Upper => owned(&text.to_uppercase()),
        Convert::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" | "on" | "t" | "y" => Some(Value::Bool(true)),
            "false" | "no" | "0" | "off" | "f" | "n" => Some(Value::Bool(false)),
            _ => None,
        },
        Convert::Time => {
            let time = times::read(text, cx.zone, cx.now)?;
            Some(Value::String(time.to_string()))
        }
        Convert::Base64 => decoded(&base64(text)?),
        Convert::Hex => decoded(&hex(text.as_bytes())?),
        Convert::Percent => decoded(&percent(text)),
        Convert::Unescape => decoded(&unescape(text)),
        Convert::List => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Some(parts.take(MAX_LIST).map(Value::from).collect())
        }
        Convert::BaseName => owned(text.rsplit(['/', '\\']).next().unwrap_or(text)),
        Convert::BeforeAt => owned(text.split('@').next().unwrap_or(text)),
        Convert::Trim => owned(text.trim()),
        Convert::Text => owned(text),
        Convert::Table(table) => table.get(text).or_else(|| table.get("*")).cloned(),
    }
}

/// Most elements of a list.
const MAX_LIST: usize = 1024;

fn decoded(bytes: &[u8]) -> Option<Value> {
    Some(Value::String(String::from_utf8_lossy(bytes).into_owned()))
}

/// An address, also in brackets, with a zone, or an IPv4 one inside an IPv6 one.
pub(super) fn address(text: &str) -> Option<std::net::IpAddr> {
    let text = text.trim_matches(['[', ']']);
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    text.parse::<std::net::IpAddr>().ok().map(|address| address.to_canonical())
}

/// Two hexadecimal digits a byte.
pub(super) fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() || text.is_empty() {
        return None;
    }
    pairs.iter().map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

fn digit(byte: u8) -> Option<u8> {
    u8::try_from(char::from(byte).to_digit(16)?).ok()
}

fn base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

/// `%41` is `A`; a broken one stays as it is.
fn percent(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        let code = tail.first_chunk::<2>().and_then(|pair| hex(pair));
        match (byte, code) {
            (b'%', Some(code)) => {
                out.extend(code);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => out.push(*byte),
        }
    }
    out
}

/// `\"`, `\\`, `\n`, `\t`, `\r`, `\xHH`; any other escaped byte stands for itself.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        let Some((escaped, tail)) = tail.split_first().filter(|_| *byte == b'\\') else {
            out.push(*byte);
            continue;
        };
        rest = tail;
        let code = tail.first_chunk::<2>().filter(|_| *escaped == b'x').and_then(|pair| hex(pair));
        match (escaped, code) {
            (b'x', Some(code)) => {
                out.extend(code);
                rest = tail.get(2..).unwrap_or_default();
            }
            (b'n', _) => out.push(b'\n'),
            (b't', _) => out.push(b'\t'),
            (b'r', _) => out.push(b'\r'),
            (other, _) => out.push(*other),
        }
    }
    out
}
