//! Files of reputations (`iprep`): names of categories, and scores of hosts and networks in them.
//!
//! Categories: `id,short name,description`. Scores: `address or network,category id,score`, all lines of all files
//! together. Source: Suricata user guide, "IP Reputation Format". A line that cannot be understood is reported with
//! its place, the others count.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{net::IpAddr, num::NonZeroU8};

use hashbrown::HashMap;
use ipnet::IpNet;

use super::{Rejected, Report, Source, narrow};
use crate::{
    by_address::{ByAddress, Network, Stretches},
    error::RuleError,
};

/// Largest number of a category; 0 is none.
const MAX_CATEGORY: u8 = 59;
/// Longest short name of a category, bytes.
const MAX_NAME: usize = 31;
/// Highest score.
const MAX_SCORE: u8 = 127;
/// Longest line, bytes.
const MAX_LINE: usize = 8_192;
/// Most scores of all files together.
const MAX_SCORES: usize = 4_000_000;

/// Numbers of categories by their short names.
#[derive(Debug, Default)]
pub(crate) struct Categories {
    by_name: HashMap<Box<str>, u8, foldhash::fast::RandomState>,
    /// A bit for each number.
    numbers: u64,
    /// Name of the file, when there is one.
    pub(crate) file: Option<Box<str>>,
}

impl Categories {
    pub(crate) fn number(&self, name: &str) -> Option<u8> {
        self.by_name.get(name).copied()
    }

    /// All short names, in order.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.by_name.keys().map(AsRef::as_ref).collect();
        names.sort_unstable();
        names
    }

    fn has(&self, number: u8) -> bool {
        has_bit(self.numbers, number)
    }
}

fn has_bit(bits: u64, number: u8) -> bool {
    bits.checked_shr(u32::from(number)).unwrap_or(0) & 1 != 0
}

/// A score as it is kept: one more than it is, so that none takes no room of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Score(NonZeroU8);

impl Score {
    fn new(score: u8) -> Option<Self> {
        score.checked_add(1).and_then(NonZeroU8::new).map(Self)
    }

    pub(crate) fn get(self) -> u64 {
        u64::from(self.0.get()).saturating_sub(1)
    }
}

/// Scores by category; of categories that no rule names there are none.
pub(crate) type Scores = Vec<ByAddress<Score>>;

/// Reads the names of categories.
pub(super) fn categories(source: &Source, report: &mut Report) -> Categories {
    let mut categories =
        Categories { file: Some(source.name.as_str().into()), ..Default::default() };
    each_line(source, report, |line| {
        let mut fields = line.fields();
        let number = number(fields.next(), "category id", (1, MAX_CATEGORY))?;
        let name = fields.next().filter(|name| !name.text.is_empty());
        let name =
            name.ok_or_else(|| line.bad(line.end(), "expected id,short name,description"))?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if !name.text.bytes().all(plain) || name.text.len() > MAX_NAME {
            let why = format!("short names are up to {MAX_NAME} letters, digits, _ and -");
            return Err(name.bad(why));
        }
        if categories.has(number) || categories.by_name.contains_key(name.text) {
            return Err(line.bad(1, "the id or short name is on a line before"));
        }
        categories.by_name.insert(name.text.into(), number);
        categories.numbers |= 1_u64.checked_shl(u32::from(number)).unwrap_or(0);
        Ok(())
    });
    categories
}

/// Reads the scores, keeping those of the categories in `used` (a bit for each number).
pub(super) fn scores(
    sources: &[Source],
    categories: &Categories,
    used: u64,
    report: &mut Report,
) -> Scores {
    at_most(MAX_SCORES, sources, (categories, used), report)
}

fn at_most(
    most: usize,
    sources: &[Source],
    kept: (&Categories, u64),
    report: &mut Report,
) -> Scores {
    let ((categories, used), mut room) = (kept, most);
    let mut v4: Vec<Vec<Network<u32, Score>>> = Vec::new();
    let mut v6: Vec<Vec<Network<u128, Score>>> = Vec::new();
    v4.resize_with(usize::from(MAX_CATEGORY).saturating_add(1), Vec::new);
    v6.resize_with(usize::from(MAX_CATEGORY).saturating_add(1), Vec::new);
    for source in sources {
        each_line(source, report, |line| {
            let Some((network, host, category, score)) = entry(line, categories)? else {
                return Ok(());
            };
            room = room
                .checked_sub(1)
                .ok_or_else(|| line.bad(1, format!("more than {most} scores in all files")))?;
            if !has_bit(used, category) {
                return Ok(());
            }
            let (category, host_rank) = (usize::from(category), u8::from(host));
            let rank = network.prefix_len().saturating_add(host_rank);
            match network {
                IpNet::V4(net) => {
                    let range = (net.network().to_bits(), net.broadcast().to_bits());
                    let one = Network { range, rank, replaces: host, value: score };
                    v4.get_mut(category).into_iter().for_each(|list| list.push(one));
                }
                IpNet::V6(net) => {
                    let range = (net.network().to_bits(), net.broadcast().to_bits());
                    let one = Network { range, rank, replaces: host, value: score };
                    v6.get_mut(category).into_iter().for_each(|list| list.push(one));
                }
            }
            Ok(())
        });
    }
    let both = v4.into_iter().zip(v6);
    both.map(|(v4, v6)| ByAddress {
        v4: Stretches::of_networks(v4),
        v6: Stretches::of_networks(v6),
    })
    .collect()
}

