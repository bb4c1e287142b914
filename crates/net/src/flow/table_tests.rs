//! The table under load, time in all directions, and Community IDs against published values.

use proptest::prelude::*;

use super::*;
use crate::testing::{Log, Tcp, ether, ipv4, ipv6, meta, udp, udp_body};
use crate::{Config, Engine};

const SECOND: i64 = 1_000_000;

fn key(port: u16) -> FlowKey {
    let end = |p| (IpAddr::from([10, 0, 0, 1]), p);
    FlowKey::new(end(port), end(1), 17, &[]).0
}

#[test]
fn community_ids_of_every_protocol_are_the_published_ones() {
    // The reference implementation's vectors, with seed 0 and 1; ports of ICMP are type and what
    // answers it, or type and code when nothing does.
    let (v6_a, v6_b) = ("fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea");
    let (long_a, long_b) = ("3ffe:507:0:1:200:86ff:fe05:80da", "3ffe:507:0:1:260:97ff:fe07:69ea");
    let (tcp, udp) = (
        ["1:LQU9qZlK+B5F3KDmev6m5PMibrg=", "1:3V71V58M3Ksw/yuFALMcW0LAHvc="],
        ["1:d/FP5EW3wiY1vCndhwleRRKHowQ=", "1:Q9We8WO3piVF8yEQBNJF4uiSVrI="],
    );
    let echo = ["1:X0snYXpgwiv9TZtqg64sgzUn6Dk=", "1:03g6IloqVBdcZlPyX8r0hgoE7kA="];
    let sctp = ["1:jQgCxbku+pNGw8WPbEc/TS/uTpQ=", "1:Y1/0jQg6e+I3ZwZZ9LP65DNbTXU="];
    let neighbour = ["1:dGHyGvjMfljg6Bppwm3bg0LO8TY=", "1:kHa1FhMYIT6Ym2Vm2AOtoOARDzY="];
    let one_way = ["1:tz/fHIDUHs19NkixVVoOZywde+I=", "1:Ie3wmFyxiEyikbsbcO03d2nh+PM="];
    let exceeded = ["1:/OGBt9BN1ofenrmSPWYicpij2Vc=", "1:Ij4ZxnC87/MXzhOjvH2vHu7LRmE="];
    let cases = [
        (("128.232.110.120", 34_855), ("66.35.250.204", 80), 6, tcp),
        (("66.35.250.204", 80), ("128.232.110.120", 34_855), 6, tcp),
        (("192.168.1.52", 54_585), ("8.8.8.8", 53), 17, udp),
        (("8.8.8.8", 53), ("192.168.1.52", 54_585), 17, udp),
        (("192.168.170.8", 7), ("192.168.170.56", 80), 132, sctp),
        (("192.168.0.89", 8), ("192.168.0.1", 0), 1, echo),
        (("192.168.0.1", 0), ("192.168.0.89", 8), 1, echo),
        (("192.168.0.89", 20), ("192.168.0.1", 1), 1, one_way),
        ((v6_a, 135), (v6_b, 136), 58, neighbour),
        ((v6_b, 136), (v6_a, 135), 58, neighbour),
        ((long_a, 3), (long_b, 0), 58, exceeded),
    ];
    for (a, b, proto, expected) in cases {
        let ends = ((a.0.parse().unwrap(), a.1), (b.0.parse().unwrap(), b.1));
        let (key, low) = FlowKey::new(ends.0, ends.1, proto, &[]);
        let flow = Flow::new(key, low, FlowId(0), 0);
        assert_eq!([0, 1].map(|seed| flow.name().community_id(seed)), expected, "{a:?} > {b:?}");
    }
}

#[test]
fn an_answer_to_a_ping_belongs_to_the_ping() {
    let echo = |kind: u8| ipv4(1, &[], &[kind, 0, 0, 0, 0, 7, 0, 1]);
    let mut reply = echo(0);
    reply[12..16].copy_from_slice(&crate::testing::SERVER);
    reply[16..20].copy_from_slice(&crate::testing::CLIENT);
    let mut config = Config::default();
    config.decode.checksums = false;
    let (mut engine, mut log) = (Engine::new(config, 0), Log::default());
    for packet in [echo(8), reply] {
        let frame = ether(0x0800, &packet);
        engine.packet(meta(0, frame.len()), &frame, &mut log);
    }
    engine.finish(&mut log);
    assert_eq!(log.text.trim(), "flow unknown 1/1 none Shutdown");
}

