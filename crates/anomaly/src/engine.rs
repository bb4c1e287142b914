//! The engine: rules, their groups, and the time of the events.
//!
//! Windows keep the time of their own group, so one source with a wrong clock disturbs only itself.
//! Buckets of baselines end with the watermark, the latest time of all events; a time more than a
//! day away from it is believed after 64 such events in a row.

use std::sync::Arc;

use event::Timestamp;
use foldhash::quality::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::rule::{Baseline, Check, GroupKey, Rule, RuleSet};
use crate::state::group::{At, Group, Hit, Outcome};
use crate::state::lru::Lru;
use crate::state::top::cut;
use crate::{EventView, Finding, domain};

/// Largest step of the watermark that is believed at once, microseconds: a day.
const MAX_JUMP: i64 = 86_400_000_000;
/// Events with such a step in a row after which they are believed.
const JUMP_RUN: u32 = 64;
/// Most empty buckets learned as zero; a longer gap is blindness, not silence.
const MAX_GAP: i64 = 256;
/// Longest value of a group key, bytes.
const MAX_KEY: usize = 256;

/// What a rule did, or all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Events that the rule selected.
    pub selected: u64,
    /// Of these, events without a field of `group-by`: not counted.
    pub ungrouped: u64,
    /// Of these, events older than the window or the bucket: not counted.
    pub late: u64,
    /// Of these, events whose time is not believed (baselines only): not counted.
    pub untimely: u64,
    /// Times a group's clock was set back.
    pub rewound: u64,
    /// Groups given up for a limit of entities or memory.
    pub evicted: u64,
    /// Findings.
    pub findings: u64,
}

impl Counters {
    fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.selected, other.selected),
            (&mut self.ungrouped, other.ungrouped),
            (&mut self.late, other.late),
            (&mut self.untimely, other.untimely),
            (&mut self.rewound, other.rewound),
            (&mut self.evicted, other.evicted),
            (&mut self.findings, other.findings),
        ];
        for (sum, more) in pairs {
            *sum = sum.saturating_add(more);
        }
    }
}

/// The groups of one rule.
#[derive(Debug)]
pub(crate) struct RuleState {
    pub(crate) rule: Arc<Rule>,
    pub(crate) groups: Lru<Group>,
    pub(crate) bytes: usize,
    /// Number of the running bucket (baselines only).
    pub(crate) bucket: i64,
    pub(crate) counters: Counters,
}

/// The watermark and its doubts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watermark {
    pub(crate) time: Option<i64>,
    strange: u32,
}

enum Step {
    /// The watermark stands at or moved forward to this time.
    Forward(i64),
    /// It was set to an earlier time.
    Back(i64),
    /// The event's time is not believed.
    Doubtful,
}

impl Watermark {
    fn step(&mut self, time: i64) -> Step {
        let Some(now) = self.time else {
            self.time = Some(time);
            return Step::Forward(time);
        };
        if (now.saturating_sub(MAX_JUMP)..=now.saturating_add(MAX_JUMP)).contains(&time) {
            self.strange = 0;
            self.time = Some(now.max(time));
            return Step::Forward(now.max(time));
        }
        self.strange = self.strange.saturating_add(1);
        if self.strange < JUMP_RUN {
            return Step::Doubtful;
        }
        *self = Self { time: Some(time), strange: 0 };
        if time < now { Step::Back(time) } else { Step::Forward(time) }
    }
}

/// Evaluates rules over events. Belongs to one thread.
#[derive(Debug)]
pub struct Engine {
    pub(crate) states: Vec<RuleState>,
    /// Rules by event type, and those for every type.
    by_kind: HashMap<String, Vec<usize>>,
    any_kind: Vec<usize>,
    pub(crate) seed: u64,
    hasher: FixedState,
    pub(crate) watermark: Watermark,
}

impl Engine {
    /// An engine without state, with a fixed seed: the same events give the same findings.
    #[must_use]
    pub fn new(rules: &RuleSet) -> Self {
        Self::with_seed(rules, 0)
    }

