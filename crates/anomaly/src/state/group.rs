//! The state of one group under one rule, and what an event does to it.

use std::hash::BuildHasher;

use foldhash::quality::FixedState;
use serde::{Deserialize, Serialize};

use super::distinct::Distinct;
use super::model::{Judgement, Learned};
use super::ring::Ring;
use super::top::Top;
use crate::finding::{period, show};
use crate::rule::{Baseline, Check, Condition, Measure, Rule, Step};
use crate::{domain, view, view::EventView};

/// Late events in a row after which the group's clock is taken for wrong.
const LATE_RUN: u8 = 16;
/// Largest amount one event adds to a sum, either way.
const MAX_AMOUNT: f64 = 1e15;
/// Most values taken from one field of one event.
const MAX_VALUES: usize = 64;

/// One measure over the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Tally {
    Ring(Ring),
    Distinct(Distinct),
    Bits(Distinct),
    Ratio(Ring, Ring),
}

/// What the check of the rule needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum State {
    Window(Vec<Tally>),
    Sequence { step: usize, ring: Ring, since: i64, first_count: f64 },
    Baseline { tally: Tally, learned: Learned },
    New { known: Vec<u64>, since: i64 },
}

/// The last alarm of a group.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Alarm {
    time: i64,
    decade: u8,
}

/// One group under one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) parts: Vec<Box<str>>,
    pub(crate) top: Top,
    /// Latest event, and first event of the window, microseconds.
    pub(crate) head: i64,
    pub(crate) first: i64,
    late_run: u8,
    alarm: Option<Alarm>,
    state: State,
}

/// What an event did.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// Older than the window: not counted.
    Late,
    /// Taken; with a finding or without.
    Taken(Option<Hit>),
    /// As `Taken`, after the clock of the group was set back.
    Rewound(Option<Hit>),
}

/// Why the rule fires.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hit {
    pub(crate) value: f64,
    pub(crate) expected: (f64, f64),
    pub(crate) unit: String,
    pub(crate) words: String,
}

impl Tally {
    fn new(measure: &Measure) -> Self {
        match measure {
            Measure::Count | Measure::Sum(_) => Self::Ring(Ring::default()),
            Measure::Distinct(_) => Self::Distinct(Distinct::default()),
            Measure::Bits(_) => Self::Bits(Distinct::default()),
        }
    }

    fn add(&mut self, measure: &Measure, at: &At<'_, '_>, timespan: i64) {
        let (view, time) = (at.view, at.time);
        match (self, measure) {
            (Self::Ring(ring), Measure::Count) => ring.add(time, timespan, 1.0),
            (Self::Ring(ring), Measure::Sum(field)) => {
                let amount = view.first_number(field).unwrap_or(0.0);
                ring.add(time, timespan, amount.clamp(-MAX_AMOUNT, MAX_AMOUNT));
            }
            (Self::Distinct(distinct), Measure::Distinct(field)) => {
                at.values(field, &mut |_, hash| distinct.add(hash, time, timespan, 1.0));
            }
            (Self::Bits(distinct), Measure::Bits(field)) => {
                at.values(field, &mut |text, hash| {
                    distinct.add(hash, time, timespan, domain::bits(text));
                });
            }
            _ => {}
        }
    }

