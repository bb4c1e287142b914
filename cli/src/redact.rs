//! `pikett redact`: takes events, or fields of them, out of what a collector has stored, for good.
//!
//! Shows first what it would take; takes it when that is confirmed, and follows the work to its tombstone.
//! Only administrators may, as persons: it signs in with name and password and ends the session, whatever
//! happens. The collector judges and does everything else.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use api::RedactionAsked;
use api::client::{Client, ClientError};
use clap::{Args, Subcommand};
use indicatif::{BinaryBytes, ProgressBar, ProgressStyle};
use serde_json::Value;
use service::Secret;

use crate::remote::{encode, say, summary};
use crate::terminal::plain;

/// Time between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(500);
/// Looks in a row at which the collector may not answer.
const PATIENCE: u32 = 20;
/// Longest line that confirms something, bytes.
const MAX_LINE: u64 = 1024;

/// `pikett redact ...`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Redact {
    #[command(subcommand)]
    command: Option<Listing>,
    #[command(flatten)]
    person: Person,
    /// What finds the events, at most 1,000: a query without stages, such as `event.id:"web1/1/52"`.
    query: Option<String>,
    /// Earliest time: RFC 3339, or relative such as `now-1h`; everything when absent.
    #[arg(long)]
    from: Option<String>,
    /// Latest time, exclusive.
    #[arg(long)]
    to: Option<String>,
    /// Field that is taken out of the events, which stay (repeatable); the events go whole when absent.
    #[arg(long = "field", value_name = "NAME")]
    fields: Vec<String>,
    /// Why, 10 to 1,000 characters; it stays in the tombstone.
    #[arg(long)]
    reason: Option<String>,
    /// Only show what it would take, and the word that confirms it.
    #[arg(long, conflicts_with = "confirm")]
    dry_run: bool,
    /// The word that a dry run has shown: takes just that, without asking.
    #[arg(long, value_name = "WORD")]
    confirm: Option<String>,
    /// JSON.
    #[arg(long)]
    json: bool,
}

/// What was redacted.
#[derive(Debug, Subcommand)]
enum Listing {
    /// List redactions, the newest last, and those that are not done yet.
    List {
        /// JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one redaction: how far it is, or its tombstone.
    Show {
        /// Identity of the redaction.
        id: String,
        /// JSON.
        #[arg(long)]
        json: bool,
    },
}

/// An administrator, and where the collector is.
#[derive(Debug, Args)]
struct Person {
    /// Address, `https://HOST:PORT`.
    #[arg(long, env = "PIKETT_URL", global = true)]
    url: Option<String>,
    /// Certificate of the collector's authority, PEM.
    #[arg(long, env = "PIKETT_AUTHORITY", global = true)]
    authority: Option<PathBuf>,
    /// Name of an administrator: redaction is for people, not for tokens.
    #[arg(long, env = "PIKETT_USER", global = true)]
    user: Option<String>,
    /// File with the password; asked for at the terminal when absent.
    #[arg(long, env = "PIKETT_PASSWORD_FILE", global = true)]
    password_file: Option<PathBuf>,
}

fn needed<'a, T>(value: Option<&'a T>, what: &str) -> Result<&'a T> {
    value.with_context(|| format!("say {what}"))
}

impl Person {
    fn password(&self, user: &str) -> Result<Secret> {
        if let Some(path) = &self.password_file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            return Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()));
        }
        if !std::io::stdin().is_terminal() {
            bail!("there is no terminal to ask for the password: give --password-file");
        }
        ask(&format!("Password of {user}: "));
        Ok(Secret::new(console::Term::stderr().read_secure_line()?))
    }

    fn sign_in(&self) -> Result<Client> {
        let url = needed(self.url.as_ref(), "where the collector is: --url or PIKETT_URL")?;
        let authority = needed(
            self.authority.as_ref(),
            "which authority its certificate has: --authority or PIKETT_AUTHORITY",
        )?;
        let user = needed(self.user.as_ref(), "who you are: --user or PIKETT_USER")?;
        let authority = std::fs::read_to_string(authority)
            .with_context(|| format!("cannot read {}", authority.display()))?;
        Ok(Client::sign_in(url, &authority, (user, &self.password(user)?))?)
    }
}

