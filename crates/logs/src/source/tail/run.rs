//! The thread that follows files: waits for changes, polls, passes on, counts.

use std::sync::Arc;
use std::time::Duration;

use service::Clock;

use super::{Aside, Note, Read, Sink, Tailer};
use crate::source::counters::Tally;
use crate::source::{Intake, Item, Source};

/// Longest wait for a change.
const WAIT: Duration = Duration::from_millis(200);
/// Least time between two polls: lines that come one by one are read many at a time.
const PACE: Duration = Duration::from_millis(20);

/// Events passed on together at most, and bytes of their lines after which they are.
const TOGETHER: usize = 256;
const TOGETHER_BYTES: usize = 256 * 1024;

/// Lines of one group of files that became no record, since the start.
#[derive(Debug, Default)]
pub(in crate::source) struct Asides {
    directives: u64,
    empty: u64,
}

impl Asides {
    pub(in crate::source) const fn add(&mut self, aside: Aside) {
        let count = match aside {
            Aside::Directive => &mut self.directives,
            Aside::Empty => &mut self.empty,
        };
        *count = count.saturating_add(1);
    }

    /// Tells the counts that are not zero.
    pub(in crate::source) fn tell(&self, source: &Source) {
        for (name, count) in [("directives", self.directives), ("empty_lines", self.empty)] {
            if count > 0 {
                source.set_further(name, count);
            }
        }
    }
}

/// One configured group of files: where its events go, and its counts.
struct To {
    intake: Intake,
    tally: Tally,
    asides: Asides,
}

/// The intakes, and what is passed on next.
struct ToIntake {
    intakes: Vec<To>,
    item: Item,
    bytes: usize,
}

impl ToIntake {
    fn new(intakes: Vec<Intake>) -> Self {
        let to = |intake| To { intake, tally: Tally::default(), asides: Asides::default() };
        let intakes = intakes.into_iter().map(to).collect();
        Self { intakes, item: empty(), bytes: 0 }
    }

    fn is_stopping(&self) -> bool {
        self.intakes.iter().any(|to| to.intake.is_stopping())
    }

    /// Passes on what was gathered. False when nobody takes it.
    fn send(&mut self) -> bool {
        self.intakes.iter().for_each(|to| to.asides.tell(to.intake.source()));
        if self.item.events.is_empty() {
            return true;
        }
        for To { intake, tally, .. } in &mut self.intakes {
            if tally.lines > 0 {
                intake.count(&std::mem::take(tally));
            }
        }
        self.bytes = 0;
        let item = std::mem::replace(&mut self.item, empty());
        self.intakes.first().is_some_and(|to| to.intake.send(item).is_ok())
    }
}

fn empty() -> Item {
    Item { events: Vec::with_capacity(TOGETHER), moved: Vec::new() }
}

impl Sink for ToIntake {
    fn record(&mut self, read: Read) -> bool {
        let Read { group, event, position: (key, position), also, parsed, bytes } = read;
        let Some(to) = self.intakes.get_mut(group) else { return false };
        to.tally.add(&event, parsed, bytes);
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

    fn aside(&mut self, group: usize, aside: Aside) {
        if let Some(to) = self.intakes.get_mut(group) {
            to.asides.add(aside);
        }
    }

    fn note(&mut self, note: Note) {
        let Some(to) = self.intakes.first() else { return };
        tell(&to.intake, note);
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
        for (to, progress) in sink.intakes.iter().zip(tailer.progress()) {
            to.intake.source().set_place(progress.place, progress.behind);
        }
        tailer.wait(WAIT);
        let spent = clock.monotonic().saturating_sub(began);
        std::thread::sleep(PACE.saturating_sub(spent));
    }
    // What waits for a further line is read again after the next start.
}

#[cfg(test)]
mod tests {
    use service::Shutdown;

    use super::*;
    use crate::config::{FileConfig, Format};
    use crate::source::{Counters, Positions};

    #[test]
    fn each_line_of_a_file_is_a_record_or_counted_as_what_else_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let head = "#Software: x\r\n#Fields: date time c-ip\r\n";
        let line = "2026-11-22 15:04:05 192.0.2.1\r\n";
        let text = format!("{head}{line}{line}\r\n{head}{line}#Remark: over\r\n\r\nnothing\r\n");
        let paths = vec![format!("{}/*.log", folder.path().display())];
        std::fs::write(folder.path().join("u.log"), &text).unwrap();
        let format = Format::named("iis").unwrap();
        let config = FileConfig { paths, format, from_start: true, ..FileConfig::default() };
        let clock = Clock::manual(1_795_359_845_000_000);
        let mut tailer = Tailer::new(&[config], Positions::new(), clock).unwrap();
        let (queue, _taken) = crossbeam_channel::bounded(8);
        let intake = Intake::new(queue, Arc::new(Counters::default()), Shutdown::new()).of("files");
        let mut sink = ToIntake::new(vec![intake.clone()]);
        while tailer.poll(&mut sink) {}
        assert!(sink.send());
        let report = intake.source().report();
        let further: Vec<_> = report.further.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        assert_eq!(further, [("directives", 5), ("empty_lines", 2)]);
        assert_eq!((report.lines, report.unparsed), (4, 1));
        let all = report.further.values().sum::<u64>() + report.lines;
        assert_eq!(usize::try_from(all).unwrap(), text.lines().count());
    }
}
