//! Records into events: which belong together, and when an event is over.
//!
//! Records of an event have its node, time and serial; those of several events may stand between each other. An event
//! is over with the kernel's mark of its end (EOE, which auditd does not write), with PROCTITLE, which comes last, at
//! once when user space has written it, or when nothing has told its end in time. What is held is bounded; what finds
//! no room is counted. Knows neither files nor sockets.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::parse::MAX_FIELD;
use crate::parse::auditd::{Head, Part, part_of};

/// Most events that are not given out.
const MAX_OPEN: usize = 1024;
/// Most records of one event.
const MAX_RECORDS: usize = 512;
/// Most bytes of the records of one event.
const MAX_BYTES: usize = MAX_FIELD;
/// Events given out last that a late record is told by.
const RECENT: usize = 64;

/// Which event a record is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventId {
    /// Host; empty when the log is of one alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// Time of the event, microseconds since the epoch.
    pub time: i64,
    /// Its serial.
    pub serial: u64,
}

impl EventId {
    pub(super) fn of(head: &Head<'_>) -> Self {
        let node = head.node.unwrap_or_default().to_owned();
        Self { node, time: head.time.micros(), serial: head.serial }
    }

    fn is(&self, head: &Head<'_>) -> bool {
        self.serial == head.serial
            && self.time == head.time.micros()
            && self.node == head.node.unwrap_or_default()
    }
}

/// Where the first record of an event stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The log it is in; order holds within one.
    pub(super) log: Arc<str>,
    /// Path and offset, when it is a file.
    pub(super) place: Option<(String, u64)>,
    /// Bytes of it were no text.
    pub(super) damaged: bool,
}

/// How an event came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It was told.
    Told,
    /// Nothing told it in time.
    Time,
    /// There was no room for more events.
    Crowd,
}

/// The records of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Joined {
    /// Number of it, in the order in which events began.
    pub(super) number: u64,
    /// `None` when the line is no record.
    pub(super) id: Option<Arc<EventId>>,
    pub(super) lines: Vec<String>,
    pub(super) found: Found,
    pub(super) ending: Ending,
    /// Records without room, and their bytes.
    pub(super) cut: (u64, u64),
    /// The event was given out before.
    pub(super) late: bool,
}

#[derive(Debug)]
struct Open {
    joined: Joined,
    bytes: usize,
    over: bool,
    /// The log its last record was in.
    last: Arc<str>,
    /// When its last record came.
    touched: Duration,
}

/// What becomes of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is part of the event of this number.
    By(u64, Option<Arc<EventId>>),
    /// There is nothing in it.
    Empty,
}

/// Holds the events that are not over.
#[derive(Debug)]
pub(super) struct Assembler {
    open: VecDeque<Open>,
    recent: VecDeque<Arc<EventId>>,
    /// Events of a log are given out in the order in which they began.
    ordered: bool,
    timeout: Duration,
    next: u64,
}

impl Assembler {
    pub(super) fn new(ordered: bool, timeout: Duration) -> Self {
        Self { open: VecDeque::new(), recent: VecDeque::new(), ordered, timeout, next: 0 }
    }

    /// Takes a line.
    pub(super) fn take(&mut self, line: String, found: Found, clock: Duration) -> Taken {
        let Some(head) = Head::of(&line) else { return self.begin((line, None), found, clock) };
        let part = part_of(head.kind);
        let of = |open: &&mut Open| open.joined.id.as_ref().is_some_and(|id| id.is(&head));
        if let Some(open) = self.open.iter_mut().rev().find(of) {
            open.over |= part != Part::Some;
            if part == Part::End {
                return Taken::By(open.joined.number, open.joined.id.clone());
            }
            open.touched = clock;
            open.last = found.log;
            return open.put(line);
        }
        if part == Part::End {
            return Taken::Empty;
        }
        self.expire(&head, &found.log);
        let id = EventId::of(&head);
        self.begin((line, Some((id, part))), found, clock)
    }

