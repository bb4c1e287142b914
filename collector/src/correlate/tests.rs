//! Rules over all agents: what is found, by whom, when time passes, and after a restart.

use super::*;
use event::{Detection, Engine};
use serde_json::{Value, json};

const RULES: &str = "title: Failed login\nid: 5638f7c0-ac70-491d-8465-2a65075e0d86\nname: failed_login\nlogsource:\n  product: linux\n  service: sshd\ndetection:\n  sel:\n    event.outcome: failure\n  condition: sel\nlevel: low\n---\ntitle: Password guessing over hosts\nid: 0e95725d-7320-415d-80f7-004da920fc11\ncorrelation:\n  type: value_count\n  rules: [failed_login]\n  group-by: [src_ip]\n  timespan: 5m\n  condition:\n    field: host.name\n    gte: 3\nlevel: high\n";

/// The detectors, with no exceptions in the state.
fn with(config: &RulesConfig, memory: Option<&Memory>) -> Result<Vec<Box<dyn Detector>>> {
    let (_folder, state) = crate::testing::state();
    let clock = service::Clock::manual(crate::testing::START);
    detectors(config, memory, &Exceptions::load(state, clock).unwrap())
}

fn document(host: u32) -> Document {
    let Value::Object(document) = json!({
        "timestamp": "2026-11-22T15:04:05.000000+0000", "event_type": "log",
        "event": {"id": format!("a/0000000000000001/{host}"), "module": "sshd",
            "outcome": "failure", "action": "ssh_login", "created": "2026-11-22T15:04:05Z"},
        "process": {"name": "sshd"}, "src_ip": "192.0.2.7",
        "host": {"name": format!("web{host}")},
    }) else {
        panic!("an object")
    };
    document
}

fn detect(by: Sent) -> Vec<Detection> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yml"), RULES).unwrap();
    let config = RulesConfig { sigma: vec![folder.path().to_owned()], ..RulesConfig::default() };
    let mut detectors = with(&config, None).unwrap();
    let mut found = Vec::new();
    for host in 1..=3 {
        detectors[0].document(&document(host), by, &mut found);
    }
    found.iter().map(|event| Detection::from_document(&event.fields).unwrap()).collect()
}

#[test]
fn correlations_span_agents() {
    let found = detect(Sent::Agent);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].engine, Engine::Correlation);
    assert_eq!(found[0].entity.value, "192.0.2.7");
    assert_eq!(found[0].evidence.len(), 3);
}

#[test]
fn single_events_of_others_are_looked_at_here_and_those_of_agents_are_not() {
    let found = detect(Sent::Other);
    let engines: Vec<Engine> = found.iter().map(|one| one.engine).collect();
    assert_eq!(engines.iter().filter(|one| **one == Engine::Correlation).count(), 1, "{found:?}");
    assert!(
        !found.iter().any(|one| one.rule_id.contains("5638f7c0")),
        "a rule that only feeds a correlation is silent"
    );
}

#[test]
fn detections_are_no_evidence_of_themselves() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yml"), RULES).unwrap();
    let config = RulesConfig { sigma: vec![folder.path().to_owned()], ..RulesConfig::default() };
    let mut detectors = with(&config, None).unwrap();
    let mut found = Vec::new();
    for host in 1..=5 {
        let mut document = document(host);
        document.insert("detection".into(), json!({"rule_id": "x"}));
        detectors[0].document(&document, Sent::Other, &mut found);
    }
    assert!(found.is_empty());
}

#[test]
fn paths_that_do_not_exist_are_errors_that_name_them() {
    let missing = PathBuf::from("/no/such/rules");
    for config in [
        RulesConfig { sigma: vec![missing.clone()], ..RulesConfig::default() },
        RulesConfig { anomaly: vec![missing], ..RulesConfig::default() },
    ] {
        let Err(error) = with(&config, None) else { panic!("must fail") };
        assert!(format!("{error:#}").contains("/no/such/rules"), "{error:#}");
    }
    assert!(with(&RulesConfig::default(), None).unwrap().is_empty());
}

