//! Log lines into events: which parser, and what every parser shares.
//!
//! A parser fills ECS fields of an [`Entry`]; the line itself is always kept as `event.original`.
//! A line that no parser understands is kept whole as `message` and counted as unparsed.

use event::{Event, Kind, Object, Timestamp, set};
use serde_json::Value;

use crate::config::Format;

mod access;
mod auditd;
mod auth;
mod json;
mod syslog;
#[cfg(test)]
mod tests;

pub use syslog::Zone;

/// Longest text kept in one field, bytes.
pub(crate) const MAX_FIELD: usize = 64 * 1024;

/// What a line became.
#[derive(Debug)]
pub struct Entry {
    /// When it happened; the time of reading when the line does not say.
    pub time: Timestamp,
    /// Fields.
    pub fields: Object,
    /// Whether a parser understood it.
    pub parsed: bool,
}

impl Entry {
    fn new(now: Timestamp) -> Self {
        Self { time: now, fields: Object::new(), parsed: false }
    }

    /// Sets a dotted field to a text; empty ones are left out, long ones cut.
    fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            let end = value.floor_char_boundary(MAX_FIELD);
            let kept = value.get(..end).unwrap_or_default();
            set(&mut self.fields, name, Value::String(kept.to_owned()));
        }
    }

    /// Sets a dotted field to a number when `value` is one.
    fn number(&mut self, name: &str, value: &str) {
        if let Ok(number) = value.parse::<i64>() {
            set(&mut self.fields, name, Value::from(number));
        }
    }

    /// Sets a dotted field to an address when `value` is one; true when it was.
    fn address(&mut self, name: &str, value: &str) -> bool {
        let fits = value.parse::<std::net::IpAddr>();
        if let Ok(address) = fits {
            set(&mut self.fields, name, Value::String(address.to_string()));
            return true;
        }
        false
    }
}

/// How the lines of one source are read.
#[derive(Clone, Debug)]
pub struct Parser {
    format: Format,
    zone: Zone,
}

impl Parser {
    /// A parser of `format`; times without a zone are in `zone`.
    #[must_use]
    pub const fn new(format: Format, zone: Zone) -> Self {
        Self { format, zone }
    }

    /// Reads one line. `now` is the time of reading: used when the line has no time, and to tell
    /// the year of a time without one.
    #[must_use]
    pub fn line(&self, line: &str, now: Timestamp) -> Entry {
        let mut entry = Entry::new(now);
        let line = line.trim_end_matches(['\r', '\n', '\0']);
        entry.parsed = match self.format {
            Format::Json => json::read(line, &mut entry),
            Format::Syslog => syslog::read(line, &self.zone, &mut entry),
            Format::Access => access::read(line, &mut entry),
            Format::Auditd => auditd::read(line, &mut entry),
            Format::Plain => true,
            Format::Auto => self.guess(line, &mut entry),
        };
        if !entry.fields.contains_key("message") {
            entry.text("message", line);
        }
        entry.text("event.original", line);
        entry
    }

    fn guess(&self, line: &str, entry: &mut Entry) -> bool {
        match line.as_bytes().first() {
            Some(b'{') => json::read(line, entry),
            Some(b't') if line.starts_with("type=") => auditd::read(line, entry),
            _ => syslog::read(line, &self.zone, entry),
        }
    }

    /// The event of one line as bytes. Invalid UTF-8 is replaced and flagged in `log.flags`.
    #[must_use]
    pub fn event(&self, line: &[u8], now: Timestamp) -> (Event, bool) {
        let text = String::from_utf8_lossy(line);
        let mut entry = self.line(&text, now);
        if matches!(text, std::borrow::Cow::Owned(_)) {
            set(&mut entry.fields, "log.flags", Value::from(vec!["invalid_utf8"]));
        }
        let Entry { time, fields, parsed } = entry;
        (Event { seq: 0, time, seen: now, kind: Kind::Log, fields }, parsed)
    }
}
