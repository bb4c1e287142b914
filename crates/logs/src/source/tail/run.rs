//! The thread that follows files: waits for changes, polls, passes on, counts.

use std::sync::Arc;
use std::time::Duration;

use service::Clock;

use super::{Note, Read, Sink, Tailer};
use crate::source::counters::Tally;
use crate::source::{Intake, Item};

/// Longest wait for a change.
const WAIT: Duration = Duration::from_millis(200);
/// Least time between two polls: lines that come one by one are read many at a time.
const PACE: Duration = Duration::from_millis(20);

/// Events passed on together at most, and bytes of their lines after which they are.
const TOGETHER: usize = 256;
const TOGETHER_BYTES: usize = 256 * 1024;

/// The intakes, and what is passed on next.
struct ToIntake {
    intakes: Vec<(Intake, Tally)>,
    item: Item,
    bytes: usize,
}

impl ToIntake {
    fn new(intakes: Vec<Intake>) -> Self {
        let intakes = intakes.into_iter().map(|intake| (intake, Tally::default())).collect();
        Self { intakes, item: empty(), bytes: 0 }
    }

    fn is_stopping(&self) -> bool {
        self.intakes.iter().any(|(intake, _)| intake.is_stopping())
    }

    /// Passes on what was gathered. False when nobody takes it.
    fn send(&mut self) -> bool {
        if self.item.events.is_empty() {
            return true;
        }
        for (intake, tally) in &mut self.intakes {
            if tally.lines > 0 {
                intake.count(&std::mem::take(tally));
            }
        }
        self.bytes = 0;
        let item = std::mem::replace(&mut self.item, empty());
        self.intakes.first().is_some_and(|(intake, _)| intake.send(item).is_ok())
    }
}

fn empty() -> Item {
    Item { events: Vec::with_capacity(TOGETHER), moved: Vec::new() }
}

impl Sink for ToIntake {
    fn record(&mut self, read: Read) -> bool {
        let Read { group, event, position: (key, position), also, parsed, bytes } = read;
        let Some((_, tally)) = self.intakes.get_mut(group) else { return false };
        tally.add(&event, parsed, bytes);
        self.item.events.push(event);
        self.item.moved.extend(also);
        // Line after line of one file: the last place counts.
        match self.item.moved.last_mut() {
            Some((last, place)) if Arc::ptr_eq(last, &key) => *place = Some(position),
            _ => self.item.moved.push((key, Some(position))),
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let full = self.item.events.len() >= TOGETHER || self.bytes >= TOGETHER_BYTES;
        (!full || self.send()) && !self.is_stopping()
    }

    fn note(&mut self, note: Note) {
        let Some((intake, _)) = self.intakes.first() else { return };
        tell(intake, note);
    }
}

/// Counts and logs what happened besides lines.
pub(in crate::source) fn tell(intake: &Intake, note: Note) {
    match note {
        Note::Truncated { path, lost } => {
            intake.counters().count_truncated(lost);
            tracing::warn!(path = %path.display(), lost, "file was truncated, read from its start");
        }
        Note::Continued { path, copy } => {
            let copy = copy.display();
            tracing::info!(path = %path.display(), %copy, "the rest of a file is in its copy");
        }
        Note::Unreadable(path, reason) => {
            intake.source().count_error();
            tracing::warn!(path = %path.display(), reason, "file cannot be read");
        }
        Note::TooMany(path) => {
            intake.source().count_error();
            tracing::error!(path = %path.display(), "too many files, this one is not followed");
        }
    }
}

/// Follows files until the intakes stop; there is one for each configuration. Blocks.
pub fn run(mut tailer: Tailer, intakes: Vec<Intake>, clock: &Clock) {
    let mut sink = ToIntake::new(intakes);
    while !sink.is_stopping() {
        let began = clock.monotonic();
        let more = tailer.poll(&mut sink);
        if !sink.send() {
            return;
        }
        if more {
            continue;
        }
        for ((intake, _), progress) in sink.intakes.iter().zip(tailer.progress()) {
            intake.source().set_place(progress.place, progress.behind);
        }
        tailer.wait(WAIT);
        let spent = clock.monotonic().saturating_sub(began);
        std::thread::sleep(PACE.saturating_sub(spent));
    }
    // What waits for a further line is read again after the next start.
}
