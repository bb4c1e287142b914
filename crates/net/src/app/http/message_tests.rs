//! Conversations as clients, servers and attackers make them: each is fed whole, byte by byte and
//! in odd pieces, and has to give the same transactions.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::Transaction;
use super::tests::{Run, packed};
use super::*;
use crate::flow::Direction;

/// What both sides say, request first, in pieces of that size.
fn talk(request: &[u8], response: &[u8], size: usize) -> String {
    let mut run = Run::new();
    request.chunks(size).for_each(|piece| run.request(piece));
    response.chunks(size).for_each(|piece| run.response(piece));
    run.finish().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn check(request: &[u8], response: &[u8], expected: &Expect) {
    let whole = talk(request, response, usize::MAX);
    expected.assert_eq(&whole);
    for size in [1, 2, 3, 7, 50] {
        assert_eq!(talk(request, response, size), whole, "in pieces of {size}");
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn check_request(request: &[u8], expected: &Expect) {
    check(request, OK, expected);
}

fn check_response(response: &[u8], expected: &Expect) {
    check(GET, response, expected);
}

#[test]
fn chunks_come_with_extensions_trailers_and_odd_sizes() {
    check_response(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
          003;name=value;flag\r\nabc\r\nA \r\n0123456789\r\n0;last\r\nTrailer: t\r\n\r\n",
        &expect!["GET / h [] -> 200 OK [abc0123456789]"],
    );
    check_request(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n2\nhi\n0\n\nGET /2 HTTP/1.1\r\n\r\n",
        &expect![[r"
            POST /  [hi] -> 200 OK [ok]
            GET /2  [] ->   []"]],
    );
    check_request(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhi",
        &expect![[r"POST /  [fffffffffffffffff\r\nhi] -> 200 OK [ok] invalid_request_chunk_len"]],
    );
    check_response(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx",
        &expect![[r"GET / h [] -> 200 OK [-1\r\nx] invalid_response_chunk_len"]],
    );
}

#[test]
fn trailers_become_headers() {
    let mut run = Run::new();
    run.request(GET);
    run.response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n");
    run.response(b"X-Sum: 2\r\n\r\n");
    let tx = run.app.open().iter().next().unwrap();
    assert_eq!(tx.http().unwrap().response.headers.get("x-sum"), Some(&b"1, 2"[..]));
    assert!(tx.is_complete(Direction::ToClient));
    assert!(tx.events.iter().any(|e| e.name == "response_header_repetition"));
}

#[test]
fn responses_without_a_body_have_none_whatever_they_announce() {
    let next = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext";
    for (method, status) in
        [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Not Modified")]
    {
        let request = format!("{method} /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
        for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
            let response = format!("HTTP/1.1 {status}\r\n{framing}\r\n\r\n{next}");
            let got = talk(request.as_bytes(), response.as_bytes(), usize::MAX);
            let expected = format!("{method} /a  [] -> {status} []\nGET /b  [] -> 200 OK [next]");
            assert_eq!(got, expected, "{framing}");
        }
    }
}

#[test]
fn interim_responses_precede_the_real_one() {
    check(
        b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 100 Continue\r\nX: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n\
          HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
        &expect!["POST /  [hi] -> 201 Created []"],
    );
}

#[test]
fn lengths_that_are_wrong_are_read_as_servers_read_them() {
    // Too short: what is left begins the next message.
    check_request(
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\n\r\n",
        &expect![[r"
            POST /  [hi] -> 200 OK [ok]
            GET /b  [] ->   []"]],
    );
    // Too long: the end of the stream is the end.
    check_response(
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nshort",
        &expect!["GET / h [] -> 200 OK [short]"],
    );
    // Both ways of framing: chunks win (RFC 9112 section 6.3).
    check_request(
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        &expect!["POST /  [x] -> 200 OK [ok]"],
    );
    check_request(
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcGET /b HTTP/1.0\r\n\r\n",
        &expect![[r#"
            POST /  [abc] -> 200 OK [ok] request_header_repetition duplicate_content_length_field_in_request
            GET /b  [] ->   []"#]],
    );
    check_request(
        b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
        &expect![[r"
            POST /  [] -> 200 OK [ok]
            GET /b  [] ->   []"]],
    );
    check_response(
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nto the end",
        &expect!["GET / h [] -> 200 OK [to the end]"],
    );
    check_response(
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nto the end",
        &expect!["GET / h [] -> 200 OK [to the end]"],
    );
}

#[test]
fn lines_end_with_a_bare_line_feed_too() {
    check(
        b"\n\r\nPOST /a HTTP/1.1\nHost: H\nContent-Length: 2\n\nhi",
        b"HTTP/1.1 200 Fine\nContent-Length: 2\n\nok",
        &expect!["POST /a h [hi] -> 200 Fine [ok]"],
    );
}

#[test]
fn first_lines_in_all_their_shapes() {
    let cases: &[(&[u8], &str)] = &[
        (b"GET /a b c HTTP/1.1\r\n", "GET /a b c "),
        (b"GET\t/tab\tHTTP/1.1\r\n", "GET /tab "),
        (b"GET  /spaces   HTTP/1.1  \r\n", "GET /spaces "),
        (b"get /lower http/1.1\r\n", "get /lower "),
        (b"GET http://user:pw@Example.COM:8080/p?q HTTP/1.1\r\n", "GET /p?q example.com"),
        (b"GET http://[2001:DB8::1]:80/ HTTP/1.1\r\n", "GET / [2001:db8::1]"),
        (b"OPTIONS * HTTP/1.1\r\n", "OPTIONS * "),
        (b"GET /nul\0byte HTTP/1.1\r\n", r"GET /nul\x00byte "),
    ];
    for (line, expected) in cases {
        let got = talk(&[line, &b"\r\n"[..]].concat(), b"", 1);
        assert!(got.starts_with(&format!("{expected} [] ->")), "{}: {got}", line.escape_ascii());
    }
    check_request(
        b"GET /old\r\n\r\n",
        &expect!["GET /old  [] -> 200 OK [ok] request_line_missing_protocol"],
    );
}

#[test]
fn hosts_are_lower_case_without_port_and_the_target_wins() {
    let cases: &[(&str, &str, &str, Option<u16>)] = &[
        ("/", "Example.COM:8080", "example.com", Some(8080)),
        ("/", "[::1]:443", "[::1]", Some(443)),
        ("/", "[::1", "[::1", None),
        ("/", "h:99999", "h", None),
        ("/", "h:", "h", None),
        ("/", "", "", None),
        ("http://target:1/", "header:2", "target", Some(1)),
    ];
    for (target, header, host, port) in cases {
        let mut run = Run::new();
        run.request(format!("GET {target} HTTP/1.1\r\nHost: {header}\r\n\r\n").as_bytes());
        let tx = run.app.open().iter().next().unwrap();
        let request = &tx.http().unwrap().request;
        assert_eq!((request.host.as_slice(), request.port), (host.as_bytes(), *port), "{header}");
    }
}

#[test]
fn headers_in_all_their_shapes() {
    let read = |block: &[u8]| {
        let mut run = Run::new();
        run.request(&[&b"GET / HTTP/1.1\r\n"[..], block, b"\r\n"].concat());
        let tx = run.app.open().iter().next().unwrap();
        assert!(tx.progress(Direction::ToServer) >= progress::BODY, "the headers have ended");
        let fields: Vec<_> = tx
            .http()
            .unwrap()
            .request
            .headers
            .iter()
            .map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()))
            .collect();
        let names: Vec<_> = tx.events.iter().map(|e| e.name).collect();
        format!("{} {}", fields.join("|"), names.join(" ")).trim_end().to_owned()
    };
    let cases: &[(&[u8], &str)] = &[
        (b"", ""),
        (b"A: 1\r\nB:2\r\nC:\t3\t\r\n", "A=1|B=2|C=3"),
        (b"A: one\r\n two\r\n\tthree\r\n", "A=one two three"),
        (b" folded first\r\nA: 1\r\n", "A=1 invalid_request_field_folding"),
        (b"no colon\r\nA: 1\r\n", "=no colon|A=1"),
        (b": no name\r\n", "=no name"),
        (b"A: x:y:z\r\n", "A=x:y:z"),
        (b"A : space\r\n", "A=space"),
        (b"A\0: nul\r\n", "A=nul"),
        (b"A: in\0side\r\n", r"A=in\x00side"),
        (b"A: 1\r\na: 2\r\nA: 3\r\n", "A=1, 2, 3 request_header_repetition"),
        (b"A:\r\n", "A="),
    ];
    for (block, expected) in cases {
        assert_eq!(read(block), *expected, "{}", block.escape_ascii());
    }
}

#[test]
fn a_tunnel_that_is_refused_is_none() {
    let mut run = Run::new();
    run.request(b"CONNECT a:443 HTTP/1.1\r\n\r\n");
    run.response(b"HTTP/1.1 407 Authenticate\r\nContent-Length: 2\r\n\r\nno");
    run.request(b"CONNECT a:443 HTTP/1.1\r\nProxy-Authorization: x\r\n\r\n");
    run.response(b"HTTP/1.1 200 OK\r\n\r\n");
    run.request(b"GET /inside HTTP/1.1\r\n\r\n");
    expect![[r#"
        CONNECT a:443 a [] -> 407 Authenticate [no]
        CONNECT a:443 a [] -> 200 OK []
        GET /inside  [] ->   []"#]]
    .assert_eq(&run.finish().lines().map(str::trim_end).collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_path_is_no_name_to_connect_to() {
    check_request(
        b"CONNECT / HTTP/1.1\r\nHost: www.example.com\r\n\r\n",
        &expect!["CONNECT / www.example.com [] -> 200 OK []"],
    );
}

#[test]
fn an_upgrade_ends_http() {
    check(
        b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello\n\n",
        &expect!["GET /chat  [] -> 101 Switching Protocols []"],
    );
}

fn events(tx: &Transaction) -> Vec<&'static str> {
    tx.events.iter().map(|e| e.name).collect()
}

fn encoded(encodings: &str, body: &[u8]) -> Run {
    let mut run = Run::new();
    run.request(GET);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: {encodings}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    run.response(head.as_bytes());
    run.response(body);
    run
}

#[test]
fn encodings_are_undone_up_to_the_limit_and_failures_are_told() {
    let layered = packed("gzip", &packed("gzip", &packed("gzip", b"deep")));
    let run = encoded("gzip, gzip, gzip", &layered);
    let tx = run.app.open().iter().next().unwrap();
    assert_eq!(events(tx), ["too_many_encoding_layers"]);
    assert_eq!(tx.http().unwrap().response.body.data(), packed("gzip", b"deep"));
    let whole = packed("gzip", b"some text that is long enough to be damaged in its middle");
    let mut damaged = whole.clone();
    damaged[20..].fill(0xff);
    let run = encoded("gzip", &damaged);
    let tx = run.app.open().iter().next().unwrap();
    assert_eq!(events(tx), ["gzip_decompression_failed"]);
    assert!(tx.is_complete(Direction::ToClient), "framing does not depend on it");
    // Cut: what came is there, and nothing is wrong with that.
    let run = encoded("gzip", &whole[..whole.len() - 12]);
    let tx = run.app.open().iter().next().unwrap();
    assert!(events(tx).is_empty());
    let body = &tx.http().unwrap().response.body;
    assert!(b"some text that is long enough to be damaged in its middle".starts_with(body.data()));
    assert_eq!(body.message_len(), u64::try_from(whole.len() - 12).unwrap());
    // Bytes after the end of the compressed data are no part of it.
    let run = encoded("gzip", &[whole.as_slice(), b"garbage"].concat());
    let tx = run.app.open().iter().next().unwrap();
    assert!(tx.http().unwrap().response.body.data().ends_with(b"middle"));
}

#[test]
fn bodies_are_kept_up_to_the_limit_and_counted_beyond_it() {
    for (extra, truncated) in [(0, false), (1, true)] {
        let mut run = Run::new();
        run.config.request_body_limit = 10;
        run.config.response_body_limit = 20;
        let post = format!(
            "POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{}",
            10 + extra,
            "x".repeat(10 + extra)
        );
        run.request(post.as_bytes());
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}",
            20 + extra,
            "y".repeat(20 + extra)
        );
        run.response(answer.as_bytes());
        let tx = run.app.open().iter().next().unwrap();
        let http = tx.http().unwrap();
        for (body, limit) in [(&http.request.body, 10), (&http.response.body, 20)] {
            assert_eq!((body.data().len(), body.is_truncated()), (limit, truncated));
            assert_eq!(body.message_len(), u64::try_from(limit + extra).unwrap());
        }
        assert!(tx.is_complete(Direction::ToServer) && tx.is_complete(Direction::ToClient));
    }
}

#[test]
fn lines_and_headers_beyond_their_limits_are_told() {
    let long = "v".repeat(70_000);
    let cases = [
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), OK.to_vec(), "request_field_too_long"),
        (format!("GET / HTTP/1.1\r\nA: {long}\r\n\r\n"), OK.to_vec(), "request_field_too_long"),
        (
            "GET / HTTP/1.1\r\n\r\n".into(),
            format!("HTTP/1.1 200 {long}\r\n\r\n").into(),
            "response_field_too_long",
        ),
        (
            "GET / HTTP/1.1\r\n\r\n".into(),
            format!("HTTP/1.1 200 OK\r\nA: {long}\r\n\r\n").into(),
            "response_field_too_long",
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nA: 1\r\n{}\r\n",
                format!(" {}\r\n", "v".repeat(1000)).repeat(100)
            ),
            OK.to_vec(),
            "request_field_too_long",
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nA: 1\r\n{}\r\n",
                format!("{}\r\n", " ".repeat(1000)).repeat(300)
            ),
            OK.to_vec(),
            "too_many_headers",
        ),
    ];
    for (request, response, name) in cases {
        let mut run = Run::new();
        run.request(request.as_bytes());
        run.response(&response);
        let tx = run.app.open().iter().next().unwrap();
        assert!(events(tx).contains(&name), "{name}: {:?}", events(tx));
        assert!(tx.http().unwrap().request.headers.raw().len() <= 256 << 10);
    }
}

#[test]
fn responses_go_on_when_their_requests_were_given_up() {
    let mut run = Run::new();
    run.config.max_transactions = 4;
    for n in 0..10 {
        run.request(format!("GET /{n} HTTP/1.1\r\n\r\n").as_bytes());
        run.app.settle(None);
    }
    assert_eq!(run.app.open().iter().map(|tx| tx.id).collect::<Vec<_>>(), [6, 7, 8, 9]);
    let (mut paired, mut alone) = (Vec::new(), 0);
    for n in 0..10 {
        run.response(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{n}").as_bytes());
        for (tx, dir) in run.app.open().changed() {
            let http = tx.http().unwrap();
            if dir == Direction::ToServer || http.response.body.data().is_empty() {
                continue;
            }
            if http.request_missing {
                alone += 1;
                assert!(events(tx).contains(&"unable_to_match_response_to_request"));
            } else {
                paired.push((http.request.uri.clone(), http.response.body.data().to_vec()));
            }
        }
        run.app.settle(None);
    }
    assert_eq!(alone, 10 - paired.len(), "no response is lost");
    for (uri, body) in paired {
        assert_eq!(uri[1..], body, "a response is that of its request");
    }
}

#[test]
fn gaps_cost_no_more_than_they_have_to() {
    let gap = |before: &str, missing: u64, after: &str| {
        let mut run = Run::new();
        run.request(b"GET / HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
        run.response(before.as_bytes());
        run.app.gap(Direction::ToClient, missing);
        run.response(after.as_bytes());
        let one = |tx: &Transaction| {
            let body = &tx.http().unwrap().response.body;
            let data = String::from_utf8_lossy(body.data()).into_owned();
            format!("{data}{}", if body.has_gap() { "!" } else { "" })
        };
        run.app.open().iter().map(one).collect::<Vec<_>>().join(" ")
    };
    let next = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab";
    assert_eq!(gap(length, 2, &format!("ef{next}")), "abef! ok", "within the body");
    assert_eq!(gap(length, 4, next), "ab! ok", "up to its end");
    assert_eq!(gap(length, 5, next), "ab! ok", "over its end: a message begins behind the gap");
    assert_eq!(
        gap(length, 5, next.get(1..).unwrap_or_default()),
        "ab! ",
        "it does not: it is not found"
    );
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nab";
    assert_eq!(gap(chunked, 2, &format!("ef\r\n0\r\n\r\n{next}")), "abef! ok");
    assert_eq!(gap(chunked, 4, &format!("\r\n0\r\n\r\n{next}")), "ab! ok");
    assert_eq!(gap(chunked, 6, &format!("0\r\n\r\n{next}")), "ab! ");
    assert_eq!(gap(chunked, 60, next), "ab! ok");
    assert_eq!(gap("HTTP/1.1 200 OK\r\n\r\nab", 9, "cd"), "abcd! ", "to the end of the stream");
    assert_eq!(gap("HTTP/1.1 200 OK\r\nA: ", 9, next), " ok", "within the headers");
    assert_eq!(gap("", 9, next), "ok ", "before the first message");
}

#[test]
fn requests_go_on_behind_a_gap_however_they_are_cut() {
    let next = b"POST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nok";
    for size in 1..next.len() {
        let mut run = Run::new();
        run.request(b"GET / HTTP/1.1\r\nHost: a");
        run.app.gap(Direction::ToServer, 100);
        next.chunks(size).for_each(|piece| run.request(piece));
        let uris = run.app.open().iter().map(|tx| tx.http().unwrap().request.uri_raw.clone());
        assert_eq!(uris.collect::<Vec<_>>(), [&b"/"[..], b"/2"], "in pieces of {size}");
    }
}

/// A request or response as it is meant.
#[derive(Clone, Debug)]
struct Message {
    path: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    chunk: usize,
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let field = ("X-[A-Z]{1,8}", "[a-z0-9=;]{0,12}");
    let message = (
        "[a-z0-9/]{0,20}",
        proptest::collection::vec(field, 0..5),
        proptest::collection::vec(any::<u8>(), 0..60),
        0usize..20,
    )
        .prop_map(|(path, fields, body, chunk)| Message { path, fields, body, chunk });
    proptest::collection::vec(message, 1..6)
}

fn print(message: &Message, first: &str) -> Vec<u8> {
    let mut out = format!("{first}\r\n").into_bytes();
    for (name, value) in &message.fields {
        out.extend(format!("{name}: {value}\r\n").bytes());
    }
    if message.chunk == 0 {
        out.extend(format!("Content-Length: {}\r\n\r\n", message.body.len()).bytes());
        out.extend(&message.body);
        return out;
    }
    out.extend(b"Transfer-Encoding: chunked\r\n\r\n");
    for piece in message.body.chunks(message.chunk) {
        out.extend(format!("{:x}\r\n", piece.len()).bytes());
        out.extend(piece);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n\r\n");
    out
}

proptest! {
    /// Pipelined messages come back as they were meant, however the streams were cut.
    #[test]
    fn what_is_printed_is_parsed(list in messages(), cuts in proptest::collection::vec(1usize..40, 1..20)) {
        let requests: Vec<u8> =
            list.iter().flat_map(|m| print(m, &format!("PUT /{} HTTP/1.1", m.path))).collect();
        let responses: Vec<u8> = list.iter().flat_map(|m| print(m, "HTTP/1.1 200 OK")).collect();
        let mut run = Run::new();
        for (dir, stream) in [(Direction::ToServer, &requests), (Direction::ToClient, &responses)] {
            let (mut rest, mut cuts) = (stream.as_slice(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, tail) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                run.give(dir, piece);
                rest = tail;
            }
        }
        prop_assert_eq!(run.app.transactions(), list.len() as u64);
        for (tx, meant) in run.app.open().iter().zip(&list) {
            let http = tx.http().unwrap();
            prop_assert_eq!(&http.request.uri_raw[1..], meant.path.as_bytes());
            prop_assert_eq!(http.request.body.data(), &meant.body);
            prop_assert_eq!(http.response.body.data(), &meant.body);
            prop_assert!(tx.is_complete(Direction::ToServer) && tx.is_complete(Direction::ToClient));
            for (name, value) in &meant.fields {
                let got = String::from_utf8_lossy(http.request.headers.get(name).unwrap()).into_owned();
                prop_assert!(got.split(", ").any(|v| v == value), "{} of {}", value, got);
            }
        }
    }

    /// Normalising never makes a target longer, and a path keeps no dot segments to climb with.
    #[test]
    fn normalised_targets_do_not_climb(target in "/[a-c./%25\\\\?]{0,30}") {
        let out = normalise_uri(target.as_bytes());
        prop_assert!(out.len() <= target.len());
        let path = out.split(|b| *b == b'?').next().unwrap();
        prop_assert!(!path.windows(4).any(|w| w == b"/../"), "{}", path.escape_ascii());
    }
}
