//! Rules on packets and streams by the ports they are about: what is searched for in which data.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::{
    AppProto,
    check::ranges::Ranges,
    compile::{
        fast::Chosen,
        fixed::{Fixed, FixedSet},
        matcher::{MatchScratch, Matcher, Wanted},
        need::Needs,
    },
};

/// Ports a rule may list to get a search of its own per port.
const MAX_LISTED_PORTS: usize = 16;

/// Bytes from the beginning in which patterns with a small depth are searched.
pub(crate) const HEAD: usize = 320;

/// Ports with much long data: a search of their own would cost more than looks in vain at other ports.
const BUSY_PORTS: [u16; 2] = [80, 443];

/// Protocols of most long data.
const BUSY_APPS: [AppProto; 3] = [AppProto::Http, AppProto::Http1, AppProto::Tls];

/// Cost up to which a pattern is searched for on all ports, though its rule is about few: hardly ever there, it
/// is cheaper in the search that is made anyway than in one of its own, if that of its own would be made often.
const SELDOM: u32 = 70;

/// The same in data that is short, as in datagrams: a second search costs more than many a vain look.
const SELDOM_IN_SHORT_DATA: u32 = 110;

/// The same of patterns that are shorter than a window.
const SELDOM_SHORT: u32 = 75;

/// The searches of one group of rules.
#[derive(Debug, Default)]
pub(crate) struct Searches {
    /// Patterns that have one place.
    pub(crate) fixed: FixedSet,
    /// The same of rules about data that is longer than [`HEAD`].
    pub(crate) large_fixed: FixedSet,
    /// Patterns that may be anywhere.
    pub(crate) any: Matcher,
    /// Patterns that can only be within the first [`HEAD`] bytes.
    pub(crate) head: Matcher,
    /// Both, without those of rules about longer data and with those about small data only, for data that is no longer than that: one search instead of two.
    pub(crate) short: Matcher,
}

/// Patterns for any port, and per port those of rules that name few ports.
#[derive(Debug, Default)]
pub(crate) struct PortGroups {
    pub(crate) all: Searches,
    pub(crate) by_port: HashMap<u16, Searches, foldhash::fast::RandomState>,
    /// The same by the port of the other side.
    pub(crate) by_sender: HashMap<u16, Searches, foldhash::fast::RandomState>,
    /// By the protocol of rules that cannot be about the long data of others.
    pub(crate) by_app: HashMap<AppProto, Searches, foldhash::fast::RandomState>,
    /// Rules without a pattern, under the shorter of their address lists: by source, by destination.
    pub(crate) addresses: [AddressIndex; 2],
    /// What all of these need, see [`crate::compile::need`].
    pub(crate) addresses_need: u64,
    /// Rules without a pattern that name few ports, by the port of `by_port`; and what all of them need.
    pub(crate) always_by_port: HashMap<u16, Vec<u32>, foldhash::fast::RandomState>,
    pub(crate) always_by_port_need: u64,
    /// Rules without a pattern for any address.
    pub(crate) always: Vec<u32>,
}

impl Searches {
    /// Adds to `out` the rules whose pattern is in `data`, which begins `offset` bytes from the beginning.
    #[inline]
    fn scan(&self, data: &[u8], offset: u64, scratch: &mut MatchScratch, out: &mut Vec<u32>) {
        self.fixed.scan(data, offset, out);
        // What of the beginning is in these bytes.
        let left = usize::try_from((HEAD as u64).saturating_sub(offset)).unwrap_or(HEAD);
        match data.get(..left).filter(|head| head.len() < data.len()) {
            None => self.short.scan(data, false, scratch, out),
            Some(head) => {
                self.large_fixed.scan(data, offset, out);
                self.any.scan(data, false, scratch, out);
                if !head.is_empty() {
                    self.head.scan(head, false, scratch, out);
                }
            }
        }
    }

    /// Every rule in it.
    #[cfg(test)]
    pub(crate) fn rules(&self) -> Vec<u32> {
        let fixed = [self.fixed.rules(), self.large_fixed.rules()].concat();
        [self.any.rules(), self.head.rules(), self.short.rules(), &fixed].concat()
    }
}

