//! Where each rule is looked for: on packets, on streams, or on the hooks of a transaction.

use hashbrown::HashMap;

use crate::{
    AppProto, Buffer, Direction, Sides, Support,
    check::{
        Rule,
        ranges::Ranges,
        rule::{Scope, Test, Transform, Transport},
    },
    compile::{
        fast::{self, Chosen},
        matcher::{Matcher, Wanted},
    },
};

/// Ports a rule may list to get a search of its own per port.
const MAX_LISTED_PORTS: usize = 16;

/// Bytes from the beginning in which patterns with a small depth are searched.
pub(crate) const HEAD: usize = 256;

/// The searches of one group of rules.
#[derive(Debug, Default)]
pub(crate) struct Searches {
    /// Patterns that may be anywhere.
    pub(crate) any: Matcher,
    /// Patterns that can only be within the first [`HEAD`] bytes.
    pub(crate) head: Matcher,
    /// Both, for data that is no longer than that: one search instead of two.
    pub(crate) short: Matcher,
}

/// Patterns for any port, and per port those of rules that name few ports.
#[derive(Debug, Default)]
pub(crate) struct PortGroups {
    pub(crate) all: Searches,
    pub(crate) by_port: HashMap<u16, Searches, foldhash::fast::RandomState>,
    /// Rules without a pattern, under the shorter of their address lists: by source, by destination.
    pub(crate) addresses: [AddressIndex; 2],
    /// Rules without a pattern for any address.
    pub(crate) always: Vec<u32>,
}

/// One buffer of a transaction, with its transforms.
#[derive(Debug)]
pub(crate) struct Hook {
    pub(crate) buffer: Buffer,
    pub(crate) transforms: Vec<Transform>,
    pub(crate) matcher: Matcher,
    /// Rules without a pattern whose first buffer this is.
    pub(crate) always: Vec<u32>,
}

/// Everything for one protocol and direction.
#[derive(Debug, Default)]
pub(crate) struct TxPlan {
    pub(crate) hooks: Vec<Hook>,
    /// Rules that no buffer announces (events, versions).
    pub(crate) loose: Vec<u32>,
}

/// Source or destination addresses of rules that consist of an address list.
#[derive(Debug, Default)]
pub(crate) struct AddressIndex {
    v4: Vec<(u32, u32, Vec<u32>)>,
}

/// Where rules are looked for.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// By transport (TCP, UDP, other): payload of packets.
    pub(crate) packet: [PortGroups; 3],
    /// By direction: TCP streams.
    pub(crate) stream: [PortGroups; 2],
    /// Rules on addresses alone, run once per flow and direction.
    pub(crate) addresses: PortGroups,
    /// By protocol and direction.
    pub(crate) tx: Vec<[TxPlan; 2]>,
}

/// Kinds of rules, by what they look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) packet: bool,
    pub(crate) stream: bool,
    pub(crate) transaction: bool,
    pub(crate) addresses: bool,
}

/// Kind of a rule.
pub(crate) fn kind(rule: &Rule) -> Kind {
    let none = Kind { packet: false, stream: false, transaction: false, addresses: false };
    if !rule.tx_protocols().is_empty() {
        return Kind { transaction: true, ..none };
    }
    let payload = rule.blocks.iter().any(|block| block.buffer == Buffer::Payload);
    let header_buffer = rule.blocks.iter().any(|block| block.buffer.sides() == Sides::Packet);
    let packet_test = rule.tests.iter().any(is_packet_test);
    let no_tests = rule.tests.is_empty() && rule.blocks.is_empty();
    let flow_free = !rule.flow.established
        && !rule.flow.not_established
        && !rule.flow.only_frag
        && !rule.flow.no_frag;
    if no_tests
        && flow_free
        && rule.protocol.transport == Transport::Any
        && rule.protocol.app.is_none()
    {
        return Kind { addresses: true, ..none };
    }
    let can_stream = matches!(rule.protocol.transport, Transport::Tcp | Transport::Any);
    match rule.protocol.scope {
        Scope::PacketOnly => Kind { packet: true, ..none },
        _ if !payload || packet_test || header_buffer => Kind { packet: true, ..none },
        Scope::StreamOnly => Kind { stream: true, ..none },
        Scope::Auto if !can_stream => Kind { packet: true, ..none },
        Scope::Auto => {
            let also_packet =
                fast::has_absolute_position(rule) || rule.protocol.transport == Transport::Any;
            Kind { stream: true, packet: also_packet, ..none }
        }
    }
}

/// Tests that only make sense on a packet.
fn is_packet_test(test: &Test) -> bool {
    !matches!(
        test,
        Test::StreamSize { .. }
            | Test::FlowAge(_)
            | Test::FlowPackets { .. }
            | Test::FlowBytes { .. }
            | Test::AppProto { .. }
    )
}

/// Ranges of addresses with the rule they belong to.
type AddressRanges = Vec<(u32, u32, u32)>;

