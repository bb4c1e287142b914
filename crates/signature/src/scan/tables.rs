//! State shared by all workers: thresholds and bits of hosts. Locked only when a rule matched.
//!
//! Tables are bounded; what is thrown out early is counted.

use std::{
    borrow::Cow,
    net::IpAddr,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use hashbrown::HashMap;

use crate::{
    PacketView, Tag, TagHost,
    check::rule::{BitOp, CountBy, RateFilter, Threshold, ThresholdKind, Track, UniqueOn},
    scan::tags::Tags,
};

/// Shards of each table.
const SHARDS: usize = 16;
/// Most entries of one shard.
const MAX_ENTRIES: usize = 16_384;
const SECOND: u64 = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct CountKey {
    gid: u32,
    sid: u32,
    a: Option<IpAddr>,
    b: Option<IpAddr>,
}

/// A count that runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Count {
    start: u64,
    count: u32,
    next: u32,
    until: u64,
    /// Ports that were counted, when only new ones count.
    ports: Vec<u16>,
}

type BitKey = (u32, Option<IpAddr>, Option<IpAddr>);

/// Name of a data set and a value.
type ValueKey = (Box<str>, Box<[u8]>);
/// Most values that rules may change in one shard.
const MAX_VALUES: usize = 65_536;

/// What a threshold says of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ruling {
    /// Alert.
    Show,
    /// No alert, but the rule's action applies.
    Silent,
    /// As if the rule had not matched.
    Nothing,
}

type Shard<K, V> = Mutex<HashMap<K, V, foldhash::fast::RandomState>>;

/// Thresholds, `xbits` and `hostbits`: one for all workers.
#[derive(Debug)]
pub struct Tables {
    counts: [Shard<CountKey, Count>; SHARDS],
    rates: [Shard<CountKey, Count>; SHARDS],
    bits: [Shard<BitKey, u64>; SHARDS],
    values: [Shard<ValueKey, bool>; SHARDS],
    /// Changes made to data sets: until there is one, nothing is locked or copied.
    values_changed: AtomicU64,
    values_full: AtomicU64,
    tags: Mutex<HashMap<IpAddr, Tags, foldhash::fast::RandomState>>,
    /// Hosts with tags: most of the time none, and then nothing is locked.
    tagged: AtomicU64,
    evicted: AtomicU64,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            counts: std::array::from_fn(|_| Mutex::default()),
            rates: std::array::from_fn(|_| Mutex::default()),
            bits: std::array::from_fn(|_| Mutex::default()),
            values: std::array::from_fn(|_| Mutex::default()),
            values_changed: AtomicU64::new(0),
            values_full: AtomicU64::new(0),
            tags: Mutex::default(),
            tagged: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }
}

fn shard<K: std::hash::Hash, V>(shards: &[Shard<K, V>; SHARDS], key: &K) -> usize {
    use std::hash::BuildHasher as _;
    let hash = foldhash::fast::FixedState::with_seed(7).hash_one(key);
    usize::try_from(hash >> 59).unwrap_or(0) % shards.len()
}

impl Tables {
    /// Entries thrown out because a table was full.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Begins a tag of a host; `false` when there is no room.
    pub(super) fn tag(
        &self,
        rule: (u32, u32),
        tag: Tag,
        host: TagHost,
        packet: &PacketView<'_>,
    ) -> bool {
        let host = if host == TagHost::Src { packet.src } else { packet.dst };
        let Ok(mut hosts) = self.tags.lock() else { return false };
        if hosts.len() >= MAX_ENTRIES && !hosts.contains_key(&host) {
            return false;
        }
        let kept = hosts.entry(host).or_default().begin(rule, tag, packet.time);
        self.tagged.store(hosts.len() as u64, Ordering::Relaxed);
        kept
    }

    /// Whether a tag of one of its hosts wants the packet recorded.
    pub(super) fn is_tagged(&self, packet: &PacketView<'_>) -> bool {
        if self.tagged.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let Ok(mut hosts) = self.tags.lock() else { return false };
        let mut wanted = false;
        for host in [packet.src, packet.dst] {
            let Some(tags) = hosts.get_mut(&host) else { continue };
            wanted |= tags.packet(packet);
            if tags.is_empty() {
                hosts.remove(&host);
            }
        }
        self.tagged.store(hosts.len() as u64, Ordering::Relaxed);
        wanted
    }

