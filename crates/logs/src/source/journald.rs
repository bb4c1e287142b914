//! The systemd journal, read through `journalctl --output=export --follow`.
//!
//! The program is the journal's stable interface; its files are not, and no permissively licensed library
//! reads them. The export format is safe for binary fields. The cursor of the last record in the spool is
//! where reading goes on after a restart; a cursor that the journal no longer knows is replaced by its time.

use std::io::{BufReader, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use event::{Event, Kind, Object, Timestamp, set};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::Value;
use service::Clock;

use super::{Intake, Item, Position, Positions};
use crate::config::JournaldConfig;
use crate::parse::{Parser, Zone};

mod export;

use export::Record;

/// Key of the position.
const KEY: &str = "journald";
/// Waits before `journalctl` is started again, seconds: longer each time nothing came of it.
const WAITS: [u64; 6] = [1, 2, 5, 10, 30, 60];
/// Longest wait for a record before it is looked whether to stop, milliseconds.
const LOOK: u16 = 200;
/// Bytes kept of what `journalctl` says when it ends.
const MAX_WORDS: u64 = 4096;

/// Where reading goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum From {
    /// With what comes from now on.
    #[default]
    Now,
    /// Behind the record of a cursor.
    Cursor(String),
    /// Behind records of a time, microseconds since the epoch: the cursor is not known any more.
    Time(i64),
}

impl From {
    /// From the time in a cursor, `t=` in hexadecimal, when the cursor itself is of no use.
    fn without_cursor(&self) -> Self {
        let Self::Cursor(cursor) = self else { return self.clone() };
        let time = cursor.split(';').find_map(|part| part.strip_prefix("t="));
        let time = time.and_then(|text| i64::from_str_radix(text, 16).ok());
        time.map_or_else(|| self.clone(), Self::Time)
    }
}