const THRESHOLD: &str = r#"
title: Many events of one source
id: 7a6b4c88-7c5f-4b36-9e43-0f7c1d0f3a11
status: test
level: high
description: One source sends a lot.
advice: Look at it.
select:
  event_type: log
group-by: [src_ip]
entity: src_ip
timespan: 10m
threshold: { count: events, gte: 5 }
"#;

/// Detectors of [`THRESHOLD`] with what `memory` has of them.
fn counting(folder: &std::path::Path, memory: &Memory) -> Box<dyn Detector> {
    let file = folder.join("t.yml");
    std::fs::write(&file, THRESHOLD).unwrap();
    let config = RulesConfig { anomaly: vec![file], ..RulesConfig::default() };
    let mut all = with(&config, Some(memory)).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn show(detector: &mut dyn Detector, count: u32, by: Sent) -> usize {
    let mut found = Vec::new();
    (0..count).for_each(|n| detector.document(&document(n), by, &mut found));
    found.len()
}

#[test]
fn counts_go_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::new(folder.path().to_owned(), Key::new([1; 32]));
    let mut first = counting(folder.path(), &memory);
    assert_eq!(show(&mut *first, 3, Sent::Other), 0);
    let saved = [(first.name(), first.save().unwrap())];
    memory.save(&saved);
    assert_eq!(show(&mut *counting(folder.path(), &memory), 2, Sent::Other), 1, "3 + 2");
    let nothing = Memory::new(folder.path().join("none"), Key::new([1; 32]));
    assert_eq!(show(&mut *counting(folder.path(), &nothing), 2, Sent::Other), 0, "without memory");
    memory.save(&[(first.name(), b"{garbage".to_vec())]);
    assert_eq!(show(&mut *counting(folder.path(), &memory), 4, Sent::Other), 0, "garbage is none");
}

#[test]
fn what_agents_have_counted_is_not_counted_again() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::new(folder.path().join("none"), Key::new([1; 32]));
    let mut detector = counting(folder.path(), &memory);
    assert_eq!(show(&mut *detector, 20, Sent::Agent), 0);
    assert_eq!(show(&mut *detector, 5, Sent::Other), 1);
}

#[test]
fn the_clock_moves_the_present_and_leaves_a_replay_alone() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::new(folder.path().join("none"), Key::new([1; 32]));
    let arrival = |created: &str| {
        let mut one = document(1);
        event::set(&mut one, "event.created", created.into());
        one
    };
    for (created, moves) in [
        ("2026-11-22T15:04:06Z", true),
        ("2026-11-22T16:04:04Z", true),
        ("2026-11-22T16:04:06Z", false),
        ("2027-11-22T15:04:05Z", false),
    ] {
        let mut detector = counting(folder.path(), &memory);
        let mut found = Vec::new();
        let now: Timestamp = "2026-11-22T18:00:00Z".parse().unwrap();
        detector.pass(now, &mut found);
        detector.document(&arrival(created), Sent::Other, &mut found);
        let before = detector.save().unwrap();
        detector.pass(now, &mut found);
        assert_eq!(detector.save().unwrap() != before, moves, "{created}");
        let after = detector.save().unwrap();
        detector.pass(now.plus_seconds(-86_400), &mut found);
        assert_eq!(detector.save().unwrap(), after, "a clock set back changes nothing");
        assert!(found.is_empty());
    }
}