impl PortGroups {
    /// Notes what the rules under addresses and ports need.
    pub(crate) fn note_needs(&mut self, needs: &Needs) {
        let rules = self.addresses.iter().flat_map(|index| &index.v4).flat_map(|(_, _, ids)| ids);
        self.addresses_need = rules.fold(u64::MAX, |all, rule| all & needs.of(*rule));
        let rules = self.always_by_port.values().flatten();
        self.always_by_port_need = rules.fold(u64::MAX, |all, rule| all & needs.of(*rule));
    }

    /// The same for the rules of any port, those of `ports` (that of `by_port`, that of `by_sender`), and those of the
    /// protocol of the flow.
    #[inline]
    pub(crate) fn scan(
        &self,
        (data, offset): (&[u8], u64),
        (ports, app): ([Option<u16>; 2], Option<AppProto>),
        scratch: &mut MatchScratch,
        out: &mut Vec<u32>,
    ) {
        self.all.scan(data, offset, scratch, out);
        if data.len() > HEAD
            && let Some(app) = app
        {
            let covering = self.by_app.iter().filter(|(of, _)| of.covers().contains(app));
            covering.for_each(|(_, searches)| searches.scan(data, offset, scratch, out));
        }
        for (searches, port) in [&self.by_port, &self.by_sender].into_iter().zip(ports) {
            let own = port.filter(|_| !searches.is_empty()).and_then(|port| searches.get(&port));
            if let Some(own) = own {
                own.scan(data, offset, scratch, out);
            }
        }
    }
}

/// Source or destination addresses of rules that consist of an address list.
#[derive(Debug, Default)]
pub(crate) struct AddressIndex {
    v4: Vec<(u32, u32, Vec<u32>)>,
    /// A bit for each of the /16 networks in which some address is listed.
    networks: Vec<u64>,
}

/// The ports by which a rule is grouped, and whose they are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ports<'a> {
    /// Of packets the receiver, of streams the server.
    Receiver(&'a Ranges<u16>),
    Sender(&'a Ranges<u16>),
    /// Of packets from servers the receiver: a client, which seldom has a port that rules name.
    Client(&'a Ranges<u16>),
}

/// Ranges of addresses with the rule they belong to.
pub(super) type AddressRanges = Vec<(u32, u32, u32)>;

/// Patterns of [`Searches`] before they are built.
#[derive(Default)]
struct SearchBuilder<'p> {
    fixed: Vec<Fixed<'p>>,
    large_fixed: Vec<Fixed<'p>>,
    any: Vec<Wanted<'p>>,
    head: Vec<Wanted<'p>>,
    /// Of rules about data that is no longer than [`HEAD`].
    small: Vec<Wanted<'p>>,
    /// Of rules about longer data.
    large: Vec<Wanted<'p>>,
    /// The same at the beginning.
    large_head: Vec<Wanted<'p>>,
}

impl<'p> SearchBuilder<'p> {
    fn add(&mut self, wanted: Wanted<'p>, chosen: &Chosen<'p>, (least, most): (u64, u64)) {
        if let Some((first, last)) = chosen.at.filter(|(_, last)| *last < HEAD as u64) {
            let Wanted { bytes, nocase, rule, .. } = wanted;
            let at = |at| Fixed { at, bytes, nocase, least, rule };
            let long = least > HEAD as u64;
            let patterns = if long { &mut self.large_fixed } else { &mut self.fixed };
            patterns.extend((first..=last).map(at));
            return;
        }
        let near = chosen.limit.is_some_and(|limit| limit <= HEAD as u64);
        let patterns = match (most <= HEAD as u64, least > HEAD as u64) {
            (true, _) => &mut self.small,
            (_, true) if near => &mut self.large_head,
            (_, true) => &mut self.large,
            _ if near => &mut self.head,
            _ => &mut self.any,
        };
        patterns.push(wanted);
    }

    /// Adds to `builds` what is to be built into the searches.
    fn build<'s>(self, searches: &'s mut Searches, builds: &mut Vec<Build<'s, 'p>>) {
        let Self { fixed, large_fixed, mut any, mut head, small, large, large_head } = self;
        let short = any.iter().chain(&head).chain(&small).copied().collect();
        any.extend(large);
        head.extend(large_head);
        builds.push(Build::Fixed(&mut searches.fixed, fixed));
        builds.push(Build::Fixed(&mut searches.large_fixed, large_fixed));
        let Searches { any: all, head: beginning, short: small, .. } = searches;
        for (matcher, wanted) in [(all, any), (beginning, head), (small, short)] {
            builds.push(Build::Matcher(matcher, wanted));
        }
    }
}