#[test]
fn versions_of_ip_with_like_bytes_are_different_flows() {
    let mut mapped = [0; 16];
    mapped[..4].copy_from_slice(&[10, 0, 0, 1]);
    let (v4, v6) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from(mapped));
    let of = |address| FlowKey::new((address, 1), (address, 2), 17, &[]).0;
    assert_ne!(of(v4), of(v6));
    assert_eq!((of(v4).low().0, of(v6).low().0), (v4, v6));
}

#[test]
fn every_protocol_and_state_has_its_timeout() {
    // Seconds of silence that are allowed, from the defaults; one more ends the flow.
    let frames = [
        ("udp", ether(0x0800, &ipv4(17, &[], &udp_body((1, 2), b"x"))), 30),
        ("icmp", ether(0x0800, &ipv4(1, &[], &[8, 0, 0xf7, 0xfe, 0, 0, 0, 1])), 30),
        ("sctp", ether(0x0800, &ipv4(132, &[], &[0; 12])), 30),
        ("esp", ether(0x86dd, &ipv6(50, &[0; 8])), 30),
    ];
    for (name, frame, seconds) in frames {
        let (mut engine, mut log) = (Engine::new(Config::default(), 0), Log::default());
        engine.packet(meta(0, frame.len()), &frame, &mut log);
        engine.tick(seconds * SECOND, &mut log);
        assert_eq!(log.ended, 0, "{name} after {seconds} s");
        engine.tick((seconds + 1) * SECOND, &mut log);
        assert_eq!(log.ended, 1, "{name} after {} s", seconds + 1);
    }
    for (segments, seconds) in [(1, 60), (3, 600), (4, 60)] {
        let mut tcp = Tcp::new(Config::default());
        let plan = [
            (Direction::ToServer, "S"),
            (Direction::ToClient, "SA"),
            (Direction::ToServer, "A"),
            (Direction::ToClient, "R"),
        ];
        for (dir, flags) in &plan[..segments] {
            tcp.send(*dir, flags, b"");
        }
        let last = tcp.ts;
        tcp.engine.tick(last + seconds * SECOND - SECOND, &mut tcp.log);
        assert_eq!(tcp.log.ended, 0, "{segments} segments");
        tcp.engine.tick(last + (seconds + 1) * SECOND, &mut tcp.log);
        assert_eq!(tcp.log.ended, 1, "{segments} segments");
    }
}

#[test]
fn a_clock_that_steps_back_does_not_stop_the_timers() {
    let (mut engine, mut log) = (Engine::new(Config::default(), 0), Log::default());
    let mut give = |engine: &mut Engine, seconds: i64, port: u16| {
        let frame = udp(Direction::ToServer, (port, 9), b"x");
        engine.packet(meta(seconds * SECOND, frame.len()), &frame, &mut log);
        log.ended
    };
    give(&mut engine, 100_000, 1);
    // Back by a day: packets are taken in, nothing ends early.
    assert_eq!(give(&mut engine, 13_600, 2), 0);
    assert_eq!(engine.stats().flows_active, 2);
    // Two minutes on, the flow of the new time is over; so is that of the future once it is reached.
    for (seconds, port, ended) in [(13_720, 3, 1), (100_100, 4, 3)] {
        for _ in 0..8 {
            give(&mut engine, seconds, port);
        }
        assert_eq!(give(&mut engine, seconds, port), ended);
    }
    assert_eq!(engine.stats().flows_active, 1);
}

#[test]
fn one_packet_from_the_future_ends_no_flow() {
    let (mut engine, mut log) = (Engine::new(Config::default(), 0), Log::default());
    for (seconds, port) in [(0, 1), (1, 2), (5000, 3), (2, 1), (9000, 4), (3, 2), (7000, 3)] {
        let frame = udp(Direction::ToServer, (port, 9), b"x");
        engine.packet(meta(seconds * SECOND, frame.len()), &frame, &mut log);
    }
    // The third flow is over by its own packets' times.
    assert_eq!((engine.stats().flows, log.ended), (5, 1));
}

#[test]
fn a_leap_of_years_ends_everything_once() {
    let (mut engine, mut log) = (Engine::new(Config::default(), 0), Log::default());
    for port in 0..200 {
        let frame = udp(Direction::ToServer, (port, 9), b"x");
        engine.packet(meta(0, frame.len()), &frame, &mut log);
    }
    engine.tick(i64::MAX, &mut log);
    assert_eq!((log.ended, engine.stats().flows_active), (200, 0));
    engine.tick(i64::MIN, &mut log);
    engine.finish(&mut log);
    assert_eq!(log.ended, 200);
}

