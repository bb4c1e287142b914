//! Cheap tests first: protocol, addresses, ports, `flow`, packet keywords.

use std::net::IpAddr;

use crate::{
    AppProto, Direction, FlowView, PacketView, RuleSet,
    check::{
        Rule,
        rule::{Cmp, FlowTest, Side, Test, Transport},
    },
    compile::need::{End, flags_hold},
};

use super::layers;

/// Where the rule is being looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Packet,
    Stream(Direction),
    Transaction(Direction),
}

impl Place {
    pub(super) fn direction(self, packet: &PacketView<'_>) -> Option<Direction> {
        match self {
            Self::Packet => packet.direction,
            Self::Stream(direction) | Self::Transaction(direction) => Some(direction),
        }
    }

    /// Sender and receiver of the data.
    pub(super) fn ends(self, packet: &PacketView<'_>) -> (End, End) {
        let (from, to) = ((packet.src, packet.src_port), (packet.dst, packet.dst_port));
        // Data of the other direction than the packet's: the flow's ends stand the other way round.
        match (self.direction(packet), packet.direction) {
            (Some(data), Some(own)) if data != own => (to, from),
            _ => (from, to),
        }
    }
}

/// Whether header, `flow` and packet keywords of the rule hold.
pub(super) fn matches(rules: &RuleSet, rule: &Rule, packet: &PacketView<'_>, place: Place) -> bool {
    protocol(rule, packet, place)
        && flow(&rule.flow, packet, place)
        && ends(rules, rule, packet, place)
        && rule.tests.iter().all(|test| match test {
            Test::Reputation { .. } | Test::Country(_) => known(rules, test, packet, place),
            _ => test_holds(test, packet),
        })
}

fn protocol(rule: &Rule, packet: &PacketView<'_>, place: Place) -> bool {
    let transport = match rule.protocol.transport {
        Transport::PacketHeader => true,
        Transport::Any => packet.ip.version != 0,
        Transport::Tcp => packet.ip_proto == 6,
        Transport::Udp => packet.ip_proto == 17,
        Transport::Icmp => matches!(packet.ip_proto, 1 | 58),
        Transport::Icmpv4Only => packet.ip_proto == 1,
        Transport::Icmpv6Only => packet.ip_proto == 58,
        Transport::Sctp => packet.ip_proto == 132,
        Transport::Igmp => packet.ip_proto == 2,
        Transport::Ether => !packet.link_header.is_empty(),
        Transport::Arp => packet.is_arp,
    };
    if !transport || (rule.protocol.version != 0 && rule.protocol.version != packet.ip.version) {
        return false;
    }
    match (rule.protocol.app, place) {
        (None, _) | (Some(_), Place::Transaction(_)) => true,
        (Some(app), _) => packet.flow.is_some_and(|flow| app.covers().contains(flow.app)),
    }
}

fn flow(test: &FlowTest, packet: &PacketView<'_>, place: Place) -> bool {
    if !test.present && !test.to_server && !test.to_client {
        return true;
    }
    let fragment = packet.ip.fragment_offset != 0 || packet.ip.fragment_bits & 1 != 0;
    if (test.no_frag && fragment) || (test.only_frag && !fragment) {
        return false;
    }
    let direction = place.direction(packet);
    if (test.to_server && direction != Some(Direction::ToServer))
        || (test.to_client && direction != Some(Direction::ToClient))
    {
        return false;
    }
    let established = packet.flow.is_some_and(|flow| flow.established);
    (!test.established || established) && (!test.not_established || !established)
}

fn ends(rules: &RuleSet, rule: &Rule, packet: &PacketView<'_>, place: Place) -> bool {
    let (from, to) = place.ends(packet);
    let one_way = |from: End, to: End| {
        port(rules, rule.src_port, from.1)
            && port(rules, rule.dst_port, to.1)
            && address(rules, rule.src, from.0)
            && address(rules, rule.dst, to.0)
    };
    one_way(from, to) || (rule.bidirectional && one_way(to, from))
}

fn address(rules: &RuleSet, number: u32, address: IpAddr) -> bool {
    rules.addresses.get(number as usize).is_some_and(|set| set.contains(address))
}

/// Packets without ports match only rules for any port.
fn port(rules: &RuleSet, number: u32, port: Option<u16>) -> bool {
    rules.ports.get(number as usize).is_some_and(|set| match port {
        Some(port) => set.contains(port),
        None => set.is_all(),
    })
}

fn compare<T: Into<u64>>(cmp: Cmp, value: Option<T>) -> bool {
    value.is_some_and(|value| cmp.holds(value.into()))
}

fn sides(side: Side, cmp: Cmp, by_direction: [u64; 2]) -> bool {
    let [client, server] = by_direction.map(|value| cmp.holds(value));
    match side {
        Side::Client => client,
        Side::Server => server,
        Side::Both => client && server,
        Side::Either => client || server,
    }
}

