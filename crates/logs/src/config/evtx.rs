//! What can be configured of Windows event log files as a source.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Parsers, Quiet};

/// Windows event log files (`*.evtx`), from where they are or where they were copied to.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvtxConfig {
    /// Paths; `*`, `?` in any component, `**` for any number of folders.
    pub paths: Vec<String>,
    /// Files not to read, as for `files`.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Read logs that are there when reading begins for the first time from their first record; else from their end.
    #[serde(default = "super::yes")]
    pub from_start: bool,
    /// Files met for the first time that were last written to longer ago, in hours, are left alone.
    #[serde(default)]
    pub ignore_older_hours: Option<u64>,
    /// Seconds between two looks at the files.
    #[serde(default = "every")]
    #[schemars(range(min = 1, max = 3600))]
    pub every_seconds: u64,
    /// Silence after which an alarm is raised, such as `15m`, or `never`; learned when absent.
    #[serde(default)]
    pub quiet_after: Option<Quiet>,
    /// Set when the whole configuration is read.
    #[serde(skip)]
    pub parsers: Parsers,
}

const fn every() -> u64 {
    2
}

impl EvtxConfig {
    /// Files of these paths, with everything else as usual.
    #[must_use]
    pub fn new(paths: Vec<String>) -> Self {
        Self {
            paths,
            exclude: Vec::new(),
            from_start: true,
            ignore_older_hours: None,
            every_seconds: every(),
            quiet_after: None,
            parsers: Parsers::default(),
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn name(&self) -> String {
        format!("evtx {}", self.paths.join(" "))
    }
}
