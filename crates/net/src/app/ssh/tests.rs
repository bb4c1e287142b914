//! Connections as programs begin them, damaged ones, and any bytes.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::app::{AppParser, Record, TxList};

/// A packet with that message number and body (RFC 4253 section 6).
fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let padding = [0u8; 4];
    let length = u32::try_from(body.len() + padding.len() + 2).unwrap();
    let mut out = length.to_be_bytes().to_vec();
    out.extend_from_slice(&[4, kind]);
    out.extend_from_slice(body);
    out.extend_from_slice(&padding);
    out
}

/// The body of an offer with these eight lists.
fn offer(lists: [&str; 8]) -> Vec<u8> {
    let mut body = vec![7; 16];
    for list in lists.into_iter().chain(["", ""]) {
        body.extend_from_slice(&u32::try_from(list.len()).unwrap().to_be_bytes());
        body.extend_from_slice(list.as_bytes());
    }
    body.extend_from_slice(&[0; 5]);
    body
}

const LISTS: [&str; 8] = ["kex1,kex2", "key", "aes1", "aes2", "mac1", "mac2", "none", "zlib"];

fn read(steps: &[(Direction, &[u8])]) -> String {
    let (mut parser, mut txs) = (Parser::default(), TxList::default());
    for (dir, bytes) in steps {
        parser.data(*dir, bytes, &mut txs);
    }
    let mut out = String::new();
    for tx in txs.iter() {
        let Record::Ssh(ssh) = &tx.record else { panic!("not SSH") };
        for dir in [Direction::ToServer, Direction::ToClient] {
            let side = ssh.side(dir);
            let hassh = side.hassh.clone().unwrap_or_default();
            out.push_str(&format!(
                "{} {} {} {} {}\n",
                tx.progress(dir),
                side.protocol.escape_ascii(),
                side.software.escape_ascii(),
                hassh.text.escape_ascii(),
                hassh.hash
            ));
        }
        let events: Vec<&str> = tx.events.iter().map(|event| event.name).collect();
        out.push_str(&format!("encrypted {} {events:?}\n", ssh.encrypted));
    }
    out
}

fn client() -> Vec<u8> {
    let mut bytes = b"SSH-2.0-client_1.0 with a comment\r\n".to_vec();
    bytes.extend(packet(20, &offer(LISTS)));
    bytes.extend(packet(30, b"key exchange"));
    bytes.extend(packet(21, b""));
    bytes.extend_from_slice(b"encrypted");
    bytes
}

fn server() -> Vec<u8> {
    let mut bytes = b"welcome\r\nto this server\r\nSSH-1.99-server\n".to_vec();
    bytes.extend(packet(2, b"ignore"));
    bytes.extend(packet(20, &offer(LISTS)));
    bytes.extend(packet(21, b""));
    bytes
}

#[test]
fn banners_offers_and_the_change_to_encryption() {
    let (client, server) = (client(), server());
    let whole = read(&[(Direction::ToClient, &server), (Direction::ToServer, &client)]);
    expect![[r#"
        3 2.0 client_1.0 kex1,kex2;aes1;mac1;none 4e98d87f798c365e5229452d67cfc470
        3 1.99 server kex1,kex2;aes2;mac2;zlib ed0d6b527748251494bcef65bcf5f295
        encrypted true []
    "#]]
    .assert_eq(&whole);
    let mut steps: Vec<(Direction, &[u8])> = Vec::new();
    steps.extend(client.chunks(1).map(|byte| (Direction::ToServer, byte)));
    steps.extend(server.chunks(3).map(|bytes| (Direction::ToClient, bytes)));
    assert_eq!(read(&steps), whole);
}

#[test]
fn damage_is_told() {
    let up = |bytes: &[u8], expected: &Expect| {
        let whole = read(&[(Direction::ToServer, bytes)]);
        expected.assert_eq(&whole);
        let single: Vec<(Direction, &[u8])> =
            bytes.chunks(1).map(|byte| (Direction::ToServer, byte)).collect();
        assert_eq!(read(&single), whole);
    };
    up(
        b"GET / HTTP/1.0\r\n",
        &expect![[r#"
        0    
        0    
        encrypted false ["invalid_banner"]
    "#]],
    );
    up(
        b"SSH-2.0\r\n",
        &expect![[r#"
        0    
        0    
        encrypted false ["invalid_banner"]
    "#]],
    );
    up(
        b"SSH-2.0-x\r\n\0\0\0\x01\0\0",
        &expect![[r#"
        1 2.0 x  
        0    
        encrypted false ["invalid_record"]
    "#]],
    );
    let mut long = b"SSH-2.0-".to_vec();
    long.resize(1000, b'x');
    long.extend_from_slice(b"\r\n");
    long.extend(packet(21, b""));
    let found = read(&[(Direction::ToServer, &long)]);
    assert!(found.starts_with("3 2.0 x") && found.contains("long_banner"), "{found}");
    let mut huge = b"SSH-2.0-x\r\n".to_vec();
    huge.extend_from_slice(&(MAX_KEX + 1).to_be_bytes());
    huge.extend_from_slice(&[4, 20]);
    huge.resize(huge.len() + usize::try_from(MAX_KEX).unwrap() - 1, 0);
    huge.extend(packet(21, b""));
    let found = read(&[(Direction::ToServer, &huge)]);
    assert!(found.starts_with("3 2.0 x") && found.contains("long_kex_record"), "{found}");
    let mut short = b"SSH-2.0-x\r\n".to_vec();
    short.extend(packet(20, &[0; 20]));
    assert!(read(&[(Direction::ToServer, &short)]).contains("invalid_record"));
}

#[test]
fn an_endless_prelude_is_given_up() {
    let lines = b"x\r\n".repeat(10_000);
    assert!(read(&[(Direction::ToClient, &lines)]).contains("invalid_banner"));
    let (mut parser, mut txs) = (Parser::default(), TxList::default());
    parser.data(Direction::ToServer, b"SSH-2.0-x\r\n\0\0\x01\0", &mut txs);
    parser.gap(Direction::ToServer, 5, &mut txs);
    parser.data(Direction::ToServer, &packet(21, b""), &mut txs);
    assert_eq!(txs.iter().next().unwrap().progress(Direction::ToServer), progress::BANNER);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(tail in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
        let mut bytes = b"SSH-2.0-x\r\n".to_vec();
        bytes.extend_from_slice(&tail);
        let (a, b) = bytes.split_at(cut.min(bytes.len()));
        prop_assert_eq!(
            read(&[(Direction::ToServer, a), (Direction::ToServer, b)]),
            read(&[(Direction::ToServer, &bytes)])
        );
    }
}
