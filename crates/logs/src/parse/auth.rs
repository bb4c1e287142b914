//! What sshd, sudo, su and PAM say: who tried to become whom, from where, and whether they could.
//!
//! Works on the message of a syslog record whose program is already known. Fields: `event.action`,
//! `event.outcome`, `event.category`, `user.name`, `user.target.name`, `src_ip`, `src_port`,
//! `process.command_line`.

use super::Entry;

/// Adds the fields of authentication to a record that tells of one.
pub(super) fn enrich(entry: &mut Entry) {
    let text = |name: &str, entry: &Entry| {
        event::get(&entry.fields, name).and_then(|value| value.as_str()).map(str::to_owned)
    };
    let (Some(app), Some(message)) = (text("process.name", entry), text("message", entry)) else {
        return;
    };
    let known = match app.rsplit('/').next().unwrap_or(&app) {
        "sshd" | "sshd-session" | "sshd-auth" => sshd(&message, entry),
        "sudo" => sudo(&message, entry) || pam(&message, entry),
        "su" => su(&message, entry) || pam(&message, entry),
        _ => pam(&message, entry),
    };
    if known {
        let module = if app.starts_with("sshd") { "sshd" } else { app.as_str() };
        entry.text("event.module", module);
        entry.text("event.category", "authentication");
    }
}

fn outcome(entry: &mut Entry, action: &str, outcome: &str) -> bool {
    entry.text("event.action", action);
    entry.text("event.outcome", outcome);
    true
}

/// `METHOD for [invalid user] USER from ADDRESS port PORT ...`
fn who_from_where(text: &str, entry: &mut Entry) -> Option<()> {
    let (method, rest) = text.split_once(" for ")?;
    // The user is chosen by the attacker and may hold " from ": the last one separates.
    let (user, origin) = rest.rsplit_once(" from ")?;
    let invalid = user.starts_with("invalid user ");
    let user = user.strip_prefix("invalid user ").unwrap_or(user);
    entry.text("sshd.method", method);
    entry.text("user.name", user);
    if invalid {
        entry.text("sshd.invalid_user", "true");
    }
    origin_of(origin, entry)
}

/// `ADDRESS port PORT ...`
fn origin_of(text: &str, entry: &mut Entry) -> Option<()> {
    let mut words = text.split(' ');
    entry.address("src_ip", words.next()?);
    while let Some(word) = words.next() {
        if word == "port" {
            entry.number("src_port", words.next()?.trim_end_matches(':'));
        }
    }
    Some(())
}

/// `USER ADDRESS port PORT ...`: the user is chosen by the attacker and may look like an address
/// and a port, so the last ones count.
fn user_and_origin(text: &str) -> Option<(&str, &str)> {
    let (head, _) = text.rsplit_once(" port ")?;
    let (user, _) = head.rsplit_once(' ')?;
    Some((user, text.get(user.len().checked_add(1)?..)?))
}

fn sshd(message: &str, entry: &mut Entry) -> bool {
    if let Some(rest) = message.strip_prefix("Accepted ") {
        return who_from_where(rest, entry).is_some() && outcome(entry, "ssh_login", "success");
    }
    if let Some(rest) = message.strip_prefix("Failed ") {
        return who_from_where(rest, entry).is_some() && outcome(entry, "ssh_login", "failure");
    }
    for prefix in [
        "Invalid user ",
        "Connection closed by authenticating user ",
        "Disconnected from authenticating user ",
        "Connection reset by authenticating user ",
        "Connection closed by invalid user ",
        "Disconnected from invalid user ",
    ] {
        let Some(rest) = message.strip_prefix(prefix) else { continue };
        let split = if prefix.starts_with("Invalid") {
            rest.rsplit_once(" from ")
        } else {
            user_and_origin(rest)
        };
        let Some((user, origin)) = split else { return false };
        entry.text("user.name", user);
        let action =
            if prefix.starts_with("Invalid") { "ssh_invalid_user" } else { "ssh_disconnect" };
        return origin_of(origin, entry).is_some() && outcome(entry, action, "failure");
    }
    if let Some((_, rest)) = message.split_once("maximum authentication attempts exceeded for ") {
        let found = who_from_where(&format!("x for {rest}"), entry).is_some();
        return found && outcome(entry, "ssh_max_attempts", "failure");
    }
    if let Some(rest) = message.strip_prefix("Connection closed by ") {
        return origin_of(rest, entry).is_some() && outcome(entry, "ssh_disconnect", "unknown");
    }
    pam(message, entry)
}

/// `user : [problem ;] TTY=.. ; PWD=.. ; USER=.. ; COMMAND=..`
fn sudo(message: &str, entry: &mut Entry) -> bool {
    let Some((user, rest)) = message.split_once(" : ") else { return false };
    // COMMAND is last and may hold " ; " itself.
    let (head, command) = rest.split_once("COMMAND=").unwrap_or((rest, ""));
    if command.is_empty() && !head.contains("incorrect password") {
        return false;
    }
    entry.text("user.name", user.trim());
    entry.text("process.command_line", command);
    let mut problem = "";
    for part in head.split(" ; ").map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("USER", target)) => entry.text("user.target.name", target.trim_end_matches(" ;")),
            Some(("PWD", folder)) => entry.text("process.working_directory", folder),
            Some(("TTY", terminal)) => entry.text("process.tty.name", terminal),
            Some(_) => {}
            None => problem = part,
        }
    }
    entry.text("event.reason", problem);
    outcome(entry, "sudo", if problem.is_empty() { "success" } else { "failure" })
}

/// `(to TARGET) USER on TTY` or `FAILED SU (to TARGET) USER on TTY`
fn su(message: &str, entry: &mut Entry) -> bool {
    let failed = message.starts_with("FAILED SU");
    let rest = message.strip_prefix("FAILED SU ").unwrap_or(message);
    let parsed = rest.strip_prefix("(to ").and_then(|rest| {
        let (target, rest) = rest.split_once(") ")?;
        let (user, _) = rest.split_once(" on ")?;
        Some((target, user))
    });
    let Some((target, user)) = parsed else { return false };
    entry.text("user.name", user);
    entry.text("user.target.name", target);
    outcome(entry, "su", if failed { "failure" } else { "success" })
}

/// `pam_unix(service:type): ...`
fn pam(message: &str, entry: &mut Entry) -> bool {
    let Some((head, rest)) = message.split_once("): ") else { return false };
    if !head.starts_with("pam_") {
        return false;
    }
    if rest.starts_with("authentication failure") {
        for word in rest.split([' ', ';']) {
            match word.split_once('=') {
                Some(("user", user)) => entry.text("user.name", user),
                Some(("rhost", host)) if !entry.address("src_ip", host) => {
                    entry.text("source.domain", host);
                }
                _ => {}
            }
        }
        return outcome(entry, "pam_authentication", "failure");
    }
    for (words, action) in [
        ("session opened for user ", "session_opened"),
        ("session closed for user ", "session_closed"),
    ] {
        if let Some(rest) = rest.strip_prefix(words) {
            let user = rest.split([' ', '(']).next().unwrap_or(rest);
            entry.text("user.name", user);
            return outcome(entry, action, "success");
        }
    }
    false
}
