//! What is accepted, refused and inert; conditions, filters, log sources, explanations.

use expect_test::expect;
use serde_json::json;

use super::{load, matched, object, routed, sound};
use crate::{Record, Scratch};

/// Four selections that ask for a field each, and a condition.
fn conditional(condition: &str) -> String {
    format!(
        "title: t\ndetection:\n  sel_a:\n    a: 1\n  sel_b:\n    b: 1\n  other:\n    c: 1\n  \
         _hidden:\n    d: 1\n  condition: {condition}\n"
    )
}

#[test]
fn conditions() {
    let cases = [
        ("sel_a", "a", true),
        ("sel_a and sel_b", "a", false),
        ("sel_a and sel_b", "ab", true),
        ("sel_a or sel_b and other", "a", true),
        ("(sel_a or sel_b) and other", "a", false),
        ("not sel_a", "", true),
        ("not sel_a", "a", false),
        ("sel_b and not sel_a", "b", true),
        ("1 of sel_*", "b", true),
        ("1 of sel_*", "c", false),
        ("all of sel_*", "ab", true),
        ("all of sel_*", "a", false),
        ("2 of them", "ac", true),
        ("2 of them", "c", false),
        ("1 of them", "d", false),
        ("1 of them", "c", true),
        ("all of them", "abc", true),
        ("_hidden", "d", true),
        ("not 1 of sel_*", "c", true),
        ("any of sel_*", "a", true),
    ];
    for (condition, fields, expected) in cases {
        let set = sound(&conditional(condition));
        let event = fields.chars().map(|name| (name.to_string(), json!(1))).collect();
        let found = matched(&set, serde_json::Value::Object(event)).len();
        assert_eq!(found == 1, expected, "{condition} on {fields}");
    }
    let set = sound(&conditional("[sel_a and sel_b, other]"));
    assert_eq!(matched(&set, json!({"c": 1})).len(), 1);
}