#[test]
fn memory_is_sealed_survives_and_a_damaged_one_counts_as_none() {
    let folder = tempfile::tempdir().unwrap();
    let memory = |key| Memory::new(folder.path().to_owned(), Key::new([key; 32]));
    assert_eq!(memory(1).load("x"), None);
    memory(1).save(&[("x", b"secret state".to_vec()), ("y", Vec::new())]);
    assert_eq!(memory(1).load("x").as_deref(), Some(&b"secret state"[..]));
    assert_eq!(memory(1).load("y").as_deref(), Some(&b""[..]));
    assert_eq!(memory(2).load("x"), None, "another key");
    let path = folder.path().join("x.memory");
    assert!(!path.exists() && folder.path().join("x.memory.damaged").exists(), "set aside");
    memory(1).save(&[("x", b"secret state".to_vec())]);
    let good = std::fs::read(&path).unwrap();
    assert!(!good.windows(6).any(|part| part == b"secret"));
    for at in 0..good.len() {
        std::fs::write(&path, &good[..at]).unwrap();
        assert_eq!(memory(1).load("x"), None, "cut at {at}");
    }
    // A folder in the way of the file: the failure is told, nothing is torn.
    std::fs::write(&path, &good).unwrap();
    std::fs::create_dir(folder.path().join("x.new")).unwrap();
    memory(1).save(&[("x", b"newer".to_vec())]);
    assert_eq!(memory(1).load("x").as_deref(), Some(&b"secret state"[..]));
}

/// Detectors of [`RULES`] with exceptions, and with what `memory` has of them.
fn correlating(exceptions: &str, memory: &Memory) -> Box<dyn Detector> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        vec![path]
    };
    let config = RulesConfig {
        sigma: write("a.yml", RULES),
        exceptions: write("e.yml", exceptions),
        ..RulesConfig::default()
    };
    let mut all = with(&config, Some(memory)).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn correlations_go_on_after_a_restart_and_damaged_state_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::new(folder.path().to_owned(), Key::new([1; 32]));
    let feed = |detector: &mut dyn Detector, hosts: std::ops::RangeInclusive<u32>| {
        let mut found = Vec::new();
        hosts.for_each(|host| detector.document(&document(host), Sent::Agent, &mut found));
        found.len()
    };
    let mut first = correlating("", &memory);
    assert_eq!(feed(&mut *first, 1..=2), 0);
    memory.save(&[(first.name(), first.save().unwrap())]);
    let mut second = correlating("", &memory);
    assert_eq!(feed(&mut *second, 3..=3), 1, "the third host after a restart");
    memory.save(&[(second.name(), second.save().unwrap())]);
    assert_eq!(feed(&mut *correlating("", &memory), 4..=4), 0, "and it is not told again");
    memory.save(&[("sigma", b"{}".to_vec())]);
    assert_eq!(feed(&mut *correlating("", &memory), 3..=3), 0, "begins anew");
    assert!(folder.path().join("sigma.memory.damaged").exists());
}

#[test]
fn exceptions_suppress_and_are_counted() {
    let text = "title: Scanner\nid: e1\nrules: [failed_login]\nreason: it tries logins\nauthor: A\nexpires: 2026-12-31\ndetection:\n  s:\n    src_ip: 192.0.2.7\n  condition: s\n";
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::new(folder.path().to_owned(), Key::new([1; 32]));
    for (text, findings, suppressed) in [
        (text.to_owned(), 0, 5),
        (text.replace("192.0.2.7", "192.0.2.8"), 1, 0),
        (text.replace("2026-12-31", "2026-11-21"), 1, 0),
        (text.replace("failed_login", "0e95725d-7320-415d-80f7-004da920fc11"), 0, 1),
    ] {
        let mut detector = correlating(&text, &memory);
        let mut found = Vec::new();
        (1..=5).for_each(|host| detector.document(&document(host), Sent::Agent, &mut found));
        assert_eq!(found.len(), findings, "{text}");
        let told = detector.left_out();
        let counted = told.iter().find(|(reason, _)| reason == "exception e1");
        assert_eq!(counted.map_or(0, |(_, count)| *count), suppressed, "{told:?}");
        assert!(detector.left_out().is_empty(), "told once");
    }
}

