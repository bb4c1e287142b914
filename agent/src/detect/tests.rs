//! Detection over events: loading, findings, the clock, the way over a restart.

use super::*;
use event::{AgentId, Detection, Kind};

fn event(message: &str) -> Event {
    let parser = logs::parse::Parser::new(logs::config::Format::Auto, logs::parse::Zone::utc());
    parser.event(message.as_bytes(), Timestamp::from_seconds(1_795_359_845)).0
}

fn id(seq: u64) -> EventId {
    EventId { agent: AgentId::new("a").unwrap(), boot: 1, seq }
}

fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> RulesConfig {
    std::fs::write(folder.path().join(name), text).unwrap();
    RulesConfig::default()
}

#[test]
fn a_sigma_rule_fires_with_its_evidence_and_context() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "title: Root login\nid: 0f06a3a5-6a09-413f-8743-e6cf35561297\nlogsource:\n  product: linux\n  service: sshd\ndetection:\n  sel:\n    user.name: root\n    event.outcome: success\n  condition: sel\nlevel: high\n";
    let mut config = write(&folder, "a.yml", rule);
    config.sigma = vec![folder.path().to_owned()];
    std::fs::write(folder.path().join("b.yml"), "title: broken\n").unwrap();
    let (mut detector, loaded) = sigma(&config, "web1").unwrap().unwrap();
    assert_eq!(loaded, (1, 1));
    let line =
        "Nov 22 15:04:05 web1 sshd[8]: Accepted password for root from 192.0.2.7 port 5 ssh2";
    let mut login = event(line);
    let mut found = Vec::new();
    detector.event(&mut login, &id(7), &mut found);
    assert_eq!((login.kind.clone(), login.fields.contains_key("event_type")), (Kind::Log, false));
    let detection = Detection::from_document(&found[0].fields).unwrap();
    assert_eq!(detection.evidence[0], "a/0000000000000001/7");
    assert_eq!(detection.entity.value, "192.0.2.7");
    assert_eq!(found[0].fields["user"]["name"], "root");
    detector.event(&mut event("nothing of interest"), &id(8), &mut found);
    assert_eq!(found.len(), 1);
}

#[test]
fn exceptions_placeholders_and_names_of_the_configuration_have_effect() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        vec![path]
    };
    let rule = "title: Login of an administrator\nid: admin\nlogsource:\n  product: linux\n  service: sshd\ndetection:\n  sel:\n    Who|expand: '%admins%'\n    event.outcome: success\n  condition: sel\n";
    let exception = "title: Jump host\nid: jump\nrules: [admin]\nreason: they come from there\nauthor: A\nexpires: 2026-12-31\ndetection:\n  s:\n    src_ip: 192.0.2.7\n  condition: s\n";
    let config = RulesConfig {
        sigma: file("rule.yml", rule),
        exceptions: file("exception.yml", exception),
        mappings: file("names.yml", "- logsource: {service: sshd}\n  fields: {Who: [user.name]}\n"),
        placeholders: BTreeMap::from([("admins".to_owned(), vec!["root".into(), "adm_*".into()])]),
        ..RulesConfig::default()
    };
    let (mut detector, loaded) = sigma(&config, "web1").unwrap().unwrap();
    assert_eq!(loaded, (1, 0));
    let mut look = |line: &str| {
        let (mut one, mut found) = (event(line), Vec::new());
        detector.event(&mut one, &id(1), &mut found);
        (found.len(), event::get(&one.fields, "suppressed.exception").cloned())
    };
    let accepted = "Nov 22 15:04:05 web1 sshd[8]: Accepted password for";
    assert_eq!(look(&format!("{accepted} adm_eve from 192.0.2.8 port 5 ssh2")), (1, None));
    assert_eq!(look(&format!("{accepted} eve from 192.0.2.8 port 5 ssh2")), (0, None));
    let kept = Some(serde_json::json!(["jump"]));
    assert_eq!(look(&format!("{accepted} root from 192.0.2.7 port 5 ssh2")), (0, kept));
    let after = "2027-01-01T00:00:00Z".parse().unwrap();
    detector.pass(after, &mut Vec::new());
}

