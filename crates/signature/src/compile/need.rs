//! What a rule asks of a packet's header, as one word of bits: most candidates are dropped by one test of it.
//!
//! A bit stands for a transport, a direction, a state of the flow, or for one of the address lists, port lists,
//! flag tests and protocols that most rules name. A rule that needs a bit which the packet does not have cannot
//! match; one that passes is still looked at in full by `scan::header`.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::{
    AppProto, Direction,
    check::{
        AddressSet, Rule,
        ranges::{Ranges, Step},
        rule::{FlagsMode, Test, Transport},
    },
};

const TCP: u64 = 1;
const UDP: u64 = 1 << 1;
const TO_SERVER: u64 = 1 << 2;
const TO_CLIENT: u64 = 1 << 3;
const ESTABLISHED: u64 = 1 << 4;
const NOT_ESTABLISHED: u64 = 1 << 5;

/// Address lists with a bit for each side.
const ADDRESSES: u32 = 3;
/// Port lists with a bit for each side.
const PORTS: u32 = 4;
const FLAGS: u32 = 8;
const APPS: u32 = 8;

const SRC_AT: u32 = 6;
const DST_AT: u32 = SRC_AT + ADDRESSES;
const SRC_PORT_AT: u32 = DST_AT + ADDRESSES;
const DST_PORT_AT: u32 = SRC_PORT_AT + PORTS;
const FLAGS_AT: u32 = DST_PORT_AT + PORTS;
const APPS_AT: u32 = FLAGS_AT + FLAGS;

/// The bits of all address and port lists.
pub(crate) const ANY_ENDS: u64 = (1 << FLAGS_AT) - (1 << SRC_AT);

/// The bits of all protocols: a transaction is only shown to rules of its own protocol.
pub(crate) const ANY_APP: u64 = ((1 << APPS) - 1) << APPS_AT;

/// What of a packet does not change within its flow: where its ends are.
pub(crate) type End = (IpAddr, Option<u16>);

/// The words of all rules, and how those of packets are made.
#[derive(Debug)]
pub(crate) struct Needs {
    by_rule: Vec<u64>,
    /// A bit for each rule whose word says all that its header asks.
    is_whole: Vec<u64>,
    /// Which of the address and port lists with a bit have a number.
    v4: Line<u32>,
    v6: Line<u128>,
    ports: Line<u16>,
    /// Bits of the flag tests that hold, by the flags of a packet.
    by_flags: Box<[u64; 256]>,
    /// Bits of protocols, by the number of a flow's protocol.
    by_app: Box<[u64; 64]>,
}

impl Default for Needs {
    fn default() -> Self {
        Self::new(&[], &[], &[])
    }
}

/// Facts about a packet in its flow that change from packet to packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) ip_proto: u8,
    pub(crate) direction: Option<Direction>,
    pub(crate) established: bool,
    /// Of TCP packets that are really one.
    pub(crate) flags: Option<u8>,
    /// Of the flow.
    pub(crate) app: Option<AppProto>,
}

/// A line of numbers cut where one of a few sets begins or ends.
#[derive(Debug)]
struct Line<T> {
    /// First number of each stretch, in order, and a bit for each of the sets that it is in.
    stretches: Vec<(T, u64)>,
}

impl<T: Step> Line<T> {
    fn new(sets: &[&Ranges<T>]) -> Self {
        let ranges = sets.iter().flat_map(|set| set.as_slice());
        let mut cuts: Vec<T> =
            ranges.flat_map(|(low, high)| [Some(*low), high.next()]).flatten().collect();
        cuts.push(T::MIN);
        cuts.sort_unstable();
        cuts.dedup();
        let bits = |cut| {
            let has = sets.iter().enumerate().filter(|(_, set)| set.contains(cut));
            has.fold(0, |bits, (number, _)| bits | 1 << number)
        };
        Self { stretches: cuts.into_iter().map(|cut| (cut, bits(cut))).collect() }
    }

    /// A bit for each of the sets that have the number.
    #[inline]
    fn at(&self, number: T) -> u64 {
        let after = self.stretches.partition_point(|(first, _)| *first <= number);
        after.checked_sub(1).and_then(|at| self.stretches.get(at)).map_or(0, |(_, bits)| *bits)
    }
}

type Counter<K> = HashMap<K, u32, foldhash::fast::RandomState>;

/// The keys that were counted most, at most `most` of them.
fn top<K: Copy + Ord + std::hash::Hash>(counter: Counter<K>, most: u32) -> Vec<K> {
    let mut all: Vec<(K, u32)> = counter.into_iter().collect();
    all.sort_unstable_by_key(|(key, count)| (std::cmp::Reverse(*count), *key));
    all.into_iter().take(most as usize).map(|(key, _)| key).collect()
}

