//! What is shown, what is asked for, and whole runs against a collector of lines of text.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use clap::Parser;
use expect_test::{Expect, expect};
use serde_json::json;

use super::*;

fn stone() -> Value {
    json!({
        "id": "a1b2", "time": 1_795_359_845_000_000_i64, "when": "2026-11-22T15:04:05.000000+0000",
        "who": "alice", "reason": "a password\u{1b}[2J was logged", "fields": ["message", "event.original"],
        "events": [{"event": "00ff", "time": 1_795_359_845_000_000_i64}],
        "partitions": {"2026-11-21": {"before": {}, "after": null},
                       "2026-11-22": {"before": {}, "after": {"count": 1}}},
        "proof": {"signature": "5160"},
    })
}

fn shown() -> Value {
    json!({
        "done": false, "events": 3, "fields": [], "confirm": "0123",
        "shown": [{"id": "web1/1/52", "time": "t", "document": {
            "timestamp": "t", "event_type": "log", "message": "p\u{202e}w\n"}}],
        "partitions": [{"partition": "2026-11-22", "events": 3, "bytes": 1_048_577}],
    })
}

#[test]
fn what_it_would_take_is_shown_without_what_drives_a_terminal() {
    expect![[r#"
        It would take 3 events, whole:
          web1/1/52 t log                      message=p�w�
          and 2 more
        Partitions that are written anew under new keys:
          2026-11-22: 3 events, 1.00 MiB"#]]
    .assert_eq(&preview(&shown()).join("\n"));
    assert_eq!(phrase(&shown()), "redact 3 events");
    assert_eq!(phrase(&json!({"events": 1})), "redact 1 event");
}

#[test]
fn tombstones_and_what_is_under_way_are_lines() {
    expect![[r#"
        redaction a1b2
          2026-11-22T15:04:05.000000+0000 by alice: a password�[2J was logged
          gone: 1 event, only the fields message, event.original
            00ff of 2026-11-22T15:04:05.000000+0000
          partition 2026-11-21: gone meanwhile, with its key
          partition 2026-11-22: written anew
          signature 5160"#]]
    .assert_eq(&tombstone(&stone()).join("\n"));
    let pending = json!({"id": "c3", "time": 1_795_359_845_000_000_i64, "who": "bob\u{7}", "events": 2,
        "reason": "not ours to keep", "fields": [], "partitions": 4, "rewritten": 1});
    expect![[r#"
        a1b2 2026-11-22T15:04:05.000000+0000 by alice: 1 event, only the fields message, event.original: a password�[2J was logged
        under way: c3 2026-11-22T15:04:05.000000+0000 by bob�: 2 events, whole; 1 of 4 partitions are written anew: not ours to keep"#]]
    .assert_eq(&listed(&json!({"redactions": [stone()], "pending": [pending]})).join("\n"));
    assert_eq!(tombstone(&Value::Null).len(), 3, "an answer without anything is no crash");
}

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    redact: Redact,
}

fn parsed(arguments: &[&str]) -> Redact {
    Command::try_parse_from(std::iter::once("redact").chain(arguments.iter().copied()))
        .unwrap()
        .redact
}

#[test]
fn what_is_missing_is_asked_for_before_anybody_signs_in() {
    let check = |arguments: &[&str], expected: Expect| {
        let error = run(&parsed(arguments)).unwrap_err();
        expected.assert_eq(&format!("{error:#}"));
        assert_eq!(crate::remote::code(&error), 2);
    };
    check(&[], expect!["say which events: a query"]);
    check(&["event.id:x"], expect!["say why: --reason"]);
    check(
        &["event.id:x", "--reason", "y"],
        expect!["say where the collector is: --url or PIKETT_URL"],
    );
    check(
        &["list", "--url", "http://127.0.0.1:1"],
        expect!["say which authority its certificate has: --authority or PIKETT_AUTHORITY"],
    );
}

/// A collector that gives these answers, one a connection, and tells what it was asked.
fn serve(answers: Vec<(&'static str, Value)>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let told = std::thread::spawn(move || {
        let answer = |(status, body): (&str, Value)| {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut text, mut buffer) = (String::new(), [0; 4096]);
            while !text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                let head = head.to_lowercase();
                let length = head.split("content-length: ").nth(1);
                body.len() >= length.and_then(|l| l.lines().next()?.parse().ok()).unwrap_or(0)
            }) {
                let length = stream.read(&mut buffer).unwrap();
                text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
            }
            let body = body.to_string();
            let cookie = "Set-Cookie: __Host-pikett=s; Path=/";
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\n{cookie}\r\nContent-Length: {length}");
            stream
                .write_all(format!("{head}\r\nConnection: close\r\n\r\n{body}").as_bytes())
                .unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let body =
                serde_json::from_str(body).map_or(String::new(), |body: Value| body.to_string());
            let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
            format!("{line} {body}").trim_end().to_owned()
        };
        answers.into_iter().map(answer).collect()
    });
    (url, told)
}

/// Runs with these answers between login and logout; gives the end and what was asked between.
fn against(arguments: &[&str], answers: Vec<(&'static str, Value)>) -> (Result<ExitCode>, String) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    // Nobody looks at it: what is asked goes without TLS.
    let authority = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let authority = write("authority.pem", authority);
    let password = write("password", "correct horse\n");
    let login = json!({"user": "alice", "role": "admin", "csrf": "c", "must_change": false});
    let answers: Vec<_> = std::iter::once(("200 OK", login))
        .chain(answers)
        .chain(std::iter::once(("200 OK", json!({}))))
        .collect();
    let (url, told) = serve(answers);
    let person = ["--url", &url, "--authority", &authority, "--user", "alice", "--password-file"];
    let all: Vec<&str> = arguments.iter().copied().chain(person).chain([&*password]).collect();
    let done = run(&parsed(&all));
    let mut told = told.join().unwrap();
    assert_eq!(told.remove(0), r#"POST /api/v1/login {"name":"alice","password":"correct horse"}"#);
    assert_eq!(told.pop().unwrap(), "POST /api/v1/logout {}", "the session is ended");
    (done, told.join("\n"))
}

const WHY: [&str; 3] = ["event.id:x", "--reason", "a password was logged"];

#[test]
fn a_dry_run_asks_and_takes_nothing() {
    for last in ["--dry-run", "--json"] {
        let all = [
            &WHY[..],
            &["--from", "now-1h", "--dry-run"],
            &[last][usize::from(last == "--dry-run")..],
        ];
        let (done, told) = against(&all.concat(), vec![("200 OK", shown())]);
        assert_eq!(done.unwrap(), ExitCode::SUCCESS);
        expect![[r#"POST /api/v1/redactions {"query":"event.id:x","from":"now-1h","to":null,"fields":[],"reason":"a password was logged","confirm":null,"wait":true}"#]]
            .assert_eq(&told);
    }
}

#[test]
fn what_is_confirmed_is_followed_to_its_tombstone() {
    let pending = json!({"id": "a1b2", "partitions": 2, "rewritten": 0});
    let begun = json!({"done": false, "pending": pending});
    let done = json!({"done": true, "redaction": stone()});
    let all = [&WHY[..], &["--field", "message", "--confirm", "0123"]].concat();
    let answers = vec![("200 OK", begun.clone()), ("200 OK", begun), ("200 OK", done.clone())];
    let (ended, told) = against(&all, answers);
    assert_eq!(ended.unwrap(), ExitCode::SUCCESS);
    expect![[r#"
        POST /api/v1/redactions {"query":"event.id:x","from":null,"to":null,"fields":["message"],"reason":"a password was logged","confirm":"0123","wait":false}
        GET /api/v1/redactions/a1b2
        GET /api/v1/redactions/a1b2"#]]
    .assert_eq(&told);
    let (ended, _) = against(&all, vec![("200 OK", done.clone()), ("200 OK", done)]);
    assert_eq!(ended.unwrap(), ExitCode::SUCCESS, "one that is over at once");
}

#[test]
fn refusals_are_told_and_the_session_ends_all_the_same() {
    let refusal = json!({"code": "conflict", "message": "look again what it would take"});
    let all = [&WHY[..], &["--confirm", "0123"]].concat();
    let (done, _) = against(&all, vec![("409 Conflict", refusal)]);
    let error = done.unwrap_err();
    assert_eq!(
        (error.to_string(), crate::remote::code(&error)),
        ("look again what it would take".to_owned(), 2)
    );
    let gone = json!({"code": "not_found", "message": "no such redaction"});
    let (done, told) = against(&["show", "../x"], vec![("404 Not Found", gone)]);
    assert!(done.unwrap_err().to_string().contains("no such redaction"));
    assert_eq!(told, "GET /api/v1/redactions/..%2Fx");
}

#[test]
fn what_goes_on_while_the_collector_is_away_is_named() {
    let client = |url: &str| {
        let authority = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        Client::new(url, authority, Secret::new("t".to_owned())).unwrap()
    };
    let (url, told) = serve(vec![(
        "503 Service Unavailable",
        json!({"code": "unavailable", "message": "the journal cannot be read"}),
    )]);
    let error = follow(&client(&url), &json!({"id": "a1b2"})).unwrap_err();
    drop(told.join());
    assert_eq!(
        format!("{error:#}"),
        "redaction a1b2 is begun and goes on by itself; see `pikett redact show a1b2`: the journal cannot be read"
    );
}
