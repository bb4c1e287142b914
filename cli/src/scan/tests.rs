//! Scans of small files made here.

use expect_test::{Expect, expect};

use super::*;

const RULES: &str = "title: Whoami\nid: r1\nauthor: A\nlevel: high\nlogsource: {product: windows, category: process_creation}\ndetection:\n  s:\n    CommandLine|contains: whoami\n  condition: s\n---\ntitle: Login\nid: r2\nlogsource: {product: linux, service: sshd}\ndetection:\n  s:\n    user.name: root\n  condition: s\n---\ntitle: Many\nid: r3\ncorrelation:\n  type: event_count\n  rules: [r2]\n  group-by: [user.name]\n  timespan: 1m\n  condition:\n    gte: 2\n";

/// Scans `text` as a file of this name; the folder's path is cut off the output.
fn found(name: &str, text: &[u8], arguments: &[&str]) -> (Found, String) {
    let folder = tempfile::tempdir().unwrap();
    let (rules, log) = (folder.path().join("rules.yml"), folder.path().join(name));
    std::fs::write(&rules, RULES).unwrap();
    std::fs::write(&log, text).unwrap();
    let (set, report) = crate::rules::load_sigma(&[rules]).unwrap();
    assert_eq!(report.accepted, 3);
    let scan = Scan {
        sigma: Vec::new(),
        no_logsource: arguments.contains(&"--no-logsource"),
        json: arguments.contains(&"--json"),
        jobs: 1,
        format: arguments.iter().find_map(|one| one.strip_prefix("--format=")).map(str::to_owned),
        parsers: Vec::new(),
        time_zone: None,
        files: Vec::new(),
    };
    let text = super::text(&scan, &Clock::system()).unwrap();
    let found = Job { scan: &scan, rules: &set, text: &text, scratch: Scratch::new() }.file(&log);
    let place = format!("{}/", folder.path().display());
    let mut shown = String::from_utf8(found.out.clone()).unwrap().replace(&place, "");
    for error in &found.errors {
        shown.push_str(&format!("! {}\n", error.replace(&place, "")));
    }
    (found, shown)
}

fn check(name: &str, text: &str, arguments: &[&str], expected: &Expect) {
    expected.assert_eq(&found(name, text.as_bytes(), arguments).1);
}

const SYSMON: &str = r#"{"Event":{"System":{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational"},"EventData":{"CommandLine":"whoami /all"}}}"#;
const FLAT: &str =
    r#"{"EventID":4688,"Channel":"Security","CommandLine":"WHOAMI","Computer":"pc"}"#;
const OTHER: &str = r#"{"EventID":1,"Channel":"Other","CommandLine":"whoami"}"#;

