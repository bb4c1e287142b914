//! Whole packets through the whole engine.

use etherparse::PacketBuilder;
use expect_test::expect;

use super::*;
use crate::Config;
use crate::fuzz::{
    fuzz_app, fuzz_dcerpc, fuzz_dhcp, fuzz_ftp, fuzz_krb5, fuzz_ldap, fuzz_mime, fuzz_packets,
    fuzz_pop3, fuzz_quic, fuzz_rfb, fuzz_sip, fuzz_smb, fuzz_smtp, fuzz_snmp, fuzz_ssh,
};
use crate::testing::{Log, Tcp, meta, noise, udp};

/// An IPv4 datagram in fragments of `size` bytes, each in a frame.
fn fragments(size: usize, payload: &[u8]) -> Vec<Vec<u8>> {
    let mut whole = Vec::new();
    PacketBuilder::ipv4([1; 4], [2; 4], 64).udp(1, 2).write(&mut whole, payload).unwrap();
    let (header, body) = whole.split_at(20);
    let count = body.len().div_ceil(size);
    body.chunks(size)
        .enumerate()
        .map(|(n, piece)| {
            let mut packet = header.to_vec();
            let total = u16::try_from(20 + piece.len()).unwrap();
            packet[2..4].copy_from_slice(&total.to_be_bytes());
            let more = if n + 1 < count { 0x2000 } else { 0 };
            let place = u16::try_from(n * size / 8).unwrap() | more;
            packet[6..8].copy_from_slice(&place.to_be_bytes());
            packet.extend_from_slice(piece);
            let mut frame = vec![0; 12];
            frame.extend([8, 0]);
            frame.extend(packet);
            frame
        })
        .collect()
}

fn no_checksums() -> Config {
    Config {
        decode: crate::decode::DecodeOptions { checksums: false, offloaded: true },
        ..Config::default()
    }
}

#[test]
fn fragments_become_a_datagram_in_any_order() {
    let payload = noise(1, 900);
    for reverse in [false, true] {
        let (mut engine, mut log) = (Engine::new(no_checksums(), 0), Log::default());
        let mut frames = fragments(128, &payload);
        if reverse {
            frames.reverse();
        }
        for frame in &frames {
            engine.packet(meta(0, frame.len()), frame, &mut log);
        }
        let stats = engine.stats();
        assert_eq!(stats.defrag.reassembled, 1);
        assert_eq!((stats.flows, stats.udp), (1, 1));
        assert_eq!(log.packets, frames.len() + 1, "each fragment and the datagram");
    }
}

#[test]
fn overlapping_and_late_fragments_are_counted() {
    let (mut engine, mut log) = (Engine::new(no_checksums(), 0), Log::default());
    let frames = fragments(64, &noise(2, 200));
    engine.packet(meta(0, 100), &frames[0], &mut log);
    engine.packet(meta(0, 100), &frames[0], &mut log);
    assert_eq!(engine.stats().defrag.overlaps, 1);
    assert!(log.text.contains("decoder.ipv4.frag_overlap"));
    engine.packet(meta(90_000_000, 100), &frames[1], &mut log);
    assert_eq!(engine.stats().defrag.timeouts, 1);
}

#[test]
fn a_flood_of_fragments_stays_within_its_memory() {
    let mut config = no_checksums();
    config.defrag.memory = 10_000;
    config.defrag.datagrams = 50;
    let (mut engine, mut log) = (Engine::new(config, 0), Log::default());
    let frames = fragments(64, &noise(3, 128));
    for id in 0..2000u16 {
        let mut frame = frames[0].clone();
        frame[18..20].copy_from_slice(&id.to_be_bytes());
        engine.packet(meta(i64::from(id), 100), &frame, &mut log);
    }
    let stats = engine.stats().defrag;
    assert_eq!(stats.fragments, 2000);
    assert_eq!(stats.shed, 1950);
}

#[test]
fn one_datagram_in_endless_fragments_stays_within_its_memory() {
    let mut config = no_checksums();
    config.defrag.memory = 100_000;
    let (mut engine, mut log) = (Engine::new(config, 0), Log::default());
    // The last fragment never comes: the rest of 65,000 bytes in pieces of 8, over and over.
    let frames = fragments(8, &noise(3, 65_000));
    let rounds = 3;
    for round in 0..rounds {
        for (n, frame) in frames.iter().take(frames.len() - 1).enumerate() {
            let ts = i64::try_from(round * frames.len() + n).unwrap();
            engine.packet(meta(ts, 100), frame, &mut log);
        }
    }
    let stats = engine.stats().defrag;
    assert_eq!(stats.fragments, u64::try_from(rounds * (frames.len() - 1)).unwrap());
    assert_eq!(stats.reassembled, 0);
    // 96 bytes of bookkeeping for each piece: about a thousand pieces fit.
    assert!(stats.shed >= stats.fragments / 1_000, "{}", stats.shed);
}

