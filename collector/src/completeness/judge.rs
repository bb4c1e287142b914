//! Judging a window of time: what is known to have happened in it, and what is still missing now.

use event::{SourceReport, Timestamp};

use super::history::{COLLECTOR, History, Silence, Subject};
use super::series::{begins, minute};
use super::{AGENTS, Completeness, Kind, Reason, STORAGE, State, Window};
use crate::agents::{Agent, Health, SILENT_AFTER};
use crate::receive::ReceiveFigures;
use crate::store::figures::AwayFolder;
use crate::store::{Figures, SetAside};

/// What is known now: agents, inputs, the store.
pub(super) type Present<'a> = (&'a [Agent], &'a ReceiveFigures, &'a Figures);

/// Judges a window in which so many events were redacted; at most `most` reasons are listed.
pub(super) fn judge(
    window: Window,
    (agents, received, figures): Present<'_>,
    redacted: u64,
    history: &History,
    most: usize,
) -> Completeness {
    let mut judge = Judge { window, reasons: Vec::new() };
    let agents: Vec<&Agent> = agents.iter().filter(|agent| !agent.revoked).collect();
    agents.iter().for_each(|agent| judge.agent(agent));
    judge.sources(COLLECTOR, &received.sources);
    // What a revoked agent lost before is as lost as it was.
    history.subjects.values().for_each(|subject| judge.subject(subject));
    judge.store(figures);
    figures.warm.away.iter().for_each(|away| judge.away(away));
    let words = format!("{redacted} events of this time were redacted, whole or in fields");
    judge.add((Kind::Redacted, STORE), (None, None), Some(redacted), words);
    let mut reasons = judge.reasons;
    reasons.sort_by(|a, b| (a.kind, &a.subject, a.since).cmp(&(b.kind, &b.subject, b.since)));
    let state = match reasons.first().map(|first| first.kind) {
        None | Some(Kind::Delayed) => State::Complete,
        Some(Kind::Late) => State::Arriving,
        Some(_) => State::Incomplete,
    };
    let more = reasons.len().saturating_sub(most);
    reasons.truncate(most);
    Completeness { state, reasons, more }
}

/// The subject of what the store lacks; the agents page tells of it.
const STORE: &str = "store";

struct Judge {
    window: Window,
    reasons: Vec<Reason>,
}

/// When something happened, as far as known.
type Span = (Option<Timestamp>, Option<Timestamp>);

impl Judge {
    /// Adds a reason when what happened from `since` to `until` reaches into the window.
    fn add(
        &mut self,
        (kind, subject): (Kind, &str),
        (since, until): Span,
        count: Option<u64>,
        words: String,
    ) {
        let begun = since.is_none_or(|since| since.micros() <= self.window.high);
        let ended = until.is_some_and(|until| until.micros() < self.window.low);
        if begun && !ended && count != Some(0) {
            self.push((kind, subject), (since, until), count, words);
        }
    }

    fn push(
        &mut self,
        (kind, subject): (Kind, &str),
        (since, until): Span,
        count: Option<u64>,
        words: String,
    ) {
        let link = match (since, until) {
            (Some(since), Some(until)) if subject != STORE => place(subject, since, until),
            _ => AGENTS.to_owned(),
        };
        let subject = subject.to_owned();
        self.reasons.push(Reason { kind, subject, since, until, count, words, link });
    }

    fn agent(&mut self, agent: &Agent) {
        let (id, now) = (agent.id.as_str(), self.window.now);
        if agent.health(now) == Health::Silent {
            let words =
                format!("{id} was last heard of at {}; what it saw since is missing", agent.seen);
            self.add((Kind::AgentSilent, id), (Some(agent.seen), None), None, words);
        }
        let Some(report) = &agent.report else { return };
        let residue = u64::try_from(agent.residue()).unwrap_or(0);
        let late = report.pending.saturating_add(residue);
        let words = format!("{late} events of {id} are on their way");
        self.add((Kind::Late, id), (None, None), Some(late), words);
        self.sources(id, &report.sources);
    }

    fn sources(&mut self, reader: &str, sources: &[SourceReport]) {
        for source in sources {
            if let Some(since) = source.silent_since {
                let words = format!("{reader} has read nothing of {} since {since}", source.name);
                self.add((Kind::SourceSilent, reader), (Some(since), None), None, words);
            }
        }
    }

    /// What the history has of an agent or the inputs.
    fn subject(&mut self, subject: &Subject) {
        let id = subject.id.as_str();
        let point = |micros: i64| minute(Timestamp::from_micros(micros));
        // A loss of the last seconds of a minute may be heard of in the next one.
        let window = (point(self.window.low), point(self.window.high).saturating_add(1));
        for (kind, reason, series) in &subject.counts {
            let found = series.found(window);
            let Some((first, last)) = found.span else { continue };
            let count = found.within.saturating_add(found.reaching);
            let (since, until) = (begins(first), begins(last.saturating_add(1)));
            let what = match (kind, id) {
                (Kind::Lost, _) => format!("{id} has lost {count} events for good"),
                (Kind::Rejected, _) => format!("{count} events of {id} were refused"),
                (_, COLLECTOR) => format!("the collector did not take {count} messages"),
                _ => format!("{id} did not look at {count} packets, lines or events"),
            };
            let outside = match found.reaching {
                0 => String::new(),
                some => format!("; {some} of them perhaps outside of this time"),
            };
            let words = format!("{what} between {since} and {until}: {reason}{outside}");
            self.push((*kind, id), (Some(since), Some(until)), Some(count), words);
        }
        subject.silences.iter().for_each(|silence| self.silence(id, silence));
    }

