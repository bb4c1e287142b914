//! Records alone and joined, as auditd has written them: `recorded.log` is of a run of it on Linux 6.18 with rules for
//! execve, connect and one watched file, while touch, a shell, rm, curl and ls ran.

use event::Timestamp;
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::joined;

const RECORDED: &str = include_str!("recorded.log");

/// The fields of the event of this serial whose names begin with one of `wanted`.
fn check(serial: u64, wanted: &[&str], expected: &Expect) {
    let mark = format!(":{serial}):");
    let lines: Vec<String> =
        RECORDED.lines().filter(|line| line.contains(&mark)).map(str::to_owned).collect();
    let all = show(&lines);
    let wanted = |line: &&str| wanted.iter().any(|name| line.starts_with(name));
    let found: String = all.lines().filter(wanted).map(|line| format!("{line}\n")).collect();
    expected.assert_eq(&found);
}

fn show(lines: &[String]) -> String {
    let entry = joined(lines, Timestamp::EPOCH);
    let mut out = format!("{} parsed={}\n", entry.time, entry.parsed);
    event::flatten(&entry.fields, &mut |name, value| {
        if name != "event.original" {
            out.push_str(&format!("{name} = {value}\n"));
        }
    });
    out
}

#[test]
fn a_command() {
    let names = [
        "2026",
        "event",
        "file",
        "process",
        "user",
        "host",
        "message",
        "auditd.type",
        "auditd.a",
        "auditd.call",
        "auditd.SYS",
    ];
    check(
        119,
        &names,
        &expect![[r#"
        2026-11-30T10:56:42.274000+0000 parsed=true
        event.module = "auditd"
        event.outcome = "success"
        event.action = "execve"
        event.category = "process"
        event.type = "start"
        file.path = "/bin/ls"
        file.path = "/lib64/ld-linux-x86-64.so.2"
        process.executable = "/usr/bin/ls"
        process.name = "ls"
        process.working_directory = "/home/alice"
        process.title = "/bin/ls /nonexist /tmp/aud a b"
        process.pid = 32102
        process.parent.pid = 32072
        process.command_line = "/bin/ls /nonexist /tmp/aud a b"
        process.args = "/bin/ls"
        process.args = "/nonexist"
        process.args = "/tmp/aud"
        process.args = "a b"
        user.name = "root"
        user.id = "0"
        user.group.id = "0"
        user.group.name = "root"
        user.effective.id = "0"
        user.effective.name = "root"
        host.architecture = "x86_64"
        auditd.type = "SYSCALL"
        auditd.type = "BPRM_FCAPS"
        auditd.type = "EXECVE"
        auditd.type = "CWD"
        auditd.type = "PATH"
        auditd.type = "PROCTITLE"
        auditd.arch = "c000003e"
        auditd.auid = "4294967295"
        auditd.SYSCALL = "execve"
        auditd.argc = "4"
        auditd.call_args = "56248a3c6560"
        auditd.call_args = "56248a3c63a0"
        auditd.call_args = "56248a3a0db0"
        auditd.call_args = "195946170f13dc03"
        auditd.a0 = "/bin/ls"
        auditd.a1 = "/nonexist"
        auditd.a2 = "/tmp/aud"
        auditd.a3 = "a b"
        message = "root execve /bin/ls /nonexist /tmp/aud a b"
    "#]],
    );
}

#[test]
fn files() {
    let names = ["event", "file", "process.c", "process.t", "auditd.name", "auditd.key", "message"];
    check(
        105,
        &names,
        &expect![[r#"
        event.module = "auditd"
        event.outcome = "success"
        event.action = "openat"
        event.category = "file"
        event.type = "creation"
        file.path = "/tmp/watched.txt"
        process.title = "touch /tmp/watched.txt"
        process.command_line = "touch /tmp/watched.txt"
        auditd.key = "watched"
        auditd.name = "/tmp/"
        auditd.name = "/tmp/watched.txt"
        auditd.nametype = "PARENT"
        auditd.nametype = "CREATE"
        message = "root openat /tmp/watched.txt by /usr/bin/touch"
    "#]],
    );
    check(
        108,
        &names,
        &expect![[r#"
        event.module = "auditd"
        event.outcome = "success"
        event.action = "unlinkat"
        file.path = "/tmp/watched.txt"
        process.title = "rm /tmp/watched.txt"
        process.command_line = "rm /tmp/watched.txt"
        auditd.key = "watched"
        auditd.name = "/tmp/"
        auditd.name = "/tmp/watched.txt"
        auditd.nametype = "PARENT"
        auditd.nametype = "DELETE"
        message = "root unlinkat /tmp/watched.txt by /usr/bin/rm"
    "#]],
    );
}

#[test]
fn sockets() {
    let names = ["event", "file", "dest", "network", "error", "auditd.socket", "message"];
    check(
        112,
        &names,
        &expect![[r#"
        event.module = "auditd"
        event.outcome = "failure"
        event.action = "connect"
        file.path = "/var/run/nscd/socket"
        error.code = "ENOENT"
        auditd.socket.family = "unix"
        auditd.socket.path = "/var/run/nscd/socket"
        message = "root connect /var/run/nscd/socket by /usr/bin/curl failed: ENOENT"
    "#]],
    );
    check(
        114,
        &names,
        &expect![[r#"
        event.module = "auditd"
        event.outcome = "failure"
        event.action = "connect"
        event.category = "network"
        event.type = "connection"
        error.code = "EINPROGRESS"
        dest_ip = "127.0.0.1"
        dest_port = 1
        network.initiated = "true"
        auditd.socket.family = "ipv4"
        auditd.socket.address = "127.0.0.1"
        auditd.socket.port = 1
        message = "root connect 127.0.0.1 port 1 by /usr/bin/curl failed: EINPROGRESS"
    "#]],
    );
    check(
        118,
        &names,
        &expect![[r#"
        event.module = "auditd"
        event.outcome = "failure"
        event.action = "connect"
        event.category = "network"
        event.type = "connection"
        error.code = "EINPROGRESS"
        dest_ip = "::1"
        dest_port = 1
        network.initiated = "true"
        auditd.socket.family = "ipv6"
        auditd.socket.address = "::1"
        auditd.socket.port = 1
        message = "root connect ::1 port 1 by /usr/bin/curl failed: EINPROGRESS"
    "#]],
    );
}

#[test]
fn records_of_user_space() {
    check(
        462,
        &["2026", "event", "process", "user", "auditd.op", "auditd.type"],
        &expect![[r#"
        2026-11-30T10:56:39.061000+0000 parsed=true
        event.module = "auditd"
        event.outcome = "success"
        event.action = "daemon_start"
        user.name = "root"
        user.id = "0"
        process.pid = 32086
        auditd.type = "DAEMON_START"
        auditd.op = "start"
    "#]],
    );
}

#[test]
fn an_argument_in_pieces_and_bytes_that_are_no_text() {
    let head = "msg=audit(1795359845.123:77):";
    let lines = [
        format!(
            "type=SYSCALL {head} arch=c00000b7 syscall=221 success=yes exit=0 a0=1 a1=2 a2=3 a3=4 uid=1000 comm=6120FF exe=\"/bin/x\" key=666F6F01626172"
        ),
        format!("type=EXECVE {head} argc=3 a0=\"x\" a1_len=6 a1[0]=C3"),
        format!("type=EXECVE {head}  a1[1]=A9203030 a2=3030"),
        format!("type=PROCTITLE {head} proctitle=78"),
    ];
    let text = show(&lines);
    for one in [
        "auditd.a1 = \"\u{e9} 00\"",
        "auditd.a2 = \"00\"",
        "process.command_line = \"x \u{e9} 00 00\"",
        "auditd.call_args = \"4\"",
        "auditd.SYSCALL = \"execve\"",
        "auditd.ARCH = \"aarch64\"",
        "process.name = \"a \u{fffd}\"",
        "auditd.summary = \"uid 1000 execve x \u{e9} 00 00\"",
    ] {
        assert!(text.contains(one), "{one}\n{text}");
    }
}

#[test]
fn a_name_with_an_apostrophe_ends_no_message() {
    let line = "type=USER_CMD msg=audit(1795359845.1:9): pid=7 uid=1000 msg='cwd=\"/home/o'brien\" cmd=6C73202D6C res=success'\u{1d}UID=\"obrien\"";
    let text = show(&[line.to_owned()]);
    assert!(text.contains("process.working_directory = \"/home/o'brien\""), "{text}");
    assert!(text.contains("process.command_line = \"ls -l\""), "{text}");
    assert!(
        text.contains("event.outcome = \"success\"") && text.contains("user.name = \"obrien\""),
        "{text}"
    );
}

#[test]
fn what_is_too_much_is_flagged() {
    let head = "msg=audit(1795359845.123:77):";
    let many: String = (0..600).map(|number| format!(" k{number}=1")).collect();
    let paths = (0..100)
        .map(|number| format!("type=PATH {head} item={number} name=\"/{number}\" nametype=NORMAL"));
    let lines: Vec<String> =
        std::iter::once(format!("type=SYSCALL {head}{many}")).chain(paths).collect();
    let text = show(&lines);
    assert!(text.contains("log.flags = \"too_many_fields\""), "{text}");
    let arguments: String = (0..300).map(|number| format!(" a{number}=\"x\"")).collect();
    let text = show(&[format!("type=EXECVE {head}{arguments}")]);
    assert!(text.contains("log.flags = \"too_many_fields\""), "{text}");
}

proptest! {
    #[test]
    fn any_records_give_an_event(
        tails in prop::collection::vec("[a-zA-Z0-9=\"' \\[\\]{}_]{0,60}", 1..6),
        kind in prop::sample::select(vec!["SYSCALL", "EXECVE", "PATH", "SOCKADDR", "CWD", "PROCTITLE", "USER_CMD"]),
    ) {
        let line = |tail: &String| format!("type={kind} msg=audit(1795359845.1:9): {tail}");
        let lines: Vec<String> = tails.iter().map(line).collect();
        let entry = joined(&lines, Timestamp::EPOCH);
        prop_assert!(entry.parsed);
        prop_assert_eq!(&entry.fields["event"]["original"], &lines.join("\n"));
        prop_assert_eq!(&entry.fields["auditd"]["type"], kind);
    }
}
