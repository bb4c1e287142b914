//! What a stream's headers and data say: the parts of HTTP, bodies, files, DNS messages.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::file::File;
use super::super::http::{Headers, Http};
use super::super::{AppConfig, Record, Transaction, dns};
use super::{Field, Http2};
use crate::flow::Direction;

/// Longest DNS message in a body (RFC 8484 section 6).
const MAX_DNS: usize = 65_535;

/// A transaction for a stream, with the limits of `config`.
pub(super) fn new(stream: u32, config: &AppConfig) -> Http2 {
    let mut tx = Http2 { stream, ..Http2::default() };
    tx.http.request.protocol = b"HTTP/2".to_vec();
    tx.http.response.protocol = b"HTTP/2".to_vec();
    tx.http.request.body.set_limit(config.request_body_limit);
    tx.http.response.body.set_limit(config.response_body_limit);
    tx
}

/// Takes in a whole header block.
pub(super) fn headers(
    tx: &mut Transaction,
    dir: Direction,
    fields: Vec<Field>,
    config: &AppConfig,
) {
    let Record::Http2(http2) = &mut tx.record else { return };
    let mut wrong = Vec::new();
    for field in &fields {
        if let Field::Header { name, value } = field {
            wrong.extend(header(&mut http2.http, dir, name, value));
        }
    }
    let http = &mut http2.http;
    match dir {
        Direction::ToServer => {
            wrong.extend(host(http));
            http.request.headers.complete(b"cookie");
        }
        Direction::ToClient => http.response.headers.complete(b"set-cookie"),
    }
    if let Some(encoding) = headers_of(http, dir).get("content-encoding").map(<[u8]>::to_vec)
        && body_of(http, dir).message_len() == 0
    {
        let all = body_of(http, dir).set_encodings(&encoding, config.decompress_layers);
        wrong.extend((!all).then_some("failed_decompression"));
    }
    if dir == Direction::ToServer {
        http2.sides.to_server.dns = dns_in_path(&http2.http).map(Box::new);
    }
    http2.sides.get_mut(dir).fields.extend(fields);
    for name in wrong {
        tx.event(dir, name);
    }
}

/// One header field; what is wrong with it.
fn header(http: &mut Http, dir: Direction, name: &[u8], value: &[u8]) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    match (dir, lower.as_slice()) {
        (Direction::ToServer, b":method") => http.request.method = value.to_vec(),
        (Direction::ToServer, b":path") => {
            http.request.uri_raw = value.to_vec();
            http.request.uri = value.to_vec();
        }
        (Direction::ToServer, b":authority") => http.request.host_raw = value.to_vec(),
        (Direction::ToClient, b":status") => http.response.status = value.to_vec(),
        _ => {}
    }
    let headers = headers_of(http, dir);
    let line = [name, b": ", value, b"\r\n"].concat();
    let fits = headers.push_raw(&line);
    let added = headers.add(name, value);
    (added.too_many || !fits).then_some("reassembly_limit_reached")
}

/// The host from the authority, or from the header of that name.
fn host(http: &mut Http) -> Option<&'static str> {
    let request = &mut http.request;
    let named = request.headers.get("host").map(<[u8]>::to_vec);
    let mut wrong = None;
    match named {
        Some(name) if request.host_raw.is_empty() => request.host_raw = name,
        Some(name) if !name.eq_ignore_ascii_case(&request.host_raw) => {
            wrong = Some("authority_host_mismatch");
        }
        _ => {}
    }
    let mut host = request.host_raw.as_slice();
    if let Some(at) = memchr::memrchr(b'@', host) {
        wrong = Some("userinfo_in_uri");
        host = host.get(at.saturating_add(1)..).unwrap_or_default();
    }
    // An address in brackets has colons of its own.
    let after = memchr::memchr(b']', host).unwrap_or(0);
    let tail = host.get(after..).unwrap_or_default();
    if let Some(colon) = memchr::memchr(b':', tail) {
        let port = tail.get(colon.saturating_add(1)..).unwrap_or_default();
        request.port = std::str::from_utf8(port).ok().and_then(|port| port.parse().ok());
        host = host.get(..after.saturating_add(colon)).unwrap_or_default();
    }
    request.host = host.to_ascii_lowercase();
    wrong
}