/// Reads the journal until `intake` stops, starting `journalctl` again when it ends. Blocks.
pub fn run(config: &JournaldConfig, positions: &Positions, intake: &Intake, clock: &Clock) {
    let mut from = match positions.get(KEY) {
        Some(Position::Cursor(cursor)) => From::Cursor(cursor.clone()),
        _ => From::Now,
    };
    let parser = config.parsers.parser(crate::config::Format::Syslog, Zone::utc());
    let mut failures = 0_usize;
    while !intake.is_stopping() {
        let before = from.clone();
        match start(config, &from) {
            Ok(mut child) => {
                let outcome = follow(&mut child, (&parser, intake), clock, &mut from);
                let words = stop(&mut child);
                if intake.is_stopping() {
                    return;
                }
                let reason = outcome.err().map(|error| error.to_string()).unwrap_or_default();
                tracing::warn!(reason, words, "journalctl has ended");
            }
            Err(error) => tracing::warn!(%error, "journalctl cannot be started"),
        }
        intake.source().count_error();
        failures = if from == before { failures.saturating_add(1) } else { 0 };
        if failures == 3 {
            from = from.without_cursor();
        }
        let seconds = WAITS.get(failures.min(WAITS.len().saturating_sub(1))).copied().unwrap_or(60);
        for _ in 0..seconds.saturating_mul(10) {
            if intake.is_stopping() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn start(config: &JournaldConfig, from: &From) -> std::io::Result<Child> {
    let program = config.command.clone().unwrap_or_else(|| "journalctl".into());
    let mut command = Command::new(program);
    command.args(["--output=export", "--follow", "--no-pager", "--quiet", "--all"]);
    for unit in &config.units {
        command.arg(format!("--unit={unit}"));
    }
    match from {
        From::Cursor(cursor) => command.args(["--no-tail", &format!("--after-cursor={cursor}")]),
        From::Time(micros) => {
            command.args(["--no-tail", &format!("--since=@{}", micros.div_euclid(1_000_000))])
        }
        From::Now => command.arg("--lines=0"),
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Ends the program; what it said last.
fn stop(child: &mut Child) -> String {
    if let Err(error) = child.kill().and_then(|()| child.wait()) {
        tracing::warn!(%error, "journalctl could not be stopped");
    }
    let mut words = Vec::new();
    if let Some(stderr) = child.stderr.take()
        && let Err(error) = stderr.take(MAX_WORDS).read_to_end(&mut words)
    {
        tracing::debug!(%error, "journalctl cannot be heard");
    }
    String::from_utf8_lossy(&words).trim().to_owned()
}

fn follow(
    child: &mut Child,
    (parser, intake): (&Parser, &Intake),
    clock: &Clock,
    from: &mut From,
) -> std::io::Result<()> {
    let Some(output) = child.stdout.take() else { return Ok(()) };
    let key: Arc<str> = KEY.into();
    let mut reader = BufReader::new(output);
    while comes(&reader, intake)?
        && let Some(record) = export::next(&mut reader)?
    {
        let written = record.text("__REALTIME_TIMESTAMP").and_then(|text| text.parse::<i64>().ok());
        if let (From::Time(after), Some(written)) = (&*from, written)
            && written <= *after
        {
            continue;
        }
        let now = Timestamp::from_micros(clock.now_micros());
        let event = event_of(&record, parser, now);
        let cursor = record.text("__CURSOR");
        if let Some(cursor) = &cursor {
            *from = From::Cursor(cursor.clone());
        }
        let item = match cursor {
            Some(cursor) => Item::at(event, Arc::clone(&key), Position::Cursor(cursor)),
            None => Item::new(event),
        };
        let bytes = usize::try_from(record.bytes).unwrap_or(usize::MAX);
        if intake.wait(item, true, bytes).is_err() || intake.is_stopping() {
            break;
        }
    }
    Ok(())
}

/// Waits until there is something to read, or its end; false when it is to stop. A journal may be quiet for hours.
fn comes(reader: &BufReader<ChildStdout>, intake: &Intake) -> std::io::Result<bool> {
    while reader.buffer().is_empty() && !intake.is_stopping() {
        let mut wanted = [PollFd::new(reader.get_ref().as_fd(), PollFlags::POLLIN)];
        match poll(&mut wanted, PollTimeout::from(LOOK)) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(!intake.is_stopping())
}

/// Fields of the journal and their names in ECS.
const NAMES: [(&str, &str); 14] = [
    ("_SYSTEMD_UNIT", "service.name"),
    ("_EXE", "process.executable"),
    ("_CMDLINE", "process.command_line"),
    ("_UID", "user.id"),
    ("_GID", "group.id"),
    ("_TRANSPORT", "journald.transport"),
    ("_BOOT_ID", "journald.boot_id"),
    ("_MACHINE_ID", "host.id"),
    ("_AUDIT_LOGINUID", "user.audit.id"),
    ("_SYSTEMD_CGROUP", "journald.cgroup"),
    ("CONTAINER_NAME", "container.name"),
    ("CONTAINER_ID_FULL", "container.id"),
    ("CODE_FILE", "log.origin.file.name"),
    ("MESSAGE_ID", "journald.message_id"),
];

/// One journal record as event.
fn event_of(record: &Record, parser: &Parser, now: Timestamp) -> Event {
    let text = |name: &str| record.text(name);
    let message = text("MESSAGE").unwrap_or_default();
    let app = text("SYSLOG_IDENTIFIER").or_else(|| text("_COMM")).unwrap_or_default();
    let pid = text("_PID").or_else(|| text("SYSLOG_PID")).unwrap_or_default();
    let micros = text("_SOURCE_REALTIME_TIMESTAMP").or_else(|| text("__REALTIME_TIMESTAMP"));
    let time = micros.and_then(|text| text.parse().ok()).map_or(now, Timestamp::from_micros);
    let host = text("_HOSTNAME").unwrap_or_default();
    // The parser knows what sshd, sudo and the others say; it is given the record as they log it.
    let blank = |text: &str| if text.is_empty() { "-".to_owned() } else { text.replace(' ', "_") };
    let (stamp, host, app, pid) =
        (blank(&time.to_string()), blank(&host), blank(&app), blank(&pid));
    let mut entry = parser.line(&format!("1 {stamp} {host} {app} {pid} - - {message}"), now);
    entry.fields.insert("message".into(), Value::String(message.clone()));
    set(&mut entry.fields, "event.original", Value::String(message));
    if let Some(priority) = text("PRIORITY").and_then(|text| text.parse::<u8>().ok()) {
        set(&mut entry.fields, "log.syslog.severity.code", priority.into());
        set(&mut entry.fields, "journald.priority", Value::String(priority.to_string()));
    }
    if let Some(facility) = text("SYSLOG_FACILITY").and_then(|text| text.parse::<u8>().ok()) {
        set(&mut entry.fields, "log.syslog.facility.code", facility.into());
    }
    for (from, to) in NAMES {
        let free = event::get(&entry.fields, to).is_none();
        if let Some(text) = text(from).filter(|_| free) {
            set(&mut entry.fields, to, Value::String(text));
        }
    }
    if record.cut > 0 {
        set(&mut entry.fields, "log.truncated_bytes", record.cut.into());
    }
    let fields: Object = entry.fields;
    Event { seq: 0, time, seen: now, kind: Kind::Log, fields }
}

/// The events of an export, for fuzzing: how many bytes of fields they were made of.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn exported(mut bytes: &[u8]) -> usize {
    let parser = Parser::new(crate::config::Format::Syslog, Zone::utc());
    let mut kept = 0_u64;
    while let Ok(Some(record)) = export::next(&mut bytes) {
        event_of(&record, &parser, Timestamp::EPOCH);
        kept = kept.saturating_add(record.bytes);
    }
    usize::try_from(kept).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Counters;
    use std::os::unix::fs::PermissionsExt;

    fn read(mut bytes: &[u8]) -> Event {
        let record = export::next(&mut bytes).unwrap().unwrap();
        let parser = Parser::new(crate::config::Format::Syslog, Zone::utc());
        event_of(&record, &parser, Timestamp::from_seconds(1_795_359_845))
    }

    /// Reads what a script writes instead of the journal.
    fn faked(folder: &std::path::Path, script: &str) -> JournaldConfig {
        let program = folder.join("fake");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        JournaldConfig {
            quiet_after: None,
            units: Vec::new(),
            command: Some(program),
            parsers: Default::default(),
        }
    }

    fn get(event: &Event, name: &str) -> Value {
        event::get(&event.fields, name).cloned().unwrap_or_default()
    }

    #[test]
    fn a_record_of_sshd() {
        let event = read(
            b"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1795359845000001\n_HOSTNAME=web1\n\
              SYSLOG_IDENTIFIER=sshd\n_PID=812\n_SYSTEMD_UNIT=ssh.service\nPRIORITY=6\n\
              MESSAGE=Failed password for root from 192.0.2.7 port 4711 ssh2\n\n",
        );
        assert_eq!(event.time.micros(), 1_795_359_845_000_001);
        for (name, value) in [
            ("src_ip", "192.0.2.7"),
            ("service.name", "ssh.service"),
            ("host.name", "web1"),
            ("journald.priority", "6"),
            ("message", "Failed password for root from 192.0.2.7 port 4711 ssh2"),
        ] {
            assert_eq!(get(&event, name), value, "{name}");
        }
        assert_eq!(get(&event, "log.syslog.severity.code"), 6);
    }

    #[test]
    fn odd_records_are_kept() {
        let now = Timestamp::from_seconds(1_795_359_845);
        let event = read(b"__REALTIME_TIMESTAMP=yesterday\n_HOSTNAME=a b\nMESSAGE=x\n\n");
        assert_eq!((event.time, get(&event, "message")), (now, "x".into()));
        let event = read(b"MESSAGE\n\x05\0\0\0\0\0\0\0hi\n\xff!\n_SOURCE_REALTIME_TIMESTAMP=7\n__REALTIME_TIMESTAMP=9\n\n");
        assert_eq!(get(&event, "message"), "hi\n\u{fffd}!");
        assert_eq!(event.time, Timestamp::from_micros(7));
        // A message cannot forge the header it is read with.
        let event = read(b"MESSAGE=1 2026-01-01T00:00:00Z evil sshd 1 - - Accepted password for root from 10.0.0.1 port 1\nSYSLOG_IDENTIFIER=app\n_HOSTNAME=web1\n\n");
        assert_eq!((get(&event, "host.name"), get(&event, "src_ip")), ("web1".into(), Value::Null));
    }

    #[test]
    fn a_cursor_that_is_not_known_any_more_is_replaced_by_its_time() {
        let cursor = From::Cursor("s=0;i=1;b=2;m=3;t=660d6a8f1c2d3;x=4".into());
        assert_eq!(cursor.without_cursor(), From::Time(0x0006_60d6_a8f1_c2d3));
        let odd = From::Cursor("c8".into());
        assert_eq!(odd.without_cursor(), odd);
        assert_eq!(From::Now.without_cursor(), From::Now);
    }

    #[test]
    fn the_program_is_started_behind_the_kept_cursor() {
        let folder = tempfile::tempdir().unwrap();
        let script = "#!/bin/sh\nfor a in \"$@\"; do last=$a; done\n\
            printf '__REALTIME_TIMESTAMP=5\\nMESSAGE=old\\n\\n'\n\
            printf '__REALTIME_TIMESTAMP=6\\nMESSAGE=%s\\n__CURSOR=c9\\n\\n' \"$last\"\n\
            echo no such thing >&2\n";
        let config = faked(folder.path(), script);
        let parser = config.parsers.parser(crate::config::Format::Syslog, Zone::utc());
        for (mut from, expected) in [
            (From::Cursor("c8".into()), &["old", "--after-cursor=c8"][..]),
            (From::Time(5), &["--since=@0"]),
            (From::Now, &["old", "--lines=0"]),
        ] {
            let (queue, items) = crossbeam_channel::bounded(8);
            let counters = Arc::new(Counters::default());
            let intake = Intake::new(queue, counters, service::Shutdown::new());
            let mut child = start(&config, &from).unwrap();
            follow(&mut child, (&parser, &intake), &Clock::manual(0), &mut from).unwrap();
            child.wait().unwrap();
            assert_eq!(stop(&mut child), "no such thing");
            drop(intake);
            let (mut found, mut last) = (Vec::new(), None);
            for item in items {
                found.push(get(&item.events[0], "message").as_str().unwrap().to_owned());
                last = item.moved.into_iter().next_back().or(last);
            }
            assert_eq!(found, expected);
            assert_eq!(last.unwrap().1, Some(Position::Cursor("c9".to_owned())));
            assert_eq!(from, From::Cursor("c9".to_owned()));
        }
    }

    #[test]
    fn a_quiet_journal_keeps_nobody_from_stopping() {
        let folder = tempfile::tempdir().unwrap();
        let config = faked(folder.path(), "#!/bin/sh\nexec sleep 600\n");
        let (queue, _items) = crossbeam_channel::bounded(8);
        let shutdown = service::Shutdown::new();
        let intake = Intake::new(queue, Arc::new(Counters::default()), shutdown.clone());
        let (done, ended) = crossbeam_channel::bounded(1);
        std::thread::spawn(move || {
            run(&config, &Positions::new(), &intake, &Clock::manual(0));
            done.send(()).unwrap();
        });
        std::thread::sleep(Duration::from_millis(50));
        shutdown.trigger();
        ended.recv_timeout(Duration::from_secs(60)).expect("it stops");
    }

    /// The real program over a journal file of its own is asked only for its manners.
    #[test]
    fn the_real_program_takes_the_options() {
        let config = JournaldConfig {
            quiet_after: None,
            units: vec!["ssh.service".into()],
            command: None,
            parsers: Default::default(),
        };
        let Ok(mut child) = start(&config, &From::Now) else {
            println!("skipped: no journalctl");
            return;
        };
        std::thread::sleep(Duration::from_millis(300));
        let words = stop(&mut child);
        for wrong in ["unrecognized", "invalid", "Failed to parse"] {
            assert!(!words.contains(wrong), "{words}");
        }
    }
}
