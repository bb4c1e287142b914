//! Rule text to checked rules: pieces of it at the same time, put together as if one had followed the other.
//!
//! Each piece is checked against a pool of its own. What depends on the rules before is done in order afterwards: numbers
//! of shared values, rules with the same sid, the order of errors, and rules with data sets as a whole.

use std::ops::Range;

use hashbrown::HashMap;

use super::{LoadOptions, Place, Rejected, Report, Source, narrow};
use crate::{
    check::{
        Checker, Known, Rule,
        pool::Pool,
        renumber::{Mark, Renumbering},
    },
    error::{Located, RuleError},
    parallel, parse,
};

/// Bytes of rules that are worth starting a thread for: a tenth of a millisecond to start one, a millisecond to check.
pub(super) const WORTH_A_THREAD: usize = 64 << 10;

/// Most bytes of a piece, but for its last rule: what is checked and not yet put together is bounded by it.
const MAX_PIECE: usize = 4 << 20;

/// Most rules of a set; published ones have below 100,000.
const MAX_RULES: usize = 1_000_000;

/// Bytes of a rule, to make room for rules beforehand.
const USUAL_RULE: usize = 512;

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    /// Number of the file.
    pub(super) source: usize,
    pub(super) bytes: Range<usize>,
    /// Lines of the file before it.
    pub(super) lines: u32,
}

/// Parts of files, one after the other.
pub(super) type Piece = Vec<Span>;

/// The rules taken and what is known of them.
pub(super) struct Taken {
    pub(super) rules: Vec<Rule>,
    /// Where each rule stands.
    pub(super) places: Vec<Place>,
    pub(super) report: Report,
    /// Numbers of rules by gid and sid.
    known: HashMap<(u32, u32), usize, foldhash::fast::RandomState>,
}

/// What one line gives.
#[expect(clippy::large_enum_variant, reason = "nearly all lines are rules")]
enum Found<'s> {
    Rule(Rule, Place),
    Refused(Rejected),
    /// A rule that cannot be checked apart from those before it, and what was in the pool before it.
    PutOff(usize, parse::Line<'s>, Mark),
}

/// What a piece gives.
struct Apart<'s> {
    found: Vec<Found<'s>>,
    /// Refused ones that are not among these.
    beyond: usize,
    pool: Pool,
}

/// A piece for one thread.
enum Job<'j, 'a> {
    /// Checked as a part of the whole: no piece before it is missing.
    Next(&'j mut Taken, &'j mut Checker<'a>, Piece),
    Ahead(Piece),
}

/// Reads the rules of all files, in pieces of at least so many bytes on so many threads. What is refused is added to
/// the report.
pub(super) fn read<'a>(
    sources: &[Source],
    options: &'a LoadOptions,
    (known, report): (&'a Known, Report),
    (threads, least): (usize, usize),
) -> (Taken, Checker<'a>) {
    let mut taken = Taken::with_room(sources.iter().map(|source| source.text.len()).sum());
    taken.report = report;
    let mut whole = checker((options, known), Pool::with_names(&options.names));
    let mut pieces = cut(sources, threads, least).into_iter();
    while let Some(next) = pieces.next() {
        let mut jobs = vec![Job::Next(&mut taken, &mut whole, next)];
        jobs.extend(pieces.by_ref().take(threads.saturating_sub(1)).map(Job::Ahead));
        let done = parallel::map(threads, jobs, |job| match job {
            Job::Next(taken, whole, piece) => {
                each(whole, sources, &piece, |found| taken.take(found, sources));
                None
            }
            Job::Ahead(piece) => Some(read_ahead(sources, (options, known), &piece)),
        });
        done.into_iter().flatten().for_each(|apart| taken.join(apart, &mut whole, sources));
    }
    (taken, whole)
}

impl Taken {
    /// With room for the rules of a text of that length.
    fn with_room(text: usize) -> Self {
        let room = (text / USUAL_RULE).min(MAX_RULES);
        Self {
            rules: Vec::with_capacity(room),
            places: Vec::with_capacity(room),
            report: Report::default(),
            known: HashMap::with_capacity_and_hasher(room, foldhash::fast::RandomState::default()),
        }
    }

