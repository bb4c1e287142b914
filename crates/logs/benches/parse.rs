//! Lines a second of the commonest formats, through the whole way from bytes to event: `cargo bench -p logs`.
//!
//! Counts seconds of the processor (Linux, `/proc/thread-self/schedstat`), so that other work on the machine matters
//! less.
#![expect(clippy::print_stdout, reason = "its output is its result")]

use event::Timestamp;
use logs::config::Format;
use logs::parse::{Parser, Zone};

const LINES: [(&str, &str, &str); 6] = [
    (
        "sshd",
        "auto",
        "Nov 22 15:04:05 web1 sshd[812]: Failed password for invalid user admin from 192.0.2.7 port 51122 ssh2",
    ),
    (
        "sudo",
        "auto",
        "Nov 22 15:04:05 web1 sudo:    alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/bin/cat /etc/shadow",
    ),
    (
        "access",
        "access",
        "192.0.2.1 - frank [22/Nov/2026:16:04:05 +0100] \"GET /a?q=1 HTTP/1.1\" 200 2326 \"http://x.example/\" \"curl/8.5.0\"",
    ),
    (
        "unmatched",
        "auto",
        "Nov 22 15:04:05 web1 sshd[812]: Nothing that any pattern knows, port 22.",
    ),
    (
        "auditd",
        "auto",
        "type=EXECVE msg=audit(1795359845.123:77): argc=3 a0=\"sh\" a1=\"-c\" a2=6563686F2068656C6C6F",
    ),
    (
        "json",
        "auto",
        r#"{"time": 1795359845.5, "msg": "hi", "level": "info", "user": {"name": "x"}}"#,
    ),
];

/// Nanoseconds that this thread has run; 0 where that cannot be read.
fn processor() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// A command as auditd writes it: seven records.
const COMMAND: &str = include_str!("../src/parse/auditd/recorded.log");

/// Events a second of the audit system: records of a file, joined.
fn audit() {
    const ROUNDS: u64 = 20_000;
    let lines: Vec<&str> = COMMAND.lines().filter(|line| line.contains(":119):")).collect();
    let best = (0..5).map(|_| {
        let mut bench = logs::source::audit::Bench::default();
        let start = processor();
        for round in 0..ROUNDS {
            let serial = format!(":{}):", round.saturating_add(1_000));
            for line in &lines {
                bench.take(line.replace(":119):", &serial));
            }
        }
        let spent = processor().saturating_sub(start);
        assert_eq!(bench.events(), ROUNDS);
        spent
    });
    let nanoseconds = best.min().unwrap_or(0).max(1);
    let rate = ROUNDS.saturating_mul(1_000_000_000) / nanoseconds;
    let each = lines.len();
    println!(
        "{:10} {} ns an event of {each} records, {rate} events a second",
        "audit",
        nanoseconds / ROUNDS
    );
}

fn main() {
    audit();
    const ROUNDS: u64 = 100_000;
    let now = Timestamp::from_seconds(1_795_359_845);
    for (name, format, line) in LINES {
        let parser = Parser::new(Format::named(format).unwrap_or_default(), Zone::utc());
        let best = (0..5).map(|_| {
            let start = processor();
            for _ in 0..ROUNDS {
                std::hint::black_box(parser.event(std::hint::black_box(line.as_bytes()), now));
            }
            processor().saturating_sub(start)
        });
        let nanoseconds = best.min().unwrap_or(0).max(1);
        let rate = ROUNDS.saturating_mul(1_000_000_000) / nanoseconds;
        println!("{name:10} {} ns a line, {rate} lines a second", nanoseconds / ROUNDS);
    }
}
