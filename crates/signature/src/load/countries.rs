//! The database of countries (`geoip`): a MaxMind DB whose records have `country.iso_code`.
//!
//! It is read once, when rules are loaded, into stretches of addresses of one country: at run time no bytes of the
//! file are looked at. Source: MaxMind DB File Format Specification, version 2.0.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::num::NonZeroU16;

use hashbrown::HashMap;
use ipnet::IpNet;
use maxminddb::{MaxMindDbError, PathElement, Reader, WithinOptions};

use super::{Rejected, Report, Source};
use crate::{by_address::ByAddress, error::RuleError};

/// Most networks of a database.
const MAX_NETWORKS: u32 = 32_000_000;
/// Most networks for a node of its tree, on average. The tree may share branches, as those of IPv4 under several
/// networks of IPv6, but a small file must not stand for any number of networks.
const MAX_SHARED: u32 = 8;
/// Most stretches of one country of each IP version.
const MAX_STRETCHES: usize = 4_000_000;

/// A country by the two letters of its ISO 3166 code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Country(NonZeroU16);

impl Country {
    /// A code that is none of two letters: not the country of any rule.
    const OTHER: Self = Self(NonZeroU16::MAX);

    /// Two capital letters, or a capital letter and a digit as databases have for what is no country.
    pub(crate) fn new(code: &str) -> Option<Self> {
        match code.as_bytes() {
            [a @ b'A'..=b'Z', b @ (b'A'..=b'Z' | b'0'..=b'9')] => {
                NonZeroU16::new(u16::from_be_bytes([*a, *b])).map(Self)
            }
            _ => None,
        }
    }
}

/// Reads a database; one that cannot be used is reported.
pub(super) fn read(source: &Source, report: &mut Report) -> Option<ByAddress<Country>> {
    if source.text.len() > Source::MAX_LEN {
        report.reject(super::pieces::too_long(source));
        return None;
    }
    match countries(&source.text) {
        Ok(countries) => Some(countries),
        Err(why) => {
            report.reject(Rejected {
                file: source.name.clone(),
                line: 1,
                column: 1,
                sid: None,
                error: RuleError::conflict(format!("not a usable database of countries: {why}")),
            });
            None
        }
    }
}

fn countries(bytes: &[u8]) -> Result<ByAddress<Country>, String> {
    let damaged = |error: MaxMindDbError| error.to_string();
    let reader = Reader::from_source(bytes).map_err(damaged)?;
    // Everything is passed by, also what has no data or stands twice: only so is the number of steps bounded.
    let options =
        WithinOptions::default().include_networks_without_data().include_aliased_networks();
    let most = reader.metadata().node_count.saturating_mul(MAX_SHARED).min(MAX_NETWORKS);
    let mut out = ByAddress::default();
    let mut known: HashMap<usize, Option<Country>, foldhash::fast::RandomState> =
        HashMap::default();
    for (number, found) in (0..).zip(reader.networks(options).map_err(damaged)?) {
        if number >= most {
            return Err(format!("more than {most} networks"));
        }
        let found = found.map_err(damaged)?;
        // Networks share records.
        let country = match found.offset() {
            None => None,
            Some(at) => match known.get(&at) {
                Some(country) => *country,
                None => {
                    let path = [PathElement::Key("country"), PathElement::Key("iso_code")];
                    let code = found.decode_path::<&str>(&path).map_err(damaged)?;
                    let country = code.map(|code| Country::new(code).unwrap_or(Country::OTHER));
                    known.insert(at, country);
                    country
                }
            },
        };
        let network = found.network().map_err(damaged)?;
        match IpNet::new(network.ip(), network.prefix()).map_err(|error| error.to_string())? {
            IpNet::V4(net) => {
                out.v4.push((net.network().to_bits(), net.broadcast().to_bits()), country);
            }
            IpNet::V6(net) => {
                out.v6.push((net.network().to_bits(), net.broadcast().to_bits()), country);
            }
        }
        if out.v4.len().max(out.v6.len()) > MAX_STRETCHES {
            return Err(format!("more than {MAX_STRETCHES} stretches of addresses"));
        }
    }
    // A network that has all of IPv4 within it is one of IPv6.
    if out.v4.len() == 0 {
        out.v4.push((0, u32::MAX), out.v6.at(0));
    }
    if known.values().all(Option::is_none) {
        return Err("no record has country.iso_code; a Country or City database has".to_owned());
    }
    Ok(out)
}

#[cfg(test)]
pub(crate) mod tests;
