//! Log lines into events: which parser, and what every parser shares.
//!
//! A parser fills ECS fields of an [`Entry`]; the line itself is always kept as `event.original`. What a kind of
//! log means is told by the declarative parsers of a [`Library`]; the rooms in Rust beside it take structured
//! forms apart (syslog, JSON, audit, pairs, CEF, LEEF, separated values, EVE, Zeek).
//! A line that no parser understands is kept whole as `message`, flagged `unparsed` and counted; one of which only
//! the header of syslog is understood is flagged `header_only` and counted apart.

use std::sync::Arc;

use event::{Event, Timestamp};

use crate::config::Format;

pub(crate) mod auditd;
mod cef;
#[cfg(test)]
mod cost_tests;
mod entry;
mod eve;
pub mod fixture;
mod json;
mod kv;
pub mod library;
mod object;
#[cfg(test)]
mod object_tests;
#[cfg(test)]
mod sensor_tests;
mod separated;
mod syslog;
#[cfg(test)]
mod tests;
mod times;
mod winxml;
mod work;
mod zeek;

pub use entry::Entry;
pub use library::{Library, LibraryError};
pub use times::Zone;

use library::Context;

/// Longest text kept in one field, bytes.
pub(crate) const MAX_FIELD: usize = 64 * 1024;

/// A format of which no parser is known.
#[derive(Debug, thiserror::Error)]
#[error("{name:?} is no format{}", nearest.as_ref().map_or_else(String::new, |name| format!("; did you mean {name:?}?")))]
pub struct UnknownFormat {
    /// As it was written.
    pub name: String,
    /// The known one that is most like it.
    pub nearest: Option<String>,
}

/// What the lines of a source are taken for.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Auto,
    Json,
    Syslog,
    Auditd,
    Plain,
    Eve,
    Zeek,
    /// By the parser of this number.
    Named(usize),
}

/// How the lines of one source are read.
#[derive(Clone, Debug)]
pub struct Parser {
    kind: Kind,
    zone: Zone,
    library: Arc<Library>,
    /// What the head of the file says of its lines.
    head: Head,
}

/// What the head of a file says of its lines.
#[derive(Clone, Debug, Default)]
enum Head {
    #[default]
    None,
    Zeek(Arc<zeek::Head>),
    Columns(Arc<separated::Head>),
}

impl Head {
    fn zeek(&self) -> Option<&zeek::Head> {
        if let Self::Zeek(head) = self { Some(head) } else { None }
    }

    fn columns(&self) -> Option<&separated::Head> {
        if let Self::Columns(head) = self { Some(head) } else { None }
    }
}

impl Parser {
    /// A parser of `format` with the built-in library; times without a zone are in `zone`. A format that
    /// is not built in is read as [`Format::Auto`]: configuration is checked with [`Parser::with`].
    #[must_use]
    pub fn new(format: Format, zone: Zone) -> Self {
        let library = Library::built_in();
        let kind = kind(&library, &format).unwrap_or(Kind::Auto);
        Self { kind, zone, library, head: Head::None }
    }

    /// A parser of `format` with the parsers of `library`.
    ///
    /// # Errors
    /// [`UnknownFormat`].
    pub fn with(
        library: &Arc<Library>,
        format: &Format,
        zone: Zone,
    ) -> Result<Self, UnknownFormat> {
        let (kind, library) = (kind(library, format)?, Arc::clone(library));
        Ok(Self { kind, zone, library, head: Head::None })
    }

    /// Whether the beginning of a file says how its lines are to be read.
    #[must_use]
    pub fn wants_head(&self) -> bool {
        match self.kind {
            Kind::Zeek => true,
            Kind::Named(number) => self.library.wants_head(number),
            _ => false,
        }
    }

    /// Whether with this line of a head all that an earlier one said is over.
    #[must_use]
    pub fn begins_head(&self, line: &[u8]) -> bool {
        let first = if matches!(self.kind, Kind::Zeek) { "#separator " } else { separated::FIELDS };
        line.starts_with(first.as_bytes())
    }

    /// This parser for the lines of a file that begins with `head`.
    #[must_use]
    pub fn of_file(&self, head: &[u8]) -> Self {
        let text = String::from_utf8_lossy(head);
        let read = match self.kind {
            Kind::Zeek => zeek::Head::read(&text).map(|head| Head::Zeek(Arc::new(head))),
            _ if self.wants_head() => {
                separated::Head::read(&text).map(|head| Head::Columns(Arc::new(head)))
            }
            _ => None,
        };
        Self { head: read.unwrap_or_default(), ..self.clone() }
    }