fn test_holds(test: &Test, packet: &PacketView<'_>) -> bool {
    let tcp = packet.tcp.as_ref();
    let icmp = packet.icmp.as_ref();
    let ip = Some(packet.ip).filter(|ip| ip.version != 0);
    let ip4 = ip.filter(|ip| ip.version == 4);
    match test {
        // A size that is ruled out asks for some payload all the same.
        Test::Dsize(Cmp::Ne(_)) if packet.payload.is_empty() => false,
        Test::Dsize(cmp) => !packet.pseudo && cmp.holds(packet.payload.len() as u64),
        Test::Ttl(cmp) => compare(*cmp, ip.map(|ip| ip.ttl)),
        Test::Id(cmp) => compare(*cmp, ip4.map(|ip| ip.id)),
        Test::Tos(cmp) => compare(*cmp, ip4.map(|ip| ip.tos)),
        Test::IpProto(cmp) => compare(*cmp, ip.map(|_| packet.ip_proto)),
        Test::Itype(cmp) => compare(*cmp, icmp.map(|icmp| icmp.kind)),
        Test::Icode(cmp) => compare(*cmp, icmp.map(|icmp| icmp.code)),
        Test::IcmpId(cmp) => compare(*cmp, icmp.and_then(|icmp| icmp.id)),
        Test::IcmpSeq(cmp) => compare(*cmp, icmp.and_then(|icmp| icmp.seq)),
        Test::IcmpMtu(cmp) => compare(*cmp, icmp.and_then(|icmp| icmp.mtu)),
        Test::Seq(cmp) => compare(*cmp, tcp.map(|tcp| tcp.seq)),
        Test::Ack(cmp) => compare(*cmp, tcp.map(|tcp| tcp.ack)),
        Test::Window(cmp) => compare(*cmp, tcp.map(|tcp| tcp.window)),
        Test::Mss(cmp) => compare(*cmp, tcp.and_then(|tcp| tcp.mss)),
        Test::Wscale(cmp) => compare(*cmp, tcp.and_then(|tcp| tcp.wscale)),
        Test::FragOffset(cmp) => compare(*cmp, ip4.map(|ip| ip.fragment_offset)),
        Test::Flags { mode, want, ignore } => {
            !packet.pseudo && tcp.is_some_and(|tcp| flags_hold(*mode, *want, tcp.flags & !ignore))
        }
        Test::FragBits { mode, want } => {
            ip4.is_some_and(|ip| flags_hold(*mode, *want, ip.fragment_bits))
        }
        Test::VlanId { .. }
        | Test::VlanLayers(_)
        | Test::Vni(_)
        | Test::IgmpType(_)
        | Test::SctpVtag(_)
        | Test::SctpChunks(_)
        | Test::SctpChunkType(_)
        | Test::NetworkVersion(_)
        | Test::Checksum { .. } => layers::holds(test, packet),
        Test::SameIp => packet.src == packet.dst,
        Test::IpOptions(None) => packet.ip.options != 0,
        Test::IpOptions(Some(option)) => packet.ip.options >> (*option as u16) & 1 != 0,
        Test::Event(name) => packet.events.iter().any(|event| *event == name.as_ref()),
        Test::StreamSize { .. }
        | Test::FlowAge(_)
        | Test::FlowPackets { .. }
        | Test::FlowBytes { .. }
        | Test::AppProto { .. } => packet.flow.is_some_and(|flow| flow_test(test, &flow, packet)),
        // Looked up by `known`.
        Test::Reputation { .. } | Test::Country(_) => false,
    }
}

/// What is known of the addresses of sender and receiver.
#[inline(never)]
fn known(rules: &RuleSet, test: &Test, packet: &PacketView<'_>, place: Place) -> bool {
    if packet.ip.version == 0 {
        return false;
    }
    let ((src, _), (dst, _)) = place.ends(packet);
    let data = &rules.addresses_known;
    match test {
        Test::Reputation { ends, category, score } => {
            let Some(scores) = data.scores.get(usize::from(*category)) else { return false };
            ends.hold(src, dst, |address| match (score, scores.at(address)) {
                (Some(cmp), Some(found)) => cmp.holds(found.get()),
                (None, found) => found.is_none(),
                (Some(_), None) => false,
            })
        }
        // A packet that was made up to end a stream comes from nowhere.
        Test::Country(_) if place == Place::Packet && packet.pseudo => false,
        Test::Country(test) => {
            test.ends.hold(src, dst, |address| test.holds(data.countries.at(address)))
        }
        _ => false,
    }
}

fn flow_test(test: &Test, flow: &FlowView, packet: &PacketView<'_>) -> bool {
    match test {
        Test::StreamSize { side, cmp } => {
            packet.ip_proto == 6 && sides(*side, *cmp, flow.stream_size)
        }
        Test::FlowAge(cmp) => cmp.holds(flow.age),
        Test::FlowPackets { side, cmp } => sides(*side, *cmp, flow.packets),
        Test::FlowBytes { side, cmp } => sides(*side, *cmp, flow.bytes),
        Test::AppProto { proto, negated, side, exact } => {
            let [server, client] = flow.app_by_direction.unwrap_or([flow.app; 2]);
            let undecided = flow.app == AppProto::Unknown && *proto != AppProto::Unknown;
            let is = |have: AppProto| match exact {
                true => have == *proto,
                false => proto.covers().contains(have),
            };
            let holds = match side {
                Side::Server => is(server),
                Side::Client => is(client),
                Side::Both => is(server) && is(client),
                Side::Either => is(flow.app) || is(server) || is(client),
            };
            // Before detection is done nothing is known, so that a negation does not hold either.
            !undecided && holds != *negated
        }
        _ => false,
    }
}
