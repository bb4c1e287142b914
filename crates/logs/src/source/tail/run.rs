//! The thread that follows files: waits for changes, polls, passes on, counts.

use std::time::Duration;

use service::Clock;

use super::{Note, Read, Sink, Tailer};
use crate::source::{Intake, Item};

/// Longest wait for a change.
const WAIT: Duration = Duration::from_millis(200);
/// Least time between two polls: lines that come one by one are read many at a time.
const PACE: Duration = Duration::from_millis(20);

struct ToIntake(Vec<Intake>);

impl Sink for ToIntake {
    fn record(&mut self, read: Read) -> bool {
        let Some(intake) = self.0.get(read.group) else { return false };
        let Read { event, position, also, parsed, bytes, .. } = read;
        let item = Item { event, position: Some(position), also };
        intake.wait(item, parsed, bytes).is_ok() && !intake.is_stopping()
    }

    fn note(&mut self, note: Note) {
        let Some(intake) = self.0.first() else { return };
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
}

/// Follows files until the intakes stop; there is one for each configuration. Blocks.
pub fn run(mut tailer: Tailer, intakes: Vec<Intake>, clock: &Clock) {
    let mut sink = ToIntake(intakes);
    let stopping = |sink: &ToIntake| sink.0.iter().any(Intake::is_stopping);
    while !stopping(&sink) {
        let began = clock.monotonic();
        if tailer.poll(&mut sink) {
            continue;
        }
        for (intake, progress) in sink.0.iter().zip(tailer.progress()) {
            intake.source().set_place(progress.place, progress.behind);
        }
        tailer.wait(WAIT);
        let spent = clock.monotonic().saturating_sub(began);
        std::thread::sleep(PACE.saturating_sub(spent));
    }
    // What waits for a further line is read again after the next start.
}
