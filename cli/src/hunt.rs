//! `pikett hunt`: Sigma rules over the events a collector has stored: what would have fired, and when.
//!
//! The rules become one query that finds every event they can match (`sigma::RuleSet::query`); what it finds
//! is evaluated here by the engine that runs live, correlations and exceptions among it. Names of fields,
//! placeholders and exceptions are those of the collector unless it is said otherwise, so that a rule means
//! here what it will mean there. Changes nothing on the collector. Each page of events is asked for after the
//! one before, so memory holds one page and the events that matched.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use api::client::{Client, ClientError};
use clap::Args;
use event::{Engine, Object};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sigma::{Condition, Exceptions, Fired, Hunter, Made, RuleSet};

use crate::remote::{Remote, say};
use crate::terminal::plain;

/// Events of one page.
const PAGE: u64 = 2_000;

/// `pikett hunt`.
#[derive(Debug, Args)]
pub(crate) struct Hunt {
    #[command(flatten)]
    remote: Remote,
    /// File or folder of Sigma rules (repeatable).
    #[arg(long, value_name = "FILE_OR_DIR", required = true)]
    sigma: Vec<PathBuf>,
    /// File or folder of exceptions (repeatable), beside those of the collector.
    #[arg(long, value_name = "FILE_OR_DIR")]
    exceptions: Vec<PathBuf>,
    /// File or folder of names of fields (repeatable), beside those of the collector.
    #[arg(long, value_name = "FILE_OR_DIR")]
    mappings: Vec<PathBuf>,
    /// Values of `%NAME%` in rules with `expand`, in the place of the collector's (repeatable).
    #[arg(long, value_name = "NAME=VALUE,VALUE", value_parser = placeholder)]
    placeholder: Vec<(String, Vec<String>)>,
    /// Without the names of fields, placeholders and exceptions of the collector.
    #[arg(long)]
    alone: bool,
    /// Earliest time: RFC 3339, or relative such as `now-7d`.
    #[arg(long, default_value = "now-24h")]
    from: String,
    /// Latest time.
    #[arg(long, default_value = "now")]
    to: String,
    /// One JSON document on standard output.
    #[arg(long)]
    json: bool,
}

fn placeholder(text: &str) -> Result<(String, Vec<String>), String> {
    let (name, values) = text.split_once('=').ok_or("write NAME=VALUE,VALUE")?;
    let name = name.trim().trim_matches('%');
    if name.is_empty() || values.is_empty() {
        return Err("write NAME=VALUE,VALUE".to_owned());
    }
    Ok((name.to_owned(), values.split(',').map(|value| value.trim().to_owned()).collect()))
}

/// What rules mean on the collector: its configuration, as `GET /api/v1/rules/settings` gives it.
#[derive(Debug, Default, Deserialize)]
struct Settings {
    mappings: Vec<(String, String)>,
    placeholders: BTreeMap<String, Vec<String>>,
    exceptions: Vec<(String, String)>,
    made: Vec<(Engine, String, Vec<Condition>)>,
}

impl Settings {
    fn ask(client: &Client) -> Result<Self> {
        match client.get("/api/v1/rules/settings") {
            Err(ClientError::Refused { code: api::ErrorCode::NotFound, .. }) => bail!(
                "this collector does not tell its names of fields and placeholders; \
                 say --alone to hunt without them"
            ),
            other => Ok(other?),
        }
    }
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    query: &'a str,
    /// Events the query found, all of which were evaluated.
    events: u64,
    /// The collector ran out of time or could not read a part: counts are lower bounds.
    partial: bool,
    /// Events left out of correlations because there were too many.
    uncorrelated: u64,
    rules: &'a [Fired],
}

fn line(fired: &Fired) -> String {
    plain(&format!("{} {} ({}): {}", fired.level, fired.title, fired.rule, fired.words))
}

/// How rules are read: the collector's settings, and what was said here.
fn options(hunt: &Hunt, settings: &Settings) -> Result<sigma::Options> {
    let mut options = sigma::Options::default();
    let own = crate::rules::texts(&hunt.mappings)?;
    // The first name that fits counts: what is said here goes before.
    for (file, text) in own.iter().chain(&settings.mappings) {
        options.mappings.add(text).with_context(|| format!("names of fields of {file}"))?;
    }
    options.placeholders.extend(settings.placeholders.clone());
    options.placeholders.extend(hunt.placeholder.iter().cloned());
    Ok(options)
}

/// The exceptions of files. Of those of the collector, the ones about other rules are left out.
fn exceptions(
    hunt: &Hunt,
    settings: &Settings,
    (rules, options): (&RuleSet, &sigma::Options),
) -> Result<Exceptions> {
    let own = crate::rules::texts(&hunt.exceptions)?;
    let (_, rejected) = Exceptions::load(own.iter().cloned(), rules, options);
    if let Some(one) = rejected.first() {
        bail!("{}: {} {}", one.file, one.id, one.reason);
    }
    let all = own.into_iter().chain(settings.exceptions.iter().cloned());
    Ok(Exceptions::load(all, rules, options).0)
}

