//! Configuration files: TOML, checked against the schema of the type they become.
//!
//! All errors are reported at once, each with its line; unknown keys are refused with the nearest
//! known one. The schema comes from the type itself (`schemars`), so documentation, check and
//! program cannot disagree.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

mod schema;

/// Largest configuration file read, bytes.
const MAX_CONFIG: u64 = 4 * 1024 * 1024;

/// One thing wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1; 0 when it concerns the whole file.
    pub line: usize,
    /// Dotted key; empty when it concerns the whole file.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Why a configuration was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is larger than 4 MiB.
    #[error("{} is larger than 4 MiB", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// Everything that is wrong with it, in order of lines.
    #[error("{}", Listing { name, problems })]
    Invalid {
        /// File name.
        name: String,
        /// At least one.
        problems: Vec<Problem>,
    },
}

struct Listing<'a> {
    name: &'a str,
    problems: &'a [Problem],
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            let key =
                if problem.key.is_empty() { String::new() } else { format!("{}: ", problem.key) };
            write!(out, "{gap}{}:{}: {key}{}", self.name, problem.line, problem.message)?;
        }
        Ok(())
    }
}

/// Reads and checks the file at `path`.
///
/// # Errors
/// [`ConfigError`]; [`ConfigError::Invalid`] lists every problem.
pub fn load<T: DeserializeOwned + JsonSchema>(path: &Path) -> Result<T, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_CONFIG {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    parse(&path.display().to_string(), &text)
}

/// Checks `text`; `name` is used in errors.
///
/// # Errors
/// [`ConfigError::Invalid`].
pub fn parse<T: DeserializeOwned + JsonSchema>(name: &str, text: &str) -> Result<T, ConfigError> {
    let invalid = |problems| ConfigError::Invalid { name: name.to_owned(), problems };
    let (table, errors) = toml::de::DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let mut problems: Vec<_> = errors.iter().map(|error| from_toml(text, error)).collect();
        problems.sort_by_key(|problem| problem.line);
        return Err(invalid(problems));
    }
    let mut problems = schema::check(&schemars::schema_for!(T), text, table.get_ref());
    if problems.is_empty() {
        match toml::from_str(text) {
            Ok(value) => return Ok(value),
            Err(error) => problems.push(from_toml(text, &error)),
        }
    }
    problems.sort_by_key(|problem| problem.line);
    Err(invalid(problems))
}

fn from_toml(text: &str, error: &toml::de::Error) -> Problem {
    let line = error.span().map_or(0, |span| line_of(text, span.start));
    Problem { line, key: String::new(), message: error.message().to_owned() }
}

/// Line of a key, given by the names and the numbers on the way to it; that of the nearest key above when it
/// is not there, 0 when there is none.
#[must_use]
pub fn line_of_key(text: &str, keys: &[&str]) -> usize {
    let (table, _) = toml::de::DeTable::parse_recoverable(text);
    let mut line = 0;
    let mut inside: Option<&toml::de::DeValue<'_>> = None;
    for key in keys {
        let found = match inside {
            None => table.get_ref().get(*key),
            Some(toml::de::DeValue::Table(table)) => table.get(*key),
            Some(toml::de::DeValue::Array(items)) => {
                key.parse::<usize>().ok().and_then(|at| items.get(at))
            }
            Some(_) => None,
        };
        let Some(found) = found else { break };
        line = line_of(text, found.span().start);
        inside = Some(found.get_ref());
    }
    line
}

/// The known name that is most like `name`, when one is like it at all.
pub fn nearest_name<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let scored = known.map(|known| (schema::distance(name, known), known));
    let best = scored.min_by_key(|(distance, _)| *distance)?;
    (best.0 <= name.len().div_ceil(3).max(1)).then(|| best.1.to_owned())
}

/// Line of a byte offset, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    let head = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    head.iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests;