    fn begin(
        &mut self,
        (line, known): (String, Option<(EventId, Part)>),
        found: Found,
        clock: Duration,
    ) -> Taken {
        if self.open.len() >= MAX_OPEN {
            self.crowd();
        }
        let number = self.next;
        self.next = number.saturating_add(1);
        let over = known.as_ref().is_none_or(|(_, part)| *part != Part::Some);
        let id = known.map(|(id, _)| Arc::new(id));
        let late = id.as_ref().is_some_and(|id| self.recent.contains(id));
        let last = Arc::clone(&found.log);
        let (lines, cut, ending) = (Vec::new(), (0, 0), Ending::Told);
        let joined = Joined { number, id, lines, found, ending, cut, late };
        let mut open = Open { joined, bytes: 0, over, last, touched: clock };
        let taken = open.put(line);
        self.open.push_back(open);
        taken
    }

    /// The first record of an event says how late it is: events of the same log that are older by the time out are over.
    fn expire(&mut self, head: &Head<'_>, log: &Arc<str>) {
        let node = head.node.unwrap_or_default();
        let timeout = i64::try_from(self.timeout.as_micros()).unwrap_or(i64::MAX);
        for open in self.open.iter_mut().filter(|open| !open.over) {
            let Some(id) = &open.joined.id else { continue };
            let age = head.time.micros_since(Timestamp::from_micros(id.time));
            if age >= timeout && open.last == *log && id.node == node {
                open.end(Ending::Time);
            }
        }
    }

    /// Ends the oldest event that is not over.
    fn crowd(&mut self) {
        if let Some(open) = self.open.iter_mut().find(|open| !open.over) {
            open.end(Ending::Crowd);
        }
    }

    /// Ends what has waited long enough. To be called when nothing more is there to be read.
    pub(super) fn tick(&mut self, clock: Duration) {
        for open in self.open.iter_mut().filter(|open| !open.over) {
            if clock.saturating_sub(open.touched) >= self.timeout {
                open.end(Ending::Time);
            }
        }
    }

    /// The next event to be given out.
    pub(super) fn ready(&mut self) -> Option<Joined> {
        let mut waiting: Vec<&Arc<str>> = Vec::new();
        let at = self.open.iter().position(|open| {
            let log = &open.joined.found.log;
            if open.over && !waiting.contains(&log) {
                return true;
            }
            if self.ordered && !waiting.contains(&log) {
                waiting.push(log);
            }
            false
        })?;
        let joined = self.open.remove(at)?.joined;
        if let Some(id) = &joined.id {
            self.recent.push_back(Arc::clone(id));
            if self.recent.len() > RECENT {
                self.recent.pop_front();
            }
        }
        Some(joined)
    }

    /// Events held.
    pub(super) fn held(&self) -> usize {
        self.open.len()
    }
}

impl Open {
    const fn end(&mut self, ending: Ending) {
        self.over = true;
        self.joined.ending = ending;
    }

