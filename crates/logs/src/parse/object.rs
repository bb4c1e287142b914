//! Texts that are one object: JSON, also behind the cookie of CEE, and Windows events as XML; alone on a line or
//! as the message of syslog. Which parser knows the object is the library's to say.

use event::Object;
use serde_json::Value;

use super::library::{Context, Library};
use super::{Entry, json, winxml};

/// Whether a text looks like an object.
pub(super) fn begins(text: &str) -> bool {
    match text.as_bytes().first() {
        Some(b'{') => true,
        Some(b'@') => text.starts_with(COOKIE),
        Some(b'<') => winxml::begins(text),
        _ => false,
    }
}

/// Marks structured messages of syslog (CEE, "Log Transport").
const COOKIE: &str = "@cee:";

/// Reads an object, and what the parser that is named or fits knows of it; false when it is none.
pub(super) fn read(
    text: &str,
    (library, named): (&Library, Option<usize>),
    cx: Context<'_>,
    entry: &mut Entry,
) -> bool {
    if !fields(text, entry) {
        return false;
    }
    library.object(named, cx, entry);
    true
}

fn fields(text: &str, entry: &mut Entry) -> bool {
    let text = text.strip_prefix(COOKIE).map_or(text, str::trim_start);
    if winxml::begins(text) { winxml::read(text, entry) } else { json::read(text, entry) }
}

/// As [`read`], for the message of a record of which the header is known: its fields and those of the header. The
/// object knows better than the header what it is about; the header stays whole in `log.syslog`.
pub(super) fn read_below(
    text: &str,
    library: (&Library, Option<usize>),
    cx: Context<'_>,
    entry: &mut Entry,
) -> bool {
    let mut inner = Entry::new(entry.time);
    if !fields(text, &mut inner) {
        return false;
    }
    entry.time = inner.time;
    let mut header = std::mem::replace(&mut entry.fields, inner.fields);
    let sender = header.shift_remove("process");
    for (name, value) in header {
        lay_below(&mut entry.fields, name, value, true);
    }
    let (library, named) = library;
    // What a parser knows is about something else than whoever sent it on.
    if !library.object(named, cx, entry)
        && let Some(sender) = sender
    {
        lay_below(&mut entry.fields, "process".to_owned(), sender, true);
    }
    true
}

/// Puts a field of the header where the object has none; `log.syslog` is the header's alone.
fn lay_below(object: &mut Object, name: String, value: Value, top: bool) {
    match (object.get_mut(&name), value) {
        (Some(Value::Object(there)), Value::Object(more)) if top || name != "syslog" => {
            for (name, value) in more {
                lay_below(there, name, value, false);
            }
        }
        // A text where the header has an object, such as `host`: the object, with the text inside.
        (Some(there), Value::Object(mut more)) if !there.is_null() => {
            more.insert("original".to_owned(), there.take());
            *there = Value::Object(more);
        }
        (Some(there), value) if there.is_null() => *there = value,
        (Some(_), _) => {}
        (None, value) => {
            object.insert(name, value);
        }
    }
}
