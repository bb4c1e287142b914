//! Commands that ask a collector: tail, alerts; and what all such commands share.
//!
//! Address, token and authority come from options or the environment (`PIKETT_URL`,
//! `PIKETT_TOKEN_FILE`, `PIKETT_AUTHORITY`). Whatever an attacker wrote is printed without control
//! characters.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use api::client::{Client, ClientError};
use clap::{Args, Subcommand};
use event::Object;
use serde_json::{Value, json};
use service::Secret;

use crate::terminal::plain;

/// Where the collector is.
#[derive(Debug, Args)]
pub(crate) struct Remote {
    /// Address, `https://HOST:PORT`.
    #[arg(long, env = "PIKETT_URL")]
    url: String,
    /// File with a token of scope `read` (and `respond` for alerts).
    #[arg(long, env = "PIKETT_TOKEN_FILE")]
    token_file: PathBuf,
    /// Certificate of the collector's authority, PEM.
    #[arg(long, env = "PIKETT_AUTHORITY")]
    authority: PathBuf,
}

impl Remote {
    pub(crate) fn client(&self) -> Result<Client> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let token = Secret::new(read(&self.token_file)?.trim().to_owned());
        Ok(Client::new(&self.url, &read(&self.authority)?, token)?)
    }
}

/// `pikett tail`.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    remote: Remote,
    /// Query; everything when absent.
    #[arg(default_value = "*")]
    query: String,
    /// One JSON document a line.
    #[arg(long)]
    json: bool,
}

/// `pikett alerts ...`.
#[derive(Debug, Subcommand)]
pub(crate) enum Alerts {
    /// List alerts.
    List {
        #[command(flatten)]
        remote: Remote,
        /// `open`, `acknowledged`, `closed`, `live` or `all`.
        #[arg(long, default_value = "live")]
        status: String,
        /// JSON.
        #[arg(long)]
        json: bool,
    },
    /// Acknowledge, close or reopen one alert.
    Act {
        #[command(flatten)]
        remote: Remote,
        /// Identity of the alert.
        id: String,
        /// `acknowledge`, `close` or `reopen`.
        action: String,
        /// With `close`: `true_positive`, `benign` or `false_positive`.
        #[arg(long)]
        verdict: Option<String>,
        /// Remark for the history.
        #[arg(long, default_value = "")]
        note: String,
    },
}

/// The exit code of an error: 3 when the collector does not answer, 2 for everything else.
pub(crate) fn code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Unreachable { .. }) => 3,
        _ => 2,
    }
}

#[expect(clippy::print_stdout, reason = "a command answers on standard output")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

pub(crate) fn field<'a>(document: &'a Object, name: &str) -> &'a str {
    event::get(document, name).and_then(Value::as_str).unwrap_or("")
}

/// One event on one line.
pub(crate) fn summary(document: &Object) -> String {
    let mut out = format!(
        "{} {:8} {:15}",
        field(document, "timestamp"),
        field(document, "event_type"),
        field(document, "host.name")
    );
    for name in [
        "src_ip",
        "dest_ip",
        "user.name",
        "dns.rrname",
        "http.hostname",
        "http.url",
        "tls.sni",
        "alert.signature",
        "message",
    ] {
        let value = field(document, name);
        if !value.is_empty() {
            let shown: String = value.chars().take(160).collect();
            // Writing to a string cannot fail.
            let _infallible = write!(out, " {name}={shown}");
        }
    }
    plain(&out)
}

/// Percent-encodes a query for a URL (RFC 3986 section 2.1).
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

pub(crate) fn tail(options: &Tail) -> Result<ExitCode> {
    let path = format!("/api/v1/tail?query={}", encode(&options.query));
    options.remote.client()?.stream(&path, &mut |data| {
        match serde_json::from_str::<Value>(data) {
            Ok(Value::Object(document)) if !options.json => say(&summary(&document)),
            Ok(Value::Number(lost)) => say(&format!("({lost} events were too fast to show)")),
            _ if options.json => say(data),
            _ => say(&plain(data)),
        }
        true
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn alerts(command: &Alerts) -> Result<ExitCode> {
    match command {
        Alerts::List { remote, status, json } => {
            let path = format!("/api/v1/alerts?limit=1000&status={}", encode(status));
            let answer: Value = remote.client()?.get(&path)?;
            if *json {
                say(&answer.to_string());
                return Ok(ExitCode::SUCCESS);
            }
            let alerts = answer.get("alerts").and_then(Value::as_array);
            for alert in alerts.into_iter().flatten() {
                let Value::Object(alert) = alert else { continue };
                let count = alert.get("count").and_then(Value::as_u64).unwrap_or(0);
                say(&plain(&format!(
                    "{} {:13} {:12} x{count:<6} {} ({})",
                    field(alert, "id"),
                    field(alert, "severity"),
                    field(alert, "status"),
                    field(alert, "title"),
                    field(alert, "entity.value"),
                )));
            }
            Ok(ExitCode::SUCCESS)
        }
        Alerts::Act { remote, id, action, verdict, note } => {
            let body = json!({ "action": action, "verdict": verdict, "note": note });
            let path = format!("/api/v1/alerts/{}/action", encode(id));
            let _: Value = remote.client()?.post(&path, &body)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_cannot_move_the_cursor() {
        let Value::Object(document) = json!({
            "timestamp": "t", "event_type": "log", "message": "a\u{1b}[2J\r\nb\u{7}",
        }) else {
            panic!("an object")
        };
        let line = summary(&document);
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(line.contains("message=a\u{fffd}[2J"), "{line}");
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(encode("a:\"b c\"&d=é"), "a%3A%22b%20c%22%26d%3D%C3%A9");
    }

    #[test]
    fn an_absent_collector_is_exit_code_3() {
        let error = anyhow::Error::from(ClientError::Unreachable {
            url: "https://x".into(),
            reason: "refused".into(),
        });
        assert_eq!((code(&error), code(&anyhow::anyhow!("usage"))), (3, 2));
    }
}