/// Patterns of [`Searches`] before they are built.
#[derive(Default)]
struct SearchBuilder {
    any: Vec<Wanted>,
    head: Vec<Wanted>,
}

impl SearchBuilder {
    fn add(&mut self, wanted: Wanted, limit: Option<u64>) {
        let head = limit.is_some_and(|limit| limit <= HEAD as u64);
        if head { self.head.push(wanted) } else { self.any.push(wanted) }
    }

    fn build(self) -> Searches {
        let both = self.any.iter().chain(&self.head).cloned().collect();
        let short = Matcher::new(both);
        Searches { any: Matcher::new(self.any), head: Matcher::new(self.head), short }
    }
}

/// Collects patterns before matchers are built.
#[derive(Default)]
struct GroupBuilder {
    all: SearchBuilder,
    by_port: HashMap<u16, SearchBuilder, foldhash::fast::RandomState>,
    addresses: [AddressRanges; 2],
    always: Vec<u32>,
}

impl GroupBuilder {
    fn add(&mut self, id: u32, chosen: &Chosen, ports: &Ranges<u16>) {
        let wanted =
            Wanted { bytes: chosen.bytes.clone(), nocase: chosen.nocase, at_end: false, rule: id };
        match listed(ports) {
            Some(list) => {
                for port in list {
                    self.by_port.entry(port).or_default().add(wanted.clone(), chosen.limit);
                }
            }
            None => self.all.add(wanted, chosen.limit),
        }
    }

    fn build(self) -> PortGroups {
        PortGroups {
            all: self.all.build(),
            by_port: self
                .by_port
                .into_iter()
                .map(|(port, searches)| (port, searches.build()))
                .collect(),
            addresses: self.addresses.map(|ranges| AddressIndex { v4: flatten(ranges) }),
            always: self.always,
        }
    }
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

/// What planning reads.
pub(super) struct Planner<'a> {
    pub(super) rules: &'a [Rule],
    pub(super) pool: &'a [u8],
    pub(super) ports: &'a [Ranges<u16>],
    pub(super) addresses: &'a [crate::check::AddressSet],
    pub(super) support: Support,
}

impl Planner<'_> {
    pub(super) fn plan(&self) -> Plan {
        let mut packet: [GroupBuilder; 3] = Default::default();
        let mut stream: [GroupBuilder; 2] = Default::default();
        let mut plan = Plan::default();
        plan.tx.resize_with(64, Default::default);
        let mut addresses = GroupBuilder::default();
        let mut hooks = HookBuilder::default();
        for (id, rule) in (0_u32..).zip(self.rules) {
            let kind = kind(rule);
            let chosen = fast::choose(rule, self.pool, kind.transaction);
            if kind.transaction {
                hooks.add(id, rule, chosen.as_ref(), self.support);
                continue;
            }
            if kind.addresses {
                self.without_pattern(id, rule, &mut addresses);
            }
            if kind.packet {
                for (group, builder) in packet.iter_mut().enumerate() {
                    if carries(rule, group) {
                        self.add(id, rule, chosen.as_ref(), (builder, self.packet_ports(rule)));
                    }
                }
            }
            if kind.stream {
                for direction in [Direction::ToServer, Direction::ToClient] {
                    if rule.wants(direction)
                        && let Some(builder) = stream.get_mut(direction.index())
                    {
                        self.add(
                            id,
                            rule,
                            chosen.as_ref(),
                            (builder, self.stream_ports(rule, direction)),
                        );
                    }
                }
            }
        }
        plan.packet = packet.map(GroupBuilder::build);
        plan.stream = stream.map(GroupBuilder::build);
        plan.addresses = addresses.build();
        hooks.build(&mut plan);
        plan
    }

    fn port_set(&self, number: u32) -> &Ranges<u16> {
        static NONE: std::sync::LazyLock<Ranges<u16>> = std::sync::LazyLock::new(Ranges::all);
        self.ports.get(number as usize).unwrap_or(&NONE)
    }

    /// Ports by which a packet rule is grouped: the destination's, unless the rule is bidirectional.
    fn packet_ports(&self, rule: &Rule) -> &Ranges<u16> {
        static ALL: std::sync::LazyLock<Ranges<u16>> = std::sync::LazyLock::new(Ranges::all);
        if rule.bidirectional { &ALL } else { self.port_set(rule.dst_port) }
    }

    /// Ports of the server's side.
    fn stream_ports(&self, rule: &Rule, direction: Direction) -> &Ranges<u16> {
        static ALL: std::sync::LazyLock<Ranges<u16>> = std::sync::LazyLock::new(Ranges::all);
        if rule.bidirectional {
            return &ALL;
        }
        self.port_set(if direction == Direction::ToServer { rule.dst_port } else { rule.src_port })
    }

    fn add(
        &self,
        id: u32,
        rule: &Rule,
        chosen: Option<&Chosen>,
        place: (&mut GroupBuilder, &Ranges<u16>),
    ) {
        let (builder, ports) = place;
        match chosen {
            Some(chosen) => builder.add(id, chosen, ports),
            None => self.without_pattern(id, rule, builder),
        }
    }

    /// Puts a rule without a pattern under the shorter of its two address lists.
    fn without_pattern(&self, id: u32, rule: &Rule, builder: &mut GroupBuilder) {
        let set = |number: u32| self.addresses.get(number as usize);
        let size = |number: u32| -> Option<u64> {
            let set = set(number).filter(|set| set.v6.is_empty() && !rule.bidirectional)?;
            Some(set.v4.as_slice().iter().map(|(low, high)| u64::from(high - low) + 1).sum())
        };
        let (side, number) = match (size(rule.src), size(rule.dst)) {
            (Some(src), Some(dst)) if dst < src => (1, rule.dst),
            (Some(_), _) => (0, rule.src),
            (None, Some(_)) => (1, rule.dst),
            (None, None) => {
                builder.always.push(id);
                return;
            }
        };
        let ranges = set(number).map(|set| set.v4.as_slice()).unwrap_or_default();
        if let Some(list) = builder.addresses.get_mut(side) {
            list.extend(ranges.iter().map(|(low, high)| (*low, *high, id)));
        }
    }
}