/// A search that is still empty, and the patterns it is to be built from.
pub(super) enum Build<'s, 'p> {
    Fixed(&'s mut FixedSet, Vec<Fixed<'p>>),
    Matcher(&'s mut Matcher, Vec<Wanted<'p>>),
}

impl Build<'_, '_> {
    /// How many patterns it has; building takes about as long.
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Fixed(_, patterns) => patterns.len(),
            Self::Matcher(_, patterns) => patterns.len(),
        }
    }

    pub(super) fn run(self) {
        match self {
            Self::Fixed(set, patterns) => *set = FixedSet::new(patterns),
            Self::Matcher(matcher, patterns) => *matcher = Matcher::new(patterns),
        }
    }
}

type ByPort<T> = HashMap<u16, T, foldhash::fast::RandomState>;

/// A rule as the groups know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct RuleFacts {
    pub(super) rule: u32,
    /// The shortest and the longest payload it can be about.
    pub(super) size: (u64, u64),
    /// Protocol it is about.
    pub(super) app: Option<AppProto>,
}

/// Collects patterns before matchers are built.
#[derive(Default)]
pub(super) struct GroupBuilder<'p> {
    short_data: bool,
    whole_data: bool,
    all: SearchBuilder<'p>,
    by_port: ByPort<SearchBuilder<'p>>,
    by_sender: ByPort<SearchBuilder<'p>>,
    by_app: HashMap<AppProto, SearchBuilder<'p>, foldhash::fast::RandomState>,
    always_by_port: HashMap<u16, Vec<u32>, foldhash::fast::RandomState>,
    pub(super) addresses: [AddressRanges; 2],
    pub(super) always: Vec<u32>,
}

impl<'p> GroupBuilder<'p> {
    /// Most of the data will be short.
    pub(super) fn expect_short_data(&mut self) {
        self.short_data = true;
    }

    /// Data will be payloads of packets, each as a whole.
    pub(super) fn expect_whole_data(&mut self) {
        self.whole_data = true;
    }

    /// Adds a rule with what it is looked for by, in long data perhaps by what is near the beginning.
    pub(super) fn add(
        &mut self,
        facts: RuleFacts,
        (chosen, near): (&Chosen<'p>, Option<&Chosen<'p>>),
        ports: Ports<'_>,
    ) {
        // Something at a fixed place costs nothing in long data.
        if !self.whole_data || chosen.at.is_some() || near == Some(chosen) {
            return self.add_at_ports(facts, chosen, ports);
        }
        let (least, most) = facts.size;
        let long = HEAD as u64 + 1;
        if least < long {
            self.add_at_ports(
                RuleFacts { size: (least, most.min(HEAD as u64)), ..facts },
                chosen,
                ports,
            );
        }
        if most < long {
            return;
        }
        let facts = RuleFacts { size: (least.max(long), most), ..facts };
        let chosen = near.unwrap_or(chosen);
        if let Some(app) =
            facts.app.filter(|app| chosen.limit.is_none() && !BUSY_APPS.contains(app))
        {
            self.by_app.entry(app).or_default().add(wanted(facts, chosen), chosen, facts.size);
        } else {
            self.add_at_ports(facts, chosen, ports);
        }
    }

    fn add_at_ports(&mut self, facts: RuleFacts, chosen: &Chosen<'p>, ports: Ports<'_>) {
        let is_client = matches!(ports, Ports::Client(_));
        let (by_port, ports) = match ports {
            Ports::Receiver(ports) | Ports::Client(ports) => (&mut self.by_port, ports),
            Ports::Sender(ports) => (&mut self.by_sender, ports),
        };
        let list = listed(ports);
        let long = self.whole_data && facts.size.0 > HEAD as u64;
        let for_all_ports = if long {
            let mut ports = list.iter().flatten();
            chosen.cost <= SELDOM && ports.any(|port| BUSY_PORTS.contains(port))
        } else {
            let most = match chosen.bytes.len() {
                0..=3 => SELDOM_SHORT,
                _ if self.short_data => SELDOM_IN_SHORT_DATA,
                _ => SELDOM,
            };
            chosen.at.is_none() && !is_client && chosen.cost <= most
        };
        let wanted = wanted(facts, chosen);
        match list.filter(|_| !for_all_ports) {
            Some(list) => {
                for port in list {
                    by_port.entry(port).or_default().add(wanted, chosen, facts.size);
                }
            }
            None => self.all.add(wanted, chosen, facts.size),
        }
    }

