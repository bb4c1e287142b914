//! What is suppressed, until when, and what is refused.

use expect_test::expect;
use serde_json::json;

use super::*;
use crate::tests::{object, sound};

const RULE: &str = "title: Root\nid: r\nname: root_login\nlogsource: {category: proxy}\ndetection:\n  s:\n    \
                    c-ip|exists: true\n  condition: s\n";

fn written(change: (&str, &str)) -> String {
    "title: Scanner of the house\nid: e\nrules: [r]\nreason: it scans each night\nauthor: A\n\
     date: 2026-11-01\nexpires: 2026-12-31\ndetection:\n  s:\n    c-ip: 10.0.0.5\n  condition: s\n"
        .replace(change.0, change.1)
}

fn load(text: &str) -> (Exceptions, Vec<Rejected>) {
    Exceptions::load(std::iter::once(("e.yml", text)), &sound(RULE), &Options::default())
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_match_is_suppressed_counted_and_only_until_the_end() {
    let set = sound(RULE);
    let meta = &set.rules[0].meta;
    let (mut exceptions, rejected) = load(&written(("", "")));
    assert_eq!(rejected, []);
    let mut asked = |address: &str, now: &str| {
        let event = object(json!({ "src_ip": address }));
        exceptions.suppress(meta, &Record::new(&event), at(now)).map(|one| one.id.clone())
    };
    let mine = Some("e".to_owned());
    assert_eq!(
        asked("10.0.0.5", "2026-12-01T00:00:00Z"),
        mine,
        "the field means what the rule means"
    );
    assert_eq!(asked("10.0.0.6", "2026-12-01T00:00:00Z"), None);
    assert_eq!(asked("10.0.0.5", "2026-12-31T23:59:59Z"), mine);
    assert_eq!(asked("10.0.0.5", "2027-01-01T00:00:00Z"), None, "expired");
    assert_eq!(exceptions.iter().map(|(_, count)| count).collect::<Vec<_>>(), [2]);
    assert_eq!(exceptions.expired(at("2026-12-31T23:00:00Z")).count(), 0);
    assert_eq!(exceptions.expired(at("2027-01-01T00:00:00Z")).count(), 1);
}

#[test]
fn it_is_for_the_rules_it_names() {
    let two = format!("{RULE}---\n{}", RULE.replace("id: r\nname: root_login", "id: other"));
    let set = sound(&two);
    let event = object(json!({ "src_ip": "10.0.0.5" }));
    let record = Record::new(&event);
    for (rules, expected) in
        [("[r]", [true, false]), ("root_login", [true, false]), ("any", [true, true])]
    {
        let text = written(("[r]", rules)).replace("    c-ip", "    src_ip");
        let sources = std::iter::once(("e.yml", text));
        let (mut all, rejected) = Exceptions::load(sources, &set, &Options::default());
        assert_eq!(rejected, [], "{rules}");
        let now = at("2026-12-01T00:00:00Z");
        let found = [0, 1].map(|n| all.suppress(&set.rules[n].meta, &record, now).is_some());
        assert_eq!(found, expected, "{rules}");
    }
}

#[test]
fn what_is_not_whole_is_refused_by_name() {
    let mut all = String::new();
    for change in [
        ("reason: it scans each night\n", ""),
        ("it scans each night", "' '"),
        ("author: A", "author: ''"),
        ("expires: 2026-12-31\n", ""),
        ("2026-12-31", "never"),
        ("2026-12-31", "2029-12-31"),
        ("[r]", "[gone]"),
        ("[r]", "[]"),
        ("condition: s", "condition: t"),
        ("c-ip:", "c-ip|nope:"),
        ("c-ip: 10.0.0.5", "c-ip|expand: '%x%'"),
        ("title:", "note: x\ntitle:"),
        ("title: Scanner of the house", "title: ["),
    ] {
        let (exceptions, rejected) = load(&written(change));
        assert_eq!((exceptions.is_empty(), rejected.len()), (true, 1), "{change:?}: {rejected:?}");
        all.push_str(&format!("{}: {}\n", rejected[0].id, rejected[0].reason));
    }
    expect![[r#"
        e: not readable as YAML: missing field `reason`
        e: exception: without a reason
        e: exception: without an author
        e: not readable as YAML: missing field `expires`
        e: exception: "never" is no day such as 2027-01-31
        e: exception: an end more than 400 days after its date
        e: refers to the rule "gone", which is not loaded
        e: exception: no rules
        e: condition: nothing is called "t"
        e: Unknown modifier 'nope'
        e: placeholder %x% has no values
        e: not readable as YAML: unknown field `note`, expected one of `title`, `id`, `rules`, `reason`, `author`, `expires`, `date`, `logsource`, `detection`
        : not readable as YAML: did not find expected ',' or ']' at line 3 column 6, while parsing a flow sequence at line 1 column 8
    "#]].assert_eq(&all);
    let twice = format!("{}---\n{}", written(("", "")), written(("", "")));
    let (exceptions, rejected) = load(&twice);
    assert_eq!((exceptions.iter().count(), rejected.len()), (1, 1));
    let (exceptions, rejected) = load(&"x".repeat(5 << 20));
    assert_eq!((exceptions.is_empty(), rejected.len()), (true, 1));
}
