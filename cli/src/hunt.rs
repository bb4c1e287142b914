//! `pikett hunt`: Sigma rules over the events a collector has stored: what would have fired, and when.
//!
//! The rules become one query that finds every event they can match (`sigma::RuleSet::query`); what it finds
//! is evaluated here by the engine that runs live, correlations and exceptions among it. Changes nothing on
//! the collector. Each page of events is asked for after the one before, so memory holds one page and the
//! events that matched.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use event::{Object, Timestamp};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};
use sigma::{Correlator, Exceptions, Record, RuleIndex, RuleSet, Scratch};

use crate::remote::{Remote, say};
use crate::terminal::plain;

/// Events of one page.
const PAGE: u64 = 2_000;
/// Most events kept for correlations; of more the oldest are left out, and that is told.
const MAX_KEPT: usize = 200_000;
/// Hosts named for a rule.
const TOP: usize = 5;

/// `pikett hunt`.
#[derive(Debug, Args)]
pub(crate) struct Hunt {
    #[command(flatten)]
    remote: Remote,
    /// File or folder of Sigma rules (repeatable).
    #[arg(long, value_name = "FILE_OR_DIR", required = true)]
    sigma: Vec<PathBuf>,
    /// File or folder of exceptions (repeatable).
    #[arg(long, value_name = "FILE_OR_DIR")]
    exceptions: Vec<PathBuf>,
    /// Earliest time: RFC 3339, or relative such as `now-7d`.
    #[arg(long, default_value = "now-24h")]
    from: String,
    /// Latest time.
    #[arg(long, default_value = "now")]
    to: String,
    /// One JSON document on standard output.
    #[arg(long)]
    json: bool,
}

/// What a rule would have done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Fired {
    rule: String,
    title: String,
    author: String,
    level: String,
    /// How often it would have fired.
    times: u64,
    /// Matches that an exception suppressed.
    suppressed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Timestamp>,
    /// Hosts by how often, the most frequent first.
    hosts: Vec<(String, u64)>,
    /// Identity of the first event and why it matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<(String, String)>,
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    query: &'a str,
    /// Events the query found, all of which were evaluated.
    events: u64,
    /// The collector ran out of time or could not read a part: counts are lower bounds.
    partial: bool,
    /// Events left out of correlations because there were too many.
    uncorrelated: u64,
    rules: Vec<&'a Fired>,
}

/// The evaluating side: what was found so far.
struct Hunter<'r> {
    rules: &'r RuleSet,
    scratch: Scratch,
    exceptions: Exceptions,
    fired: BTreeMap<String, Fired>,
    hosts: BTreeMap<String, BTreeMap<String, u64>>,
    /// What correlations are to see, newest first as it comes.
    kept: Vec<(Timestamp, Object, Vec<RuleIndex>)>,
    uncorrelated: u64,
}

fn time(document: &Object) -> Timestamp {
    let text = event::get(document, "timestamp").and_then(Value::as_str);
    text.and_then(|text| text.parse().ok()).unwrap_or(Timestamp::EPOCH)
}

impl<'r> Hunter<'r> {
    fn new(rules: &'r RuleSet, exceptions: Exceptions) -> Self {
        Self {
            rules,
            scratch: Scratch::new(),
            exceptions,
            fired: BTreeMap::new(),
            hosts: BTreeMap::new(),
            kept: Vec::new(),
            uncorrelated: 0,
        }
    }

