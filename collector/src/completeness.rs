//! How complete the events of a window of time are, told with every answer: from the loss ledger of
//! the agents, of the collector's own inputs and of the store.
//!
//! Ledgers count since a start, so a loss is told for every window that its time of counting reaches
//! into: rather once too often than once too little. Not here: what a search itself left out, which
//! its answer says; alerts about losses, which `watch` raises.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use event::{Ledger, Report, SourceReport, Timestamp};
use serde::{Deserialize, Serialize};

use crate::agents::{Agent, Book, Health};
use crate::receive::ReceiveFigures;
use crate::store::Figures;
use crate::web::App;

/// Most reasons listed; the others are counted.
const MAX_REASONS: usize = 20;
/// How long figures of the store are used, microseconds.
const FRESH: i64 = 1_000_000;
/// Where the console shows agents, inputs and ledgers.
const AGENTS: &str = "#/agents";

/// Why events may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Events that will not come any more.
    Lost,
    /// What was not looked at where it arose: packets or lines.
    Unseen,
    /// Events that the collector refused.
    Rejected,
    /// Stored events that cannot be read any more.
    Damaged,
    /// An agent that is not heard of.
    AgentSilent,
    /// A log source that is not heard of.
    SourceSilent,
    /// Events that are still on their way, or that nobody accounts for yet; those that stay away raise
    /// an alert.
    Late,
}

/// How complete a window is, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing is known to be missing.
    #[default]
    Complete,
    /// Only what is on its way is missing.
    Arriving,
    /// Events may be missing.
    Incomplete,
}

/// One reason why events may be missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Why.
    pub kind: Kind,
    /// Agent, `collector` or `store`.
    pub subject: String,
    /// Since when; not known when absent.
    pub since: Option<Timestamp>,
    /// How many events, packets or lines, as far as known.
    pub count: Option<u64>,
    /// In words.
    pub words: String,
    /// Where the console tells more.
    pub link: String,
}

/// How complete a window is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completeness {
    /// In one word.
    pub state: State,
    /// Why something may be missing, gravest first.
    pub reasons: Vec<Reason>,
    /// Reasons that are not listed.
    pub more: usize,
}

/// A window of time, microseconds, both ends within; and now.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// First.
    pub low: i64,
    /// Last.
    pub high: i64,
    /// Now.
    pub now: Timestamp,
}

/// The figures of the store, which are asked for at most once a second: they are counted from the disk.
/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Ledgers(Arc<Mutex<Option<(Timestamp, Figures)>>>);

impl Ledgers {
    /// Judges a window by everything the collector knows. Blocks.
    #[must_use]
    pub fn judge(&self, app: &App, window: Window) -> Completeness {
        let now = app.now();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = known.take().filter(|(at, _)| now.micros_since(*at).abs() < FRESH);
        let (_, figures) =
            known.insert(fresh.unwrap_or_else(|| (now, app.pipeline.store().figures())));
        judge(window, &app.agents.list(), &app.receiving.figures(), figures)
    }
}

fn judge(
    window: Window,
    agents: &[Agent],
    received: &ReceiveFigures,
    figures: &Figures,
) -> Completeness {
    let mut judge = Judge { window, reasons: Vec::new() };
    agents.iter().filter(|agent| !agent.revoked).for_each(|agent| judge.agent(agent));
    judge.inputs(received);
    judge.store(figures);
    let mut reasons = judge.reasons;
    reasons.sort_by(|a, b| (a.kind, &a.subject).cmp(&(b.kind, &b.subject)));
    let state = match reasons.first() {
        None => State::Complete,
        Some(first) if first.kind == Kind::Late => State::Arriving,
        Some(_) => State::Incomplete,
    };
    let more = reasons.len().saturating_sub(MAX_REASONS);
    reasons.truncate(MAX_REASONS);
    Completeness { state, reasons, more }
}

struct Judge {
    window: Window,
    reasons: Vec<Reason>,
}

impl Judge {
    /// Adds a reason when what happened from `since` to `until` reaches into the window.
    fn add(
        &mut self,
        (kind, subject): (Kind, &str),
        (since, until): (Option<Timestamp>, Option<Timestamp>),
        count: Option<u64>,
        words: String,
    ) {
        let begun = since.is_none_or(|since| since.micros() <= self.window.high);
        let ended = until.is_some_and(|until| until.micros() < self.window.low);
        if begun && !ended && count != Some(0) {
            let (subject, link) = (subject.to_owned(), AGENTS.to_owned());
            self.reasons.push(Reason { kind, subject, since, count, words, link });
        }
    }

