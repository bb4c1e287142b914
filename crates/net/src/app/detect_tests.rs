//! Detection by content: every protocol on ports that say nothing, in pieces, from either side.

use super::detect::{Probe, probe};
use super::*;
use Direction::{ToClient, ToServer};

const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x1c\0\x01";

fn context(config: &AppConfig, transport: Transport, ports: (u16, u16)) -> AppContext<'_> {
    AppContext { config, transport, ports }
}

fn look(transport: Transport, dir: Direction, bytes: &[u8], server: u16) -> String {
    let config = AppConfig::default();
    match probe(dir, bytes, &context(&config, transport, (50_000, server))) {
        Probe::Is(protocol) => protocol.name().to_owned(),
        Probe::Reversed(protocol) => format!("{} reversed", protocol.name()),
        Probe::More => "more".to_owned(),
        Probe::No => "no".to_owned(),
    }
}

/// First bytes of real clients and servers.
fn tcp_samples() -> Vec<(Direction, Vec<u8>, &'static str)> {
    let tcp = |dir, bytes: &[u8], name| (dir, bytes.to_vec(), name);
    vec![
        tcp(ToServer, b"GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n", "http"),
        tcp(ToServer, b"\r\n\r\nM-SEARCH * HTTP/1.1\r\n", "http"),
        tcp(ToServer, b"get /lower/case HTTP/1.0\r\n", "http"),
        tcp(ToClient, b"HTTP/1.1 404 Not Found\r\n", "http"),
        tcp(ToServer, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2"),
        tcp(ToServer, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "tls"),
        tcp(ToClient, b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03", "tls"),
        tcp(ToClient, b"\x15\x03\x01\x00\x02\x02\x28", "tls"),
        tcp(ToServer, b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10", "tls"),
        tcp(ToServer, b"SSH-2.0-OpenSSH_9.6\r\n", "ssh"),
        tcp(ToClient, b"SSH-1.99-Cisco-1.25\n", "ssh"),
        tcp(ToClient, b"220 mx.example.org ESMTP Postfix\r\n", "smtp"),
        tcp(ToServer, b"EHLO client.example.org\r\n", "smtp"),
        tcp(ToClient, b"220 ProFTPD Server ready\r\n", "ftp"),
        tcp(ToServer, b"USER anonymous\r\n", "ftp"),
        tcp(ToClient, b"+OK POP3 ready\r\n", "pop3"),
        tcp(ToServer, b"CAPA\r\n", "pop3"),
        tcp(ToClient, b"* OK [CAPABILITY IMAP4rev1] ready\r\n", "imap"),
        tcp(ToServer, b"\0\0\0\x90\xfeSMB\x40\0\0\0", "smb"),
        tcp(ToClient, b"\0\0\0\x90\xffSMB\x72\0\0\0", "smb"),
        tcp(ToServer, b"\x05\0\x0b\x03\x10\0\0\0\x48\0\0\0", "dcerpc"),
        tcp(ToServer, b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\0\0\0\0", "rdp"),
        tcp(ToServer, b"\x10\x0f\0\x04MQTT\x04\x02\0\x3c", "mqtt"),
        tcp(ToServer, b"\x10\x11\0\x06MQIsdp\x03\x02\0\x3c", "mqtt"),
        tcp(ToServer, b"\0\0\x05\x6a\x6a\x82\x05\x66", "krb5"),
        tcp(ToServer, b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0", "ldap"),
        tcp(ToServer, b"\x30\x84\0\0\0\x10\x02\x01\x01\x63", "ldap"),
        tcp(ToClient, b"RFB 003.008\n", "rfb"),
        tcp(ToServer, b"REGISTER sip:example.org SIP/2.0\r\n", "sip"),
        tcp(ToServer, &[&[0, 33], QUERY].concat(), "dns"),
    ]
}

#[test]
fn streams_are_known_by_their_first_bytes_on_any_port() {
    for (dir, bytes, name) in tcp_samples() {
        for server in [1, 80, 443, 65_535] {
            let got = look(Transport::Tcp, dir, &bytes, server);
            assert_eq!(got, name, "{} on port {server}", bytes.escape_ascii());
        }
    }
}

#[test]
fn streams_are_known_byte_by_byte_and_behind_silence_of_the_other_side() {
    for (dir, bytes, name) in tcp_samples() {
        let config = AppConfig::default();
        let cx = context(&config, Transport::Tcp, (50_000, 7777));
        let mut app = AppLayer::default();
        for byte in &bytes {
            app.data(dir, &[*byte], &cx);
        }
        app.finish();
        assert_eq!(app.protocol().name(), name, "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_only_begins_alike_is_something_else() {
    let cases: &[(Direction, &[u8], &str)] = &[
        (ToServer, b"GETA /", "no"),
        (ToServer, b"G", "more"),
        (ToServer, b"\r\n", "more"),
        (ToServer, b"\x16\x03\x05\x02\x00\x01", "no"),
        (ToServer, b"\x16\x04\x01\x02\x00\x01", "no"),
        (ToServer, b"\x16\x03\x01\x02\x00\x09", "no"),
        (ToServer, b"SSH_2", "no"),
        (ToClient, b"GET / HTTP/1.1\r\n", "no"),
        (ToClient, b"220 hello\r\n", "no"),
        (ToServer, b"\0\0\0\x90\xfdSMX", "no"),
        (ToServer, b"\x10\x0f\0\x04MQTX", "no"),
        (ToServer, b"\0\x0bshort", "no"),
    ];
    for (dir, bytes, expected) in cases {
        assert_eq!(look(Transport::Tcp, *dir, bytes, 7777), *expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn datagrams_are_known_by_content_and_some_by_port() {
    let mut answer = QUERY.to_vec();
    answer[2] = 0x81;
    let mut ntp = [0; 48];
    ntp[0] = 0x1b;
    let mut dhcp = [0; 300];
    dhcp[..3].copy_from_slice(&[1, 1, 6]);
    dhcp[236..240].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    let mut quic = [0; 1200];
    quic[..10].copy_from_slice(&[0xc3, 0, 0, 0, 1, 0, 0, 0, 0x44, 0xa6]);
    let snmp3 = b"\x30\x3e\x02\x01\x03\x30\x11\x02\x04";
    let cases: &[(Direction, &[u8], u16, &str)] = &[
        (ToServer, QUERY, 9999, "dns"),
        (ToClient, &answer, 9999, "dns"),
        (ToServer, &answer, 9999, "dns reversed"),
        (ToServer, &QUERY[..QUERY.len() - 1], 9999, "no"),
        (ToServer, &QUERY[..QUERY.len() - 1], 53, "dns"),
        (ToServer, QUERY, 5353, "mdns"),
        (ToServer, &answer, 5353, "mdns"),
        (ToServer, QUERY, 5355, "llmnr"),
        (ToServer, &ntp, 9999, "ntp"),
        (ToServer, &ntp[..47], 123, "no"),
        (ToServer, &dhcp, 67, "dhcp"),
        (ToServer, &dhcp[..239], 67, "no"),
        (ToServer, &quic, 443, "quic"),
        (ToServer, &quic[..999], 443, "no"),
        (ToServer, b"\x30\x82\0\x29\x02\x01\x01\x04\x06public", 161, "snmp"),
        (ToServer, snmp3, 161, "snmp"),
        (ToServer, b"\x30\x29\x02\x01\x02\x04", 161, "no"),
        (ToServer, b"d1:ad2:id20:", 6881, "bittorrent-dht"),
        (ToServer, b"\0\x01file\0octet\0", 69, "tftp"),
        (ToServer, b"\0\x01file\0octet\0", 70, "no"),
        (ToServer, b"\x6a\x81\x9c", 88, "krb5"),
        (ToClient, b"\x7e\x40\x30\x3e", 88, "krb5"),
        (ToClient, b"\x7e\x40\x30\x3e", 89, "no"),
        (ToServer, b"\x4a\x81\x9c", 88, "no"),
        (ToServer, b"OPTIONS sip:a SIP/2.0\r\n", 5060, "sip"),
        (ToServer, b"", 53, "no"),
    ];
    for (dir, bytes, server, expected) in cases {
        let got = look(Transport::Udp, *dir, bytes, *server);
        assert_eq!(got, *expected, "port {server}: {}", bytes.escape_ascii());
    }
}

#[test]
fn kerberos_in_pieces_is_waited_for_on_its_port() {
    let long = b"\0\0\x05\x6a\x6a\x82";
    let short = b"\0\0\0\x42\x7e\x40\x30";
    for (bytes, elsewhere) in [(&long[..], "krb5"), (short, "no")] {
        for end in 1..bytes.len() {
            assert_eq!(look(Transport::Tcp, ToServer, &bytes[..end], 88), "more", "{end}");
        }
        assert_eq!(look(Transport::Tcp, ToServer, bytes, 88), "krb5");
        assert_eq!(look(Transport::Tcp, ToServer, bytes, 4444), elsewhere);
    }
}

#[test]
fn dns_may_be_kept_to_its_ports() {
    let framed = [&[0, 33], QUERY].concat();
    for (allowed, ports, expected) in [
        (Ports::Registered, (50_000, 53), true),
        (Ports::Registered, (53, 50_000), true),
        (Ports::Registered, (50_000, 9999), false),
        (Ports::Server, (50_000, 53), true),
        (Ports::Server, (53, 50_000), false),
        (Ports::Server, (53, 53), true),
    ] {
        let config = AppConfig { ports: allowed, ..AppConfig::default() };
        let udp = probe(ToServer, QUERY, &context(&config, Transport::Udp, ports));
        let tcp = probe(ToServer, &framed, &context(&config, Transport::Tcp, ports));
        assert_eq!(udp == Probe::Is(Protocol::Dns), expected, "udp {ports:?}");
        assert_eq!(tcp == Probe::Is(Protocol::Dns), expected, "tcp {ports:?}");
    }
}

#[test]
fn an_answer_before_its_request_may_be_nothing() {
    let mut answer = QUERY.to_vec();
    answer[2] = 0x81;
    let snmp = b"\x30\x82\0\x29\x02\x01\x01\x04\x06public";
    for (port, bytes, group) in [
        (53, &answer[..], false),
        (161, snmp, false),
        (162, snmp, false),
        (5355, &answer[..], true),
    ] {
        for (ports, expected) in
            [(Ports::Any, true), (Ports::Registered, true), (Ports::Server, group)]
        {
            let config = AppConfig { ports, ..AppConfig::default() };
            let found = probe(ToServer, bytes, &context(&config, Transport::Udp, (port, 50_000)));
            assert_eq!(found != Probe::No, expected, "{port} {ports:?}");
        }
    }
}

struct Run {
    app: AppLayer,
    transport: Transport,
}

impl Run {
    fn new(transport: Transport) -> Self {
        Self { app: AppLayer::default(), transport }
    }

    fn give(&mut self, dir: Direction, bytes: &[u8]) {
        let config = AppConfig::default();
        self.app.data(dir, bytes, &context(&config, self.transport, (50_000, 7777)));
    }
}

#[test]
fn the_segment_that_decides_is_not_cut() {
    // One byte is not enough to decide; the next segment is longer than what is looked at.
    let target = format!("/{}", "a".repeat(5000));
    let rest = format!("ET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut run = Run::new(Transport::Tcp);
    run.give(ToServer, b"G");
    run.give(ToServer, rest.as_bytes());
    let tx = run.app.open().iter().next().unwrap();
    let http = tx.http().unwrap();
    assert_eq!((http.request.uri.len(), http.request.host.as_slice()), (5001, &b"h"[..]));
    assert!(tx.is_complete(ToServer));
}

#[test]
fn what_was_not_kept_is_a_gap_for_the_parser() {
    // A method nobody knows, a body longer than what is looked at; then the server tells.
    let head = format!("FROB / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n{}", "x".repeat(3000));
    let mut run = Run::new(Transport::Tcp);
    run.give(ToServer, head.as_bytes());
    run.give(ToServer, "x".repeat(2000).as_bytes());
    run.give(ToClient, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let tx = run.app.open().iter().next().unwrap();
    let http = tx.http().unwrap();
    assert_eq!(
        (http.request.method.as_slice(), http.response.body.data()),
        (&b"FROB"[..], &b"ok"[..])
    );
    assert!(http.request.body.has_gap());
    let kept = 2048 - (head.len() - 3000);
    assert_eq!(http.request.body.data().len(), kept);
    assert_eq!(http.request.body.message_len(), 5000);
    assert!(tx.is_complete(ToServer), "the gap leads up to the end");
}

#[test]
fn bytes_around_a_hole_do_not_make_a_protocol() {
    let mut run = Run::new(Transport::Tcp);
    run.give(ToServer, b"GE");
    run.app.gap(ToServer, 100);
    run.give(ToServer, b"T / HTTP/1.1\r\n\r\n");
    run.app.finish();
    assert_eq!((run.app.protocol(), run.app.transactions()), (Protocol::Failed, 0));
    // A hole before everything is no reason not to look.
    let mut run = Run::new(Transport::Tcp);
    run.app.gap(ToServer, 100);
    run.give(ToServer, b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(run.app.protocol(), Protocol::Http);
}

#[test]
fn a_datagram_is_looked_at_alone() {
    let mut run = Run::new(Transport::Udp);
    run.give(ToServer, b"something first");
    run.give(ToServer, QUERY);
    assert_eq!((run.app.protocol(), run.app.transactions()), (Protocol::Dns, 1));
    let mut both = Run::new(Transport::Udp);
    both.give(ToServer, b"something");
    both.give(ToClient, b"something");
    both.give(ToServer, QUERY);
    assert_eq!(both.app.protocol(), Protocol::Failed, "both sides have spoken of something else");
}

#[test]
fn one_side_alone_is_enough() {
    for (bytes, dir, name) in [
        (&b"GET / HTTP/1.0\r\n\r\n"[..], ToServer, "http"),
        (b"HTTP/1.0 200 OK\r\n\r\nbody", ToClient, "http"),
        (b"SSH-2.0-x\r\n", ToClient, "ssh"),
    ] {
        let mut run = Run::new(Transport::Tcp);
        run.give(dir, bytes);
        run.app.finish();
        assert_eq!(run.app.protocol().name(), name);
    }
    let mut reversed = Run::new(Transport::Tcp);
    reversed.give(ToServer, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    assert!(reversed.app.take_reversed() && !reversed.app.take_reversed(), "told once");
    let tx = reversed.app.open().iter().next().unwrap();
    assert!(tx.http().unwrap().request_missing && tx.is_complete(ToClient));
}

#[test]
fn every_protocol_can_be_switched_off_and_has_a_bit_of_its_own() {
    for (dir, bytes, name) in tcp_samples() {
        let mut config = AppConfig::default();
        config.disable(Protocol::named(name).unwrap());
        let mut app = AppLayer::default();
        app.data(dir, &bytes, &context(&config, Transport::Tcp, (50_000, 7777)));
        assert_eq!((app.protocol(), app.transactions()), (Protocol::Failed, 0), "{name}");
    }
    let (mut bits, mut count) = (0u64, 0);
    for (_, _, name) in tcp_samples() {
        let bit = Protocol::named(name).unwrap().bit();
        count += u32::from(bits & bit == 0);
        bits |= bit;
    }
    assert_eq!(bits.count_ones(), count);
}