    fn value(&mut self, time: i64, timespan: i64) -> f64 {
        match self {
            Self::Ring(ring) | Self::Ratio(ring, _) => {
                ring.advance(time, timespan);
                ring.total()
            }
            Self::Distinct(distinct) => distinct.count(time, timespan),
            Self::Bits(distinct) => distinct.weight(time, timespan),
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Ring(ring) => ring.clear(),
            Self::Ratio(of, to) => {
                of.clear();
                to.clear();
            }
            Self::Distinct(distinct) | Self::Bits(distinct) => distinct.clear(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Distinct(distinct) | Self::Bits(distinct) => distinct.bytes(),
            Self::Ring(_) | Self::Ratio(..) => 0,
        }
    }
}

/// An event with the hasher of the engine.
pub(crate) struct At<'a, 'b> {
    pub(crate) view: &'a EventView<'b>,
    pub(crate) time: i64,
    pub(crate) hasher: &'a FixedState,
}

impl At<'_, '_> {
    /// Every value of a field as text with its hash; letter case does not matter.
    fn values(&self, field: &str, visit: &mut dyn FnMut(&str, u64)) {
        let mut count = 0_usize;
        self.view.any(field, &mut |value| {
            if let Some(text) = view::text(&value) {
                let lower = text.to_ascii_lowercase();
                visit(&lower, self.hasher.hash_one(lower.as_bytes()));
                count = count.saturating_add(1);
            }
            count >= MAX_VALUES
        });
    }
}

impl Group {
    pub(crate) fn new(rule: &Rule, parts: Vec<Box<str>>, time: i64) -> Self {
        let state = match &rule.check {
            Check::Window(conditions) => State::Window(conditions.iter().map(tally_of).collect()),
            Check::Sequence(_) => {
                State::Sequence { step: 0, ring: Ring::default(), since: time, first_count: 0.0 }
            }
            Check::Baseline(baseline) => State::Baseline {
                tally: Tally::new(&baseline.measure),
                learned: Learned::default(),
            },
            Check::New { .. } => State::New { known: Vec::new(), since: time },
        };
        Self {
            parts,
            top: Top::default(),
            head: time,
            first: time,
            late_run: 0,
            alarm: None,
            state,
        }
    }

    /// Takes one event.
    pub(crate) fn observe(&mut self, rule: &Rule, at: &At<'_, '_>) -> Outcome {
        let mut rewound = false;
        if at.time <= self.head.saturating_sub(rule.timespan) {
            self.late_run = self.late_run.saturating_add(1);
            if self.late_run < LATE_RUN {
                return Outcome::Late;
            }
            rewound = true;
            self.restart(at.time);
        } else if at.time.saturating_sub(self.head) >= rule.timespan {
            self.restart(at.time);
        }
        self.late_run = 0;
        self.head = self.head.max(at.time);
        self.first = self.first.min(at.time);
        if let Some(field) = &rule.contributors {
            at.values(field, &mut |text, _| self.top.add(text));
        }
        if let Some(id) = at.view.id {
            self.top.sample(id);
        }
        let hit = self.check(rule, at);
        if rewound { Outcome::Rewound(hit) } else { Outcome::Taken(hit) }
    }

    /// Empties the window; what was learned stays.
    fn restart(&mut self, time: i64) {
        (self.head, self.first) = (time, time);
        self.top = Top::default();
        match &mut self.state {
            State::Window(tallies) => tallies.iter_mut().for_each(Tally::clear),
            State::Sequence { step, ring, .. } => {
                *step = 0;
                ring.clear();
            }
            State::Baseline { .. } | State::New { .. } => {}
        }
    }

    fn check(&mut self, rule: &Rule, at: &At<'_, '_>) -> Option<Hit> {
        match (&mut self.state, &rule.check) {
            (State::Window(tallies), Check::Window(conditions)) => {
                let hit = window(tallies, conditions, (at, self.head), rule.timespan)?;
                let limit = hit.expected.1;
                self.speaks(rule, hit.value / limit).then_some(hit)
            }
            (State::Sequence { .. }, Check::Sequence(steps)) => {
                let hit = self.sequence(rule, steps, at)?;
                let limit = hit.expected.1;
                self.speaks(rule, hit.value / limit).then_some(hit)
            }
            (State::Baseline { tally, .. }, Check::Baseline(baseline)) => {
                // One bucket is one window here: the engine empties it at its end.
                tally.add(&baseline.measure, at, rule.timespan.saturating_mul(24));
                None
            }
            (State::New { known, since }, Check::New { field, warmup, max }) => {
                let warm = at.time.saturating_sub(*since) >= *warmup;
                first_seen(known, at, (field, *max), warm)
            }
            _ => None,
        }
    }

