//! What rules would have done with past events: how often, first, last, on which hosts.
//!
//! A [`Hunter`] is shown the events of the past, in any order, and evaluates them with the engine that runs
//! live, exceptions and correlations among it. Where events come from is the caller's; memory is bounded, and
//! what is left out for it is counted.

use std::collections::BTreeMap;

use event::{Engine, Object, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::{
    Condition, Conditions, Correlator, Exceptions, Meta, Record, RuleError, RuleIndex, RuleSet,
    Scratch,
};

/// Most events kept for correlations; of more the later shown are left out, and that is counted.
const MAX_KEPT: usize = 200_000;
/// Most hosts counted of one rule; events of further ones are counted as `others`.
const MAX_HOSTS: usize = 10_000;
/// Hosts named for a rule.
const TOP: usize = 5;

/// What a rule would have done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fired {
    /// Identity of the rule.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// Its author; the licence of rules wants it shown.
    pub author: String,
    /// Its level.
    pub level: String,
    /// How often it would have fired.
    pub times: u64,
    /// Matches that an exception suppressed.
    pub suppressed: u64,
    /// The first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    /// The last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// Hosts by how often, the most frequent first.
    pub hosts: Vec<(String, u64)>,
    /// Identity of the first event and why it matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<(String, String)>,
    /// The above in words.
    pub words: String,
}

impl Fired {
    fn told(&self) -> String {
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        let mut out = if self.times == 0 {
            "would not have fired".to_owned()
        } else {
            let hosts: Vec<String> =
                self.hosts.iter().map(|(host, count)| format!("{host} ({count})")).collect();
            format!(
                "would have fired {} time{}, first on {}, last on {}; hosts: {}",
                self.times,
                if self.times == 1 { "" } else { "s" },
                time(self.first),
                time(self.last),
                hosts.join(", ")
            )
        };
        if self.suppressed > 0 {
            out += &format!("; {} suppressed by exceptions", self.suppressed);
        }
        if let Some((id, why)) = &self.example {
            out += &format!("; first event {id}: {why}");
        }
        out
    }
}

/// An exception that is no file: the rule of an engine, and what must hold.
pub type Made = (Engine, String, Vec<Condition>);

/// The evaluating side: what was found so far.
#[derive(Debug)]
pub struct Hunter<'r> {
    rules: &'r RuleSet,
    scratch: Scratch,
    written: Exceptions,
    made: (Vec<(Engine, String)>, Conditions),
    fired: BTreeMap<String, Fired>,
    hosts: BTreeMap<String, BTreeMap<String, u64>>,
    /// What correlations are to see.
    kept: Vec<(Timestamp, Object, Vec<RuleIndex>)>,
    uncorrelated: u64,
}

fn time(document: &Object) -> Timestamp {
    let text = event::get(document, "timestamp").and_then(Value::as_str);
    text.and_then(|text| text.parse().ok()).unwrap_or(Timestamp::EPOCH)
}

impl<'r> Hunter<'r> {
    /// For rules, with exceptions from files and others.
    ///
    /// # Errors
    /// [`RuleError`] of an exception of `made` that is not whole.
    pub fn new(
        rules: &'r RuleSet,
        written: Exceptions,
        made: Vec<Made>,
    ) -> Result<Self, RuleError> {
        let names: Vec<String> = (0..made.len()).map(|at| at.to_string()).collect();
        let lists = names.iter().zip(&made);
        let lists = lists.map(|(name, (.., list))| (name.as_str(), list.as_slice()));
        let conditions = Conditions::new(lists)?;
        let made = made.into_iter().map(|(engine, rule, _)| (engine, rule)).collect();
        Ok(Self {
            rules,
            scratch: Scratch::new(),
            written,
            made: (made, conditions),
            fired: BTreeMap::new(),
            hosts: BTreeMap::new(),
            kept: Vec::new(),
            uncorrelated: 0,
        })
    }

    fn suppressed(
        &mut self,
        (engine, meta): (Engine, &Meta),
        record: &Record<'_>,
        at: Timestamp,
    ) -> bool {
        if self.written.suppress(meta, record, at).is_some() {
            return true;
        }
        let (rules, conditions) = &mut self.made;
        let mine = |(of, rule): &(Engine, String)| *of == engine && *rule == meta.id;
        rules.iter().any(mine)
            && conditions
                .holding(record)
                .into_iter()
                .any(|place| rules.get(place).is_some_and(mine))
    }

