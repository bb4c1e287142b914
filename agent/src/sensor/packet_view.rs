//! Packets as the signature engine sees them.

use net::decode::{Fragment, Ip, Transport};
use net::{DecoderEvent, Packet};
use signature::{IcmpFields, IpFields, IpOption, PacketView, SctpFields, TcpFields};

/// Names of a packet's events, without the decoder's prefix, in the room given.
#[inline(always)]
pub(crate) fn events<'a>(
    packet: &Packet<'_>,
    of_flow: &[&str],
    room: &'a mut [&'static str; 16],
) -> &'a [&'a str] {
    // Nearly all packets have none.
    if packet.anomalies.is_empty() && of_flow.is_empty() {
        return &[];
    }
    some_events(packet, of_flow, room)
}

#[inline(never)]
fn some_events<'a>(
    packet: &Packet<'_>,
    of_flow: &[&str],
    room: &'a mut [&'static str; 16],
) -> &'a [&'a str] {
    let mut count = 0;
    let of_flow = of_flow.iter().filter_map(|event| of_app_layer(event));
    let all = packet.anomalies.iter().map(short).chain(of_flow);
    for (slot, event) in room.iter_mut().zip(all) {
        *slot = event;
        count += 1;
    }
    room.get(..count).unwrap_or_default()
}

/// Events of a flow as rules name them.
fn of_app_layer(event: &str) -> Option<&'static str> {
    use net::app::sides;
    Some(match event {
        sides::MISMATCH => "app-layer.applayer_mismatch_protocol_both_directions",
        sides::WRONG_DIRECTION => "app-layer.applayer_wrong_direction_first_data",
        sides::ONE_DIRECTION => "app-layer.applayer_detect_protocol_only_one_direction",
        sides::SKIPPED => "app-layer.applayer_proto_detection_skipped",
        sides::NO_TLS => "app-layer.applayer_no_tls_after_starttls",
        sides::UNEXPECTED => "app-layer.applayer_unexpected_protocol",
        _ => return None,
    })
}

fn short(event: DecoderEvent) -> &'static str {
    let name = event.name();
    name.strip_prefix("decoder.").unwrap_or(name)
}

/// The view of a packet, without its flow.
#[inline(always)]
pub(crate) fn of<'a>(packet: &'a Packet<'a>, events: &'a [&'a str]) -> PacketView<'a> {
    let has_ports =
        matches!(packet.transport, Transport::Tcp(_) | Transport::Udp { .. } | Transport::Sctp(_));
    let (src_port, dst_port) = packet.ports();
    PacketView {
        time: packet.meta.ts.unsigned_abs(),
        src: packet.src,
        dst: packet.dst,
        src_port: has_ports.then_some(src_port),
        dst_port: has_ports.then_some(dst_port),
        ip_proto: packet.proto,
        ip: ip_fields(packet),
        tcp: packet.tcp().map(|tcp| TcpFields {
            flags: tcp.flags,
            seq: tcp.seq,
            ack: tcp.ack,
            window: tcp.window,
            mss: tcp.option(2).and_then(|v| v.try_into().ok()).map(u16::from_be_bytes),
            wscale: tcp.option(3).and_then(|v| v.first().copied()),
        }),
        icmp: packet.icmp().map(|icmp| IcmpFields {
            kind: icmp.kind,
            code: icmp.code,
            id: icmp.id,
            seq: icmp.seq,
            mtu: match icmp.bytes {
                [2, _, _, _, a, b, c, d, ..] if packet.proto == 58 => {
                    Some(u32::from_be_bytes([*a, *b, *c, *d]))
                }
                _ => None,
            },
        }),
        // Of a packet that cannot be read only its events count.
        payload: if packet.invalid { &[] } else { packet.payload },
        wire_len: u32::try_from(packet.bytes.len()).unwrap_or(u32::MAX),
        transport_header: match &packet.transport {
            Transport::Tcp(tcp) => tcp.header,
            Transport::Icmp(icmp) => {
                icmp.bytes.get(..icmp_header(packet.proto, icmp.bytes)).unwrap_or(icmp.bytes)
            }
            Transport::Udp { header, .. } => header,
            Transport::Sctp(sctp) => sctp.header,
            Transport::Igmp(igmp) => igmp.header,
            _ => &[],
        },
        sctp: match &packet.transport {
            Transport::Sctp(sctp) => Some(SctpFields {
                vtag: sctp.vtag,
                chunks: sctp.chunks,
                kinds: sctp.kinds(),
                data: sctp.data.unwrap_or_default(),
            }),
            _ => None,
        },
        igmp: match &packet.transport {
            Transport::Igmp(igmp) => Some(igmp.kind),
            _ => None,
        },
        is_arp: matches!(packet.transport, Transport::Arp(_)),
        vlan: packet.vlan.ids(),
        vni: packet.vni,
        link_header: packet.link_header,
        ip_payload: packet.ip_payload,
        ip_header: packet.ip_header,
        events,
        ..PacketView::default()
    }
}

/// Length of an ICMP header with the fields of its type (RFC 792, RFC 950, RFC 1256).
fn icmp_header(proto: u8, bytes: &[u8]) -> usize {
    match bytes {
        [9, _, _, _, count, words, ..] if proto == 1 => {
            8 + usize::from(*count) * usize::from(*words) * 4
        }
        [13 | 14, ..] if proto == 1 => 20,
        [17 | 18, ..] if proto == 1 => 12,
        _ => 8,
    }
}

fn ip_fields(packet: &Packet<'_>) -> IpFields {
    let offset = |fragment: Option<Fragment>| {
        fragment.map_or(0, |f| u16::try_from(f.offset >> 3).unwrap_or(u16::MAX))
    };
    match &packet.ip {
        Ip::None => IpFields::default(),
        Ip::V4(header) => IpFields {
            version: 4,
            ttl: header.ttl(),
            tos: header.slice().get(1).copied().unwrap_or(0),
            id: header.identification(),
            fragment_bits: u8::from(header.more_fragments())
                | u8::from(header.dont_fragment()) << 1
                | header.slice().get(6).map_or(0, |b| b >> 7) << 2,
            fragment_offset: header.fragments_offset().value(),
            options: options(header.options()),
        },
        Ip::V6(header) => IpFields {
            version: 6,
            ttl: header.hop_limit(),
            tos: header.traffic_class(),
            fragment_bits: u8::from(packet.fragment.is_some_and(|f| f.more)),
            fragment_offset: offset(packet.fragment),
            ..IpFields::default()
        },
    }
}

fn options(mut bytes: &[u8]) -> u16 {
    let mut set = 0u16;
    while let [kind, rest @ ..] = bytes {
        let option = match kind {
            0 => Some(IpOption::Eol),
            1 => Some(IpOption::Nop),
            7 => Some(IpOption::Rr),
            68 => Some(IpOption::Ts),
            130 => Some(IpOption::Sec),
            131 => Some(IpOption::Lsrr),
            133 => Some(IpOption::Esec),
            136 => Some(IpOption::Satid),
            137 => Some(IpOption::Ssrr),
            25 => Some(IpOption::QuickStart),
            134 => Some(IpOption::Cipso),
            148 => Some(IpOption::RouterAlert),
            _ => None,
        };
        if let Some(option) = option {
            set |= 1 << option as u16;
        }
        bytes = match (kind, rest) {
            (0, _) => &[],
            (1, rest) => rest,
            (_, [length, ..]) => bytes.get(usize::from(*length).max(2)..).unwrap_or_default(),
            _ => &[],
        };
    }
    set
}
