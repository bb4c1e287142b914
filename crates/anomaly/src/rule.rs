//! A checked rule and the set of them.
//!
//! Text of rule files goes in at [`RuleSet::load`]; `read` turns YAML into these types, `keys`
//! reads single values. Nothing is ignored: what cannot be meant is an error with its key.

mod keys;
mod read;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use event::{Severity, Technique};
use ipnet::IpNet;

use crate::{Filter, RuleError};

/// A rule file: its name (for reports) and text.
#[derive(Clone, Debug)]
pub struct Source {
    /// Shown in reports.
    pub name: String,
    /// YAML, one or more documents.
    pub text: String,
}

/// What rules are read with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The home networks, for `|inside`.
    pub home: Vec<IpNet>,
}

impl Default for Options {
    /// Private and local addresses (RFC 1918, RFC 4193, RFC 3927, RFC 4291, RFC 6598).
    fn default() -> Self {
        let nets = [
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.0.0/16",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "fc00::/7",
            "fe80::/10",
            "::1/128",
        ];
        Self { home: nets.iter().filter_map(|net| net.parse().ok()).collect() }
    }
}

/// How mature a rule is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// In use.
    #[default]
    Stable,
    /// Tested, not yet proven.
    Test,
    /// May be noisy.
    Experimental,
}

/// What events are grouped by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupKey {
    /// The value of a field.
    Field(String),
    /// The registered domain of a name in a field.
    RegisteredDomain(String),
    /// The /24 (IPv4) or /64 (IPv6) of an address in a field.
    Net(String),
}

/// What is measured over the events of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Number of events.
    Count,
    /// Number of distinct values of a field.
    Distinct(String),
    /// Sum of a field.
    Sum(String),
    /// Bits in the distinct names of a field before their registered domain.
    Bits(String),
}

/// A condition over the sliding window.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The measure reaches a limit.
    Threshold {
        /// What is measured.
        measure: Measure,
        /// The limit.
        gte: f64,
    },
    /// Events matching `of` among those matching `to`.
    Ratio {
        /// The part.
        of: Filter,
        /// The whole.
        to: Filter,
        /// Least share, 0 to 1.
        gte: f64,
        /// Fewest events of the whole.
        min: f64,
    },
    /// The measure per period, averaged over the window.
    Rate {
        /// What is measured.
        measure: Measure,
        /// The period, microseconds.
        per: i64,
        /// Least per period.
        gte: f64,
    },
}

/// One step of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its events.
    pub filter: Filter,
    /// How many within the timespan.
    pub count: u32,
}

/// How the expected value is learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Model {
    /// One exponentially weighted mean.
    Ewma,
    /// One mean per hour of the day or of the week (24 or 168).
    Seasonal {
        /// Number of seasons.
        hours: u16,
    },
    /// The quantile of the last 128 values.
    Quantile,
}

/// A learned expectation per group and bucket of the timespan.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// How it is learned.
    pub model: Model,
    /// What is measured in each bucket.
    pub measure: Measure,
    /// Buckets learned before the first alarm.
    pub warmup: u32,
    /// Smallest deviation that counts as one, in the unit of the measure.
    pub min_scale: f64,
    /// Least likelihood of an anomaly, 0.5 to 1; for `quantile` the quantile itself.
    pub likelihood: f64,
    /// Alarm above the expectation.
    pub up: bool,
    /// Alarm below the expectation.
    pub down: bool,
}

/// What a rule checks.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// All conditions hold over one sliding window.
    Window(Vec<Condition>),
    /// Steps one after the other.
    Sequence(Vec<Step>),
    /// A value outside what was learned.
    Baseline(Baseline),
    /// A value of a field never seen in the group before.
    New {
        /// The field.
        field: String,
        /// Learning time of a group, microseconds.
        warmup: i64,
        /// Values remembered per group, at most.
        max: usize,
    },
}

impl Check {
    /// Its name: the key it is written under.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Window(conditions) => match conditions.first() {
                Some(Condition::Ratio { .. }) => "ratio",
                Some(Condition::Rate { .. }) => "rate",
                _ => "threshold",
            },
            Self::Sequence(_) => "sequence",
            Self::Baseline(_) => "baseline",
            Self::New { .. } => "new",
        }
    }
}

/// A rule, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Title.
    pub title: String,
    /// UUID.
    pub id: String,
    /// Maturity.
    pub status: Status,
    /// Severity of findings.
    pub level: Severity,
    /// What it finds and how.
    pub description: String,
    /// What to do about a finding.
    pub advice: String,
    /// What may be harmless about it.
    pub falsepositives: Vec<String>,
    /// Date of the last change, `YYYY-MM-DD`, or empty.
    pub modified: String,
    /// ATT&CK.
    pub attack: Vec<Technique>,
    /// Which events it looks at.
    pub select: Filter,
    /// What they are grouped by.
    pub group_by: Vec<GroupKey>,
    /// Which of them a finding is about.
    pub entity: usize,
    /// Window, or bucket of a baseline, microseconds.
    pub timespan: i64,
    /// What is checked.
    pub check: Check,
    /// Field whose most frequent values are named in findings.
    pub contributors: Option<String>,
    /// Silence after an alarm of a group, microseconds.
    pub refractory: i64,
    /// Most groups held.
    pub max_entities: usize,
    /// Most memory of all groups, bytes, approximately.
    pub memory_bytes: usize,
    /// The rule as written.
    pub text: String,
}

impl GroupKey {
    /// The field it reads.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Field(name) | Self::RegisteredDomain(name) | Self::Net(name) => name,
        }
    }

    /// As it is written in a rule.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Field(name) => name.clone(),
            Self::RegisteredDomain(name) => format!("{name}|registered-domain"),
            Self::Net(name) => format!("{name}|net"),
        }
    }
}

impl Measure {
    /// Its unit in findings.
    #[must_use]
    pub fn unit(&self) -> String {
        match self {
            Self::Count => "events".into(),
            Self::Distinct(field) => format!("distinct {field}"),
            Self::Sum(field) => format!("sum of {field}"),
            Self::Bits(field) => format!("bits in {field}"),
        }
    }
}

/// Rules ready for an engine; immutable.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
}

impl RuleSet {
    /// Reads and checks rules: every good one is taken, every other one reported.
    #[must_use]
    pub fn load(sources: &[Source], options: &Options) -> (Self, Vec<RuleError>) {
        let mut set = Self::default();
        let mut errors = Vec::new();
        for source in sources {
            read::source(source, options, &mut set.rules, &mut errors);
        }
        (set, errors)
    }

    /// The rules, in the order they were read.
    #[must_use]
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }
}
