//! The real binary: output shapes, exit codes, hostile files. What other programs may rely on.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Write;
use std::path::Path;
use std::process::Command;

use expect_test::expect;
use serde_json::{Value, json};

/// Exit code, standard output and standard error of one run in `folder`.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pikett"));
    for name in ["PIKETT_URL", "PIKETT_TOKEN_FILE", "PIKETT_AUTHORITY"] {
        command.env_remove(name);
    }
    let done = command.current_dir(folder).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

const SIGMA: &[u8] = b"title: Whoami\nid: r1\nauthor: A\nlevel: high\nlogsource: {product: windows, category: process_creation}\ndetection:\n  s:\n    CommandLine|contains: whoami\n  condition: s\n";
const BAD: &[u8] = b"title: Bad\nid: r2\ndetection:\n  s:\n    a|nope: 1\n  condition: s\n---\ntitle: Inert\nid: r3\ndetection:\n  s:\n    a|expand: '%gone%'\n  condition: s\n";
const EVENT: &str = r#"{"Event":{"System":{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational"},"EventData":{"CommandLine":"whoami /all"}}}"#;
const SIGNATURES: &[u8] = b"alert tcp any any -> any 80 (msg:\"ok\"; sid:1;)\n# a remark\nalert tcp any any -> any 80 (msg:\"bad\"; nosuchkeyword; sid:2;)\n";

#[test]
fn rules_check_answers_in_the_promised_shape() {
    let folder = folder(&[
        ("s/a.yml", SIGMA),
        ("s/deep/b.yaml", BAD),
        ("s/c.txt", b"no rule"),
        ("r.rules", SIGNATURES),
    ]);
    let (code, out, _) = run(
        folder.path(),
        &["rules", "check", "--signatures", "r.rules", "--sigma", "s", "--json"],
    );
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, out.lines().count()), (1, 1));
    assert_eq!(answer["signatures"]["accepted"], 1);
    let refused = &answer["signatures"]["rejected"][0];
    assert_eq!(
        (&refused["file"], &refused["line"], &refused["sid"]),
        (&json!("r.rules"), &json!(3), &json!(2))
    );
    assert!(refused["reason"].as_str().unwrap().contains("nosuchkeyword"), "{refused}");
    assert_eq!(answer["sigma"]["accepted"], 1);
    assert_eq!(
        answer["sigma"]["rejected"],
        json!([{"file": "s/deep/b.yaml", "id": "r2", "reason": "Unknown modifier 'nope'"}])
    );
    assert_eq!(
        answer["sigma"]["inert"],
        json!([{"id": "r3", "reason": "placeholder %gone% has no values"}])
    );
}

