//! A preview from its text to its answer, its bounds, and how it is stopped.

use super::*;
use crate::testing::{START, Site, origin};
use serde_json::json;

const RULE: &str = "title: Root\nid: root\nlogsource: {product: linux, service: sshd}\ndetection:\n  s:\n    user.name|expand: '%admins%'\n  condition: s\n";

async fn site() -> Site {
    let site = Site::new();
    let events = (1..=40).map(|seq| {
        let user = if seq % 4 == 0 { "root" } else { "eve" };
        let mut event = Site::log(
            seq,
            json!({"event": {"module": "sshd"}, "process": {"name": "sshd"}, "user": {"name": user},
                "message": format!("login of {user}")}),
        );
        event.time =
            Timestamp::from_micros(START - 3_600_000_000).plus_seconds(i64::try_from(seq).unwrap());
        event
    });
    site.app.pipeline.take(&origin("a"), 1, events.collect()).await.unwrap();
    let store = Arc::clone(site.app.pipeline.store());
    tokio::task::spawn_blocking(move || store.flush()).await.unwrap().unwrap();
    site
}

fn config() -> RulesConfig {
    RulesConfig {
        placeholders: BTreeMap::from([("admins".to_owned(), vec!["root".to_owned()])]),
        ..RulesConfig::default()
    }
}

fn begin(site: &Site, rules: &str) -> Result<Progress, HuntError> {
    let wanted = Wanted { rules: rules.into(), from: "now-1d".into(), to: "now".into() };
    let store = (Arc::clone(site.app.pipeline.store()), site.app.clock.clone());
    site.app.hunts.begin(wanted, store, (&config(), &site.app.exceptions))
}

async fn over(site: &Site, id: &str) -> Progress {
    for _ in 0..1_000 {
        let progress = site.app.hunts.get(id).unwrap();
        if progress.stage != Stage::Running {
            return progress;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not end")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_run_over_the_past_as_it_would_be_here() {
    let site = site().await;
    let begun = begin(&site, RULE).unwrap();
    let done = over(&site, &begun.id).await;
    assert_eq!((done.stage, done.error.as_str(), done.partial), (Stage::Done, "", false));
    assert_eq!((done.events, done.total, done.matches), (10, 10, 10), "the query finds no more");
    let words = &done.rules[0].words;
    assert!(
        words.starts_with("would have fired 10 times, first on 2026-11-22T14:04:09"),
        "{words}"
    );
    assert!(words.contains("hosts: web1 (10)"), "{words}");
    // With an exception that holds now it would have been quiet.
    let new = crate::exceptions::New {
        title: String::new(),
        engine: Engine::Sigma,
        rule_id: "root".into(),
        conditions: vec![Condition {
            field: "host.name".into(),
            how: sigma::How::Is,
            values: vec!["web1".into()],
        }],
        reason: "why".into(),
        author: "alice".into(),
        days: 1,
        alert: None,
        overridden: Vec::new(),
    };
    site.app.exceptions.add(new).unwrap();
    let begun = begin(&site, RULE).unwrap();
    let done = over(&site, &begun.id).await;
    assert_eq!((done.rules[0].times, done.rules[0].suppressed), (0, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_rule_is_refused_by_its_reason() {
    let site = site().await;
    let many = (0..101).map(|n| RULE.replace("id: root", &format!("id: r{n}"))).collect::<Vec<_>>();
    for (text, words) in [
        (String::new(), "there is no rule in it"),
        ("title: [".to_owned(), "not readable as YAML"),
        (RULE.replace("condition: s", "condition: t"), "nothing is called \"t\""),
        (RULE.replace("admins", "nobody"), "root can never fire: placeholder %nobody%"),
        ("#".repeat(MAX_TEXT + 1), "at most 262144 bytes"),
        (many.join("---\n"), "101 rules; at most 100"),
    ] {
        let refused = begin(&site, &text).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn few_run_at_once_and_each_can_be_stopped() {
    let site = Site::new();
    let job = |id: &str, stage| {
        Arc::new(Job {
            progress: Mutex::new(Progress { id: id.into(), stage, ..Progress::default() }),
            ..Job::default()
        })
    };
    let running = job("b", Stage::Running);
    site.app.hunts.lock().extend([job("a", Stage::Running), Arc::clone(&running)]);
    assert!(matches!(begin(&site, RULE), Err(HuntError::Busy)));
    assert!(!site.app.hunts.cancel("nope"));
    assert!(site.app.hunts.cancel("b"));
    assert!(running.cancel.is_cancelled());
    running.lock().stage = Stage::Cancelled;
    for n in 2..MAX_KEPT {
        site.app.hunts.lock().push(job(&n.to_string(), Stage::Done));
    }
    let begun = begin(&site, RULE).unwrap();
    assert_eq!(site.app.hunts.lock().len(), MAX_KEPT);
    assert!(site.app.hunts.get("b").is_none(), "the oldest that is over has left");
    let done = over(&site, &begun.id).await;
    assert_eq!((done.stage, done.rules[0].times), (Stage::Done, 0));
    // One that is told to stop before it begins finds nothing.
    let wanted = Wanted { rules: RULE.into(), from: "now-1d".into(), to: "now".into() };
    let stopped = job("s", Stage::Running);
    stopped.cancel.cancel();
    let (rules, _) =
        RuleSet::load(std::iter::once(("r", RULE)), &correlate::options(&config()).unwrap());
    let hunting = Hunting { job: &stopped, wanted: &wanted, clock: &site.app.clock };
    hunting.run(site.store.as_ref(), &rules, (Written::default(), Vec::new())).unwrap();
    assert_eq!(stopped.lock().rules, []);
}

#[test]
fn settings_are_those_of_the_configuration_and_the_state() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.yml");
    std::fs::write(&path, "[]").unwrap();
    let config = RulesConfig { mappings: vec![path.clone()], ..config() };
    let (_folder, state) = crate::testing::state();
    let exceptions = Exceptions::load(state, Clock::manual(START)).unwrap();
    let told = json!(settings(&config, &exceptions).unwrap());
    assert_eq!(
        told,
        json!({"mappings": [[path.display().to_string(), "[]"]], "placeholders": {"admins": ["root"]},
            "exceptions": [], "made": []})
    );
}
