//! Rule files to a [`RuleSet`]: every good rule is taken, every other one is reported with its place.
//!
//! Reads bytes handed in; opening files is the caller's business.

mod countries;
mod limits;
mod pieces;
mod reputation;

pub(crate) use countries::Country;
pub(crate) use reputation::{Categories, Scores};

use std::{num::NonZero, thread};

use crate::{
    RuleSet, Support, Variables,
    by_address::ByAddress,
    check::{Known, pool::Names},
    compile,
    error::RuleError,
};

/// A rule file: its name (for reports) and content.
#[derive(Debug, Clone)]
pub struct Source {
    /// Shown in reports.
    pub name: String,
    /// Bytes as they are; any encoding.
    pub text: Vec<u8>,
}

impl Source {
    /// Most bytes of one file.
    pub const MAX_LEN: usize = 256 << 20;
}

/// How to read rules.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Values of `$NAME`.
    pub variables: Variables,
    /// What the sensor detects and parses.
    pub support: Support,
    /// Files of limits on alerts (`threshold.config`): thresholds, rates, suppression.
    pub limits: Vec<Source>,
    /// Reads files that rules name (data sets, lists of digests); rules that name one are refused without it.
    pub read: Option<ReadFile>,
    /// What `iprep` and `geoip` know of addresses.
    pub addresses: AddressFiles,
    /// Names of the set that this one replaces.
    pub names: Names,
    /// Threads that read and compile, at most [`LoadOptions::MAX_THREADS`]; `None` for as many as there are cores. The
    /// set and the report are the same for any number.
    pub threads: Option<NonZero<usize>>,
}

impl LoadOptions {
    /// Most threads that work on one set: what cannot be shared among them takes most of the time then.
    pub const MAX_THREADS: usize = 8;

    fn threads(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, NonZero::get);
        self.threads.map_or_else(cores, NonZero::get).min(Self::MAX_THREADS)
    }
}

/// Files of what is known of addresses; rules that need one are refused without it.
#[derive(Debug, Clone, Default)]
pub struct AddressFiles {
    /// Categories of reputations: lines of `id,short name,description`, ids 1 to 59.
    pub categories: Option<Source>,
    /// Reputations: lines of `address or network,category id,score`, scores 0 to 127.
    pub reputation: Vec<Source>,
    /// A MaxMind DB with the countries of networks.
    pub countries: Option<Source>,
}

/// What rules look up of addresses, as far as a rule does.
#[derive(Debug, Default)]
pub(crate) struct AddressData {
    pub(crate) scores: Scores,
    pub(crate) countries: ByAddress<Country>,
}

/// Reads a file that a rule names: name of the rule file, name as the rule has it, most bytes to read (a longer file
/// is an error).
pub type ReadFile = fn(&str, &str, u64) -> std::io::Result<Vec<u8>>;

/// A rule that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Name of the source.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in bytes, from 1.
    pub column: u32,
    /// Its sid, when one can be read.
    pub sid: Option<u32>,
    /// What is wrong.
    pub error: RuleError,
}

/// What loading did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Rules in the set.
    pub accepted: usize,
    /// Rules that are not, up to [`Report::MAX_LISTED`].
    pub rejected: Vec<Rejected>,
    /// Further rules that are not, not listed.
    pub rejected_beyond: usize,
}

impl Report {
    /// Most rejected rules listed one by one; a file of garbage has more.
    pub const MAX_LISTED: usize = 100_000;

    /// Rules that are left out by their own `requires`, among the rejected.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.rejected
            .iter()
            .filter(|rejected| matches!(rejected.error, RuleError::Requires { .. }))
            .count()
    }

    fn reject(&mut self, rejected: Rejected) {
        if self.rejected.len() < Self::MAX_LISTED {
            self.rejected.push(rejected);
        } else {
            self.rejected_beyond += 1;
        }
    }
}

/// Where a rule stands in its source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) source: u32,
    pub(crate) start: u32,
    pub(crate) len: u32,
    pub(crate) line: u32,
}

impl RuleSet {
    /// Reads, checks and compiles rules. Never fails as a whole: see the report.
    #[must_use]
    pub fn load(sources: Vec<Source>, options: &LoadOptions) -> (Self, Report) {
        load_in_pieces(sources, options, pieces::WORTH_A_THREAD)
    }
}

/// Loads with pieces of the text, of `least` bytes or more, read at the same time.
fn load_in_pieces(sources: Vec<Source>, options: &LoadOptions, least: usize) -> (RuleSet, Report) {
    let threads = options.threads();
    let mut report = Report::default();
    let files = &options.addresses;
    let countries = files.countries.as_ref();
    let countries = countries.and_then(|source| countries::read(source, &mut report));
    let categories = files.categories.as_ref();
    let categories = categories.map(|source| reputation::categories(source, &mut report));
    let known = Known {
        categories: categories.unwrap_or_default(),
        has_scores: !files.reputation.is_empty(),
        has_countries: countries.is_some(),
    };
    let (mut taken, mut checker) =
        pieces::read(&sources, options, (&known, report), (threads, least));
    limits::apply(&options.limits, &mut taken.rules, &mut checker, &mut taken.report);
    let pieces::Taken { rules, places, mut report, .. } = taken;
    report.accepted = rules.len();
    let pool = checker.pool;
    let scores =
        reputation::scores(&files.reputation, &known.categories, pool.categories, &mut report);
    let countries = countries.filter(|_| pool.countries_used).unwrap_or_default();
    let checked = compile::Checked { rules, places, pool };
    let mut set = compile::compile(checked, sources, options.support, threads);
    set.addresses_known = AddressData { scores, countries };
    (set, report)
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Bytes of a database in which 10.0.0.0/8 is CH but 10.1.0.0/16 US, 172.16.0.0/12 of no country, 2001:db8::/32 US,
/// 2001:db9::/32 T1.
#[cfg(test)]
pub(crate) fn small_database() -> Vec<u8> {
    countries::tests::small().bytes()
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod pieces_tests;
