//! What hosts do where fragments or segments overlap, by operating system.
//!
//! The rules are those measured by Novak and Sturges, "Target-Based Fragmentation Reassembly" (2005)
//! and "Target-Based TCP Stream Reassembly" (2007). Who receives decides: [`HostPolicies`] says which
//! system an address has.

use std::net::IpAddr;
use std::sync::Arc;

/// Operating systems by how they treat overlaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the systems are known by these names")]
pub enum OsPolicy {
    #[default]
    Bsd,
    BsdRight,
    OldLinux,
    Linux,
    OldSolaris,
    Solaris,
    Hpux10,
    Hpux11,
    Irix,
    MacOs,
    Windows,
    Vista,
    Windows2k3,
    First,
    Last,
}

/// First byte and the byte after the last one.
pub(crate) type Extent = (u64, u64);

impl OsPolicy {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("bsd", Self::Bsd),
        ("bsd-right", Self::BsdRight),
        ("bsd_right", Self::BsdRight),
        ("old-linux", Self::OldLinux),
        ("linux", Self::Linux),
        ("old-solaris", Self::OldSolaris),
        ("solaris", Self::Solaris),
        ("hpux10", Self::Hpux10),
        ("hpux11", Self::Hpux11),
        ("irix", Self::Irix),
        ("macos", Self::MacOs),
        ("windows", Self::Windows),
        ("vista", Self::Vista),
        ("windows2k3", Self::Windows2k3),
        ("first", Self::First),
        ("last", Self::Last),
    ];

    /// By its name in settings.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, policy)| *policy)
    }

    /// Whether a later fragment takes the place of an earlier one where both have bytes.
    pub(crate) fn fragment_replaces(self, old: Extent, new: Extent) -> bool {
        match self {
            Self::Bsd | Self::Hpux10 | Self::Irix => new.0 < old.0,
            Self::BsdRight => new.0 >= old.0,
            Self::OldLinux | Self::Linux => new.0 <= old.0,
            Self::Windows | Self::Vista | Self::Windows2k3 => new.0 < old.0 && new.1 > old.1,
            Self::Solaris | Self::OldSolaris => new.0 < old.0 && new.1 >= old.1,
            Self::First | Self::MacOs | Self::Hpux11 => false,
            Self::Last => true,
        }
    }

    /// Whether a later segment takes the place of an earlier one where both have bytes.
    pub(crate) fn segment_replaces(self, old: Extent, new: Extent) -> bool {
        match self {
            Self::Bsd
            | Self::BsdRight
            | Self::Hpux10
            | Self::Irix
            | Self::MacOs
            | Self::Windows
            | Self::Windows2k3
            | Self::OldSolaris => new.0 < old.0,
            Self::OldLinux => new.0 <= old.0,
            Self::Linux => new.0 < old.0 || (new.0 == old.0 && new.1 > old.1),
            Self::Solaris | Self::Hpux11 => new.1 >= old.1,
            Self::First | Self::Vista => false,
            Self::Last => true,
        }
    }

    /// Whether the same bytes sent again could take the place of those seen first: then nothing may
    /// be given out before the receiver has acknowledged it.
    pub(crate) fn prefers_copies(self) -> bool {
        self.segment_replaces((0, 1), (0, 1))
    }
}

/// One network and its system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
    policy: OsPolicy,
}

/// Systems by network; addresses in none have [`OsPolicy::Bsd`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPolicies(Option<Arc<Vec<Network>>>);

