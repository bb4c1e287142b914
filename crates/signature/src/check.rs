//! Raw options to meaning: a [`Rule`] that is evaluated in full, or an error that names the keyword.
//!
//! Nothing is ignored silently: a keyword, value or combination without a full evaluation refuses the rule.

mod address;
mod address_test;
mod app;
mod builder;
mod bytes;
pub(crate) mod classification;
mod content;
pub(crate) mod dataset;
pub(crate) mod dcerpc;
mod file;
mod finish;
mod frame;
mod header;
mod hint;
mod krb5;
mod layers;
mod list;
mod lists;
mod meta;
mod number;
mod packet;
pub(crate) mod pcre;
pub(crate) mod pool;
mod protocol;
pub(crate) mod ranges;
pub(crate) mod renumber;
pub(crate) mod rule;
mod snmp;
mod state;
mod transform;
pub(crate) mod vars;

pub(crate) use address::AddressSet;
pub(crate) use bytes::MAX_VALUES;
pub(crate) use rule::Rule;

use crate::{
    Support, Variables,
    check::{builder::Builder, pool::Pool},
    error::Located,
    load::Categories,
    parse::RawRule,
};

/// What checking needs to know, and what all rules share.
#[derive(Debug)]
pub(crate) struct Checker<'a> {
    pub(crate) variables: &'a Variables,
    pub(crate) support: Support,
    pub(crate) pool: Pool,
    /// The rule file at hand.
    pub(crate) file: String,
    /// Reads files that rules name.
    pub(crate) read: Option<crate::ReadFile>,
    /// What is known of addresses.
    pub(crate) known: &'a Known,
    /// Whether this is one of several that check parts of the rules at the same time. Such a one knows no data sets: what
    /// a rule says of them depends on the rules before it.
    pub(crate) apart: bool,
    /// The rule at hand was refused for no other reason than that.
    pub(crate) put_off: bool,
}

/// What is known of addresses, as far as rules must be checked against it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) categories: Categories,
    /// There are files of scores.
    pub(crate) has_scores: bool,
    /// There is a usable database of countries.
    pub(crate) has_countries: bool,
}

impl Checker<'_> {
    /// Content of a file that the rule at hand names.
    pub(crate) fn read_file(&self, name: &str, limit: u64) -> std::io::Result<Vec<u8>> {
        let missing = || std::io::Error::new(std::io::ErrorKind::Unsupported, "no files are read");
        self.read.ok_or_else(missing)?(&self.file, name, limit)
    }

    /// Gives a raw rule its meaning.
    pub(crate) fn rule(&mut self, raw: &RawRule<'_>) -> Result<Rule, Located> {
        // What the rule says of who it is for comes before what it says.
        for option in raw.options.iter().filter(|option| option.name == "requires") {
            app::requires(option.value).map_err(|error| error.at(option.offset))?;
        }
        let mut builder = Builder::new(self, &raw.header).map_err(|error| error.at(0))?;
        for option in &raw.options {
            // The number of buffers at once, before a rule of thousands costs their square.
            builder
                .option(option)
                .and_then(|()| finish::few_blocks(&builder))
                .map_err(|error| error.at(option.offset))?;
        }
        builder.finish().map_err(|error| error.at(0))
    }
}

#[cfg(test)]
mod error_buffer_tests;
#[cfg(test)]
mod error_tests;
#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod tests;
