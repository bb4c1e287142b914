//! Syslog lines: RFC 5424, RFC 3164 and the forms that devices and local files really use.
//!
//! Lenient where senders are: the priority may be absent, the year may stand before or after, the
//! host may be missing. Structured data goes to `log.syslog.structured_data`.

use event::{Timestamp, set};
use serde_json::{Map, Value};

use super::{Entry, auth};

/// Most elements and parameters of structured data that are kept.
const MAX_DATA: usize = 64;

/// The zone of times that name none.
#[derive(Clone, Debug)]
pub struct Zone(jiff::tz::TimeZone);

impl Zone {
    /// UTC.
    #[must_use]
    pub const fn utc() -> Self {
        Self(jiff::tz::TimeZone::UTC)
    }

    /// A zone by its name, such as `Europe/Zurich`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        jiff::tz::TimeZone::get(name).ok().map(Self)
    }
}

/// Reads one message; false when it has no syslog header at all.
pub(super) fn read(line: &str, zone: &Zone, entry: &mut Entry) -> bool {
    let (priority, rest) = priority(line);
    let read = rfc5424(rest, entry) || rfc3164(rest, zone, entry);
    if !read && priority.is_none() {
        return false;
    }
    if let Some(priority) = priority {
        set(&mut entry.fields, "log.syslog.facility.code", Value::from(priority / 8));
        set(&mut entry.fields, "log.syslog.severity.code", Value::from(priority % 8));
    }
    if !read {
        entry.text("message", rest);
    }
    auth::enrich(entry);
    true
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
fn rfc5424(text: &str, entry: &mut Entry) -> bool {
    let Some(rest) = text.strip_prefix("1 ") else { return false };
    let mut parts = rest.splitn(6, ' ');
    let mut next = || parts.next().map(|part| if part == "-" { "" } else { part });
    let (Some(time), Some(host), Some(app), Some(process), Some(message_id), Some(tail)) =
        (next(), next(), next(), next(), next(), parts.next())
    else {
        return false;
    };
    match time.parse::<Timestamp>() {
        Ok(time) => entry.time = time,
        Err(_) if time.is_empty() => {}
        Err(_) => return false,
    }
    header(entry, host, app, process);
    entry.text("log.syslog.msgid", message_id);
    let message = structured(tail, entry);
    let message = message.strip_prefix('\u{feff}').unwrap_or(message);
    entry.text("message", message);
    true
}

fn header(entry: &mut Entry, host: &str, app: &str, process: &str) {
    entry.text("log.syslog.hostname", host);
    entry.text("host.name", host);
    entry.text("log.syslog.appname", app);
    entry.text("process.name", app);
    entry.text("log.syslog.procid", process);
    entry.number("process.pid", process);
}

/// Reads structured data (RFC 5424 section 6.3) and returns what follows it.
fn structured<'a>(text: &'a str, entry: &mut Entry) -> &'a str {
    if let Some(rest) = text.strip_prefix('-') {
        return rest.strip_prefix(' ').unwrap_or(rest);
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
    if !data.is_empty() {
        set(&mut entry.fields, "log.syslog.structured_data", Value::Object(data));
    }
    rest.strip_prefix(' ').unwrap_or(rest)
}

/// One element after its `[`: name, parameters, rest after `]`.
fn element(text: &str) -> Option<(String, Map<String, Value>, &str)> {
    let end = text.find([' ', ']'])?;
    let (name, mut rest) = text.split_at_checked(end)?;
    let mut parameters = Map::new();
    loop {
        rest = rest.trim_start_matches(' ');
        if let Some(tail) = rest.strip_prefix(']') {
            return Some((name.to_owned(), parameters, tail));
        }
        let (key, tail) = rest.split_once("=\"")?;
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

/// RFC 3164 and relatives: `TIME [HOST] TAG[PID]: MSG`.
fn rfc3164(text: &str, zone: &Zone, entry: &mut Entry) -> bool {
    let Some((time, rest)) = leading_time(text, zone, entry.time) else { return false };
    entry.time = time;
    let rest = rest.trim_start_matches([' ', ':']);
    let (host, rest) = match rest.split_once(' ') {
        // A tag in the host's place: the sender left the host out.
        Some((word, _)) if word.ends_with(':') || word.ends_with("]:") => ("", rest),
        Some((word, tail)) => (word, tail),
        None => ("", rest),
    };
    let (app, process, message) = tag(rest);
    header(entry, host, app, process);
    entry.text("message", message);
    true
}

/// Splits `app[pid]: message`; a text without a tag is all message.
fn tag(text: &str) -> (&str, &str, &str) {
    let word_end = text.find([' ', ':', '[']).unwrap_or(text.len());
    let (app, rest) = text.split_at_checked(word_end).unwrap_or((text, ""));
    if app.is_empty() || app.len() > 128 {
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

/// A time at the head of a line, and what follows it.
fn leading_time<'a>(text: &'a str, zone: &Zone, now: Timestamp) -> Option<(Timestamp, &'a str)> {
    let text = text.trim_start_matches(['*', ' ']);
    if text.as_bytes().first()?.is_ascii_digit() {
        let (word, rest) = text.split_once(' ')?;
        return Some((word.trim_end_matches(':').parse().ok()?, rest));
    }
    // `Nov  2 15:04:05[.123]` with the year before the clock time, behind it, or not at all.
    let (month, rest) = text.split_once(' ')?;
    let month = month_number(month)?;
    let (day, rest) = rest.trim_start().split_once(' ')?;
    let (mut clock, mut rest) = rest.trim_start().split_once(' ')?;
    let mut year = None;
    if !clock.contains(':') {
        year = Some(clock.parse::<i16>().ok()?);
        (clock, rest) = rest.split_once(' ')?;
    }
    if let Some((word, tail)) = rest.split_once(' ')
        && year.is_none()
        && word.len() == 4
        && let Ok(number) = word.parse::<i16>()
        && (1990..2200).contains(&number)
    {
        (year, rest) = (Some(number), tail);
    }
    let time = moment((year, month, day.parse().ok()?), clock.trim_end_matches(':'), zone, now)?;
    Some((time, rest))
}

fn month_number(name: &str) -> Option<i8> {
    let names = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let at = (name.len() == 3).then(|| names.find(name)).flatten()?;
    (at % 3 == 0).then(|| i8::try_from(at / 3 + 1).ok()).flatten()
}

fn moment(
    (year, month, day): (Option<i16>, i8, i8),
    clock: &str,
    zone: &Zone,
    now: Timestamp,
) -> Option<Timestamp> {
    let clock: jiff::civil::Time = clock.parse().ok()?;
    let at = |year: i16| {
        let date = jiff::civil::Date::new(year, month, day).ok()?;
        let zoned = date.to_datetime(clock).to_zoned(zone.0.clone()).ok()?;
        Some(Timestamp::from_micros(zoned.timestamp().as_microsecond()))
    };
    if let Some(year) = year {
        return at(year);
    }
    // No year: the newest that does not lie more than a day ahead (29 February needs a leap year).
    let this = jiff::Timestamp::from_microsecond(now.micros()).ok()?;
    let this = this.to_zoned(zone.0.clone()).year();
    let years = (0..9).filter_map(|back| this.checked_add(1)?.checked_sub(back));
    years.filter_map(at).find(|time| *time <= now.plus_seconds(86_400))
}
