//! Where the fields of a record go: a JSON object in memory, or a line of text at once.
//!
//! Live capture needs records as objects (detection runs over them, the spool packs them); a replay
//! only writes them down, and building maps of strings for hundreds of thousands of flows costs
//! more than inspecting their packets. Makers of records are written once, for both.

use std::fmt::Write as _;
use std::net::IpAddr;

use serde_json::Value;

use super::{Object, address, text, timestamp};

/// Takes the fields of one object in order.
pub(crate) trait Fields: Default {
    /// Time (microseconds since the epoch) and kind of a record.
    fn head(&mut self, ts: i64, kind: &'static str);
    /// A string.
    fn text(&mut self, key: &str, value: &str);
    /// Bytes off the wire as text, see [`text`].
    fn bytes(&mut self, key: &str, value: &[u8]);
    /// A number.
    fn number(&mut self, key: &str, value: u64);
    /// True or false.
    fn boolean(&mut self, key: &str, value: bool);
    /// An address, see [`address`].
    fn address(&mut self, key: &str, value: IpAddr, compress: bool);
    /// A time in microseconds since the epoch.
    fn time(&mut self, key: &str, micros: i64);
    /// Anything.
    fn value(&mut self, key: &str, value: Value);
    /// An object.
    fn object(&mut self, key: &str, fill: impl FnOnce(&mut Self));
    /// A list of objects.
    fn objects<T>(
        &mut self,
        key: &str,
        items: impl Iterator<Item = T>,
        fill: impl Fn(&mut Self, T),
    );
}

impl Fields for Object {
    // An event carries both outside of its fields.
    fn head(&mut self, _ts: i64, _kind: &'static str) {}

    fn text(&mut self, key: &str, value: &str) {
        self.insert(key.to_owned(), value.into());
    }

    fn bytes(&mut self, key: &str, value: &[u8]) {
        self.insert(key.to_owned(), text(value));
    }

    fn number(&mut self, key: &str, value: u64) {
        self.insert(key.to_owned(), value.into());
    }

    fn boolean(&mut self, key: &str, value: bool) {
        self.insert(key.to_owned(), value.into());
    }

    fn address(&mut self, key: &str, value: IpAddr, compress: bool) {
        self.insert(key.to_owned(), address(value, compress));
    }

    fn time(&mut self, key: &str, micros: i64) {
        self.insert(key.to_owned(), timestamp(micros).into());
    }

    fn value(&mut self, key: &str, value: Value) {
        self.insert(key.to_owned(), value);
    }

    fn object(&mut self, key: &str, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::new();
        fill(&mut inner);
        self.insert(key.to_owned(), inner.into());
    }

    fn objects<T>(
        &mut self,
        key: &str,
        items: impl Iterator<Item = T>,
        fill: impl Fn(&mut Self, T),
    ) {
        let list: Vec<Value> = items
            .map(|item| {
                let mut inner = Self::new();
                fill(&mut inner, item);
                inner.into()
            })
            .collect();
        self.insert(key.to_owned(), list.into());
    }
}

/// One line of JSON under way, without the closing brace.
#[derive(Debug, Default)]
pub(crate) struct Line {
    text: String,
    /// The next field is not the first of its object.
    comma: bool,
}

impl Line {
    /// An empty record in a buffer that has done its work before.
    pub(crate) fn reusing(mut text: String) -> Self {
        text.clear();
        text.push('{');
        Self { text, comma: false }
    }

    /// The whole line, with its line end.
    pub(crate) fn finish(mut self) -> String {
        self.text.push_str("}\n");
        self.text
    }

    fn key(&mut self, key: &str) {
        if std::mem::replace(&mut self.comma, true) {
            self.text.push(',');
        }
        self.text.push('"');
        self.text.push_str(key);
        self.text.push_str("\":");
    }

    fn string(&mut self, value: &str) {
        self.text.push('"');
        let mut rest = value;
        // Most values have nothing to escape.
        while let Some(at) = rest.bytes().position(|b| b < 0x20 || b == b'"' || b == b'\\') {
            let (clean, tail) = rest.split_at(at);
            self.text.push_str(clean);
            let mut chars = tail.chars();
            match chars.next() {
                Some('"') => self.text.push_str("\\\""),
                Some('\\') => self.text.push_str("\\\\"),
                Some('\n') => self.text.push_str("\\n"),
                Some('\r') => self.text.push_str("\\r"),
                Some('\t') => self.text.push_str("\\t"),
                // Writing to a string does not fail.
                Some(other) => _ = write!(self.text, "\\u{:04x}", u32::from(other)),
                None => {}
            }
            rest = chars.as_str();
        }
        self.text.push_str(rest);
        self.text.push('"');
    }

    fn digits(&mut self, value: u64) {
        let mut digits = [b'0'; 20];
        let mut left = value;
        let mut count = 0_usize;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(left % 10).unwrap_or(0);
            left /= 10;
            count += 1;
            if left == 0 {
                break;
            }
        }
        let used = digits.get(20 - count..).unwrap_or_default();
        self.text.push_str(std::str::from_utf8(used).unwrap_or("0"));
    }