    /// A silence that is over.
    fn silence(&mut self, id: &str, silence: &Silence) {
        let Silence { source, from, to, down_to, .. } = silence;
        let Some(to) = to else { return };
        if let Some(source) = source {
            let words = format!("{id} has read nothing of {source} from {from} to {to}");
            return self.add((Kind::SourceSilent, id), (Some(*from), Some(*to)), None, words);
        }
        if let Some(down) = down_to.filter(|down| down > from) {
            let words = format!(
                "{id} did not run from {from} to {down}; what happened then it has not seen"
            );
            self.add((Kind::AgentSilent, id), (Some(*from), Some(down)), None, words);
        }
        let away = down_to.unwrap_or(*from).max(*from);
        // The first report comes some seconds after an agent has begun.
        if to.micros_since(away) > SILENT_AFTER * 1_000_000 {
            let words =
                format!("{id} was not connected from {away} to {to}; what it saw then came later");
            self.add((Kind::Delayed, id), (Some(away), Some(*to)), None, words);
        }
    }

    /// What lies in the warm folder, while that is not there.
    fn away(&mut self, away: &AwayFolder) {
        let Window { low, high, .. } = self.window;
        let within: Vec<&(i64, i64)> =
            away.days.iter().filter(|(first, last)| *first <= high && *last >= low).collect();
        // What came too early or too late may be of any time.
        let known = |micros: &i64| ![i64::MIN, i64::MAX].contains(micros);
        let since = within.iter().map(|(first, _)| *first).min().filter(known);
        let until = within.iter().map(|(_, last)| *last).max().filter(known);
        if !within.is_empty() {
            self.reasons.push(Reason {
                kind: Kind::WarmAway,
                subject: "store".to_owned(),
                since: since.map(Timestamp::from_micros),
                until: until.map(Timestamp::from_micros),
                count: None,
                words: away.words(within.len()),
                link: STORAGE.to_owned(),
            });
        }
    }

    /// What the store has lost, as far as the window may lack it; of unknown times it is told always.
    fn store(&mut self, figures: &Figures) {
        let mut store = |kind, until: Option<Timestamp>, count: u64, words: String| {
            let words = format!("{count} {words}");
            self.add((kind, STORE), (None, until), Some(count), words);
        };
        // What intake refuses is not acknowledged and comes again; duplicates are there already.
        let (unindexed, why) = unseen(&figures.index);
        let words = format!("stored events cannot be searched: {why}{UNKNOWN}");
        store(Kind::Damaged, None, unindexed, words);
        let until = figures.log_lost_until;
        let words = format!("records of the log are damaged{}", before(until));
        store(Kind::Damaged, until, figures.log_records_lost, words);
        let until = figures.gaps_until;
        let why = "events were declared lost because too many gaps were open";
        store(Kind::Lost, until, figures.gaps_closed, format!("{why}{}", before(until)));
        let words = "stored events are not searchable yet".to_owned();
        store(Kind::Late, None, figures.index.pending, words);
        self.set_aside(figures);
    }

    /// Damaged parts of the index, of the days that they are of.
    fn set_aside(&mut self, figures: &Figures) {
        let mut rest = figures.index_quarantined;
        for SetAside { partition, span, count } in &figures.set_aside {
            rest = rest.saturating_sub(*count);
            let (span, when) = match span {
                Some((first, last)) => ((Some(*first), Some(*last)), ""),
                None => ((None, None), UNKNOWN),
            };
            let words = parts(*count, &format!("partition {partition}"), when);
            self.add((Kind::Damaged, STORE), span, Some(*count), words);
        }
        let words = parts(rest, "the index", UNKNOWN);
        self.add((Kind::Damaged, STORE), (None, None), Some(rest), words);
    }
}

/// Behind what may be missing from any window.
const UNKNOWN: &str = "; of what time is not known, so this is told of every window";

/// What was set aside, in words.
fn parts(count: u64, whose: &str, when: &str) -> String {
    let (parts, were) = if count == 1 { ("part", "was") } else { ("parts", "were") };
    format!("{count} damaged {parts} of {whose} {were} set aside{when}")
}

/// By when the store had what it lacks, in words.
fn before(until: Option<Timestamp>) -> String {
    until.map_or_else(|| UNKNOWN.to_owned(), |until| format!("; they came before {until}"))
}

/// Where the console tells what happened to a subject in a time.
fn place(subject: &str, since: Timestamp, until: Timestamp) -> String {
    // Identities of agents are letters, digits and `-`; times have a `+` that must be written so.
    let time = |time: Timestamp| time.to_string().replace('+', "%2B");
    format!("#/complete?subject={subject}&from={}&to={}", time(since), time(until))
}

/// What a hop did not let through, and why.
fn unseen(ledger: &event::Ledger) -> (u64, String) {
    let mut counts = ledger.shed.clone();
    counts.insert("dropped by the kernel".to_owned(), ledger.dropped);
    counts.retain(|_, count| *count > 0);
    let total = counts.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
    let each = counts.iter().map(|(reason, count)| format!("{count} ({reason})"));
    (total, each.collect::<Vec<_>>().join(", "))
}
