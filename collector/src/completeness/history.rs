//! What was lost, refused, not looked at or silent, and when: the loss ledger over time.
//!
//! Counters are looked at every few seconds; what they grew by happened since they were heard before, and is
//! kept to the minute ([`super::series`]) for each agent and for the collector's inputs, in the sealed state.
//! The counters themselves are kept with it, so that a collector that was down takes up where it was. Not
//! here: judging a window ([`super::judge`]).

use std::collections::{BTreeMap, BTreeSet};

use event::{Ledger, Report, SourceReport, Timestamp};
use serde::{Deserialize, Serialize};

use super::Kind;
use super::series::{Series, minute};
use crate::agents::{Agent, Health};
use crate::receive::ReceiveFigures;
use crate::state::{Record, State, StateError};

/// What the collector is called among the subjects.
pub(super) const COLLECTOR: &str = "collector";
/// Most reasons of one subject; further ones are counted together.
const MAX_REASONS: usize = 64;
/// Most silences of one subject; the oldest are joined.
const MAX_SILENCES: usize = 512;

/// A time in which something was not heard of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Silence {
    /// The log source; none for the agent as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<String>,
    /// Last heard of.
    pub(super) from: Timestamp,
    /// Heard of again.
    pub(super) to: Option<Timestamp>,
    /// Until when the agent did not run: what happened until then nobody saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) down_to: Option<Timestamp>,
    /// Boot and time of the last report before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<(u64, Timestamp)>,
}

/// One counter as it stands.
struct Counter {
    /// Which one, with the run it counts since.
    key: String,
    kind: Kind,
    reason: String,
    value: u64,
    /// Since when it counts.
    since: Timestamp,
    /// Until when it counted, once that is over.
    until: Option<Timestamp>,
    /// What it grew by lately happened after this, when that is known.
    after: Option<Timestamp>,
}

/// One agent, or the collector's inputs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Subject {
    pub(super) id: String,
    /// Counters as they stood.
    #[serde(default)]
    stood: BTreeMap<String, u64>,
    /// When they were last heard.
    #[serde(default)]
    heard: Timestamp,
    /// The report they came from.
    #[serde(default)]
    report: Timestamp,
    /// Counts by kind and reason.
    #[serde(default)]
    pub(super) counts: Vec<(Kind, String, Series)>,
    #[serde(default)]
    pub(super) silences: Vec<Silence>,
    /// Something changed since it was kept.
    #[serde(skip)]
    changed: bool,
}

impl Record for Subject {
    const KIND: &'static str = "completeness";
    fn id(&self) -> &str {
        &self.id
    }
}

impl Subject {
    fn new(id: &str) -> Self {
        let (stood, counts, silences) = Default::default();
        let (heard, report) = (Timestamp::EPOCH, Timestamp::EPOCH);
        Self { id: id.to_owned(), stood, heard, report, counts, silences, changed: false }
    }

    /// Takes counters that were heard at a time, and the starts that they count since: a counter of a start
    /// that was met before was nothing then.
    fn counters(&mut self, counters: Vec<Counter>, runs: &[Timestamp], heard: Timestamp) {
        let run = |since: Timestamp| format!("run/{}", since.micros());
        let mut stood: BTreeMap<String, u64> = runs.iter().map(|since| (run(*since), 0)).collect();
        for Counter { key, kind, reason, value, since, until, after } in counters {
            let before = self.stood.get(&key).or_else(|| self.stood.get(&run(since))).copied();
            let grown = value.saturating_sub(before.unwrap_or(0));
            // What counts anew counts since its start, whatever was heard before.
            let (from, to) = match before {
                None => (since, until.unwrap_or(heard)),
                Some(_) => (self.heard.max(since), heard),
            };
            if grown > 0 {
                let from = after.unwrap_or(from).min(to);
                self.series(kind, reason).add(span(from, to), grown);
            }
            stood.insert(key, value);
        }
        self.changed |= stood != self.stood;
        self.stood = stood;
    }

    fn series(&mut self, kind: Kind, reason: String) -> &mut Series {
        let known = self.counts.iter().position(|(k, r, _)| *k == kind && *r == reason);
        let reason = if self.counts.len() < MAX_REASONS { reason } else { "other".to_owned() };
        let other = || self.counts.iter().position(|(k, r, _)| *k == kind && *r == reason);
        let at = known.or_else(other).unwrap_or(self.counts.len());
        if at == self.counts.len() {
            self.counts.push((kind, reason, Series::default()));
        }
        &mut self.counts[at].2
    }

    /// Notes whether an agent is silent.
    fn silence(&mut self, agent: &Agent, now: Timestamp) {
        let report = agent.report.as_ref().map(|report| (report.boot, report.time));
        let open = self.silences.iter().position(|one| one.source.is_none() && one.to.is_none());
        match (open, agent.health(now) == Health::Silent) {
            (None, true) => {
                let (from, to, down_to) = (agent.seen, None, None);
                self.silences.push(Silence { source: None, from, to, down_to, before: report });
                self.changed = true;
            }
            (Some(at), false) => {
                let silence = &mut self.silences[at];
                // Its first report tells whether it ran meanwhile.
                if let Some(report) = agent.report.as_ref().filter(|_| report != silence.before) {
                    let back = agent.seen.min(now).max(silence.from);
                    let ran = silence.before.is_some_and(|(boot, _)| boot == report.boot);
                    silence.to = Some(back);
                    silence.down_to = (!ran).then(|| report.started.clamp(silence.from, back));
                    silence.before = None;
                    self.changed = true;
                }
            }
            _ => {}
        }
    }

