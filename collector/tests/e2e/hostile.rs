//! Lines somebody writes to hurt the reader: they are kept whole, found, and never act.

use std::io::Write;
use std::process::Command;

use serde_json::{Value, json};

use crate::sink::Sink;
use crate::system::{Options, System, binary};

/// A script, a terminal's escapes and a spreadsheet's formula in one.
const HOSTILE: &str = "=cmd|'/C calc'!A1 <script>alert(1)</script> \u{1b}]0;owned\u{7}\u{1b}[2J";

fn write(system: &System, bytes: &[u8]) {
    let path = system.at("logs/hostile.log");
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

fn newest(system: &System, query: &str) -> Value {
    let answer = system.search(&json!({"query": query, "limit": 1})).unwrap();
    answer["hits"][0].clone()
}

#[test]
fn lines_too_long_or_not_utf8_are_kept_and_nothing_behind_them_is_lost() {
    let Some(mut system) = System::start(Options::default()) else { return };
    write(&system, b"<13>1 2026-11-22T15:04:05Z web1 long 1 - - needle1 ");
    write(&system, &vec![b'a'; 10 * 1024 * 1024]);
    write(&system, b"\n<13>1 2026-11-22T15:04:05Z web1 bytes 2 - - needle2 \xff\xfe\xc3( \0 end\n");
    write(&system, b"\n\n\r\n");
    write(&system, b"<13>1 2026-11-22T15:04:05Z web1 after 3 - - needle3\n");
    system.write(100);
    system.settle();
    for needle in ["needle1", "needle2", "needle3"] {
        system.wait(needle, |system| system.total(needle) == Some(1));
    }
    // A line that no event can hold comes whole, in numbered parts.
    let first = newest(&system, "needle1").to_string();
    assert!(first.len() < 1024 * 1024, "{} bytes in the first part", first.len());
    let ends = |system: &System| system.total("log.part.last:true");
    system.wait("the last part", |system| ends(system) == Some(1));
    let parts = system.total("log.part.number:[1 TO 100000]").unwrap();
    assert!((160..=700).contains(&parts), "{parts} parts of a line of 10 MB");
    assert_eq!(newest(&system, "log.part.last:true")["document"]["log"]["part"]["number"], parts);
    let bytes = newest(&system, "needle2").to_string();
    assert!(bytes.contains(" end"), "{bytes}");
}

#[test]
fn an_attackers_text_stays_text_in_terminal_mail_and_export() {
    let sink = Sink::start();
    let rule = "title: Hostile\nid: 8f1b2c9e-0000-4000-8000-000000000001\nlevel: critical\n\
                logsource: {product: linux}\ndetection:\n  a:\n    message|contains: owned\n  \
                condition: a\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.yml"), rule).unwrap();
    let agent = format!("[rules]\nsigma = [{:?}]\n", folder.path());
    let options = Options { agent, collector: sink.config(), ..Options::default() };
    let Some(system) = System::start(options) else { return };
    let line = format!("<10>1 2026-11-22T15:04:05Z web1 {} 7 - - {HOSTILE}\n", "su<b>do");
    write(&system, line.as_bytes());
    system.wait("it is found", |system| system.total("owned") >= Some(1));
    system.wait("a page went out", |_| !sink.mails().is_empty());

    let mail = sink.mails().remove(0);
    assert!(!mail.contains("<script>") && !mail.contains('\u{1b}'), "{mail}");

    let terminal = |arguments: &[&str]| {
        let mut command = Command::new(binary("pikett"));
        command.args(arguments).args(["--url", &format!("https://127.0.0.1:{}", system.ports.0)]);
        command.arg("--authority").arg(system.at("authority.pem"));
        command.arg("--token-file").arg(system.at("token"));
        let output = command.output().unwrap();
        assert!(output.status.code().is_some_and(|code| code < 2), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // The line has a date of its own, and a search looks at the last day when not told otherwise.
    let found = ["search", "owned", "--from", "2026-11-22T00:00:00Z"];
    if binary("pikett").exists() {
        for arguments in [&found[..], &[&found[..], &["--json"]].concat(), &["alerts", "list"]] {
            let text = terminal(arguments);
            assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
        }
        assert!(terminal(&found).contains("<script>"), "shown as it was written");
    } else {
        println!(
            "skipped the terminal: pikett is not built (run the tests of the whole workspace)"
        );
    }
}