/// A flag test: how, which, which not looked at.
type FlagTest = (u8, u8, u8);

fn flag_test(test: &Test) -> Option<(FlagTest, FlagsMode)> {
    match test {
        Test::Flags { mode, want, ignore } => Some(((*mode as u8, *want, *ignore), *mode)),
        _ => None,
    }
}

/// Whether the flags of a packet satisfy a flag test.
pub(crate) const fn flags_hold(mode: FlagsMode, want: u8, have: u8) -> bool {
    match mode {
        FlagsMode::Exact => have == want,
        FlagsMode::All => have & want == want,
        FlagsMode::Any => have & want != 0,
        FlagsMode::Not if want == 0 => have != 0,
        FlagsMode::Not => have & want != want,
    }
}

fn bit(at: u32, place: Option<usize>) -> u64 {
    place.and_then(|place| u32::try_from(place).ok()).map_or(0, |place| 1 << (at + place))
}

/// Number of the list in `chosen` when it is there.
fn place<T: PartialEq>(chosen: &[T], wanted: &T) -> Option<usize> {
    chosen.iter().position(|known| known == wanted)
}

/// What a rule needs, given the address and port lists, flag tests and protocols that have a bit.
fn word(rule: &Rule, lists: &(Vec<u32>, Vec<u32>), others: (&[FlagTest], &[AppProto])) -> u64 {
    let ((addresses, ports), (flags, apps)) = (lists, others);
    let mut word = match rule.protocol.transport {
        Transport::Tcp => TCP,
        Transport::Udp => UDP,
        _ => 0,
    };
    let flow = &rule.flow;
    for (wanted, fact) in [
        (flow.to_server, TO_SERVER),
        (flow.to_client, TO_CLIENT),
        (flow.present && flow.established, ESTABLISHED),
        (flow.present && flow.not_established, NOT_ESTABLISHED),
    ] {
        word |= if wanted { fact } else { 0 };
    }
    if !rule.bidirectional {
        word |= bit(SRC_AT, place(addresses, &rule.src));
        word |= bit(DST_AT, place(addresses, &rule.dst));
        word |= bit(SRC_PORT_AT, place(ports, &rule.src_port));
        word |= bit(DST_PORT_AT, place(ports, &rule.dst_port));
    }
    for (test, _) in rule.tests.iter().filter_map(flag_test) {
        word |= bit(FLAGS_AT, place(flags, &test));
    }
    word | bit(APPS_AT, rule.protocol.app.and_then(|app| place(apps, &app)))
}

/// Whether all that the header of a rule asks has a bit; `any` says which addresses and ports may be any.
fn is_whole(
    rule: &Rule,
    any: ([bool; 2], [bool; 2]),
    lists: &(Vec<u32>, Vec<u32>),
    others: (&[FlagTest], &[AppProto]),
) -> bool {
    let ((addresses, ports), (flags, apps)) = (lists, others);
    let transport = match rule.protocol.transport {
        Transport::Tcp | Transport::Udp => true,
        Transport::Any => !rule.tx_protocols().is_empty(),
        _ => false,
    };
    let has = |list: &[u32], number: u32, any: bool| any || list.contains(&number);
    transport
        && !rule.bidirectional
        && rule.protocol.version == 0
        && !rule.flow.no_frag
        && !rule.flow.only_frag
        && has(addresses, rule.src, any.0[0])
        && has(addresses, rule.dst, any.0[1])
        && has(ports, rule.src_port, any.1[0])
        && has(ports, rule.dst_port, any.1[1])
        && rule
            .tests
            .iter()
            .all(|test| flag_test(test).is_some_and(|(test, _)| flags.contains(&test)))
        && rule
            .protocol
            .app
            .is_none_or(|app| apps.contains(&app) || !rule.tx_protocols().is_empty())
}

