//! Records as lines of JSON text, written field by field into one buffer.
//!
//! Most of what a record says are numbers, addresses, times and words of our own: these are made from tables,
//! without a detour over strings.

use std::net::IpAddr;

use serde_json::Value;

use super::super::timestamp;
use super::{Fields, Text};

/// Lines of JSON; the last one may be under way.
#[derive(Debug)]
pub(crate) struct Line {
    text: Vec<u8>,
    /// What comes before the next field: a comma, or the brace that opens its object.
    before: u8,
    clock: Clock,
    kept: Option<Box<Kept>>,
}

/// Texts of fields that were written before, see [`Fields::same`]; the first byte, which depends on what is before,
/// left out.
#[derive(Debug, Default)]
struct Kept {
    texts: [(u16, Vec<u8>); KEPT],
}

/// Texts that are kept at a time; a power of two.
const KEPT: usize = 16;

impl Default for Line {
    fn default() -> Self {
        Self { text: Vec::new(), before: b'{', clock: Clock::default(), kept: None }
    }
}

/// The day that was written last.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// Days since the epoch.
    day: i64,
    /// `"2026-01-31T` with its quote.
    text: [u8; 12],
}

impl Default for Clock {
    fn default() -> Self {
        Self { day: i64::MIN, text: [b' '; 12] }
    }
}

/// The numbers below a hundred with two digits each.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0_u8;
    while n < 100 {
        pairs[n as usize] = [b'0' + n / 10, b'0' + n % 10];
        n += 1;
    }
    pairs
};

/// The octets of addresses with a dot behind, and their length with it.
const OCTETS: [([u8; 4], u8); 256] = {
    let mut octets = [([b'.'; 4], 0); 256];
    let mut n = 0_u8;
    loop {
        let (digits, length) = &mut octets[n as usize];
        let [hundreds, tens, ones] = [b'0' + n / 100, b'0' + n / 10 % 10, b'0' + n % 10];
        (*digits, *length) = match n {
            0..10 => ([ones, b'.', b'.', b'.'], 2),
            10..100 => ([tens, ones, b'.', b'.'], 3),
            _ => ([hundreds, tens, ones, b'.'], 4),
        };
        if n == u8::MAX {
            break;
        }
        n += 1;
    }
    octets
};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// True when text can stand in a JSON string as it is: ASCII without controls, quotes and backslashes.
pub(super) fn is_plain(bytes: &[u8]) -> bool {
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
    let all = |word: &[u8; 8]| !suspicious(u64::from_le_bytes(*word)) || word.iter().all(plain);
    let (words, rest) = bytes.as_chunks::<8>();
    if rest.is_empty() {
        return words.iter().all(all);
    }
    match bytes.last_chunk::<8>() {
        // The last eight are looked at together, some of them twice.
        Some(last) => words.iter().all(all) && all(last),
        None => rest.iter().all(plain),
    }
}

impl Line {
    /// A record after those in the buffer.
    pub(crate) fn again(mut self) -> Self {
        self.before = b'{';
        self
    }

    /// Ends the line.
    pub(crate) fn finish(&mut self) {
        self.close();
        self.text.push(b'\n');
    }

    /// The lines so far.
    pub(crate) fn lines(&self) -> &[u8] {
        &self.text
    }