#[test]
fn a_packet_ends_only_so_many_flows() {
    // The work that one packet can cause is bounded; the rest follows with the next ones.
    let (mut engine, mut log) = (Engine::new(Config::default(), 0), Log::default());
    for port in 0..1000 {
        let frame = udp(Direction::ToServer, (port, 9), b"x");
        engine.packet(meta(0, frame.len()), &frame, &mut log);
    }
    let frame = udp(Direction::ToServer, (5000, 9), b"x");
    for _ in 0..9 {
        engine.packet(meta(100 * SECOND, frame.len()), &frame, &mut log);
    }
    assert!(log.ended > 0 && log.ended <= 512, "{}", log.ended);
    for n in 0..200 {
        engine.packet(meta(100 * SECOND + n, frame.len()), &frame, &mut log);
    }
    assert_eq!((log.ended, engine.stats().flows_active), (1000, 1));
}

#[test]
fn a_full_table_takes_flows_again_when_others_end() {
    let config = Config { max_flows: 10, ..Config::default() };
    let (mut engine, mut log) = (Engine::new(config, 0), Log::default());
    let mut give = |engine: &mut Engine, seconds: i64, port: u16| {
        let frame = udp(Direction::ToServer, (port, 9), b"x");
        engine.packet(meta(seconds * SECOND, frame.len()), &frame, &mut log);
    };
    for port in 0..20 {
        give(&mut engine, 0, port);
    }
    assert_eq!((engine.stats().flows, engine.stats().flows_shed), (10, 10));
    // A flow that is in the table goes on.
    give(&mut engine, 1, 3);
    assert_eq!(engine.stats().flows_shed, 10);
    give(&mut engine, 40, 100);
    assert_eq!((engine.stats().flows, engine.stats().flows_shed), (11, 10));
}

#[test]
fn what_is_of_least_use_makes_room_in_a_full_table() {
    let config = Config { max_flows: 4, ..Config::default() };
    let (mut engine, mut log) = (Engine::new(config, 0), Log::default());
    let mut give = |engine: &mut Engine, dir: Direction, tenths: i64, port: u16| {
        let frame = udp(dir, (port, 9), b"x");
        engine.packet(meta(tenths * SECOND / 10, frame.len()), &frame, &mut log);
        let stats = engine.stats();
        (stats.flows, stats.flows_evicted, stats.flows_shed)
    };
    let (there, back) = (Direction::ToServer, Direction::ToClient);
    for port in 1..=4 {
        give(&mut engine, there, 0, port);
    }
    for port in 1..=3 {
        give(&mut engine, back, 1, port);
    }
    // None has been silent for a second: the new one has no room.
    assert_eq!(give(&mut engine, there, 9, 5), (4, 0, 1));
    // The one without an answer goes, then its successor, which has none either.
    assert_eq!(give(&mut engine, there, 15, 6), (5, 1, 1));
    assert_eq!(give(&mut engine, there, 30, 7), (6, 2, 1));
    // All are answered: one that is silent for a minute goes, not before.
    give(&mut engine, back, 31, 7);
    assert_eq!(give(&mut engine, there, 500, 8), (6, 2, 2));
    assert_eq!(give(&mut engine, there, 700, 8), (7, 3, 2));
    assert_eq!(engine.stats().flows_active, 4);
    engine.finish(&mut log);
    assert_eq!(log.ended, 7, "each flow has ended once");
}

#[test]
fn a_connection_that_is_over_makes_room_at_once() {
    let mut tcp = Tcp::new(Config { max_flows: 1, ..Config::default() });
    for (dir, flags) in [
        (Direction::ToServer, "S"),
        (Direction::ToClient, "SA"),
        (Direction::ToServer, "A"),
        (Direction::ToClient, "R"),
    ] {
        tcp.send(dir, flags, b"");
    }
    let frame = udp(Direction::ToServer, (7, 9), b"x");
    tcp.engine.packet(meta(tcp.ts, frame.len()), &frame, &mut tcp.log);
    let stats = tcp.engine.stats();
    assert_eq!((stats.flows, stats.flows_evicted, stats.flows_shed), (2, 1, 0));
}

