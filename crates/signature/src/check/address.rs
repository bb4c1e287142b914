//! Addresses and ports of rule headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    check::{list::Reader, ranges::Ranges, vars::Variables},
    error::RuleError,
};

/// Addresses of both IP versions in one number line: IPv4 as `::ffff:a.b.c.d` mapped values would collide with
/// real mapped traffic, so version 4 is kept apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AddressSet {
    pub(crate) v4: Ranges<u32>,
    pub(crate) v6: Ranges<u128>,
}

impl AddressSet {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.v4.contains(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.contains(v6.to_bits()),
        }
    }

    /// What the address field of a header means.
    pub(crate) fn read(text: &str, variables: &Variables) -> Result<Self, RuleError> {
        // Each version is a number line of its own; an entry of the other version is an empty range in it.
        let v4 = Reader { keyword: "address", variables, leaf: &leaf_v4 };
        let v6 = Reader { keyword: "address", variables, leaf: &leaf_v6 };
        match (v4.read(text), v6.read(text)) {
            (Ok(v4), Ok(v6)) => Ok(Self { v4, v6 }),
            (Ok(v4), Err(_)) if is_nothing(&v6, text) => {
                Ok(Self { v4, v6: Ranges::new(Vec::new()) })
            }
            (Err(_), Ok(v6)) if is_nothing(&v4, text) => {
                Ok(Self { v4: Ranges::new(Vec::new()), v6 })
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }
}

/// True when `text` is well formed and only leaves nothing for this version.
fn is_nothing<T: super::ranges::Step>(reader: &Reader<'_, T>, text: &str) -> bool {
    matches!(reader.read(text), Err(RuleError::BadValue { why, .. }) if why == "nothing can match this")
}

fn bounds(text: &str) -> Option<(IpAddr, IpAddr)> {
    if let Some((low, high)) = text.split_once('-') {
        return Some((low.trim().parse().ok()?, high.trim().parse().ok()?));
    }
    if let Some((address, mask)) = text.split_once('/') {
        let address: IpAddr = address.trim().parse().ok()?;
        let prefix = match (mask.trim().parse::<u8>(), mask.trim().parse::<Ipv4Addr>()) {
            (Ok(prefix), _) => prefix,
            // Ones, then zeros: anything else is no network.
            (_, Ok(mask)) if mask.to_bits().leading_ones() == mask.to_bits().count_ones() => {
                u8::try_from(mask.to_bits().count_ones()).ok()?
            }
            _ => return None,
        };
        let network = ipnet::IpNet::new(address, prefix).ok()?;
        return Some((network.network(), network.broadcast()));
    }
    let one: IpAddr = text.parse().ok()?;
    Some((one, one))
}

fn leaf_v4(text: &str) -> Option<Ranges<u32>> {
    match bounds(text)? {
        (IpAddr::V4(low), IpAddr::V4(high)) if low <= high => {
            Some(Ranges::new(vec![(low.to_bits(), high.to_bits())]))
        }
        (IpAddr::V6(_), IpAddr::V6(_)) => Some(Ranges::new(Vec::new())),
        _ => None,
    }
}

fn leaf_v6(text: &str) -> Option<Ranges<u128>> {
    match bounds(text)? {
        (IpAddr::V6(low), IpAddr::V6(high)) if low <= high => {
            Some(Ranges::new(vec![(Ipv6Addr::to_bits(low), Ipv6Addr::to_bits(high))]))
        }
        (IpAddr::V4(_), IpAddr::V4(_)) => Some(Ranges::new(Vec::new())),
        _ => None,
    }
}

/// What the port field of a header means.
pub(crate) fn read_ports(text: &str, variables: &Variables) -> Result<Ranges<u16>, RuleError> {
    Reader { keyword: "port", variables, leaf: &leaf_port }.read(text)
}

fn leaf_port(text: &str) -> Option<Ranges<u16>> {
    let number = |text: &str| -> Option<u16> {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
    };
    let (low, high) = match text.split_once(':') {
        Some((low, high)) => (
            if low.trim().is_empty() { 0 } else { number(low.trim())? },
            if high.trim().is_empty() { u16::MAX } else { number(high.trim())? },
        ),
        None => {
            let one = number(text)?;
            (one, one)
        }
    };
    (low <= high).then(|| Ranges::new(vec![(low, high)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str, probes: &[(&str, bool)]) {
        let set = AddressSet::read(text, &Variables::default()).unwrap();
        for (probe, expected) in probes {
            assert_eq!(set.contains(probe.parse().unwrap()), *expected, "{text} {probe}");
        }
    }

    #[test]
    fn addresses() {
        address("any", &[("1.2.3.4", true), ("::1", true)]);
        address("$HOME_NET", &[("10.1.1.1", true), ("8.8.8.8", false), ("::1", false)]);
        address("$EXTERNAL_NET", &[("10.1.1.1", false), ("8.8.8.8", true), ("::1", true)]);
        address(
            "[$EXTERNAL_NET,!255.255.255.255]",
            &[("255.255.255.255", false), ("10.0.0.1", false), ("9.9.9.9", true)],
        );
        address(
            "[10.0.0.0/8,![10.1.0.0/16,10.2.0.1]]",
            &[("10.1.9.9", false), ("10.2.0.1", false), ("10.2.0.2", true)],
        );
        address("1.1.1.1-1.1.1.3", &[("1.1.1.2", true), ("1.1.1.4", false)]);
        address("10.0.0.0/255.0.0.0", &[("10.9.9.9", true)]);
        address(
            "2001:db8::/32",
            &[("2001:db8::5", true), ("2001:db9::5", false), ("1.1.1.1", false)],
        );
        for bad in ["!any", "[1.2.3.4", "1.2.3", "$NO_SUCH", "!!1.2.3.4", "1.2.3.4/33", "[]"] {
            assert!(AddressSet::read(bad, &Variables::default()).is_err(), "{bad}");
        }
        let mut looped = Variables::default();
        looped.set("A", "$A");
        assert!(AddressSet::read("$A", &looped).is_err());
    }

    #[test]
    fn ports() {
        let check = |text: &str, probe: u16| {
            read_ports(text, &Variables::default()).unwrap().contains(probe)
        };
        assert!(check("any", 0) && check("1024:", 65535) && !check("1024:", 1023));
        assert!(
            check(":80", 0)
                && !check("!80", 80)
                && check("[80:90,!85]", 84)
                && !check("[80:90,!85]", 85)
        );
        assert!(check("$HTTP_PORTS", 80) && !check("$SHELLCODE_PORTS", 80));
        for bad in ["90:80", "65536", "x", "!any", "[80,]"] {
            assert!(read_ports(bad, &Variables::default()).is_err(), "{bad}");
        }
    }
}