    /// An event of the past; detections are no evidence of themselves.
    pub fn event(&mut self, document: Object) {
        if document.contains_key("detection") {
            return;
        }
        let at = time(&document);
        let rules = self.rules;
        let record = Record::new(&document);
        let mut matched = rules.evaluate(&record, &mut self.scratch).to_vec();
        matched.retain(|&rule| {
            let Some(meta) = rules.meta(rule) else { return false };
            let held = self.suppressed((Engine::Sigma, meta), &record, at);
            if held {
                self.entry(meta).suppressed += 1;
            }
            !held
        });
        for &rule in matched.iter().filter(|rule| rules.speaks(**rule)) {
            let why = rules.describe(rule, &record, &mut self.scratch);
            let Some(meta) = rules.meta(rule) else { continue };
            self.count(meta, &record, (at, why.map(|one| one.explanation).unwrap_or_default()));
        }
        if rules.correlations() > 0 && !matched.is_empty() {
            if self.kept.len() < MAX_KEPT {
                self.kept.push((at, document, matched));
            } else {
                self.uncorrelated += 1;
            }
        }
    }

    /// Lets the correlations see what matched, in order.
    fn correlate(&mut self) {
        let mut kept = std::mem::take(&mut self.kept);
        kept.sort_by_key(|(at, ..)| *at);
        let mut correlator = Correlator::new(self.rules);
        for (at, document, matched) in kept {
            let record = Record::new(&document);
            for found in correlator.observe_at(at, &record, &matched) {
                let Some(meta) = self.rules.correlation_meta(&found.rule_id) else { continue };
                if self.suppressed((Engine::Correlation, meta), &record, at) {
                    self.entry(meta).suppressed += 1;
                } else {
                    self.count(meta, &record, (at, found.explanation));
                }
            }
        }
    }

    fn entry(&mut self, meta: &Meta) -> &mut Fired {
        self.fired.entry(meta.id.clone()).or_insert_with(|| Fired {
            rule: meta.id.clone(),
            title: meta.title.clone(),
            author: meta.author.clone(),
            level: meta.level.as_str().to_owned(),
            ..Fired::default()
        })
    }

    fn count(&mut self, meta: &Meta, record: &Record<'_>, (at, why): (Timestamp, String)) {
        let host = record.text("host.name").or_else(|| record.text("Computer"));
        let host = host.map_or_else(|| "unknown".to_owned(), std::borrow::Cow::into_owned);
        let hosts = self.hosts.entry(meta.id.clone()).or_default();
        let known = hosts.len() < MAX_HOSTS || hosts.contains_key(&host);
        *hosts.entry(if known { host } else { "others".to_owned() }).or_default() += 1;
        let id = record.id().unwrap_or_default();
        let fired = self.entry(meta);
        fired.times += 1;
        fired.last = fired.last.max(Some(at));
        if fired.first.is_none_or(|first| at <= first) {
            fired.first = Some(at);
            fired.example = Some((id, why));
        }
    }

    /// How often rules have matched so far, correlations not among them.
    #[must_use]
    pub fn so_far(&self) -> u64 {
        self.fired.values().map(|one| one.times).sum()
    }

