//! Values by address: the line of all addresses of an IP version, cut into stretches that have one value each.
//!
//! Made once per load, from networks that may lie within one another; a look-up is a binary search.

use std::net::IpAddr;

use crate::check::ranges::Step;

/// Values of addresses of both versions; an address may have none.
#[derive(Debug, Clone)]
pub(crate) struct ByAddress<V> {
    pub(crate) v4: Stretches<u32, V>,
    pub(crate) v6: Stretches<u128, V>,
}

impl<V> Default for ByAddress<V> {
    fn default() -> Self {
        Self { v4: Stretches::default(), v6: Stretches::default() }
    }
}

impl<V: Copy + PartialEq> ByAddress<V> {
    /// The value of an address.
    pub(crate) fn at(&self, address: IpAddr) -> Option<V> {
        match address {
            IpAddr::V4(v4) => self.v4.at(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.at(v6.to_bits()),
        }
    }
}

/// Values of addresses of one version. Addresses and values are kept apart, since they fill no common word.
#[derive(Debug, Clone)]
pub(crate) struct Stretches<T, V> {
    /// First address of each stretch, in order; a stretch reaches up to the next one.
    firsts: Vec<T>,
    values: Vec<Option<V>>,
}

impl<T, V> Default for Stretches<T, V> {
    fn default() -> Self {
        Self { firsts: Vec::new(), values: Vec::new() }
    }
}

impl<T: Step, V: Copy + PartialEq> Stretches<T, V> {
    pub(crate) fn at(&self, address: T) -> Option<V> {
        let after = self.firsts.partition_point(|first| *first <= address);
        after.checked_sub(1).and_then(|at| self.values.get(at)).copied().flatten()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.firsts.len()
    }

    /// Gives a value to all addresses from `first` on; those that come after must not begin before it.
    fn from(&mut self, first: T, value: Option<V>) {
        if self.firsts.last() == Some(&first) {
            self.firsts.pop();
            self.values.pop();
        }
        if self.values.last().copied().flatten() != value {
            self.firsts.push(first);
            self.values.push(value);
        }
    }

    /// Gives a value to the addresses of a range that lies behind all those before.
    pub(crate) fn push(&mut self, range: (T, T), value: Option<V>) {
        self.from(range.0, value);
        if let Some(next) = range.1.next() {
            self.from(next, None);
        }
    }

    /// Cuts the line by networks. Of those that an address is in, the one of the highest rank counts: of networks the
    /// length of the prefix.
    pub(crate) fn of_networks(mut networks: Vec<Network<T, V>>) -> Self {
        // Stable: of equal ones the first comes first.
        networks.sort_by_key(|network| (network.range.0, network.rank));
        networks.dedup_by(|later, kept| {
            let same = later.range.0 == kept.range.0 && later.rank == kept.rank;
            if same && later.replaces {
                kept.value = later.value;
            }
            same
        });
        let mut line = Self::default();
        // Networks lie within one another or apart: those that are open lie each within the one before.
        let mut open: Vec<(T, V)> = Vec::new();
        let close = |line: &mut Self, open: &mut Vec<(T, V)>, before: Option<T>| {
            while let Some((last, _)) = open.last().copied()
                && before.is_none_or(|first| last < first)
            {
                open.pop();
                if let Some(next) = last.next() {
                    line.from(next, open.last().map(|(_, value)| *value));
                }
            }
        };
        for network in networks {
            close(&mut line, &mut open, Some(network.range.0));
            line.from(network.range.0, Some(network.value));
            open.push((network.range.1, network.value));
        }
        close(&mut line, &mut open, None);
        line.firsts.shrink_to_fit();
        line.values.shrink_to_fit();
        line
    }
}

/// A network and its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network<T, V> {
    /// First and last address.
    pub(crate) range: (T, T),
    /// Length of the prefix; single hosts have one more than the longest.
    pub(crate) rank: u8,
    /// It stands for the same network given before it; else the first stays.
    pub(crate) replaces: bool,
    pub(crate) value: V,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A network of sixteen-bit addresses; single hosts have rank 17.
    fn network(bits: u16, rank: u8, value: u8) -> Network<u16, u8> {
        let host_bits = 0xffff_u16.checked_shr(u32::from(rank)).unwrap_or(0);
        let range = (bits & !host_bits, bits | host_bits);
        Network { range, rank, replaces: rank == 17, value }
    }

    proptest! {
        #[test]
        fn the_most_specific_network_counts(
            given in proptest::collection::vec((any::<u16>(), 0..=17_u8, 0..4_u8), 0..40),
            probes in proptest::collection::vec(any::<u16>(), 1..40),
        ) {
            let networks: Vec<_> = given.iter().map(|(bits, rank, value)| network(*bits, *rank, *value)).collect();
            let line = Stretches::of_networks(networks.clone());
            let ends = networks.iter().flat_map(|one| [one.range.0, one.range.1]);
            for probe in probes.into_iter().chain(ends) {
                let inside = networks.iter().filter(|one| one.range.0 <= probe && probe <= one.range.1);
                let best = inside.clone().map(|one| one.rank).max();
                let mut same = inside.filter(|one| Some(one.rank) == best);
                let expected = if best == Some(17) { same.next_back() } else { same.next() };
                prop_assert_eq!(line.at(probe), expected.map(|one| one.value), "{}", probe);
            }
        }
    }

    #[test]
    fn neighbours_of_one_value_are_one_stretch() {
        let mut line = Stretches::default();
        for (range, value) in [
            ((1_u16, 3), Some(7_u8)),
            ((4, 9), Some(7)),
            ((10, 10), None),
            ((12, u16::MAX), Some(8)),
        ] {
            line.push(range, value);
        }
        assert_eq!(line.len(), 3);
        let found = [0, 1, 4, 9, 10, 11, 12, u16::MAX].map(|address| line.at(address));
        assert_eq!(found, [None, Some(7), Some(7), Some(7), None, None, Some(8), Some(8)]);
    }
}