    /// Forgets the lines so far.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
    }

    // Keys are constants: inlined, their bytes are stored without a call.
    #[inline(always)]
    fn key(&mut self, key: &str) {
        let mut room = [0_u8; 32];
        room[0] = std::mem::replace(&mut self.before, b',');
        room[1] = b'"';
        let length = key.len();
        if let Some([key_room @ .., _, _]) = room.get_mut(2..length + 4) {
            key_room.copy_from_slice(key.as_bytes());
            room[length + 2] = b'"';
            room[length + 3] = b':';
            return self.first(room, length + 4);
        }
        self.first(room, 2);
        self.text.extend_from_slice(key.as_bytes());
        self.text.extend_from_slice(b"\":");
    }

    /// Begins an object.
    fn open(&mut self) {
        self.before = b'{';
    }

    /// Ends an object; an empty one has not been opened yet.
    fn close(&mut self) {
        if self.before == b'{' {
            self.text.push(b'{');
        }
        self.text.push(b'}');
        self.before = b',';
    }

    /// Adds the first `length` of these bytes.
    #[inline(always)]
    fn first<const N: usize>(&mut self, bytes: [u8; N], length: usize) {
        let before = self.text.len();
        // A store of known size, then a shorter buffer: cheaper than a copy of unknown size.
        self.text.extend_from_slice(&bytes);
        self.text.truncate(before + length.min(N));
    }

    fn string(&mut self, value: &str) {
        self.text.reserve(value.len() + 2);
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

    /// Bytes off the wire as a string.
    fn raw(&mut self, value: &[u8]) {
        if is_plain(value) {
            self.text.reserve(value.len() + 2);
            self.text.push(b'"');
            self.text.extend_from_slice(value);
            return self.text.push(b'"');
        }
        match std::str::from_utf8(value) {
            Ok(value) => self.string(value),
            Err(_) => self.string(&value.escape_ascii().to_string()),
        }
    }

    fn ip(&mut self, value: IpAddr, compress: bool) {
        self.text.push(b'"');
        match value {
            IpAddr::V4(v4) => {
                for octet in v4.octets() {
                    let (digits, length) = OCTETS[usize::from(octet)];
                    self.first(digits, usize::from(length));
                }
                // The dot behind the last one.
                self.text.pop();
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

    /// Two hexadecimal digits.
    fn hex(&mut self, byte: u8) {
        let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
        self.text.extend_from_slice(&digits);
    }

    #[inline]
    fn digits(&mut self, value: u64) {
        match u32::try_from(value) {
            Ok(digit @ 0..10) => self.text.push(PAIRS[digit as usize][1]),
            Ok(short @ 0..100_000_000) => {
                let pair = |n: u32| PAIRS[(n % 100) as usize];
                let [[a, b], [c, d], [e, f], [g, h]] =
                    [pair(short / 1_000_000), pair(short / 10_000), pair(short / 100), pair(short)];
                let word = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
                // Zeros in front; of zero itself one stays.
                let zeros = ((word ^ 0x3030_3030_3030_3030).trailing_zeros() / 8).min(7);
                self.first((word >> (8 * zeros)).to_le_bytes(), 8 - zeros as usize);
            }
            _ => {
                let mut room = itoa::Buffer::new();
                self.text.extend_from_slice(room.format(value).as_bytes());
            }
        }
    }

    /// A time with its microseconds, in quotes.
    fn moment(&mut self, micros: i64) {
        let day = micros.div_euclid(DAY);
        if self.clock.day != day {
            self.clock = Clock { day, ..Clock::default() };
            let text = timestamp(day.saturating_mul(DAY));
            let from = std::iter::once(&b'"').chain(text.as_bytes());
            self.clock.text.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
        let of_day = usize::try_from(micros.rem_euclid(DAY)).unwrap_or(0);
        let (second, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
        let [[h1, h2], [m1, m2], [s1, s2], [a, b], [c, d], [e, f]] = [
            second / 3600,
            second / 60 % 60,
            second % 60,
            fraction / 10_000,
            fraction / 100 % 100,
            fraction % 100,
        ]
        .map(|n| PAIRS[n]);
        self.text.extend_from_slice(&self.clock.text);
        self.text.extend_from_slice(&[
            h1, h2, b':', m1, m2, b':', s1, s2, b'.', a, b, c, d, e, f, b'+', b'0', b'0', b'0',
            b'0', b'"',
        ]);
    }
}

impl Fields for Line {
    fn head(&mut self, ts: i64, kind: &'static str) {
        self.time("timestamp", ts);
        self.word("event_type", kind);
    }

    #[inline(always)]
    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.string(value);
    }

    fn same(&mut self, which: u16, fill: impl FnOnce(&mut Self)) {
        // The flags of DNS differ in all their bits: the lower half alone would put many in one place.
        let place = usize::from(which ^ which >> 8 ^ which >> 4) % KEPT;
        if let Some((of, text)) = self.kept.as_ref().and_then(|kept| kept.texts.get(place))
            && *of == which
            && !text.is_empty()
        {
            self.text.push(self.before);
            self.text.extend_from_slice(text);
            self.before = b',';
            return;
        }
        let from = self.text.len() + 1;
        fill(self);
        let text = self.text.get(from..).unwrap_or_default();
        let (of, kept) = &mut self.kept.get_or_insert_default().texts[place];
        *of = which;
        kept.clear();
        kept.extend_from_slice(text);
    }

    #[inline(always)]
    fn word(&mut self, key: &str, value: &'static str) {
        self.key(key);
        self.text.push(b'"');
        self.text.extend_from_slice(value.as_bytes());
        self.text.push(b'"');
    }

    #[inline(always)]
    fn bytes(&mut self, key: &str, value: &[u8]) {
        self.key(key);
        self.raw(value);
    }

    #[inline(always)]
    fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        self.digits(value);
    }

    #[inline(always)]
    fn boolean(&mut self, key: &str, value: bool) {
        self.key(key);
        if value {
            self.text.extend_from_slice(b"true");
        } else {
            self.text.extend_from_slice(b"false");
        }
    }

    #[inline(always)]
    fn address(&mut self, key: &str, value: IpAddr, compress: bool) {
        self.key(key);
        self.ip(value, compress);
    }

    fn texts<'a>(&mut self, key: &str, items: impl Iterator<Item = Text<'a>>) {
        self.key(key);
        self.text.push(b'[');
        for (at, item) in items.enumerate() {
            if at > 0 {
                self.text.push(b',');
            }
            match item {
                Text::Bytes(bytes) => self.raw(bytes),
                Text::Address(value) => self.ip(value, false),
            }
        }
        self.text.push(b']');
    }

    #[inline(always)]
    fn time(&mut self, key: &str, micros: i64) {
        self.key(key);
        self.moment(micros);
    }

    fn value(&mut self, key: &str, value: Value) {
        self.key(key);
        self.text.extend_from_slice(value.to_string().as_bytes());
    }

    fn object(&mut self, key: &str, fill: impl FnOnce(&mut Self)) {
        self.key(key);
        self.open();
        fill(self);
        self.close();
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
            if at > 0 {
                self.text.push(b',');
            }
            self.open();
            fill(self, item);
            self.close();
        }
        self.text.push(b']');
        self.before = b',';
    }
}