    /// As [`Self::new`] with a secret seed for the sketches, so that nobody can prepare values that
    /// collide in them.
    #[must_use]
    pub fn with_seed(rules: &RuleSet, seed: u64) -> Self {
        let states: Vec<RuleState> = rules.rules().iter().map(RuleState::new).collect();
        let mut by_kind: HashMap<String, Vec<usize>> = HashMap::new();
        let mut any_kind = Vec::new();
        for (at, state) in states.iter().enumerate() {
            match state.rule.select.kinds() {
                Some(kinds) => {
                    kinds.for_each(|kind| by_kind.entry(kind.into()).or_default().push(at));
                }
                None => any_kind.push(at),
            }
        }
        let hasher = FixedState::with_seed(seed);
        Self { states, by_kind, any_kind, seed, hasher, watermark: Watermark::default() }
    }

    /// Sets the seed of the sketches, for a restored state.
    pub(crate) fn reseed(&mut self, seed: u64) {
        self.seed = seed;
        self.hasher = FixedState::with_seed(seed);
    }

    /// Sees one event; findings are appended.
    pub fn observe(&mut self, view: &EventView<'_>, found: &mut Vec<Finding>) {
        let time = view.time.micros();
        let step = self.watermark.step(time);
        let timely = match step {
            Step::Forward(now) => {
                self.close_buckets(now, found);
                true
            }
            Step::Back(now) => {
                self.states.iter_mut().for_each(|state| state.rewind(now));
                true
            }
            Step::Doubtful => false,
        };
        let at = At { view, time, hasher: &self.hasher };
        let of_kind = self.by_kind.get(view.kind).map(Vec::as_slice).unwrap_or_default();
        for index in of_kind.iter().chain(&self.any_kind) {
            if let Some(state) = self.states.get_mut(*index) {
                state.observe(&at, timely, found);
            }
        }
    }

    /// Lets time pass without an event: ends the buckets of baselines before `time`. A time before
    /// the latest event changes nothing.
    pub fn advance(&mut self, time: Timestamp, found: &mut Vec<Finding>) {
        let time = time.micros();
        if self.watermark.time.is_some_and(|now| time > now) {
            self.watermark.time = Some(time);
            self.close_buckets(time, found);
        }
    }

    fn close_buckets(&mut self, now: i64, found: &mut Vec<Finding>) {
        for state in &mut self.states {
            state.close_buckets(now, found);
        }
    }

    /// The sum of the counters of all rules.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        self.states.iter().for_each(|state| sum.add(&state.counters));
        sum
    }

    /// Every rule with its counters, its groups and their size in bytes (approximate).
    pub fn rules(&self) -> impl Iterator<Item = (&Arc<Rule>, Counters, usize, usize)> {
        self.states.iter().map(|s| (&s.rule, s.counters, s.groups.len(), s.bytes))
    }
}

impl RuleState {
    fn new(rule: &Arc<Rule>) -> Self {
        Self {
            rule: Arc::clone(rule),
            groups: Lru::default(),
            bytes: 0,
            bucket: i64::MIN,
            counters: Counters::default(),
        }
    }

    fn baseline(&self) -> Option<&Baseline> {
        match &self.rule.check {
            Check::Baseline(baseline) => Some(baseline),
            _ => None,
        }
    }

    fn observe(&mut self, at: &At<'_, '_>, timely: bool, found: &mut Vec<Finding>) {
        if !self.rule.select.matches(at.view) {
            return;
        }
        bump(&mut self.counters.selected);
        if self.baseline().is_some() {
            if !timely {
                return bump(&mut self.counters.untimely);
            }
            if at.time.div_euclid(self.rule.timespan) < self.bucket {
                return bump(&mut self.counters.late);
            }
        }
        let Some((key, parts)) = group_of(&self.rule.group_by, at.view) else {
            return bump(&mut self.counters.ungrouped);
        };
        let mut fresh = false;
        let rule = Arc::clone(&self.rule);
        let Some(group) = self.groups.touch(&key, || {
            fresh = true;
            Group::new(&rule, parts, at.time)
        }) else {
            return;
        };
        let before = if fresh { 0 } else { group.bytes() };
        let outcome = group.observe(&rule, at);
        let after = group.bytes();
        let hit = match outcome {
            Outcome::Late => {
                bump(&mut self.counters.late);
                None
            }
            Outcome::Taken(hit) => hit,
            Outcome::Rewound(hit) => {
                bump(&mut self.counters.rewound);
                hit
            }
        };
        if let Some(hit) = hit {
            found.push(finding(&rule, group, hit));
            bump(&mut self.counters.findings);
        }
        self.bytes = self.bytes.saturating_sub(before).saturating_add(after);
        self.shrink();
    }

