//! What each stage costs by itself, on packets made here.
#![expect(clippy::unwrap_used, reason = "a bench stops where something is wrong")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etherparse::PacketBuilder;
use net::app::detect::Transport;
use net::app::{AppConfig, AppContext, AppLayer, TxList};
use net::decode::{Anomalies, DecodeOptions};
use net::engine::InFlow;
use net::policy::OsPolicy;
use net::stream::{Budget, Env, Half, Limits, Segment};
use net::{Chunk, Config, Direction, EndReason, Engine, Flow, LinkType, Meta, Packet, Sink};

/// Takes everything and keeps nothing.
struct Nothing;

impl Sink for Nothing {
    fn chunk(&mut self, _: &Flow, chunk: &Chunk<'_>) {
        black_box(chunk);
    }

    fn packet(&mut self, packet: &Packet<'_>, _: Option<InFlow<'_>>) {
        black_box(packet);
    }

    fn flow_end(&mut self, flow: &mut Flow, _: &TxList, _: EndReason) {
        black_box(flow);
    }
}

fn meta(ts: i64, frame: &[u8]) -> Meta {
    let wire_len = u32::try_from(frame.len()).unwrap();
    Meta { ts, number: 1, interface: 0, wire_len, link: LinkType::Ethernet }
}

fn udp(client: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let ip = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(client, [10, 9, 9, 9], 64);
    let mut frame = Vec::new();
    ip.udp(5_000, 9_000).write(&mut frame, payload).unwrap();
    frame
}

fn tcp(seq: u32, payload: &[u8]) -> Vec<u8> {
    let ip = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
    let mut frame = Vec::new();
    ip.tcp(5_000, 80, seq, 60_000).ack(1).write(&mut frame, payload).unwrap();
    frame
}

fn decode(c: &mut Criterion) {
    let frames = [("udp", udp([10, 0, 0, 1], &[7; 100])), ("tcp 1448", tcp(1, &[7; 1448]))];
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(1));
    for (name, frame) in &frames {
        for checksums in [false, true] {
            let name = format!("{name}{}", if checksums { ", checksums" } else { "" });
            let options = DecodeOptions { checksums, ..DecodeOptions::default() };
            group.bench_function(name, |b| {
                b.iter(|| black_box(Packet::decode(meta(0, frame), black_box(frame), options)));
            });
        }
    }
}

/// The three fragments of a datagram of 4,000 bytes.
fn fragments() -> Vec<Vec<u8>> {
    let whole = udp([10, 0, 0, 1], &[7; 4_000]);
    let (head, body) = whole.split_at(34);
    let pieces = body.chunks(1_480).enumerate();
    pieces
        .map(|(number, piece)| {
            let mut frame = [head, piece].concat();
            let more = if (number + 1) * 1_480 < body.len() { 0x2000 } else { 0 };
            let place = u16::try_from(number * 1_480 / 8).unwrap() | more;
            let total = u16::try_from(piece.len() + 20).unwrap();
            frame[16..18].copy_from_slice(&total.to_be_bytes());
            frame[20..22].copy_from_slice(&place.to_be_bytes());
            frame
        })
        .collect()
}

fn engine() -> Engine {
    let mut config = Config::default();
    config.decode.checksums = false;
    Engine::new(config, 0)
}

fn defrag_and_flow(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine");
    let pieces = fragments();
    group.throughput(Throughput::Elements(3));
    group.bench_function("defrag", |b| {
        let (mut engine, mut ts) = (engine(), 0);
        b.iter(|| {
            ts += 10;
            pieces.iter().for_each(|frame| engine.packet(meta(ts, frame), frame, &mut Nothing));
        });
        assert_eq!(engine.stats().defrag.shed, 0);
    });
    let frames: Vec<_> = (0..=255_u8).map(|host| udp([10, 0, 1, host], &[7; 100])).collect();
    group.throughput(Throughput::Elements(256));
    group.bench_function("flow", |b| {
        let (mut engine, mut ts) = (engine(), 0);
        b.iter(|| {
            ts += 100;
            frames.iter().for_each(|frame| engine.packet(meta(ts, frame), frame, &mut Nothing));
        });
        assert_eq!(engine.stats().flows_active, 256);
    });
}

fn stream(c: &mut Criterion) {
    let mut group = c.benchmark_group("stream");
    let payload = [7_u8; 1448];
    let orders: [(&str, &[u32]); 2] = [("in order", &[0, 1, 2, 3]), ("swapped", &[1, 0, 3, 2])];
    group.throughput(Throughput::Bytes(4 * 1448));
    for (name, order) in orders {
        group.bench_function(name, |b| {
            let (mut half, mut at) = (Half::default(), 0_u32);
            half.start(0);
            let (mut budget, mut wrong) = (Budget { used: 0, cap: 1 << 20 }, Anomalies::default());
            let limits = Limits { depth: 0, ..Limits::default() };
            b.iter(|| {
                for number in order {
                    let seq = at.wrapping_add(number * 1448);
                    let segment = Segment { dir: Direction::ToServer, seq, data: &payload };
                    let mut env = Env {
                        limits,
                        budget: &mut budget,
                        wrong: &mut wrong,
                        policy: OsPolicy::Bsd,
                        hold: false,
                    };
                    half.segment(segment, &mut env, &mut |chunk| {
                        black_box(chunk.offset);
                    });
                }
                at = at.wrapping_add(4 * 1448);
            });
        });
    }
}

const REQUEST: &[u8] = b"GET /a/page.html?item=7 HTTP/1.1\r\nHost: www.site.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html\r\nCookie: a=b; c=d\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: generated\r\nContent-Type: text/html\r\nContent-Length: 20\r\n\r\n<html>a page</html>\n";
const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x04site\x07example\0\0\x01\0\x01";
const ANSWER: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x03www\x04site\x07example\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01";

/// A hello of TLS 1.2 with a server's name.
fn hello() -> Vec<u8> {
    let name = b"www.site.example";
    let mut extensions = vec![0, 0, 0, 21, 0, 19, 0, 0, 16];
    extensions.extend(name);
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 4, 0x13, 1, 0xc0, 0x2f, 1, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let length = u8::try_from(body.len()).unwrap();
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}

fn app(c: &mut Criterion) {
    let (config, hello) = (AppConfig::default(), hello());
    let sessions: [(&str, Transport, &[u8], &[u8]); 3] = [
        ("http", Transport::Tcp, REQUEST, RESPONSE),
        ("dns", Transport::Udp, QUERY, ANSWER),
        ("tls hello", Transport::Tcp, &hello, b""),
    ];
    let mut group = c.benchmark_group("app");
    for (name, transport, there, back) in sessions {
        let cx = AppContext { config: &config, transport, ports: (50_000, 53) };
        group.throughput(Throughput::Bytes(u64::try_from(there.len() + back.len()).unwrap()));
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut app = AppLayer::default();
                app.data(Direction::ToServer, there, &cx);
                app.data(Direction::ToClient, back, &cx);
                assert_eq!(app.transactions(), 1);
                app.finish();
                black_box(app)
            });
        });
    }
}

criterion_group!(stages, decode, defrag_and_flow, stream, app);
criterion_main!(stages);