/// Runs the hunt; 0 when nothing would have fired, 1 when something would.
pub(crate) fn run(hunt: &Hunt) -> Result<ExitCode> {
    let client = hunt.remote.client()?;
    let settings = if hunt.alone { Settings::default() } else { Settings::ask(&client)? };
    let options = options(hunt, &settings)?;
    let (rules, report) = RuleSet::load(crate::rules::texts(&hunt.sigma)?.into_iter(), &options);
    if let Some(rejected) = report.rejected.first() {
        bail!("{}: {} {}", rejected.file, rejected.id, rejected.reason);
    }
    if let Some(inert) = report.inert.first() {
        bail!("{}: {}; say --placeholder", inert.id, inert.reason);
    }
    if rules.is_empty() {
        bail!("no rule was loaded");
    }
    let written = exceptions(hunt, &settings, (&rules, &options))?;
    let made: Vec<Made> = settings.made;
    let query = rules.query();
    let mut hunter = Hunter::new(&rules, written, made).context("exceptions of the collector")?;
    let (events, partial) = pages(&client, hunt, &query, &mut |document| hunter.event(document))?;
    let (fired, uncorrelated) = hunter.finish();
    let some = fired.iter().any(|one| one.times > 0);
    if hunt.json {
        let answer = Answer { query: &query, events, partial, uncorrelated, rules: &fired };
        say(&serde_json::to_string(&answer)?);
    } else {
        fired.iter().for_each(|one| say(&line(one)));
        say(&plain(&format!("{events} events were evaluated, found by {query}")));
        if partial || uncorrelated > 0 {
            say("this is not all: the collector ran out of time, or there were too many events");
        }
    }
    Ok(if some { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Asks for all events of the query, page by page; tells how many came and whether some may be missing.
fn pages(
    client: &Client,
    hunt: &Hunt,
    query: &str,
    each: &mut dyn FnMut(Object),
) -> Result<(u64, bool)> {
    let mut request = json!({
        "query": query, "from": hunt.from, "to": hunt.to, "limit": PAGE, "budget_ms": 60_000,
    });
    let (mut seen, mut partial) = (0_u64, false);
    let bar = bar();
    loop {
        let mut answer: Value = client.post("/api/v1/search", &request)?;
        let total = answer.get("total").and_then(Value::as_u64).unwrap_or_default();
        let failures = answer.get("failures").and_then(Value::as_array);
        partial |= answer.get("partial").and_then(Value::as_bool).unwrap_or_default()
            || failures.is_some_and(|all| !all.is_empty());
        bar.set_length(total.max(seen));
        let hits = answer.get_mut("hits").and_then(Value::as_array_mut).map(std::mem::take);
        for mut hit in hits.context("an answer without hits")? {
            if let Some(Value::Object(document)) = hit.get_mut("document").map(Value::take) {
                seen += 1;
                each(document);
            }
        }
        bar.set_position(seen);
        match answer.get("next") {
            Some(next) if !next.is_null() => {
                if let Some(request) = request.as_object_mut() {
                    request.insert("after".to_owned(), next.clone());
                }
            }
            _ => break,
        }
    }
    bar.finish_and_clear();
    Ok((seen, partial))
}

/// A bar on a terminal, else nothing.
fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} events, {eta} left") {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_names_and_values() {
        let values = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            placeholder("%admins%=root, toor"),
            Ok(("admins".to_owned(), values(&["root", "toor"])))
        );
        assert_eq!(placeholder("a=b=c"), Ok(("a".to_owned(), values(&["b=c"]))));
        for wrong in ["", "a", "=b", "a=", "%%=x"] {
            assert_eq!(placeholder(wrong), Err("write NAME=VALUE,VALUE".to_owned()), "{wrong}");
        }
    }

    #[test]
    fn the_settings_of_a_collector_and_what_is_said_here_are_put_together() {
        #[derive(clap::Parser)]
        struct Command {
            #[command(flatten)]
            hunt: Hunt,
        }
        let folder = tempfile::tempdir().unwrap();
        let exception = |id: &str, rule: &str| {
            format!(
                "title: t\nid: {id}\nrules: [{rule}]\nreason: r\nauthor: a\nexpires: 2030-01-01\n\
                 detection:\n  s:\n    user.name: x\n  condition: s\n"
            )
        };
        let file = folder.path().join("own.yml");
        std::fs::write(&file, exception("own", "known")).unwrap();
        let command = <Command as clap::Parser>::try_parse_from([
            "hunt",
            "--url",
            "https://x",
            "--token-file",
            "t",
            "--authority",
            "a",
            "--sigma",
            "r.yml",
            "--placeholder",
            "admins=root",
            "--exceptions",
            file.to_str().unwrap(),
        ]);
        let hunt = command.unwrap_or_else(|error| panic!("{error}")).hunt;
        let settings: Settings = serde_json::from_value(json!({
            "mappings": [["m.yml", "- logsource: {product: linux}\n  fields: {Own: [user.name]}\n"]],
            "placeholders": {"admins": ["other"], "hosts": ["web"]},
            "exceptions": [["c.yml", exception("theirs", "known") + "---\n" + &exception("gone", "unknown")]],
            "made": [["sigma", "known", [{"field": "user.name", "values": ["x"]}]]],
        }))
        .unwrap();
        let options = options(&hunt, &settings).unwrap();
        assert_eq!(options.placeholders["admins"], ["root"]);
        assert_eq!(options.placeholders["hosts"], ["web"]);
        let rule = "title: t\nid: known\nlogsource: {product: linux}\ndetection:\n  s:\n    Own|expand: '%admins%'\n  condition: s\n";
        let (rules, report) = RuleSet::load(std::iter::once(("r.yml", rule)), &options);
        assert_eq!((report.accepted, report.inert.len()), (1, 0));
        let all = exceptions(&hunt, &settings, (&rules, &options)).unwrap();
        let ids: Vec<&str> = all.iter().map(|(one, _)| one.id.as_str()).collect();
        assert_eq!(ids, ["own", "theirs"], "those of the collector about other rules are left out");
        std::fs::write(&file, exception("own", "unknown")).unwrap();
        let refused = exceptions(&hunt, &settings, (&rules, &options)).unwrap_err().to_string();
        assert!(refused.contains("\"unknown\", which is not loaded"), "{refused}");
    }
}
