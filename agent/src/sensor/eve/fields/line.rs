//! Records as lines of JSON text, written field by field into one buffer.
//!
//! Every field is written with a comma in front; where an object begins its brace takes the place of the
//! first one. So what stands before a value is a constant, stored as one piece (see [`Room`]).

use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;

use super::clock::{Clock, MICROS, TIME};
use super::room::{Room, Short};
use super::{Brief, Fields, Text};

/// Lines of JSON; the last one may be under way.
#[derive(Debug, Default)]
pub(crate) struct Line {
    room: Room,
    /// Where the line at hand begins.
    begin: usize,
    clock: Clock,
    kept: Option<Box<Kept>>,
    /// Time and kind of records are told elsewhere.
    headless: bool,
}

/// Texts of fields that were written before, see [`Fields::same`].
type Kept = [Same; KEPT];

/// Texts that are kept at a time; a power of two.
const KEPT: usize = 16;
/// Longest text that is kept.
const LONGEST: usize = 96;

#[derive(Clone, Copy, Debug)]
struct Same {
    which: u16,
    /// 0: there is none.
    length: usize,
    text: [u8; LONGEST],
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Two hexadecimal digits.
const fn hex(byte: u8) -> [u8; 2] {
    [HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]]
}

impl Line {
    /// With room for that many bytes before more is asked for.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { room: Room::with_capacity(bytes), ..Self::default() }
    }

    /// The same for records whose time and kind are told elsewhere, see [`Fields::head`].
    pub(crate) fn without_heads(bytes: usize) -> Self {
        Self { headless: true, ..Self::with_capacity(bytes) }
    }

    /// A record after those that are finished.
    #[inline(always)]
    pub(crate) fn again(&mut self) -> &mut Self {
        // One that was begun and not finished is none.
        self.room.truncate(self.begin);
        self
    }

    /// Ends the line.
    #[inline(always)]
    pub(crate) fn finish(&mut self) {
        self.close(self.begin);
        self.room.push(b'\n');
        self.begin = self.room.end();
    }

    /// What the record under way says; it is none of the lines.
    pub(crate) fn take(&mut self) -> &[u8] {
        self.close(self.begin);
        let record = self.begin;
        self.room.since(record)
    }

    /// The lines so far.
    pub(crate) fn lines(&self) -> &[u8] {
        self.room.text()
    }

    /// Length of the lines so far.
    pub(crate) const fn len(&self) -> usize {
        self.room.len()
    }

    /// Forgets the first `length` bytes of the lines, and a record that is not finished. What is left begins at a
    /// multiple of `alignment`, a power of two, in memory.
    pub(crate) fn forget(&mut self, length: usize, alignment: usize) {
        self.again().room.forget(length, alignment);
        self.begin = self.room.end();
    }

    /// A key and what its value begins with. Both are constants: inlined, they are stored as they are.
    #[inline(always)]
    fn key(&mut self, key: &str, then: &[u8]) {
        let (key, length) = (key.as_bytes(), key.len() + then.len() + 4);
        match length {
            ..=8 => self.room.piece(&whole::<8>(key, then), length),
            9..=16 => self.room.piece(&whole::<16>(key, then), length),
            17..=32 => self.room.piece(&whole::<32>(key, then), length),
            _ => {
                self.room.bytes(b",\"");
                self.room.bytes(key);
                self.room.bytes(b"\":");
                self.room.bytes(then);
            }
        }
    }

    /// Ends what began at a place and was written with commas in front of its fields: an object.
    #[inline(always)]
    fn close(&mut self, begin: usize) {
        if self.room.end() == begin {
            self.room.push(b'{');
        }
        self.room.set_byte(begin, b'{');
        self.room.push(b'}');
    }

    fn string(&mut self, value: &str) {
        if !self.room.quoted_if_plain(value.as_bytes()) {
            self.escaped(value);
        }
    }

    #[inline(never)]
    fn escaped(&mut self, value: &str) {
        self.room.push(b'"');
        for byte in value.bytes() {
            match byte {
                b'"' => self.room.bytes(b"\\\""),
                b'\\' => self.room.bytes(b"\\\\"),
                b'\n' => self.room.bytes(b"\\n"),
                b'\r' => self.room.bytes(b"\\r"),
                b'\t' => self.room.bytes(b"\\t"),
                0..0x20 => {
                    self.room.bytes(b"\\u00");
                    self.room.piece(&hex(byte), 2);
                }
                _ => self.room.push(byte),
            }
        }
        self.room.push(b'"');
    }

    /// Bytes off the wire as a string.
    fn raw(&mut self, value: &[u8]) {
        if !self.room.quoted_if_plain(value) {
            self.escaped_bytes(value);
        }
    }

    #[inline(never)]
    fn escaped_bytes(&mut self, value: &[u8]) {
        match std::str::from_utf8(value) {
            Ok(value) => self.escaped(value),
            Err(_) => self.escaped(&value.escape_ascii().to_string()),
        }
    }

    /// An address and a quote behind it.
    #[inline(always)]
    fn ip(&mut self, value: IpAddr, compress: bool) {
        match value {
            IpAddr::V4(v4) => self.room.v4_and_quote(v4),
            IpAddr::V6(v6) => self.v6(v6, compress),
        }
    }

    #[inline(never)]
    fn v6(&mut self, value: std::net::Ipv6Addr, compress: bool) {
        if compress {
            self.room.bytes(value.to_string().as_bytes());
        } else {
            let mut text = [b':'; 40];
            let (groups, _) = text.as_chunks_mut::<5>();
            let octets = value.octets();
            let (pairs, _) = octets.as_chunks::<2>();
            for ([a, b, c, d, _], [high, low]) in groups.iter_mut().zip(pairs) {
                ([*a, *b], [*c, *d]) = (hex(*high), hex(*low));
            }
            self.room.piece(&text, 39);
        }
        self.room.push(b'"');
    }

    /// Items of a list and its end.
    #[inline(never)]
    fn list<'a>(&mut self, items: impl Iterator<Item = Text<'a>>) {
        let mut later = false;
        items.for_each(|item| {
            if std::mem::replace(&mut later, true) {
                self.room.push(b',');
            }
            match item {
                Text::Bytes(bytes) => self.raw(bytes),
                Text::Address(value) => {
                    self.room.push(b'"');
                    self.ip(value, false);
                }
            }
        });
        self.room.push(b']');
    }

    /// A time with its microseconds, in quotes.
    fn moment(&mut self, micros: i64) {
        let at = self.room.end() + MICROS;
        let (text, digits) = self.clock.text(micros);
        self.room.piece(text, TIME);
        self.room.set(at, &digits);
    }
}

