//! Correlation rules: many events of one group within a time span.
//!
//! Driven by event time, never by a clock: a window is the `timespan` up to and including an event. An
//! event may be late by [`Limits::lateness`] behind the newest one seen and still counts where it belongs;
//! later ones are counted and left out. State is bounded, what is given up is counted. After a rule has
//! fired for a group it is quiet for that group for one time span.

mod plan;
mod snapshot;
mod state;
mod window;

#[cfg(test)]
mod edge_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

use event::{Detection, Engine, Entity, Severity, Technique, Timestamp};
use serde::Serialize;

pub(crate) use plan::Plan;
pub use snapshot::{RestoreError, Restored};
pub use state::{Counters, Limits};

use crate::{RuleSet, describe::entity, evaluate::RuleIndex, record::Record};
use plan::Input;
use state::{Groups, Item};

/// Most rounds of correlations over correlations for one event.
const MAX_ROUNDS: usize = 8;
/// Most identities of evidence in one finding.
const MAX_EVIDENCE: usize = 32;

/// A correlation rule that holds for a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Correlated {
    /// Identity of the correlation rule.
    pub rule_id: String,
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: Severity,
    /// Its author.
    pub author: String,
    /// ATT&CK.
    pub attack: Vec<Technique>,
    /// Type, such as `event_count`.
    pub kind: String,
    /// Group: names and values.
    pub group: Vec<(String, String)>,
    /// The value that was judged: a count, a sum, the number of rules seen.
    pub value: f64,
    /// The condition it was judged by, in words.
    pub threshold: String,
    /// Rules that contributed, and how many of their matches.
    pub contributors: Vec<(String, u64)>,
    /// Time of the first event of the window.
    pub first: Timestamp,
    /// Time of the last event of the window.
    pub last: Timestamp,
    /// Identities of the newest events of the window, at most 32.
    pub evidence: Vec<String>,
    /// What it is about.
    pub entity: Entity,
    /// Why, in words.
    pub explanation: String,
    /// The rule as it was written, cut at 16 KiB.
    pub rule_text: String,
}

impl Correlated {
    /// The finding as a detection, for alerts.
    #[must_use]
    pub fn into_detection(self) -> Detection {
        Detection {
            engine: Engine::Correlation,
            rule_id: self.rule_id,
            rule_rev: String::new(),
            title: self.title,
            severity: self.level,
            category: self.kind,
            entity: self.entity,
            explanation: self.explanation,
            advice: String::new(),
            evidence: self.evidence,
            attack: self.attack,
            rule_text: self.rule_text,
        }
    }
}

/// State of all correlation rules of a set. One owner feeds it all events.
#[derive(Debug)]
pub struct Correlator {
    plans: Vec<Plan>,
    groups: Vec<Groups>,
    limits: Limits,
    counters: Counters,
    /// Newest event time seen, microseconds.
    newest: Option<i64>,
}

impl Correlator {
    /// For the correlations of a rule set, with the default limits.
    #[must_use]
    pub fn new(rules: &RuleSet) -> Self {
        Self::with_limits(rules, Limits::default())
    }

    /// For the correlations of a rule set.
    #[must_use]
    pub fn with_limits(rules: &RuleSet, limits: Limits) -> Self {
        let plans = rules.correlations.clone();
        let share = limits.all_bytes / plans.len().max(1);
        let limits = Limits { bytes: limits.bytes.min(share), ..limits };
        let groups = plans.iter().map(|_| Groups::default()).collect();
        Self { plans, groups, limits, counters: Counters::default(), newest: None }
    }

    /// Whether there is nothing to correlate.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }

