//! Which log sources have fallen silent: by what is configured, or by what each has done before.
//!
//! Without a time in the configuration a source is learned. Once it has been watched for seven days, its longest pause of
//! the last one to two weeks, nights and a weekend among them, is known; when that is at most six hours it counts as one
//! that speaks regularly, and twice that pause, at least 15 minutes, is too much. A source with longer pauses is never
//! found silent unless a time is configured. Only time in which somebody listened and took what came counts.
//! What was learned is kept over a restart. For agent and collector alike; the collector raises the alarm.

use std::collections::BTreeMap;

use event::{SourceReport, Timestamp};
use serde::{Deserialize, Serialize};

/// Microseconds of a second.
const SECOND: i64 = 1_000_000;
/// Between two reports at most so long; what is longer was no watching.
const STEP: i64 = 60 * SECOND;
/// Time after which enough is known.
const LEARN: i64 = 7 * 86_400 * SECOND;
/// Longest pause of a source that speaks regularly.
const REGULAR: i64 = 6 * 3600 * SECOND;
/// Least silence that is told of without configuration.
const LEAST: i64 = 900 * SECOND;
/// Time between two savings.
const KEEP: i64 = 600 * SECOND;

/// What is known of a source; times in microseconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    /// For how long it was watched.
    watched: i64,
    /// From when its silence counts.
    spoke: i64,
    /// Its last event.
    heard: i64,
    /// Longest pause of this week and of the one before.
    longest: [i64; 2],
    /// Number of this week.
    week: i64,
    /// It was found silent.
    silent: bool,
}

/// Watches log sources by their reports.
#[derive(Debug, Default)]
pub struct Watcher {
    known: BTreeMap<String, Known>,
    /// When it looked last; 0 before the first time.
    looked: i64,
    saved: i64,
}

impl Watcher {
    /// Goes on from what was kept.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn restore(kept: &[u8]) -> Result<Self, serde_json::Error> {
        Ok(Self { known: serde_json::from_slice(kept)?, ..Self::default() })
    }

    /// What is to be kept.
    pub fn snapshot(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(&self.known).ok()
    }

    /// Looks at the reports of sources, at least once a minute, and says there which are silent; `blocked` while nothing is
    /// taken of them. True when what is known should be kept.
    pub fn observe(&mut self, sources: &mut [SourceReport], now: Timestamp, blocked: bool) -> bool {
        let now = now.micros();
        let step = now.saturating_sub(self.looked);
        let watching = (0..STEP).contains(&step) && !blocked;
        self.looked = now;
        let mut turned = false;
        let mut known = std::mem::take(&mut self.known);
        for source in sources {
            let mut one = known.remove(&source.name).unwrap_or_default();
            let was = one.silent;
            one.look(source, now, watching.then_some(step));
            turned |= was != one.silent;
            self.known.insert(source.name.clone(), one);
        }
        let due = turned || now.saturating_sub(self.saved) >= KEEP;
        if due {
            self.saved = now;
        }
        due
    }
}

impl Known {
    fn look(&mut self, source: &mut SourceReport, now: i64, step: Option<i64>) {
        self.turn_week(now);
        let heard = source.last_event.map_or(0, Timestamp::micros);
        if heard > self.heard {
            // A pause that nobody watched is none.
            if step.is_some() && !self.silent {
                let [longest, _] = &mut self.longest;
                *longest = (*longest).max(heard.saturating_sub(self.spoke));
            }
            self.heard = heard;
            self.spoke = heard;
            self.silent = false;
        }
        match step {
            Some(step) => self.watched = self.watched.saturating_add(step),
            None if !self.silent => self.spoke = now,
            None => {}
        }
        source.quiet_learned = source.quiet_after_seconds.is_none();
        let limit = match source.quiet_after_seconds {
            Some(0) => None,
            Some(seconds) => i64::try_from(seconds).ok().and_then(|one| one.checked_mul(SECOND)),
            None => self.learned(),
        };
        let pause = now.saturating_sub(self.spoke);
        // What was found silent stays so until it speaks, or nobody waits for it any more.
        self.silent = limit.is_some_and(|limit| self.silent || pause >= limit);
        let seconds = limit.and_then(|limit| u64::try_from(limit.checked_div(SECOND)?).ok());
        source.quiet_after_seconds = seconds;
        source.silent_since = self.silent.then(|| Timestamp::from_micros(self.spoke));
    }

    /// Silence after which it is told of, by what it has done before.
    fn learned(&self) -> Option<i64> {
        let longest = self.longest.into_iter().max().unwrap_or(0);
        let regular = self.watched >= LEARN && self.heard > 0 && (1..=REGULAR).contains(&longest);
        regular.then(|| longest.saturating_mul(2).max(LEAST))
    }

