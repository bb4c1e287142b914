//! What rules ask of what is known about addresses.

use std::net::IpAddr;

use crate::load::Country;

/// Which ends of the data are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    Src,
    Dst,
    /// One of them is enough.
    Any,
    Both,
}

impl Ends {
    /// Whether a test of an address holds for sender and receiver.
    pub(crate) fn hold(self, src: IpAddr, dst: IpAddr, test: impl Fn(IpAddr) -> bool) -> bool {
        match self {
            Self::Src => test(src),
            Self::Dst => test(dst),
            Self::Any => test(src) || test(dst),
            Self::Both => test(src) && test(dst),
        }
    }
}

/// `geoip`: whether an address is in one of the countries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CountryTest {
    pub(crate) ends: Ends,
    pub(crate) negated: bool,
    pub(crate) codes: Box<[Country]>,
}

impl CountryTest {
    /// An address of no known country fulfils neither the test nor its negation.
    pub(crate) fn holds(&self, country: Option<Country>) -> bool {
        country.is_some_and(|country| self.codes.contains(&country) != self.negated)
    }
}
