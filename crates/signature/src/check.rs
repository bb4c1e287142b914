//! Raw options to meaning: a [`Rule`] that is evaluated in full, or an error that names the keyword.
//!
//! Nothing is ignored silently: a keyword, value or combination without a full evaluation refuses the rule.

mod address;
mod builder;
mod bytes;
pub(crate) mod classification;
mod content;
mod finish;
mod header;
mod hint;
mod list;
mod meta;
mod number;
mod packet;
pub(crate) mod pcre;
pub(crate) mod pool;
mod protocol;
pub(crate) mod ranges;
pub(crate) mod rule;
mod state;
pub(crate) mod vars;

pub(crate) use address::AddressSet;
pub(crate) use bytes::MAX_VALUES;
pub(crate) use rule::Rule;

use crate::{
    Support, Variables,
    check::{builder::Builder, pool::Pool},
    error::Located,
    parse::RawRule,
};

/// What checking needs to know, and what all rules share.
#[derive(Debug)]
pub(crate) struct Checker<'a> {
    pub(crate) variables: &'a Variables,
    pub(crate) support: Support,
    pub(crate) pool: Pool,
}

impl Checker<'_> {
    /// Gives a raw rule its meaning.
    pub(crate) fn rule(&mut self, raw: &RawRule<'_>) -> Result<Rule, Located> {
        let mut builder = Builder::new(self, &raw.header).map_err(|error| error.at(0))?;
        for option in &raw.options {
            builder.option(option).map_err(|error| error.at(option.offset))?;
        }
        builder.finish().map_err(|error| error.at(0))
    }
}

#[cfg(test)]
mod error_tests;
#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod tests;
