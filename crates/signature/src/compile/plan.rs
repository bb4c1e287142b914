//! Where each rule is looked for: on packets, on streams, or on the hooks of a transaction.

use hashbrown::HashMap;

use crate::{
    AppProto, Buffer, Direction, Sides, Support,
    check::{
        Rule,
        ranges::Ranges,
        rule::{Cmp, FlowTest, Scope, Test, Transform, Transport},
    },
    compile::{
        fast::{self, Choice, Chosen},
        group::{Build, GroupBuilder, PortGroups, Ports, RuleFacts},
        matcher::{Matcher, Wanted},
    },
    parallel,
};

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

/// Where rules are looked for.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// By transport (TCP, UDP, other) and direction in the flow: payload of packets. Packets without a
    /// direction are among those to the server; rules that want one cannot be about them.
    pub(crate) packet: [[PortGroups; 2]; 3],
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
    // A reputation is asked once for a flow and direction like the addresses themselves, unless the rule speaks of
    // the flow; a country for every packet.
    let is_reputation = |test: &Test| matches!(test, Test::Reputation { .. });
    let no_tests = rule.blocks.is_empty()
        && (rule.tests.is_empty()
            || (rule.tests.iter().all(is_reputation) && rule.flow == FlowTest::default()));
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
            | Test::Reputation { .. }
            | Test::Country(_)
    )
}

/// What planning wants to know of a rule by itself.
pub(super) struct Look<'p> {
    kind: Kind,
    choice: Choice<'p>,
}

impl<'p> Look<'p> {
    pub(super) fn new(rule: &Rule, pool: &'p [u8]) -> Self {
        let kind = kind(rule);
        Self { kind, choice: Choice::new(rule, pool, kind) }
    }
}

/// What planning reads.
pub(super) struct Planner<'a> {
    pub(super) rules: &'a [Rule],
    pub(super) ports: &'a [Ranges<u16>],
    pub(super) addresses: &'a [crate::check::AddressSet],
    pub(super) support: Support,
}