    /// Notes which log sources are silent.
    fn sources(&mut self, sources: &[SourceReport], now: Timestamp) {
        let silent: BTreeMap<&str, Timestamp> = sources
            .iter()
            .filter_map(|source| Some((source.name.as_str(), source.silent_since?)))
            .collect();
        let mut open = BTreeSet::new();
        for silence in self.silences.iter_mut().filter(|one| one.to.is_none()) {
            let Some(name) = &silence.source else { continue };
            if silent.contains_key(name.as_str()) {
                open.insert(name.clone());
                continue;
            }
            let spoke = sources.iter().find(|source| source.name == *name);
            let spoke = spoke.and_then(|source| source.last_event).unwrap_or(now);
            silence.to = Some(spoke.clamp(silence.from, now.max(silence.from)));
            self.changed = true;
        }
        for (name, from) in silent.into_iter().filter(|(name, _)| !open.contains(*name)) {
            let source = Some(name.to_owned());
            self.silences.push(Silence { source, from, to: None, down_to: None, before: None });
            self.changed = true;
        }
    }

    /// Keeps it within its bounds.
    fn thin(&mut self, now: Timestamp) {
        self.counts.iter_mut().for_each(|(_, _, series)| series.thin(minute(now)));
        while self.silences.len() > MAX_SILENCES {
            // Two that are over become one: rather too long than left out.
            let first = self.silences.remove(0);
            let next =
                self.silences.iter_mut().find(|one| one.source == first.source && one.to.is_some());
            if let Some(next) = next {
                next.from = next.from.min(first.from);
                next.down_to = next.down_to.max(first.down_to);
            }
        }
    }
}

/// Minutes from after one time up to another.
fn span(from: Timestamp, to: Timestamp) -> (u32, u32) {
    let (first, last) = (minute(from), minute(to));
    // What is heard every few seconds belongs to the minute in which it is heard.
    let first = if last.saturating_sub(first) <= 1 { last } else { first };
    (first, last)
}

/// The counters of an agent's books; `heard` is when its report before was heard.
fn books(agent: &Agent, report: &Report, heard: Timestamp) -> Vec<Counter> {
    let boot = format!("{:016x}", report.boot);
    let mut out = Vec::new();
    for book in &agent.books {
        // The time of earlier boots is not kept: some time between enrolment and this start.
        let (since, until) = match book.boot == boot {
            true => (report.started, None),
            false => (agent.enrolled, Some(report.started)),
        };
        let gaps = book.gaps.iter().filter(|(_, told)| *told >= heard);
        let after = gaps.map(|(from, _)| *from).min();
        for (reason, value) in &book.skipped {
            let key = format!("skip/{}/{reason}", book.boot);
            let (kind, reason, value) = (Kind::Lost, reason.clone(), *value);
            out.push(Counter { key, kind, reason, value, since, until, after });
        }
        let (key, value) = (format!("rejected/{}", book.boot), book.rejected);
        let (kind, reason) = (Kind::Rejected, "refused by the collector".to_owned());
        out.push(Counter { key, kind, reason, value, since, until, after: None });
    }
    out
}

/// The counters of a hop since a start.
fn hop(name: &str, ledger: &Ledger, since: Timestamp, out: &mut Vec<Counter>) {
    let dropped = ("dropped by the kernel", ledger.dropped);
    let shed = ledger.shed.iter().map(|(reason, count)| (reason.as_str(), *count));
    for (reason, value) in shed.chain([dropped]).filter(|(_, count)| *count > 0) {
        let key = format!("hop/{}/{name}/{reason}", since.micros());
        let reason = format!("{name}: {reason}");
        let (kind, until, after) = (Kind::Unseen, None, None);
        out.push(Counter { key, kind, reason, value, since, until, after });
    }
}

/// All subjects.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) subjects: BTreeMap<String, Subject>,
}

impl History {
    /// Reads what was kept.
    pub(super) fn load(state: &State) -> Result<Self, StateError> {
        let subjects = state.list::<Subject>()?.into_iter();
        Ok(Self { subjects: subjects.map(|one| (one.id.clone(), one)).collect() })
    }

    fn subject(&mut self, id: &str) -> &mut Subject {
        self.subjects.entry(id.to_owned()).or_insert_with(|| Subject::new(id))
    }

    /// Looks at an agent.
    pub(super) fn agent(&mut self, agent: &Agent, now: Timestamp) {
        let subject = self.subject(&agent.id);
        subject.silence(agent, now);
        let Some(report) = &agent.report else { return };
        let mut counters = books(agent, report, subject.heard);
        for (name, ledger) in &report.ledgers {
            hop(&format!("{name:?}").to_lowercase(), ledger, report.started, &mut counters);
        }
        let runs = [report.started, agent.enrolled];
        subject.counters(counters, &runs, agent.seen.max(report.started));
        if subject.report != report.time {
            (subject.report, subject.heard) = (report.time, agent.seen);
        }
        subject.sources(&report.sources, now);
    }

    /// Looks at the collector's own inputs, which count since `started`.
    pub(super) fn inputs(&mut self, received: &ReceiveFigures, started: Timestamp, now: Timestamp) {
        let mut counters = Vec::new();
        hop("inputs", &received.ledger, started, &mut counters);
        let subject = self.subject(COLLECTOR);
        subject.counters(counters, &[started], now);
        subject.heard = now;
        subject.sources(&received.sources, now);
    }

    /// Keeps what has changed. Blocks.
    pub(super) fn keep(&mut self, state: &State, now: Timestamp) -> Result<(), StateError> {
        for subject in self.subjects.values_mut().filter(|subject| subject.changed) {
            subject.thin(now);
            state.put(subject)?;
            subject.changed = false;
        }
        Ok(())
    }
}
