//! The filter language of `select`, `of`, `to` and `where`.
//!
//! A map is a conjunction of tests `field|operator: value`; a list of values is a disjunction.
//! `not:` and `any:` take a map or a list of maps. Texts compare without regard to ASCII case.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::view::{self, EventView};

/// A compiled filter: all tests must hold. The empty one holds for every event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    pub(crate) tests: Vec<Test>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Field {
        name: String,
        op: Op,
    },
    /// None of them holds.
    Not(Vec<Filter>),
    /// At least one of them holds.
    Any(Vec<Filter>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    Equals(Vec<Scalar>),
    Text(TextOp, Vec<String>),
    Cidr(Vec<IpNet>),
    Number(NumberOp, f64),
    Exists(bool),
    /// Inside the home networks, or outside.
    Inside {
        nets: Vec<IpNet>,
        wanted: bool,
    },
}

/// A value to be equal to: its text in lower case, and its number when it is one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) number: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextOp {
    Contains,
    StartsWith,
    EndsWith,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberOp {
    Gt,
    Gte,
    Lt,
    Lte,
}

impl Filter {
    /// Whether all tests hold.
    #[must_use]
    pub fn matches(&self, view: &EventView<'_>) -> bool {
        self.tests.iter().all(|test| test.matches(view))
    }

    /// The event types it is limited to by a plain `event_type` test, else `None`.
    pub(crate) fn kinds(&self) -> Option<impl Iterator<Item = &str>> {
        self.tests.iter().find_map(|test| match test {
            Test::Field { name, op: Op::Equals(values) } if name == "event_type" => {
                Some(values.iter().map(|value| value.text.as_str()))
            }
            _ => None,
        })
    }
}

impl Test {
    fn matches(&self, view: &EventView<'_>) -> bool {
        match self {
            Self::Field { name, op: Op::Exists(wanted) } => {
                view.any(name, &mut |_| true) == *wanted
            }
            Self::Field { name, op } => view.any(name, &mut |value| op.holds(&value)),
            Self::Not(filters) => !filters.iter().any(|filter| filter.matches(view)),
            Self::Any(filters) => filters.iter().any(|filter| filter.matches(view)),
        }
    }
}

impl Op {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Equals(wanted) => wanted.iter().any(|scalar| scalar.equals(value)),
            Self::Text(op, needles) => view::text(value).is_some_and(|text| {
                let text = text.to_ascii_lowercase();
                needles.iter().any(|needle| op.holds(&text, needle))
            }),
            Self::Cidr(nets) => address(value).is_some_and(|ip| within(nets, ip)),
            Self::Inside { nets, wanted } => {
                address(value).is_some_and(|ip| within(nets, ip) == *wanted)
            }
            Self::Number(op, limit) => view::number(value).is_some_and(|n| match op {
                NumberOp::Gt => n > *limit,
                NumberOp::Gte => n >= *limit,
                NumberOp::Lt => n < *limit,
                NumberOp::Lte => n <= *limit,
            }),
            Self::Exists(wanted) => *wanted,
        }
    }
}

impl TextOp {
    fn holds(self, text: &str, needle: &str) -> bool {
        match self {
            Self::Contains => text.contains(needle),
            Self::StartsWith => text.starts_with(needle),
            Self::EndsWith => text.ends_with(needle),
        }
    }
}

impl Scalar {
    fn equals(&self, value: &Value) -> bool {
        if let (Some(wanted), Value::Number(found)) = (self.number, value) {
            return found.as_f64() == Some(wanted);
        }
        view::text(value).is_some_and(|text| text.eq_ignore_ascii_case(&self.text))
    }
}

fn address(value: &Value) -> Option<IpAddr> {
    value.as_str()?.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

fn within(nets: &[IpNet], ip: IpAddr) -> bool {
    nets.iter().any(|net| net.contains(&ip))
}
