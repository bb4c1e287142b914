//! Every rule of `rules/anomaly` loads, and does on its fixtures what they say.
//!
//! Fixtures are `rules/fixtures/anomaly/*.toml`: series of events from templates. In a template
//! `{n}` is the number of the repetition from 0, `{n%K}` that modulo K, `{n/K}` that divided by K,
//! `{x}` sixteen hexadecimal digits that look random.

#![expect(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anomaly::{Engine, EventView, Finding, Options, RuleSet, Source};
use event::Timestamp;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixtures {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    rule: String,
    name: String,
    /// Findings of the rule; 0 for a case that must not fire.
    findings: usize,
    /// Entity of the first finding.
    #[serde(default)]
    entity: String,
    series: Vec<Series>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Series {
    /// Seconds after the case's beginning.
    #[serde(default)]
    after: f64,
    #[serde(default = "once")]
    repeat: u64,
    /// Seconds between two events.
    #[serde(default)]
    every: f64,
    event: String,
}

fn once() -> u64 {
    1
}

fn rules_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules")
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    out.sort();
    out
}

fn rules() -> RuleSet {
    let sources: Vec<Source> = files(&rules_folder().join("anomaly"), "yml")
        .iter()
        .map(|path| Source {
            name: path.file_name().unwrap().to_str().unwrap().into(),
            text: std::fs::read_to_string(path).unwrap(),
        })
        .collect();
    let (rules, errors) = RuleSet::load(&sources, &Options::default());
    assert!(errors.is_empty(), "{errors:#?}");
    rules
}

fn cases() -> Vec<Case> {
    files(&rules_folder().join("fixtures/anomaly"), "toml")
        .iter()
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            let read: Result<Fixtures, _> = toml::from_str(&text);
            read.unwrap_or_else(|error| panic!("{}: {error}", path.display())).case
        })
        .collect()
}

/// Mixes the bits of a number (SplitMix64).
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn fill(template: &str, n: u64) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((head, tail)) = rest.split_once('{') {
        out.push_str(head);
        let Some((name, after)) = tail.split_once('}') else { break };
        let value = match name.split_at_checked(1) {
            Some(("n", "")) => n.to_string(),
            Some(("x", "")) => format!("{:016x}", mix(n)),
            Some(("n", arithmetic)) => {
                let (sign, number) = arithmetic.split_at(1);
                let number: Result<u64, _> = number.parse();
                match (sign, number) {
                    ("%", Ok(k)) => (n % k).to_string(),
                    ("/", Ok(k)) => (n / k).to_string(),
                    _ => String::new(),
                }
            }
            _ => String::new(),
        };
        if value.is_empty() {
            // A brace of the JSON itself.
            out.push('{');
            rest = tail;
        } else {
            out.push_str(&value);
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// The documents of a case, ordered by time.
fn documents(case: &Case) -> Vec<(i64, serde_json::Map<String, serde_json::Value>)> {
    // Monday 2026-11-16T08:00:00Z.
    let begin = 1_794_816_000.0;
    let mut out = Vec::new();
    for series in &case.series {
        for n in 0..series.repeat {
            let seconds = begin + series.after + series.every * n as f64;
            let text = fill(&series.event, n);
            let document = serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}: {text}", case.name));
            out.push(((seconds * 1e6) as i64, document));
        }
    }
    out.sort_by_key(|(time, _)| *time);
    out
}

fn run(rules: &RuleSet, case: &Case) -> Vec<Finding> {
    let mut engine = Engine::new(rules);
    let mut found = Vec::new();
    for (at, (time, document)) in documents(case).iter().enumerate() {
        let kind = document["event_type"].as_str().unwrap();
        let id = at.to_string();
        let time = Timestamp::from_micros(*time);
        let view = EventView { time, kind, id: Some(&id), fields: document };
        engine.observe(&view, &mut found);
    }
    found
}

#[test]
fn every_fixture_does_what_it_says() {
    let rules = rules();
    let mut wrong = Vec::new();
    for case in cases() {
        let found = run(&rules, &case);
        let mine: Vec<&Finding> = found.iter().filter(|f| f.rule.id == case.rule).collect();
        if mine.len() != case.findings {
            wrong.push(format!("{}: {} instead of {}", case.name, mine.len(), case.findings));
        }
        if let Some(first) = mine.first()
            && !case.entity.is_empty()
            && first.entity().value != case.entity
        {
            wrong.push(format!("{}: about {}", case.name, first.entity().value));
        }
        for finding in mine {
            let detection = finding.to_detection();
            assert!(!detection.evidence.is_empty() || finding.value == 0.0, "{}", case.name);
            assert!(detection.explanation.contains("from 20"), "{}", detection.explanation);
            assert!(finding.first <= finding.last);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_rule_has_a_case_that_fires_and_one_that_does_not() {
    let mut seen: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for case in cases() {
        let entry = seen.entry(case.rule).or_default();
        if case.findings > 0 { entry.0 = true } else { entry.1 = true }
    }
    let rules = rules();
    let missing: Vec<&str> = rules
        .rules()
        .iter()
        .filter(|rule| seen.get(&rule.id) != Some(&(true, true)))
        .map(|rule| rule.title.as_str())
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
    let known: Vec<&str> = rules.rules().iter().map(|rule| rule.id.as_str()).collect();
    assert!(seen.keys().all(|id| known.contains(&id.as_str())), "a fixture of no rule");
}

#[test]
fn every_rule_explains_itself() {
    for rule in rules().rules() {
        assert!(!rule.description.is_empty() && !rule.advice.is_empty(), "{}", rule.title);
        assert!(rule.attack.iter().any(|t| t.0.starts_with('T')), "{}", rule.title);
    }
}
