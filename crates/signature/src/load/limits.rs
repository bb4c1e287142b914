//! The file of limits beside the rules (`threshold.config`): `threshold`, `rate_filter`, `suppress`.
//!
//! Lines are read after all rules and change those they name. What cannot be understood is reported with its place;
//! nothing is left out in silence.

use hashbrown::HashMap;

use super::{Rejected, Report, Source, narrow};
use crate::{
    Action,
    check::{
        AddressSet, Checker, Rule,
        rule::{CountBy, RateFilter, Suppress, SuppressBy, Threshold, ThresholdKind},
    },
    error::RuleError,
    parse,
};

/// Most suppressions of one rule by lines for all rules, and by its own.
const MAX_SUPPRESS: [usize; 2] = [64, 65_536];

/// Rules that a line is about; 0 stands for all.
#[derive(Debug, Clone, Copy)]
struct Whom {
    gid: u32,
    sid: u32,
}

/// What a line says.
enum Limit {
    Threshold(Threshold),
    Rate(RateFilter),
    Suppress(Suppress),
}

/// Reads the files and changes the rules.
pub(super) fn apply(
    sources: &[Source],
    rules: &mut [Rule],
    checker: &mut Checker<'_>,
    report: &mut Report,
) {
    let mut by_id: HashMap<(u32, u32), Vec<usize>, foldhash::fast::RandomState> =
        HashMap::default();
    for (at, rule) in rules.iter().enumerate() {
        by_id.entry((rule.meta.gid, rule.meta.sid)).or_default().push(at);
    }
    for source in sources {
        for line in parse::lines(&source.text) {
            let done = read(&line.text, checker).and_then(|(whom, limit)| {
                let named = by_id.get(&(whom.gid, whom.sid)).map(Vec::as_slice).unwrap_or_default();
                change(rules, whom, named, &limit)
            });
            if let Err(error) = done {
                report.reject(Rejected {
                    file: source.name.clone(),
                    line: narrow(line.number as usize),
                    column: 1,
                    sid: None,
                    error,
                });
            }
        }
    }
}

/// Puts a limit on the rules it names. A rule's own threshold stands before that of the file.
fn change(rules: &mut [Rule], whom: Whom, named: &[usize], limit: &Limit) -> Result<(), RuleError> {
    let one = |rule: &mut Rule, all: bool| match limit {
        Limit::Suppress(suppress) => {
            let most = if all { MAX_SUPPRESS[0] } else { MAX_SUPPRESS[1] };
            if rule.suppress.len() >= most {
                let what = format!("more than {most} suppressions of rule {}", rule.meta.sid);
                return Err(RuleError::conflict(what));
            }
            rule.suppress.push(*suppress);
            Ok(())
        }
        _ if rule.threshold.is_some() && all => Ok(()),
        _ if rule.threshold.is_some() => {
            Err(RuleError::conflict(format!("rule {} has a threshold of its own", rule.meta.sid)))
        }
        Limit::Threshold(threshold) => {
            rule.threshold = Some(*threshold);
            Ok(())
        }
        Limit::Rate(rate) => {
            rule.rate = Some(*rate);
            Ok(())
        }
    };
    if whom.sid != 0 && whom.gid != 0 {
        if named.is_empty() {
            return Err(RuleError::conflict(format!("no rule {}:{}", whom.gid, whom.sid)));
        }
        return named
            .iter()
            .try_for_each(|at| rules.get_mut(*at).map_or(Ok(()), |rule| one(rule, false)));
    }
    rules
        .iter_mut()
        .filter(|rule| whom.gid == 0 || rule.meta.gid == whom.gid)
        .try_for_each(|rule| one(rule, true))
}

fn read(text: &[u8], checker: &mut Checker<'_>) -> Result<(Whom, Limit), RuleError> {
    let bad = |why: &str| RuleError::value("limit", text, why);
    let text = str::from_utf8(text).map_err(|_| bad("not text"))?;
    // A comment may follow.
    let text = text.split_once('#').map_or(text, |(text, _)| text).trim();
    let (kind, rest) = text.split_once([' ', '\t']).ok_or_else(|| bad("not understood"))?;
    let mut words = Words::default();
    words.read(rest).ok_or_else(|| bad("not understood"))?;
    let number = |name: &str| {
        words.get(name).and_then(|value| value.parse::<u32>().ok()).ok_or_else(|| bad(name))
    };
    let whom = Whom { gid: number("gen_id")?, sid: number("sig_id")? };
    if whom.gid == 0 && whom.sid != 0 {
        return Err(bad("sig_id needs a gen_id"));
    }
    let by = |both: bool| match words.get("track") {
        Some("by_src") => Ok(CountBy::Src),
        Some("by_dst") => Ok(CountBy::Dst),
        Some("by_both") if both => Ok(CountBy::Both),
        Some("by_rule") if both => Ok(CountBy::Rule),
        Some("by_flow") if both => Ok(CountBy::Flow),
        _ => Err(bad("unknown track")),
    };
    let positive =
        |name: &str| number(name).and_then(|n| if n > 0 { Ok(n) } else { Err(bad(name)) });
    let limit = match kind {
        "threshold" | "event_filter" => Limit::Threshold(Threshold {
            kind: match words.get("type") {
                Some("limit") => ThresholdKind::Limit,
                Some("threshold") => ThresholdKind::Threshold,
                Some("both") => ThresholdKind::Both,
                _ => return Err(bad("unknown type")),
            },
            by: by(true)?,
            count: positive("count")?,
            seconds: positive("seconds")?,
            unique: None,
        }),
        "rate_filter" => Limit::Rate(RateFilter {
            by: by(true)?,
            count: positive("count")?,
            seconds: positive("seconds")?,
            timeout: number("timeout")?,
            action: match words.get("new_action") {
                Some("alert") => Action::Alert,
                Some("drop") => Action::Drop,
                Some("pass") => Action::Pass,
                Some("reject") => Action::Reject,
                _ => return Err(bad("unknown new_action")),
            },
        }),
        "suppress" => Limit::Suppress(match (words.get("track"), words.get("ip")) {
            (None, None) => Suppress { by: SuppressBy::Any, addresses: 0 },
            (Some(track), Some(addresses)) => Suppress {
                by: match track {
                    "by_src" => SuppressBy::Src,
                    "by_dst" => SuppressBy::Dst,
                    "by_either" => SuppressBy::Either,
                    _ => return Err(bad("unknown track")),
                },
                addresses: {
                    let set = AddressSet::read(addresses, checker.variables)?;
                    checker.pool.addresses.number(set)
                },
            },
            _ => return Err(bad("track and ip belong together")),
        }),
        _ => return Err(bad("expected threshold, rate_filter or suppress")),
    };
    Ok((whom, limit))
}

/// `name value` pairs between commas; lists of addresses have commas of their own.
#[derive(Default)]
struct Words<'t>(Vec<(&'t str, &'t str)>);

impl<'t> Words<'t> {
    fn read(&mut self, text: &'t str) -> Option<()> {
        let (mut depth, mut from) = (0_usize, 0);
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'[' => depth += 1,
                b']' => depth = depth.checked_sub(1)?,
                b',' if depth == 0 => {
                    self.pair(text.get(from..at)?)?;
                    from = at + 1;
                }
                _ => {}
            }
        }
        self.pair(text.get(from..)?)
    }

    fn pair(&mut self, text: &'t str) -> Option<()> {
        let (name, value) = text.trim().split_once([' ', '\t'])?;
        if self.get(name).is_some() {
            return None;
        }
        self.0.push((name, value.trim()));
        Some(())
    }

    fn get(&self, name: &str) -> Option<&'t str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests;
