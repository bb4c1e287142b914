//! Tests on the values of one field: what is asked, and the answer for one value.
//!
//! The whole meaning of a predicate stands here; the index may only leave out what cannot be true.

use std::net::IpAddr;

use event::Timestamp;
use ipnet::IpNet;
use rsigma_parser::Modifier;

use crate::{pattern::Pattern, record::Scalar};

/// Order of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Order {
    pub(crate) const fn of(modifier: Modifier) -> Option<Self> {
        match modifier {
            Modifier::Gt => Some(Self::Greater),
            Modifier::Gte => Some(Self::GreaterOrEqual),
            Modifier::Lt => Some(Self::Less),
            Modifier::Lte => Some(Self::LessOrEqual),
            _ => None,
        }
    }

    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
        }
    }
}

/// Part of a point in time, UTC; weeks are those of ISO 8601.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Part {
    pub(crate) const fn of(modifier: Modifier) -> Option<Self> {
        match modifier {
            Modifier::Minute => Some(Self::Minute),
            Modifier::Hour => Some(Self::Hour),
            Modifier::Day => Some(Self::Day),
            Modifier::Week => Some(Self::Week),
            Modifier::Month => Some(Self::Month),
            Modifier::Year => Some(Self::Year),
            _ => None,
        }
    }

    fn from(self, time: Timestamp) -> Option<f64> {
        let civil = jiff::Timestamp::from_microsecond(time.micros())
            .ok()?
            .to_zoned(jiff::tz::TimeZone::UTC)
            .datetime();
        Some(match self {
            Self::Minute => f64::from(civil.minute()),
            Self::Hour => f64::from(civil.hour()),
            Self::Day => f64::from(civil.day()),
            Self::Week => f64::from(civil.date().iso_week_date().week()),
            Self::Month => f64::from(civil.month()),
            Self::Year => f64::from(civil.year()),
        })
    }
}

/// A question about the values of a field.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    /// The field is absent or null.
    Null,
    /// The field is present (or not).
    Exists(bool),
    /// A value fits a pattern, without regard to case unless `cased`.
    Text { pattern: Pattern, cased: bool },
    /// A value is this number, or its text.
    Number(f64),
    /// The expression is found in a value. The modifiers stand beside it because the expression does not
    /// tell them, and two tests are one only when nothing differs.
    Regex { regex: regex::Regex, flags: Flags },
    /// A value is an address of the network.
    Cidr(IpNet),
    /// A value is a number in this order to another.
    Compare(Order, f64),
    /// A part of a value that is a time.
    Time(Part, Option<Order>, f64),
    /// A value equals (or contains ...) a value of another field.
    Field { other: String, how: How, cased: bool },
}

/// Modifiers of a regular expression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// `i`
    pub(crate) ignore_case: bool,
    /// `m`
    pub(crate) multiline: bool,
    /// `s`
    pub(crate) dot_all: bool,
}

/// How the value of one field is compared with that of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Equals,
    Contains,
    StartsWith,
    EndsWith,
}

impl How {
    pub(crate) fn of(modifiers: &[Modifier]) -> Self {
        let has = |modifier| modifiers.contains(&modifier);
        if has(Modifier::Contains) {
            Self::Contains
        } else if has(Modifier::StartsWith) {
            Self::StartsWith
        } else if has(Modifier::EndsWith) {
            Self::EndsWith
        } else {
            Self::Equals
        }
    }

    pub(crate) fn holds(self, left: &str, right: &str) -> bool {
        match self {
            Self::Equals => left == right,
            Self::Contains => left.contains(right),
            Self::StartsWith => left.starts_with(right),
            Self::EndsWith => left.ends_with(right),
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Equals => "equals",
            Self::Contains => "contains",
            Self::StartsWith => "starts with",
            Self::EndsWith => "ends with",
        }
    }
}

impl Test {
    /// The answer for one value; `lowered` is its text in lower case. `Null`, `Exists` and `Field`
    /// ask about more than one value and are answered by the caller.
    pub(crate) fn holds(&self, value: &Scalar<'_>, lowered: &str) -> bool {
        match self {
            Self::Text { pattern, cased: false } => value.is_value() && pattern.matches(lowered),
            Self::Text { pattern, cased: true } => {
                value.text().is_some_and(|text| pattern.matches(&text))
            }
            Self::Regex { regex, .. } => value.text().is_some_and(|text| regex.is_match(&text)),
            Self::Number(wanted) => value.number().is_some_and(|number| same(number, *wanted)),
            Self::Cidr(network) => {
                value.text().and_then(|text| address(&text)).is_some_and(|ip| inside(network, ip))
            }
            Self::Compare(order, wanted) => {
                value.number().is_some_and(|number| order.holds(number, *wanted))
            }
            Self::Time(part, order, wanted) => value
                .text()
                .and_then(|text| text.parse().ok())
                .and_then(|time| part.from(time))
                .is_some_and(|found| match order {
                    None => same(found, *wanted),
                    Some(order) => order.holds(found, *wanted),
                }),
            Self::Null | Self::Exists(_) | Self::Field { .. } => false,
        }
    }

    /// In words, for explanations.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Null => "is absent".to_owned(),
            Self::Exists(true) => "is present".to_owned(),
            Self::Exists(false) => "is not present".to_owned(),
            Self::Text { pattern, cased } => {
                format!("{}{}", pattern.words(), if *cased { " (case counts)" } else { "" })
            }
            Self::Number(number) => format!("is {number}"),
            Self::Regex { regex, flags } => {
                let parts = [
                    (flags.ignore_case, "without letter case"),
                    (flags.multiline, "line by line"),
                    (flags.dot_all, "over lines"),
                ];
                let parts: Vec<&str> =
                    parts.into_iter().filter_map(|(set, words)| set.then_some(words)).collect();
                let how = if parts.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", parts.join(", "))
                };
                format!("fits the expression {:?}{how}", regex.as_str())
            }
            Self::Cidr(network) => format!("is in {network}"),
            Self::Compare(order, number) => format!("{} {number}", order.sign()),
            Self::Time(part, order, number) => {
                let sign = order.map_or("is", Order::sign);
                format!("has a {} that {sign} {number}", format!("{part:?}").to_lowercase())
            }
            Self::Field { other, how, .. } => format!("{} the field {other}", how.words()),
        }
    }
}

#[expect(clippy::float_cmp, reason = "rules name exact numbers")]
fn same(left: f64, right: f64) -> bool {
    left == right
}

fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or(text);
    bare.parse().ok()
}

/// IPv4 networks also hold addresses written as IPv4 in IPv6.
fn inside(network: &IpNet, address: IpAddr) -> bool {
    match (network, address) {
        (IpNet::V4(_), IpAddr::V6(six)) => {
            six.to_ipv4_mapped().is_some_and(|four| network.contains(&IpAddr::V4(four)))
        }
        _ => network.contains(&address),
    }
}

/// Appends the text in lower case, each character on its own: a part of a text is lowered to a part of
/// the lowered text (which `str::to_lowercase` does not promise, for the sake of the Greek sigma).
pub(crate) fn push_lower(out: &mut String, text: &str) {
    let start = out.len();
    if text.is_ascii() {
        out.push_str(text);
        if let Some(added) = out.get_mut(start..) {
            added.make_ascii_lowercase();
        }
    } else {
        out.extend(text.chars().flat_map(char::to_lowercase));
    }
}

/// Text in lower case, character by character.
pub(crate) fn lower(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_lower(&mut out, text);
    out
}
