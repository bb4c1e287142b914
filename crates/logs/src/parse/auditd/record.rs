//! One record of the audit system: its head, its pairs, what their values mean. Keeps nothing.
//!
//! Values of untrusted text stand in quotes, or in hexadecimal when they have a blank, a quote or a control in them
//! (`audit_log_untrustedstring` of the kernel). Behind a group separator stand the names that `log_format = ENRICHED`
//! adds in capitals.

use std::borrow::Cow;

use event::Timestamp;

use crate::parse::work;

/// Between what the kernel wrote and what auditd has added.
const GROUP: char = '\u{1d}';
/// Names of values that are text of others: bare, they are hexadecimal.
const TEXTS: [&str; 19] = [
    "proctitle",
    "cwd",
    "name",
    "comm",
    "exe",
    "key",
    "cmd",
    "acct",
    "data",
    "path",
    "ocomm",
    "watch",
    "dir",
    "root_dir",
    "new-disk",
    "old-disk",
    "grp",
    "vm",
    "device",
];
/// Names of values that are numbers in hexadecimal or bytes.
const NUMBERS: [&str; 8] = ["a0", "a1", "a2", "a3", "saddr", "arch", "sig", "inode"];

/// What begins a record, and what follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    /// Host that it is of, when records of several are in one log.
    pub(crate) node: Option<&'a str>,
    /// Its type, such as `SYSCALL`.
    pub(crate) kind: &'a str,
    /// When the event happened, and with its serial which event of its node it is of.
    pub(crate) time: Timestamp,
    pub(crate) serial: u64,
    pub(super) body: &'a str,
}

impl<'a> Head<'a> {
    /// The head of a line: `node=web1 type=SYSCALL msg=audit(1795359845.123:77): ...`; the node may be missing.
    pub(crate) fn of(line: &'a str) -> Option<Self> {
        let (node, rest) = match line.strip_prefix("node=") {
            Some(rest) => rest.split_once(' ').map(|(node, rest)| (Some(node), rest))?,
            None => (None, line),
        };
        let (kind, rest) = rest.strip_prefix("type=")?.split_once(' ')?;
        let (stamp, body) = rest.strip_prefix("msg=audit(")?.split_once("):")?;
        let (time, serial) = stamp.split_once(':')?;
        Some(Self { node, kind, time: epoch(time)?, serial: serial.parse().ok()?, body })
    }
}

/// `seconds.millis` since the epoch.
fn epoch(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().ok()?;
    // No time of a record is before the epoch or behind the year 9999.
    if !(0..=253_402_300_799).contains(&seconds) {
        return None;
    }
    let mut micros = 0_i64;
    for at in 0..6 {
        let digit = match fraction.as_bytes().get(at) {
            Some(digit) if digit.is_ascii_digit() => i64::from(digit.saturating_sub(b'0')),
            Some(_) => return None,
            None => 0,
        };
        micros = micros.saturating_mul(10).saturating_add(digit);
    }
    Some(Timestamp::from_seconds(seconds).plus_micros(micros))
}

/// A value as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raw<'a> {
    /// In quotes, apostrophes or braces.
    Quoted(&'a str),
    /// Up to a blank.
    Bare(&'a str),
}

/// The pairs of a body, in their order. What is no pair is passed over.
#[derive(Clone, Debug)]
pub(super) struct Pairs<'a>(&'a str);

impl<'a> Pairs<'a> {
    pub(super) const fn of(body: &'a str) -> Self {
        Self(body)
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, Raw<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (words, rest) = self.0.split_once('=')?;
            work::spend(words.len());
            let key = words.rsplit([' ', GROUP]).next().unwrap_or(words);
            let (value, rest) = value(key, rest);
            self.0 = rest;
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-[]".contains(&b);
            if !key.is_empty() && key.bytes().all(plain) {
                return Some((key, value));
            }
        }
    }
}

fn value<'a>(key: &str, text: &'a str) -> (Raw<'a>, &'a str) {
    // A message ends with the last apostrophe before what auditd has added: names may have one.
    if let ("msg", Some(inner)) = (key, text.strip_prefix('\'')) {
        let end = inner.find(GROUP).unwrap_or(inner.len());
        let (message, added) = inner.split_at_checked(end).unwrap_or((inner, ""));
        if let Some((message, _)) = message.rsplit_once('\'') {
            work::spend(end);
            return (Raw::Quoted(message), added);
        }
    }
    for (open, close) in [('"', '"'), ('\'', '\''), ('{', '}')] {
        if let Some(inner) = text.strip_prefix(open)
            && let Some((value, rest)) = inner.split_once(close)
        {
            work::spend(value.len());
            return (Raw::Quoted(value), rest);
        }
    }
    let end = text.find([' ', GROUP]).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    work::spend(word.len());
    (Raw::Bare(word), rest)
}

/// What a value of this name says.
pub(super) fn decoded<'a>(key: &str, raw: Raw<'a>) -> Cow<'a, str> {
    let word = match raw {
        Raw::Quoted(text) => return Cow::Borrowed(text),
        Raw::Bare(word) => word,
    };
    if NUMBERS.contains(&key) {
        return Cow::Borrowed(word);
    }
    if TEXTS.contains(&key) {
        let text = bytes(word).map(|bytes| text(&bytes));
        return text.map_or(Cow::Borrowed(word), Cow::Owned);
    }
    guessed(word).map_or(Cow::Borrowed(word), Cow::Owned)
}

/// Bytes as text: a zero ends an argument and becomes a blank.
pub(super) fn text(bytes: &[u8]) -> String {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    String::from_utf8_lossy(bytes).replace('\0', " ")
}

/// The bytes of a word in capital hexadecimal digits; `None` when it is none.
pub(super) fn bytes(word: &str) -> Option<Vec<u8>> {
    if word.is_empty() || !word.len().is_multiple_of(2) {
        return None;
    }
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b.wrapping_sub(b'0')),
        b'A'..=b'F' => Some(b.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    };
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)?.wrapping_shl(4) | digit(*low)?),
        _ => None,
    };
    word.as_bytes().chunks(2).map(pair).collect()
}

/// Hexadecimal text under a name that is not known to have such: at least four bytes that are UTF-8 with a
/// letter, written with a letter.
fn guessed(word: &str) -> Option<String> {
    if word.len() < 8 || word.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let text = String::from_utf8(bytes(word)?).ok()?.replace('\0', " ");
    text.chars().any(|c| c.is_ascii_alphabetic()).then_some(text)
}
