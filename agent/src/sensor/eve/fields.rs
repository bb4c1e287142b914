//! Where the fields of a record go: a JSON object in memory, or a line of text at once.
//!
//! Live capture needs records as objects (detection runs over them, the spool packs them); a replay
//! only writes them down, and building maps of strings for hundreds of thousands of flows costs
//! more than inspecting their packets. Makers of records are written once, for both.

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
    text: Vec<u8>,
    /// The next field is not the first of its object.
    comma: bool,
    clock: Clock,
}

/// The second that was written last: records come in bursts.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    second: i64,
    /// `2026-01-31T23:59:59`, empty before the first.
    text: [u8; 19],
}

/// True when text can stand in a JSON string as it is: ASCII without controls, quotes and backslashes.
fn is_plain(bytes: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // Eight bytes at once; borrows only ever make a plain byte look suspicious, never the reverse.
    let suspicious = |word: u64| {
        let below_space = word.wrapping_sub(ONES * 0x20);
        let quote = (word ^ (ONES * 0x22)).wrapping_sub(ONES);
        let backslash = (word ^ (ONES * 0x5c)).wrapping_sub(ONES);
        (word | below_space | quote | backslash) & HIGHS != 0
    };
    let plain = |byte: &u8| matches!(byte, 0x20..=0x7f) && *byte != b'"' && *byte != b'\\';
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().all(|word| !suspicious(u64::from_le_bytes(*word)) || word.iter().all(plain))
        && rest.iter().all(plain)
}

impl Line {
    /// An empty record in the buffer of the one before.
    pub(crate) fn again(mut self) -> Self {
        self.text.clear();
        self.text.push(b'{');
        self.comma = false;
        self
    }

    /// Ends the line; its bytes, with the line end.
    pub(crate) fn finish(&mut self) -> &[u8] {
        self.text.extend_from_slice(b"}\n");
        &self.text
    }

    fn key(&mut self, key: &str) {
        if std::mem::replace(&mut self.comma, true) {
            self.text.push(b',');
        }
        self.text.push(b'"');
        self.text.extend_from_slice(key.as_bytes());
        self.text.extend_from_slice(b"\":");
    }

    fn string(&mut self, value: &str) {
        self.text.push(b'"');
        if is_plain(value.as_bytes()) {
            self.text.extend_from_slice(value.as_bytes());
        } else {
            self.escaped(value);
        }
        self.text.push(b'"');
    }

    fn escaped(&mut self, value: &str) {
        for byte in value.bytes() {
            match byte {
                b'"' => self.text.extend_from_slice(b"\\\""),
                b'\\' => self.text.extend_from_slice(b"\\\\"),
                b'\n' => self.text.extend_from_slice(b"\\n"),
                b'\r' => self.text.extend_from_slice(b"\\r"),
                b'\t' => self.text.extend_from_slice(b"\\t"),
                0..0x20 => {
                    self.text.extend_from_slice(b"\\u00");
                    self.hex(byte);
                }
                _ => self.text.push(byte),
            }
        }
    }