/// A query in the `dns` parameter of the path (RFC 8484 section 4.1).
fn dns_in_path(http: &Http) -> Option<dns::Message> {
    let accept = http.request.headers.get("accept")?;
    memchr::memmem::find(accept, b"application/dns-message")?;
    let path = &http.request.uri_raw;
    let query = path.get(memchr::memchr(b'?', path)?.saturating_add(1)..)?;
    let given = query.split(|b| *b == b'&').find_map(|part| part.strip_prefix(b"dns="))?;
    let padding = given.iter().rev().take_while(|b| **b == b'=').count();
    let given = given.get(..given.len().saturating_sub(padding))?;
    let bytes = URL_SAFE_NO_PAD.decode(given).ok()?;
    dns::parse(&bytes).map(|(message, _)| message)
}

/// Takes in content of a stream.
pub(super) fn data(tx: &mut Transaction, dir: Direction, bytes: &[u8], config: &AppConfig) {
    let files = tx.files.len();
    let Record::Http2(http2) = &mut tx.record else { return };
    let mut wrong = Vec::new();
    if is_dns(&http2.http, dir) {
        let message = &mut http2.sides.get_mut(dir).message;
        if message.len().saturating_add(bytes.len()) > MAX_DNS {
            wrong.push(match dir {
                Direction::ToServer => "dns_request_too_long",
                Direction::ToClient => "dns_response_too_long",
            });
        } else {
            message.extend_from_slice(bytes);
        }
    }
    let side = http2.sides.get_mut(dir);
    let begins = side.file.is_none() && files < config.files.per_transaction;
    if begins {
        side.file = Some(files);
    }
    let at = side.file;
    let name = if begins { http2.http.request.uri_raw.clone() } else { Vec::new() };
    let body = body_of(&mut http2.http, dir);
    let before = body.data().len();
    if !body.add(bytes) {
        wrong.push("failed_decompression");
    }
    let coded = body.is_encoded();
    if begins {
        tx.files.push(File::new(dir, &name, &config.files));
    }
    let Record::Http2(http2) = &mut tx.record else { return };
    let body = body_of(&mut http2.http, dir);
    if let Some(file) = at.and_then(|at| tx.files.get_mut(at)) {
        let fresh = body.data().get(before..).unwrap_or_default();
        file.append(if coded { fresh } else { bytes });
        if coded && body.is_truncated() {
            // What a decoder was not asked for any more is not there.
            file.truncate();
        }
    }
    for name in wrong {
        tx.event(dir, name);
    }
}

/// Content is missing.
pub(super) fn gap(tx: &mut Transaction, dir: Direction, missing: u64) {
    let Record::Http2(http2) = &mut tx.record else { return };
    http2.sides.get_mut(dir).message.clear();
    if let Some(file) = http2.sides.get(dir).file.and_then(|at| tx.files.get_mut(at)) {
        file.gap(missing);
    }
}

/// The end of a direction; true when it carried a DNS message.
pub(super) fn end(tx: &mut Transaction, dir: Direction) -> bool {
    let Record::Http2(http2) = &mut tx.record else { return false };
    let side = http2.sides.get_mut(dir);
    if let Some(file) = side.file.and_then(|at| tx.files.get_mut(at)) {
        file.close();
    }
    let message = std::mem::take(&mut side.message);
    if !message.is_empty() {
        side.dns = dns::parse(&message).map(|(message, _)| Box::new(message));
    }
    side.dns.is_some()
}

fn is_dns(http: &Http, dir: Direction) -> bool {
    let headers = match dir {
        Direction::ToServer => &http.request.headers,
        Direction::ToClient => &http.response.headers,
    };
    headers.get("content-type").is_some_and(|kind| kind == b"application/dns-message")
}

fn headers_of(http: &mut Http, dir: Direction) -> &mut Headers {
    match dir {
        Direction::ToServer => &mut http.request.headers,
        Direction::ToClient => &mut http.response.headers,
    }
}

fn body_of(http: &mut Http, dir: Direction) -> &mut super::super::http::Body {
    match dir {
        Direction::ToServer => &mut http.request.body,
        Direction::ToClient => &mut http.response.body,
    }
}
