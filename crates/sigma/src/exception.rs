//! Exceptions: what a rule matches and nobody wants to hear of, as data with a reason, an author and an end.
//!
//! An exception names rules and a condition in Sigma's detection syntax; a match of one of them for which
//! the condition holds is suppressed and counted. It says until when: afterwards it has no effect and is
//! told. Reads no clock and no file; what is done with a suppressed match is the caller's.

use event::Timestamp;
use jiff::civil::Date;
use rsigma_parser::{LogSource, SigmaRule};
use serde::Deserialize;

use crate::{
    RuleError, check,
    evaluate::Scratch,
    load::{Options, Rejected, RuleSet},
    record::Record,
    rule::Meta,
};

/// Days after the last one an exception may be written ahead: for ever is not an end.
const MAX_DAYS: i64 = 400;

/// An exception as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    title: String,
    id: String,
    rules: Names,
    reason: String,
    author: String,
    expires: String,
    /// Date it was written.
    date: Option<String>,
    logsource: Option<serde_yaml_ng::Value>,
    detection: serde_yaml_ng::Value,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Several(Vec<String>),
}

/// An exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Identity.
    pub id: String,
    /// Title.
    pub title: String,
    /// Identities or names of the rules; empty means any.
    pub rules: Vec<String>,
    /// Why.
    pub reason: String,
    /// Who wrote it.
    pub author: String,
    /// First moment at which it has no effect any more.
    pub expires: Timestamp,
    /// File it was read from.
    pub file: String,
}

/// All exceptions, ready to be asked, with what they have suppressed. Belongs to one thread.
#[derive(Debug, Default)]
pub struct Exceptions {
    /// In the order of the conditions.
    all: Vec<Exception>,
    suppressed: Vec<u64>,
    /// One rule for each exception.
    conditions: RuleSet,
    scratch: Scratch,
}

fn wrong(what: impl Into<String>) -> RuleError {
    RuleError::Exception { what: what.into() }
}

impl Exceptions {
    /// Reads exceptions, each source a name and a YAML text of one or more documents. Those that name a rule
    /// take over its log source, so that its fields mean the same.
    pub fn load<N, T>(
        sources: impl Iterator<Item = (N, T)>,
        rules: &RuleSet,
        options: &Options,
    ) -> (Self, Vec<Rejected>)
    where
        N: AsRef<str>,
        T: AsRef<str>,
    {
        let (mut all, mut rejected): (Vec<Exception>, _) = (Vec::new(), Vec::new());
        let mut parsed: Vec<(SigmaRule, String)> = Vec::new();
        for (name, text) in sources {
            let (file, text) = (name.as_ref(), text.as_ref());
            let mut refuse = |id: String, error: &RuleError| {
                rejected.push(Rejected { file: file.to_owned(), id, reason: error.to_string() });
            };
            if text.len() > check::MAX_BYTES {
                let reason = format!("larger than {} bytes", check::MAX_BYTES);
                refuse(String::new(), &RuleError::Yaml { reason });
                continue;
            }
            for document in check::documents(text) {
                match read(document, file, rules) {
                    Ok((one, _)) if all.iter().any(|known| known.id == one.id) => {
                        refuse(one.id.clone(), &RuleError::Duplicate { id: one.id });
                    }
                    Ok((one, rule)) => {
                        all.push(one);
                        parsed.push((rule, file.to_owned()));
                    }
                    Err((id, error)) => refuse(id, &error),
                }
            }
        }
        let (conditions, report) = RuleSet::of_parsed(parsed, options);
        rejected.extend(report.rejected);
        let inert = report.inert.into_iter();
        rejected.extend(inert.map(|one| Rejected {
            file: String::new(),
            id: one.id,
            reason: one.reason,
        }));
        // The conditions that were compiled, in their order.
        let compiled = conditions.rules.iter();
        let all: Vec<Exception> = compiled
            .filter_map(|rule| all.iter().find(|one| one.id == rule.meta.id).cloned())
            .collect();
        let suppressed = vec![0; all.len()];
        (Self { all, suppressed, conditions, scratch: Scratch::new() }, rejected)
    }

    /// The exception that suppresses a match of this rule, if one does; it is counted there.
    pub fn suppress(
        &mut self,
        rule: &Meta,
        record: &Record<'_>,
        now: Timestamp,
    ) -> Option<&Exception> {
        let meant = |one: &Exception| {
            now < one.expires
                && (one.rules.is_empty() || one.rules.iter().any(|name| rule.is_called(name)))
        };
        if !self.all.iter().any(meant) {
            return None;
        }
        let holding = self.conditions.evaluate_all(record, &mut self.scratch);
        let at = holding
            .iter()
            .map(|index| index.0 as usize)
            .find(|&at| self.all.get(at).is_some_and(meant))?;
        *self.suppressed.get_mut(at)? += 1;
        self.all.get(at)
    }