    /// Values of data sets that were not taken in because there was no room.
    #[must_use]
    pub fn values_full(&self) -> u64 {
        self.values_full.load(Ordering::Relaxed)
    }

    /// Every value of a data set that rules changed, and whether it is in the set now.
    pub(crate) fn changed_values(&self, set: &str) -> Vec<(Box<[u8]>, bool)> {
        let mut all = Vec::new();
        for shard in &self.values {
            let Ok(map) = shard.lock() else { continue };
            let of_set = map.iter().filter(|((name, _), _)| **name == *set);
            all.extend(of_set.map(|((_, value), there)| (value.clone(), *there)));
        }
        all.sort_unstable();
        all
    }

    /// What rules did to a value of a data set: added, taken away, or nothing.
    pub(super) fn value(&self, set: &str, value: &[u8]) -> Option<bool> {
        if self.values_changed.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let key: ValueKey = (set.into(), value.into());
        let Some(Ok(map)) = self.values.get(shard(&self.values, &key)).map(Mutex::lock) else {
            return None;
        };
        map.get(&key).copied()
    }

    /// Adds a value to a data set or takes it away; `false` when there is no room for it.
    pub(super) fn change_value(&self, set: &str, value: Cow<'_, [u8]>, add: bool) -> bool {
        let key: ValueKey = (set.into(), value.into_owned().into());
        let Some(Ok(mut map)) = self.values.get(shard(&self.values, &key)).map(Mutex::lock) else {
            return false;
        };
        if map.len() >= MAX_VALUES && !map.contains_key(&key) {
            self.values_full.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.values_changed.fetch_add(1, Ordering::Relaxed);
        // Who came first has changed it; another worker may have been between.
        map.insert(key, add) != Some(add)
    }

    /// Makes room by throwing out the entries that end soonest.
    fn make_room<K: Clone + Eq + std::hash::Hash, V>(
        &self,
        map: &mut HashMap<K, V, foldhash::fast::RandomState>,
        now: u64,
        until: impl Fn(&V) -> u64,
    ) {
        if map.len() < MAX_ENTRIES {
            return;
        }
        map.retain(|_, value| until(value) >= now);
        if map.len() < MAX_ENTRIES {
            return;
        }
        let mut ends: Vec<u64> = map.values().map(&until).collect();
        let middle = ends.len() / 8;
        let (_, limit, _) = ends.select_nth_unstable(middle);
        let (limit, before) = (*limit, map.len());
        map.retain(|_, value| until(value) > limit);
        self.evicted.fetch_add((before - map.len()) as u64, Ordering::Relaxed);
    }

    /// Applies a threshold that counts by address or rule.
    pub(super) fn threshold(
        &self,
        threshold: &Threshold,
        rule: (u32, u32),
        packet: &PacketView<'_>,
        ends: (IpAddr, IpAddr),
    ) -> Ruling {
        let (src, dst) = ends;
        let (a, b) = match threshold.by {
            CountBy::Src => (Some(src), None),
            CountBy::Dst => (None, Some(dst)),
            CountBy::Both => (Some(src), Some(dst)),
            CountBy::Rule | CountBy::Flow => (None, None),
        };
        let key = CountKey { gid: rule.0, sid: rule.1, a, b };
        let Some(Ok(mut map)) = self.counts.get(shard(&self.counts, &key)).map(Mutex::lock) else {
            return Ruling::Show;
        };
        self.make_room(&mut map, packet.time, |count| count.until);
        map.entry(key).or_default().hit(threshold, packet)
    }

    /// One more match of a rule with a rate: `true` while its other action stands.
    pub(super) fn is_fast(
        &self,
        rate: &RateFilter,
        rule: (u32, u32),
        packet: &PacketView<'_>,
        ends: (IpAddr, IpAddr),
    ) -> bool {
        let (src, dst) = ends;
        let (a, b) = match rate.by {
            CountBy::Src => (Some(src), None),
            CountBy::Dst => (None, Some(dst)),
            CountBy::Both => (Some(src), Some(dst)),
            CountBy::Rule | CountBy::Flow => (None, None),
        };
        let key = CountKey { gid: rule.0, sid: rule.1, a, b };
        let Some(Ok(mut map)) = self.rates.get(shard(&self.rates, &key)).map(Mutex::lock) else {
            return false;
        };
        self.make_room(&mut map, packet.time, |count| count.until);
        let seconds = |number: u32| u64::from(number).saturating_mul(SECOND);
        let count = map.entry(key).or_default();
        let now = packet.time;
        // Within its timeout `next` is 1; each is over after its last second.
        if count.next == 1 {
            if now <= count.until {
                return true;
            }
            *count = Count::default();
        }
        if count.until == 0 || now > count.until {
            *count = Count {
                start: now,
                until: now.saturating_add(seconds(rate.seconds)).max(1),
                ..Count::default()
            };
        }
        count.count = count.count.saturating_add(1);
        let fast = count.count > rate.count;
        if fast {
            count.next = 1;
            // A timeout of 0 stands for ever.
            count.until = match rate.timeout {
                0 => u64::MAX,
                timeout => now.saturating_add(seconds(timeout)),
            };
        }
        fast
    }

    /// Changes a bit of a host or pair.
    pub(super) fn change_bit(
        &self,
        bit: u32,
        track: Track,
        op: BitOp,
        packet: &PacketView<'_>,
        expire: u32,
    ) {
        let key = bit_key(bit, track, packet);
        let Some(Ok(mut map)) = self.bits.get(shard(&self.bits, &key)).map(Mutex::lock) else {
            return;
        };
        let until = packet.time.saturating_add(u64::from(expire) * SECOND);
        let set = map.get(&key).is_some_and(|until| *until >= packet.time);
        if matches!(op, BitOp::Unset) || (matches!(op, BitOp::Toggle) && set) {
            map.remove(&key);
        } else {
            self.make_room(&mut map, packet.time, |until| *until);
            map.insert(key, until);
        }
    }

    /// Whether a bit is set.
    pub(super) fn has_bit(&self, bit: u32, track: Track, packet: &PacketView<'_>) -> bool {
        let key = bit_key(bit, track, packet);
        let Some(Ok(map)) = self.bits.get(shard(&self.bits, &key)).map(Mutex::lock) else {
            return false;
        };
        map.get(&key).is_some_and(|until| *until >= packet.time)
    }
}

fn bit_key(bit: u32, track: Track, packet: &PacketView<'_>) -> BitKey {
    match track {
        Track::Src => (bit, Some(packet.src), None),
        Track::Dst => (bit, Some(packet.dst), None),
        Track::Pair => {
            let (low, high) = (packet.src.min(packet.dst), packet.src.max(packet.dst));
            (bit, Some(low), Some(high))
        }
    }
}

impl Count {
    /// Whether the match counts: with `unique_on` only a port that was not seen does.
    fn is_new(&mut self, threshold: &Threshold, packet: &PacketView<'_>) -> bool {
        let port = match threshold.unique {
            None => return true,
            Some(UniqueOn::SrcPort) => packet.src_port,
            Some(UniqueOn::DstPort) => packet.dst_port,
        };
        let Some(port) = port else { return false };
        match self.ports.binary_search(&port) {
            Ok(_) => false,
            Err(at) => {
                // Beyond the count no more need be told apart.
                if self.ports.len() <= threshold.count as usize {
                    self.ports.insert(at, port);
                }
                true
            }
        }
    }

