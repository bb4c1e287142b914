//! HTTP in all its forms, well and badly made.

use std::io::Write as _;

use expect_test::{Expect, expect};

use super::super::detect::Transport;
use super::super::{AppConfig, AppContext, AppLayer, Record};
use super::*;
use crate::flow::Direction;

pub(super) struct Run {
    pub(super) app: AppLayer,
    pub(super) config: AppConfig,
}

impl Run {
    pub(super) fn new() -> Self {
        Self { app: AppLayer::default(), config: AppConfig::default() }
    }

    pub(super) fn give(&mut self, dir: Direction, bytes: &[u8]) {
        let cx =
            AppContext { config: &self.config, transport: Transport::Tcp, ports: (40_000, 80) };
        self.app.data(dir, bytes, &cx);
    }

    pub(super) fn request(&mut self, bytes: &[u8]) {
        self.give(Direction::ToServer, bytes);
    }

    pub(super) fn response(&mut self, bytes: &[u8]) {
        self.give(Direction::ToClient, bytes);
    }

    /// All transactions as they are at the end.
    pub(super) fn finish(mut self) -> String {
        self.app.finish();
        let mut out = String::new();
        for tx in self.app.open().iter() {
            let Record::Http(http) = &tx.record else { continue };
            let (request, response) = (&http.request, &http.response);
            out.push_str(&format!(
                "{} {} {} [{}] -> {} {} [{}] {}\n",
                request.method.escape_ascii(),
                request.uri.escape_ascii(),
                request.host.escape_ascii(),
                request.body.data().escape_ascii(),
                response.status.escape_ascii(),
                response.message.escape_ascii(),
                response.body.data().escape_ascii(),
                tx.events.iter().map(|e| e.name).collect::<Vec<_>>().join(" "),
            ));
        }
        out
    }
}

fn check_response(bytes: &[u8], expected: &Expect) {
    let mut run = Run::new();
    run.request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    run.response(bytes);
    expected.assert_eq(&run.finish());
}

#[test]
fn targets_are_normalised() {
    let cases: &[(&[u8], &str)] = &[
        (b"/a/b", "/a/b"),
        (b"/a/../b/./c/", "/b/c/"),
        (b"/../../x", "/x"),
        (b"/a%2e%2e/%2E%2E/b", "/b"),
        (b"/a//b\\c%5cd", "/a/b/c/d"),
        (b"/%zz%4", "/%zz%4"),
        (b"/a%u0041%uff21", "/aAA"),
        (b"/a?q=%41+b/../c", "/a?q=A+b/../c"),
        (b"http://user:pw@Host:81/p?x#f", "/p?x#f"),
        (b"/redirect?to=http://other/", "/redirect?to=http://other/"),
        (b"*", "*"),
        (b"", ""),
        (b"/a/..", "/"),
    ];
    for (target, expected) in cases {
        let got = normalise_uri(target).escape_ascii().to_string();
        assert_eq!(&got, expected, "{}", target.escape_ascii());
    }
}