#[test]
fn a_threshold_fires_over_several_events() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "title: Many failures\nid: 6f3c0b8e-6f5b-4d0a-9d0e-0f5b6a1c2d3e\nlevel: high\nselect: { event.outcome: failure }\ngroup-by: [src_ip]\ntimespan: 60s\nthreshold: { count: events, gte: 3 }\n";
    let mut config = write(&folder, "a.yml", rule);
    config.anomaly = vec![folder.path().to_owned()];
    let (mut detector, loaded) = anomaly(&config, None).unwrap().unwrap();
    assert_eq!(loaded, (1, 0));
    let mut found = Vec::new();
    for seq in 1..=3 {
        let line =
            "Nov 22 15:04:05 web1 sshd[8]: Failed password for root from 192.0.2.7 port 5 ssh2";
        detector.event(&mut event(line), &id(seq), &mut found);
    }
    let detection = Detection::from_document(&found[0].fields).unwrap();
    assert_eq!(detection.entity.value, "192.0.2.7");
    assert!(!detection.evidence.is_empty());
}

#[test]
fn nothing_configured_is_nothing_loaded() {
    let config = RulesConfig::default();
    assert!(sigma(&config, "h").unwrap().is_none() && anomaly(&config, None).unwrap().is_none());
    let missing = RulesConfig { sigma: vec!["/no/such".into()], ..config };
    assert!(sigma(&missing, "h").is_err());
}

const THRESHOLD: &str = "title: Many\nid: 6f3c0b8e-6f5b-4d0a-9d0e-0f5b6a1c2d3e\nlevel: high\nselect: { event.outcome: failure }\ngroup-by: [src_ip]\ntimespan: 60s\nthreshold: { count: events, gte: 3 }\n";
const SILENCE: &str = "title: Source fell silent\nid: 7f3c0b8e-6f5b-4d0a-9d0e-0f5b6a1c2d3e\nlevel: high\nselect: { event_type: log }\ntimespan: 60s\nbaseline: { model: ewma, count: events, warmup: 15m, min-scale: 2, direction: down }\n";
const NOW: i64 = 1_795_359_845;

/// The detector of one rule, with what `memory` has of it.
fn detector(folder: &tempfile::TempDir, rule: &str, memory: Option<&Memory>) -> Box<dyn Detector> {
    std::fs::write(folder.path().join("rule.yml"), rule).unwrap();
    let paths = vec![folder.path().join("rule.yml")];
    let config = RulesConfig { anomaly: paths, ..RulesConfig::default() };
    let (detector, loaded) = anomaly(&config, memory).unwrap().unwrap();
    assert_eq!(loaded, (1, 0));
    detector
}

fn memory(folder: &tempfile::TempDir, secret: u8) -> Memory {
    let key = crate::memory::MemoryKey::derive(&[secret; 32]).unwrap();
    Memory::new(folder.path().to_owned(), key)
}

/// Shows `count` failed logins; how many findings they gave.
fn fail(detector: &mut dyn Detector, count: u64) -> usize {
    let line = "Nov 22 15:04:05 web1 sshd[8]: Failed password for root from 192.0.2.7 port 5 ssh2";
    let mut found = Vec::new();
    (0..count).for_each(|seq| detector.event(&mut event(line), &id(seq), &mut found));
    found.len()
}

#[test]
fn counts_go_on_after_a_restart_and_a_foreign_or_damaged_state_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let kept = memory(&folder, 1);
    let mut first = detector(&folder, THRESHOLD, Some(&kept));
    assert_eq!(fail(&mut *first, 2), 0);
    let (name, bytes) = first.memory().unwrap();
    kept.save(name, &bytes).unwrap();
    assert_eq!(fail(&mut *detector(&folder, THRESHOLD, Some(&kept)), 1), 1, "2 + 1");
    // A changed rule, another agent's key, a sealed file that is no snapshot: each begins anew.
    let changed = THRESHOLD.replace("60s", "61s");
    assert_eq!(fail(&mut *detector(&folder, &changed, Some(&kept)), 1), 0);
    for content in [&b"{garbage"[..], b"", br#"{"version":99}"#] {
        kept.save(name, content).unwrap();
        assert_eq!(fail(&mut *detector(&folder, THRESHOLD, Some(&kept)), 2), 0);
        assert!(folder.path().join("anomaly.memory.damaged").exists());
        assert!(!folder.path().join("anomaly.memory").exists(), "set aside");
    }
    kept.save(name, &bytes).unwrap();
    let foreign = memory(&folder, 2);
    assert_eq!(fail(&mut *detector(&folder, THRESHOLD, Some(&foreign)), 2), 0);
}