    fn sequence(&mut self, rule: &Rule, steps: &[Step], at: &At<'_, '_>) -> Option<Hit> {
        let State::Sequence { step, ring, since, first_count } = &mut self.state else {
            return None;
        };
        if *step > 0 && at.time.saturating_sub(*since) > rule.timespan {
            (*step, *first_count) = (0, 0.0);
            ring.clear();
        }
        let current = steps.get(*step)?;
        if !current.filter.matches(at.view) || (*step > 0 && at.time < *since) {
            if *step > 0 && steps.first()?.filter.matches(at.view) {
                // More of the first step keeps the sequence alive.
                *first_count += 1.0;
                *since = (*since).max(at.time);
            }
            return None;
        }
        ring.add(at.time, rule.timespan, 1.0);
        if ring.total() < f64::from(current.count) {
            return None;
        }
        if *step == 0 {
            *first_count = ring.total();
        }
        ring.clear();
        *since = (*since).max(at.time);
        *step = step.saturating_add(1);
        if *step < steps.len() {
            return None;
        }
        *step = 0;
        let limit = steps.first().map_or(1.0, |first| f64::from(first.count));
        let words = format!(
            "{} events of the first step (at least {}), then the {} further within {}",
            show(*first_count),
            show(limit),
            steps.len().saturating_sub(1),
            period(rule.timespan),
        );
        let value = std::mem::take(first_count);
        Some(Hit { value, expected: (0.0, limit), unit: "events of the first step".into(), words })
    }

    /// Whether an alarm `times` the limit is said: the first one of a period, or a decade higher.
    fn speaks(&mut self, rule: &Rule, times: f64) -> bool {
        let (mut decade, mut rest) = (0_u8, times);
        while rest >= 10.0 && decade < 18 {
            decade = decade.saturating_add(1);
            rest /= 10.0;
        }
        let silent = self.alarm.is_some_and(|last| {
            let passed = self.head.saturating_sub(last.time);
            (0..rule.refractory).contains(&passed) && decade <= last.decade
        });
        if !silent {
            self.alarm = Some(Alarm { time: self.head, decade });
        }
        !silent
    }

    /// Ends a bucket `(start, hour since the epoch)` of a baseline. An `empty` one counts as 0.
    pub(crate) fn close(
        &mut self,
        rule: &Rule,
        baseline: &Baseline,
        start: i64,
        empty: bool,
    ) -> Option<Hit> {
        let end = start.saturating_add(rule.timespan);
        let State::Baseline { tally, learned } = &mut self.state else { return None };
        let wide = rule.timespan.saturating_mul(24);
        let value = if empty { 0.0 } else { tally.value(self.head, wide) };
        let hour = start.div_euclid(3_600_000_000);
        let found = learned.judge(baseline, hour, value);
        tally.clear();
        let hit = found.alarms.then(|| judged(&found, baseline, value, rule.timespan));
        (self.first, self.head) = (start, end);
        hit.filter(|_| {
            let over = value / found.high.max(f64::MIN_POSITIVE);
            self.speaks(rule, if value > found.high { over } else { 1.0 })
        })
    }

    /// Forgets the samples of an ended bucket.
    pub(crate) fn next_bucket(&mut self, start: i64) {
        self.top = Top::default();
        (self.first, self.head) = (start, start);
    }

    /// Empties the running bucket: its time turned out wrong.
    pub(crate) fn drop_bucket(&mut self, start: i64) {
        if let State::Baseline { tally, .. } = &mut self.state {
            tally.clear();
        }
        self.next_bucket(start);
    }