    /// A number with leading zeros.
    fn padded(&mut self, value: u64, width: usize) {
        let mut scale = 10_u64.pow(u32::try_from(width).unwrap_or(1).saturating_sub(1));
        while scale > 0 {
            let digit = u8::try_from(value / scale % 10).unwrap_or(0);
            self.text.push(char::from(b'0' + digit));
            scale /= 10;
        }
    }
}

impl Fields for Line {
    fn head(&mut self, ts: i64, kind: &'static str) {
        self.time("timestamp", ts);
        self.text("event_type", kind);
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.string(value);
    }

    fn bytes(&mut self, key: &str, value: &[u8]) {
        self.key(key);
        match std::str::from_utf8(value) {
            Ok(value) => self.string(value),
            Err(_) => self.string(&value.escape_ascii().to_string()),
        }
    }

    fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        self.digits(value);
    }

    fn boolean(&mut self, key: &str, value: bool) {
        self.key(key);
        self.text.push_str(if value { "true" } else { "false" });
    }

    fn address(&mut self, key: &str, value: IpAddr, compress: bool) {
        self.key(key);
        self.text.push('"');
        match value {
            IpAddr::V4(v4) => {
                for (at, octet) in v4.octets().into_iter().enumerate() {
                    if at > 0 {
                        self.text.push('.');
                    }
                    self.digits(u64::from(octet));
                }
            }
            // Writing to a string does not fail.
            IpAddr::V6(v6) if compress => _ = write!(self.text, "{v6}"),
            IpAddr::V6(v6) => {
                for (at, segment) in v6.segments().into_iter().enumerate() {
                    let colon = if at > 0 { ":" } else { "" };
                    _ = write!(self.text, "{colon}{segment:04x}");
                }
            }
        }
        self.text.push('"');
    }

    fn time(&mut self, key: &str, micros: i64) {
        self.key(key);
        let Ok(time) = jiff::Timestamp::from_microsecond(micros) else {
            return self.string(&timestamp(micros));
        };
        let civil = jiff::tz::Offset::UTC.to_datetime(time);
        let Ok(year) = u64::try_from(civil.year()) else {
            return self.string(&timestamp(micros));
        };
        self.text.push('"');
        self.padded(year, 4);
        for (mark, part) in [
            ('-', civil.month()),
            ('-', civil.day()),
            ('T', civil.hour()),
            (':', civil.minute()),
            (':', civil.second()),
        ] {
            self.text.push(mark);
            self.padded(u64::from(part.unsigned_abs()), 2);
        }
        self.text.push('.');
        self.padded(micros.rem_euclid(1_000_000).unsigned_abs(), 6);
        self.text.push_str("+0000\"");
    }

    fn value(&mut self, key: &str, value: Value) {
        self.key(key);
        // Writing to a string does not fail.
        _ = write!(self.text, "{value}");
    }

    fn object(&mut self, key: &str, fill: impl FnOnce(&mut Self)) {
        self.key(key);
        self.text.push('{');
        self.comma = false;
        fill(self);
        self.text.push('}');
        self.comma = true;
    }

    fn objects<T>(
        &mut self,
        key: &str,
        items: impl Iterator<Item = T>,
        fill: impl Fn(&mut Self, T),
    ) {
        self.key(key);
        self.text.push('[');
        for (at, item) in items.enumerate() {
            self.text.push_str(if at > 0 { ",{" } else { "{" });
            self.comma = false;
            fill(self, item);
            self.text.push('}');
        }
        self.text.push(']');
        self.comma = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(record: &mut impl Fields) {
        record.text("plain", "a \"quoted\" \\ text\n\u{1}é");
        record.bytes("raw", b"a\xffb");
        record.number("zero", 0);
        record.number("most", u64::MAX);
        record.boolean("yes", true);
        record.address("v4", [10, 0, 200, 1].into(), true);
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        record.address("short", v6, true);
        record.address("long", v6, false);
        record.time("end", 1_500_000_000_000_001);
        record.time("before", -1);
        record.value("any", serde_json::json!({"a": [1, null]}));
        record.object("inner", |inner| {
            inner.number("n", 7);
            inner.object("empty", |_| {});
            inner.text("after", "x");
        });
        record.objects("list", [1_u64, 2].into_iter(), |item, n| item.number("n", n));
        record.objects("none", std::iter::empty::<u64>(), |item, n| item.number("n", n));
        record.text("last", "");
    }

    #[test]
    fn a_line_and_an_object_say_the_same() {
        let mut object = Object::new();
        fill(&mut object);
        let mut line = Line::reusing("old text".to_owned());
        fill(&mut line);
        let parsed: Value = serde_json::from_str(&line.finish()).unwrap();
        assert_eq!(parsed, Value::from(object));
    }

    #[test]
    fn a_line_begins_with_its_time_and_kind() {
        let mut line = Line::reusing(String::new());
        line.head(0, "flow");
        let expected =
            "{\"timestamp\":\"1970-01-01T00:00:00.000000+0000\",\"event_type\":\"flow\"}\n";
        assert_eq!(line.finish(), expected);
    }
}