impl Planner<'_> {
    /// Plans rules of which each was looked at; searches are built on so many threads.
    pub(super) fn plan<'p>(&self, looks: impl Iterator<Item = Look<'p>>, threads: usize) -> Plan {
        let mut packet: [[GroupBuilder<'p>; 2]; 3] = Default::default();
        let mut stream: [GroupBuilder<'p>; 2] = Default::default();
        let mut plan = Plan::default();
        plan.tx.resize_with(64, Default::default);
        packet.iter_mut().flatten().for_each(GroupBuilder::expect_whole_data);
        packet[1].iter_mut().for_each(GroupBuilder::expect_short_data);
        let mut addresses = GroupBuilder::default();
        let mut hooks = HookBuilder::default();
        for ((id, rule), Look { kind, choice }) in (0_u32..).zip(self.rules).zip(looks) {
            let chosen = choice.best.as_ref();
            if kind.transaction {
                hooks.add(id, rule, chosen, self.support);
                continue;
            }
            if kind.addresses {
                let ports = self.packet_ports(rule, Direction::ToServer);
                self.without_pattern(id, rule, (&mut addresses, ports));
            }
            if kind.packet {
                for (group, builders) in packet.iter_mut().enumerate() {
                    if carries(rule, group) {
                        // What streams bring is long, and there the rule is looked for as a whole already.
                        let near = choice.near_is_better && group == 0;
                        let best = choice.near.as_ref().filter(|_| near).or(chosen);
                        self.add_to_packets(id, rule, (best, choice.near.as_ref()), builders);
                    }
                }
            }
            if kind.stream {
                for direction in [Direction::ToServer, Direction::ToClient] {
                    if rule.wants(direction)
                        && let Some(builder) = stream.get_mut(direction.index())
                    {
                        let ports = self.stream_ports(rule, direction);
                        self.add(id, rule, (chosen, None), (builder, ports));
                    }
                }
            }
        }
        let mut builds = Vec::new();
        let Plan { packet: packets, stream: streams, addresses: others, tx } = &mut plan;
        let groups = packets.iter_mut().flatten().chain(streams).chain([others]);
        let builders = packet.into_iter().flatten().chain(stream).chain([addresses]);
        groups.zip(builders).for_each(|(groups, builder)| builder.build(groups, &mut builds));
        hooks.build(tx, &mut builds);
        // Those that take longest first, so that all threads are done at about the same time.
        builds.sort_by_key(|build| std::cmp::Reverse(build.len()));
        parallel::map(threads, builds, Build::run);
        plan
    }

    fn port_set(&self, number: u32) -> &Ranges<u16> {
        static NONE: std::sync::LazyLock<Ranges<u16>> = std::sync::LazyLock::new(Ranges::all);
        self.ports.get(number as usize).unwrap_or(&NONE)
    }

    /// Puts a rule on packets under the directions it is about.
    fn add_to_packets<'p>(
        &self,
        id: u32,
        rule: &Rule,
        chosen: (Option<&Chosen<'p>>, Option<&Chosen<'p>>),
        builders: &mut [GroupBuilder<'p>; 2],
    ) {
        let directions = [Direction::ToServer, Direction::ToClient];
        for (direction, builder) in directions.into_iter().zip(builders) {
            if rule.wants(direction) {
                let ports = self.packet_ports(rule, direction);
                self.add(id, rule, chosen, (builder, ports));
            }
        }
    }

    /// Port of a packet by which the rule is grouped: the receiver's, unless the rule leaves that one open and
    /// speaks of the server that sends; none when it is bidirectional.
    fn packet_ports(&self, rule: &Rule, direction: Direction) -> Ports<'_> {
        static ALL: std::sync::LazyLock<Ranges<u16>> = std::sync::LazyLock::new(Ranges::all);
        if rule.bidirectional {
            return Ports::Receiver(&ALL);
        }
        match self.port_set(rule.dst_port) {
            any if any.is_all() && direction == Direction::ToClient => {
                Ports::Sender(self.port_set(rule.src_port))
            }
            ports if direction == Direction::ToClient => Ports::Client(ports),
            ports => Ports::Receiver(ports),
        }
    }

    /// Ports of the server's side.
    fn stream_ports(&self, rule: &Rule, direction: Direction) -> Ports<'_> {
        static ALL: std::sync::LazyLock<Ranges<u16>> = std::sync::LazyLock::new(Ranges::all);
        if rule.bidirectional {
            return Ports::Receiver(&ALL);
        }
        let side = if direction == Direction::ToServer { rule.dst_port } else { rule.src_port };
        Ports::Receiver(self.port_set(side))
    }

    fn add<'p>(
        &self,
        id: u32,
        rule: &Rule,
        (chosen, near): (Option<&Chosen<'p>>, Option<&Chosen<'p>>),
        place: (&mut GroupBuilder<'p>, Ports<'_>),
    ) {
        let (builder, ports) = place;
        let size = fast::payload_size(rule);
        let facts = RuleFacts { rule: id, size, app: rule.protocol.app };
        match chosen {
            Some(chosen) => builder.add(facts, (chosen, near), ports),
            None => self.without_pattern(id, rule, (builder, ports)),
        }
    }

    /// Puts a rule without a pattern under the shorter of its two address lists, or when both are long under
    /// its ports.
    fn without_pattern(&self, id: u32, rule: &Rule, place: (&mut GroupBuilder<'_>, Ports<'_>)) {
        let (builder, ports) = place;
        let set = |number: u32| self.addresses.get(number as usize);
        let size = |number: u32| -> Option<u64> {
            let set = set(number).filter(|set| set.v6.is_empty() && !rule.bidirectional)?;
            Some(set.v4.as_slice().iter().map(|(low, high)| u64::from(high - low) + 1).sum())
        };
        let sizes = (size(rule.src), size(rule.dst));
        let short = [sizes.0, sizes.1].into_iter().flatten().any(|size| size <= SHORT_LIST);
        if !short && builder.add_to_ports(id, ports) {
            return;
        }
        let (side, number) = match sizes {
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

/// Addresses up to which a list says more than a port.
const SHORT_LIST: u64 = 1 << 16;

/// Whether packets of that group (0 TCP, 1 UDP, 2 other) can match the header.
fn carries(rule: &Rule, group: usize) -> bool {
    let other = rule.tests.iter().any(|test| match test {
        Test::IpProto(Cmp::Eq(6)) => group != 0,
        Test::IpProto(Cmp::Eq(17)) => group != 1,
        Test::IpProto(Cmp::Eq(_)) => group != 2,
        _ => false,
    });
    if other || (group == 1 && rule.protocol.app.is_some_and(|app| !app.is_over_udp())) {
        return false;
    }
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

type HookKey = (u8, usize, Buffer, Vec<Transform>);

/// Patterns per (protocol, direction, buffer, transforms).
#[derive(Default)]
struct HookBuilder<'p> {
    hooks: HashMap<HookKey, (Vec<Wanted<'p>>, Vec<u32>), foldhash::fast::RandomState>,
    loose: Vec<(u8, usize, u32)>,
}

impl<'p> HookBuilder<'p> {
    fn add(&mut self, id: u32, rule: &Rule, chosen: Option<&Chosen<'p>>, support: Support) {
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
        chosen: Option<&Chosen<'p>>,
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
        // A dot before the buffer matters only to a pattern that reaches back to it; at the end that is known.
        let begins_with_dot = chosen.is_some_and(|chosen| chosen.bytes.starts_with(b"."));
        let plain = block.transforms == [Transform::DotPrefix]
            && chosen.is_some_and(|chosen| chosen.at_end || !begins_with_dot);
        let dotted = plain && begins_with_dot;
        let transforms = if plain { Vec::new() } else { block.transforms.clone() };
        let key = (proto as u8, direction.index(), block.buffer, transforms);
        let (wanted, always) = self.hooks.entry(key).or_default();
        match chosen {
            Some(chosen) => wanted.push(Wanted {
                bytes: chosen.bytes,
                nocase: chosen.nocase,
                at_end: chosen.at_end,
                dotted,
                rule: id,
            }),
            None => always.push(id),
        }
    }

    /// Adds to `builds` what is to be built into the hooks.
    fn build<'s>(self, tx: &'s mut [[TxPlan; 2]], builds: &mut Vec<Build<'s, 'p>>) {
        for (proto, direction, id) in self.loose {
            if let Some(plan) =
                tx.get_mut(usize::from(proto)).and_then(|both| both.get_mut(direction))
            {
                plan.loose.push(id);
            }
        }
        let mut hooks: Vec<_> = self.hooks.into_iter().collect();
        hooks.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut wanted = Vec::with_capacity(hooks.len());
        for ((proto, direction, buffer, transforms), (patterns, always)) in hooks {
            if let Some(plan) =
                tx.get_mut(usize::from(proto)).and_then(|both| both.get_mut(direction))
            {
                plan.hooks.push(Hook { buffer, transforms, matcher: Matcher::default(), always });
                wanted.push(patterns);
            }
        }
        // Hooks are in the order of their keys, which begin with the place in the plan.
        let hooks = tx.iter_mut().flatten().flat_map(|plan| &mut plan.hooks);
        builds.extend(
            hooks.zip(wanted).map(|(hook, wanted)| Build::Matcher(&mut hook.matcher, wanted)),
        );
    }
}