#[test]
fn exceptions_of_the_state_keep_matches_out_of_correlations_while_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yml"), RULES).unwrap();
    let config = RulesConfig { sigma: vec![folder.path().to_owned()], ..RulesConfig::default() };
    let (_folder, state) = crate::testing::state();
    let clock = service::Clock::manual(crate::testing::START);
    let exceptions = Exceptions::load(state, clock).unwrap();
    let mut detector = detectors(&config, None, &exceptions).unwrap().remove(0);
    let made = exceptions
        .add(crate::exceptions::New {
            title: String::new(),
            engine: Engine::Sigma,
            rule_id: "5638f7c0-ac70-491d-8465-2a65075e0d86".into(),
            conditions: vec![sigma::Condition {
                field: "src_ip".into(),
                how: sigma::How::Cidr,
                values: vec!["192.0.2.0/24".into()],
            }],
            reason: "it tries logins".into(),
            author: "alice".into(),
            days: 1,
            alert: None,
            overridden: Vec::new(),
        })
        .unwrap();
    let mut feed = |hosts: std::ops::RangeInclusive<u32>| {
        let mut found = Vec::new();
        hosts.for_each(|host| detector.document(&document(host), Sent::Agent, &mut found));
        found.len()
    };
    assert_eq!(feed(1..=5), 0);
    assert_eq!(exceptions.get(&made.id).unwrap().hits, 5, "a rule that only feeds is counted here");
    exceptions.end(&made.id, "alice", "").unwrap();
    assert_eq!(feed(1..=5), 1, "and nothing of before is remembered");
}

/// The query of a rule finds at least what the rule matches: what a hunt rests on.
mod queries {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::*;
    use crate::search::Matcher;

    fn found(detection: &str, source: &str, document: &Document) -> (bool, bool) {
        let rule = format!(
            "title: t\nid: t\nlogsource: {{{source}}}\ndetection:\n  s:\n{detection}  condition: s\n"
        );
        let (rules, report) =
            RuleSet::load(std::iter::once(("t.yml", rule)), &sigma::Options::default());
        assert_eq!(report.rejected, [], "{detection}");
        let mut scratch = Scratch::new();
        let matches = !rules.evaluate_all(&Record::new(document), &mut scratch).is_empty();
        let matcher = Matcher::new(&rules.query(), Timestamp::EPOCH).unwrap();
        (matches, matcher.matches(document))
    }

    fn document(value: &serde_json::Value) -> Document {
        let serde_json::Value::Object(document) = json!({
            "timestamp": "2026-11-22T15:04:05Z", "event_type": "log", "message": value,
            "user": {"name": value}, "process": {"command_line": value}, "own": value,
            "src_ip": "10.1.2.3", "dest_port": 443,
        }) else {
            panic!("an object")
        };
        document
    }

    #[test]
    fn known_fields_are_asked_for_by_number_and_network() {
        let document = document(&json!("x"));
        for (detection, expected) in [
            ("    src_ip|cidr: 10.0.0.0/8\n", true),
            ("    src_ip|cidr: 10.2.0.0/16\n", false),
            ("    dest_port: 443\n", true),
            ("    dest_port|lt: 443\n", false),
            ("    dest_port|lte: 443\n", true),
        ] {
            let (matches, query) = found(detection, "product: zeek", &document);
            assert_eq!((matches, query), (expected, expected), "{detection}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn a_query_finds_at_least_what_its_rule_matches(
            text in "[aBcü1İ_/. -]{0,24}",
            (from, to) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
            modifier in prop::sample::select(vec!["", "|contains", "|startswith", "|endswith", "|windash|contains", "|cased"]),
            field in prop::sample::select(vec!["message", "user.name", "process.command_line", "own"]),
            upper in any::<bool>(),
        ) {
            let chars: Vec<char> = text.chars().collect();
            let (from, to) = (from.index(chars.len() + 1), to.index(chars.len() + 1));
            let part: String = chars[from.min(to)..from.max(to)].iter().collect();
            let part = if upper && modifier != "|cased" { part.to_uppercase() } else { part };
            let detection = format!("    {field}{modifier}: '{part}'\n");
            for value in [json!(text), json!([1, text])] {
                let (matches, query) = found(&detection, "product: linux", &document(&value));
                prop_assert!(query || !matches, "{} on {:?}", detection, text);
            }
        }
    }
}
