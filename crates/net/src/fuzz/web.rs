//! The parsers of web and name traffic, each from its first byte on.

use super::{counted, parser};
use crate::Protocol;

/// HTTP/1: see [`parser`]; each piece is a request with a body, a response, or the lines of a head.
pub fn fuzz_http(data: &[u8]) {
    parser(Protocol::Http, data, |piece| {
        let (kind, rest) = piece.split_first().map_or((0, piece), |(first, rest)| (*first, rest));
        match kind % 4 {
            0 => [b"POST /", rest, b" HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"].concat(),
            1 => [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", rest].concat(),
            2 => [b"GET / HTTP/1.1\r\n", rest, b"\r\n\r\n"].concat(),
            _ => [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n", rest, b"\r\n\r\n"].concat(),
        }
    });
}

/// HTTP/2: see [`parser`]; each piece is a frame: kind, flags, stream, then what it holds.
pub fn fuzz_http2(data: &[u8]) {
    parser(Protocol::Http2, data, |piece| {
        let [kind, flags, stream] = [0, 1, 2].map(|at| piece.get(at).copied().unwrap_or(0));
        let body = piece.get(3..).unwrap_or_default();
        let [_, a, b, c] = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
        let head = [a, b, c, kind % 10, flags, 0, 0, 0, stream & 7];
        [&head[..], body].concat()
    });
}

/// DNS: see [`parser`]; each piece is a message with one question, an answer and an addition.
pub fn fuzz_dns(data: &[u8]) {
    let stream = data.first().is_some_and(|kind| kind & 1 == 0);
    parser(Protocol::Dns, data, |piece| {
        let [id, flags] = [0, 1].map(|at| piece.get(at).copied().unwrap_or(0));
        let head = [0, id, flags, 0, 0, 1, 0, 1, 0, 0, 0, 1];
        let message = [&head[..], piece.get(2..).unwrap_or_default()].concat();
        if !stream {
            return message;
        }
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&length[..], &message].concat()
    });
}

/// TLS: see [`parser`]; each piece is a record with one handshake message, or with another content.
pub fn fuzz_tls(data: &[u8]) {
    parser(Protocol::Tls, data, |piece| {
        let [content, kind] = [0, 1].map(|at| piece.get(at).copied().unwrap_or(0));
        let mut body = piece.get(2..).unwrap_or_default().to_vec();
        let content = if content < 192 { 22 } else { 20_u8.saturating_add(content & 3) };
        if content == 22 {
            let mut message = counted(&body);
            // Hello, certificate, or any other kind: they have one byte, then a length of three.
            let kinds = [1, 2, 11, kind];
            let kind = kinds.get(usize::from(kind & 3)).copied().unwrap_or(1);
            if let Some(first) = message.first_mut() {
                *first = kind;
            }
            body = message;
        }
        let [high, low] = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&[content, 3, 3, high, low][..], &body].concat()
    });
}

/// WebSocket: see [`parser`]; each piece is a frame with a mask, whole or one of several.
pub fn fuzz_websocket(data: &[u8]) {
    parser(Protocol::Websocket, data, |piece| {
        let first = piece.first().copied().unwrap_or(0);
        let body = piece.get(1..).unwrap_or_default();
        let [high, low] = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&[first, 0xfe, high, low, 1, 2, 3, 4][..], body].concat()
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    #[test]
    fn entries_survive_noise() {
        for entry in [fuzz_http, fuzz_http2, fuzz_dns, fuzz_tls, fuzz_websocket] {
            for seed in 0..300 {
                entry(&noise(seed, 600));
            }
        }
    }
}