/// A few fields of a line, see [`Fields::brief`].
#[derive(Debug)]
pub(crate) struct BriefLine<'a> {
    text: Short<'a>,
    clock: &'a mut Clock,
    headless: bool,
}

impl BriefLine<'_> {
    /// A key and what its value begins with, both constants.
    #[inline(always)]
    fn key(&mut self, key: &'static str, then: &[u8]) {
        let (key, length) = (key.as_bytes(), key.len() + then.len() + 4);
        match length {
            ..=8 => self.text.piece(&whole::<8>(key, then), length),
            9..=16 => self.text.piece(&whole::<16>(key, then), length),
            _ => {
                debug_assert!(length <= 32, "no brief key");
                self.text.piece(&whole::<32>(key, then), length);
            }
        }
    }
}

impl Brief for BriefLine<'_> {
    #[inline(always)]
    fn head(&mut self, ts: i64, kind: &'static str) {
        if !self.headless {
            self.time("timestamp", ts);
            self.word("event_type", kind);
        }
    }

    #[inline(always)]
    fn number(&mut self, key: &'static str, value: u64) {
        self.key(key, b"");
        self.text.number(value);
    }

    #[inline(always)]
    fn word(&mut self, key: &'static str, value: &'static str) {
        self.key(key, b"");
        self.text.quoted(value.as_bytes());
    }

    #[inline(always)]
    fn constant(&mut self, key: &'static str, value: &'static str) {
        let length = key.len() + value.len() + 6;
        match length {
            ..=16 => self.text.piece(&whole_word::<16>(key, value), length),
            17..=32 => self.text.piece(&whole_word::<32>(key, value), length),
            _ => self.word(key, value),
        }
    }

    #[inline(always)]
    fn boolean(&mut self, key: &'static str, value: bool) {
        if value {
            self.key(key, b"true");
        } else {
            self.key(key, b"false");
        }
    }

    #[inline(always)]
    fn hex(&mut self, key: &'static str, value: u8) {
        self.key(key, b"\"");
        let [high, low] = hex(value);
        self.text.piece(&[high, low, b'"'], 3);
    }

    #[inline(always)]
    fn v4(&mut self, key: &'static str, value: Ipv4Addr) {
        self.key(key, b"\"");
        self.text.v4_and_quote(value);
    }

    #[inline(always)]
    fn time(&mut self, key: &'static str, micros: i64) {
        self.key(key, b"");
        let at = self.text.len() + MICROS;
        let (text, digits) = self.clock.text(micros);
        self.text.piece(text, TIME);
        self.text.set(at, &digits);
    }
}

/// A comma, a key and what is behind it, in a piece with room for them.
#[inline(always)]
fn whole<const N: usize>(key: &[u8], then: &[u8]) -> [u8; N] {
    let mut piece = [0; N];
    if let Some([comma, quote, room @ ..]) = piece.get_mut(..key.len() + then.len() + 4)
        && let Some((key_room, [end, colon, then_room @ ..])) = room.split_at_mut_checked(key.len())
    {
        (*comma, *quote, *end, *colon) = (b',', b'"', b'"', b':');
        key_room.copy_from_slice(key);
        then_room.copy_from_slice(then);
    }
    piece
}