    /// Takes a rule without a pattern under its ports; `false` when there are too many, or those of the sender.
    pub(super) fn add_to_ports(&mut self, id: u32, ports: Ports<'_>) -> bool {
        let (Ports::Receiver(ports) | Ports::Client(ports)) = ports else { return false };
        let Some(list) = listed(ports) else { return false };
        list.into_iter().for_each(|port| self.always_by_port.entry(port).or_default().push(id));
        true
    }

    /// Adds to `builds` what is to be built into the groups.
    pub(super) fn build<'s>(self, groups: &'s mut PortGroups, builds: &mut Vec<Build<'s, 'p>>) {
        groups.addresses = self.addresses.map(AddressIndex::new);
        groups.always_by_port = self.always_by_port;
        groups.always = self.always;
        self.all.build(&mut groups.all, builds);
        build_each(&mut groups.by_port, self.by_port, builds);
        build_each(&mut groups.by_sender, self.by_sender, builds);
        build_each(&mut groups.by_app, self.by_app, builds);
    }
}

/// Adds to `builds` what is to be built into the searches of each key.
fn build_each<'s, 'p, K: Copy + Eq + std::hash::Hash>(
    searches: &'s mut HashMap<K, Searches, foldhash::fast::RandomState>,
    mut builders: HashMap<K, SearchBuilder<'p>, foldhash::fast::RandomState>,
    builds: &mut Vec<Build<'s, 'p>>,
) {
    searches.extend(builders.keys().map(|key| (*key, Searches::default())));
    for (key, searches) in searches {
        builders.remove(key).unwrap_or_default().build(searches, builds);
    }
}

/// The pattern of a rule.
const fn wanted<'p>(facts: RuleFacts, chosen: &Chosen<'p>) -> Wanted<'p> {
    let (at_end, dotted) = (false, false);
    Wanted { bytes: chosen.bytes, nocase: chosen.nocase, at_end, dotted, rule: facts.rule }
}

/// The ports themselves when they are few.
fn listed(ports: &Ranges<u16>) -> Option<Vec<u16>> {
    let mut list = Vec::new();
    for (low, high) in ports.as_slice() {
        if usize::from(high - low) + list.len() >= MAX_LISTED_PORTS {
            return None;
        }
        list.extend(*low..=*high);
    }
    Some(list)
}

/// Overlapping ranges to disjoint ones with the rules of each.
fn flatten(ranges: Vec<(u32, u32, u32)>) -> Vec<(u32, u32, Vec<u32>)> {
    let mut cuts: Vec<u64> =
        ranges.iter().flat_map(|(low, high, _)| [u64::from(*low), u64::from(*high) + 1]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut flat: Vec<(u32, u32, Vec<u32>)> = cuts
        .windows(2)
        .filter_map(|pair| {
            Some((u32::try_from(pair[0]).ok()?, u32::try_from(pair[1] - 1).ok()?, Vec::new()))
        })
        .collect();
    for (low, high, id) in ranges {
        let from = flat.partition_point(|(start, ..)| *start < low);
        for (_, _, ids) in flat.iter_mut().skip(from).take_while(|(_, end, _)| *end <= high) {
            ids.push(id);
        }
    }
    flat.retain(|(_, _, ids)| !ids.is_empty());
    flat
}

impl AddressIndex {
    fn new(ranges: AddressRanges) -> Self {
        let v4 = flatten(ranges);
        let mut networks = vec![0; if v4.is_empty() { 0 } else { (1 << 16) / 64 }];
        for network in v4.iter().flat_map(|(low, high, _)| low >> 16..=high >> 16) {
            networks[network as usize / 64] |= 1 << (network % 64);
        }
        Self { v4, networks }
    }

    /// Rules whose list has this address.
    pub(crate) fn lookup(&self, address: IpAddr) -> &[u32] {
        let IpAddr::V4(v4) = address else { return &[] };
        let bits = v4.to_bits();
        let network = self.networks.get((bits >> 16) as usize / 64);
        if network.is_none_or(|word| word >> (bits >> 16 & 63) & 1 == 0) {
            return &[];
        }
        let after = self.v4.partition_point(|(low, ..)| *low <= bits);
        match after.checked_sub(1).and_then(|at| self.v4.get(at)) {
            Some((_, high, ids)) if bits <= *high => ids,
            _ => &[],
        }
    }
}
