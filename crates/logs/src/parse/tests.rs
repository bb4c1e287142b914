//! Lines of every format, as programs and devices write them and as attackers do.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use event::{Kind, set};
use serde_json::Value;

/// 2026-11-22T15:04:05Z
const NOW: i64 = 1_795_359_845;

fn access() -> Format {
    Format::named("access").unwrap()
}

fn show(format: Format, line: &str) -> String {
    let zone = Zone::named("Europe/Zurich").unwrap();
    let entry = Parser::new(format, zone).line(line, Timestamp::from_seconds(NOW));
    let mut out = format!("{} parsed={}", entry.time, entry.parsed);
    event::flatten(&entry.fields, &mut |name, value| {
        if name != "event.original" {
            out.push_str(&format!("\n{name} = {value}"));
        }
    });
    out
}

fn check(format: Format, line: &str, expected: &Expect) {
    expected.assert_eq(&show(format, line));
}

#[test]
fn sshd() {
    check(
        Format::Auto,
        "Nov 22 15:04:05 web1 sshd[812]: Failed password for invalid user admin from 192.0.2.7 port 51122 ssh2",
        &expect![[r#"
            2026-11-22T14:04:05.000000+0000 parsed=true
            log.syslog.hostname = "web1"
            log.syslog.appname = "sshd"
            log.syslog.procid = "812"
            host.name = "web1"
            process.name = "sshd"
            process.pid = 812
            message = "Failed password for invalid user admin from 192.0.2.7 port 51122 ssh2"
            event.module = "sshd"
            event.category = "authentication"
            event.action = "ssh_login"
            event.outcome = "failure"
            sshd.invalid_user = "true"
            sshd.method = "password"
            user.name = "admin"
            src_ip = "192.0.2.7"
            src_port = 51122"#]],
    );
    check(
        Format::Syslog,
        "<38>1 2026-11-22T15:04:05.123Z web1 sshd 812 - - Accepted publickey for root from 2001:db8::1 port 22022 ssh2: ED25519 SHA256:abc",
        &expect![[r#"
            2026-11-22T15:04:05.123000+0000 parsed=true
            log.syslog.hostname = "web1"
            log.syslog.appname = "sshd"
            log.syslog.procid = "812"
            log.syslog.facility.code = 4
            log.syslog.severity.code = 6
            host.name = "web1"
            process.name = "sshd"
            process.pid = 812
            message = "Accepted publickey for root from 2001:db8::1 port 22022 ssh2: ED25519 SHA256:abc"
            event.module = "sshd"
            event.category = "authentication"
            event.action = "ssh_login"
            event.outcome = "success"
            sshd.method = "publickey"
            sshd.key.type = "ED25519"
            sshd.key.fingerprint = "SHA256:abc"
            user.name = "root"
            src_ip = "2001:db8::1"
            src_port = 22022"#]],
    );
}

#[test]
fn a_user_name_cannot_forge_the_address() {
    let text = show(
        Format::Auto,
        "Nov 22 15:04:05 web1 sshd[1]: Failed password for invalid user x from 10.0.0.1 port 1 ssh2 from 192.0.2.7 port 2 ssh2",
    );
    assert!(text.contains("src_ip = \"192.0.2.7\""), "{text}");
    assert!(text.contains("user.name = \"x from 10.0.0.1 port 1 ssh2\""), "{text}");
}

#[test]
fn sudo_su_pam() {
    check(
        Format::Auto,
        "Nov 22 15:04:05 web1 sudo:    alice : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/bin/cat /etc/shadow ; x",
        &expect![[r#"
            2026-11-22T14:04:05.000000+0000 parsed=true
            log.syslog.hostname = "web1"
            log.syslog.appname = "sudo"
            host.name = "web1"
            process.name = "sudo"
            process.tty.name = "pts/0"
            process.working_directory = "/home/alice"
            process.command_line = "/bin/cat /etc/shadow ; x"
            message = "alice : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/bin/cat /etc/shadow ; x"
            event.module = "sudo"
            event.action = "sudo"
            event.category = "authentication"
            event.outcome = "failure"
            event.reason = "3 incorrect password attempts"
            user.name = "alice"
            user.target.name = "root""#]],
    );
    check(
        Format::Auto,
        "Nov 22 15:04:05 web1 su[9]: FAILED SU (to root) bob on pts/1",
        &expect![[r#"
            2026-11-22T14:04:05.000000+0000 parsed=true
            log.syslog.hostname = "web1"
            log.syslog.appname = "su"
            log.syslog.procid = "9"
            host.name = "web1"
            process.name = "su"
            process.pid = 9
            process.tty.name = "pts/1"
            message = "FAILED SU (to root) bob on pts/1"
            event.module = "su"
            event.action = "su"
            event.category = "authentication"
            event.outcome = "failure"
            user.target.name = "root"
            user.name = "bob""#]],
    );
    check(
        Format::Auto,
        "Nov 22 15:04:05 web1 login[9]: pam_unix(login:auth): authentication failure; logname=LOGIN uid=0 euid=0 tty=/dev/tty1 ruser= rhost=192.0.2.9  user=carol",
        &expect![[r#"
            2026-11-22T14:04:05.000000+0000 parsed=true
            log.syslog.hostname = "web1"
            log.syslog.appname = "login"
            log.syslog.procid = "9"
            host.name = "web1"
            process.name = "login"
            process.pid = 9
            process.tty.name = "/dev/tty1"
            message = "pam_unix(login:auth): authentication failure; logname=LOGIN uid=0 euid=0 tty=/dev/tty1 ruser= rhost=192.0.2.9  user=carol"
            event.module = "pam"
            event.category = "authentication"
            event.action = "pam_authentication"
            event.outcome = "failure"
            pam.module = "unix"
            pam.service = "login"
            src_ip = "192.0.2.9"
            user.name = "carol""#]],
    );
}

#[test]
fn syslog_as_devices_really_write_it() {
    for (line, time) in [
        ("<13>Nov 22 16:04:05 host app: x", "2026-11-22T15:04:05.000000+0000"),
        ("<13>Nov 22 2025 16:04:05 host app: x", "2025-11-22T15:04:05.000000+0000"),
        ("<13>Nov 22 16:04:05 2025 host app: x", "2025-11-22T15:04:05.000000+0000"),
        ("<13>*Nov 22 16:04:05.250: host app: x", "2026-11-22T15:04:05.250000+0000"),
        ("<13>2026-11-22T16:04:05+01:00 host app: x", "2026-11-22T15:04:05.000000+0000"),
        ("<13>Dec 31 23:00:00 host app: x", "2025-12-31T22:00:00.000000+0000"),
        ("<13>Feb 29 12:00:00 host app: x", "2024-02-29T11:00:00.000000+0000"),
    ] {
        let text = show(Format::Syslog, line);
        assert!(text.starts_with(&format!("{time} parsed=true")), "{line}\n{text}");
        assert!(text.contains("message = \"x\""), "{line}\n{text}");
    }
}

#[test]
fn structured_data() {
    check(
        Format::Syslog,
        "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [ex@32473 iut=\"3\" q=\"a \\\"b\\\" \\]\"][two x=\"\"] \u{feff}An event",
        &expect![[r#"
            2003-10-11T22:14:15.003000+0000 parsed=true
            log.syslog.hostname = "mymachine.example.com"
            log.syslog.appname = "evntslog"
            log.syslog.msgid = "ID47"
            log.syslog.structured_data.ex@32473.iut = "3"
            log.syslog.structured_data.ex@32473.q = "a \"b\" ]"
            log.syslog.structured_data.two.x = ""
            log.syslog.facility.code = 20
            log.syslog.severity.code = 5
            log.flags = "header_only"
            host.name = "mymachine.example.com"
            process.name = "evntslog"
            message = "An event""#]],
    );
}

#[test]
fn access_logs() {
    check(
        access(),
        r#"192.0.2.1 - frank [22/Nov/2026:16:04:05 +0100] "GET /a?q=%27 OR 1=1 HTTP/1.1" 200 2326 "http://x/" "curl/8 \"q\" \x41""#,
        &expect![[r#"
            2026-11-22T15:04:05.000000+0000 parsed=true
            event.module = "access"
            event.category = "web"
            src_ip = "192.0.2.1"
            user.name = "frank"
            http.status = 200
            http.length = 2326
            http.http_refer = "http://x/"
            http.http_user_agent = "curl/8 \"q\" A"
            http.http_method = "GET"
            http.url = "/a?q=%27 OR 1=1"
            http.protocol = "HTTP/1.1"
            message = "192.0.2.1 - frank [22/Nov/2026:16:04:05 +0100] \"GET /a?q=%27 OR 1=1 HTTP/1.1\" 200 2326 \"http://x/\" \"curl/8 \\\"q\\\" \\x41\"""#]],
    );
    check(
        access(),
        r#"::1 - - [22/Nov/2026:16:04:05 +0100] "\x16\x03\x01" 400 -"#,
        &expect![[r#"
            2026-11-22T15:04:05.000000+0000 parsed=true
            event.module = "access"
            event.category = "web"
            src_ip = "::1"
            http.status = 400
            http.url = "\u0016\u0003\u0001"
            message = "::1 - - [22/Nov/2026:16:04:05 +0100] \"\\x16\\x03\\x01\" 400 -""#]],
    );
}

#[test]
fn auditd() {
    check(
        Format::Auto,
        "type=EXECVE msg=audit(1795359845.123:77): argc=3 a0=\"sh\" a1=\"-c\" a2=6563686F2068656C6C6F",
        &expect![[r#"
            2026-11-22T15:04:05.123000+0000 parsed=true
            event.module = "auditd"
            event.action = "execve"
            process.command_line = "sh -c echo hello"
            process.args = "sh"
            process.args = "-c"
            process.args = "echo hello"
            auditd.type = "EXECVE"
            auditd.serial = 77
            auditd.argc = "3"
            auditd.a0 = "sh"
            auditd.a1 = "-c"
            auditd.a2 = "echo hello"
            message = "type=EXECVE msg=audit(1795359845.123:77): argc=3 a0=\"sh\" a1=\"-c\" a2=6563686F2068656C6C6F""#]],
    );
    check(
        Format::Auditd,
        "node=web1 type=USER_LOGIN msg=audit(1795359845.5:78): pid=812 uid=0 auid=4294967295 msg='op=login acct=\"root\" exe=\"/usr/sbin/sshd\" hostname=? addr=192.0.2.7 terminal=ssh res=failed'",
        &expect![[r#"
            2026-11-22T15:04:05.500000+0000 parsed=true
            host.name = "web1"
            event.module = "auditd"
            event.outcome = "failure"
            event.action = "user_login"
            process.executable = "/usr/sbin/sshd"
            process.pid = 812
            user.name = "root"
            user.id = "0"
            src_ip = "192.0.2.7"
            auditd.type = "USER_LOGIN"
            auditd.serial = 78
            auditd.pid = "812"
            auditd.uid = "0"
            auditd.auid = "4294967295"
            auditd.op = "login"
            auditd.acct = "root"
            auditd.exe = "/usr/sbin/sshd"
            auditd.hostname = "?"
            auditd.addr = "192.0.2.7"
            auditd.terminal = "ssh"
            auditd.res = "failed"
            message = "node=web1 type=USER_LOGIN msg=audit(1795359845.5:78): pid=812 uid=0 auid=4294967295 msg='op=login acct=\"root\" exe=\"/usr/sbin/sshd\" hostname=? addr=192.0.2.7 terminal=ssh res=failed'""#]],
    );
}

#[test]
fn json() {
    check(
        Format::Auto,
        r#"{"time": 1795359845.5, "msg": "hi", "event_type": "alert", "user": {"name": "x"}}"#,
        &expect![[r#"
            2026-11-22T15:04:05.500000+0000 parsed=true
            time = 1795359845.5
            msg = "hi"
            user.name = "x"
            original_event_type = "alert"
            message = "hi"
            event.module = "json""#]],
    );
}

#[test]
fn what_nobody_understands_is_kept_whole() {
    for (format, line) in [
        (Format::Auto, "no header here"),
        (Format::Json, "{broken"),
        (access(), "GET / HTTP/1.1"),
        (Format::Auditd, "type=X msg=audit(zz:1): a=b"),
        (Format::Syslog, "<999>x"),
        (Format::Auto, "<script>alert(1)</script>"),
    ] {
        let text = show(format, line);
        assert!(text.contains("parsed=false"), "{line}\n{text}");
        assert!(text.contains(&format!("message = {}", Value::from(line))), "{line}\n{text}");
    }
}

#[test]
fn invalid_utf8_is_flagged_and_long_lines_are_cut_to_a_field() {
    let parser = Parser::new(Format::Auto, Zone::utc());
    let (event, parsed) = parser.event(b"\xff\xfe bad", Timestamp::EPOCH);
    assert!(!parsed);
    assert_eq!(event.fields["log"]["flags"], serde_json::json!(["unparsed", "invalid_utf8"]));
    let (event, _) = parser.event("\u{e9}".repeat(100_000).as_bytes(), Timestamp::EPOCH);
    assert!(event.fields["message"].as_str().unwrap().len() <= MAX_FIELD);
}

proptest! {
    #[test]
    fn any_line_gives_an_event(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in [Format::Auto, Format::Json, Format::Syslog, access(), Format::Auditd] {
            let parser = Parser::new(format, Zone::utc());
            let (event, _) = parser.event(&bytes, Timestamp::from_seconds(NOW));
            prop_assert!(event.kind == Kind::Log);
        }
    }

    #[test]
    fn any_tail_behind_a_known_head_gives_an_event(tail in "[ -~]{0,80}", head in prop::sample::select(vec![
        "Nov 22 15:04:05 h sshd[1]: ", "Nov 22 15:04:05 h sudo: ", "<13>1 ", "<13>1 - - - - - [",
        "type=EXECVE msg=audit(1.1:1): ", "1.2.3.4 - - [22/Nov/2026:16:04:05 +0100] \"",
        "Nov 22 15:04:05 h sshd[1]: Failed password for ",
    ])) {
        let line = format!("{head}{tail}");
        for format in [Format::Auto, access(), Format::Auditd] {
            let (event, _) = Parser::new(format, Zone::utc()).event(line.as_bytes(), Timestamp::EPOCH);
            prop_assert!(event.fields.contains_key("message"));
        }
    }
}

#[test]
fn a_json_line_cannot_hide_or_forge_what_the_agent_writes() {
    let dots = format!("{{\"log{}\": 1, \"event\": \"x\"}}", ".".repeat(50_000));
    for line in [
        r#"{"event.original": "harmless", "message": "m"}"#,
        r#"{"event": {"original": "harmless"}}"#,
        r#"{"event": "a text", "event.original": 7}"#,
        r#"{"event.module.x": 1, "event": [1]}"#,
        &dots,
    ] {
        let mut event =
            Parser::new(Format::Auto, Zone::utc()).event(line.as_bytes(), Timestamp::EPOCH).0;
        assert_eq!(
            event::get(&event.fields, "event.original").unwrap(),
            line.get(..MAX_FIELD).unwrap_or(line)
        );
        assert_eq!(event::get(&event.fields, "event.module").unwrap(), "json");
        set(&mut event.fields, "log.source.address", Value::from("192.0.2.1"));
        assert_eq!(event::get(&event.fields, "log.source.address").unwrap(), "192.0.2.1", "{line}");
    }
    for forged in [
        r#"{"log.source.address": "10.0.0.1"}"#,
        r#"{"log.source": {"address": "10.0.0.1"}}"#,
        r#"{"log": {"source.address": "10.0.0.1", "level": "warn"}}"#,
        r#"{"log": {"source": {"address": "10.0.0.1"}}}"#,
    ] {
        let mut event =
            Parser::new(Format::Json, Zone::utc()).event(forged.as_bytes(), Timestamp::EPOCH).0;
        set(&mut event.fields, "log.source.address", Value::from("192.0.2.1"));
        let mut all = Vec::new();
        event::flatten(&event.fields, &mut |name, value| {
            if name == "log.source.address" {
                all.push(value.clone());
            }
        });
        assert_eq!(all, ["192.0.2.1"], "{forged}");
    }
    check(
        Format::Json,
        r#"{"log.level": "warn", "log": {"logger.name": "a"}, "event_type": "x", "@timestamp": "2026-11-22T15:04:05Z", "timestamp": 5}"#,
        &expect![[r#"
            2026-11-22T15:04:05.000000+0000 parsed=true
            log.logger.name = "a"
            log.level = "warn"
            original_event_type = "x"
            original_timestamp = 5
            event.module = "json"
            message = "{\"log.level\": \"warn\", \"log\": {\"logger.name\": \"a\"}, \"event_type\": \"x\", \"@timestamp\": \"2026-11-22T15:04:05Z\", \"timestamp\": 5}""#]],
    );
}

#[test]
fn times_of_json_lines() {
    for (line, time) in [
        (r#"{"ts": 1795359845}"#, "2026-11-22T15:04:05.000000+0000"),
        (r#"{"ts": 1795359845123}"#, "2026-11-22T15:04:05.123000+0000"),
        (r#"{"ts": 1795359845123456}"#, "2026-11-22T15:04:05.123456+0000"),
        (r#"{"time": "2026-11-22T16:04:05+01:00"}"#, "2026-11-22T15:04:05.000000+0000"),
        (
            r#"{"time": "yesterday", "date": "2026-11-22T15:04:05Z"}"#,
            "2026-11-22T15:04:05.000000+0000",
        ),
        (r#"{"time": "yesterday"}"#, "2026-11-22T15:04:05.000000+0000"),
        (r#"{"time": null, "ts": true}"#, "2026-11-22T15:04:05.000000+0000"),
    ] {
        assert!(show(Format::Json, line).starts_with(time), "{line}\n{}", show(Format::Json, line));
    }
}

/// Chosen fields of a line, as `name=value`, in the order asked for; absent ones are left out.
fn fields(format: Format, line: &str, names: &[&str]) -> String {
    let entry = Parser::new(format, Zone::utc()).line(line, Timestamp::from_seconds(NOW));
    let one = |name: &&str| Some(format!("{name}={}", event::get(&entry.fields, name)?));
    names.iter().filter_map(one).collect::<Vec<_>>().join(" ").replace('"', "")
}

const WHO: [&str; 7] = [
    "event.action",
    "event.outcome",
    "user.name",
    "user.target.name",
    "src_ip",
    "src_port",
    "source.domain",
];

#[test]
fn what_sshd_says() {
    for (message, expected) in [
        (
            "Accepted password for alice from 192.0.2.7 port 5 ssh2",
            "event.action=ssh_login event.outcome=success user.name=alice src_ip=192.0.2.7 src_port=5",
        ),
        (
            "Failed none for invalid user  from 192.0.2.7 port 5 ssh2",
            "event.action=ssh_login event.outcome=failure src_ip=192.0.2.7 src_port=5",
        ),
        (
            "Invalid user bob from 192.0.2.7 port 5",
            "event.action=ssh_invalid_user event.outcome=failure user.name=bob src_ip=192.0.2.7 src_port=5",
        ),
        (
            "Invalid user a from b from 192.0.2.7 port 5",
            "event.action=ssh_invalid_user event.outcome=failure user.name=a from b src_ip=192.0.2.7 src_port=5",
        ),
        (
            "Connection closed by authenticating user root 192.0.2.7 port 5 [preauth]",
            "event.action=ssh_disconnect event.outcome=failure user.name=root src_ip=192.0.2.7 src_port=5",
        ),
        (
            "Disconnected from invalid user x 2001:db8::7 port 5 [preauth]",
            "event.action=ssh_disconnect event.outcome=failure user.name=x src_ip=2001:db8::7 src_port=5",
        ),
        (
            "error: maximum authentication attempts exceeded for root from 192.0.2.7 port 5 ssh2 [preauth]",
            "event.action=ssh_max_attempts event.outcome=failure user.name=root src_ip=192.0.2.7 src_port=5",
        ),
        (
            "error: maximum authentication attempts exceeded for invalid user x from 192.0.2.7 port 5 ssh2 [preauth]",
            "event.action=ssh_max_attempts event.outcome=failure user.name=x src_ip=192.0.2.7 src_port=5",
        ),
        (
            "Connection closed by 192.0.2.7 port 5 [preauth]",
            "event.action=ssh_disconnect event.outcome=unknown src_ip=192.0.2.7 src_port=5",
        ),
        (
            "pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0)",
            "event.action=session_opened event.outcome=success user.name=alice",
        ),
        ("Server listening on 0.0.0.0 port 22.", "event.action=service_started"),
        ("Accepted", ""),
        ("Failed password for", ""),
    ] {
        for program in ["sshd[8]", "sshd-session[8]"] {
            let line = format!("Nov 22 15:04:05 h {program}: {message}");
            assert_eq!(fields(Format::Auto, &line, &WHO), expected, "{line}");
        }
        // The same words of another program are not sshd's.
        let other = format!("Nov 22 15:04:05 h myapp[8]: {message}");
        if !message.starts_with("pam_") {
            assert_eq!(fields(Format::Auto, &other, &["event.action", "src_ip"]), "", "{other}");
        }
    }
}

#[test]
fn a_user_name_cannot_forge_the_address_of_a_disconnection() {
    // The name is chosen by the attacker: "x 10.0.0.1 port 9".
    for prefix in [
        "Connection closed by invalid user",
        "Disconnected from authenticating user",
        "Connection reset by authenticating user",
    ] {
        let line = format!(
            "Nov 22 15:04:05 h sshd[8]: {prefix} x 10.0.0.1 port 9 192.0.2.7 port 5 [preauth]"
        );
        let found = fields(Format::Auto, &line, &["user.name", "src_ip", "src_port"]);
        assert_eq!(found, "user.name=x 10.0.0.1 port 9 src_ip=192.0.2.7 src_port=5", "{line}");
    }
}

#[test]
fn what_sudo_su_and_pam_say() {
    for (line, expected) in [
        (
            "sudo: alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls",
            "event.action=sudo event.outcome=success user.name=alice user.target.name=root",
        ),
        (
            "sudo: alice : command not allowed ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            "event.action=sudo event.outcome=failure user.name=alice user.target.name=root",
        ),
        (
            "sudo: alice : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh -c USER=nobody ; x",
            "event.action=sudo event.outcome=failure user.name=alice user.target.name=root",
        ),
        (
            "sudo: pam_unix(sudo:auth): authentication failure; logname=a uid=1 euid=0 tty=/dev/pts/0 ruser=alice rhost=  user=alice",
            "event.action=pam_authentication event.outcome=failure user.name=alice",
        ),
        (
            "su[1]: (to root) alice on pts/0",
            "event.action=su event.outcome=success user.name=alice user.target.name=root",
        ),
        (
            "su: pam_unix(su:session): session closed for user root",
            "event.action=session_closed event.outcome=success user.name=root",
        ),
        (
            "vsftpd: pam_unix(vsftpd:auth): authentication failure; rhost=evil.example user=bob",
            "event.action=pam_authentication event.outcome=failure user.name=bob source.domain=evil.example",
        ),
        ("su[1]: (to root", ""),
        ("sudo: alice", ""),
        ("x: pam_unix(x:auth): something else", "event.action=pam_message"),
    ] {
        assert_eq!(
            fields(Format::Auto, &format!("Nov 22 15:04:05 h {line}"), &WHO),
            expected,
            "{line}"
        );
    }
}