#[test]
fn pipelined_requests_meet_their_responses() {
    let mut run = Run::new();
    run.request(
        b"POST /a HTTP/1.1\r\nHost: A:8080\r\nContent-Length: 3\r\n\r\nxyzGET /b HTTP/1.0\r\n\r\n",
    );
    run.response(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.0 404 Not here\r\n\r\nrest");
    expect![[r#"
        POST /a a [xyz] -> 200 OK [ok] 
        GET /b  [] -> 404 Not here [rest] 
    "#]]
    .assert_eq(&run.finish());
}

#[test]
fn the_result_does_not_depend_on_the_pieces() {
    let request = b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n";
    let response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: a\r\n b\r\n\r\n2;ext\r\nhi\r\n5\r\nthere\r\n0\r\n\r\n";
    let mut whole = Run::new();
    whole.request(request);
    whole.response(response);
    let whole = whole.finish();
    expect![[r#"
        POST /a h [abc] -> 200 OK [hithere] 
    "#]]
    .assert_eq(&whole);
    for size in 1..40 {
        let mut run = Run::new();
        request.chunks(size).for_each(|piece| run.request(piece));
        response.chunks(size).for_each(|piece| run.response(piece));
        assert_eq!(run.finish(), whole, "pieces of {size}");
    }
}

#[test]
fn headers_are_given_in_their_shapes() {
    let mut run = Run::new();
    run.request(b"GET / HTTP/1.1\r\nHost: h\r\nCookie: c=1\r\nX-A:  one \r\nx-a: two\r\nLong: a\r\n\tb\r\n\r\n");
    let tx = run.app.open().iter().next().unwrap();
    let headers = &tx.http().unwrap().request.headers;
    assert_eq!(headers.get("X-a"), Some(&b"one, two"[..]));
    assert_eq!(headers.get("long"), Some(&b"a b"[..]));
    expect![[r"Host: h\r\nX-A: one, two\r\nLong: a b\r\n"]]
        .assert_eq(&headers.block().escape_ascii().to_string());
    expect![[r"\r\nHost\r\nCookie\r\nX-A\r\nLong\r\n\r\n"]]
        .assert_eq(&headers.names().escape_ascii().to_string());
    assert!(headers.raw().ends_with(b"\tb\r\n\r\n"));
    assert_eq!(tx.http().unwrap().request_cookie(), Some(&b"c=1"[..]));
}

pub(super) fn packed(kind: &str, bytes: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::best();
    match kind {
        "gzip" => {
            let mut e = flate2::write::GzEncoder::new(Vec::new(), level);
            e.write_all(bytes).unwrap();
            e.finish().unwrap()
        }
        "zlib" => {
            let mut e = flate2::write::ZlibEncoder::new(Vec::new(), level);
            e.write_all(bytes).unwrap();
            e.finish().unwrap()
        }
        _ => {
            let mut e = flate2::write::DeflateEncoder::new(Vec::new(), level);
            e.write_all(bytes).unwrap();
            e.finish().unwrap()
        }
    }
}

#[test]
fn content_encodings_are_undone() {
    let cases = [
        ("gzip", packed("gzip", b"hello")),
        ("deflate", packed("zlib", b"hello")),
        ("deflate", packed("raw", b"hello")),
        ("x-gzip; ", packed("gzip", b"hello")),
        ("deflate, gzip", packed("gzip", &packed("zlib", b"hello"))),
        ("gzip", packed("raw", b"hello")),
        ("gzip", b"hello".to_vec()),
        ("identity", b"hello".to_vec()),
    ];
    for (name, body) in cases {
        let mut run = Run::new();
        run.request(b"GET / HTTP/1.1\r\n\r\n");
        run.response(format!("HTTP/1.1 200 OK\r\nContent-Encoding: {name}\r\n\r\n").as_bytes());
        body.chunks(3).for_each(|piece| run.response(piece));
        assert!(run.finish().contains("[hello]"), "{name}");
    }
}

#[test]
fn a_decompression_bomb_is_cut_at_the_limit() {
    let bomb = packed("gzip", &packed("gzip", &vec![0; 64 << 20]));
    assert!(bomb.len() < 10_000);
    let mut run = Run::new();
    run.request(b"GET / HTTP/1.1\r\n\r\n");
    run.response(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\n\r\n");
    run.response(&bomb);
    let tx = run.app.open().iter().next().unwrap();
    let body = &tx.http().unwrap().response.body;
    assert!(body.is_truncated());
    assert_eq!(body.data().len(), 100 << 10);
    assert!(body.decoded_len() < 2 << 20, "work stops soon after the limit");
}

#[test]
fn bombs_of_every_encoding_are_cut() {
    let zeros = vec![0; 8 << 20];
    let mut brotli = Vec::new();
    let params = brotli::enc::BrotliEncoderParams::default();
    brotli::BrotliCompress(&mut zeros.as_slice(), &mut brotli, &params).unwrap();
    for (name, bomb) in [
        ("br", brotli),
        ("deflate", packed("zlib", &zeros)),
        ("deflate", packed("raw", &zeros)),
        ("gzip, deflate", packed("zlib", &packed("gzip", &zeros))),
    ] {
        let mut run = Run::new();
        run.request(b"GET / HTTP/1.1\r\n\r\n");
        run.response(format!("HTTP/1.1 200 OK\r\nContent-Encoding: {name}\r\n\r\n").as_bytes());
        bomb.chunks(100).for_each(|piece| run.response(piece));
        let tx = run.app.open().iter().next().unwrap();
        let body = &tx.http().unwrap().response.body;
        assert!(body.is_truncated(), "{name}");
        assert_eq!(body.data().len(), 100 << 10, "{name}");
        assert!(body.decoded_len() < 2 << 20, "{name}: work stops soon after the limit");
    }
}

#[test]
fn a_flood_of_headers_is_bounded_and_told() {
    let mut run = Run::new();
    run.request(b"GET / HTTP/1.1\r\n");
    for n in 0..5000 {
        run.request(format!("X-{n}: {}\r\n", "v".repeat(200)).as_bytes());
    }
    let tx = run.app.open().iter().next().unwrap();
    assert!(tx.http().unwrap().request.headers.len() <= 1024);
    assert!(tx.events.iter().any(|e| e.name == "too_many_headers"));
    let mut endless = Run::new();
    endless.request(b"GET /");
    for _ in 0..100 {
        endless.request(&[b'a'; 4096]);
    }
    let tx = endless.app.open().iter().next().unwrap();
    assert_eq!(tx.http().unwrap().request.line.len(), 64 << 10, "what fits is kept");
    let names: Vec<_> = tx.events.iter().map(|e| e.name).collect();
    assert_eq!(names, ["request_line_missing_protocol", "request_field_too_long"]);
}

#[test]
fn open_transactions_are_bounded() {
    let mut run = Run::new();
    for _ in 0..2000 {
        run.request(b"GET / HTTP/1.1\r\n\r\n");
        run.app.settle(None);
    }
    assert_eq!(run.app.transactions(), 2000);
    assert!(run.app.open().iter().count() <= 512);
}

#[test]
fn real_servers_are_forgiven() {
    check_response(
        b"HTTP/1.1 200\nContent-Length: 2\n\nok",
        &expect![[r#"
        GET / x [] -> 200  [ok] 
    "#]],
    );
    check_response(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r2\r\nok\r\nzz\r\nrest",
        &expect![[r#"
        GET / x [] -> 200 OK [okzz\r\nrest] invalid_response_chunk_len
    "#]],
    );
    check_response(
        b"HTTP/1.1 200 OK\r\nContent-Length\x00: 2\r\n\r\nokxx",
        &expect![[r#"
            GET / x [] -> 200 OK [ok] 
               [] ->   [xx] unable_to_match_response_to_request invalid_response_line
        "#]],
    );
    check_response(
        b"no status line at all\r\nbody",
        &expect![[r#"
        GET / x [] ->   [no status line at all\r\nbody] invalid_response_line
    "#]],
    );
    check_response(
        b"HTTP/1.1 204 No\r\n\r\n",
        &expect![[r#"
        GET / x [] -> 204 No [] 
    "#]],
    );
}

#[test]
fn a_response_without_request_has_its_own_transaction() {
    let mut run = Run::new();
    run.response(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    let text = run.finish();
    assert_eq!(text.trim(), "[] -> 200 OK [x] unable_to_match_response_to_request");
}

#[test]
fn connect_ends_http() {
    let mut run = Run::new();
    run.request(b"CONNECT Example.com:443 HTTP/1.1\r\n\r\n");
    run.response(b"HTTP/1.1 200 Connection established\r\n\r\n");
    run.request(b"\x16\x03\x01 GET / HTTP/1.1\r\n\r\n");
    expect![[r#"
        CONNECT Example.com:443 example.com [] -> 200 Connection established [] 
    "#]]
    .assert_eq(&run.finish());
}

#[test]
fn a_gap_inside_a_body_is_bridged() {
    let mut run = Run::new();
    run.request(b"GET / HTTP/1.1\r\n\r\n");
    run.response(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab");
    run.app.gap(Direction::ToClient, 6);
    run.response(b"yz");
    let tx = run.app.open().iter().next().unwrap();
    let body = &tx.http().unwrap().response.body;
    assert!(body.has_gap() && tx.is_complete(Direction::ToClient));
    assert_eq!((body.data(), body.message_len()), (&b"abyz"[..], 10));
}