    /// Reads one line. `now` is the time of reading: used when the line has no time, and to tell
    /// the year of a time without one.
    #[must_use]
    pub fn line(&self, line: &str, now: Timestamp) -> Entry {
        let mut entry = Entry::new(now);
        let line = line.trim_end_matches(['\r', '\n', '\0']);
        let cx = Context { zone: &self.zone, now, columns: self.head.columns() };
        entry.parsed = match self.kind {
            Kind::Json => self.object(line, None, cx, &mut entry),
            Kind::Syslog => syslog::read(line, &self.library, None, cx, &mut entry),
            Kind::Auditd => auditd::read(line, &mut entry),
            Kind::Plain => true,
            Kind::Eve => eve::read(line, &mut entry),
            Kind::Zeek => zeek::read(line, self.head.zeek(), &mut entry),
            Kind::Auto => self.guess(line, cx, &mut entry),
            Kind::Named(number) => self.named(number, line, cx, &mut entry),
        };
        if !entry.parsed {
            entry.flag("unparsed");
            entry.text("message", line);
        }
        // Records of the network have fields instead of a text, and are kept as they were sent.
        let network = matches!(self.kind, Kind::Eve | Kind::Zeek) && entry.parsed;
        if !network && !entry.fields.contains_key("message") {
            entry.text("message", line);
        }
        if !network {
            entry.text("event.original", line);
        }
        entry
    }

    fn guess(&self, line: &str, cx: Context<'_>, entry: &mut Entry) -> bool {
        match line.as_bytes().first() {
            Some(b'{') => self.object(line, None, cx, entry),
            Some(b'<') if object::begins(line) => self.object(line, None, cx, entry),
            Some(b't' | b'n') if auditd::begins(line) => auditd::read(line, entry),
            _ => {
                syslog::read(line, &self.library, None, cx, entry)
                    || self.library.begin(line, cx, entry)
            }
        }
    }

    fn object(&self, line: &str, named: Option<usize>, cx: Context<'_>, entry: &mut Entry) -> bool {
        object::read(line, (&self.library, named), cx, entry)
    }

    /// A line of one format, as it is or in the envelope of syslog.
    fn named(&self, number: usize, line: &str, cx: Context<'_>, entry: &mut Entry) -> bool {
        if self.library.reads_json(number) && object::begins(line) {
            return self.object(line, Some(number), cx, entry);
        }
        if line.starts_with('#') && self.library.wants_head(number) {
            return true;
        }
        let enveloped = syslog::begins(line);
        (!enveloped && self.library.text(number, line, cx, entry))
            || syslog::read(line, &self.library, Some(number), cx, entry)
            || (enveloped && self.library.text(number, line, cx, entry))
    }

    /// The event of one line as bytes. Invalid UTF-8 is replaced and flagged in `log.flags`.
    #[must_use]
    pub fn event(&self, line: &[u8], now: Timestamp) -> (Event, bool) {
        let entry = match std::str::from_utf8(line) {
            Ok(text) => self.line(text, now),
            Err(_) => {
                let mut entry = self.line(&String::from_utf8_lossy(line), now);
                entry.flag("invalid_utf8");
                entry
            }
        };
        let Entry { time, fields, parsed, kind, .. } = entry;
        (Event { seq: 0, time, seen: now, kind, fields }, parsed)
    }
}

/// Whether a record has a header that was understood and a message that no parser knows.
pub(crate) fn is_header_only(fields: &event::Object) -> bool {
    let flags = fields.get("log").and_then(|log| log.get("flags")?.as_array());
    flags.is_some_and(|flags| flags.iter().any(|flag| flag == syslog::HEADER_ONLY))
}

fn kind(library: &Library, format: &Format) -> Result<Kind, UnknownFormat> {
    Ok(match format {
        Format::Auto => Kind::Auto,
        Format::Json => Kind::Json,
        Format::Syslog => Kind::Syslog,
        Format::Auditd => Kind::Auditd,
        Format::Plain => Kind::Plain,
        Format::Eve => Kind::Eve,
        Format::Zeek => Kind::Zeek,
        Format::Named(name) => match library.number(name.as_str()) {
            Some(number) => Kind::Named(number),
            None => {
                let known = Format::NAMES.iter().copied().chain(library.names());
                let nearest = service::config::nearest_name(name.as_str(), known);
                return Err(UnknownFormat { name: name.as_str().to_owned(), nearest });
            }
        },
    })
}