    /// Takes over what a piece gave, when all before it is taken.
    fn join<'s>(&mut self, apart: Apart<'s>, whole: &mut Checker<'_>, sources: &'s [Source]) {
        let Apart { found, beyond, pool } = apart;
        let end = pool.mark();
        whole.pool.categories |= pool.categories;
        whole.pool.countries_used |= pool.countries_used;
        let put_off = found.iter().filter_map(|found| match found {
            Found::PutOff(.., mark) => Some(*mark),
            _ => None,
        });
        // Values that come before a rule that was put off have their numbers before it is checked.
        let mut marks = put_off.collect::<Vec<_>>().into_iter().chain([end]);
        let mut numbers = Renumbering::new(pool);
        let mut take_over = |whole: &mut Checker<'_>, numbers: &mut Renumbering| {
            numbers.take(marks.next().unwrap_or(end), &mut whole.pool);
        };
        take_over(whole, &mut numbers);
        for found in found {
            match found {
                Found::Rule(mut rule, place) => {
                    numbers.rule(&mut rule);
                    self.add(rule, place, sources);
                }
                Found::Refused(rejected) => self.report.reject(rejected),
                Found::PutOff(number, line, _) => {
                    if let Some(source) = sources.get(number) {
                        whole.file.clone_from(&source.name);
                        let mark = Mark::default();
                        self.take(read_line(whole, (number, source), line, mark), sources);
                    }
                    take_over(whole, &mut numbers);
                }
            }
        }
        self.report.rejected_beyond += beyond;
    }

    fn take(&mut self, found: Found<'_>, sources: &[Source]) {
        match found {
            Found::Rule(rule, place) => self.add(rule, place, sources),
            Found::Refused(rejected) => self.report.reject(rejected),
            // Only what is checked ahead is put off.
            Found::PutOff(..) => {}
        }
    }

    /// A second rule with the same gid and sid replaces the first when its rev is higher; the loser is reported.
    fn add(&mut self, mut rule: Rule, mut place: Place, sources: &[Source]) {
        let (gid, sid) = (rule.meta.gid, rule.meta.sid);
        let error = if self.rules.len() >= MAX_RULES {
            RuleError::conflict(format!("more than {MAX_RULES} rules"))
        } else {
            let at = *self.known.entry((gid, sid)).or_insert(self.rules.len());
            let (Some(known), Some(there)) = (self.rules.get_mut(at), self.places.get_mut(at))
            else {
                self.rules.push(rule);
                self.places.push(place);
                return;
            };
            if rule.meta.rev > known.meta.rev {
                std::mem::swap(known, &mut rule);
                std::mem::swap(there, &mut place);
            }
            RuleError::conflict("another rule has the same sid and the same or a higher rev")
        };
        let file = sources.get(place.source as usize).map(|source| source.name.clone());
        self.report.reject(Rejected {
            file: file.unwrap_or_default(),
            line: place.line,
            column: 1,
            sid: Some(sid),
            error,
        });
    }
}

fn checker<'a>((options, known): (&'a LoadOptions, &'a Known), pool: Pool) -> Checker<'a> {
    Checker {
        variables: &options.variables,
        support: options.support,
        pool,
        file: String::new(),
        read: options.read,
        known,
        apart: false,
        put_off: false,
    }
}

/// Cuts the files into pieces of about the same length, one for each thread, or several when they would be too long.
pub(super) fn cut(sources: &[Source], threads: usize, least: usize) -> Vec<Piece> {
    let all: usize = sources.iter().map(|source| source.text.len()).sum();
    let length = match threads {
        0 | 1 => usize::MAX,
        _ => {
            let rounds = all.div_ceil(threads * MAX_PIECE).max(1);
            all.div_ceil(threads * rounds).max(least).max(1)
        }
    };
    let mut pieces = Vec::new();
    let (mut piece, mut left) = (Piece::new(), length);
    for (number, source) in sources.iter().enumerate() {
        let text = source.text.as_slice();
        let (mut start, mut lines) = (0, 0);
        while text.len() - start >= left && text.len() <= Source::MAX_LEN {
            let end = parse::rule_start(text, start + left - 1);
            piece.push(Span { source: number, bytes: start..end, lines });
            pieces.push(std::mem::take(&mut piece));
            lines += narrow(memchr::memchr_iter(b'\n', &text[start..end]).count());
            (start, left) = (end, length);
        }
        // Of a file that is too long no more than says so.
        if start == 0 || start < text.len() {
            piece.push(Span { source: number, bytes: start..text.len(), lines });
            left = left.saturating_sub(text.len() - start).max(1);
        }
    }
    pieces.extend(Some(piece).filter(|piece| !piece.is_empty()));
    pieces
}

/// Checks a piece before those in front of it are.
fn read_ahead<'s>(
    sources: &'s [Source],
    options: (&LoadOptions, &Known),
    piece: &Piece,
) -> Apart<'s> {
    let mut checker = Checker { apart: true, ..checker(options, Pool::default()) };
    let text: usize = piece.iter().map(|span| span.bytes.len()).sum();
    let mut found = Vec::with_capacity((text / USUAL_RULE).min(MAX_RULES));
    let (mut refused, mut beyond) = (0, 0);
    each(&mut checker, sources, piece, |one| {
        let listed = match &one {
            Found::Refused(_) => {
                refused += 1;
                refused <= Report::MAX_LISTED
            }
            _ => true,
        };
        if listed { found.push(one) } else { beyond += 1 }
    });
    Apart { found, beyond, pool: checker.pool }
}

/// Hands on what each line of a piece gives.
fn each<'s>(
    checker: &mut Checker<'_>,
    sources: &'s [Source],
    piece: &[Span],
    mut take: impl FnMut(Found<'s>),
) {
    for span in piece {
        let Some(source) = sources.get(span.source) else { continue };
        if source.text.len() > Source::MAX_LEN {
            take(Found::Refused(too_long(source)));
            continue;
        }
        checker.file.clone_from(&source.name);
        for line in parse::lines_in(&source.text, span.bytes.clone(), span.lines) {
            let mark = if checker.apart { checker.pool.mark() } else { Mark::default() };
            take(read_line(checker, (span.source, source), line, mark));
        }
    }
}

/// What a line gives; `mark` is what was in the pool before it.
fn read_line<'s>(
    checker: &mut Checker<'_>,
    (number, source): (usize, &Source),
    line: parse::Line<'s>,
    mark: Mark,
) -> Found<'s> {
    match parse::rule(&line.text).and_then(|raw| checker.rule(&raw)) {
        Ok(rule) => {
            let place = Place {
                source: narrow(number),
                start: narrow(line.start),
                len: narrow(line.text.len()),
                line: line.number,
            };
            Found::Rule(rule, place)
        }
        Err(_) if std::mem::take(&mut checker.put_off) => Found::PutOff(number, line, mark),
        Err(located) => Found::Refused(rejected(source, &line, located)),
    }
}

/// A file that is not read at all.
pub(super) fn too_long(source: &Source) -> Rejected {
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
