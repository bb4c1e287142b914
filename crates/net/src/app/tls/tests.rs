//! Handshakes made here; fingerprints against published values.

use super::super::detect::Transport;
use super::super::{AppConfig, AppContext, AppLayer, Record};
use super::*;
use crate::flow::Direction;

pub(super) fn vec16(body: &[u8]) -> Vec<u8> {
    [&u16::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

pub(super) fn words(list: &[u16]) -> Vec<u8> {
    list.iter().flat_map(|w| w.to_be_bytes()).collect()
}

pub(super) fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().to_vec(), vec16(body)].concat()
}

pub(super) fn sni(name: &str) -> Vec<u8> {
    let entry = [&[0][..], &vec16(name.as_bytes())].concat();
    extension(0, &vec16(&entry))
}

pub(super) fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, a, b, c], body].concat()
}

pub(super) fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1][..], &vec16(body)].concat()
}

pub(super) fn client_hello(version: u16, ciphers: &[u16], extensions: &[u8]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(vec16(&words(ciphers)));
    body.extend([1, 0]);
    body.extend(vec16(extensions));
    handshake(1, &body)
}

pub(super) fn server_hello(version: u16, cipher: u16, extensions: &[u8]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([8; 32]);
    body.push(0);
    body.extend(cipher.to_be_bytes());
    body.push(0);
    body.extend(vec16(extensions));
    handshake(2, &body)
}

pub(super) fn give(app: &mut AppLayer, dir: Direction, bytes: &[u8]) {
    let config = AppConfig::default();
    let cx = AppContext { config: &config, transport: Transport::Tcp, ports: (40_000, 443) };
    app.data(dir, bytes, &cx);
}

pub(super) fn session(app: &AppLayer) -> &Tls {
    match &app.open().iter().next().unwrap().record {
        Record::Tls(tls) => tls,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ja3_is_the_published_one() {
    let ciphers = [47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4];
    let extensions =
        [sni("example.com"), extension(10, &vec16(&words(&[23, 24, 25]))), extension(11, &[1, 0])]
            .concat();
    let mut app = AppLayer::default();
    let hello = record(22, &client_hello(0x0301, &ciphers, &extensions));
    give(&mut app, Direction::ToServer, &hello);
    let client = session(&app).client.as_ref().unwrap();
    let string = "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0";
    assert_eq!(client.ja3, string);
    assert_eq!(client.ja3_hash, "ada70206e40642a3e4461f35503241d5");
    assert_eq!(session(&app).sni(), Some(&b"example.com"[..]));
}

#[test]
fn ja4_is_the_published_one() {
    let ciphers = [
        0x0a0a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
        0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
    ];
    let signatures = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
    let mut extensions = extension(0x3a3a, &[]);
    extensions.extend(sni("example.com"));
    extensions.extend(extension(16, &vec16(b"\x02h2\x08http/1.1")));
    extensions.extend(extension(43, &[4, 3, 4, 3, 3]));
    extensions.extend(extension(13, &vec16(&words(&signatures))));
    for kind in [0x1b, 0x33, 0x4469, 0x17, 0x2d, 0x05, 0x23, 0x12, 0x0b, 0x0a, 0xff01, 0x15] {
        extensions.extend(extension(kind, &[]));
    }
    let mut app = AppLayer::default();
    let hello = record(22, &client_hello(0x0303, &ciphers, &extensions));
    give(&mut app, Direction::ToServer, &hello);
    let client = session(&app).client.as_ref().unwrap();
    assert_eq!(client.ja4, "t13d1516h2_8daaf6152771_e5627efa2ab1");
}

/// A whole TLS 1.2 handshake with a certificate of our own, and the bytes of both sides.
pub(super) fn full() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let mut params = rcgen::CertificateParams::new(vec!["pikett.test".to_owned()]).unwrap();
    params.serial_number = Some(rcgen::SerialNumber::from(vec![0x0a, 0xbc]));
    let key = rcgen::KeyPair::generate().unwrap();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    let [_, a, b, c] = u32::try_from(der.len()).unwrap().to_be_bytes();
    let entry = [&[a, b, c], der.as_slice()].concat();
    let [_, a, b, c] = u32::try_from(entry.len()).unwrap().to_be_bytes();
    let certificate = handshake(11, &[&[a, b, c], entry.as_slice()].concat());
    let client = record(22, &client_hello(0x0303, &[47], &sni("pikett.test")));
    let hello = server_hello(0x0303, 47, &extension(0xff01, &[0]));
    let mut server = record(22, &[hello, certificate, handshake(14, b"")].concat());
    server.extend(record(20, &[1]));
    server.extend(record(22, &[9; 40]));
    (client, server, der)
}

#[test]
fn certificates_are_read() {
    let (client, server, der) = full();
    for size in [1, 7, 100, 5000] {
        let mut app = AppLayer::default();
        client.chunks(size).for_each(|piece| give(&mut app, Direction::ToServer, piece));
        server.chunks(size).for_each(|piece| give(&mut app, Direction::ToClient, piece));
        let tls = session(&app);
        assert_eq!(tls.certificates.as_slice(), std::slice::from_ref(&der));
        let certificate = tls.certificate.as_ref().unwrap();
        assert_eq!(certificate.subject, "CN=rcgen self signed cert");
        assert_eq!(certificate.issuer, certificate.subject);
        assert_eq!(certificate.serial, "0A:BC");
        assert_eq!(certificate.names, ["pikett.test"]);
        assert_eq!(certificate.fingerprint.len(), 59);
        assert!(certificate.not_before < certificate.not_after);
        assert_eq!(version_name(tls.version()), "TLS 1.2");
        assert!(tls.encrypted && !tls.resumed);
        assert_eq!(tls.server.as_ref().unwrap().ja3s, "771,47,65281");
    }
}

#[test]
fn a_resumed_session_has_no_certificate() {
    let mut app = AppLayer::default();
    give(&mut app, Direction::ToServer, &record(22, &client_hello(0x0303, &[47], &[])));
    give(&mut app, Direction::ToClient, &record(22, &server_hello(0x0303, 47, &[])));
    give(&mut app, Direction::ToClient, &record(20, &[1]));
    assert!(session(&app).resumed);
}

#[test]
fn the_version_is_the_chosen_one() {
    let mut app = AppLayer::default();
    give(&mut app, Direction::ToServer, &record(22, &client_hello(0x0303, &[0x1301], &[])));
    let chosen = extension(43, &[3, 4]);
    give(&mut app, Direction::ToClient, &record(22, &server_hello(0x0303, 0x1301, &chosen)));
    assert_eq!(version_name(session(&app).version()), "TLS 1.3");
    assert_eq!(version_name(0x7f10), "TLS 1.3 draft-16");
    assert_eq!(version_name(0x0301), "TLSv1");
}

#[test]
fn damage_is_survived() {
    let (client, server, _) = full();
    for at in 0..server.len() {
        let mut damaged = server.clone();
        damaged[at] ^= 0xff;
        let mut app = AppLayer::default();
        give(&mut app, Direction::ToServer, &client);
        give(&mut app, Direction::ToClient, &damaged[..]);
        give(&mut app, Direction::ToClient, &server[..at]);
        app.finish();
    }
    for end in 0..client.len() {
        let mut app = AppLayer::default();
        give(&mut app, Direction::ToServer, &client[..end]);
        app.gap(Direction::ToServer, 3);
        app.finish();
    }
}