    fn turn_week(&mut self, now: i64) {
        let week = now.checked_div(LEARN).unwrap_or(0);
        if week == self.week {
            return;
        }
        let [this, _] = self.longest;
        let last = if week == self.week.saturating_add(1) { this } else { 0 };
        self.longest = [0, last];
        self.week = week;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_795_359_845 * SECOND;
    const HOUR: i64 = 3600 * SECOND;

    /// A source, time, and what watches it.
    struct Test {
        watcher: Watcher,
        now: i64,
        heard: Option<i64>,
        configured: Option<u64>,
    }

    impl Test {
        fn new(configured: Option<u64>) -> Self {
            Self { watcher: Watcher::default(), now: START, heard: None, configured }
        }

        fn look(&mut self, blocked: bool) -> SourceReport {
            let source = SourceReport {
                name: "files x".into(),
                last_event: self.heard.map(Timestamp::from_micros),
                quiet_after_seconds: self.configured,
                ..SourceReport::default()
            };
            let mut sources = [source];
            self.watcher.observe(&mut sources, Timestamp::from_micros(self.now), blocked);
            let [source] = sources;
            source
        }

        /// Lets time pass, and the source speak every so often; whether it was found silent on the way.
        fn pass(&mut self, time: i64, every: Option<i64>) -> bool {
            let end = self.now + time;
            let mut silent = false;
            while self.now < end {
                self.now += 30 * SECOND;
                let due = |every| self.heard.is_none_or(|heard| self.now - heard >= every);
                if every.is_some_and(due) {
                    self.heard = Some(self.now);
                }
                silent |= self.look(false).silent_since.is_some();
            }
            silent
        }
    }

    #[test]
    fn a_time_that_is_configured() {
        let mut test = Test::new(Some(900));
        assert!(!test.pass(890 * SECOND, None));
        assert!(test.pass(60 * SECOND, None));
        let since = test.look(false).silent_since;
        assert_eq!(since, Some(Timestamp::from_micros(START + 30 * SECOND)));
        assert!(test.pass(HOUR, None));
        assert!(!test.pass(HOUR, Some(60 * SECOND)));
        // `never`
        assert!(!Test::new(Some(0)).pass(40 * HOUR, None));
    }

    #[test]
    fn what_speaks_regularly_is_learned_in_a_week() {
        let mut test = Test::new(None);
        assert!(!test.pass(6 * 24 * HOUR, Some(600 * SECOND)));
        assert!(!test.pass(5 * HOUR, None), "not enough is known yet");
        assert!(!test.pass(14 * 24 * HOUR, Some(600 * SECOND)));
        assert_eq!(test.look(false).quiet_after_seconds, Some(1_200));
        assert!(test.look(false).quiet_learned);
        test.heard = Some(test.now);
        assert!(!test.pass(1_100 * SECOND, None));
        assert!(test.pass(200 * SECOND, None));
        // That pause taught nothing.
        assert!(!test.pass(24 * HOUR, Some(600 * SECOND)));
        assert_eq!(test.look(false).quiet_after_seconds, Some(1_200));
    }

    #[test]
    fn what_is_quiet_at_night_is_not_told_of() {
        let mut test = Test::new(None);
        for _ in 0..20 {
            assert!(!test.pass(16 * HOUR, Some(60 * SECOND)));
            assert!(!test.pass(8 * HOUR, None));
        }
        assert_eq!(test.look(false).quiet_after_seconds, None);
        // With nights of four hours eight are too much.
        let mut test = Test::new(None);
        for _ in 0..20 {
            assert!(!test.pass(20 * HOUR, Some(60 * SECOND)));
            assert!(!test.pass(4 * HOUR, None));
        }
        assert!(test.pass(9 * HOUR, None));
    }

    #[test]
    fn time_in_which_nobody_listened_counts_for_nothing() {
        let mut test = Test::new(Some(900));
        test.pass(600 * SECOND, Some(30 * SECOND));
        // The agent was off, or the machine asleep.
        test.now += 10 * HOUR;
        assert_eq!(test.look(false).silent_since, None);
        assert!(!test.pass(800 * SECOND, None));
        // The spool is full: sources wait.
        for _ in 0..100 {
            test.now += 30 * SECOND;
            assert_eq!(test.look(true).silent_since, None);
        }
        assert!(test.pass(HOUR, None));
    }

    #[test]
    fn what_is_known_is_kept_over_a_restart() {
        let mut test = Test::new(Some(900));
        test.pass(600 * SECOND, Some(30 * SECOND));
        assert!(test.pass(HOUR, None));
        let since = test.look(false).silent_since;
        test.watcher = Watcher::restore(&test.watcher.snapshot().unwrap()).unwrap();
        test.now += HOUR;
        // The counters of the new start know of no event yet.
        test.heard = None;
        assert_eq!(test.look(false).silent_since, since);
        test.heard = Some(test.now);
        assert_eq!(test.look(false).silent_since, None);
        assert!(Watcher::restore(b"x").is_err());
    }
}