#[test]
fn windows_events_nested_and_flat_by_line() {
    let text = format!("{SYSMON}\n\n{FLAT}\n{OTHER}\n");
    check(
        "a.ndjson",
        &text,
        &["--json"],
        &expect![[r#"
            {"file":"a.ndjson","event":1,"rule":"r1","title":"Whoami","author":"A","level":"high"}
            {"file":"a.ndjson","event":3,"rule":"r1","title":"Whoami","author":"A","level":"high"}
        "#]],
    );
    check(
        "a.ndjson",
        &text,
        &["--no-logsource"],
        &expect![[r#"
            a.ndjson:1 high Whoami (r1, by A)
            a.ndjson:3 high Whoami (r1, by A)
            a.ndjson:4 high Whoami (r1, by A)
        "#]],
    );
}

#[test]
fn correlations_speak_for_their_rules() {
    let line = |second: u32| {
        format!(
            "{{\"timestamp\":\"2026-01-01T00:00:{second:02}Z\",\"event_type\":\"log\",\
             \"process\":{{\"name\":\"sshd\"}},\"user\":{{\"name\":\"root\"}}}}\n"
        )
    };
    let text = format!("{}{}", line(1), line(2));
    check(
        "a.ndjson",
        &text,
        &[],
        &expect![[r#"
            a.ndjson:2 medium Many (r3, by unknown)
        "#]],
    );
    let (_, shown) = found("a.ndjson", text.as_bytes(), &["--json"]);
    assert!(shown.contains("event_count is 2, wanted >= 2, for user.name=root"), "{shown}");
}

#[test]
fn what_cannot_be_read_is_named_and_counted() {
    check(
        "a.ndjson",
        "{\"a\":1}\n{broken\n[1]\n",
        &[],
        &expect![[r#"
            ! a.ndjson:2: key must be a string at line 1 column 2
            ! a.ndjson:3: invalid type: sequence, expected a map at line 1 column 0
        "#]],
    );
    let (sum, _) = found("a.ndjson", b"{\"a\":1}\n{broken\n", &[]);
    assert_eq!((sum.events, sum.unreadable, sum.matches), (2, 1, 0));
    let (sum, shown) = found("a.evtx", b"no event log", &[]);
    assert_eq!((sum.events, sum.unreadable), (0, 1));
    assert!(shown.starts_with("! a.evtx: "), "{shown}");
    let (sum, _) = found("a.ndjson", b"\xff\xfe\n", &[]);
    assert_eq!(sum.unreadable, 1);
}

#[test]
fn a_line_without_end_is_not_held_in_memory() {
    let mut text = vec![b'x'; MAX_LINE + 10];
    text.push(b'\n');
    let (sum, shown) = found("a.ndjson", &text, &[]);
    assert_eq!(sum.unreadable, 1);
    assert!(shown.contains("a line longer than"), "{shown}");
}

#[test]
fn all_files_are_scanned_by_any_number_of_jobs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yml"), RULES).unwrap();
    let (rules, _) = crate::rules::load_sigma(&[folder.path().to_owned()]).unwrap();
    let files: Vec<PathBuf> =
        (0..20).map(|at| folder.path().join(format!("{at}.ndjson"))).collect();
    for file in &files {
        std::fs::write(file, format!("{SYSMON}\n{FLAT}\n{OTHER}")).unwrap();
    }
    for jobs in [1, 3, 64] {
        let scan = Scan {
            sigma: Vec::new(),
            no_logsource: false,
            json: true,
            jobs,
            format: None,
            parsers: Vec::new(),
            time_zone: None,
            files: files.clone(),
        };
        let text = text(&scan, &Clock::system()).unwrap();
        let mut summary = Summary::default();
        let mut out = Vec::new();
        scan_files(&scan, (&rules, &text), &mut summary, &mut out).unwrap();
        assert_eq!((summary.events, summary.matches, summary.unreadable), (60, 40, 0));
        let text = String::from_utf8(out).unwrap();
        let order: Vec<usize> = text
            .lines()
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                let name = line["file"].as_str().unwrap().rsplit('/').next().unwrap();
                name.trim_end_matches(".ndjson").parse().unwrap()
            })
            .collect();
        assert!(order.is_sorted(), "{jobs} jobs: {order:?}");
    }
}

const AUTH: &str =
    "Nov 22 15:04:05 web1 sshd[8]: Accepted password for root from 192.0.2.7 port 5 ssh2\n";

#[test]
fn text_is_read_by_the_parsers_of_the_agent() {
    let text = format!("{AUTH}\nNov 22 15:04:06 web1 app[1]: a trace\n\tat line 2\n{AUTH}{AUTH}");
    check(
        "auth.log",
        &text,
        &[],
        &expect![[r#"
            auth.log:5 medium Many (r3, by unknown)
        "#]],
    );
    let (sum, _) = found("auth.log", format!("{AUTH}no header\n").as_bytes(), &[]);
    assert_eq!((sum.events, sum.unparsed, sum.unreadable), (2, 1, 0));
}

#[test]
fn the_format_of_text_is_guessed_or_named() {
    let access =
        "192.0.2.1 - root [22/Nov/2026:16:04:05 +0100] \"GET /a HTTP/1.1\" 200 5 \"-\" \"-\"\n";
    let audit =
        "type=USER_LOGIN msg=audit(1795359845.5:78): pid=8 msg='acct=\"root\" res=failed'\n";
    for (text, arguments, unparsed) in [
        (access, &[][..], 0),
        (access, &["--format=apache"], 0),
        (access, &["--format=auditd"], 1),
        (audit, &[], 0),
        (AUTH, &["--format=syslog"], 0),
        (AUTH, &["--format=plain"], 0),
    ] {
        let (sum, shown) = found("a.log", text.as_bytes(), arguments);
        assert_eq!((sum.events, sum.unparsed, sum.unreadable), (1, unparsed, 0), "{text}{shown}");
    }
}

#[test]
fn text_without_end_is_not_held_in_memory() {
    let text = format!("{AUTH}{}", "x".repeat(MAX_LINE + 10));
    let (sum, shown) = found("a.log", text.as_bytes(), &[]);
    assert_eq!(sum.unreadable, 1);
    assert!(shown.contains("a line longer than"), "{shown}");
}