#[expect(clippy::print_stderr, reason = "questions do not belong to the answer")]
fn ask(words: &str) {
    eprint!("{}", plain(words));
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("")
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// What goes of the events, in words.
fn extent(value: &Value) -> String {
    let names: Vec<&str> = list(value, "fields").iter().filter_map(Value::as_str).collect();
    if names.is_empty() {
        return "whole".to_owned();
    }
    format!("only the fields {}", names.join(", "))
}

fn events(count: u64) -> String {
    if count == 1 { "1 event".to_owned() } else { format!("{count} events") }
}

/// What a redaction would take, as lines.
fn preview(shown: &Value) -> Vec<String> {
    let count = number(shown, "events");
    let mut out = vec![format!("It would take {}, {}:", events(count), extent(shown))];
    let examples = list(shown, "shown");
    for one in examples {
        let line = one.get("document").and_then(Value::as_object).map(summary).unwrap_or_default();
        out.push(format!("  {} {line}", text(one, "id")));
    }
    let more = count.saturating_sub(examples.len() as u64);
    if more > 0 {
        out.push(format!("  and {more} more"));
    }
    out.push("Partitions that are written anew under new keys:".to_owned());
    for one in list(shown, "partitions") {
        let (name, held) = (text(one, "partition"), events(number(one, "events")));
        out.push(format!("  {name}: {held}, {}", BinaryBytes(number(one, "bytes"))));
    }
    out.iter().map(|line| plain(line)).collect()
}

/// A tombstone, as lines.
fn tombstone(stone: &Value) -> Vec<String> {
    let gone = list(stone, "events");
    let mut out = vec![
        format!("redaction {}", text(stone, "id")),
        format!("  {} by {}: {}", when(stone), text(stone, "who"), text(stone, "reason")),
        format!("  gone: {}, {}", events(gone.len() as u64), extent(stone)),
    ];
    for one in gone {
        out.push(format!("    {} of {}", text(one, "event"), at(number(one, "time"))));
    }
    let partitions = stone.get("partitions").and_then(Value::as_object);
    for (name, part) in partitions.into_iter().flatten() {
        let after = part.get("after").filter(|after| !after.is_null());
        let how = if after.is_some() { "written anew" } else { "gone meanwhile, with its key" };
        out.push(format!("  partition {name}: {how}"));
    }
    let proof = stone.get("proof").map_or("", |proof| text(proof, "signature"));
    if !proof.is_empty() {
        out.push(format!("  signature {proof}"));
    }
    out.iter().map(|line| plain(line)).collect()
}

fn at(micros: u64) -> String {
    event::Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX)).to_string()
}

/// When it was ordered: not every answer has it in words.
fn when(value: &Value) -> String {
    match text(value, "when") {
        "" => at(number(value, "time")),
        words => words.to_owned(),
    }
}

/// One that is not done yet, as a line.
fn under_way(pending: &Value) -> String {
    plain(&format!(
        "{} {} by {}: {}, {}; {} of {} partitions are written anew: {}",
        text(pending, "id"),
        when(pending),
        text(pending, "who"),
        events(number(pending, "events")),
        extent(pending),
        number(pending, "rewritten"),
        number(pending, "partitions"),
        text(pending, "reason"),
    ))
}

/// All redactions, as lines.
fn listed(answer: &Value) -> Vec<String> {
    let done = list(answer, "redactions").iter().map(|stone| {
        plain(&format!(
            "{} {} by {}: {}, {}: {}",
            text(stone, "id"),
            when(stone),
            text(stone, "who"),
            events(list(stone, "events").len() as u64),
            extent(stone),
            text(stone, "reason"),
        ))
    });
    let pending =
        list(answer, "pending").iter().map(|one| format!("under way: {}", under_way(one)));
    done.chain(pending).collect()
}

/// What is to be typed to take what was shown.
fn phrase(shown: &Value) -> String {
    format!("redact {}", events(number(shown, "events")))
}

/// Whether a person at the terminal confirms what was shown.
fn confirmed(shown: &Value) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        let word = text(shown, "confirm");
        bail!("nothing was taken: there is no terminal to confirm it at; give --confirm {word}");
    }
    let phrase = phrase(shown);
    ask(&format!("This cannot be undone. Type \"{phrase}\" to take them: "));
    let mut line = String::new();
    std::io::Read::take(std::io::stdin().lock(), MAX_LINE).read_line(&mut line)?;
    Ok(line.trim() == phrase)
}

