//! Responses written to be read one way by browsers and another by inspectors: what browsers make of them
//! must be seen, in whatever pieces they come.

use super::tests::Run;

/// The plain body that all of these carry.
const BODY: &str = "the quick brown fox";

fn gzip(flags: u8, extra: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
    out.extend_from_slice(extra);
    out.extend_from_slice(&deflate());
    // The trailer, wrong.
    out.extend_from_slice(&[0; 8]);
    out
}

fn deflate() -> Vec<u8> {
    let mut encoder =
        flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, BODY.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn chunked() -> Vec<u8> {
    let mut out = Vec::new();
    for piece in BODY.as_bytes().chunks(4) {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// The body of the newest response when it comes in pieces of that size.
fn body(head: &[u8], body: &[u8], size: usize, lzma: bool) -> Vec<u8> {
    let mut run = Run::new();
    run.config.decompress_layers = 3;
    run.config.lzma = lzma;
    run.request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    [head, body].concat().chunks(size).for_each(|piece| run.response(piece));
    run.app.finish();
    let last = run.app.open().iter().last().unwrap().http().unwrap();
    last.response.body.data().to_vec()
}

#[track_caller]
fn seen(head: &[u8], bytes: &[u8]) {
    for size in [usize::MAX, 1, 2, 3, 7] {
        let seen = body(head, bytes, size, true);
        let text = String::from_utf8_lossy(&seen);
        assert_eq!(text, BODY, "{} in pieces of {size}", head.escape_ascii());
    }
}

#[test]
fn lines_that_end_with_a_carriage_return_alone() {
    let chunks = chunked();
    seen(b"HTTP/1.1 200 ok\r\nA: b\rTransfer-Encoding: chunked\r\nC: d\r\n\r\n", &chunks);
    seen(b"HTTP/1.1 200 ok\rA: b\rTransfer-Encoding: chunked\r\n\n", &chunks);
    seen(b"HTTP/1.1\rTransfer-Encoding:chunked\r\nC: d\r\n\r\n", &chunks);
    seen(b"HTTP/1.1 200 ok\r\nContent-Encoding:\r gzip\r\n\r\n", &gzip(0, b""));
    seen(b"HTTP/1.1 200 ok\r\nContent-Encoding:\rgzip\r\n\r\n", BODY.as_bytes());
    seen(b"HTTP/1.1 200 ok\n\rA: b\n\rTransfer-Encoding: chunked\n\rC: d\r\n\r\n", &chunks);
}

#[test]
fn stray_line_ends_and_blanks_around_the_end_of_the_headers() {
    let chunks = chunked();
    for stray in ["\r\r\n", "\r\r\r\n", "\r\r"] {
        let head = format!("HTTP/1.1 200 ok\r\nA: b\r\n{stray}Transfer-Encoding: chunked\r\n\r\n");
        seen(head.as_bytes(), &chunks);
    }
    let zipped = gzip(0, b"");
    for end in ["\n\r\r\n", "\n\r\r\n\r\n", "\n \n\n", "\n\t\n\r\n", "\n \n"] {
        let head = format!(
            "HTTP/1.1 200 ok\r\nContent-Encoding: gzip\r\nContent-Length: {}{end}",
            zipped.len()
        );
        seen(head.as_bytes(), &zipped);
    }
}

#[test]
fn folded_lines_that_are_fields_and_zero_bytes_in_them() {
    let chunks = chunked();
    seen(b"HTTP/1.1 200 ok\r\nA: b\r\n\tTransfer-Encoding: chunked\r\nC: d\r\n\r\n", &chunks);
    seen(b"HTTP/1.1 200 ok\r\nTransfer\0-encoding: chun\0ked\r\n\r\n", &chunks);
    seen(b"\0HTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\n", &chunks);
    seen(b"HTTP/1.1 200 ok\r\nContent-Encoding:\n\0gzip\r\n\r\n", &gzip(0, b""));
    // A value goes on, with a time in it.
    let mut run = Run::new();
    run.response(b"HTTP/1.1 200 ok\r\nA: b\r\n for x; 12:00\r\nContent-Length: 0\r\n\r\n");
    let tx = run.app.open().iter().last().unwrap();
    assert_eq!(tx.http().unwrap().response.headers.get("a"), Some(&b"b for x; 12:00"[..]));
}

#[test]
fn lines_before_the_response() {
    let chunks = chunked();
    for line in ["foobar", " foobar", "SIP/2.0 200 ok"] {
        let head = format!("{line}\r\nHTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\n");
        seen(head.as_bytes(), &chunks);
    }
    // Two of them are a body.
    assert_eq!(body(b"foo\nbar\n", b"HTTP/1.1 200 ok\r\n\r\n", 5, false).len(), 27);
    assert_eq!(body(b"", BODY.as_bytes(), 4, false), BODY.as_bytes());
}

#[test]
fn bodies_where_none_should_be_and_lengths_that_are_none() {
    for code in ["102", "204", "0204", "304"] {
        let head = format!("HTTP/1.1 {code} ok\r\nContent-Length: {}\r\n\r\n", BODY.len());
        seen(head.as_bytes(), BODY.as_bytes());
        // The length was that of a body that is not sent.
        let next = format!("HTTP/1.1 200 ok\r\nContent-Length: {}\r\n\r\n{BODY}", BODY.len());
        seen(head.as_bytes(), next.as_bytes());
    }
    seen(b"HTTP/1.1 200 ok\r\nContent-Length: 3 19\r\n\r\n", BODY.as_bytes());
    seen(b"HTTP/1.1 200 ok\r\nContent-Length: 3\r\n 19\r\n\r\n", BODY.as_bytes());
    seen(b"HTTP/1.1 200 ok\r\nContent-Length: 19, 19\r\n\r\n", BODY.as_bytes());
}

#[test]
fn encodings_that_are_not_what_they_are_called() {
    let of = |names: &str| format!("HTTP/1.1 200 ok\r\nContent-Encoding: {names}\r\n\r\n");
    for names in ["deflate", "gzip", "gzip, deflate", "deflate,", ": deflate", "gzip, gzip, gzip"] {
        seen(of(names).as_bytes(), BODY.as_bytes());
    }
    for names in ["deflate, deflate", "deflate, gzip", "gzip, deflate", "gzip x"] {
        seen(of(names).as_bytes(), &deflate());
    }
    seen(of("deflate").as_bytes(), &gzip(0, b""));
}

#[test]
fn gzip_headers_with_all_their_flags() {
    let head = b"HTTP/1.1 200 ok\r\nContent-Encoding: gzip\r\n\r\n";
    seen(head, &gzip(2, &[0, 0]));
    for undefined in [0x20, 0x40, 0x80, 0xe0] {
        seen(head, &gzip(undefined, b""));
    }
    seen(head, &gzip(4, b"\x03\0abc"));
    seen(head, &gzip(8, b"name.txt\0"));
    seen(head, &gzip(0x1e, b"\x01\0xname\0comment\0hh"));
    // The header never ends: what there is passes as it is.
    assert_eq!(body(head, &gzip(8, b"")[..12], 3, false).len(), 12);
}

#[test]
fn brotli_and_lzma() {
    let mut brotli = Vec::new();
    let params = brotli::enc::BrotliEncoderParams::default();
    brotli::BrotliCompress(&mut BODY.as_bytes(), &mut brotli, &params).unwrap();
    seen(b"HTTP/1.1 200 ok\r\nContent-Encoding: br\r\n\r\n", &brotli);
    let head = b"HTTP/1.1 200 ok\r\nContent-Encoding: lzma\r\n\r\n";
    // Written by the lzma module of Python.
    let lzma = LZMA;
    seen(head, lzma);
    assert_eq!(body(head, lzma, 9, false).len(), lzma.len());
    // A dictionary beyond the limit: what there is passes as it is.
    let mut greedy = lzma.to_vec();
    greedy[1..5].copy_from_slice(&[0xff; 4]);
    assert_eq!(body(head, &greedy, 9, true).len(), greedy.len());
}

/// [`BODY`] as LZMA.
const LZMA: &[u8] = b"\x5d\x00\x00\x80\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x3a\x1a\x08\xce\x76\xc7\xe5\xe9\xd6\x07\x34\xc3\xd1\x0e\xbf\xce\x55\xe1\xaa\xbe\x16\x0a\xb8\xff\xff\xe8\xcf\x00\x00";
