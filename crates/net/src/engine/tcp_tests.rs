//! TCP through the whole engine: what an observer has to make of a connection, beside a naive model.

use proptest::prelude::*;

use super::*;
use crate::Config;
use crate::testing::{CLIENT, Log, SERVER, Tcp, meta, noise};
use Direction::{ToClient, ToServer};

fn text(tcp: &Tcp, dir: Direction) -> String {
    String::from_utf8_lossy(&tcp.log.stream[dir.index()]).into_owned()
}

/// Sends a segment at an offset from the next expected number, which stays as it is.
fn at(tcp: &mut Tcp, dir: Direction, flags: &str, offset: i32, payload: &[u8]) {
    let seq = tcp.next[dir.index()].wrapping_add_signed(offset);
    let frame = tcp.frame(dir, flags, seq, payload);
    tcp.raw(&frame);
}

/// A segment by side and flags, and the state after it.
type Step<'a> = (Direction, &'a str, &'a str);

#[test]
fn both_sides_may_close_in_every_order() {
    // Segments as direction and flags; the state after each (RFC 9293 section 3.6).
    let cases: &[(&str, &[Step<'_>])] = &[
        (
            "client first",
            &[
                (ToServer, "FA", "close_wait"),
                (ToClient, "A", "close_wait"),
                (ToClient, "FA", "last_ack"),
                (ToServer, "A", "closed"),
            ],
        ),
        (
            "server first",
            &[
                (ToClient, "FA", "fin_wait1"),
                (ToServer, "A", "fin_wait2"),
                (ToServer, "FA", "time_wait"),
                (ToClient, "A", "closed"),
            ],
        ),
        (
            "server first, the client's FIN acknowledges",
            &[
                (ToClient, "FA", "fin_wait1"),
                (ToServer, "FA", "time_wait"),
                (ToClient, "A", "closed"),
            ],
        ),
        (
            "half closed: the server goes on",
            &[
                (ToServer, "FA", "close_wait"),
                (ToClient, "A", "close_wait"),
                (ToClient, "PA", "close_wait"),
            ],
        ),
        ("reset by the client", &[(ToServer, "R", "closed")]),
        ("reset while closing", &[(ToServer, "FA", "close_wait"), (ToClient, "RA", "closed")]),
    ];
    for (name, segments) in cases {
        let mut tcp = Tcp::connected(Config::default());
        for (n, (dir, flags, state)) in segments.iter().enumerate() {
            tcp.send(*dir, flags, b"");
            let flow = tcp.engine.flows.get(0).unwrap();
            assert_eq!(flow.tcp_state().name(), *state, "{name}, segment {n}");
        }
    }
}

#[test]
fn both_may_close_at_once() {
    let mut tcp = Tcp::connected(Config::default());
    let (client, server) = (tcp.next[0], tcp.next[1]);
    // Neither has seen the other's FIN.
    tcp.raw(&tcp.frame(ToClient, "FA", server, b""));
    tcp.raw(&tcp.frame(ToServer, "FA", client, b""));
    assert_eq!(tcp.engine.flows.get(0).unwrap().tcp_state().name(), "closing");
    tcp.next = [client.wrapping_add(1), server.wrapping_add(1)];
    tcp.send(ToClient, "A", b"");
    assert_eq!(tcp.engine.flows.get(0).unwrap().tcp_state().name(), "time_wait");
}

#[test]
fn both_may_open_at_once() {
    let mut tcp = Tcp::new(Config::default());
    let (client, server) = (tcp.next[0], tcp.next[1]);
    tcp.send(ToServer, "S", b"");
    tcp.send(ToClient, "S", b"");
    tcp.raw(&tcp.frame(ToServer, "SA", client, b""));
    tcp.raw(&tcp.frame(ToClient, "SA", server, b""));
    tcp.client_says(b"from the client");
    tcp.server_says(b"from the server");
    assert_eq!(text(&tcp, ToServer), "from the client");
    assert_eq!(text(&tcp, ToClient), "from the server");
    assert_eq!(tcp.engine.stats().tcp_ignored, 0);
}

#[test]
fn data_in_a_syn_is_part_of_the_stream() {
    // RFC 7413: the client's data comes with its SYN, the server's with its answer.
    let mut tcp = Tcp::new(Config::default());
    tcp.send(ToServer, "S", b"GET / HTTP/1.1\r\n");
    tcp.send(ToClient, "SA", b"HTTP/1.1 200 OK\r\n");
    tcp.client_says(b"Host: x\r\n\r\n");
    tcp.server_says(b"Content-Length: 2\r\n\r\nok");
    assert_eq!(text(&tcp, ToServer), "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(text(&tcp, ToClient), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(tcp.engine.stats().stream_gaps, 0);
    // A server that does not take it makes the client send it again.
    let mut tcp = Tcp::new(Config::default());
    let first = tcp.next[0];
    tcp.send(ToServer, "S", b"early");
    tcp.next[0] = first.wrapping_add(1);
    tcp.send(ToClient, "SA", b"");
    tcp.client_says(b"early and late");
    assert_eq!(text(&tcp, ToServer), "early and late");
}

#[test]
fn keep_alives_are_not_data() {
    let mut tcp = Tcp::connected(Config::default());
    tcp.client_says(b"before ");
    // RFC 9293 section 3.8.4: one before the next number, with or without a byte.
    at(&mut tcp, ToServer, "A", -1, b"");
    at(&mut tcp, ToServer, "A", -1, b"\0");
    at(&mut tcp, ToClient, "A", -1, b"\0");
    tcp.client_says(b"after");
    tcp.server_says(b"answer");
    assert_eq!(text(&tcp, ToServer), "before after");
    assert_eq!(text(&tcp, ToClient), "answer");
    assert_eq!(tcp.engine.stats().stream_gaps, 0);
}

#[test]
fn a_segment_from_before_the_beginning_gives_what_is_new() {
    let mut tcp = Tcp::connected(Config::default());
    tcp.client_says(b"abc");
    // Begins two bytes before the stream, ends three bytes after what is known.
    at(&mut tcp, ToServer, "A", -5, b"??abcdef");
    assert_eq!(text(&tcp, ToServer), "abcdef");
    assert!(tcp.log.text.contains("stream.reassembly_segment_before_base_seq"));
}

#[test]
fn an_acknowledgement_makes_a_gap_and_silence_does_not() {
    let mut tcp = Tcp::connected(Config::default());
    tcp.client_says(b"one ");
    at(&mut tcp, ToServer, "A", 4, b"three");
    assert_eq!(text(&tcp, ToServer), "one ", "the hole may still be filled");
    at(&mut tcp, ToServer, "A", 0, b"two ");
    assert_eq!(text(&tcp, ToServer), "one two three");
    tcp.next[0] = tcp.next[0].wrapping_add(9);
    at(&mut tcp, ToServer, "A", 4, b" five");
    tcp.next[0] = tcp.next[0].wrapping_add(9);
    tcp.send(ToClient, "A", b"");
    assert_eq!(text(&tcp, ToServer), "one two three<4> five");
    assert_eq!(tcp.engine.stats().stream_gaps, 1);
    // What comes for the gap later is too late.
    at(&mut tcp, ToServer, "A", -9, b"four");
    assert_eq!(text(&tcp, ToServer), "one two three<4> five");
}

#[test]
fn what_waits_at_the_end_comes_with_its_gaps() {
    for flags in ["FA", "RA"] {
        let mut tcp = Tcp::connected(Config::default());
        at(&mut tcp, ToServer, "A", 2, b"cd");
        at(&mut tcp, ToServer, "A", 6, b"gh");
        tcp.send(ToClient, flags, b"");
        tcp.engine.finish(&mut tcp.log);
        assert_eq!(text(&tcp, ToServer), "<2>cd<2>gh", "{flags}");
        assert_eq!(tcp.engine.stats().stream_gaps, 2);
        assert_eq!(tcp.engine.budget.used, 0, "all memory was given back");
    }
}

#[test]
fn zero_windows_and_urgent_data_change_nothing() {
    let mut tcp = Tcp::connected(Config::default());
    let change = |tcp: &Tcp, payload: &[u8], flags: u8, window: u16| {
        let mut frame = tcp.frame(ToServer, "A", tcp.next[0], payload);
        frame[47] |= flags;
        frame[48..50].copy_from_slice(&window.to_be_bytes());
        frame[52..54].copy_from_slice(&1u16.to_be_bytes());
        frame
    };
    let config = Config {
        decode: crate::decode::DecodeOptions { checksums: false, offloaded: true },
        ..Config::default()
    };
    tcp.engine = Engine::new(config, 0);
    tcp.next = [0xffff_fff0, 1000];
    tcp.send(ToServer, "S", b"");
    tcp.send(ToClient, "SA", b"");
    tcp.send(ToServer, "A", b"");
    let urgent = change(&tcp, b"urgent", 0x20, 0);
    tcp.raw(&urgent);
    tcp.next[0] = tcp.next[0].wrapping_add(6);
    tcp.client_says(b" and more");
    assert_eq!(text(&tcp, ToServer), "urgent and more");
}

#[test]
fn segments_from_another_world_are_named_and_left_out() {
    let far = 0x1000_0000;
    let cases: &[(Direction, &str, i32, &str)] = &[
        (ToServer, "A", far, "stream.est_packet_out_of_window"),
        (ToClient, "A", -far, "stream.est_packet_out_of_window"),
        (ToServer, "R", far, "stream.rst_invalid_ack"),
        (ToServer, "S", 0, "stream.est_syn_resend_diff_seq"),
        (ToServer, "S", -1, "stream.est_syn_resend"),
        (ToClient, "S", 0, "stream.est_syn_toclient"),
        (ToClient, "SA", 0, "stream.est_synack_resend_with_diff_seq"),
        (ToClient, "SA", -1, "stream.est_synack_resend"),
        (ToServer, "SA", 0, "stream.est_synack_toserver"),
    ];
    for (dir, flags, offset, name) in cases {
        let mut tcp = Tcp::connected(Config::default());
        at(&mut tcp, *dir, flags, *offset, b"evil");
        assert_eq!(tcp.log.text.trim(), format!("anomaly {name}"), "{flags} {dir:?}");
        tcp.client_says(b"good");
        assert_eq!((text(&tcp, ToServer).as_str(), text(&tcp, ToClient).as_str()), ("good", ""));
        assert_eq!(tcp.engine.stats().tcp_ignored, 1);
    }
}

#[test]
fn handshakes_that_are_wrong_are_named() {
    let open = |segments: &[(Direction, &str, i32, i32)]| {
        let mut tcp = Tcp::new(Config::default());
        tcp.send(ToServer, "S", b"");
        for (dir, flags, seq, ack) in segments {
            tcp.next[dir.reverse().index()] =
                tcp.next[dir.reverse().index()].wrapping_add_signed(*ack);
            at(&mut tcp, *dir, flags, *seq, b"");
            tcp.next[dir.reverse().index()] =
                tcp.next[dir.reverse().index()].wrapping_add_signed(-ack);
            tcp.next[dir.index()] =
                tcp.next[dir.index()].wrapping_add(u32::from(flags.contains('S')));
        }
        let state = tcp.engine.flows.get(0).unwrap().tcp_state().name();
        format!("{} {state}", tcp.log.text.trim().trim_start_matches("anomaly stream."))
    };
    assert_eq!(open(&[(ToClient, "SA", 0, -5)]), "3whs_synack_with_wrong_ack syn_sent");
    assert_eq!(open(&[(ToServer, "SA", 0, 0)]), "3whs_synack_in_wrong_direction syn_sent");
    let answered = (ToClient, "SA", 0, 0);
    assert_eq!(
        open(&[answered, (ToClient, "SA", 500, 0)]),
        "3whs_synack_resend_with_diff_seq syn_recv"
    );
    assert_eq!(open(&[answered, (ToServer, "A", -7, 0)]), "3whs_wrong_seq_wrong_ack syn_recv");
    assert_eq!(
        open(&[answered, (ToServer, "A", 0, -7)]),
        "3whs_right_seq_wrong_ack_evasion syn_recv"
    );
    assert_eq!(open(&[answered, (ToClient, "SA", -1, 0)]), " syn_recv", "the same again");
    assert_eq!(open(&[(ToClient, "RA", 0, 0)]), " closed", "refused");
}

#[test]
fn without_a_session_only_midstream_takes_anything_up() {
    let alone = |flags: &str, payload: &[u8], midstream| {
        let mut tcp = Tcp::new(Config { midstream, ..Config::default() });
        tcp.send(ToServer, flags, payload);
        (tcp.log.text.trim().to_owned(), tcp.engine.stats().tcp_ignored, text(&tcp, ToServer))
    };
    let nothing = |name: &str| (name.to_owned(), 1, String::new());
    assert_eq!(alone("A", b"data", false), nothing(""));
    assert_eq!(alone("A", b"data", true), (String::new(), 0, "data".to_owned()));
    assert_eq!(alone("", b"data", true), nothing(""), "every segment acknowledges");
    for midstream in [false, true] {
        assert_eq!(alone("R", b"", midstream), nothing("anomaly stream.rst_but_no_session"));
    }
    assert_eq!(alone("FA", b"", false), nothing("anomaly stream.fin_but_no_session"));
}

#[test]
fn midstream_with_data_in_a_syn_ack_has_no_hole() {
    let mut tcp = Tcp::new(Config { midstream: true, ..Config::default() });
    tcp.send(ToClient, "SA", b"banner");
    tcp.client_says(b"reply");
    assert_eq!((text(&tcp, ToClient), text(&tcp, ToServer)), ("banner".into(), "reply".into()));
}

#[test]
fn the_depth_is_counted_once_however_it_is_reached() {
    let mut config = Config::default();
    config.stream.depth = 8;
    let mut plain = Tcp::connected(config.clone());
    plain.client_says(b"123456");
    plain.client_says(b"789");
    plain.client_says(b"more");
    assert_eq!(
        (text(&plain, ToServer).as_str(), plain.engine.stats().stream_depth_reached),
        ("12345678", 1)
    );
    let mut acknowledged = Tcp::connected(config.clone());
    at(&mut acknowledged, ToServer, "A", 4, b"56789");
    acknowledged.next[0] = acknowledged.next[0].wrapping_add(9);
    acknowledged.send(ToClient, "A", b"");
    assert_eq!(text(&acknowledged, ToServer), "<4>5678");
    assert_eq!(acknowledged.engine.stats().stream_depth_reached, 1);
    let mut ended = Tcp::connected(config);
    at(&mut ended, ToServer, "A", 4, b"56789");
    ended.engine.finish(&mut ended.log);
    assert_eq!(
        (text(&ended, ToServer).as_str(), ended.engine.stats().stream_depth_reached),
        ("<4>5678", 1)
    );
}

#[test]
fn the_memory_of_all_streams_is_capped_and_given_back() {
    let config = Config { stream_memory: 10_000, ..Config::default() };
    let mut tcp = Tcp::connected(config);
    for n in 1..100 {
        at(&mut tcp, ToServer, "A", n * 500, &[b'x'; 400]);
        assert!(tcp.engine.budget.used <= 10_000);
    }
    let shed = tcp.engine.stats().stream_shed;
    assert_eq!(shed, 99 - 10_000 / 496);
    tcp.engine.finish(&mut tcp.log);
    assert_eq!(tcp.engine.budget.used, 0);
}

#[test]
fn memory_is_given_back_when_a_flow_times_out() {
    let mut tcp = Tcp::connected(Config::default());
    at(&mut tcp, ToServer, "A", 100, b"waits");
    assert!(tcp.engine.budget.used > 0);
    tcp.engine.tick(tcp.ts + 3_600_000_000, &mut tcp.log);
    assert_eq!((tcp.engine.budget.used, tcp.log.ended), (0, 1));
    assert_eq!(text(&tcp, ToServer), "<100>waits");
}

/// One segment of the model: where it begins, how long it is.
type Cut = (usize, usize);

/// What has to come out: bytes as sent, and a gap for each stretch that no segment covered before
/// the last one that came.
fn model(sent: &[u8], arrived: &[Cut]) -> Vec<u8> {
    let mut seen = vec![false; sent.len()];
    for (from, len) in arrived {
        seen[*from..(from + len).min(sent.len())].fill(true);
    }
    let end = seen.iter().rposition(|s| *s).map_or(0, |last| last + 1);
    let (mut out, mut missing) = (Vec::new(), 0);
    for (byte, seen) in sent[..end].iter().zip(&seen) {
        if !seen {
            missing += 1;
            continue;
        }
        if missing > 0 {
            out.extend(format!("<{missing}>").bytes());
            missing = 0;
        }
        out.push(*byte);
    }
    out
}

proptest! {
    /// Random cuts, order, repetition and loss in both directions, from any sequence number: what
    /// is delivered is what the model says.
    #[test]
    fn the_delivered_stream_is_the_sent_one(
        base in any::<[u32; 2]>(),
        plan in proptest::collection::vec((any::<bool>(), 0usize..600, 1usize..150), 1..40),
        seed in any::<u64>(),
    ) {
        let sent = [noise(seed, 600), noise(seed ^ 7, 600)];
        let mut tcp = Tcp::new(Config::default());
        tcp.next = base;
        tcp.send(ToServer, "S", b"");
        tcp.send(ToClient, "SA", b"");
        tcp.send(ToServer, "A", b"");
        let first = tcp.next;
        let mut arrived: [Vec<Cut>; 2] = [Vec::new(), Vec::new()];
        for (up, from, len) in plan {
            let dir = if up { ToServer } else { ToClient };
            let here = &sent[dir.index()];
            let len = len.min(here.len() - from);
            let seq = first[dir.index()].wrapping_add(u32::try_from(from).unwrap());
            // Nothing is acknowledged: no hole is given up before the end.
            let frame = tcp.frame(dir, "A", seq, &here[from..from + len]);
            tcp.raw(&frame);
            arrived[dir.index()].push((from, len));
        }
        tcp.engine.finish(&mut tcp.log);
        for dir in [ToServer, ToClient] {
            let expected = model(&sent[dir.index()], &arrived[dir.index()]);
            prop_assert_eq!(&tcp.log.stream[dir.index()], &expected);
        }
        prop_assert_eq!(tcp.engine.budget.used, 0);
        prop_assert!(!tcp.log.text.contains("overlap_different_data"));
    }

    /// Any flags at any place: no panic, and every chunk follows the one before.
    #[test]
    fn any_segments_are_survived(
        segments in proptest::collection::vec(
            (any::<bool>(), any::<u8>(), -3000i32..3000, 0usize..40), 1..60),
        midstream in any::<bool>(),
    ) {
        let mut config = Config { midstream, ..Config::default() };
        config.decode.checksums = false;
        config.stream = crate::stream::Limits { depth: 2000, waiting: 500 };
        let mut tcp = Tcp::new(config);
        for (up, flags, offset, len) in segments {
            let dir = if up { ToServer } else { ToClient };
            let seq = tcp.next[dir.index()].wrapping_add_signed(offset);
            let mut frame = tcp.frame(dir, "A", seq, &noise(1, len));
            frame[47] = flags;
            tcp.raw(&frame);
            prop_assert!(tcp.engine.budget.used <= 2 * (500 + 40 + 64));
        }
        tcp.engine.finish(&mut tcp.log);
        prop_assert_eq!(tcp.engine.budget.used, 0);
        prop_assert_eq!(tcp.engine.stats().flows_active, 0);
    }
}

#[test]
fn flows_of_tagged_networks_are_apart_and_have_their_addresses() {
    let (mut engine, mut log) = (Engine::new(Config::default(), 0), Log::default());
    let udp = crate::testing::ipv4(17, &[], &crate::testing::udp_body((1000, 2000), b"x"));
    for id in [0, 5, 6] {
        let frame = crate::testing::ether(0x8100, &crate::testing::vlan(id, 0x0800, &udp));
        engine.packet(meta(0, frame.len()), &frame, &mut log);
    }
    // The tag with number 0 says priority only: the same network as no tag.
    let plain = crate::testing::ether(0x0800, &udp);
    engine.packet(meta(0, plain.len()), &plain, &mut log);
    assert_eq!(engine.stats().flows, 3);
    let flow = engine.flows.get(0).unwrap();
    let (client, server) = flow.endpoints(ToServer);
    assert_eq!(client, (std::net::IpAddr::from(CLIENT), 1000));
    assert_eq!(server, (std::net::IpAddr::from(SERVER), 2000));
    assert_eq!(flow.endpoints(ToClient), (server, client));
}

/// A file by FTP over `port`, opened by the client or the server; what the sink saw of the data flow.
fn ftp_transfer(asked: &[u8], answer: &[u8], port: u16, active: bool, late: i64) -> String {
    let mut tcp = Tcp::new(Config::default());
    tcp.ports = (40_000, 21);
    for (dir, flags) in [(ToServer, "S"), (ToClient, "SA"), (ToServer, "A")] {
        tcp.send(dir, flags, b"");
    }
    tcp.server_says(b"220 FTP\r\n");
    tcp.client_says(asked);
    tcp.server_says(answer);
    tcp.client_says(b"RETR a.txt\r\n");
    tcp.ts += late;
    let control = tcp.next;
    // The data flow: who opens it is its client.
    tcp.ports = if active { (port, 20) } else { (40_001, port) };
    let (opener, other) = if active { (ToClient, ToServer) } else { (ToServer, ToClient) };
    for (dir, flags) in [(opener, "S"), (other, "SA"), (opener, "A")] {
        tcp.send(dir, flags, b"");
    }
    tcp.server_says(b"content");
    tcp.send(ToClient, "FA", b"");
    tcp.next = control;
    tcp.finish()
        .lines()
        .filter(|line| line.contains("ftp-data"))
        .map(|l| format!("{l}\n"))
        .collect()
}

#[test]
fn data_channels_of_ftp_are_expected() {
    let passive = ftp_transfer(b"PASV\r\n", b"227 (10,0,0,2,4,0)\r\n", 1024, false, 0);
    assert!(passive.contains("dir: ToClient") && passive.contains("content"), "{passive}");
    let active = ftp_transfer(b"PORT 10,0,0,1,4,0\r\n", b"200 ok\r\n", 1024, true, 0);
    assert!(active.contains("dir: ToServer") && active.contains("content"), "{active}");
    let elsewhere = ftp_transfer(b"PASV\r\n", b"227 (10,0,0,2,4,0)\r\n", 1025, false, 0);
    assert_eq!(elsewhere, "");
    let late = ftp_transfer(b"PASV\r\n", b"227 (10,0,0,2,4,0)\r\n", 1024, false, 40_000_000);
    assert_eq!(late, "", "an announcement ages");
}