    /// An event of the store; detections are no evidence of themselves.
    fn event(&mut self, document: Object) {
        if document.contains_key("detection") {
            return;
        }
        let at = time(&document);
        let record = Record::new(&document);
        let mut matched = self.rules.evaluate(&record, &mut self.scratch).to_vec();
        matched.retain(|&rule| {
            let Some(meta) = self.rules.meta(rule) else { return false };
            if self.exceptions.suppress(meta, &record, at).is_some() {
                self.entry(meta).suppressed += 1;
                return false;
            }
            true
        });
        for &rule in &matched {
            if !self.rules.speaks(rule) {
                continue;
            }
            let why = self.rules.describe(rule, &record, &mut self.scratch);
            let Some(meta) = self.rules.meta(rule) else { continue };
            self.count(meta, &record, (at, why.map(|one| one.explanation).unwrap_or_default()));
        }
        if self.rules.correlations() > 0 && !matched.is_empty() {
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
                if self.exceptions.suppress(meta, &record, at).is_some() {
                    self.entry(meta).suppressed += 1;
                } else {
                    self.count(meta, &record, (at, found.explanation));
                }
            }
        }
    }

    fn entry(&mut self, meta: &sigma::Meta) -> &mut Fired {
        self.fired.entry(meta.id.clone()).or_insert_with(|| Fired {
            rule: meta.id.clone(),
            title: meta.title.clone(),
            author: meta.author.clone(),
            level: meta.level.as_str().to_owned(),
            ..Fired::default()
        })
    }

    fn count(&mut self, meta: &sigma::Meta, record: &Record<'_>, (at, why): (Timestamp, String)) {
        let host = record.text("host.name").or_else(|| record.text("Computer"));
        let host = host.map_or_else(|| "unknown".to_owned(), std::borrow::Cow::into_owned);
        *self.hosts.entry(meta.id.clone()).or_default().entry(host).or_default() += 1;
        let id = record.id().unwrap_or_default();
        let fired = self.entry(meta);
        fired.times += 1;
        fired.last = fired.last.max(Some(at));
        if fired.first.is_none_or(|first| at <= first) {
            fired.first = Some(at);
            fired.example = Some((id, why));
        }
    }

    /// What would have fired, the most frequent first.
    fn finish(mut self) -> (Vec<Fired>, u64) {
        self.correlate();
        let mut all: Vec<Fired> = self.fired.into_values().collect();
        for fired in &mut all {
            let hosts = self.hosts.remove(&fired.rule).unwrap_or_default();
            fired.hosts = hosts.into_iter().collect();
            fired.hosts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            fired.hosts.truncate(TOP);
        }
        all.sort_by(|left, right| right.times.cmp(&left.times).then(left.rule.cmp(&right.rule)));
        (all, self.uncorrelated)
    }
}

fn line(fired: &Fired) -> String {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    let mut out = format!("{} {} ({}):", fired.level, fired.title, fired.rule);
    if fired.times == 0 {
        out += " would not have fired";
    } else {
        let hosts: Vec<String> =
            fired.hosts.iter().map(|(host, count)| format!("{host} ({count})")).collect();
        out += &format!(
            " would have fired {} time{}, first on {}, last on {}; hosts: {}",
            fired.times,
            if fired.times == 1 { "" } else { "s" },
            time(fired.first),
            time(fired.last),
            hosts.join(", ")
        );
    }
    if fired.suppressed > 0 {
        out += &format!("; {} suppressed by exceptions", fired.suppressed);
    }
    if let Some((id, why)) = &fired.example {
        out += &format!("; first event {id}: {why}");
    }
    plain(&out)
}

