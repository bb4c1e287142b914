//! `flow` records.

use super::Head;
use super::fields::{Brief, Fields};
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
    record.text("community_id", &flow.community_id(head.options.community_seed));
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

/// Two hexadecimal digits.
fn hex<F: Fields>(body: &mut F, key: &str, flags: u8) {
    let digits = [flags >> 4, flags & 15].map(|n| {
        let digit = if n < 10 { b'0' } else { b'a' - 10 };
        digit.wrapping_add(n)
    });
    body.text(key, std::str::from_utf8(&digits).unwrap_or("00"));
}

fn tcp<F: Fields>(body: &mut F, flow: &Flow) {
    let (ts, tc) = (flow.tcp_flags().to_server, flow.tcp_flags().to_client);
    hex(body, "tcp_flags", ts | tc);
    hex(body, "tcp_flags_ts", ts);
    hex(body, "tcp_flags_tc", tc);
    let names = ["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"];
    // In the customary order, not that of the bits.
    for bit in [1, 0, 2, 3, 4, 5, 6, 7] {
        if (ts | tc) & (1 << bit) != 0
            && let Some(name) = names.get(bit)
        {
            body.boolean(name, true);
        }
    }
    if flow.tcp_state() != TcpState::None {
        body.word("state", flow.tcp_state().name());
    }
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