    /// What was left out or given up so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// How many groups have state.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.iter().map(Groups::len).sum()
    }

    /// Takes an event and the rules it matched, at the event's own time. An event without a time is
    /// counted and left out.
    pub fn observe(&mut self, record: &Record<'_>, matches: &[RuleIndex]) -> Vec<Correlated> {
        if self.plans.is_empty() || matches.is_empty() {
            return Vec::new();
        }
        match record.time() {
            Some(time) => self.observe_at(time, record, matches),
            None => {
                self.counters.untimed += 1;
                Vec::new()
            }
        }
    }

    /// As [`Self::observe`], at a time the caller knows.
    pub fn observe_at(
        &mut self,
        time: Timestamp,
        record: &Record<'_>,
        matches: &[RuleIndex],
    ) -> Vec<Correlated> {
        let now = time.micros();
        let newest = self.newest.map_or(now, |newest| newest.max(now));
        self.newest = Some(newest);
        if now < newest.saturating_sub(self.limits.lateness_micros()) {
            self.counters.late += 1;
            return Vec::new();
        }
        let mut inputs: Vec<(Input, Option<Correlated>)> =
            matches.iter().map(|rule| (Input::Rule(rule.0 as usize), None)).collect();
        let mut done = Vec::new();
        for _ in 0..MAX_ROUNDS {
            let mut fresh = Vec::new();
            for (input, from) in &inputs {
                for at in 0..self.plans.len() {
                    let place = (now, newest);
                    if let Some(finding) = self.feed(at, *input, place, (record, from.as_ref())) {
                        fresh.push((Input::Correlation(at), Some(finding.clone())));
                        done.push(finding);
                    }
                }
            }
            inputs = fresh;
            if inputs.is_empty() {
                break;
            }
        }
        done.retain(|finding| self.speaks(&finding.rule_id));
        done
    }

    /// A correlation that only feeds another is silent.
    fn speaks(&self, id: &str) -> bool {
        let Some(at) = self.plans.iter().position(|plan| plan.meta.id == id) else { return true };
        !self.plans.iter().any(|plan| {
            !plan.generate && plan.targets.iter().any(|t| t.input == Input::Correlation(at))
        })
    }

    fn feed(
        &mut self,
        at: usize,
        input: Input,
        (now, newest): (i64, i64),
        (record, from): (&Record<'_>, Option<&Correlated>),
    ) -> Option<Correlated> {
        let plan = self.plans.get(at)?;
        let groups = self.groups.get_mut(at)?;
        let mut fired = None;
        for (target, wanted) in plan.targets.iter().enumerate() {
            if wanted.input != input {
                continue;
            }
            let Some(key) = plan.key(wanted, record, from) else {
                self.counters.ungrouped += 1;
                continue;
            };
            let Some(value) = plan.value(wanted, record) else {
                self.counters.valueless += 1;
                continue;
            };
            let target = u16::try_from(target).unwrap_or(u16::MAX);
            let id = from.and_then(|f| f.evidence.last().cloned()).or_else(|| record.id());
            let item = Item { time: now, target, value, id };
            let horizon =
                newest.saturating_sub(plan.span).saturating_sub(self.limits.lateness_micros());
            let bounds = (&self.limits, &mut self.counters);
            let group = groups.insert(&key, item, horizon, bounds);
            if let Some((value, window)) = group.judge(plan, now) {
                fired = fired.or_else(|| Some(finding(plan, &key, value, &window, record)));
            }
        }
        fired
    }
}

fn finding(
    plan: &Plan,
    key: &[String],
    value: f64,
    window: &[&Item],
    record: &Record<'_>,
) -> Correlated {
    let time = |item: Option<&&Item>| Timestamp::from_micros(item.map_or(0, |item| item.time));
    let (first, last) = (time(window.first()), time(window.last()));
    let contributors: Vec<(String, u64)> = plan
        .targets
        .iter()
        .enumerate()
        .map(|(at, target)| {
            let mine = window.iter().filter(|item| usize::from(item.target) == at).count();
            (target.title.clone(), u64::try_from(mine).unwrap_or(u64::MAX))
        })
        .filter(|(_, count)| *count > 0)
        .collect();
    let ids = window.iter().rev().filter_map(|item| item.id.clone());
    let mut evidence: Vec<String> = ids.take(MAX_EVIDENCE).collect();
    evidence.reverse();
    let group: Vec<(String, String)> =
        plan.group_by.iter().cloned().zip(key.iter().cloned()).collect();
    let shown: Vec<String> = group.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let names: Vec<String> =
        contributors.iter().map(|(title, count)| format!("{title} ({count})")).collect();
    let threshold = plan.threshold();
    let place = if shown.is_empty() { "all events".to_owned() } else { shown.join(", ") };
    Correlated {
        rule_id: plan.meta.id.clone(),
        title: plan.meta.title.clone(),
        level: plan.meta.level,
        author: plan.meta.author.clone(),
        attack: plan.meta.attack.clone(),
        kind: plan.kind.as_str().to_owned(),
        rule_text: plan.meta.told(),
        explanation: format!(
            "{} is {value}, wanted {threshold}, for {place}, from {first} to {last} (time span {} s), \
             from: {}",
            plan.kind.as_str(),
            plan.span / 1_000_000,
            names.join(", "),
        ),
        entity: group_entity(&group).unwrap_or_else(|| entity(record)),
        group,
        value,
        threshold,
        contributors,
        first,
        last,
        evidence,
    }
}

/// The group is what a finding is about, when it is an address, a user or a host.
fn group_entity(group: &[(String, String)]) -> Option<Entity> {
    const NAMES: [(&str, &[&str]); 3] = [
        ("src_ip", &["src_ip", "source.ip", "SourceIp", "IpAddress", "c-ip", "id.orig_h"]),
        ("user.name", &["user.name", "TargetUserName", "SubjectUserName", "User"]),
        ("host.name", &["host.name", "Computer", "ComputerName"]),
    ];
    NAMES.into_iter().find_map(|(field, names)| {
        let (_, value) = group.iter().find(|(name, _)| names.contains(&name.as_str()))?;
        Some(Entity { field: field.to_owned(), value: value.clone() })
    })
}