    fn put(&mut self, line: String) -> Taken {
        let length = line.len();
        let joined = &mut self.joined;
        let room =
            joined.lines.len() < MAX_RECORDS && self.bytes.saturating_add(length) <= MAX_BYTES;
        if room || joined.lines.is_empty() {
            // Lines are joined by a line feed.
            self.bytes = self.bytes.saturating_add(length).saturating_add(1);
            joined.lines.push(line);
        } else {
            let (records, bytes) = joined.cut;
            let length = u64::try_from(length).unwrap_or(u64::MAX);
            joined.cut = (records.saturating_add(1), bytes.saturating_add(length));
        }
        Taken::By(joined.number, joined.id.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn found(log: &str) -> Found {
        Found { log: log.into(), place: None, damaged: false }
    }

    fn line(kind: &str, second: i64, serial: u64) -> String {
        format!("type={kind} msg=audit({}.000:{serial}): a=b", 1_795_359_845 + second)
    }

    /// Steps: `KIND second:serial [log]`, `tick MILLISECONDS`; what is given out after each.
    fn check(ordered: bool, steps: &[&str], expected: &Expect) {
        let mut assembler = Assembler::new(ordered, Duration::from_secs(2));
        let mut out = String::new();
        let mut clock = Duration::ZERO;
        for step in steps {
            let (kind, rest) = step.split_once(' ').unwrap();
            if kind == "tick" {
                clock += Duration::from_millis(rest.parse().unwrap());
                assembler.tick(clock);
            } else {
                let (place, log) = rest.split_once(' ').unwrap_or((rest, "a"));
                let (second, serial) = place.split_once(':').unwrap();
                let line = line(kind, second.parse().unwrap(), serial.parse().unwrap());
                assembler.take(line, found(log), clock);
            }
            while let Some(joined) = assembler.ready() {
                let kinds: Vec<&str> =
                    joined.lines.iter().map(|line| Head::of(line).unwrap().kind).collect();
                let serial = joined.id.unwrap().serial;
                let late = if joined.late { " late" } else { "" };
                out.push_str(&format!(
                    "{step}: {serial} {} {:?}{late}\n",
                    kinds.join("+"),
                    joined.ending
                ));
            }
        }
        expected.assert_eq(&format!("{out}{} held\n", assembler.held()));
    }

    #[test]
    fn one_after_the_other_and_mixed() {
        let steps = [
            "SYSCALL 0:1",
            "SYSCALL 0:2",
            "PATH 0:1",
            "CWD 0:2",
            "PROCTITLE 0:2",
            "USER_LOGIN 0:3",
            "PROCTITLE 0:1",
            "EOE 0:1",
            "EOE 0:2",
        ];
        check(
            true,
            &steps,
            &expect![[r#"
            PROCTITLE 0:1: 1 SYSCALL+PATH+PROCTITLE Told
            PROCTITLE 0:1: 2 SYSCALL+CWD+PROCTITLE Told
            PROCTITLE 0:1: 3 USER_LOGIN Told
            0 held
        "#]],
        );
        check(
            false,
            &steps,
            &expect![[r#"
            PROCTITLE 0:2: 2 SYSCALL+CWD+PROCTITLE Told
            USER_LOGIN 0:3: 3 USER_LOGIN Told
            PROCTITLE 0:1: 1 SYSCALL+PATH+PROCTITLE Told
            0 held
        "#]],
        );
    }

    #[test]
    fn what_has_no_end_is_ended_by_time() {
        let steps =
            ["ANOM_ABEND 0:1", "USER_END 0:2", "tick 1999", "tick 1", "PATH 0:1", "tick 5000"];
        check(
            true,
            &steps,
            &expect![[r#"
            tick 1: 1 ANOM_ABEND Time
            tick 1: 2 USER_END Told
            tick 5000: 1 PATH Time late
            0 held
        "#]],
        );
        // Records that were written later tell the time too, those of another log do not.
        let steps = ["SYSCALL 0:1", "USER_END 9:7 b", "PATH 0:1", "USER_END 2:8", "PATH 0:1"];
        check(
            true,
            &steps,
            &expect![[r#"
            USER_END 9:7 b: 7 USER_END Told
            USER_END 2:8: 1 SYSCALL+PATH Time
            USER_END 2:8: 8 USER_END Told
            1 held
        "#]],
        );
        // A clock that was set back ends nothing.
        check(
            true,
            &["SYSCALL 100:1", "SYSCALL 0:2", "EOE 100:1", "EOE 0:2"],
            &expect![[r#"
                EOE 100:1: 1 SYSCALL Told
                EOE 0:2: 2 SYSCALL Told
                0 held
            "#]],
        );
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut assembler = Assembler::new(true, Duration::from_secs(2));
        for serial in 0..2_000 {
            assembler.take(line("SYSCALL", 0, serial), found("a"), Duration::ZERO);
        }
        let mut crowded = 0;
        while let Some(joined) = assembler.ready() {
            assert_eq!(joined.ending, Ending::Crowd);
            crowded += 1;
        }
        assert_eq!((crowded, assembler.held()), (976, 1024));
        let long = format!("{}{}", line("EXECVE", 0, 5_000), "x".repeat(1_000));
        for _ in 0..100 {
            assembler.take(long.clone(), found("b"), Duration::ZERO);
        }
        assembler.take(line("EOE", 0, 5_000), found("b"), Duration::ZERO);
        let joined = std::iter::from_fn(|| assembler.ready()).last().unwrap();
        let kept = joined.lines.len();
        assert!(joined.lines.join("\n").len() <= MAX_BYTES && kept > 50, "{kept}");
        let left = 100 - u64::try_from(kept).unwrap();
        assert_eq!(joined.cut, (left, left * u64::try_from(long.len()).unwrap()));
    }
}
