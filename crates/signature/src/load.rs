//! Rule files to a [`RuleSet`]: every good rule is taken, every other one is reported with its place.
//!
//! Reads bytes handed in; opening files is the caller's business.

mod countries;
mod limits;
mod reputation;

pub(crate) use countries::Country;
pub(crate) use reputation::{Categories, Scores};

use hashbrown::HashMap;

use crate::{
    RuleSet, Support, Variables,
    by_address::ByAddress,
    check::{
        Checker, Known, Rule,
        pool::{Names, Pool},
    },
    compile,
    error::{Located, RuleError},
    parse,
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

/// Most rules of a set; published ones have below 100,000.
const MAX_RULES: usize = 1_000_000;

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
        let mut report = Report::default();
        let files = &options.addresses;
        let countries = files.countries.as_ref();
        let countries = countries.and_then(|source| countries::read(source, &mut report));
        let categories = files.categories.as_ref();
        let categories = categories.map(|source| reputation::categories(source, &mut report));
        let mut checker = Checker {
            variables: &options.variables,
            support: options.support,
            pool: Pool::with_names(&options.names),
            file: String::new(),
            read: options.read,
            known: Known {
                categories: categories.unwrap_or_default(),
                has_scores: !files.reputation.is_empty(),
                has_countries: countries.is_some(),
            },
        };
        let mut rules: Vec<(Rule, Place)> = Vec::new();
        let mut known: HashMap<(u32, u32), usize, foldhash::fast::RandomState> = HashMap::default();
        for (number, source) in sources.iter().enumerate() {
            checker.file.clone_from(&source.name);
            if source.text.len() > Source::MAX_LEN {
                report.reject(too_long(source));
                continue;
            }
            for line in parse::lines(&source.text) {
                match read(&mut checker, &line) {
                    Ok(_) if rules.len() >= MAX_RULES => {
                        let what = format!("more than {MAX_RULES} rules");
                        report.reject(rejected(source, &line, RuleError::conflict(what).at(0)));
                    }
                    Ok(rule) => {
                        let place = Place {
                            source: narrow(number),
                            start: narrow(line.start),
                            len: narrow(line.text.len()),
                            line: line.number,
                        };
                        add(&mut rules, &mut known, &mut report, (rule, place), &sources);
                    }
                    Err(located) => report.reject(rejected(source, &line, located)),
                }
            }
        }
        limits::apply(&options.limits, &mut rules, &mut checker, &mut report);
        report.accepted = rules.len();
        let (pool, known) = (checker.pool, checker.known.categories);
        let used = pool.categories;
        let scores = reputation::scores(&files.reputation, &known, used, &mut report);
        let countries = countries.filter(|_| pool.countries_used).unwrap_or_default();
        let mut set = compile::compile(rules, sources, pool, options.support);
        set.addresses_known = AddressData { scores, countries };
        (set, report)
    }
}

fn read(checker: &mut Checker<'_>, line: &parse::Line<'_>) -> Result<Rule, Located> {
    let raw = parse::rule(&line.text)?;
    checker.rule(&raw)
}

/// A second rule with the same gid and sid replaces the first when its rev is higher; the loser is reported.
fn add(
    rules: &mut Vec<(Rule, Place)>,
    known: &mut HashMap<(u32, u32), usize, foldhash::fast::RandomState>,
    report: &mut Report,
    new: (Rule, Place),
    sources: &[Source],
) {
    let key = (new.0.meta.gid, new.0.meta.sid);
    let Some(slot) = known.get(&key).and_then(|at| rules.get_mut(*at)) else {
        known.insert(key, rules.len());
        rules.push(new);
        return;
    };
    let loser = if new.0.meta.rev > slot.0.meta.rev { std::mem::replace(slot, new) } else { new };
    report.reject(Rejected {
        file: sources
            .get(loser.1.source as usize)
            .map(|source| source.name.clone())
            .unwrap_or_default(),
        line: loser.1.line,
        column: 1,
        sid: Some(loser.0.meta.sid),
        error: RuleError::conflict("another rule has the same sid and the same or a higher rev"),
    });
}

/// A file that is not read at all.
fn too_long(source: &Source) -> Rejected {
    let what = format!("more than {} bytes in one file: none of it is read", Source::MAX_LEN);
    let error = RuleError::conflict(what);
    Rejected { file: source.name.clone(), line: 1, column: 1, sid: None, error }
}

fn rejected(source: &Source, line: &parse::Line<'_>, located: Located) -> Rejected {
    let (row, column) = parse::position(&source.text, line.start, line.number, located.offset);
    Rejected {
        file: source.name.clone(),
        line: row,
        column,
        sid: sid_of(&line.text),
        error: located.error,
    }
}

/// The number after the last `sid:`, for rules that cannot be read otherwise.
fn sid_of(text: &[u8]) -> Option<u32> {
    let at = memchr::memmem::rfind(text, b"sid:")?;
    let digits = text.get(at + 4..)?.trim_ascii_start();
    let end = digits.iter().position(|b| !b.is_ascii_digit()).unwrap_or(digits.len());
    str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
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