/// Whether packets of that group (0 TCP, 1 UDP, 2 other) can match the header.
fn carries(rule: &Rule, group: usize) -> bool {
    match rule.protocol.transport {
        Transport::Tcp => group == 0,
        Transport::Udp => group == 1,
        // Streams carry the TCP side of rules on payload, unless a position or size asks for packets too.
        Transport::Any if kind(rule).stream => {
            group == 1
                || (group == 2 && rule.protocol.app.is_none())
                || (group == 0 && fast::has_absolute_position(rule))
        }
        Transport::Any | Transport::PacketHeader | Transport::Ether => true,
        _ => group == 2,
    }
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
    /// Rules whose list has this address.
    pub(crate) fn lookup(&self, address: std::net::IpAddr) -> &[u32] {
        let std::net::IpAddr::V4(v4) = address else { return &[] };
        let bits = v4.to_bits();
        let after = self.v4.partition_point(|(low, ..)| *low <= bits);
        match after.checked_sub(1).and_then(|at| self.v4.get(at)) {
            Some((_, high, ids)) if bits <= *high => ids,
            _ => &[],
        }
    }
}

type HookKey = (u8, usize, Buffer, Vec<Transform>);

/// Patterns per (protocol, direction, buffer, transforms).
#[derive(Default)]
struct HookBuilder {
    hooks: HashMap<HookKey, (Vec<Wanted>, Vec<u32>), foldhash::fast::RandomState>,
    loose: Vec<(u8, usize, u32)>,
}

impl HookBuilder {
    fn add(&mut self, id: u32, rule: &Rule, chosen: Option<&Chosen>, support: Support) {
        let protocols = rule.tx_protocols();
        for proto in (0..64_u8).filter_map(AppProto::from_number) {
            if !protocols.contains(proto) || !support.parsed.contains(proto) {
                continue;
            }
            for direction in [Direction::ToServer, Direction::ToClient] {
                if rule.both_sides || rule.wants(direction) {
                    self.add_to(id, rule, chosen, (proto, direction));
                }
            }
        }
    }

    fn add_to(
        &mut self,
        id: u32,
        rule: &Rule,
        chosen: Option<&Chosen>,
        place: (AppProto, Direction),
    ) {
        let (proto, direction) = place;
        let first_app = rule.blocks.iter().find(|block| !block.buffer.protocols().is_empty());
        let block = match chosen {
            Some(chosen) => rule.blocks.get(chosen.block),
            None => first_app,
        };
        let Some(block) = block else {
            self.loose.push((proto as u8, direction.index(), id));
            return;
        };
        if !block.buffer.exists(direction) {
            return;
        }
        let key = (proto as u8, direction.index(), block.buffer, block.transforms.clone());
        let (wanted, always) = self.hooks.entry(key).or_default();
        match chosen {
            Some(chosen) => wanted.push(Wanted {
                bytes: chosen.bytes.clone(),
                nocase: chosen.nocase,
                at_end: chosen.at_end,
                rule: id,
            }),
            None => always.push(id),
        }
    }

    fn build(self, plan: &mut Plan) {
        let mut hooks: Vec<_> = self.hooks.into_iter().collect();
        hooks.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for ((proto, direction, buffer, transforms), (wanted, always)) in hooks {
            if let Some(tx) =
                plan.tx.get_mut(usize::from(proto)).and_then(|both| both.get_mut(direction))
            {
                tx.hooks.push(Hook { buffer, transforms, matcher: Matcher::new(wanted), always });
            }
        }
        for (proto, direction, id) in self.loose {
            if let Some(tx) =
                plan.tx.get_mut(usize::from(proto)).and_then(|both| both.get_mut(direction))
            {
                tx.loose.push(id);
            }
        }
    }
}
