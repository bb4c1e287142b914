//! Delivery at the acknowledgement: which packet brings what, and when it is inspected.

use super::*;
use crate::Config;
use crate::testing::{Tcp, ether, ipv4};
use Direction::{ToClient, ToServer};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

fn waiting() -> Config {
    Config { wait_for_ack: true, ..Config::default() }
}

/// Bytes of both streams so far.
fn streams(tcp: &Tcp) -> (usize, usize) {
    (tcp.log.stream[0].len(), tcp.log.stream[1].len())
}

#[test]
fn bytes_come_with_the_packet_that_acknowledges_them() {
    let mut tcp = Tcp::connected(waiting());
    let before = tcp.log.packets;
    tcp.client_says(GET);
    assert_eq!(streams(&tcp), (0, 0));
    // The answer acknowledges the request; nothing has acknowledged the answer.
    tcp.server_says(OK);
    assert_eq!(streams(&tcp), (GET.len(), 0));
    tcp.client_says(b"");
    assert_eq!(streams(&tcp), (GET.len(), OK.len()));
    tcp.server_says(b"");
    // Each side's news is inspected with its own next packet: the third, and the fourth.
    let inspected: Vec<_> =
        tcp.log.inspected.iter().map(|(tx, dir, packet)| (*tx, *dir, packet - before)).collect();
    assert_eq!(inspected, [(0, ToServer, 3), (0, ToClient, 4)]);
    assert_eq!(tcp.log.text.matches("tx 0 ").count(), 2, "told once: {}", tcp.log.text);
    assert!(tcp.engine.flows.get(0).unwrap().cold.as_ref().unwrap().app.open().get(0).is_none());
}

#[test]
fn without_waiting_all_is_there_at_once() {
    for config in [Config::default(), Config { inline: true, ..waiting() }] {
        let mut tcp = Tcp::connected(config);
        let before = tcp.log.packets;
        tcp.client_says(GET);
        tcp.server_says(OK);
        assert_eq!(streams(&tcp), (GET.len(), OK.len()));
        assert_eq!(tcp.log.inspected.first(), Some(&(0, ToServer, before + 1)));
    }
}

#[test]
fn what_nobody_acknowledged_is_for_the_end_of_the_flow() {
    for reset in [ToServer, ToClient] {
        let mut tcp = Tcp::connected(waiting());
        tcp.client_says(GET);
        // A reset that acknowledges nothing.
        let at = tcp.next[reset.index()];
        let frame = tcp.frame(reset, "R", at, b"");
        tcp.raw(&frame);
        assert_eq!(streams(&tcp), (0, 0), "{reset:?}");
        let Tcp { mut engine, mut log, .. } = tcp;
        engine.finish(&mut log);
        assert_eq!(log.stream[0], GET, "{reset:?}");
        assert_eq!(engine.stats().stream_gaps, 0);
    }
}

#[test]
fn a_hole_that_nobody_acknowledged_is_no_gap() {
    for (wait, gaps) in [(true, 0), (false, 1)] {
        let mut tcp = Tcp::connected(Config { wait_for_ack: wait, ..Config::default() });
        tcp.client_says(b"very");
        tcp.next[0] = tcp.next[0].wrapping_add(4);
        tcp.client_says(b"data");
        let Tcp { mut engine, mut log, .. } = tcp;
        engine.finish(&mut log);
        assert_eq!(log.stream[0], b"very<4>data");
        assert_eq!(engine.stats().stream_gaps, gaps);
    }
}

#[test]
fn data_with_a_reset_is_no_data_of_the_stream() {
    for config in [Config::default(), waiting()] {
        let mut tcp = Tcp::connected(config);
        tcp.client_says(b"before");
        tcp.server_says(b"");
        tcp.send(ToServer, "RA", b"after");
        let Tcp { mut engine, mut log, .. } = tcp;
        engine.finish(&mut log);
        assert_eq!(log.stream[0], b"before");
    }
}

#[test]
fn what_comes_after_a_reset_is_not_taken_up() {
    let mut tcp = Tcp::connected(waiting());
    tcp.client_says(GET);
    tcp.send(ToServer, "RA", b"");
    tcp.server_says(OK);
    let Tcp { mut engine, mut log, .. } = tcp;
    engine.finish(&mut log);
    assert_eq!((log.stream[0].len(), log.stream[1].len()), (GET.len(), 0));
}

#[test]
fn sequence_numbers_are_counted_from_the_first() {
    let mut tcp = Tcp::connected(Config::default());
    tcp.client_says(b"four");
    let flow = tcp.engine.flows.get(0).unwrap();
    assert_eq!((flow.tcp_sent(ToServer), flow.tcp_sent(ToClient)), (5, 1));
}

#[test]
fn pipelined_requests_without_a_packet_of_their_side_stay_bounded() {
    let mut config = waiting();
    config.app.max_transactions = 8;
    let mut tcp = Tcp::connected(config);
    for _ in 0..40 {
        tcp.client_says(GET);
    }
    for _ in 0..40 {
        tcp.server_says(OK);
    }
    tcp.client_says(b"");
    let flow = tcp.engine.flows.get(0).unwrap();
    assert!(flow.cold.as_ref().unwrap().app.open().iter().count() <= 9);
}

#[test]
fn an_icmp_error_of_a_router_goes_the_way_of_who_is_told() {
    // The quoted packet is cut, as most are; the error comes from neither end.
    for (whole, counted) in [(28, (3, 2)), (23, (3, 1))] {
        let mut tcp = Tcp::connected(Config::default());
        let at = tcp.next[0];
        let quoted = tcp.frame(ToServer, "A", at, &[b'x'; 1000]);
        tcp.client_says(b"x");
        let cut = quoted.get(14..14 + whole).unwrap();
        let mut body = vec![3, 4, 0, 0, 0, 0, 5, 0xdc];
        body.extend_from_slice(cut);
        let sum = crate::testing::checksum(&[&body]);
        body[2..4].copy_from_slice(&sum);
        let mut error = ipv4(1, &[], &body);
        let client: [u8; 4] = error[12..16].try_into().unwrap();
        error[12..16].copy_from_slice(&[192, 0, 2, 99]);
        error[16..20].copy_from_slice(&client);
        error[10..12].copy_from_slice(&[0, 0]);
        let sum = crate::testing::checksum(&[&error[..20]]);
        error[10..12].copy_from_slice(&sum);
        tcp.raw(&ether(0x0800, &error));
        let packets = tcp.engine.flows.get(0).unwrap().packets();
        assert_eq!((packets.to_server, packets.to_client), counted, "{whole} bytes quoted");
    }
}