    /// One more match at `now`. Windows include their last second and begin with the first match.
    pub(super) fn hit(&mut self, threshold: &Threshold, packet: &PacketView<'_>) -> Ruling {
        let now = packet.time;
        let window = u64::from(threshold.seconds).saturating_mul(SECOND);
        let fresh = self.until == 0 || now > self.start.saturating_add(window);
        if fresh {
            *self = Self {
                start: now,
                count: 0,
                next: threshold.count,
                until: now.saturating_add(window).max(1),
                ports: Vec::new(),
            };
        }
        if self.is_new(threshold, packet) {
            self.count = self.count.saturating_add(1);
        }
        let limit = threshold.count;
        match threshold.kind {
            ThresholdKind::Limit if self.count <= limit => Ruling::Show,
            ThresholdKind::Both if self.count == limit => Ruling::Show,
            ThresholdKind::Threshold if self.count >= limit => {
                self.count = 0;
                Ruling::Show
            }
            ThresholdKind::Backoff { multiplier } if self.count == self.next => {
                self.next = self.next.saturating_mul(multiplier);
                Ruling::Show
            }
            ThresholdKind::DetectionFilter if self.count > limit => Ruling::Show,
            ThresholdKind::Limit | ThresholdKind::Both | ThresholdKind::Backoff { .. }
                if self.count > limit =>
            {
                Ruling::Silent
            }
            _ => Ruling::Nothing,
        }
    }
}

#[cfg(test)]
mod tests;
