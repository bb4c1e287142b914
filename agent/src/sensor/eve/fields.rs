//! Where the fields of a record go: a line of text at once, or a JSON object in memory.
//!
//! Records are lines: building maps of strings for hundreds of thousands of flows costs more than inspecting
//! their packets. Parts of them whose number is not known beforehand are made as objects. Makers of records are
//! written once, for both.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;

mod clock;
mod line;
mod room;

pub(crate) use line::Line;

use super::{Object, address, text, timestamp};

/// An item of a list of strings.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Text<'a> {
    /// Bytes off the wire, see [`text`].
    Bytes(&'a [u8]),
    /// An address with all its zeros.
    Address(IpAddr),
}

/// Takes a few fields whose values are short: together less than 500 bytes with their keys, each key less than
/// 24. That there is room for them is looked at once for all.
pub(crate) trait Brief {
    /// See [`Fields::head`].
    fn head(&mut self, ts: i64, kind: &'static str);
    /// See [`Fields::number`].
    fn number(&mut self, key: &'static str, value: u64);
    /// See [`Fields::word`].
    fn word(&mut self, key: &'static str, value: &'static str);
    /// See [`Fields::constant`].
    fn constant(&mut self, key: &'static str, value: &'static str) {
        self.word(key, value);
    }
    /// See [`Fields::boolean`].
    fn boolean(&mut self, key: &'static str, value: bool);
    /// Two hexadecimal digits.
    fn hex(&mut self, key: &'static str, value: u8);
    /// An address of IPv4.
    fn v4(&mut self, key: &'static str, value: Ipv4Addr);
    /// See [`Fields::time`].
    fn time(&mut self, key: &'static str, micros: i64);
}

impl Brief for Object {
    fn head(&mut self, ts: i64, kind: &'static str) {
        Fields::head(self, ts, kind);
    }

    fn number(&mut self, key: &'static str, value: u64) {
        Fields::number(self, key, value);
    }

    fn word(&mut self, key: &'static str, value: &'static str) {
        Fields::word(self, key, value);
    }

    fn boolean(&mut self, key: &'static str, value: bool) {
        Fields::boolean(self, key, value);
    }

    fn hex(&mut self, key: &'static str, value: u8) {
        self.text(key, &format!("{value:02x}"));
    }

    fn v4(&mut self, key: &'static str, value: Ipv4Addr) {
        Fields::address(self, key, value.into(), true);
    }

    fn time(&mut self, key: &'static str, micros: i64) {
        Fields::time(self, key, micros);
    }
}

/// Takes the fields of one object in order.
pub(crate) trait Fields: Default {
    /// Time (microseconds since the epoch) and kind of a record.
    fn head(&mut self, ts: i64, kind: &'static str);
    /// What takes a few short fields.
    type Brief<'a>: Brief
    where
        Self: 'a;
    /// A few short fields, see [`Brief`].
    fn brief(&mut self, fill: impl FnOnce(&mut Self::Brief<'_>));
    /// A string.
    fn text(&mut self, key: &str, value: &str);
    /// Fields that depend on `which` alone, at least one: what they came to may be kept and used again.
    fn same(&mut self, which: u16, fill: impl FnOnce(&mut Self)) {
        let _ = which;
        fill(self);
    }
    /// A string of ours, in which nothing has to be escaped.
    fn word(&mut self, key: &str, value: &'static str) {
        self.text(key, value);
    }
    /// A string of ours that is always the same at the place that says it.
    fn constant(&mut self, key: &'static str, value: &'static str) {
        self.word(key, value);
    }
    /// A string that is made here, digits and letters, in which nothing has to be escaped.
    fn ascii(&mut self, key: &str, value: &str) {
        self.text(key, value);
    }
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
    /// A list of strings.
    fn texts<'a>(&mut self, key: &str, items: impl Iterator<Item = Text<'a>>);
    /// A list of objects.
    fn objects<T>(
        &mut self,
        key: &str,
        items: impl Iterator<Item = T>,
        fill: impl Fn(&mut Self, T),
    );
}

impl Fields for Object {
    type Brief<'a> = Self;

    // An event carries both outside of its fields.
    fn head(&mut self, _ts: i64, _kind: &'static str) {}

    fn brief(&mut self, fill: impl FnOnce(&mut Self)) {
        fill(self);
    }

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

    fn texts<'a>(&mut self, key: &str, items: impl Iterator<Item = Text<'a>>) {
        let list: Vec<Value> = items
            .map(|item| match item {
                Text::Bytes(bytes) => text(bytes),
                Text::Address(value) => address(value, false),
            })
            .collect();
        self.insert(key.to_owned(), list.into());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fill<F: Fields>(record: &mut F) {
        record.text("plain", "a \"quoted\" \\ text\n\u{1}é");
        record.text("long and plain", "0123456789 abcdefghijklmnop");
        record.text("a quote late", "0123456789abcdef\"");
        record.ascii("ascii", "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        record.constant("none", "");
        record.constant("con", "A");
        record.constant("a constant", "request");
        record.constant("a longer constant", "abcdefghijklmnopqrst");
        record.bytes("raw", b"a\xffb");
        record.bytes("plain bytes", b"www.example.com");
        record.bytes("controls", b"0123456\x00\x1f\x7f");
        record.number("zero", 0);
        record.number("most", u64::MAX);
        record.boolean("yes", true);
        record.brief(|few| {
            few.number("one digit", 7);
            few.number("nine digits", 123_456_789);
            few.number("seventeen digits", 12_345_678_901_234_567);
            few.number("none is more", u64::MAX);
            few.word("two", "ab");
            few.constant("c", "ab");
            few.constant("constant", "response");
            few.constant("longer constant", "abcdefghijklmnopqrst");
            few.word("of twenty", "abcdefghijklmnopqrst");
            few.boolean("no", false);
            few.hex("hex", 0x0a);
            few.hex("more hex", 0xf9);
            few.v4("brief v4", [192, 0, 2, 10].into());
            few.time("brief time", 1_500_000_000_000_002);
        });
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
        record.objects("no objects", std::iter::empty::<u64>(), |item, n| item.number("n", n));
        let texts = [Text::Bytes(b"a\"b"), Text::Address([1, 2, 3, 4].into()), Text::Address(v6)];
        record.texts("texts", texts.into_iter());
        record.texts("no texts", std::iter::empty());
        record.text("last", "");
    }

    #[test]
    fn a_line_and_an_object_say_the_same() {
        let mut object = Object::new();
        fill(&mut object);
        assert_eq!(object["seventeen digits"], 12_345_678_901_234_567_u64);
        let mut line = Line::default();
        fill(line.again());
        line.finish();
        // What is not finished leaves nothing.
        line.again().text("nobody", "will see it");
        fill(line.again());
        line.finish();
        let text = std::str::from_utf8(line.lines()).unwrap();
        assert_eq!(text.lines().count(), 2);
        for line in text.lines() {
            let parsed: Value = serde_json::from_str(line).unwrap();
            assert_eq!(parsed, Value::from(object.clone()));
        }
        line.forget(usize::MAX, 1);
        assert!(line.lines().is_empty());
    }

    #[test]
    fn a_line_says_the_same_wherever_it_begins() {
        let mut line = Line::default();
        let mut expected = Vec::new();
        for round in 0_usize..9 {
            fill(line.again());
            line.finish();
            if round == 0 {
                expected = line.lines().to_vec();
            }
            assert!(line.lines().ends_with(&expected), "{round}");
            // Less each time, so that what is left begins elsewhere.
            line.forget(line.len() - 7 * round, 1 << round);
        }
    }

    #[test]
    fn a_line_begins_with_its_time_and_kind() {
        let mut line = Line::default();
        line.again().head(0, "flow");
        let expected =
            "{\"timestamp\":\"1970-01-01T00:00:00.000000+0000\",\"event_type\":\"flow\"}\n";
        line.finish();
        assert_eq!(line.lines(), expected.as_bytes());
    }
}
