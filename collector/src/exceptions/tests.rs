//! What holds, for how long, what is counted, told and kept over a restart.

use super::*;
use crate::testing::{START, detection, state};
use event::{Object, Severity};
use serde_json::{Value, json};
use sigma::{Condition, How};

const DAY: i64 = 86_400_000_000;

fn conditions(field: &str, value: &str) -> Vec<Condition> {
    vec![Condition { field: field.into(), how: How::Is, values: vec![value.into()] }]
}

fn new(rule: &str, field: &str, value: &str) -> New {
    New {
        title: String::new(),
        engine: Engine::Sigma,
        rule_id: rule.into(),
        conditions: conditions(field, value),
        reason: " the scanner of the house ".into(),
        author: "alice".into(),
        days: 30,
        alert: None,
        overridden: Vec::new(),
    }
}

/// The document of a detection of this rule in an event with these fields.
fn document(rule: &str, fields: Value) -> Document {
    let Value::Object(fields) = fields else { panic!("an object") };
    let now = Timestamp::from_micros(START);
    let mut event = detection(rule, "10.0.0.1", Severity::High).into_event(now, now, fields);
    event.seq = 1;
    event.into_document(&crate::testing::origin("a"), 7)
}

fn fixture() -> (tempfile::TempDir, Arc<State>, Clock, Exceptions) {
    let (folder, state) = state();
    let clock = Clock::manual(START);
    let exceptions = Exceptions::load(Arc::clone(&state), clock.clone()).unwrap();
    (folder, state, clock, exceptions)
}

#[test]
fn a_detection_is_marked_at_once_and_only_what_is_meant() {
    let (_folder, _state, _clock, exceptions) = fixture();
    let made = exceptions.add(new("r", "user.name", "backup")).unwrap();
    assert_eq!((made.reason.as_str(), made.title.as_str()), ("the scanner of the house", "r"));
    let user = |name: &str| json!({"user": {"name": name}});
    let mut documents = vec![
        document("r", user("backup")),
        document("r", user("root")),
        document("other", user("backup")),
        document("r", json!({})),
        Object::from_iter([("user".to_owned(), json!({"name": "backup"}))]),
    ];
    let before = documents.clone();
    let marked = exceptions.mark(&mut documents);
    assert_eq!(marked.places, BTreeSet::from([0]));
    assert_eq!(marked.counts, BTreeMap::from([(made.id.clone(), 1)]));
    assert_eq!(documents[0]["suppressed"], json!({"rule_id": ["r"], "exception": [made.id]}));
    assert_eq!(documents[1..], before[1..]);
    let document = document("r", user("backup"));
    assert_eq!(exceptions.holding((Engine::Sigma, "r"), &document), Some(made.id));
    assert_eq!(exceptions.holding((Engine::Correlation, "r"), &document), None, "another engine");
}

#[test]
fn it_holds_until_its_end_or_until_somebody_ends_it() {
    let (_folder, _state, clock, exceptions) = fixture();
    let one = exceptions.add(new("r", "f", "a")).unwrap();
    let two = exceptions.add(new("r", "f", "b")).unwrap();
    let holds = |value: &str| {
        exceptions.holding((Engine::Sigma, "r"), &document("r", json!({"f": value}))).is_some()
    };
    assert!(holds("a") && holds("b"));
    let ended = exceptions.end(&two.id, "bob", "it is gone").unwrap();
    assert_eq!(ended.history.last().unwrap().what, "ended: it is gone");
    assert!(holds("a") && !holds("b"));
    let again = exceptions.end(&two.id, "bob", "").unwrap_err().to_string();
    assert_eq!(again, "the exception is ended already");
    clock.advance(30 * DAY - 1);
    assert!(holds("a"));
    clock.advance(1);
    assert!(!holds("a"), "at its end it has no effect");
    let over = exceptions.end(&one.id, "bob", "").unwrap_err().to_string();
    assert_eq!(over, "the exception is expired already");
    let unknown = exceptions.end("nope", "bob", "").unwrap_err().to_string();
    assert_eq!(unknown, "no exception \"nope\"");
    let standings: Vec<_> = exceptions.list().0.iter().map(|one| one.standing).collect();
    assert_eq!(standings.len(), 2);
    assert!(standings.contains(&Standing::Ended) && standings.contains(&Standing::Expired));
}

#[test]
fn what_is_made_and_counted_survives_a_restart() {
    let (_folder, state, clock, exceptions) = fixture();
    let made = exceptions.add(new("r", "f", "a")).unwrap();
    let ended = exceptions.add(new("r", "f", "b")).unwrap();
    exceptions.end(&ended.id, "bob", "").unwrap();
    let counts = |n| BTreeMap::from([(made.id.clone(), n)]);
    exceptions.count(&counts(2));
    clock.advance(DAY);
    exceptions.count(&counts(3));
    exceptions.flush().unwrap();
    exceptions.count(&counts(1));
    let back = Exceptions::load(Arc::clone(&state), clock.clone()).unwrap();
    let one = back.get(&made.id).unwrap();
    assert_eq!((one.hits, one.last_hit), (5, Some(Timestamp::from_micros(START + DAY))));
    assert_eq!(one.exception, made);
    assert_eq!(back.get(&ended.id).unwrap().standing, Standing::Ended);
    let document = document("r", json!({"f": "a"}));
    assert!(back.holding((Engine::Sigma, "r"), &document).is_some());
    exceptions.flush().unwrap();
    let back = Exceptions::load(state, clock).unwrap();
    assert_eq!(back.get(&made.id).unwrap().hits, 6);
}