    fn agent(&mut self, agent: &Agent) {
        let (id, now) = (agent.id.as_str(), self.window.now);
        if agent.health(now) == Health::Silent {
            let words =
                format!("{id} was last heard of at {}; what it saw since is missing", agent.seen);
            self.add((Kind::AgentSilent, id), (Some(agent.seen), None), None, words);
        }
        let Some(report) = &agent.report else { return };
        let boot = format!("{:016x}", report.boot);
        for book in &agent.books {
            // The time of earlier boots is not kept: some time between enrolment and this start.
            let span = match book.boot == boot {
                true => (Some(report.started), None),
                false => (Some(agent.enrolled), Some(report.started)),
            };
            self.book(id, book, span);
        }
        self.report(id, report);
        let residue = u64::try_from(agent.residue()).unwrap_or(0);
        let late = report.pending.saturating_add(residue);
        let words = format!("{late} events of {id} are on their way");
        self.add((Kind::Late, id), (None, None), Some(late), words);
        self.sources(id, &report.sources);
    }

    fn book(&mut self, id: &str, book: &Book, span: (Option<Timestamp>, Option<Timestamp>)) {
        let lost = total(&book.skipped);
        let words = format!("{id} has lost {lost} events for good: {}", each(&book.skipped));
        self.add((Kind::Lost, id), span, Some(lost), words);
        let rejected = book.rejected;
        let words = format!("{rejected} events of {id} were refused by the collector");
        self.add((Kind::Rejected, id), span, Some(rejected), words);
    }

    fn report(&mut self, id: &str, report: &Report) {
        let span = (Some(report.started), None);
        for (hop, ledger) in &report.ledgers {
            let (count, why) = unseen(ledger);
            let words = format!("{id} did not look at {count} at {hop:?}: {why}");
            self.add((Kind::Unseen, id), span, Some(count), words);
        }
    }

    fn sources(&mut self, reader: &str, sources: &[SourceReport]) {
        for source in sources {
            if let Some(since) = source.silent_since {
                let words = format!("{reader} has read nothing of {} since {since}", source.name);
                self.add((Kind::SourceSilent, reader), (Some(since), None), None, words);
            }
        }
    }

    fn inputs(&mut self, received: &ReceiveFigures) {
        let (count, why) = unseen(&received.ledger);
        let words = format!("the collector's inputs did not take {count} messages: {why}");
        self.add((Kind::Unseen, "collector"), (None, None), Some(count), words);
        self.sources("collector", &received.sources);
    }

    fn store(&mut self, figures: &Figures) {
        let any = (None, None);
        let mut store = |kind, count: u64, words: &str| {
            self.add((kind, "store"), any, Some(count), format!("{count} {words}"));
        };
        // What intake refuses is not acknowledged and comes again; duplicates are there already.
        let (unindexed, why) = unseen(&figures.index);
        store(Kind::Damaged, unindexed, &format!("stored events cannot be searched: {why}"));
        store(Kind::Damaged, figures.log_records_lost, "records of the log are damaged");
        store(
            Kind::Damaged,
            figures.index_quarantined,
            "damaged parts of the index were set aside",
        );
        store(
            Kind::Lost,
            figures.gaps_closed,
            "events were declared lost because too many gaps were open",
        );
        store(Kind::Late, figures.index.pending, "stored events are not searchable yet");
    }
}

fn total(counts: &BTreeMap<String, u64>) -> u64 {
    counts.values().fold(0, |sum, count| sum.saturating_add(*count))
}

fn each(counts: &BTreeMap<String, u64>) -> String {
    let each = counts.iter().map(|(reason, count)| format!("{count} ({reason})"));
    each.collect::<Vec<_>>().join(", ")
}

/// What a hop did not let through, and why.
fn unseen(ledger: &Ledger) -> (u64, String) {
    let mut counts = ledger.shed.clone();
    counts.insert("dropped by the kernel".to_owned(), ledger.dropped);
    counts.retain(|_, count| *count > 0);
    (total(&counts), each(&counts))
}

#[cfg(test)]
mod tests;