#[test]
fn half_a_million_flows_at_once_are_all_kept() {
    // As many hosts as it takes, with a question and an answer each: nothing is shed, and each is found.
    let (mut engine, mut log) = (Engine::new(Config::default(), 0), Log::default());
    let flows = 500_000_u32;
    for dir in [Direction::ToServer, Direction::ToClient] {
        for number in 0..flows {
            let [_, a, b, c] = number.to_be_bytes();
            let (mut packet, client) = (ipv4(17, &[], &udp_body((4_000, 9), b"x")), [10, a, b, c]);
            let server = crate::testing::SERVER;
            let (from, to) =
                if dir == Direction::ToServer { (client, server) } else { (server, client) };
            if dir == Direction::ToClient {
                packet = ipv4(17, &[], &udp_body((9, 4_000), b"y"));
            }
            packet[12..16].copy_from_slice(&from);
            packet[16..20].copy_from_slice(&to);
            let frame = ether(0x0800, &packet);
            engine.packet(meta(i64::from(number) * 10, frame.len()), &frame, &mut log);
        }
    }
    let stats = engine.stats();
    let expected = (u64::from(flows), u64::from(flows), 0, 0);
    let found = (stats.flows, stats.flows_active, stats.flows_shed, stats.flows_evicted);
    assert_eq!(found, expected, "{} ended", log.ended);
}

proptest! {
    /// Beside a plain map: the table finds what is there, and only that.
    #[test]
    fn the_table_is_a_map(steps in proptest::collection::vec((0u16..30, any::<bool>()), 1..300)) {
        let mut table = FlowTable::new(20, Timeouts::default(), 0);
        let mut model = std::collections::BTreeMap::new();
        for (port, insert) in steps {
            if insert && !model.contains_key(&port) {
                match table.insert(key(port), true, 0) {
                    Ok(slot) => {
                        prop_assert!(model.len() < 20);
                        let id = table.get(slot).unwrap().id();
                        prop_assert!(model.values().all(|(other, _)| *other != slot));
                        model.insert(port, (slot, id));
                    }
                    Err(shed) => prop_assert_eq!((shed, model.len()), (Shed::MaxFlows, 20)),
                }
            } else if !insert && let Some((slot, id)) = model.remove(&port) {
                prop_assert_eq!(table.get(slot).map(Flow::id), Some(id));
                prop_assert!(table.remove(slot));
                prop_assert!(!table.remove(slot));
            }
            prop_assert_eq!((table.len(), table.is_empty()), (model.len(), model.is_empty()));
            for port in 0..30 {
                prop_assert_eq!(table.find(&key(port)), model.get(&port).map(|(slot, _)| *slot));
            }
        }
        let mut popped = 0;
        while let Some(slot) = table.last() {
            prop_assert!(table.remove(slot));
            popped += 1;
        }
        prop_assert_eq!(popped, model.len());
    }

    /// Every flow ends once, not before its time, whatever the clock does meanwhile.
    #[test]
    fn flows_end_once_and_not_early(times in proptest::collection::vec((0u16..5, -200i64..4000), 1..60)) {
        let (mut engine, mut log) = (Engine::new(Config::default(), 0), Log::default());
        for (port, seconds) in times {
            let before = engine.stats().flows_active;
            let frame = udp(Direction::ToServer, (port, 9), b"x");
            engine.packet(meta(seconds * SECOND, frame.len()), &frame, &mut log);
            prop_assert!(engine.stats().flows_active >= 1 && engine.stats().flows_active <= before + 1);
        }
        engine.finish(&mut log);
        prop_assert_eq!(u64::try_from(log.ended).unwrap(), engine.stats().flows);
    }

    /// The key is the same from both ends and gives both ends back.
    #[test]
    fn keys_are_symmetric(a in any::<[u8; 4]>(), b in any::<[u8; 4]>(), ports in any::<(u16, u16)>(), proto in any::<u8>()) {
        let (a, b) = ((IpAddr::from(a), ports.0), (IpAddr::from(b), ports.1));
        let (there, low) = FlowKey::new(a, b, proto, &[7]);
        let (back, back_low) = FlowKey::new(b, a, proto, &[7]);
        prop_assert_eq!(there, back);
        prop_assert!(low != back_low || a == b);
        prop_assert_eq!(if low { (there.low(), there.high()) } else { (there.high(), there.low()) }, (a, b));
        prop_assert_eq!((there.vlan(), there.proto()), ([7, 0, 0], proto));
    }
}
