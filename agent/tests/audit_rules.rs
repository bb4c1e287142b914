//! Sigma rules for auditd on events whose records are joined: conditions on one record, and on several, hold; public
//! rules are taken from the corpus when it is there.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use event::Timestamp;
use logs::config::Format;
use logs::parse::{Parser, Zone};
use sigma::{Options, Record, RuleSet, Scratch};

/// The records of one event that is a command, as the kernel writes them.
fn command(arguments: &[&str], files: &[(&str, &str)], uid: u32) -> String {
    let head = "msg=audit(1795359845.123:77):";
    let quoted: String =
        arguments.iter().enumerate().map(|(at, text)| format!(" a{at}=\"{text}\"")).collect();
    let mut lines = vec![
        format!(
            "type=SYSCALL {head} arch=c000003e syscall=59 success=yes exit=0 a0=55d1 a1=55d2 a2=55d3 a3=8 items=2 \
             ppid=1 pid=2 auid=1000 uid={uid} gid=0 euid={uid} tty=pts0 ses=3 comm=\"x\" exe=\"/usr/bin/x\" key=\"k\""
        ),
        format!("type=EXECVE {head} argc={}{quoted}", arguments.len()),
        format!("type=CWD {head} cwd=\"/etc\""),
    ];
    for (at, (name, kind)) in files.iter().enumerate() {
        lines.push(format!("type=PATH {head} item={at} name=\"{name}\" inode=1 mode=0100755 ouid=0 ogid=0 nametype={kind}"));
    }
    lines.push(format!("type=PROCTITLE {head} proctitle=\"x\""));
    lines.join("\n")
}

fn call(number: u32, first: &str) -> String {
    let head = "msg=audit(1795359845.123:77):";
    format!(
        "type=SYSCALL {head} arch=c000003e syscall={number} success=yes exit=0 a0={first} a1=0 a2=0 a3=0 items=0 ppid=1 \
         pid=2 uid=0 euid=0 comm=\"x\" exe=\"/usr/bin/x\" key=(null)\ntype=PROCTITLE {head} proctitle=\"x\""
    )
}

fn titles(set: &RuleSet, text: &str) -> Vec<String> {
    let parser = Parser::new(Format::Auditd, Zone::utc());
    let (mut event, parsed) = parser.event(text.as_bytes(), Timestamp::EPOCH);
    assert!(parsed);
    event.fields.insert("event_type".into(), "log".into());
    let mut scratch = Scratch::new();
    let matched = set.evaluate(&Record::new(&event.fields), &mut scratch).to_vec();
    matched.iter().map(|rule| set.meta(*rule).unwrap().title.clone()).collect()
}

fn load(texts: Vec<(String, String)>) -> RuleSet {
    let (set, report) = RuleSet::load(texts.into_iter(), &Options::default());
    assert_eq!(report.rejected, []);
    set
}

fn own(detection: &str) -> RuleSet {
    let text = format!(
        "title: found\nid: 7b8a0142-dd4c-54be-8ddf-8daf2c00f266\nstatus: test\nlevel: low\n\
         logsource: {{ product: linux, service: auditd }}\ndetection:\n{detection}"
    );
    load(vec![("own.yml".to_owned(), text)])
}

#[test]
fn conditions_on_records_hold_for_their_event() {
    let text = command(&["cp", "x", "shadow"], &[("/etc/", "PARENT"), ("shadow", "CREATE")], 33);
    for detection in [
        "  s: { type: EXECVE, a0: cp, a1: x }\n  condition: s\n",
        "  s: { type: PATH, name: /etc/shadow, nametype: CREATE }\n  condition: s\n",
        "  s: { type: PATH, name: shadow }\n  condition: s\n",
        "  s: { type: SYSCALL, SYSCALL: execve, euid: 33, key: k, exe|endswith: /x }\n  condition: s\n",
        "  s: { type: SYSCALL, syscall: 59, arch: c000003e, success: 'yes' }\n  condition: s\n",
        "  a: { type: EXECVE, a0: cp }\n  b: { type: PATH, name|startswith: /etc/ }\n  c: { type: CWD, cwd: /etc }\n  condition: all of them\n",
    ] {
        assert_eq!(titles(&own(detection), &text), ["found"], "{detection}");
    }
    for detection in [
        // The address that the call has is no argument of the command.
        "  s: { type: SYSCALL, a0: 55d1 }\n  condition: s\n",
        "  s: { type: SOCKADDR }\n  condition: s\n",
        "  s: { type: EXECVE, a0: x }\n  condition: s\n",
    ] {
        assert!(titles(&own(detection), &text).is_empty(), "{detection}");
    }
    let detection = "  s: { type: SYSCALL, SYSCALL: personality, a0: 40000 }\n  condition: s\n";
    assert_eq!(titles(&own(detection), &call(135, "40000")), ["found"]);
}

#[test]
fn a_record_on_its_own_is_found_as_before() {
    let line = "type=EXECVE msg=audit(1795359845.123:77): argc=2 a0=\"chmod\" a1=\"777\"";
    assert_eq!(
        titles(&own("  s: { type: execve, a0: chmod, a1: 777 }\n  condition: s\n"), line),
        ["found"]
    );
    let line =
        "type=PATH msg=audit(1795359845.123:77): item=0 name=\"/etc/shells\" nametype=NORMAL";
    assert_eq!(
        titles(&own("  s: { type: PATH, name: /etc/shells }\n  condition: s\n"), line),
        ["found"]
    );
}

fn public() -> Option<RuleSet> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let root = std::env::var_os("PIKETT_CORPUS").map_or_else(beside, PathBuf::from);
    let folder = root.join("sigma/rules/rules/linux");
    if !folder.is_dir() {
        return None;
    }
    let files = service::files::find(&[folder], &["yml"]).unwrap();
    Some(load(service::files::read(&files).unwrap()))
}

#[test]
fn public_rules_find_joined_events() {
    let Some(set) = public() else {
        println!("skipped: no corpus");
        return;
    };
    let has = |title: &str, text: &str| {
        let found = titles(&set, text);
        assert!(found.iter().any(|one| one.contains(title)), "{title}: {found:?}");
    };
    has("Suspicious Commands Linux", &command(&["chmod", "777", "x"], &[], 0));
    has(
        "Modification of ld.so.preload",
        &command(&["tee", "x"], &[("/etc/", "PARENT"), ("ld.so.preload", "CREATE")], 0),
    );
    has("Webshell Remote Command Execution", &command(&["sh"], &[], 33));
    has("Coin Miner", &command(&["x", "y", "z", "--cpu-priority=5"], &[], 0));
    has("History File", &command(&["rm", "/root/.bash_history"], &[], 0));
    has("ASLR", &call(135, "40000"));
    // Those for processes find the same event by its command line.
    has(
        "Linux Logs Clearing",
        &command(&["/bin/rm", "/var/log/syslog"], &[("/usr/bin/rm", "NORMAL")], 0)
            .replace("/usr/bin/x", "/usr/bin/rm"),
    );
    let quiet = titles(&set, &command(&["true"], &[("/usr/bin/true", "NORMAL")], 1000));
    assert!(quiet.is_empty(), "{quiet:?}");
}