    /// Evicts the least recently used groups until both limits hold.
    pub(crate) fn shrink(&mut self) {
        let over = |state: &Self| {
            state.groups.len() > state.rule.max_entities || state.bytes > state.rule.memory_bytes
        };
        while self.groups.len() > 1 && over(self) {
            let Some(group) = self.groups.pop() else { return };
            self.bytes = self.bytes.saturating_sub(group.bytes());
            bump(&mut self.counters.evicted);
        }
    }

    fn close_buckets(&mut self, now: i64, found: &mut Vec<Finding>) {
        let rule = Arc::clone(&self.rule);
        let Check::Baseline(baseline) = &rule.check else { return };
        let current = now.div_euclid(rule.timespan);
        let ended = self.bucket;
        self.bucket = ended.max(current);
        if current <= ended || ended == i64::MIN {
            return;
        }
        let start = |bucket: i64| bucket.saturating_mul(rule.timespan);
        let gap = current.saturating_sub(ended);
        let last = if gap > MAX_GAP { ended.saturating_add(1) } else { current };
        let (mut bytes, mut hits) = (0_usize, 0_u64);
        self.groups.each(|_, group| {
            for bucket in ended..last {
                if let Some(hit) = group.close(&rule, baseline, start(bucket), bucket != ended) {
                    found.push(finding(&rule, group, hit));
                    bump(&mut hits);
                }
            }
            group.next_bucket(start(current));
            bytes = bytes.saturating_add(group.bytes());
        });
        self.counters.findings = self.counters.findings.saturating_add(hits);
        self.bytes = bytes;
        self.shrink();
    }

    /// Goes on from an earlier time; the running bucket is lost.
    fn rewind(&mut self, now: i64) {
        if self.baseline().is_some() {
            self.bucket = now.div_euclid(self.rule.timespan);
            let start = self.bucket.saturating_mul(self.rule.timespan);
            self.groups.each(|_, group| group.drop_bucket(start));
            bump(&mut self.counters.rewound);
        }
    }
}

fn bump(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

/// The key of an event's group and its parts; `None` when a field is absent.
fn group_of(keys: &[GroupKey], view: &EventView<'_>) -> Option<(String, Vec<Box<str>>)> {
    let mut key = String::new();
    let mut parts = Vec::with_capacity(keys.len());
    for by in keys {
        let text = view.first_text(by.field())?;
        let part = match by {
            GroupKey::Field(_) => cut(&text, MAX_KEY).to_owned(),
            GroupKey::RegisteredDomain(_) => {
                cut(domain::registered(&text), MAX_KEY).to_ascii_lowercase()
            }
            GroupKey::Net(_) => net(&text)?,
        };
        // The length in front keeps "a","bc" and "ab","c" apart.
        key.push_str(&part.len().to_string());
        key.push(':');
        key.push_str(&part);
        parts.push(part.into_boxed_str());
    }
    Some((key, parts))
}

/// The /24 or /64 of an address.
fn net(text: &str) -> Option<String> {
    let address = text.parse::<std::net::IpAddr>().ok()?.to_canonical();
    let length = if address.is_ipv4() { 24 } else { 64 };
    ipnet::IpNet::new(address, length).ok().map(|net| net.trunc().to_string())
}

fn finding(rule: &Arc<Rule>, group: &Group, hit: Hit) -> Finding {
    let names = rule.group_by.iter().map(GroupKey::name);
    let parts: Vec<(String, String)> =
        names.zip(group.parts.iter().map(|part| part.to_string())).collect();
    let contributors = group.top.values();
    let first = match rule.check {
        Check::Baseline(_) => group.first,
        _ => group.first.max(group.head.saturating_sub(rule.timespan)),
    };
    let (first, last) = (Timestamp::from_micros(first), Timestamp::from_micros(group.head));
    let who: Vec<String> = parts.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let mut explanation = format!("{}: {}", who.join(", "), hit.words);
    if parts.is_empty() {
        explanation = hit.words;
    }
    explanation.push_str(&format!("; from {first} to {last}"));
    if !contributors.is_empty() {
        let most: Vec<String> =
            contributors.iter().take(5).map(|(value, n)| format!("{value} ({n})")).collect();
        explanation.push_str(&format!("; most: {}", most.join(", ")));
    }
    Finding {
        rule: Arc::clone(rule),
        value: hit.value,
        expected: hit.expected,
        unit: hit.unit,
        group: parts,
        contributors,
        first,
        last,
        events: group.top.samples(),
        explanation,
    }
}