    /// Approximate size, bytes, of the group and its place in the map.
    pub(crate) fn bytes(&self) -> usize {
        let parts: usize = self.parts.iter().map(|part| part.len().saturating_mul(3)).sum();
        let state = match &self.state {
            State::Window(tallies) => {
                tallies.iter().map(|tally| size_of::<Tally>().saturating_add(tally.bytes())).sum()
            }
            State::Baseline { tally, learned } => tally.bytes().saturating_add(learned.bytes()),
            State::New { known, .. } => known.capacity().saturating_mul(size_of::<u64>()),
            State::Sequence { .. } => 0,
        };
        let fixed = size_of::<Self>().saturating_add(96);
        fixed.saturating_add(parts).saturating_add(self.top.bytes()).saturating_add(state)
    }
}

fn tally_of(condition: &Condition) -> Tally {
    match condition {
        Condition::Threshold { measure, .. } | Condition::Rate { measure, .. } => {
            Tally::new(measure)
        }
        Condition::Ratio { .. } => Tally::Ratio(Ring::default(), Ring::default()),
    }
}

/// Counts the event under every condition; a hit when all hold.
fn window(
    tallies: &mut [Tally],
    conditions: &[Condition],
    (at, head): (&At<'_, '_>, i64),
    timespan: i64,
) -> Option<Hit> {
    let mut first: Option<Hit> = None;
    let mut holds = true;
    for (tally, condition) in tallies.iter_mut().zip(conditions) {
        let (value, limit, unit, enough) = match condition {
            Condition::Threshold { measure, gte } => {
                tally.add(measure, at, timespan);
                (tally.value(head, timespan), *gte, measure.unit(), true)
            }
            Condition::Rate { measure, per, gte } => {
                tally.add(measure, at, timespan);
                let periods = seconds(timespan) / seconds(*per);
                let unit = format!("{} per {}", measure.unit(), period(*per));
                (tally.value(head, timespan) / periods, *gte, unit, true)
            }
            Condition::Ratio { of, to, gte, min } => {
                let (share, whole) = ratio(tally, (of, to), (at, head), timespan);
                (share, *gte, "share of events".into(), whole >= *min)
            }
        };
        holds &= enough && value >= limit;
        let words =
            format!("{} {unit} within {} (limit {})", show(value), period(timespan), show(limit));
        match &mut first {
            Some(hit) => hit.words = format!("{}, {words}", hit.words),
            None => first = Some(Hit { value, expected: (0.0, limit), unit, words }),
        }
    }
    first.filter(|_| holds)
}

fn ratio(
    tally: &mut Tally,
    (of, to): (&crate::Filter, &crate::Filter),
    (at, head): (&At<'_, '_>, i64),
    timespan: i64,
) -> (f64, f64) {
    let Tally::Ratio(part, whole) = tally else { return (0.0, 0.0) };
    part.advance(head, timespan);
    whole.advance(head, timespan);
    if to.matches(at.view) {
        whole.add(at.time, timespan, 1.0);
        if of.matches(at.view) {
            part.add(at.time, timespan, 1.0);
        }
    }
    (part.total() / whole.total().max(1.0), whole.total())
}

fn seconds(micros: i64) -> f64 {
    // Whole microseconds up to 400 days are exact as f64.
    std::time::Duration::from_micros(micros.unsigned_abs()).as_secs_f64()
}

fn first_seen(
    known: &mut Vec<u64>,
    at: &At<'_, '_>,
    (field, max): (&str, usize),
    warm: bool,
) -> Option<Hit> {
    let mut hit = None;
    at.values(field, &mut |text, hash| {
        let Err(place) = known.binary_search(&hash) else { return };
        if known.len() >= max {
            return;
        }
        known.insert(place, hash);
        if warm && hit.is_none() {
            let words = format!(
                "{field} {} was never seen here before ({} known values)",
                super::top::cut(text, 128),
                known.len().saturating_sub(1),
            );
            hit =
                Some(Hit { value: 1.0, expected: (0.0, 0.0), unit: format!("new {field}"), words });
        }
    });
    hit
}

fn judged(found: &Judgement, baseline: &Baseline, value: f64, timespan: i64) -> Hit {
    let unit = baseline.measure.unit();
    let words = format!(
        "{} {unit} in {}, expected {} (from {} to {}), likelihood of an anomaly {:.5}",
        show(value),
        period(timespan),
        show(found.expected),
        show(found.low),
        show(found.high),
        found.likelihood,
    );
    Hit { value, expected: (found.low, found.high), unit, words }
}