#[test]
fn what_suppresses_nothing_for_long_is_told_as_unused() {
    let (_folder, _state, clock, exceptions) = fixture();
    let made = exceptions.add(new("r", "f", "a")).unwrap();
    let unused = || exceptions.get(&made.id).unwrap().unused;
    clock.advance(14 * DAY);
    assert!(!unused());
    clock.advance(1);
    assert!(unused());
    exceptions.count(&BTreeMap::from([(made.id.clone(), 1)]));
    assert!(!unused());
    clock.advance(14 * DAY + 1);
    assert!(unused());
    clock.advance(10 * DAY);
    assert!(!unused(), "what is over is not unused, it is over");
}

#[test]
fn its_end_is_told_before_and_when_it_comes_once_each() {
    let (_folder, state, clock, exceptions) = fixture();
    let long = exceptions.add(new("r", "f", "a")).unwrap();
    let short = exceptions.add(New { days: 1, ..new("r", "f", "b") }).unwrap();
    let ended = exceptions.add(New { days: 1, ..new("r", "f", "c") }).unwrap();
    exceptions.end(&ended.id, "bob", "").unwrap();
    let due = |all: &Exceptions| {
        let mut due: Vec<(String, bool)> =
            all.due().into_iter().map(|due| (due.id, due.come)).collect();
        due.sort();
        due
    };
    let tell = |all: &Exceptions| all.due().iter().for_each(|due| all.told(due).unwrap());
    assert_eq!(due(&exceptions), []);
    clock.advance(DAY * 3 / 4);
    assert_eq!(due(&exceptions), [(short.id.clone(), false)], "a quarter of its time before");
    tell(&exceptions);
    assert_eq!(due(&exceptions), []);
    clock.advance(DAY / 4);
    assert_eq!(due(&exceptions), [(short.id, true)]);
    let text = exceptions.due()[0].detection();
    assert_eq!(text.rule_id, "pikett-exception-expired");
    assert!(text.explanation.contains("by alice"), "{}", text.explanation);
    tell(&exceptions);
    clock.advance(22 * DAY);
    assert_eq!(due(&exceptions), [(long.id.clone(), false)], "seven days before");
    tell(&exceptions);
    let back = Exceptions::load(state, clock.clone()).unwrap();
    assert_eq!(due(&back), [], "not again after a restart");
    clock.advance(7 * DAY);
    assert_eq!(due(&back), [(long.id.clone(), true)]);
    tell(&back);
    assert_eq!(due(&back), []);
    assert_eq!(back.get(&long.id).unwrap().exception.history.last().unwrap().what, "expired");
}

#[test]
fn those_from_files_are_listed_counted_and_their_end_is_told() {
    let (_folder, state, clock, exceptions) = fixture();
    let one = sigma::Exception {
        id: "f1".into(),
        title: "From a file".into(),
        rules: Vec::new(),
        reason: "why".into(),
        author: "A".into(),
        expires: Timestamp::from_micros(START + 8 * DAY),
        file: "e.yml".into(),
    };
    exceptions.files(std::iter::once((&one, 0)));
    exceptions.files(std::iter::once((&one, 4)));
    let listed = exceptions.list().1.remove(0);
    assert_eq!((listed.hits, listed.standing), (4, Standing::Active));
    assert_eq!(exceptions.due(), []);
    clock.advance(DAY);
    let due = exceptions.due().remove(0);
    assert_eq!((due.come, due.rule.as_str()), (false, "rules any"));
    assert!(due.detection().explanation.contains("from e.yml"));
    exceptions.told(&due).unwrap();
    exceptions.flush().unwrap();
    let back = Exceptions::load(state, clock).unwrap();
    back.files(std::iter::once((&one, 0)));
    assert_eq!(back.due(), []);
    assert_eq!(back.list().1[0].hits, 4);
    let later = sigma::Exception { expires: Timestamp::from_micros(START + 7 * DAY), ..one };
    let other = Exceptions::load(crate::testing::state().1, back.clock).unwrap();
    other.files(std::iter::once((&later, 0)));
    assert_eq!(other.due().len(), 1);
}

#[test]
fn what_is_not_whole_is_refused_and_changes_nothing() {
    let (_folder, _state, _clock, exceptions) = fixture();
    for (new, words) in [
        (New { engine: Engine::Health, ..new("r", "f", "a") }, "tells of itself has no exceptions"),
        (new("", "f", "a"), "without a rule"),
        (New { reason: " ".into(), ..new("r", "f", "a") }, "without a reason"),
        (New { reason: "x".repeat(2_001), ..new("r", "f", "a") }, "at most 2000 characters"),
        (New { days: 0, ..new("r", "f", "a") }, "between 1 and 180 days"),
        (New { days: 181, ..new("r", "f", "a") }, "between 1 and 180 days"),
        (New { conditions: Vec::new(), ..new("r", "f", "a") }, "silence the whole rule"),
        (new("r", "f|re", "a"), "is no name of a field"),
    ] {
        let refused = exceptions.add(new).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
    assert_eq!(exceptions.list().0, []);
}

#[test]
fn what_is_over_leaves_when_there_are_too_many() {
    let now = Timestamp::from_micros(START);
    let (_folder, _state, _clock, exceptions) = fixture();
    let one = exceptions.add(new("r", "f", "a")).unwrap();
    let over = |n: usize| Exception {
        id: format!("{n:05}"),
        made: now.plus_seconds(-i64::try_from(n).unwrap()),
        ended: Some(now),
        ..one.clone()
    };
    let mut all: BTreeMap<String, Exception> =
        (0..MAX_KEPT + 2).map(|n| (format!("{n:05}"), over(n))).collect();
    all.insert(one.id.clone(), Exception { made: now.plus_seconds(-1_000_000), ..one.clone() });
    assert_eq!(surplus(&all, now), ["10001", "10000", "09999"], "the oldest that are over");
}