    /// Two hexadecimal digits.
    fn hex(&mut self, byte: u8) {
        for nibble in [byte >> 4, byte & 15] {
            self.text.push(if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble });
        }
    }

    fn digits(&mut self, value: u64) {
        let mut room = itoa::Buffer::new();
        self.text.extend_from_slice(room.format(value).as_bytes());
    }

    /// The time of a second as it is written; what lies beyond the calendar is its beginning.
    fn second(&mut self, second: i64) {
        if self.clock.second != second || self.clock.text[0] == 0 {
            let text = timestamp(second.saturating_mul(1_000_000));
            if let Some(text) = text.as_bytes().first_chunk() {
                self.clock = Clock { second, text: *text };
            }
        }
        self.text.extend_from_slice(&self.clock.text);
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
        if is_plain(value) {
            self.text.push(b'"');
            self.text.extend_from_slice(value);
            return self.text.push(b'"');
        }
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
        self.text.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn address(&mut self, key: &str, value: IpAddr, compress: bool) {
        self.key(key);
        self.text.push(b'"');
        match value {
            IpAddr::V4(v4) => {
                let [first, rest @ ..] = v4.octets();
                self.digits(first.into());
                for octet in rest {
                    self.text.push(b'.');
                    self.digits(octet.into());
                }
            }
            IpAddr::V6(v6) if compress => self.text.extend_from_slice(v6.to_string().as_bytes()),
            IpAddr::V6(v6) => {
                for (at, byte) in v6.octets().into_iter().enumerate() {
                    if at > 0 && at % 2 == 0 {
                        self.text.push(b':');
                    }
                    self.hex(byte);
                }
            }
        }
        self.text.push(b'"');
    }

    fn time(&mut self, key: &str, micros: i64) {
        self.key(key);
        self.text.push(b'"');
        self.second(micros.div_euclid(1_000_000));
        // With a one in front, so that leading zeros are written.
        let mut room = itoa::Buffer::new();
        let fraction = room.format(1_000_000 + micros.rem_euclid(1_000_000)).as_bytes();
        self.text.push(b'.');
        self.text.extend_from_slice(fraction.get(1..).unwrap_or_default());
        self.text.extend_from_slice(b"+0000\"");
    }

    fn value(&mut self, key: &str, value: Value) {
        self.key(key);
        self.text.extend_from_slice(value.to_string().as_bytes());
    }

    fn object(&mut self, key: &str, fill: impl FnOnce(&mut Self)) {
        self.key(key);
        self.text.push(b'{');
        self.comma = false;
        fill(self);
        self.text.push(b'}');
        self.comma = true;
    }

    fn objects<T>(
        &mut self,
        key: &str,
        items: impl Iterator<Item = T>,
        fill: impl Fn(&mut Self, T),
    ) {
        self.key(key);
        self.text.push(b'[');
        for (at, item) in items.enumerate() {
            self.text.extend_from_slice(if at > 0 { b",{" } else { b"{" });
            self.comma = false;
            fill(self, item);
            self.text.push(b'}');
        }
        self.text.push(b']');
        self.comma = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(record: &mut impl Fields) {
        record.text("plain", "a \"quoted\" \\ text\n\u{1}é");
        record.text("long and plain", "0123456789 abcdefghijklmnop");
        record.text("a quote late", "0123456789abcdef\"");
        record.bytes("raw", b"a\xffb");
        record.bytes("plain bytes", b"www.example.com");
        record.bytes("controls", b"0123456\x00\x1f\x7f");
        record.number("zero", 0);
        record.number("most", u64::MAX);
        record.boolean("yes", true);
        record.address("v4", [10, 0, 200, 1].into(), true);
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        record.address("short", v6, true);
        record.address("long", v6, false);
        record.time("end", 1_500_000_000_000_001);
        record.time("again", 1_500_000_000_999_999);
        record.time("before", -1);
        record.time("epoch", 0);
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
        let mut line = Line::default().again();
        fill(&mut line);
        line.finish();
        let mut line = line.again();
        fill(&mut line);
        let parsed: Value = serde_json::from_slice(line.finish()).unwrap();
        assert_eq!(parsed, Value::from(object));
    }

    #[test]
    fn a_line_begins_with_its_time_and_kind() {
        let mut line = Line::default().again();
        line.head(0, "flow");
        let expected =
            "{\"timestamp\":\"1970-01-01T00:00:00.000000+0000\",\"event_type\":\"flow\"}\n";
        assert_eq!(line.finish(), expected.as_bytes());
    }

    #[test]
    fn every_byte_is_plain_or_escaped_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for place in [0, 3, 7, 8, 12] {
                let mut text = *b"abcdefghijklm";
                text[place] = byte;
                let plain = matches!(byte, 0x20..=0x7f) && byte != b'"' && byte != b'\\';
                assert_eq!(is_plain(&text), plain, "{byte:#x} at {place}");
            }
        }
    }
}