#[test]
fn refusals_name_the_reason() {
    let reason = |text: &str| {
        let (_, report) = load(text);
        assert_eq!(report.accepted, 0, "{text}");
        report.rejected.iter().map(|r| format!("{}: {}\n", r.id, r.reason)).collect::<String>()
    };
    let detection = |more: &str| format!("title: t\nid: i\ndetection:\n{more}");
    let mut all = String::new();
    for text in [
        conditional("nothing"),
        conditional("1 of nothing_*"),
        conditional("9 of them"),
        conditional("sel_a | count() > 5"),
        conditional("sel_a and"),
        detection("  s:\n    a:\n      b: 1\n  condition: s\n"),
        detection("  s:\n    a: [[1]]\n  condition: s\n"),
        detection("  s:\n    a: []\n  condition: s\n"),
        detection("  s: []\n  condition: s\n"),
        detection("  s: {}\n  condition: s\n"),
        detection("  s:\n    1: a\n  condition: s\n"),
        detection("  s:\n    a: 1\n  timeframe: 5m\n  condition: s\n"),
        detection("  s:\n    a|nope: 1\n  condition: s\n"),
        detection("  s:\n    a|not: 1\n  condition: s\n"),
        detection("  s:\n    a: !tag x\n  condition: s\n"),
        format!("sigma-version: 3\n{}", detection("  s:\n    a: 1\n  condition: s\n")),
        format!("logsource:\n  vendor: x\n{}", detection("  s:\n    a: 1\n  condition: s\n")),
        format!("level: loud\n{}", detection("  s:\n    a: 1\n  condition: s\n")),
        "title: t\nid: i\n".to_owned(),
        "just text".to_owned(),
        "a: [".to_owned(),
    ] {
        all.push_str(&reason(&text));
    }
    expect![[r#"
        t: condition: nothing is called "nothing"
        t: condition: nothing is called "nothing_*"
        t: condition: nothing is called "them"
        t: Condition parse error at 1:7: --> 1:7 | 1 | sel_a | count() > 5 | ^--- | = expected EOI, or_op, or and_op
        t: Condition parse error at 1:10: --> 1:10 | 1 | sel_a and | ^--- | = expected quantifier, ident, or not_op
        i: the nested value of "a" would be ignored
        i: the nested value of "a" would be ignored
        i: modifier: an empty list of values
        i: the empty list "s" would be ignored
        i: an empty detection would be ignored
        i: the key 1 of "s" would be ignored
        i: detection.timeframe "5m" would be ignored
        i: Unknown modifier 'nope'
        i: `not` is not a value modifier in Sigma; express negation in the condition (e.g. `not selection`) or move the inverted check into a separate detection used as a filter (e.g. `selection and not other`)
        : a YAML tag would be ignored
        i: sigma-version 3 would be ignored
        i: logsource.vendor would be ignored
        i: invalid level: 'loud'
        i: Missing required field 'detection'
        : Document is not a YAML mapping
        : not readable as YAML: did not find expected node content at line 2 column 1, while parsing a flow node
    "#]].assert_eq(&all);
}

#[test]
fn several_documents_and_repeated_identities() {
    let one = |id: &str, value: u32| {
        format!("title: t\nid: {id}\ndetection:\n  s:\n    a: {value}\n  condition: s\n")
    };
    let text = format!("---\n{}---\n{}---\n{}--- # end\n", one("x", 1), one("y", 2), one("x", 3));
    let (set, report) = load(&text);
    assert_eq!((set.len(), report.accepted, report.rejected.len()), (2, 2, 1));
    assert_eq!(report.rejected[0].reason, "another rule has the identity \"x\"");
    assert_eq!(matched(&set, json!({"a": 2})), ["y"]);
    // Collection actions of the specification's version 1 are still in use.
    let text = "action: global\ntitle: t\n---\nid: a\ndetection:\n  s:\n    f: 1\n  condition: s\n\
                ---\nid: b\ndetection:\n  s:\n    f: 2\n  condition: s\n";
    assert_eq!(matched(&sound(text), json!({"f": 2})), ["b"]);
}

const FILTERED: &str = "title: t\nid: r\nname: named\nlogsource:\n  category: dns\ndetection:\n  s:\n    a: 1\n  condition: s\n---\n";

#[test]
fn filters_narrow_rules() {
    let filter = |rules: &str, source: &str| {
        format!(
            "{FILTERED}title: f\nid: f\nlogsource:\n  {source}\nfilter:\n  rules: {rules}\n  \
             ok:\n    b: 2\n  condition: not ok\n"
        )
    };
    for rules in ["[r]", "any", "r", "[named]"] {
        let set = sound(&filter(rules, "category: dns"));
        assert_eq!(matched(&set, json!({"a": 1})), ["r"], "{rules}");
        assert_eq!(matched(&set, json!({"a": 1, "b": 2})).len(), 0, "{rules}");
    }
    let set = sound(&filter("any", "category: proxy"));
    assert_eq!(matched(&set, json!({"a": 1, "b": 2})), ["r"], "another log source");
    for (rules, source) in [("[r]", "category: proxy"), ("[gone]", "category: dns")] {
        let (set, report) = load(&filter(rules, source));
        assert_eq!((set.len(), report.rejected.len()), (1, 1), "{rules} {source}");
    }
}

#[test]
fn rules_run_on_their_log_source_only() {
    let one = |id: &str, source: &str| {
        format!(
            "title: t\nid: {id}\nlogsource: {source}\ndetection:\n  s:\n    a: 1\n  condition: s\n---\n"
        )
    };
    let text = [
        one("process", "{product: windows, category: process_creation}"),
        one("sysmon", "{product: windows, service: sysmon}"),
        one("windows", "{product: windows}"),
        one("security", "{product: windows, service: security}"),
        one("sshd", "{product: linux, service: sshd}"),
        one("auth", "{product: linux, service: auth}"),
        one("dns", "{category: dns}"),
        one("zeek", "{product: zeek, service: dns}"),
        one("web", "{category: webserver}"),
        one("flow", "{category: firewall}"),
        one("cloud", "{product: aws, service: cloudtrail}"),
        one("exec", "{product: linux, category: process_creation}"),
        one("all", "{}"),
    ]
    .concat();
    let set = sound(&text);
    let sysmon = "Microsoft-Windows-Sysmon/Operational";
    let cases = [
        (json!({"Channel": sysmon, "EventID": 1}), "process sysmon windows all"),
        (json!({"Channel": sysmon, "EventID": "3"}), "sysmon windows all"),
        (json!({"Channel": "Security", "EventID": 4688}), "process windows security all"),
        (json!({"Channel": "Security", "EventID": 1}), "windows security all"),
        (json!({"Channel": "Unheard", "EventID": 1}), "windows all"),
        (json!({"event_type": "dns"}), "dns zeek all"),
        (json!({"event_type": "http"}), "web all"),
        (json!({"event_type": "flow"}), "flow all"),
        (json!({"event_type": "log", "process": {"name": "sshd"}}), "sshd auth all"),
        (json!({"event_type": "log", "event": {"module": "access"}}), "web all"),
        (json!({"event_type": "log", "event": {"category": "process"}}), "exec all"),
        (json!({"event_type": "dns", "process": {"name": "sshd"}}), "dns zeek all"),
        (json!({"event": {"dataset": "aws.cloudtrail"}}), "cloud all"),
        (json!({"logsource": {"product": "linux", "service": "sshd"}}), "sshd all"),
        (json!({}), "all"),
    ];
    for (mut event, expected) in cases {
        event["a"] = json!(1);
        assert_eq!(routed(&set, event.clone()).join(" "), expected, "{event}");
    }
}

#[test]
fn taxonomy_fields_are_found_in_our_own_events() {
    let text = "title: t\nid: web\nlogsource: {category: webserver}\ndetection:\n  s:\n    cs-uri-query|contains: '../'\n    cs-method: GET\n    sc-status: 200\n    c-ip|cidr: 10.0.0.0/8\n    cs-user-agent|startswith: curl\n  condition: s\n---\n\
        title: t\nid: exec\nlogsource: {product: linux, category: process_creation}\ndetection:\n  s:\n    Image|endswith: /nc\n    ParentImage|endswith: /bash\n    CommandLine|contains: ' -e '\n    User: root\n  condition: s\n---\n\
        title: t\nid: old\nlogsource: {product: windows, category: process_creation}\ndetection:\n  s:\n    Image|endswith: \\cmd.exe\n  condition: s\n";
    let set = sound(text);
    let web = json!({"event_type": "http", "src_ip": "10.1.1.1", "http": {"url": "/a?f=../../x",
        "http_method": "GET", "status": 200, "http_user_agent": "curl/8"}});
    assert_eq!(routed(&set, web), ["web"]);
    let exec = json!({"event_type": "log", "event": {"category": "process"}, "user": {"name": "root"},
        "process": {"executable": "/usr/bin/nc", "command_line": "nc -e sh",
        "parent": {"executable": "/bin/bash"}}});
    assert_eq!(routed(&set, exec), ["exec"]);
    let old = json!({"Channel": "Security", "EventID": 4688, "NewProcessName": "C:\\x\\cmd.exe"});
    assert_eq!(routed(&set, old), ["old"]);
    let both = json!({"Channel": "Security", "EventID": 4688, "NewProcessName": "C:\\x\\cmd.exe",
        "Image": "other"});
    assert_eq!(routed(&set, both).len(), 0, "the rule's own name comes first");
}

#[test]
fn a_match_explains_itself() {
    let text = "title: Shell\nid: 1b\nauthor: A. Uthor\nlevel: high\ndescription: A shell.\nmodified: 2026-01-02\ntags:\n  - attack.execution\n  - attack.t1059.004\n  - cve.2020-1\nfalsepositives:\n  - admins\ndetection:\n  sel:\n    cmd|contains:\n      - nc\n      - socat\n  kw:\n    - secret\n  no:\n    x: 1\n  condition: sel and kw and not no\n";
    let set = sound(text);
    let event = object(json!({"cmd": "/bin/nc -l", "note": "a Secret thing", "src_ip": "10.0.0.9",
        "event": {"id": "a/1/2"}}));
    let record = Record::new(&event);
    let mut scratch = Scratch::new();
    let rule = set.evaluate_all(&record, &mut scratch)[0];
    let found = set.describe(rule, &record, &mut scratch).unwrap();
    let detection = found.clone().into_detection();
    expect![[r#"
        {
          "rule_id": "1b",
          "title": "Shell",
          "level": "high",
          "author": "A. Uthor",
          "description": "A shell.",
          "attack": [
            "execution",
            "T1059.004"
          ],
          "fields": [
            [
              "cmd",
              "/bin/nc -l"
            ],
            [
              "note",
              "a Secret thing"
            ]
          ],
          "explanation": "cmd contains \"nc\"; note contains \"secret\" (condition: sel and kw and not no)",
          "entity": {
            "field": "src_ip",
            "value": "10.0.0.9"
          },
          "category": "//",
          "revision": "2026-01-02",
          "false_positives": [
            "admins"
          ],
          "event_id": "a/1/2",
          "rule_text": "title: Shell\nid: 1b\nauthor: A. Uthor\nlevel: high\ndescription: A shell.\nmodified: 2026-01-02\ntags:\n  - attack.execution\n  - attack.t1059.004\n  - cve.2020-1\nfalsepositives:\n  - admins\ndetection:\n  sel:\n    cmd|contains:\n      - nc\n      - socat\n  kw:\n    - secret\n  no:\n    x: 1\n  condition: sel and kw and not no"
        }"#]].assert_eq(&serde_json::to_string_pretty(&found).unwrap());
    expect![[r#"
        {
          "engine": "sigma",
          "rule_id": "1b",
          "rule_rev": "2026-01-02",
          "title": "Shell",
          "severity": "high",
          "category": "//",
          "entity": {
            "field": "src_ip",
            "value": "10.0.0.9"
          },
          "explanation": "A shell. Matched: cmd contains \"nc\"; note contains \"secret\" (condition: sel and kw and not no)",
          "advice": "Known false positives: admins",
          "evidence": [
            "a/1/2"
          ],
          "attack": [
            "execution",
            "T1059.004"
          ],
          "rule_text": "title: Shell\nid: 1b\nauthor: A. Uthor\nlevel: high\ndescription: A shell.\nmodified: 2026-01-02\ntags:\n  - attack.execution\n  - attack.t1059.004\n  - cve.2020-1\nfalsepositives:\n  - admins\ndetection:\n  sel:\n    cmd|contains:\n      - nc\n      - socat\n  kw:\n    - secret\n  no:\n    x: 1\n  condition: sel and kw and not no"
        }"#]].assert_eq(&serde_json::to_string_pretty(&detection).unwrap());
}

#[test]
fn what_a_match_is_about() {
    let entity = |event| {
        let event = object(event);
        let found = crate::describe::entity(&Record::new(&event));
        format!("{}={}", found.field, found.value)
    };
    assert_eq!(entity(json!({"src_ip": "1.2.3.4", "user": {"name": "u"}})), "src_ip=1.2.3.4");
    assert_eq!(entity(json!({"source": {"ip": "1.2.3.4"}})), "src_ip=1.2.3.4");
    assert_eq!(entity(json!({"IpAddress": "-", "TargetUserName": "u"})), "user.name=u");
    assert_eq!(entity(json!({"Computer": "pc1"})), "host.name=pc1");
    assert_eq!(entity(json!({})), "host.name=unknown");
}