fn bar(partitions: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(partitions);
    let style =
        ProgressStyle::with_template("{bar:40} {pos}/{len} partitions written anew {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Waits for the end of one that is begun; gives its tombstone.
fn follow(client: &Client, begun: &Value) -> Result<Value> {
    let (id, mut silent) = (text(begun, "id").to_owned(), 0_u32);
    let bar = bar(number(begun, "partitions"));
    loop {
        match client.get::<Value>(&format!("/api/v1/redactions/{}", encode(&id))) {
            Ok(mut found) => {
                silent = 0;
                if let Some(stone) = found.get_mut("redaction") {
                    bar.finish_and_clear();
                    return Ok(stone.take());
                }
                bar.set_position(found.get("pending").map_or(0, |one| number(one, "rewritten")));
            }
            Err(ClientError::Unreachable { .. }) if silent < PATIENCE => {
                silent = silent.saturating_add(1);
            }
            Err(error) => {
                bar.finish_and_clear();
                let words = format!(
                    "redaction {id} is begun and goes on by itself; see `pikett redact show {id}`"
                );
                return Err(anyhow::Error::from(error).context(words));
            }
        }
        std::thread::sleep(LOOK);
    }
}

fn take(client: &Client, options: &Redact, asked: RedactionAsked) -> Result<ExitCode> {
    let path = "/api/v1/redactions";
    let confirm = match &options.confirm {
        Some(word) => word.clone(),
        None => {
            let shown: Value = client.post(path, &asked)?;
            if options.dry_run && options.json {
                say(&shown.to_string());
                return Ok(ExitCode::SUCCESS);
            }
            preview(&shown).iter().for_each(|line| say(line));
            if options.dry_run {
                say(&plain(&format!(
                    "Nothing was taken. --confirm {} takes it.",
                    text(&shown, "confirm")
                )));
                return Ok(ExitCode::SUCCESS);
            }
            if !confirmed(&shown)? {
                say("Nothing was taken.");
                return Ok(ExitCode::FAILURE);
            }
            text(&shown, "confirm").to_owned()
        }
    };
    let asked = RedactionAsked { confirm: Some(confirm), wait: false, ..asked };
    let mut answer: Value = client.post(path, &asked)?;
    let id = match (answer.get("pending"), answer.get("redaction")) {
        (Some(begun), _) => return told(options.json, &follow(client, begun)?),
        (None, Some(done)) => text(done, "id").to_owned(),
        (None, None) => bail!("the collector did not say what became of it"),
    };
    // It was over at once; the tombstone with its signature is with the list.
    answer = client.get(&format!("{path}/{}", encode(&id)))?;
    told(options.json, answer.get("redaction").unwrap_or(&Value::Null))
}

fn told(json: bool, stone: &Value) -> Result<ExitCode> {
    let lines = if json { vec![stone.to_string()] } else { tombstone(stone) };
    lines.iter().for_each(|line| say(line));
    Ok(ExitCode::SUCCESS)
}

fn work(client: &Client, options: &Redact) -> Result<ExitCode> {
    match &options.command {
        Some(Listing::List { json }) => {
            let answer: Value = client.get("/api/v1/redactions")?;
            let lines = if *json { vec![answer.to_string()] } else { listed(&answer) };
            lines.iter().for_each(|line| say(line));
            Ok(ExitCode::SUCCESS)
        }
        Some(Listing::Show { id, json }) => {
            let answer: Value = client.get(&format!("/api/v1/redactions/{}", encode(id)))?;
            let lines = match (answer.get("redaction"), answer.get("pending")) {
                _ if *json => vec![answer.to_string()],
                (Some(stone), _) => tombstone(stone),
                (None, pending) => vec![under_way(pending.unwrap_or(&Value::Null))],
            };
            lines.iter().for_each(|line| say(line));
            Ok(ExitCode::SUCCESS)
        }
        None => take(client, options, asked(options)?),
    }
}

/// What is asked of the collector.
fn asked(options: &Redact) -> Result<RedactionAsked> {
    let query = needed(options.query.as_ref(), "which events: a query")?.clone();
    let reason = needed(options.reason.as_ref(), "why: --reason")?.clone();
    let (from, to, fields) = (options.from.clone(), options.to.clone(), options.fields.clone());
    Ok(RedactionAsked { query, from, to, fields, reason, confirm: None, wait: true })
}

pub(crate) fn run(options: &Redact) -> Result<ExitCode> {
    if options.command.is_none() {
        // Before anybody is asked for a password.
        asked(options)?;
    }
    let client = options.person.sign_in()?;
    let done = work(&client, options);
    if let Err(error) = client.sign_out() {
        ask(&format!("the session was not ended: {error}\n"));
    }
    done
}

#[cfg(test)]
#[path = "redact_tests.rs"]
mod tests;