/// A comma, a key and a word in its quotes, in a piece with room for them.
#[inline(always)]
fn whole_word<const N: usize>(key: &str, word: &str) -> [u8; N] {
    let (key, word) = (key.as_bytes(), word.as_bytes());
    let mut piece = whole::<N>(key, b"\"");
    if let Some([room @ .., quote]) = piece.get_mut(key.len() + 5..key.len() + word.len() + 6) {
        room.copy_from_slice(word);
        *quote = b'"';
    }
    piece
}

impl Fields for Line {
    fn head(&mut self, ts: i64, kind: &'static str) {
        if !self.headless {
            self.time("timestamp", ts);
            self.word("event_type", kind);
        }
    }

    type Brief<'a> = BriefLine<'a>;

    #[inline(always)]
    fn brief(&mut self, fill: impl FnOnce(&mut BriefLine<'_>)) {
        let (clock, headless) = (&mut self.clock, self.headless);
        self.room.short(|text| {
            let mut out = BriefLine { text, clock, headless };
            fill(&mut out);
            out.text.len()
        });
    }

    #[inline(always)]
    fn text(&mut self, key: &str, value: &str) {
        self.key(key, b"");
        self.string(value);
    }

    fn same(&mut self, which: u16, fill: impl FnOnce(&mut Self)) {
        // The flags of DNS differ in all their bits: the lower half alone would put many in one place.
        let place = usize::from(which ^ which >> 8 ^ which >> 4) % KEPT;
        if let Some(kept) = &self.kept
            && let Same { which: of, length: length @ 1.., text } = &kept[place]
            && *of == which
        {
            return self.room.piece(text, *length);
        }
        let from = self.room.end();
        fill(self);
        let none = Same { which: 0, length: 0, text: [0; LONGEST] };
        let kept = self.kept.get_or_insert_with(|| Box::new([none; KEPT]));
        let written = self.room.since(from);
        if let Some(text) = kept[place].text.get_mut(..written.len()) {
            text.copy_from_slice(written);
            (kept[place].which, kept[place].length) = (which, written.len());
        }
    }

    #[inline(always)]
    fn word(&mut self, key: &str, value: &'static str) {
        self.key(key, b"");
        self.room.quoted(value.as_bytes());
    }

    #[inline(always)]
    fn constant(&mut self, key: &'static str, value: &'static str) {
        let length = key.len() + value.len() + 6;
        match length {
            ..=16 => self.room.piece(&whole_word::<16>(key, value), length),
            17..=32 => self.room.piece(&whole_word::<32>(key, value), length),
            _ => self.word(key, value),
        }
    }

    #[inline(always)]
    fn ascii(&mut self, key: &str, value: &str) {
        self.key(key, b"");
        self.room.quoted(value.as_bytes());
    }

    #[inline(always)]
    fn bytes(&mut self, key: &str, value: &[u8]) {
        self.key(key, b"");
        self.raw(value);
    }

    #[inline(always)]
    fn number(&mut self, key: &str, value: u64) {
        self.key(key, b"");
        match u8::try_from(value) {
            Ok(digit @ 0..10) => self.room.push(b'0' + digit),
            _ => self.room.number(value),
        }
    }

    #[inline(always)]
    fn boolean(&mut self, key: &str, value: bool) {
        if value {
            self.key(key, b"true");
        } else {
            self.key(key, b"false");
        }
    }

    #[inline(always)]
    fn address(&mut self, key: &str, value: IpAddr, compress: bool) {
        self.key(key, b"\"");
        self.ip(value, compress);
    }

    #[inline(always)]
    fn texts<'a>(&mut self, key: &str, items: impl Iterator<Item = Text<'a>>) {
        self.key(key, b"[");
        self.list(items);
    }

    #[inline(always)]
    fn time(&mut self, key: &str, micros: i64) {
        self.key(key, b"");
        self.moment(micros);
    }

    fn value(&mut self, key: &str, value: Value) {
        self.key(key, b"");
        self.room.bytes(value.to_string().as_bytes());
    }

    #[inline(always)]
    fn object(&mut self, key: &str, fill: impl FnOnce(&mut Self)) {
        self.key(key, b"");
        let begin = self.room.end();
        fill(self);
        self.close(begin);
    }

    #[inline(always)]
    fn objects<T>(
        &mut self,
        key: &str,
        items: impl Iterator<Item = T>,
        fill: impl Fn(&mut Self, T),
    ) {
        self.key(key, b"[");
        for (at, item) in items.enumerate() {
            if at > 0 {
                self.room.push(b',');
            }
            let begin = self.room.end();
            fill(self, item);
            self.close(begin);
        }
        self.room.push(b']');
    }
}