/// Runs the hunt; 0 when nothing would have fired, 1 when something would.
pub(crate) fn run(hunt: &Hunt) -> Result<ExitCode> {
    let (rules, report) = crate::rules::load_sigma(&hunt.sigma)?;
    if let Some(rejected) = report.rejected.first() {
        bail!("{}: {} {}", rejected.file, rejected.id, rejected.reason);
    }
    if rules.is_empty() {
        bail!("no rule was loaded");
    }
    let exceptions = crate::rules::load_exceptions(&hunt.exceptions, &rules)?;
    let query = rules.query();
    let mut hunter = Hunter::new(&rules, exceptions);
    let (events, partial) = pages(hunt, &query, &mut |document| hunter.event(document))?;
    let (fired, uncorrelated) = hunter.finish();
    let some = fired.iter().any(|one| one.times > 0);
    if hunt.json {
        let rules = fired.iter().collect();
        let answer = Answer { query: &query, events, partial, uncorrelated, rules };
        say(&serde_json::to_string(&answer)?);
    } else {
        fired.iter().for_each(|one| say(&line(one)));
        say(&plain(&format!("{events} events were evaluated, found by {query}")));
        if partial || uncorrelated > 0 {
            say("this is not all: the collector ran out of time, or there were too many events");
        }
    }
    Ok(if some { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Asks for all events of the query, page by page; tells how many came and whether some may be missing.
fn pages(hunt: &Hunt, query: &str, each: &mut dyn FnMut(Object)) -> Result<(u64, bool)> {
    let client = hunt.remote.client()?;
    let mut request = json!({
        "query": query, "from": hunt.from, "to": hunt.to, "limit": PAGE, "budget_ms": 60_000,
    });
    let (mut seen, mut partial) = (0_u64, false);
    let bar = bar();
    loop {
        let mut answer: Value = client.post("/api/v1/search", &request)?;
        let total = answer.get("total").and_then(Value::as_u64).unwrap_or_default();
        let failures = answer.get("failures").and_then(Value::as_array);
        partial |= answer.get("partial").and_then(Value::as_bool).unwrap_or_default()
            || failures.is_some_and(|all| !all.is_empty());
        bar.set_length(total.max(seen));
        let hits = answer.get_mut("hits").and_then(Value::as_array_mut).map(std::mem::take);
        for mut hit in hits.context("an answer without hits")? {
            if let Some(Value::Object(document)) = hit.get_mut("document").map(Value::take) {
                seen += 1;
                each(document);
            }
        }
        bar.set_position(seen);
        match answer.get("next") {
            Some(next) if !next.is_null() => {
                if let Some(request) = request.as_object_mut() {
                    request.insert("after".to_owned(), next.clone());
                }
            }
            _ => break,
        }
    }
    bar.finish_and_clear();
    Ok((seen, partial))
}

/// A bar on a terminal, else nothing.
fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} events, {eta} left") {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    const RULES: &str = "title: Root\nid: root\nname: root\nauthor: A\nlevel: high\nlogsource: {product: linux, service: sshd}\ndetection:\n  s:\n    user.name: root\n  condition: s\n---\ntitle: Failed\nid: failed\nlogsource: {product: linux, service: sshd}\ndetection:\n  s:\n    event.outcome: failure\n  condition: s\n---\ntitle: Guessing\nid: guessing\ncorrelation:\n  type: event_count\n  rules: [failed]\n  group-by: [user.name]\n  timespan: 1m\n  condition:\n    gte: 2\n";
    const EXCEPTION: &str = "title: Console\nid: e\nrules: [root]\nreason: the console logs in\nauthor: A\nexpires: 2027-01-31\ndetection:\n  s:\n    host.name: console\n  condition: s\n";

    fn document(second: u32, host: &str, user: &str) -> Object {
        let Value::Object(document) = json!({
            "timestamp": format!("2027-01-01T00:00:{second:02}Z"), "event_type": "log",
            "event": {"id": format!("e{second}"), "outcome": "failure"},
            "process": {"name": "sshd"}, "user": {"name": user}, "host": {"name": host},
        }) else {
            panic!("an object")
        };
        document
    }

    #[test]
    fn what_would_have_fired_is_counted_with_first_last_and_hosts() {
        let (rules, report) =
            RuleSet::load(std::iter::once(("r.yml", RULES)), &sigma::Options::default());
        assert_eq!((report.accepted, report.rejected.len()), (3, 0));
        let exceptions = std::iter::once(("e.yml", EXCEPTION));
        let (exceptions, refused) =
            Exceptions::load(exceptions, &rules, &sigma::Options::default());
        assert_eq!(refused, []);
        let mut hunter = Hunter::new(&rules, exceptions);
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
        let lines: String = fired.iter().map(|one| line(one) + "\n").collect();
        expect![[r#"
            high Root (root): would have fired 3 times, first on 2027-01-01T00:00:10.000000+0000, last on 2027-01-01T00:00:50.000000+0000; hosts: web (2), db (1); 1 suppressed by exceptions; first event e10: user.name is "root" (condition: s)
            medium Guessing (guessing): would have fired 1 time, first on 2027-01-01T00:00:20.000000+0000, last on 2027-01-01T00:00:20.000000+0000; hosts: console (1); first event e20: event_count is 2, wanted >= 2, for user.name=root, from 2027-01-01T00:00:10.000000+0000 to 2027-01-01T00:00:20.000000+0000 (time span 60 s), from: Failed (2)
        "#]].assert_eq(&lines);
        assert_eq!(rules.query(), "\"root\" OR \"failure\"");
    }
}
