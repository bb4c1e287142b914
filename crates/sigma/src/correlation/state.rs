//! Groups and their recent events: bounded, and every bound counts what it gives up.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::plan::{Amount, MAX_ITEMS};

/// Bounds of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most groups of one rule.
    pub groups: usize,
    /// Most bytes of the state of one rule, estimated.
    pub bytes: usize,
    /// Most bytes of the state of all rules, estimated; each has an equal share at most.
    pub all_bytes: usize,
    /// How far behind the newest event an event still counts, seconds.
    pub lateness: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { groups: 20_000, bytes: 64 << 20, all_bytes: 256 << 20, lateness: 300 }
    }
}

impl Limits {
    pub(super) fn lateness_micros(&self) -> i64 {
        i64::from(self.lateness) * 1_000_000
    }
}

/// What was left out or given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Events without a time.
    pub untimed: u64,
    /// Events behind the lateness bound.
    pub late: u64,
    /// Events that lack a field of the group.
    pub ungrouped: u64,
    /// Events that lack the field of the value.
    pub valueless: u64,
    /// Groups given up because of a bound.
    pub evicted_groups: u64,
    /// Events given up because of a bound.
    pub evicted_events: u64,
}

impl Counters {
    /// Each with the words it is told by.
    #[must_use]
    pub const fn by_reason(&self) -> [(&'static str, u64); 6] {
        [
            ("event without a time", self.untimed),
            ("event too late", self.late),
            ("event without a field of the group", self.ungrouped),
            ("event without the value", self.valueless),
            ("group given up", self.evicted_groups),
            ("event of a window given up", self.evicted_events),
        ]
    }
}

/// One event in a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(super) time: i64,
    pub(super) target: u16,
    pub(super) value: Amount,
    pub(super) id: Option<String>,
}

impl Item {
    fn bytes(&self) -> usize {
        let value = match &self.value {
            Amount::Text(text) => text.len(),
            Amount::One | Amount::Number(_) => 0,
        };
        size_of::<Self>() + value + self.id.as_ref().map_or(0, String::len)
    }
}

/// Recent events of one group, by time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(super) items: VecDeque<Item>,
    /// When the rule last fired for it, event time.
    pub(super) fired: Option<i64>,
    bytes: usize,
}

/// The groups of one rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    by_key: HashMap<Vec<String>, Group>,
    bytes: usize,
}

impl From<Vec<(Vec<String>, Group)>> for Groups {
    fn from(all: Vec<(Vec<String>, Group)>) -> Self {
        // What is kept elsewhere may say anything of its size and order.
        let weighed = all.into_iter().map(|(key, mut group)| {
            group.items.make_contiguous().sort_by_key(|item| item.time);
            group.bytes = key_bytes(&key) + group.items.iter().map(Item::bytes).sum::<usize>();
            (key, group)
        });
        let by_key: HashMap<Vec<String>, Group> = weighed.collect();
        let bytes = by_key.values().map(|group| group.bytes).sum();
        Self { by_key, bytes }
    }
}

impl Groups {
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// All groups, in the order of their keys.
    pub(super) fn sorted(&self) -> Vec<(&[String], &Group)> {
        let mut all: Vec<_> =
            self.by_key.iter().map(|(key, group)| (key.as_slice(), group)).collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }

    /// Brings state from elsewhere within the bounds.
    pub(super) fn shrink(&mut self, limits: &Limits, counters: &mut Counters) {
        while self.by_key.len() > limits.groups || self.bytes > limits.bytes {
            let before = self.by_key.len();
            self.make_room(i64::MIN, limits, counters);
            if self.by_key.len() == before {
                return;
            }
        }
    }

    /// Whether state from elsewhere names only targets that exist.
    pub(super) fn fits(&self, targets: usize) -> bool {
        let mut items = self.by_key.values().flat_map(|group| &group.items);
        items.all(|item| usize::from(item.target) < targets)
    }

    /// Adds an event to its group, by time, and drops what is not after `horizon`: no window can reach it.
    pub(super) fn insert(
        &mut self,
        key: &[String],
        item: Item,
        horizon: i64,
        (limits, counters): (&Limits, &mut Counters),
    ) -> &mut Group {
        if !self.by_key.contains_key(key)
            && (self.by_key.len() >= limits.groups || self.bytes >= limits.bytes)
        {
            self.make_room(horizon, limits, counters);
        }
        let fresh = || Group { bytes: key_bytes(key), ..Group::default() };
        let known = self.by_key.get(key).map_or(0, |group| group.bytes);
        let group = self.by_key.entry(key.to_vec()).or_insert_with(fresh);
        let others = self.bytes.saturating_sub(known);
        while group.items.front().is_some_and(|oldest| oldest.time <= horizon) {
            group.drop_oldest();
        }
        let at = group.items.partition_point(|known| known.time <= item.time);
        group.bytes += item.bytes();
        group.items.insert(at, item);
        let full = |group: &Group| {
            group.items.len() > MAX_ITEMS
                || (group.items.len() > 1 && others.saturating_add(group.bytes) > limits.bytes)
        };
        while full(group) {
            group.drop_oldest();
            counters.evicted_events += 1;
        }
        self.bytes = others.saturating_add(group.bytes);
        group
    }

    /// Drops groups without recent events; when that is not enough, the sixteenth that was quiet longest.
    fn make_room(&mut self, horizon: i64, limits: &Limits, counters: &mut Counters) {
        self.by_key.retain(|_, group| group.newest() > horizon);
        let full =
            |groups: &Self| groups.by_key.len() >= limits.groups || groups.bytes >= limits.bytes;
        self.recount();
        if full(self) {
            let mut times: Vec<i64> = self.by_key.values().map(Group::newest).collect();
            times.sort_unstable();
            let bound = times.get(times.len() / 16).copied().unwrap_or(i64::MAX);
            let mut room = (times.len() / 16).max(1);
            self.by_key.retain(|_, group| {
                let keep = room == 0 || group.newest() > bound;
                if !keep {
                    room -= 1;
                    counters.evicted_groups += 1;
                    counters.evicted_events += u64::try_from(group.items.len()).unwrap_or(u64::MAX);
                }
                keep
            });
            self.recount();
        }
    }

    fn recount(&mut self) {
        self.bytes = self.by_key.values().map(|group| group.bytes).sum();
    }
}

/// What a group costs beside its events.
fn key_bytes(key: &[String]) -> usize {
    size_of::<Group>() + key.iter().map(|part| size_of::<String>() + part.len()).sum::<usize>()
}

impl Group {
    fn newest(&self) -> i64 {
        self.items.back().map_or(i64::MIN, |item| item.time)
    }

    fn drop_oldest(&mut self) {
        if let Some(item) = self.items.pop_front() {
            self.bytes = self.bytes.saturating_sub(item.bytes());
        }
    }
}
