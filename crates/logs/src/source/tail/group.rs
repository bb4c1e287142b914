//! One configured group of files, checked.

use std::time::Duration;

use encoding_rs::Encoding;
use regex::bytes::Regex;

use super::encoding;
use super::join::Rules;
use crate::config::{FileConfig, Format};
use crate::parse::{MAX_FIELD, Parser, Zone};

/// Why a file input cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// An expression for records of several lines is none.
    #[error("{key} is no regular expression")]
    Pattern {
        /// Which.
        key: &'static str,
        /// Why.
        #[source]
        source: Box<regex::Error>,
    },
    /// No such time zone.
    #[error("unknown time zone {name:?}")]
    Zone {
        /// As configured.
        name: String,
    },
    /// No such encoding.
    #[error("unknown encoding {name:?}")]
    Encoding {
        /// As configured.
        name: String,
    },
}

/// How the files of a group are found and read.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) patterns: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) parser: Parser,
    pub(super) encoding: Option<&'static Encoding>,
    /// How lines are joined.
    pub(super) rules: Rules,
    /// Whether they are joined at all.
    pub(super) joins: bool,
    /// How long a record waits for a further line.
    pub(super) join_wait: Duration,
    /// Whether long lines may be JSON.
    pub(super) json: bool,
    /// Lines are wrapped as container runtimes do it.
    pub(super) containers: bool,
    pub(super) from_start: bool,
    /// Seconds since the last write after which a new file is left alone.
    pub(super) ignore_older: Option<u64>,
}

fn pattern(key: &'static str, text: Option<&str>) -> Result<Option<Regex>, TailError> {
    let failed = |source| TailError::Pattern { key, source: Box::new(source) };
    text.map(Regex::new).transpose().map_err(failed)
}

impl Group {
    /// Checks a configuration.
    ///
    /// # Errors
    /// [`TailError`].
    pub(super) fn new(config: &FileConfig) -> Result<Self, TailError> {
        let zone = match &config.time_zone {
            None => Zone::utc(),
            Some(name) => {
                Zone::named(name).ok_or_else(|| TailError::Zone { name: name.clone() })?
            }
        };
        let known = |name: &String| {
            encoding::named(name).ok_or_else(|| TailError::Encoding { name: name.clone() })
        };
        let rules = Rules {
            starts_with: pattern("starts_with", config.starts_with.as_deref())?,
            continues_with: pattern("continues_with", config.continues_with.as_deref())?,
            lines: config.join_lines,
            bytes: MAX_FIELD,
        };
        let joins = rules.starts_with.is_some() || rules.continues_with.is_some();
        Ok(Self {
            patterns: config.paths.clone(),
            exclude: config.exclude.clone(),
            parser: config.parsers.parser(config.format, zone),
            encoding: config.encoding.as_ref().map(known).transpose()?,
            rules,
            joins,
            join_wait: Duration::from_millis(config.join_milliseconds),
            json: config.containers || matches!(config.format, Format::Auto | Format::Json),
            containers: config.containers,
            from_start: config.from_start,
            ignore_older: config.ignore_older_hours.map(|hours| hours.saturating_mul(3600)),
        })
    }
}
