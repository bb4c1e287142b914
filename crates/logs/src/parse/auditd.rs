//! Records of the Linux audit system: `type=EXECVE msg=audit(1795359845.123:77): key=value ...`.
//!
//! One event of it is often several records with the same time and serial. A line as it is is a record on
//! its own; the source `source::audit` puts the records of one event together. Both give the same names. Which records belong together and when an event is over is not known here.

use serde_json::Value;

use super::{Entry, work};

mod address;
mod event;
mod names;
mod record;
#[cfg(test)]
mod tests;

pub(crate) use names::{Part, part_of, type_name};
pub(crate) use record::Head;

use event::Builder;

/// Whether a line looks like one of the audit system.
pub(super) fn begins(line: &str) -> bool {
    line.starts_with("type=") || line.starts_with("node=")
}

/// Reads a record, or the records of one event, a line each; false when one of them is none.
pub(super) fn read(text: &str, entry: &mut Entry) -> bool {
    let heads: Vec<Option<Head<'_>>> = text.split('\n').map(Head::of).collect();
    let Some(first) = heads.iter().flatten().next() else { return false };
    let mut builder = Builder::new(entry, first, heads.len() > 1);
    heads.iter().flatten().for_each(|head| builder.record(head));
    builder.finish();
    heads.iter().all(Option::is_some)
}

/// The event of its records, each as it is written in `audit.log`. What is no record is flagged.
pub(crate) fn joined(lines: &[String], now: ::event::Timestamp) -> Entry {
    let mut entry = Entry::new(now);
    let original = lines.join("\n");
    entry.parsed = read(&original, &mut entry);
    if !entry.parsed {
        entry.flag("unparsed");
    }
    if !entry.fields.contains_key("message") {
        entry.text("message", &original);
    }
    work::spend(original.len());
    entry.text("event.original", &original);
    let cut = original.len().saturating_sub(super::MAX_FIELD);
    if cut > 0 {
        entry.put_static(&["log", "truncated_bytes"], Value::from(cut));
    }
    entry
}