/// Network, whether it is a single host, category and score; `None` for the line of titles that some lists have.
type Entry = Option<(IpNet, bool, u8, Score)>;

fn entry(line: &Line<'_>, categories: &Categories) -> Result<Entry, Bad> {
    let mut fields = line.fields();
    let first = fields.next().unwrap_or(Field { text: "", column: 1 });
    if first.text == "ip" {
        return Ok(None);
    }
    let address = match first.text.split_once('/') {
        Some((address, prefix)) => address.parse::<IpAddr>().ok().and_then(|address| {
            let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
            let prefix = prefix.parse().ok().filter(|_| digits)?;
            Some((IpNet::new(address, prefix).ok()?.trunc(), false))
        }),
        None => first.text.parse::<IpAddr>().ok().map(|address| (IpNet::from(address), true)),
    };
    let (network, host) =
        address.ok_or_else(|| first.bad("expected an address, or a network as 192.0.2.0/24"))?;
    let field = fields.next();
    let column = field.as_ref().map_or(1, |field| field.column);
    let category =
        number(field, "category id", (1, MAX_CATEGORY)).map_err(|bad| line.or_end(bad))?;
    if !categories.has(category) {
        let file = categories.file.as_deref().unwrap_or("the categories file");
        return Err(line.bad(column, format!("no category {category} in {file}: name it there")));
    }
    let score = number(fields.next(), "score", (0, MAX_SCORE)).map_err(|bad| line.or_end(bad))?;
    if let Some(more) = fields.next() {
        return Err(more.bad("more than address,category id,score"));
    }
    let score = Score::new(score).ok_or_else(|| line.bad(1, "the score is too high"))?;
    Ok(Some((network, host, category, score)))
}

/// What is wrong, and where in the line; column 0 stands for its end.
struct Bad {
    column: usize,
    value: String,
    why: String,
}

/// One field of a line, without blanks around it.
struct Field<'l> {
    text: &'l str,
    /// From 1, in bytes.
    column: usize,
}

impl Field<'_> {
    fn bad(&self, why: impl Into<String>) -> Bad {
        Bad { column: self.column, value: self.text.to_owned(), why: why.into() }
    }
}

/// A number within bounds, both included.
fn number(field: Option<Field<'_>>, what: &str, bounds: (u8, u8)) -> Result<u8, Bad> {
    let (low, high) = bounds;
    let why = format!("expected a {what} from {low} to {high}");
    let Some(field) = field else {
        return Err(Bad { column: 0, value: String::new(), why });
    };
    let digits = !field.text.is_empty() && field.text.bytes().all(|byte| byte.is_ascii_digit());
    let number = field.text.parse::<u8>().ok().filter(|_| digits);
    number.filter(|number| (low..=high).contains(number)).ok_or_else(|| field.bad(why))
}

/// A line that says something.
struct Line<'f> {
    text: &'f str,
}

impl Line<'_> {
    fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        let mut from = 0_usize;
        self.text.split(',').map(move |part| {
            let blanks = part.len().saturating_sub(part.trim_start().len());
            let column = from.saturating_add(blanks).saturating_add(1);
            from = from.saturating_add(part.len()).saturating_add(1);
            Field { text: part.trim(), column }
        })
    }

    /// The column behind it.
    fn end(&self) -> usize {
        self.text.len().saturating_add(1)
    }

    fn bad(&self, column: usize, why: impl Into<String>) -> Bad {
        Bad { column, value: self.text.trim().to_owned(), why: why.into() }
    }

    /// What is missing is missing at the end.
    fn or_end(&self, bad: Bad) -> Bad {
        if bad.column == 0 { self.bad(self.end(), bad.why) } else { bad }
    }
}

/// Reads the lines of a file; those that are wrong are reported.
fn each_line(
    source: &Source,
    report: &mut Report,
    mut read: impl FnMut(&Line<'_>) -> Result<(), Bad>,
) {
    if source.text.len() > Source::MAX_LEN {
        report.reject(super::pieces::too_long(source));
        return;
    }
    // A mark of the encoding that some editors write is no part of the first line.
    let text = source.text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&source.text);
    for (number, bytes) in text.split(|byte| *byte == b'\n').enumerate() {
        let bytes = bytes.trim_ascii_end();
        if matches!(bytes.trim_ascii_start().first(), None | Some(b'#')) {
            continue;
        }
        let whole = |why: String| Bad {
            column: 1,
            value: String::from_utf8_lossy(bytes.get(..MAX_LINE).unwrap_or(bytes)).into_owned(),
            why,
        };
        let done = if bytes.len() > MAX_LINE {
            Err(whole(format!("more than {MAX_LINE} bytes in one line")))
        } else {
            match str::from_utf8(bytes) {
                Ok(text) => {
                    let line = Line { text };
                    read(&line).map_err(|bad| line.or_end(bad))
                }
                Err(_) => Err(whole("not text".to_owned())),
            }
        };
        if let Err(bad) = done {
            report.reject(Rejected {
                file: source.name.clone(),
                line: narrow(number.saturating_add(1)),
                column: narrow(bad.column),
                sid: None,
                error: RuleError::value("reputation", bad.value.as_bytes(), bad.why),
            });
        }
    }
}

#[cfg(test)]
mod tests;
