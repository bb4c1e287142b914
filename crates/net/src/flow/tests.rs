//! Flows: keys, states, ends.

use expect_test::expect;

use super::*;
use crate::testing::{Log, Tcp, meta, udp};
use crate::{Config, Engine};

#[test]
fn community_ids_are_those_of_the_specification() {
    // Test vectors published with the specification.
    let id = |a: &str, ap: u16, b: &str, bp: u16, proto: u8| {
        let (key, low) =
            FlowKey::new((a.parse().unwrap(), ap), (b.parse().unwrap(), bp), proto, &[]);
        Flow::new(key, low, FlowId(0), 0).name().community_id(0)
    };
    let tcp = "1:LQU9qZlK+B5F3KDmev6m5PMibrg=";
    assert_eq!(id("128.232.110.120", 34855, "66.35.250.204", 80, 6), tcp);
    assert_eq!(id("66.35.250.204", 80, "128.232.110.120", 34855, 6), tcp, "either way");
    assert_eq!(id("192.168.1.52", 54585, "8.8.8.8", 53, 17), "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
}

#[test]
fn a_connection_goes_through_its_states() {
    let mut tcp = Tcp::connected(Config::default());
    tcp.client_says(b"hello there, this is no protocol");
    tcp.server_says(b"neither is this");
    tcp.send(Direction::ToServer, "FA", b"");
    tcp.send(Direction::ToClient, "FA", b"");
    tcp.send(Direction::ToServer, "A", b"");
    expect![[r#"
        flow failed 5/3 closed Shutdown
    "#]]
    .assert_eq(&tcp.finish());
}

#[test]
fn a_reset_closes() {
    let mut tcp = Tcp::connected(Config::default());
    tcp.send(Direction::ToClient, "RA", b"");
    expect![[r#"
        flow unknown 2/2 closed Shutdown
    "#]]
    .assert_eq(&tcp.finish());
}

#[test]
fn a_forged_reset_does_not_close() {
    let mut tcp = Tcp::connected(Config::default());
    let far = tcp.next[1].wrapping_add(0x4000_0000);
    let frame = tcp.frame(Direction::ToClient, "R", far, b"");
    tcp.raw(&frame);
    expect![[r#"
        anomaly stream.rst_invalid_ack
        flow unknown 2/2 established Shutdown
    "#]]
    .assert_eq(&tcp.finish());
}

#[test]
fn data_without_a_handshake_counts_only_with_midstream() {
    for (midstream, stream) in [(false, &b""[..]), (true, b"some data")] {
        let mut tcp = Tcp::new(Config { midstream, ..Config::default() });
        tcp.client_says(b"some data");
        assert_eq!(tcp.log.stream[0], stream, "midstream {midstream}");
    }
}

#[test]
fn a_connection_taken_up_at_its_syn_ack_has_the_right_client() {
    let mut tcp = Tcp::new(Config { midstream: true, ..Config::default() });
    tcp.send(Direction::ToClient, "SA", b"");
    tcp.send(Direction::ToServer, "A", b"request");
    assert_eq!(tcp.log.stream[0], b"request");
    assert!(tcp.finish().contains("1/1 established"));
}

#[test]
fn a_new_connection_on_old_ports_is_a_new_flow() {
    let mut tcp = Tcp::connected(Config::default());
    tcp.send(Direction::ToClient, "RA", b"");
    tcp.send(Direction::ToServer, "S", b"");
    assert!(tcp.log.text.contains("closed TcpReuse"), "{}", tcp.log.text);
    assert!(tcp.finish().contains("1/0 syn_sent Shutdown"));
}

#[test]
fn silence_ends_a_flow() {
    let (mut engine, mut log) = (Engine::new(Config::default(), 0), Log::default());
    let frame = udp(Direction::ToServer, (1000, 2000), b"x");
    engine.packet(meta(0, frame.len()), &frame, &mut log);
    engine.packet(meta(30_000_000, frame.len()), &frame, &mut log);
    assert_eq!(log.ended, 0, "thirty seconds are allowed");
    engine.packet(meta(61_000_000, frame.len()), &frame, &mut log);
    assert_eq!(log.ended, 1);
    engine.tick(4_000_000_000, &mut log);
    assert_eq!(log.ended, 2, "also without packets");
    assert_eq!(engine.stats().flows_active, 0);
}

#[test]
fn a_flood_of_flows_is_shed_and_counted() {
    let config = Config { max_flows: 100, ..Config::default() };
    let (mut engine, mut log) = (Engine::new(config, 0), Log::default());
    for port in 0..1000 {
        let frame = udp(Direction::ToServer, (port, 9), b"x");
        engine.packet(meta(0, frame.len()), &frame, &mut log);
    }
    let stats = engine.stats();
    assert_eq!((stats.flows_active, stats.flows_shed, log.packets), (100, 900, 1000));
    engine.finish(&mut log);
    assert_eq!(log.ended, 100);
}

#[test]
fn slots_are_reused_and_ids_are_not() {
    let mut table = FlowTable::new(10, Timeouts::default(), 0);
    let key = |port| {
        let end = |p| (IpAddr::from([10, 0, 0, 1]), p);
        FlowKey::new(end(port), end(1), 17, &[]).0
    };
    let first = table.insert(key(5), true, 0).unwrap();
    let id = table.get(first).unwrap().id();
    assert_eq!(table.find(&key(5)), Some(first));
    assert!(table.remove(first));
    assert_eq!(table.find(&key(5)), None);
    let second = table.insert(key(6), true, 0).unwrap();
    assert_eq!(first, second);
    assert_ne!(table.get(second).unwrap().id(), id);
}

#[test]
fn a_cold_part_that_is_used_again_remembers_nothing() {
    let (mut parts, mut first) = (ColdParts::default(), Box::<Cold>::default());
    first.half(Direction::ToServer).start(7);
    first.app.take_reversed();
    parts.give_back(first);
    let mut again = parts.take();
    assert!(!again.has_stream());
    assert_eq!((again.app.protocol(), again.app.transactions()), (Protocol::Unknown, 0));
    for _ in 0..SPARE + 10 {
        parts.give_back(Box::default());
    }
    assert_eq!(parts.spare.len(), SPARE);
    again.half(Direction::ToServer).start(9);
}