#[test]
fn rules_check_says_by_its_code_whether_all_are_accepted() {
    let folder = folder(&[
        ("good/a.yml", SIGMA),
        ("bad/b.yml", BAD),
        ("one.rules", SIGNATURES),
        ("none.rules", b""),
        ("empty/x.txt", b""),
    ]);
    for (arguments, code) in [
        (&["--sigma", "good"][..], 0),
        (&["--sigma", "good", "--sigma", "bad"], 1),
        (&["--signatures", "one.rules"], 1),
        (&["--signatures", "none.rules", "--sigma", "empty"], 0),
        (&["--sigma", "gone"], 2),
        (&["--signatures", "gone.rules", "--json"], 2),
        (&[], 2),
        (&["--sigma"], 2),
        (&["--nonsense"], 2),
    ] {
        let arguments = [&["rules", "check"], arguments].concat();
        let (found, _, error) = run(folder.path(), &arguments);
        assert_eq!(found, code, "{arguments:?}: {error}");
        assert_eq!(error.is_empty(), code < 2, "{arguments:?}: {error}");
    }
    let (_, out, _) = run(folder.path(), &["rules", "check", "--sigma", "bad", "--sigma", "good"]);
    expect![[r#"
        bad/b.yml: r2 Unknown modifier 'nope'
        r3 can never fire: placeholder %gone% has no values
        sigma: 1 accepted, 1 rejected, 1 inert
    "#]]
    .assert_eq(&out);
}

#[test]
fn rules_check_reads_what_is_known_of_addresses() {
    let rules = b"alert ip any any -> any any (iprep:src,CnC,>,30; sid:1;)\n\
                  alert ip any any -> any any (iprep:src,Bot,>,30; sid:2;)\n\
                  alert ip any any -> any any (geoip:src,CH; sid:3;)\n";
    let folder = folder(&[
        ("r.rules", rules),
        ("cat.txt", b"1,CnC,servers of malware\n"),
        ("good.list", b"192.0.2.0/24,1,90\n"),
        ("bad.list", b"192.0.2.1,1,90\n192.0.2.2, 1, 900\n"),
        ("c.mmdb", b"no database"),
    ]);
    let check = |more: &[&str]| {
        let arguments = [&["rules", "check", "--signatures", "r.rules"], more].concat();
        let (code, out, error) = run(folder.path(), &arguments);
        format!("{code}\n{out}{error}")
    };
    expect![[r#"
        1
        r.rules:1:30: sid 1 keyword "iprep" is not evaluated: no file of categories is loaded; set rules.reputation.categories
        r.rules:2:30: sid 2 keyword "iprep" is not evaluated: no file of categories is loaded; set rules.reputation.categories
        r.rules:3:30: sid 3 keyword "geoip" is not evaluated: no database of countries is loaded; set rules.geoip_database
        0 accepted, 3 rejected
    "#]]
    .assert_eq(&check(&[]));
    let files = ["--reputation-categories", "cat.txt", "--reputation", "good.list"];
    let all = [&files[..], &["--reputation", "bad.list", "--geoip-database", "c.mmdb"]].concat();
    expect![[r#"
        1
        c.mmdb:1:1: not a usable database of countries: invalid database: could not find MaxMind DB metadata in file
        r.rules:2:30: sid 2 iprep: no such category in cat.txt: "Bot"
        r.rules:3:30: sid 3 keyword "geoip" is not evaluated: no database of countries is loaded; set rules.geoip_database
        bad.list:2:15: reputation: expected a score from 0 to 127: "900"
        1 accepted, 4 rejected
    "#]]
    .assert_eq(&check(&all));
    let missing = check(&["--reputation", "gone.list"]);
    assert!(missing.starts_with("2\n") && missing.contains("cannot read gone.list"), "{missing}");
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn scan_reads_lines_and_gzip_alike() {
    let text = format!("{{\"a\":1}}\n\n{EVENT}\n");
    // Two members one behind the other are one file (RFC 1952 section 2.2).
    let members = [gzip(&text), gzip(EVENT)].concat();
    let folder =
        folder(&[("s/a.yml", SIGMA), ("a.ndjson", text.as_bytes()), ("b.ndjson.gz", &members)]);
    let (code, out, error) = run(
        folder.path(),
        &["scan", "--sigma", "s", "--json", "--jobs", "2", "a.ndjson", "b.ndjson.gz"],
    );
    expect![[r#"
        {"file":"a.ndjson","event":3,"rule":"r1","title":"Whoami","author":"A","level":"high"}
        {"file":"b.ndjson.gz","event":3,"rule":"r1","title":"Whoami","author":"A","level":"high"}
        {"file":"b.ndjson.gz","event":4,"rule":"r1","title":"Whoami","author":"A","level":"high"}
    "#]]
    .assert_eq(&out);
    let summary: Value = serde_json::from_str(&error).unwrap();
    let figures = ["files", "events", "matches", "unreadable", "rules"]
        .map(|name| summary[name].as_u64().unwrap());
    assert_eq!((code, figures), (0, [2, 7, 3, 0, 1]));
}

/// Scans a file that matches nothing: one line names what is wrong, if anything is.
fn hostile(name: &str, text: &[u8], wanted: i32, reason: &str) {
    let folder = folder(&[("s/a.yml", SIGMA), (name, text)]);
    let (code, out, error) = run(folder.path(), &["scan", "--sigma", "s", "--json", name]);
    assert_eq!((code, out.as_str()), (wanted, ""), "{name}: {error}");
    let told: Vec<&str> = error.lines().filter(|line| !line.starts_with('{')).collect();
    assert_eq!(told.len(), usize::from(wanted != 0), "{error}");
    assert!(told.iter().all(|line| line.starts_with(reason)), "{name}: {told:?}");
}

#[test]
fn hostile_files_are_named_and_the_code_says_so() {
    let cut = gzip(&format!("{EVENT}\n").repeat(100));
    hostile("cut.gz", &cut[..10], 1, "cut.gz: ");
    hostile("fake.gz", b"\x1f\x8bnot gzip at all", 1, "fake.gz: invalid gzip header");
    hostile("fake.evtx", b"ElfFile\0rest", 1, "fake.evtx: ");
    hostile("empty", b"", 0, "");
    hostile("zeros", &[0; 100], 1, "zeros:1: expected value at line 1 column 1");
    let deep = [b"{\"a\":".repeat(100_000), b"\n{\"a\":1}\n".to_vec()].concat();
    hostile("deep", &deep, 1, "deep:1: recursion limit exceeded");
    hostile("list", b"[1]\n", 1, "list:1: invalid type: sequence, expected a map");
    // A small file that is a line without end.
    let bomb = gzip(&" ".repeat(40 << 20));
    assert!(bomb.len() < 1 << 20);
    hostile("bomb.gz", &bomb, 1, "bomb.gz: a line longer than 33554432 bytes");
}

#[test]
fn foreign_text_does_not_drive_the_terminal() {
    let rule = "title: \"Who\\e[31m\\u202eami\"\nid: \"r\\u0007\"\nlogsource: {product: windows}\ndetection:\n  s:\n    CommandLine|contains: whoami\n  condition: s\n---\ntitle: \"T\"\nid: \"x\\e[2J\"\ndetection:\n  s:\n    a|nope: 1\n  condition: s\n";
    let folder = folder(&[
        ("s/a.yml", rule.as_bytes()),
        ("a\u{1b}[2J.log", format!("{EVENT}\nx\n").as_bytes()),
    ]);
    for arguments in [
        &["scan", "--sigma", "s", "a\u{1b}[2J.log"][..],
        &["scan", "--sigma", "gone\u{1b}", "x"],
        &["rules", "check", "--sigma", "s"],
    ] {
        let (_, out, error) = run(folder.path(), arguments);
        for text in [out, error] {
            assert!(
                !text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'),
                "{text:?}"
            );
        }
    }
    let (_, out, _) = run(folder.path(), &["scan", "--sigma", "s", "a\u{1b}[2J.log"]);
    assert_eq!(
        out,
        "a\u{fffd}[2J.log:1 medium Who\u{fffd}[31m\u{fffd}ami (r\u{fffd}, by unknown)\n"
    );
}

#[test]
fn scan_needs_rules_and_files_that_exist() {
    let folder = folder(&[("s/a.yml", SIGMA), ("bad/b.yml", BAD), ("a", EVENT.as_bytes())]);
    for (arguments, code, told) in [
        (&["scan", "--sigma", "s", "gone"][..], 1, "gone: No such file or directory"),
        (&["scan", "--sigma", "bad", "a"], 2, "pikett: no rule was loaded"),
        (
            &["scan", "--sigma", "gone", "a"],
            2,
            "pikett: cannot read gone: No such file or directory",
        ),
        (&["scan", "--sigma", "s"], 2, "required arguments were not provided"),
        (&["scan", "a"], 2, "--sigma"),
        (&["scan", "--sigma", "s", "--jobs", "many", "a"], 2, "invalid value 'many'"),
        (&["scan", "--sigma", "s", "--jobs", "0", "a"], 0, "1 events, 1 matches"),
        (&["nonsense"], 2, "unrecognized subcommand"),
        (&[], 2, "Usage: pikett"),
    ] {
        let (found, _, error) = run(folder.path(), arguments);
        assert_eq!(found, code, "{arguments:?}: {error}");
        assert!(error.contains(told), "{arguments:?}: {error}");
    }
}

/// A certificate that is well formed; nothing listens for whom it could speak.
const AUTHORITY: &[u8] = include_bytes!("authority.pem");

#[test]
fn commands_of_a_collector_tell_what_is_wrong_by_their_code() {
    let folder =
        folder(&[("token", b"t0ken\n"), ("authority.pem", AUTHORITY), ("garbage.pem", b"garbage")]);
    // Bound and closed again: nothing answers there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("https://127.0.0.1:{port}");
    for command in
        [&["search", "*"][..], &["tail"], &["alerts", "list"], &["alerts", "act", "1", "close"]]
    {
        let with = |url: &str, token: &str, authority: &str| {
            let options = ["--url", url, "--token-file", token, "--authority", authority];
            run(folder.path(), &[command, &options].concat())
        };
        let (code, out, error) = with(&url, "token", "authority.pem");
        assert_eq!((code, out.as_str()), (3, ""), "{command:?}: {error}");
        assert!(error.contains(&url) && !error.contains("t0ken"), "{error}");
        let (code, _, error) = with(&url, "gone", "authority.pem");
        assert_eq!((code, error.contains("cannot read gone")), (2, true), "{error}");
        assert_eq!(with(&url, "token", "gone").0, 2);
        assert_eq!(with(&url, "token", "garbage.pem").0, 2);
        let (code, _, error) = run(folder.path(), command);
        assert_eq!((code, error.contains("--url")), (2, true), "{error}");
    }
    assert_eq!(run(folder.path(), &["alerts", "act", "1"]).0, 2);
    assert_eq!(run(folder.path(), &["search", "--limit", "-1"]).0, 2);
}

#[test]
fn help_and_version_are_no_errors() {
    let folder = folder(&[]);
    let (code, out, _) = run(folder.path(), &["--version"]);
    assert_eq!((code, out), (0, format!("pikett {}\n", env!("CARGO_PKG_VERSION"))));
    for command in ["rules", "scan", "search", "tail", "alerts"] {
        let (code, out, _) = run(folder.path(), &[command, "--help"]);
        assert!(code == 0 && out.contains("Usage: pikett"), "{command}: {out}");
    }
}