    /// What would have fired, the most frequent first, and how many events correlations did not see. A rule
    /// that would not have fired is among it.
    #[must_use]
    pub fn finish(mut self) -> (Vec<Fired>, u64) {
        self.correlate();
        let rules = self.rules;
        for meta in rules.speaking() {
            self.entry(meta);
        }
        let mut all: Vec<Fired> = self.fired.into_values().collect();
        for fired in &mut all {
            let hosts = self.hosts.remove(&fired.rule).unwrap_or_default();
            fired.hosts = hosts.into_iter().collect();
            fired.hosts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            fired.hosts.truncate(TOP);
            fired.words = fired.told();
        }
        all.sort_by(|left, right| right.times.cmp(&left.times).then(left.rule.cmp(&right.rule)));
        (all, self.uncorrelated)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;
    use crate::tests::{object, sound};
    use crate::{How, Options};

    const RULES: &str = "title: Root\nid: root\nname: root\nauthor: A\nlevel: high\nlogsource: {product: linux, service: sshd}\ndetection:\n  s:\n    user.name: root\n  condition: s\n---\ntitle: Failed\nid: failed\nlogsource: {product: linux, service: sshd}\ndetection:\n  s:\n    event.outcome: failure\n  condition: s\n---\ntitle: Guessing\nid: guessing\ncorrelation:\n  type: event_count\n  rules: [failed]\n  group-by: [user.name]\n  timespan: 1m\n  condition:\n    gte: 2\n";
    const EXCEPTION: &str = "title: Console\nid: e\nrules: [root]\nreason: the console logs in\nauthor: A\nexpires: 2027-01-31\ndetection:\n  s:\n    host.name: console\n  condition: s\n";

    fn document(second: u32, host: &str, user: &str) -> Object {
        object(json!({
            "timestamp": format!("2027-01-01T00:00:{second:02}Z"), "event_type": "log",
            "event": {"id": format!("e{second}"), "outcome": "failure"},
            "process": {"name": "sshd"}, "user": {"name": user}, "host": {"name": host},
        }))
    }

    /// The words of what would have fired on the same five events.
    fn hunt(rules: &RuleSet, written: &str, made: Vec<Made>) -> String {
        let sources = std::iter::once(("e.yml", written));
        let (written, refused) = Exceptions::load(sources, rules, &Options::default());
        assert_eq!(refused, []);
        let mut hunter = Hunter::new(rules, written, made).unwrap();
        // As a collector gives them: the newest first.
        for (second, host, user) in [
            (50, "web", "root"),
            (40, "web", "eve"),
            (30, "db", "root"),
            (20, "console", "root"),
            (10, "web", "root"),
        ] {
            hunter.event(document(second, host, user));
        }
        let mut alert = document(5, "web", "root");
        alert.insert("detection".to_owned(), json!({}));
        hunter.event(alert);
        let (fired, uncorrelated) = hunter.finish();
        assert_eq!(uncorrelated, 0);
        fired.iter().map(|one| format!("{} {}\n", one.rule, one.words)).collect()
    }

    #[test]
    fn what_would_have_fired_is_counted_with_first_last_and_hosts() {
        let rules = sound(RULES);
        expect![[r#"
            root would have fired 3 times, first on 2027-01-01T00:00:10.000000+0000, last on 2027-01-01T00:00:50.000000+0000; hosts: web (2), db (1); 1 suppressed by exceptions; first event e10: user.name is "root" (condition: s)
            guessing would have fired 1 time, first on 2027-01-01T00:00:20.000000+0000, last on 2027-01-01T00:00:20.000000+0000; hosts: console (1); first event e20: event_count is 2, wanted >= 2, for user.name=root, from 2027-01-01T00:00:10.000000+0000 to 2027-01-01T00:00:20.000000+0000 (time span 60 s), from: Failed (2)
        "#]].assert_eq(&hunt(&rules, EXCEPTION, Vec::new()));
        assert_eq!(rules.query(), "\"root\" OR \"failure\"");
    }

    #[test]
    fn exceptions_that_are_no_files_count_for_their_engine_and_rule() {
        let rules = sound(RULES);
        let on = |engine, rule: &str, value: &str| {
            let values = vec![value.to_owned()];
            let list = vec![Condition { field: "user.name".into(), how: How::Is, values }];
            (engine, rule.to_owned(), list)
        };
        expect![[r#"
            guessing would have fired 1 time, first on 2027-01-01T00:00:20.000000+0000, last on 2027-01-01T00:00:20.000000+0000; hosts: console (1); first event e20: event_count is 2, wanted >= 2, for user.name=root, from 2027-01-01T00:00:10.000000+0000 to 2027-01-01T00:00:20.000000+0000 (time span 60 s), from: Failed (2)
            root would not have fired; 4 suppressed by exceptions
        "#]].assert_eq(&hunt(&rules, "", vec![on(Engine::Sigma, "root", "root"), on(Engine::Sigma, "guessing", "root")]));
        expect![[r#"
            root would have fired 4 times, first on 2027-01-01T00:00:10.000000+0000, last on 2027-01-01T00:00:50.000000+0000; hosts: web (2), console (1), db (1); first event e10: user.name is "root" (condition: s)
            failed would not have fired; 4 suppressed by exceptions
            guessing would not have fired
        "#]].assert_eq(&hunt(&rules, "", vec![on(Engine::Sigma, "failed", "root")]));
        let broken = vec![(Engine::Sigma, "root".to_owned(), Vec::new())];
        assert!(Hunter::new(&rules, Exceptions::default(), broken).is_err());
    }
}
