//! Detection and DNS.

use expect_test::{Expect, expect};

use super::detect::probe;
use super::*;

fn context(config: &AppConfig, transport: Transport, server: u16) -> AppContext<'_> {
    AppContext { config, transport, ports: (50_000, server) }
}

fn check(transport: Transport, dir: Direction, bytes: &[u8], expected: &Expect) {
    let config = AppConfig::default();
    let found = probe(dir, bytes, &context(&config, transport, 9999));
    expected.assert_eq(&format!("{found:?}"));
}

const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x1c\0\x01";

#[test]
fn first_bytes_tell_the_protocol() {
    use Direction::{ToClient, ToServer};
    let tcp = |dir, bytes: &[u8], name: &Expect| check(Transport::Tcp, dir, bytes, name);
    tcp(ToServer, b"GET / HTTP/1.1", &expect!["Is(Http)"]);
    tcp(ToServer, b"\r\npost /", &expect!["Is(Http)"]);
    tcp(ToServer, b"PROPF", &expect!["More"]);
    tcp(ToServer, b"GETTING", &expect!["No"]);
    tcp(ToServer, b"HTTP/1.0 200", &expect!["Reversed(Http)"]);
    tcp(ToClient, b"HTTP/1.0 200", &expect!["Is(Http)"]);
    tcp(ToServer, b"PRI * HTTP/2.0\r\n", &expect!["Is(Http2)"]);
    tcp(ToServer, b"\x16\x03\x01\x02\x00\x01", &expect!["Is(Tls)"]);
    tcp(ToServer, b"\x16\x03\x01", &expect!["More"]);
    tcp(ToClient, b"SSH-2.0-x", &expect!["Is(Ssh)"]);
    tcp(ToClient, b"220 mail ESMTP ready", &expect!["Is(Smtp)"]);
    tcp(ToClient, b"220 (vsFTPd 3.0)", &expect!["Is(Ftp)"]);
    tcp(ToServer, b"\0\0\0\x2f\xffSMBr", &expect!["Is(Smb)"]);
    tcp(ToServer, b"what is this", &expect!["No"]);
    let udp = |dir, bytes: &[u8], name: &Expect| check(Transport::Udp, dir, bytes, name);
    udp(ToServer, QUERY, &expect!["Is(Dns)"]);
    udp(ToServer, &QUERY[..20], &expect!["No"]);
    udp(ToServer, &[0x23; 48], &expect!["No"]);
    let mut ntp = [0; 48];
    ntp[0] = 0x23;
    udp(ToServer, &ntp, &expect!["Is(Ntp)"]);
    udp(ToServer, b"\x30\x29\x02\x01\x00\x04\x06public", &expect!["Is(Snmp)"]);
}

#[test]
fn a_switched_off_protocol_is_not_parsed() {
    let mut config = AppConfig::default();
    config.disable(Protocol::Http);
    let mut app = AppLayer::default();
    app.data(Direction::ToServer, b"GET / HTTP/1.1\r\n\r\n", &context(&config, Transport::Tcp, 80));
    assert_eq!(app.protocol(), Protocol::Failed);
    assert_eq!(app.transactions(), 0);
}

#[test]
fn detection_gives_up_within_its_limit() {
    let config = AppConfig::default();
    let cx = context(&config, Transport::Tcp, 1);
    let mut app = AppLayer::default();
    for _ in 0..10_000 {
        app.data(Direction::ToServer, b"\xaa\xbb\xcc\xdd", &cx);
        app.data(Direction::ToClient, b"\xaa\xbb\xcc\xdd", &cx);
    }
    assert_eq!(app.protocol(), Protocol::Failed);
}

#[test]
fn protocol_names_go_both_ways() {
    for protocol in [Protocol::Http, Protocol::BittorrentDht, Protocol::Modbus] {
        assert_eq!(Protocol::named(protocol.name()), Some(protocol));
    }
    assert_eq!(Protocol::named("gopher"), None);
    assert!(Protocol::Modbus.bit() != 0 && !Protocol::Failed.is_known());
}

fn read(bytes: &[u8]) -> String {
    let Some((m, whole)) = dns::parse(bytes) else { return "no header".into() };
    let names = |list: &[dns::Answer]| {
        let one = |a: &dns::Answer| format!("{}/{} {:?}", a.name.escape_ascii(), a.kind, a.data);
        list.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let queries: Vec<_> =
        m.queries.iter().map(|q| format!("{}/{}", q.name.escape_ascii(), q.kind)).collect();
    format!("{queries:?} [{}] whole {whole}", names(&m.answers))
}

#[test]
fn dns_records_are_read() {
    let mut answer = QUERY.to_vec();
    answer[2] = 0x81;
    answer[7] = 4;
    answer.extend(b"\xc0\x0c\0\x05\0\x01\0\0\0\x0a\0\x04\x01a\xc0\x10");
    answer.extend(b"\xc0\x2d\0\x01\0\x01\0\0\0\x0a\0\x04\x01\x02\x03\x04");
    answer.extend(b"\xc0\x0c\0\x10\0\x01\0\0\0\x0a\0\x05\x01x\x02yz");
    answer.extend(b"\xc0\x0c\0\x0f\0\x01\0\0\0\x0a\0\x06\0\x05\x01m\xc0\x10");
    expect![[r#"["www.example.com/28"] [www.example.com/5 Name([97, 46, 101, 120, 97, 109, 112, 108, 101, 46, 99, 111, 109]), a.example.com/1 Address(1.2.3.4), www.example.com/16 Text([120]), www.example.com/16 Text([121, 122]), www.example.com/15 Mx(5, [109, 46, 101, 120, 97, 109, 112, 108, 101, 46, 99, 111, 109])] whole true"#]]
        .assert_eq(&read(&answer));
    for end in 0..answer.len() {
        read(&answer[..end]);
        let mut flipped = answer.clone();
        flipped[end] ^= 0xff;
        read(&flipped);
    }
}

#[test]
fn compression_loops_end() {
    let mut query = QUERY[..12].to_vec();
    query.extend(b"\xc0\x0c\0\x01\0\x01");
    expect!["[] [] whole false"].assert_eq(&read(&query));
    let mut chain = QUERY[..12].to_vec();
    for n in 0..400u16 {
        chain.push(1);
        chain.push(b'a');
        chain.extend((0xc000 | (12 + n * 4).saturating_sub(4)).to_be_bytes());
    }
    read(&chain);
}

#[test]
fn dns_over_tcp_is_cut_by_its_lengths() {
    let config = AppConfig::default();
    let cx = context(&config, Transport::Tcp, 53);
    let length = u16::try_from(QUERY.len()).unwrap().to_be_bytes();
    let stream = [&length, QUERY, &length, QUERY].concat();
    for size in 1..stream.len() {
        let mut app = AppLayer::default();
        for piece in stream.chunks(size) {
            app.data(Direction::ToServer, piece, &cx);
        }
        assert_eq!((app.protocol(), app.transactions()), (Protocol::Dns, 2), "pieces of {size}");
    }
}
