//! `flow` records.

use net::flow::tcp::TcpState;
use net::{Direction, EndReason, Flow, FlowState};
use serde_json::json;

use super::{Head, Object, timestamp};

fn reason_name(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Timeout => "timeout",
        EndReason::TcpReuse => "tcp_reuse",
        EndReason::Forced => "forced",
        EndReason::Shutdown => "shutdown",
    }
}

fn state_name(flow: &Flow) -> &'static str {
    match flow.state() {
        FlowState::New => "new",
        FlowState::Established => "established",
        FlowState::Closed => "closed",
    }
}

/// The record of a flow that has ended.
pub(crate) fn ended(head: &Head<'_>, flow: &Flow, reason: EndReason) -> Object {
    let mut record = head.of_flow(flow, Direction::ToServer);
    if matches!(flow.proto(), 1 | 58) {
        record.insert("icmp_type".into(), flow.client().1.into());
        if flow.both_seen() {
            record.insert("response_icmp_type".into(), flow.server().1.into());
        } else {
            record.insert("icmp_code".into(), 0.into());
        }
    }
    if flow.protocol() != net::Protocol::Unknown {
        record.insert("app_proto".into(), flow.protocol().name().into());
    }
    let (packets, bytes) = (flow.packets(), flow.bytes());
    let age = flow.last().div_euclid(1_000_000).saturating_sub(flow.start().div_euclid(1_000_000));
    let mut body = json!({
        "pkts_toserver": packets.to_server,
        "pkts_toclient": packets.to_client,
        "bytes_toserver": bytes.to_server,
        "bytes_toclient": bytes.to_client,
        "start": timestamp(flow.start()),
        "end": timestamp(flow.last()),
        "age": age,
        "state": state_name(flow),
        "reason": reason_name(reason),
        "alerted": flow.alerted(),
    });
    if flow.transactions() > 0
        && let Some(body) = body.as_object_mut()
    {
        body.insert("tx_cnt".into(), flow.transactions().into());
    }
    record.insert("flow".into(), body);
    let seed = head.options.community_seed;
    record.insert("community_id".into(), flow.community_id(seed).into());
    if flow.proto() == 6 {
        record.insert("tcp".into(), tcp(flow).into());
    }
    record
}

fn tcp(flow: &Flow) -> Object {
    let (ts, tc) = (flow.tcp_flags().to_server, flow.tcp_flags().to_client);
    let mut tcp = Object::new();
    tcp.insert("tcp_flags".into(), format!("{:02x}", ts | tc).into());
    tcp.insert("tcp_flags_ts".into(), format!("{ts:02x}").into());
    tcp.insert("tcp_flags_tc".into(), format!("{tc:02x}").into());
    let names = ["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"];
    // In the customary order, not that of the bits.
    for bit in [1, 0, 2, 3, 4, 5, 6, 7] {
        if (ts | tc) & (1 << bit) != 0
            && let Some(name) = names.get(bit)
        {
            tcp.insert((*name).into(), true.into());
        }
    }
    if flow.tcp_state() != TcpState::None {
        tcp.insert("state".into(), flow.tcp_state().name().into());
    }
    tcp
}

/// The `flow` object inside an alert.
pub(crate) fn so_far(flow: &Flow, compress: bool) -> Object {
    let (packets, bytes) = (flow.packets(), flow.bytes());
    let (client, server) = flow.endpoints(Direction::ToServer);
    let mut body = Object::new();
    body.insert("pkts_toserver".into(), packets.to_server.into());
    body.insert("pkts_toclient".into(), packets.to_client.into());
    body.insert("bytes_toserver".into(), bytes.to_server.into());
    body.insert("bytes_toclient".into(), bytes.to_client.into());
    body.insert("start".into(), timestamp(flow.start()).into());
    body.insert("src_ip".into(), super::address(client.0, compress));
    body.insert("dest_ip".into(), super::address(server.0, compress));
    if matches!(flow.proto(), 6 | 17 | 132) {
        body.insert("src_port".into(), client.1.into());
        body.insert("dest_port".into(), server.1.into());
    }
    body
}