impl Needs {
    pub(crate) fn new(rules: &[Rule], addresses: &[AddressSet], ports: &[Ranges<u16>]) -> Self {
        let any_address = |number: u32| {
            let set = addresses.get(number as usize);
            set.is_none_or(|set| set.v4.is_all() && set.v6.is_all())
        };
        let any_port = |number: u32| ports.get(number as usize).is_none_or(Ranges::is_all);
        let mut count_addresses = Counter::default();
        let mut count_ports = Counter::default();
        let mut count_flags: Counter<FlagTest> = Counter::default();
        let mut count_apps: Counter<AppProto> = Counter::default();
        for rule in rules {
            for number in [rule.src, rule.dst].into_iter().filter(|number| !any_address(*number)) {
                *count_addresses.entry(number).or_default() += 1;
            }
            for number in
                [rule.src_port, rule.dst_port].into_iter().filter(|number| !any_port(*number))
            {
                *count_ports.entry(number).or_default() += 1;
            }
            for (test, _) in rule.tests.iter().filter_map(flag_test) {
                *count_flags.entry(test).or_default() += 1;
            }
            if let Some(app) = rule.protocol.app {
                *count_apps.entry(app).or_default() += 1;
            }
        }
        let flags = top(count_flags, FLAGS);
        let apps = top(count_apps, APPS);
        let lists = (top(count_addresses, ADDRESSES), top(count_ports, PORTS));
        let sets = lists.0.iter().filter_map(|number| addresses.get(*number as usize));
        let port_sets = lists.1.iter().filter_map(|number| ports.get(*number as usize));
        let mut needs = Self {
            by_rule: Vec::new(),
            is_whole: vec![0; rules.len().div_ceil(64)],
            v4: Line::new(&sets.clone().map(|set| &set.v4).collect::<Vec<_>>()),
            v6: Line::new(&sets.map(|set| &set.v6).collect::<Vec<_>>()),
            ports: Line::new(&port_sets.collect::<Vec<_>>()),
            by_flags: Box::new([0; 256]),
            by_app: Box::new([0; 64]),
        };
        for test in rules.iter().flat_map(|rule| &rule.tests) {
            let Some(((mode, want, ignore), how)) = flag_test(test) else { continue };
            let bit = bit(FLAGS_AT, place(&flags, &(mode, want, ignore)));
            for (have, bits) in (0_u8..=255).zip(needs.by_flags.iter_mut()) {
                if flags_hold(how, want, have & !ignore) {
                    *bits |= bit;
                }
            }
        }
        for (number, bits) in (0_u8..).zip(needs.by_app.iter_mut()) {
            let Some(flow) = AppProto::from_number(number) else { continue };
            for (at, app) in apps.iter().enumerate() {
                *bits |= if app.covers().contains(flow) { bit(APPS_AT, Some(at)) } else { 0 };
            }
        }
        let any = |rule: &Rule| {
            let addresses = [rule.src, rule.dst].map(any_address);
            let ports = [rule.src_port, rule.dst_port].map(any_port);
            (addresses, ports)
        };
        for (at, rule) in rules.iter().enumerate() {
            let whole = is_whole(rule, any(rule), &lists, (&flags, &apps));
            needs.is_whole[at / 64] |= u64::from(whole) << (at % 64);
        }
        needs.by_rule = rules.iter().map(|rule| word(rule, &lists, (&flags, &apps))).collect();
        needs
    }

    /// Facts about the two ends of data, the sender first.
    pub(crate) fn of_ends(&self, from: End, to: End) -> u64 {
        let address = |address: IpAddr| match address {
            IpAddr::V4(v4) => self.v4.at(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.at(v6.to_bits()),
        };
        let port = |port: Option<u16>| port.map_or(0, |port| self.ports.at(port));
        address(from.0) << SRC_AT
            | address(to.0) << DST_AT
            | port(from.1) << SRC_PORT_AT
            | port(to.1) << DST_PORT_AT
    }

    /// Facts that change from packet to packet.
    pub(crate) fn of_moment(&self, moment: Moment) -> u64 {
        let transport = match moment.ip_proto {
            6 => TCP,
            17 => UDP,
            _ => 0,
        };
        let direction = match moment.direction {
            Some(Direction::ToServer) => TO_SERVER,
            Some(Direction::ToClient) => TO_CLIENT,
            None => 0,
        };
        let state = if moment.established { ESTABLISHED } else { NOT_ESTABLISHED };
        let flags = moment.flags.map_or(0, |flags| self.by_flags[usize::from(flags)]);
        let app = moment.app.and_then(|app| self.by_app.get(app as usize)).copied().unwrap_or(0);
        transport | direction | state | flags | app
    }

    /// What a rule needs.
    pub(crate) fn of(&self, rule: u32) -> u64 {
        self.by_rule.get(rule as usize).copied().unwrap_or(0)
    }

    /// Whether a rule's word says all that its header asks: if the word allows a packet, so does the header.
    #[inline]
    pub(crate) fn is_whole(&self, rule: u32) -> bool {
        let word = self.is_whole.get(rule as usize / 64);
        word.is_some_and(|word| word >> (rule % 64) & 1 != 0)
    }

    /// Whether a rule may match a packet with these facts.
    #[inline]
    pub(crate) fn allow(&self, rule: u32, facts: u64) -> bool {
        self.of(rule) & !facts == 0
    }
}