#[test]
fn a_network_that_falls_silent_ends_its_windows_by_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    let mut detector = detector(&folder, SILENCE, None);
    let mut found = Vec::new();
    let at = |seconds: i64| Timestamp::from_seconds(NOW / 60 * 60 + seconds);
    for n in 0..20 * 60 {
        let mut one = event("hello");
        (one.time, one.seen) = (at(n), at(n));
        detector.event(&mut one, &id(0), &mut found);
    }
    assert!(found.is_empty(), "steady traffic: {found:?}");
    // Within the grace for late events nothing ends yet.
    detector.pass(at(20 * 60 + 59), &mut found);
    assert!(found.is_empty(), "{found:?}");
    for minute in 21..30 {
        detector.pass(at(minute * 60 + 5), &mut found);
    }
    let first = found.first().expect("silence is found without any event");
    let detection = Detection::from_document(&first.fields).unwrap();
    assert_eq!(detection.title, "Source fell silent");
    // A clock that is set back, or a second look at the same time, finds nothing more.
    let count = found.len();
    detector.pass(at(29 * 60 + 5), &mut found);
    detector.pass(at(0), &mut found);
    assert_eq!(found.len(), count);
}

#[test]
fn the_clock_leaves_a_replay_alone() {
    let folder = tempfile::tempdir().unwrap();
    for (late, moves) in [(0, true), (3_599, true), (3_601, false), (-3_599, true), (-3_601, false)]
    {
        let mut detector = detector(&folder, THRESHOLD, None);
        let mut found = Vec::new();
        let mut one = event("hello");
        one.seen = one.time.plus_seconds(late);
        let now = one.time.plus_seconds(86_400);
        detector.pass(now, &mut found);
        detector.event(&mut one, &id(0), &mut found);
        let before = detector.memory().unwrap();
        detector.pass(now, &mut found);
        assert_eq!(detector.memory().unwrap() != before, moves, "{late} s late");
        assert!(found.is_empty());
    }
}

#[test]
fn home_networks_are_a_plain_list_or_the_default() {
    let home = |text: &str| {
        let vars = BTreeMap::from([("HOME_NET".to_owned(), text.to_owned())]);
        let nets: Vec<String> = options(&vars).home.iter().map(ToString::to_string).collect();
        if options(&vars).home == anomaly::Options::default().home {
            return "default".to_owned();
        }
        nets.join(" ")
    };
    for (text, expected) in [
        ("10.1.0.0/16", "10.1.0.0/16"),
        ("[192.0.2.0/24, 2001:db8::/32]", "192.0.2.0/24 2001:db8::/32"),
        (" [ 192.0.2.7 ,2001:db8::1 ] ", "192.0.2.7/32 2001:db8::1/128"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("any", "default"),
        ("!10.0.0.0/8", "default"),
        ("[10.0.0.0/8,!10.9.0.0/16]", "default"),
        ("$INTERNAL", "default"),
        ("10.0.0.1-10.0.0.9", "default"),
        ("[10.0.0.0/8", "default"),
        ("10.0.0.0/33", "default"),
        ("[10.0.0.0/8,]", "default"),
        ("[]", "default"),
        ("", "default"),
    ] {
        assert_eq!(home(text), expected, "{text:?}");
    }
    assert_eq!(options(&BTreeMap::new()).home, anomaly::Options::default().home);
}

#[test]
fn a_rule_about_the_inside_means_the_configured_networks() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "title: From outside\nid: 6f3c0b8e-6f5b-4d0a-9d0e-0f5b6a1c2d3e\nlevel: high\nselect: { src_ip|inside: false }\ngroup-by: [src_ip]\ntimespan: 60s\nthreshold: { count: events, gte: 1 }\n";
    std::fs::write(folder.path().join("a.yml"), rule).unwrap();
    for (home, outside) in [("192.0.2.0/24", false), ("10.0.0.0/8", true), ("!192.0.2.0/24", true)]
    {
        let config = RulesConfig {
            anomaly: vec![folder.path().to_owned()],
            vars: BTreeMap::from([("HOME_NET".into(), home.into())]),
            ..RulesConfig::default()
        };
        let (mut detector, _) = anomaly(&config, None).unwrap().unwrap();
        assert_eq!(fail(&mut *detector, 1) == 1, outside, "{home}");
    }
}