    /// All of them, each with how many matches it has suppressed.
    pub fn iter(&self) -> impl Iterator<Item = (&Exception, u64)> {
        self.all.iter().zip(self.suppressed.iter().copied())
    }

    /// Those that have no effect any more.
    pub fn expired(&self, now: Timestamp) -> impl Iterator<Item = &Exception> {
        self.all.iter().filter(move |one| one.expires <= now)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

fn read(
    text: &str,
    file: &str,
    rules: &RuleSet,
) -> Result<(Exception, SigmaRule), (String, RuleError)> {
    let values = check::read(text).map_err(|error| (String::new(), error))?;
    let value = values.into_iter().next().unwrap_or_default();
    let id = check::identity(&value);
    of_document(value, file, rules).map_err(|error| (id, error))
}

fn of_document(
    value: serde_yaml_ng::Value,
    file: &str,
    rules: &RuleSet,
) -> Result<(Exception, SigmaRule), RuleError> {
    let raw: Raw = serde_yaml_ng::from_value(value)
        .map_err(|error| RuleError::Yaml { reason: error.to_string() })?;
    let names = match raw.rules {
        Names::One(any) if any == "any" => Vec::new(),
        Names::One(name) => vec![name],
        Names::Several(names) if names.is_empty() => return Err(wrong("no rules")),
        Names::Several(names) => names,
    };
    for (what, text) in [("a reason", &raw.reason), ("an author", &raw.author)] {
        if text.trim().is_empty() {
            return Err(wrong(format!("without {what}")));
        }
    }
    let expires = expiry(&raw.expires, raw.date.as_deref())?;
    let source = source(&names, rules)?;
    let own = (raw.id.as_str(), raw.title.as_str());
    let rule = condition(own, (raw.logsource.as_ref(), source), &raw.detection)?;
    let exception = Exception {
        id: raw.id,
        title: raw.title,
        rules: names,
        reason: raw.reason,
        author: raw.author,
        expires,
        file: file.to_owned(),
    };
    Ok((exception, rule))
}

/// The end of the day it names, UTC.
fn expiry(text: &str, written: Option<&str>) -> Result<Timestamp, RuleError> {
    let day = |text: &str| {
        text.parse::<Date>().map_err(|_| wrong(format!("{text:?} is no day such as 2027-01-31")))
    };
    let last = day(text)?;
    if let Some(written) = written {
        let days = i64::from(last.since(day(written)?).map_or(i32::MAX, |span| span.get_days()));
        if days > MAX_DAYS {
            return Err(wrong(format!("an end more than {MAX_DAYS} days after its date")));
        }
    }
    let end = last.tomorrow().and_then(|next| next.to_zoned(jiff::tz::TimeZone::UTC));
    let end = end.map_err(|_| wrong(format!("{text:?} is beyond all days")))?;
    Ok(Timestamp::from_micros(end.timestamp().as_microsecond()))
}

/// The log source that all rules of these names have, if it is one.
fn source(names: &[String], rules: &RuleSet) -> Result<Option<LogSource>, RuleError> {
    let mut found: Option<LogSource> = None;
    let mut same = true;
    for name in names {
        let rule = rules.rules.iter().find(|rule| rule.meta.is_called(name));
        let known = rule.is_some() || rules.correlations.iter().any(|one| one.meta.is_called(name));
        if !known {
            return Err(RuleError::Reference { name: name.clone() });
        }
        if let Some(rule) = rule {
            same &= found.as_ref().is_none_or(|before| *before == rule.source);
            found = Some(rule.source.clone());
        }
    }
    Ok(found.filter(|_| same))
}

/// The condition as a rule of its own.
pub(crate) fn condition(
    (id, title): (&str, &str),
    (written, taken): (Option<&serde_yaml_ng::Value>, Option<LogSource>),
    detection: &serde_yaml_ng::Value,
) -> Result<SigmaRule, RuleError> {
    use serde_yaml_ng::{Mapping, Value};
    let mut map = Mapping::new();
    map.insert("title".into(), title.into());
    map.insert("id".into(), id.into());
    map.insert("logsource".into(), written.cloned().unwrap_or_else(|| Mapping::new().into()));
    map.insert("detection".into(), detection.clone());
    let value = Value::Mapping(map);
    check::check(&value)?;
    let text = serde_yaml_ng::to_string(&value)
        .map_err(|error| RuleError::Yaml { reason: error.to_string() })?;
    let parsed = rsigma_parser::parse_sigma_yaml(&text)
        .map_err(|error| error.to_string())
        .and_then(|all| all.into_result().map_err(|reasons| reasons.join("; ")))
        .map_err(|reason| RuleError::Parse { reason })?;
    let mut rule = parsed.rules.into_iter().next().ok_or_else(|| wrong("no detection"))?;
    if let Some(taken) = taken.filter(|_| written.is_none()) {
        rule.logsource = taken;
    }
    Ok(rule)
}

#[cfg(test)]
#[path = "exception_tests.rs"]
mod tests;
