//! Syslog lines: RFC 5424, RFC 3164 and the forms that devices and local files really use.
//!
//! Lenient where senders are: the priority may be absent, the year may stand before or after, the
//! host may be missing. Structured data goes to `log.syslog.structured_data`.

use event::Timestamp;
use serde_json::{Map, Value};

use super::library::{Context, Library};
use super::{Entry, object, times, work};

/// In `log.flags` of a record of which the header was understood and the message was not.
pub(crate) const HEADER_ONLY: &str = "header_only";
/// Most elements and parameters of structured data that are kept.
const MAX_DATA: usize = 64;

/// Reads one message; false when it has no syslog header at all. Its text is read by the parser that is named,
/// else by those of its program.
pub(super) fn read(
    line: &str,
    library: &Library,
    named: Option<usize>,
    cx: Context<'_>,
    entry: &mut Entry,
) -> bool {
    let (priority, rest) = priority(line);
    let body = rfc5424(rest, cx, entry).or_else(|| rfc3164(rest, cx, entry));
    let body = match body {
        Some(body) => body,
        None if priority.is_some() => Body { program: "", message: rest, data: false },
        None => return false,
    };
    if let Some(priority) = priority {
        entry.put_static(&["log", "syslog", "facility", "code"], Value::from(priority / 8));
        entry.put_static(&["log", "syslog", "severity", "code"], Value::from(priority % 8));
    }
    entry.text("message", body.message);
    let text = body.message.trim_start();
    if object::begins(text)
        && named.is_none_or(|number| library.reads_json(number))
        && object::read_below(text, (library, named), cx, entry)
    {
        return true;
    }
    if let Some(number) = named {
        return library.text(number, body.message, cx, entry);
    }
    let told = body.data && {
        let data = event::get(&entry.fields, "log.syslog.structured_data").cloned();
        data.is_some_and(|data| library.data(body.program, &data, cx, entry))
    };
    if !told && !library.message(body.program, body.message, cx, entry) {
        entry.flag(HEADER_ONLY);
    }
    true
}

/// What stands behind the header.
struct Body<'a> {
    program: &'a str,
    message: &'a str,
    /// Whether there is structured data.
    data: bool,
}

/// Whether a line looks as if it had a header: a priority, or the name of a month.
pub(super) fn begins(line: &str) -> bool {
    line.starts_with('<') || begins_with_month(line)
}

fn begins_with_month(text: &str) -> bool {
    text.as_bytes().get(3) == Some(&b' ') && text.get(..3).and_then(times::month).is_some()
}

/// `<PRI>`, 0 to 191 (RFC 5424 section 6.2.1).
fn priority(line: &str) -> (Option<u16>, &str) {
    let parsed = line.strip_prefix('<').and_then(|rest| {
        let (digits, rest) = rest.split_once('>')?;
        let plain = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let value = digits.parse::<u16>().ok().filter(|value| plain && *value <= 191)?;
        Some((value, rest))
    });
    parsed.map_or((None, line), |(value, rest)| (Some(value), rest))
}

/// RFC 5424 section 6: `1 TIMESTAMP HOST APP PROCID MSGID SD MSG`.
fn rfc5424<'a>(text: &'a str, cx: Context<'_>, entry: &mut Entry) -> Option<Body<'a>> {
    let rest = text.strip_prefix("1 ")?;
    let mut parts = rest.splitn(6, ' ');
    let mut next = || parts.next().map(|part| if part == "-" { "" } else { part });
    let (time, host, app, process, message_id) = (next()?, next()?, next()?, next()?, next()?);
    let tail = parts.next()?;
    if !time.is_empty() {
        entry.time = times::read(time, cx.zone, cx.now)?;
    }
    header(entry, host, app, process);
    entry.text("log.syslog.msgid", message_id);
    let (message, data) = structured(tail, entry);
    let message = message.strip_prefix('\u{feff}').unwrap_or(message);
    Some(Body { program: app, message, data })
}

/// Writes what the header says; nothing stands in the record yet, so each object is made once.
fn header(entry: &mut Entry, host: &str, app: &str, process: &str) {
    entry.make_room();
    let mut syslog = Map::with_capacity(6);
    let mut about = Map::with_capacity(3);
    let host = super::entry::text(host);
    if let Some(host) = &host {
        syslog.insert("hostname".to_owned(), host.clone());
    }
    if let Some(app) = super::entry::text(app) {
        syslog.insert("appname".to_owned(), app.clone());
        about.insert("name".to_owned(), app);
    }
    if let Some(text) = super::entry::text(process) {
        syslog.insert("procid".to_owned(), text);
        if let Ok(number) = process.parse::<i64>() {
            about.insert("pid".to_owned(), Value::from(number));
        }
    }
    if !syslog.is_empty() {
        let mut log = Map::with_capacity(2);
        log.insert("syslog".to_owned(), Value::Object(syslog));
        entry.fields.insert("log".to_owned(), Value::Object(log));
    }
    if let Some(host) = host {
        let mut name = Map::with_capacity(1);
        name.insert("name".to_owned(), host);
        entry.fields.insert("host".to_owned(), Value::Object(name));
    }
    if !about.is_empty() {
        entry.fields.insert("process".to_owned(), Value::Object(about));
    }
}

