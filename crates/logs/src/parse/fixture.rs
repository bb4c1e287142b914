//! Fixtures of parsers: lines and what they must become. `NAME.toml` holds those of the parser NAME.
//!
//! Read by the tests of this crate and by `pikett parsers test`; files come in as text.

use std::sync::Arc;

use event::{Event, Timestamp};
use rust_embed::RustEmbed;
use schemars::JsonSchema;
use serde::Deserialize;
use service::config::{self, ConfigError};

use super::{Entry, Library, Parser, Zone};
use crate::config::Format;

/// Time of reading of all fixtures: 2026-11-22T15:04:05Z.
const NOW: Timestamp = Timestamp::from_seconds(1_795_359_845);

#[derive(RustEmbed)]
#[folder = "../../rules/fixtures/parsers"]
struct BuiltIn;

/// Name and text of the files of the built-in parsers.
#[must_use]
pub fn built_in() -> Vec<(String, String)> {
    let file = |name: std::borrow::Cow<'static, str>| {
        let text = String::from_utf8_lossy(&BuiltIn::get(&name)?.data).into_owned();
        Some((name.into_owned(), text))
    };
    BuiltIn::iter().filter_map(file).collect()
}

/// A file of fixtures.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fixtures {
    /// Format of all lines; `auto` when absent.
    pub format: Option<String>,
    /// The cases.
    pub case: Vec<Case>,
}

/// One line and what it must become.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// Format, when it is another than that of the file.
    pub format: Option<String>,
    /// Zone of times without one; UTC when absent.
    pub zone: Option<String>,
    /// Lines before it that name the columns, for formats of which files do so.
    pub head: Option<String>,
    /// The line.
    pub line: String,
    /// Its fields, sorted, `name = value` with the value as JSON; without the header of syslog, `message` and
    /// `event.original`.
    pub gives: String,
}

/// What became of a case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The case.
    pub case: Case,
    /// What its line became, in the form of [`Case::gives`].
    pub found: String,
    /// Parser that understood it, and the number of the pattern.
    pub by: Option<(String, Option<usize>)>,
    /// The event it became.
    pub event: Event,
}

impl Outcome {
    /// Whether it is what it must be.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.found.trim() == self.case.gives.trim()
    }
}

/// Runs all cases of a file; `name` is used in errors.
///
/// # Errors
/// [`ConfigError`] when it is no file of fixtures or names a format or zone that is not known.
pub fn run(library: &Arc<Library>, name: &str, text: &str) -> Result<Vec<Outcome>, ConfigError> {
    let file: Fixtures = config::parse(name, text)?;
    let mut problems = Vec::new();
    let mut outcomes = Vec::new();
    for (number, case) in file.case.into_iter().enumerate() {
        let format = case.format.as_deref().or(file.format.as_deref()).unwrap_or("auto");
        let zone = case.zone.as_deref().map_or_else(|| Some(Zone::utc()), Zone::named);
        let parser = match (Format::named(format), zone) {
            (Some(format), Some(zone)) => {
                Parser::with(library, &format, zone).map_err(|error| error.to_string())
            }
            (None, _) => Err(format!("{format:?} is no format")),
            (_, None) => Err("the zone is not known".to_owned()),
        };
        match parser {
            Ok(parser) => outcomes.push(one(library, &parser, case)),
            Err(message) => {
                let at = number.to_string();
                let line = config::line_of_key(text, &["case", &at]);
                problems.push(config::Problem { line, key: format!("case.{at}"), message });
            }
        }
    }
    if problems.is_empty() {
        Ok(outcomes)
    } else {
        Err(ConfigError::Invalid { name: name.to_owned(), problems })
    }
}

fn one(library: &Library, parser: &Parser, case: Case) -> Outcome {
    let of_file = case.head.as_deref().map(|head| parser.of_file(head.as_bytes()));
    let entry = of_file.as_ref().unwrap_or(parser).line(&case.line, NOW);
    let by = entry.by.and_then(|by| Some((library.name(by.parser)?.to_owned(), by.pattern)));
    let found = show(&entry);
    let Entry { time, fields, kind, .. } = entry;
    Outcome { found, by, case, event: Event { seq: 0, time, seen: NOW, kind, fields } }
}

/// The fields of an entry, in the form of [`Case::gives`].
#[must_use]
pub fn show(entry: &Entry) -> String {
    let mut lines = Vec::new();
    event::flatten(&entry.fields, &mut |name, value| {
        let noise = name == "message" || name == "event.original";
        if !noise && !name.starts_with("log.syslog.") {
            lines.push(format!("{name} = {value}"));
        }
    });
    lines.sort();
    if entry.time != NOW {
        lines.insert(0, format!("time = {}", entry.time));
    }
    lines.join("\n")
}

/// The text of a file with every case as it was found; its first comment stays.
#[must_use]
pub fn accept(text: &str, outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    for line in text.lines().take_while(|line| !line.starts_with("[[")) {
        out.push_str(line);
        out.push('\n');
    }
    for outcome in outcomes {
        let case = &outcome.case;
        let text = |text: &str| Some(quoted(text)).filter(|_| !text.is_empty());
        let keys = [
            ("name", text(&case.name)),
            ("format", case.format.as_deref().map(quoted)),
            ("zone", case.zone.as_deref().map(quoted)),
            ("head", case.head.as_deref().map(quoted)),
            ("line", Some(quoted(&case.line))),
            ("gives", Some(block(&outcome.found))),
        ];
        out.push_str("[[case]]\n");
        for (key, value) in keys {
            out.extend(value.map(|value| format!("{key} = {value}\n")));
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// A text of TOML in the form that is easiest to read.
fn quoted(text: &str) -> String {
    let plain = |c: char| !c.is_control();
    if text.chars().all(plain) && !text.contains('\'') {
        return format!("'{text}'");
    }
    if text.chars().all(plain) && !text.contains("'''") && !text.ends_with('\'') {
        return format!("'''{text}'''");
    }
    toml::Value::String(text.to_owned()).to_string()
}

/// Lines of TOML.
fn block(text: &str) -> String {
    if text.contains("'''") || text.chars().any(|c| c.is_control() && c != '\n') {
        return toml::Value::String(text.to_owned()).to_string();
    }
    format!("'''\n{text}\n'''")
}
