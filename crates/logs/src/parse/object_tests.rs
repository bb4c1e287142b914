//! Objects as messages of syslog, messages that nobody knows, and files that name their columns.

use super::*;

/// 2026-11-22T15:04:05Z
const NOW: Timestamp = Timestamp::from_seconds(1_795_359_845);

/// Fields of a line without its original, on one line.
fn fields(line: &str) -> String {
    let entry = Parser::new(Format::Auto, Zone::utc()).line(line, NOW);
    let mut out = format!("{} {}", entry.time.micros() / 1_000_000 - 1_795_359_845, entry.parsed);
    event::flatten(&entry.fields, &mut |name, value| {
        if name != "event.original" && !name.starts_with("log.syslog.") {
            out.push_str(&format!(" {name}={value}"));
        }
    });
    out
}

#[test]
fn objects_inside_syslog_are_read_as_they_are_alone() {
    for (line, expected) in [
        (
            r#"<13>Nov 22 15:04:05 web1 app[7]: {"msg":"hi","time":"2026-11-22T15:04:01Z","user":{"name":"x"}}"#,
            r#"-4 true msg="hi" time="2026-11-22T15:04:01Z" user.name="x" message="hi" event.module="json" host.name="web1" process.name="app" process.pid=7"#,
        ),
        (
            r#"<13>1 2026-11-22T15:04:05Z web1 app 7 - - @cee: {"level":"warn"}"#,
            r#"0 true level="warn" event.module="json" host.name="web1" message="@cee: {\"level\":\"warn\"}" process.name="app" process.pid=7"#,
        ),
        (
            r#"<13>1 2026-11-22T15:04:05Z web1 app 7 - [a@1 b="c"] {"level":"warn"}"#,
            r#"0 true level="warn" event.module="json" host.name="web1" message="{\"level\":\"warn\"}" process.name="app" process.pid=7"#,
        ),
        // The object knows better; what has another shape than the header is kept inside.
        (
            r#"Nov 22 15:04:05 web1 app[7]: {"host":"h2","process":{"pid":9},"log":{"syslog":7,"level":"info"},"message":null}"#,
            r#"0 true host.name="web1" host.original="h2" process.pid=9 process.name="app" log.level="info" message="{\"host\":\"h2\",\"process\":{\"pid\":9},\"log\":{\"syslog\":7,\"level\":\"info\"},\"message\":null}" event.module="json""#,
        ),
        // No object after all.
        (
            r#"Nov 22 15:04:05 web1 app[7]: {"a":"#,
            r#"0 true log.flags="header_only" host.name="web1" process.name="app" process.pid=7 message="{\"a\":""#,
        ),
    ] {
        assert_eq!(fields(line), expected, "{line}");
    }
}

#[test]
fn the_header_stays_whole_beside_an_object() {
    let line = r#"<165>1 2026-11-22T15:04:05Z web1 app 7 ID1 [a@1 b="c"] {"log":{"syslog":{"hostname":"forged"}}}"#;
    let entry = Parser::new(Format::Auto, Zone::utc()).line(line, NOW);
    for (name, expected) in [
        ("log.syslog.hostname", "web1"),
        ("log.syslog.appname", "app"),
        ("log.syslog.msgid", "ID1"),
        ("log.syslog.structured_data.a@1.b", "c"),
        ("event.original", line),
    ] {
        let found = event::get(&entry.fields, name).and_then(|value| value.as_str());
        assert_eq!(found, Some(expected), "{name}");
    }
    assert_eq!(event::get(&entry.fields, "log.syslog.facility.code").unwrap(), 20);
}

#[test]
fn a_message_that_nobody_knows_is_told_from_a_line_that_nobody_knows() {
    for (format, line, parsed, header_only) in [
        ("auto", "Nov 22 15:04:05 web1 app[7]: something new", true, true),
        ("auto", "<13>something new", true, true),
        ("auto", "Nov 22 15:04:05 web1 sshd[7]: something new", true, true),
        (
            "auto",
            "Nov 22 15:04:05 web1 sshd[7]: Accepted publickey for a from 192.0.2.1 port 1 ssh2",
            true,
            false,
        ),
        ("auto", "something new", false, false),
        ("auto", "{\"a\":1}", true, false),
        ("plain", "something new", true, false),
        ("nginx", "Nov 22 15:04:05 web1 nginx: something new", false, false),
    ] {
        let parser = Parser::new(Format::named(format).unwrap(), Zone::utc());
        let entry = parser.line(line, NOW);
        assert_eq!((entry.parsed, entry.is_header_only()), (parsed, header_only), "{line}");
    }
}

#[test]
fn a_head_that_comes_anew_replaces_the_one_before() {
    let parser = Parser::new(Format::named("iis").unwrap(), Zone::utc());
    assert!(
        parser.wants_head()
            && parser.begins_head(b"#Fields: a")
            && !parser.begins_head(b"#Date: x")
    );
    let address = |parser: &Parser, line: &str| {
        let entry = parser.line(line, NOW);
        event::get(&entry.fields, "src_ip").map(ToString::to_string).unwrap_or_default()
    };
    let first = parser.of_file(b"#Fields: date time c-ip\n");
    assert_eq!(address(&first, "2026-11-22 15:04:05 192.0.2.1"), "\"192.0.2.1\"");
    let both = parser.of_file(b"#Fields: date time c-ip\n#Software: x\n#Fields: c-ip date time\n");
    assert_eq!(address(&both, "192.0.2.1 2026-11-22 15:04:05"), "\"192.0.2.1\"");
    // Without a head, the columns that are written by default.
    let line = "2026-11-22 15:04:05 10.0.0.5 GET /a - 80 - 192.0.2.1 curl/8.5.0 200 0 0 15";
    assert_eq!(address(&parser, line), "\"192.0.2.1\"");
}
