//! Lines of the Linux audit system: `type=EXECVE msg=audit(1795359845.123:77): key=value ...`.
//!
//! Values keep the names of the audit system below `auditd.`, and the common ones get their ECS
//! names. Hexadecimal values (text with blanks or controls is written so) are decoded.

use event::{Timestamp, set};
use serde_json::Value;

use super::library::raw::MAX_PAIRS;
use super::{Entry, work};

/// Most arguments joined into a command line.
const MAX_ARGUMENTS: usize = 256;

/// Whether a line looks like one of the audit system.
pub(super) fn begins(line: &str) -> bool {
    line.starts_with("type=") || line.starts_with("node=")
}

pub(super) fn read(line: &str, entry: &mut Entry) -> bool {
    parse(line, entry).is_some()
}

fn parse(line: &str, entry: &mut Entry) -> Option<()> {
    // `node=host ` may stand before the type.
    let (node, rest) = match line.strip_prefix("node=") {
        Some(rest) => rest.split_once(' ').map(|(node, rest)| (Some(node), rest))?,
        None => (None, line),
    };
    let (kind, rest) = rest.strip_prefix("type=")?.split_once(' ')?;
    let rest = rest.strip_prefix("msg=audit(")?;
    let (stamp, body) = rest.split_once("):")?;
    let (time, serial) = stamp.split_once(':')?;
    entry.time = epoch(time)?;
    if let Some(node) = node {
        entry.text("host.name", node);
    }
    entry.text("event.module", "auditd");
    entry.text("auditd.type", kind);
    entry.number("auditd.serial", serial);
    pairs(body, false, entry);
    common(kind, entry);
    Some(())
}

/// `seconds.millis` since the epoch.
fn epoch(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let micros = format!("{fraction:0<6}").get(..6)?.parse::<i64>().ok()?;
    Some(Timestamp::from_seconds(seconds.parse().ok()?).plus_micros(micros))
}

/// Reads pairs; those of a message inside are `nested`, and no message is inside them.
fn pairs(body: &str, nested: bool, entry: &mut Entry) {
    let mut rest = body.trim_start();
    let mut arguments = Vec::new();
    let mut count = 0_usize;
    while let Some((key, tail)) = rest.split_once('=') {
        work::spend(key.len());
        count = count.saturating_add(1);
        if count > MAX_PAIRS {
            entry.flag("too_many_fields");
            break;
        }
        let key = key.rsplit([' ', '\x1d']).next().unwrap_or(key);
        let (value, tail) = value(tail);
        rest = tail.trim_start();
        let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if key.is_empty() || !plain {
            continue;
        }
        // User records nest: msg='op=login acct="root" ...'
        if key == "msg" && !nested {
            pairs(&value, true, entry);
            continue;
        }
        let position = key.strip_prefix('a').and_then(|digits| digits.parse::<usize>().ok());
        let execve = event::get(&entry.fields, "auditd.type") == Some(&Value::from("EXECVE"));
        match position {
            Some(position) if execve && position < MAX_ARGUMENTS => arguments.push(value),
            _ => entry.text(&format!("auditd.{key}"), &value),
        }
    }
    if !arguments.is_empty() {
        entry.text("process.command_line", &arguments.join(" "));
        set(&mut entry.fields, "process.args", Value::from(arguments));
    }
}

/// One value and what follows: quoted, in apostrophes, or up to a blank.
fn value(text: &str) -> (String, &str) {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote)
            && let Some((value, rest)) = inner.split_once(quote)
        {
            work::spend(value.len());
            return (value.to_owned(), rest);
        }
    }
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    work::spend(word.len());
    (decode(word).unwrap_or_else(|| word.to_owned()), rest)
}

/// Hexadecimal text of at least two bytes that decodes to UTF-8 with at least one letter, else `None`.
fn decode(word: &str) -> Option<String> {
    let upper = |b: u8| b.is_ascii_digit() || (b'A'..=b'F').contains(&b);
    let looks = word.len() >= 8 && word.len().is_multiple_of(2) && word.bytes().all(upper);
    if !looks || word.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let bytes = word.as_bytes().chunks(2).map(|pair| {
        std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())
    });
    let text = String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()?;
    let text = text.replace('\0', " ");
    text.chars().any(|c| c.is_ascii_alphabetic()).then_some(text)
}

fn common(kind: &str, entry: &mut Entry) {
    let take = |name: &str, entry: &Entry| {
        event::get(&entry.fields, &format!("auditd.{name}"))
            .and_then(|value| value.as_str())
            .filter(|text| *text != "?" && *text != "(null)")
            .map(str::to_owned)
    };
    for (from, to) in [
        ("exe", "process.executable"),
        ("comm", "process.name"),
        ("acct", "user.name"),
        ("auid", "user.audit.id"),
        ("uid", "user.id"),
        ("cwd", "process.working_directory"),
        ("hostname", "source.domain"),
    ] {
        if let Some(text) = take(from, entry) {
            entry.text(to, &text);
        }
    }
    if let Some(text) = take("pid", entry) {
        entry.number("process.pid", &text);
    }
    if let Some(text) = take("addr", entry) {
        entry.address("src_ip", &text);
    }
    if let Some(result) = take("res", entry).or_else(|| take("success", entry)) {
        let good = matches!(result.as_str(), "success" | "yes" | "1");
        entry.text("event.outcome", if good { "success" } else { "failure" });
    }
    entry.text("event.action", &kind.to_ascii_lowercase());
}
