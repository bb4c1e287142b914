//! `flow` records.

use super::Head;
use super::fields::{Brief, Fields};
use net::decode::tcp_flags;
use net::flow::tcp::TcpState;
use net::{Direction, EndReason, Flow, FlowState};

fn reason_name(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Timeout => "timeout",
        EndReason::TcpReuse => "tcp_reuse",
        EndReason::Forced => "forced",
        EndReason::Shutdown => "shutdown",
    }
}

/// The name of a flow's state.
pub(crate) fn state_name(flow: &Flow) -> &'static str {
    match flow.state() {
        FlowState::New => "new",
        FlowState::Established => "established",
        FlowState::Closed => "closed",
    }
}

/// The record of a flow that has ended.
pub(crate) fn ended<F: Fields>(
    record: &mut F,
    head: &Head<'_>,
    flow: &Flow,
    (state, reason): (&'static str, EndReason),
) {
    head.of_flow(record, flow, Direction::ToServer);
    if matches!(flow.proto(), 1 | 58) {
        record.number("icmp_type", flow.client().1.into());
        if flow.both_seen() {
            record.number("response_icmp_type", flow.server().1.into());
        } else {
            record.number("icmp_code", 0);
        }
    }
    if flow.protocol() != net::Protocol::Unknown {
        record.word("app_proto", flow.protocol().name());
    }
    let age = flow.last().div_euclid(1_000_000).saturating_sub(flow.start().div_euclid(1_000_000));
    record.object("flow", |body| {
        body.brief(|body| {
            counters(body, flow);
            body.time("start", flow.start());
            body.time("end", flow.last());
            body.number("age", age.unsigned_abs());
            body.word("state", state);
            body.word("reason", reason_name(reason));
            body.boolean("alerted", flow.alerted());
            if flow.transactions() > 0 {
                body.number("tx_cnt", flow.transactions());
            }
        });
    });
    record.ascii("community_id", &flow.name().community_id(head.options.community_seed));
    if flow.proto() == 6 {
        record.object("tcp", |body| tcp(body, flow));
    }
}

#[inline(always)]
fn counters<B: Brief>(body: &mut B, flow: &Flow) {
    let (packets, bytes) = (flow.packets(), flow.bytes());
    body.number("pkts_toserver", packets.to_server.into());
    body.number("pkts_toclient", packets.to_client.into());
    body.number("bytes_toserver", bytes.to_server);
    body.number("bytes_toclient", bytes.to_client);
}

fn tcp<F: Fields>(body: &mut F, flow: &Flow) {
    let (ts, tc) = (flow.tcp_flags().to_server, flow.tcp_flags().to_client);
    let both = ts | tc;
    body.brief(|out| {
        out.hex("tcp_flags", both);
        out.hex("tcp_flags_ts", ts);
        out.hex("tcp_flags_tc", tc);
        // In the customary order, not that of the bits.
        let mut flag = |bit: u8, name: &'static str| {
            if both & bit != 0 {
                out.boolean(name, true);
            }
        };
        flag(tcp_flags::SYN, "syn");
        flag(tcp_flags::FIN, "fin");
        flag(tcp_flags::RST, "rst");
        flag(tcp_flags::PSH, "psh");
        flag(tcp_flags::ACK, "ack");
        flag(tcp_flags::URG, "urg");
        flag(tcp_flags::ECE, "ecn");
        flag(tcp_flags::CWR, "cwr");
        if flow.tcp_state() != TcpState::None {
            out.word("state", flow.tcp_state().name());
        }
    });
}

/// The `flow` object inside an alert.
pub(crate) fn so_far<F: Fields>(body: &mut F, flow: &Flow, compress: bool) {
    let (client, server) = flow.endpoints(Direction::ToServer);
    body.brief(|body| counters(body, flow));
    body.time("start", flow.start());
    body.address("src_ip", client.0, compress);
    body.address("dest_ip", server.0, compress);
    if matches!(flow.proto(), 6 | 17 | 132) {
        body.number("src_port", client.1.into());
        body.number("dest_port", server.1.into());
    }
}
