//! The systemd journal, read through `journalctl --output=json --follow`.
//!
//! The program is the journal's stable interface; its binary files are not. The cursor of the last
//! record in the spool is where reading goes on after a restart.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use event::{Event, Kind, Object, Timestamp, set};
use serde_json::Value;
use service::Clock;

use super::{Intake, Item, Position, Positions};
use crate::config::JournaldConfig;
use crate::parse::{Parser, Zone};

/// Longest record read from `journalctl`, bytes; a longer one is cut and then does not parse.
const MAX_RECORD: u64 = 4 * 1024 * 1024;
/// Key of the position.
const KEY: &str = "journald";

/// Reads the journal until `intake` stops, starting `journalctl` again when it ends. Blocks.
pub fn run(config: &JournaldConfig, positions: &Positions, intake: &Intake, clock: &Clock) {
    let mut cursor = match positions.get(KEY) {
        Some(Position::Cursor(cursor)) => Some(cursor.clone()),
        _ => None,
    };
    let parser = config.parsers.parser(crate::config::Format::Syslog, Zone::utc());
    while !intake.is_stopping() {
        match start(config, cursor.as_deref()) {
            Ok(mut child) => {
                follow(&mut child, (&parser, intake), clock, &mut cursor);
                stop(&mut child);
            }
            Err(error) => tracing::warn!(%error, "journalctl cannot be started"),
        }
        for _ in 0..50 {
            if intake.is_stopping() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn start(config: &JournaldConfig, cursor: Option<&str>) -> std::io::Result<Child> {
    let program = config.command.clone().unwrap_or_else(|| "journalctl".into());
    let mut command = Command::new(program);
    command.args(["--output=json", "--follow", "--no-pager", "--quiet"]);
    for unit in &config.units {
        command.arg(format!("--unit={unit}"));
    }
    match cursor {
        Some(cursor) => command.arg(format!("--after-cursor={cursor}")),
        None => command.arg("--lines=0"),
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
}

fn stop(child: &mut Child) {
    if let Err(error) = child.kill().and_then(|()| child.wait()) {
        tracing::warn!(%error, "journalctl could not be stopped");
    }
}

fn follow(
    child: &mut Child,
    (parser, intake): (&Parser, &Intake),
    clock: &Clock,
    cursor: &mut Option<String>,
) {
    let Some(output) = child.stdout.take() else { return };
    let key: Arc<str> = KEY.into();
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(MAX_RECORD).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let now = Timestamp::from_micros(clock.now_micros());
        let (event, next, parsed) = record(&line, parser, now);
        if let Some(next) = next {
            *cursor = Some(next);
        }
        let position = cursor.clone().map(|cursor| (Arc::clone(&key), Position::Cursor(cursor)));
        let item = Item { event, position, also: Vec::new() };
        if intake.wait(item, parsed, line.len()).is_err() || intake.is_stopping() {
            return;
        }
    }
}

/// One journal record as event, its cursor, and whether it could be read.
fn record(line: &[u8], parser: &Parser, now: Timestamp) -> (Event, Option<String>, bool) {
    let Ok(Value::Object(record)) = serde_json::from_slice::<Value>(line) else {
        let (event, _) = parser.event(line, now);
        return (event, None, false);
    };
    let text = |name: &str| text_of(record.get(name)?);
    let message = text("MESSAGE").unwrap_or_default();
    let app = text("SYSLOG_IDENTIFIER").or_else(|| text("_COMM")).unwrap_or_default();
    let pid = text("_PID").or_else(|| text("SYSLOG_PID")).unwrap_or_default();
    let micros = text("_SOURCE_REALTIME_TIMESTAMP").or_else(|| text("__REALTIME_TIMESTAMP"));
    let time = micros.and_then(|text| text.parse().ok()).map_or(now, Timestamp::from_micros);
    let host = text("_HOSTNAME").unwrap_or_default();
    // The parser knows what sshd, sudo and the others say; it is given the record as they log it.
    let blank = |text: &str| if text.is_empty() { "-".to_owned() } else { text.replace(' ', "_") };
    let header = format!(
        "1 {} {} {} {} - - ",
        blank(&time_text(time)),
        blank(&host),
        blank(&app),
        blank(&pid)
    );
    let mut entry = parser.line(&format!("{header}{message}"), now);
    entry.fields.insert("message".into(), Value::String(message.clone()));
    set(&mut entry.fields, "event.original", Value::String(message));
    for (from, to) in [
        ("_SYSTEMD_UNIT", "service.name"),
        ("_EXE", "process.executable"),
        ("_CMDLINE", "process.command_line"),
        ("_UID", "user.id"),
        ("_TRANSPORT", "journald.transport"),
        ("PRIORITY", "journald.priority"),
    ] {
        let free = event::get(&entry.fields, to).is_none();
        if let Some(text) = text(from).filter(|_| free) {
            set(&mut entry.fields, to, Value::String(text));
        }
    }
    let fields: Object = entry.fields;
    (Event { seq: 0, time, seen: now, kind: Kind::Log, fields }, text("__CURSOR"), true)
}

fn time_text(time: Timestamp) -> String {
    time.to_string()
}

/// A field's text; the journal writes binary ones as lists of bytes.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(bytes) => {
            let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
            let bytes: Option<Vec<u8>> = bytes.iter().map(byte).collect();
            bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Counters;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_record_of_sshd() {
        let line = br#"{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1795359845000001","_HOSTNAME":"web1","SYSLOG_IDENTIFIER":"sshd","_PID":"812","_SYSTEMD_UNIT":"ssh.service","MESSAGE":"Failed password for root from 192.0.2.7 port 4711 ssh2"}"#;
        let parser = Parser::new(crate::config::Format::Syslog, Zone::utc());
        let (event, cursor, parsed) = record(line, &parser, Timestamp::EPOCH);
        assert!(parsed);
        assert_eq!(cursor.unwrap(), "s=1;i=2");
        assert_eq!(event.time.micros(), 1_795_359_845_000_001);
        let get = |name| event::get(&event.fields, name).cloned().unwrap();
        assert_eq!(get("src_ip"), "192.0.2.7");
        assert_eq!(get("service.name"), "ssh.service");
        assert_eq!(get("host.name"), "web1");
        assert_eq!(get("message"), "Failed password for root from 192.0.2.7 port 4711 ssh2");
    }

    #[test]
    fn binary_messages_and_garbage() {
        let parser = Parser::new(crate::config::Format::Syslog, Zone::utc());
        let (event, _, parsed) = record(br#"{"MESSAGE":[104,105,255]}"#, &parser, Timestamp::EPOCH);
        assert!(parsed && event.fields["message"] == "hi\u{fffd}");
        let (event, cursor, parsed) = record(b"{cut", &parser, Timestamp::EPOCH);
        assert!(!parsed && cursor.is_none() && event.fields["message"] == "{cut");
    }

    #[test]
    fn the_program_is_started_behind_the_kept_cursor() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("fake");
        let script = "#!/bin/sh\nfor a in \"$@\"; do last=$a; done\nprintf '{\"MESSAGE\":\"%s\",\"__CURSOR\":\"c9\"}\\n' \"$last\"\nsleep 30\n";
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (queue, items) = crossbeam_channel::bounded(8);
        let shutdown = service::Shutdown::new();
        let intake = Intake::new(queue, Arc::new(Counters::default()), shutdown.clone());
        let positions = Positions::from([(KEY.to_owned(), Position::Cursor("c8".to_owned()))]);
        let config = JournaldConfig {
            units: Vec::new(),
            command: Some(program),
            parsers: crate::config::Parsers::default(),
        };
        let mut child = start(&config, Some("c8")).unwrap();
        let mut cursor = None;
        shutdown.trigger();
        let parser = config.parsers.parser(crate::config::Format::Syslog, Zone::utc());
        follow(&mut child, (&parser, &intake), &Clock::manual(0), &mut cursor);
        stop(&mut child);
        let item = items.recv().unwrap();
        assert_eq!(item.event.fields["message"], "--after-cursor=c8");
        assert_eq!(item.position.unwrap().1, Position::Cursor("c9".to_owned()));
        run(&config, &positions, &intake, &Clock::manual(0));
    }

    #[test]
    fn broken_records_are_kept_whole_and_hostile_ones_harmless() {
        let parser = Parser::new(crate::config::Format::Syslog, Zone::utc());
        let now = Timestamp::from_seconds(1_795_359_845);
        for line in ["", "\n", "null", "[]", "7", "\"text\"", "{\"a\":", "\u{0}{}"] {
            let (event, cursor, parsed) = record(line.as_bytes(), &parser, now);
            assert!(!parsed && cursor.is_none(), "{line:?}");
            assert_eq!(event.time, now, "{line:?}");
        }
        for (line, message, time) in [
            (r#"{}"#, "", now),
            (r#"{"MESSAGE":null,"__REALTIME_TIMESTAMP":"yesterday"}"#, "", now),
            (r#"{"MESSAGE":[104,300]}"#, "", now),
            (r#"{"MESSAGE":[],"__REALTIME_TIMESTAMP":"5"}"#, "", Timestamp::from_micros(5)),
            (r#"{"MESSAGE":{"a":1},"_PID":[],"PRIORITY":3}"#, "", now),
            (
                r#"{"MESSAGE":"two\nlines","_SOURCE_REALTIME_TIMESTAMP":"7","__REALTIME_TIMESTAMP":"9"}"#,
                "two\nlines",
                Timestamp::from_micros(7),
            ),
            (
                r#"{"MESSAGE":"x","_HOSTNAME":"a b","SYSLOG_IDENTIFIER":"my app","_PID":"-3"}"#,
                "x",
                now,
            ),
        ] {
            let (event, _, parsed) = record(line.as_bytes(), &parser, now);
            assert!(parsed, "{line}");
            assert_eq!(
                (event.fields["message"].as_str(), event.time),
                (Some(message), time),
                "{line}"
            );
        }
        // A message cannot forge the header it is read with.
        let forged = r#"{"MESSAGE":"1 2026-01-01T00:00:00Z evil sshd 1 - - Accepted password for root from 10.0.0.1 port 1","SYSLOG_IDENTIFIER":"app","_HOSTNAME":"web1"}"#;
        let (event, _, _) = record(forged.as_bytes(), &parser, now);
        assert_eq!(event::get(&event.fields, "host.name").unwrap(), "web1");
        assert_eq!(event::get(&event.fields, "src_ip"), None);
    }
}