#[test]
fn a_flood_of_flows_leaves_those_that_are_there_alone() {
    let config = Config { max_flows: 1_000, ..no_checksums() };
    let mut tcp = Tcp::connected(config);
    tcp.client_says(b"GET /1 HTTP/1.1\r\n\r\n");
    let packets = 50_000_u32;
    for n in 0..packets {
        let ports = (u16::try_from(n % 60_000).unwrap() + 1, 9);
        let frame = udp(Direction::ToServer, ports, b"x");
        tcp.engine.packet(meta(tcp.ts, frame.len()), &frame, &mut tcp.log);
    }
    let stats = tcp.engine.stats();
    assert_eq!((stats.flows_active, stats.flows), (1_000, 1_000));
    assert_eq!(stats.flows_shed, u64::from(packets) - 999);
    tcp.client_says(b"GET /2 HTTP/1.1\r\n\r\n");
    let flow = tcp.engine.flows.get(0).unwrap();
    assert_eq!(flow.cold.as_ref().unwrap().app.open().iter().count(), 2);
}

#[test]
fn icmp_errors_belong_to_the_flow_they_are_about() {
    let (mut engine, mut log) = (Engine::new(no_checksums(), 0), Log::default());
    let frame = udp(Direction::ToServer, (1000, 2000), b"x");
    engine.packet(meta(0, frame.len()), &frame, &mut log);
    let mut error = Vec::new();
    let unreachable = [&[3, 3, 0, 0, 0, 0, 0, 0], &frame[14..]].concat();
    PacketBuilder::ethernet2([1; 6], [2; 6])
        .ipv4(crate::testing::SERVER, crate::testing::CLIENT, 64)
        .write(&mut error, 1.into(), &unreachable)
        .unwrap();
    engine.packet(meta(1, error.len()), &error, &mut log);
    engine.finish(&mut log);
    expect![[r#"
        flow failed 1/1 none Shutdown
    "#]]
    .assert_eq(&log.text);
}

#[test]
fn a_response_first_turns_a_dns_flow_around() {
    let (mut engine, mut log) = (Engine::new(Config::default(), 0), Log::default());
    let answer = b"\x12\x34\x81\x80\0\x01\0\0\0\0\0\0\x01a\x02bc\0\0\x01\0\x01";
    let frame = udp(Direction::ToClient, (40_000, 53), answer);
    engine.packet(meta(0, frame.len()), &frame, &mut log);
    engine.finish(&mut log);
    expect![[r#"
        tx 0 ToClient 1: dns 1234
        flow dns 0/1 none Shutdown
    "#]]
    .assert_eq(&log.text);
}

#[test]
fn http_over_a_shuffled_stream() {
    let mut tcp = Tcp::connected(Config::default());
    let request = b"GET /a/../b%20c?d HTTP/1.1\r\nHost: Example.com\r\n\r\n";
    let (first, second) = request.split_at(20);
    let at = tcp.next[0];
    let late = tcp.frame(Direction::ToServer, "A", at.wrapping_add(20), second);
    let early = tcp.frame(Direction::ToServer, "A", at, first);
    tcp.raw(&late);
    tcp.raw(&early);
    tcp.next[0] = at.wrapping_add(u32::try_from(request.len()).unwrap());
    tcp.server_says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    tcp.server_says(b"llo");
    expect![[r#"
        tx 0 ToServer 5: http GET /b c?d ->  ""
        tx 0 ToClient 3: http GET /b c?d -> 200 "he"
        tx 0 ToClient 5: http GET /b c?d -> 200 "hello"
        flow http 4/3 established Shutdown
    "#]]
    .assert_eq(&tcp.finish());
}

#[test]
fn a_wrong_checksum_keeps_data_out_of_the_stream() {
    let mut tcp = Tcp::connected(Config::default());
    let mut frame = tcp.frame(Direction::ToServer, "A", tcp.next[0], b"data");
    let last = frame.len() - 1;
    frame[last] ^= 1;
    tcp.raw(&frame);
    assert_eq!(tcp.log.stream[0], b"");
    assert_eq!(tcp.engine.stats().bad_checksum, 1);
}

#[test]
fn both_directions_have_the_same_share() {
    for port in 0..50 {
        let there = udp(Direction::ToServer, (port, 53), b"");
        let back = udp(Direction::ToClient, (port, 53), b"");
        let share = |frame: &[u8]| share_of(meta(0, frame.len()), frame, 7);
        assert_eq!(share(&there), share(&back));
        assert!(share(&there) < 7);
    }
}

#[test]
fn fuzz_entries_survive_noise_and_cut_traffic() {
    for seed in 0..300 {
        fuzz_packets(&noise(seed, 600));
        fuzz_app(&noise(seed, 600));
        fuzz_mime(&noise(seed, 600));
    }
    for entry in [
        fuzz_smb,
        fuzz_dcerpc,
        fuzz_snmp,
        fuzz_sip,
        fuzz_krb5,
        fuzz_ssh,
        fuzz_smtp,
        fuzz_ftp,
        fuzz_ldap,
        fuzz_quic,
        fuzz_rfb,
        fuzz_pop3,
        fuzz_dhcp,
    ] {
        for seed in 0..200 {
            entry(&noise(seed, 600));
        }
    }
    let tcp = Tcp::new(Config::default());
    let mut data = vec![8];
    for (dir, flags, payload) in [
        (Direction::ToServer, "S", &b""[..]),
        (Direction::ToClient, "SA", b""),
        (Direction::ToServer, "A", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ] {
        let frame = tcp.frame(dir, flags, tcp.next[dir.index()], payload);
        data.push(u8::try_from(frame.len()).unwrap());
        data.extend(frame);
    }
    for end in 0..data.len() {
        fuzz_packets(&data[..end]);
        let mut flipped = data.clone();
        flipped[end] ^= 0x55;
        fuzz_packets(&flipped);
    }
}