/// Reads structured data (RFC 5424 section 6.3) and returns what follows it, and whether there was any.
fn structured<'a>(text: &'a str, entry: &mut Entry) -> (&'a str, bool) {
    if let Some(rest) = text.strip_prefix('-') {
        return (rest.strip_prefix(' ').unwrap_or(rest), false);
    }
    let mut rest = text;
    let mut data = Map::new();
    while let Some(inner) = rest.strip_prefix('[') {
        let Some((element, parameters, tail)) = element(inner) else { break };
        if data.len() < MAX_DATA {
            data.insert(element, Value::Object(parameters));
        }
        rest = tail;
    }
    let there = !data.is_empty();
    if there {
        entry.put_static(&["log", "syslog", "structured_data"], Value::Object(data));
    }
    (rest.strip_prefix(' ').unwrap_or(rest), there)
}

/// One element after its `[`: name, parameters, rest after `]`.
fn element(text: &str) -> Option<(String, Map<String, Value>, &str)> {
    let end = text.find([' ', ']'])?;
    let (name, mut rest) = text.split_at_checked(end)?;
    let mut parameters = Map::new();
    loop {
        rest = rest.trim_start_matches(' ');
        work::spend(1);
        if let Some(tail) = rest.strip_prefix(']') {
            return Some((name.to_owned(), parameters, tail));
        }
        let found = rest.split_once("=\"");
        work::spend(found.map_or(rest.len(), |(key, _)| key.len()));
        let (key, tail) = found?;
        let (value, tail) = quoted(tail)?;
        if parameters.len() < MAX_DATA {
            parameters.insert(key.to_owned(), Value::String(value));
        }
        rest = tail;
    }
}

/// A value up to its unescaped quote; `\"`, `\\` and `\]` are escapes.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        work::spend(1);
        match c {
            '"' => return Some((out, text.get(at.saturating_add(1)..)?)),
            '\\' => match chars.next()?.1 {
                escaped @ ('"' | '\\' | ']') => out.push(escaped),
                other => {
                    out.push('\\');
                    out.push(other);
                }
            },
            other => out.push(other),
        }
    }
    None
}

/// RFC 3164 and relatives: `TIME [HOST] TAG[PID]: MSG`, and Cisco's `45: [HOST: ]*TIME: %MSG`.
fn rfc3164<'a>(text: &'a str, cx: Context<'_>, entry: &mut Entry) -> Option<Body<'a>> {
    let (before, time, rest) = leading_time(text, cx)?;
    entry.time = time;
    let rest = rest.trim_start_matches([' ', ':']);
    let (host, rest) = match rest.split_once(' ') {
        _ if rest.starts_with('%') || !before.is_empty() => (before, rest),
        // Devices write a colon behind the host, with or without a blank.
        Some((word, tail)) if tail.trim_start_matches([' ', ':']).starts_with('%') => {
            (word.trim_end_matches(':'), tail.trim_start_matches([' ', ':']))
        }
        // A tag in the host's place: the sender left the host out.
        Some((word, _)) if word.ends_with(':') => ("", rest),
        Some((word, tail)) => (word, tail),
        None => ("", rest),
    };
    let (app, process, message) = tag(rest);
    header(entry, host, app, process);
    Some(Body { program: app, message, data: false })
}

/// Splits `app[pid]: message`; a text without a tag is all message.
fn tag(text: &str) -> (&str, &str, &str) {
    let word_end = text.find([' ', ':', '[']).unwrap_or(text.len());
    let (app, rest) = text.split_at_checked(word_end).unwrap_or((text, ""));
    if app.is_empty() || app.len() > 128 || app.starts_with('%') || matches!(app, "CEF" | "LEEF") {
        return ("", "", text);
    }
    if let Some((process, message)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']'))
        && let Some(message) = message.strip_prefix(':')
    {
        return (app, process, message.trim_start());
    }
    match rest.strip_prefix(':') {
        Some(message) => (app, "", message.trim_start()),
        None => ("", "", text),
    }
}

/// The host before the time, the time at the head of a line, and what follows it.
fn leading_time<'a>(text: &'a str, cx: Context<'_>) -> Option<(&'a str, Timestamp, &'a str)> {
    let mut text = text.trim_start_matches([' ', ':']);
    let mut host = "";
    // Cisco: a sequence number, and perhaps a host, each with its colon.
    for _ in 0..2 {
        if begins_with_month(text) {
            break;
        }
        let Some((word, rest)) = text.split_once(": ") else { break };
        if word.len() > 64 || word.contains([' ', '%', '=']) || word.bytes().all(|b| b == b'*') {
            break;
        }
        if !word.bytes().all(|byte| byte.is_ascii_digit()) {
            host = word;
        }
        text = rest;
    }
    // A clock that is not in step is marked so.
    text = text.trim_start_matches(['*', '.', ' ']);
    if text.as_bytes().first()?.is_ascii_digit() {
        // A date and a clock with a blank between are an application's, not syslog's.
        let word = text.split(' ').next()?;
        let iso = word.len() > 10 && word.as_bytes().get(10) == Some(&b'T');
        let (time, rest) = times::lead(text, cx.zone, cx.now).filter(|_| iso)?;
        return rest.starts_with([' ', ':']).then_some((host, time, rest));
    }
    let (time, rest) = times::lead(text, cx.zone, cx.now)?;
    rest.starts_with([' ', ':']).then_some((host, time, rest))
}