impl HostPolicies {
    /// Adds a network written as `10.0.0.0/8`, `2001:db8::/32` or a lone address; false when it is
    /// none.
    pub fn add(&mut self, network: &str, policy: OsPolicy) -> bool {
        let (address, prefix) = match network.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (network.trim(), None),
        };
        let Ok(address) = address.parse::<IpAddr>() else { return false };
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let Ok(prefix) = prefix.map_or(Ok(longest), str::parse) else { return false };
        if prefix > longest {
            return false;
        }
        let networks = Arc::make_mut(self.0.get_or_insert_default());
        networks.push(Network { address, prefix, policy });
        // The narrowest network that holds an address is found first.
        networks.sort_by_key(|network| std::cmp::Reverse(network.prefix));
        true
    }

    /// The system of an address.
    #[must_use]
    pub fn of(&self, address: IpAddr) -> OsPolicy {
        let Some(networks) = &self.0 else { return OsPolicy::Bsd };
        let found = networks.iter().find(|network| network.contains(address));
        found.map_or(OsPolicy::Bsd, |network| network.policy)
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        let (mine, theirs, width) = match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (u128::from(a.to_bits()), u128::from(b.to_bits()), 32u32)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        let differ = mine ^ theirs;
        differ.checked_shr(width.saturating_sub(self.prefix)).unwrap_or(0) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_network_decides() {
        let mut hosts = HostPolicies::default();
        assert!(hosts.add("10.0.0.0/8", OsPolicy::Linux));
        assert!(hosts.add("10.1.0.0/16", OsPolicy::Windows));
        assert!(hosts.add("10.1.2.3", OsPolicy::Solaris));
        assert!(hosts.add("2001:db8::/32", OsPolicy::Last));
        assert!(!hosts.add("10.0.0.0/33", OsPolicy::Last));
        assert!(!hosts.add("example", OsPolicy::Last));
        for (address, expected) in [
            ("10.2.0.1", OsPolicy::Linux),
            ("10.1.0.1", OsPolicy::Windows),
            ("10.1.2.3", OsPolicy::Solaris),
            ("11.0.0.1", OsPolicy::Bsd),
            ("2001:db8::1", OsPolicy::Last),
            ("2001:db9::1", OsPolicy::Bsd),
        ] {
            assert_eq!(hosts.of(address.parse().unwrap()), expected, "{address}");
        }
        let mut all = HostPolicies::default();
        assert!(all.add("0.0.0.0/0", OsPolicy::First));
        assert_eq!(all.of("192.0.2.1".parse().unwrap()), OsPolicy::First);
        assert_eq!(all.of("::1".parse().unwrap()), OsPolicy::Bsd);
    }

    /// Old piece 8..16; new pieces around it.
    #[test]
    fn fragments_as_measured() {
        let old = (8, 16);
        let new = [(0, 12), (0, 16), (0, 24), (8, 16), (8, 24), (12, 24)];
        for (policy, expected) in [
            (OsPolicy::First, [false; 6]),
            (OsPolicy::Last, [true; 6]),
            (OsPolicy::Bsd, [true, true, true, false, false, false]),
            (OsPolicy::BsdRight, [false, false, false, true, true, true]),
            (OsPolicy::Linux, [true, true, true, true, true, false]),
            (OsPolicy::Windows, [false, false, true, false, false, false]),
            (OsPolicy::Solaris, [false, true, true, false, false, false]),
        ] {
            let found = new.map(|new| policy.fragment_replaces(old, new));
            assert_eq!(found, expected, "{policy:?}");
        }
    }

    #[test]
    fn segments_as_measured() {
        let old = (8, 16);
        let new = [(0, 12), (0, 24), (8, 12), (8, 16), (8, 24), (12, 14), (12, 24)];
        for (policy, expected) in [
            (OsPolicy::First, [false; 7]),
            (OsPolicy::Last, [true; 7]),
            (OsPolicy::Windows, [true, true, false, false, false, false, false]),
            (OsPolicy::Linux, [true, true, false, false, true, false, false]),
            (OsPolicy::OldLinux, [true, true, true, true, true, false, false]),
            (OsPolicy::Solaris, [false, true, false, true, true, false, true]),
        ] {
            assert_eq!(new.map(|new| policy.segment_replaces(old, new)), expected, "{policy:?}");
        }
        assert!(OsPolicy::OldLinux.prefers_copies() && !OsPolicy::Bsd.prefers_copies());
    }
}
