//! Where the body of a message ends: RFC 9112 section 6, and what clients make of messages that break it.

use super::parser::State;
use super::{Body, Headers, Http, Request, line};
use crate::flow::Direction;

pub(super) fn set_host(request: &mut Request, authority: &[u8]) {
    let (host, port) = line::host_port(authority);
    request.host_raw = authority.to_vec();
    request.host = host.to_ascii_lowercase();
    request.port = port;
}

fn is_chunked(headers: &Headers) -> bool {
    headers.understood("transfer-encoding").is_some_and(|value| {
        memchr::memmem::find(&value.to_ascii_lowercase(), b"chunked").is_some()
    })
}

/// How the body is framed, whether all its encodings are undone.
pub(super) fn request_framing(http: &mut Http, layers: usize) -> (State, bool) {
    let state = request_state(&mut http.request);
    let encodings = http.request.headers.understood("content-encoding");
    let all = encodings.is_none_or(|value| http.request.body.set_encodings(&value, layers));
    (state, all)
}

fn request_state(request: &mut Request) -> State {
    if request.host_raw.is_empty()
        && let Some(value) = request.headers.get("host")
    {
        let value = value.to_vec();
        set_host(request, &value);
    }
    if request.method == b"CONNECT" {
        return State::Length(0);
    }
    if is_chunked(&request.headers) {
        return State::ChunkSize;
    }
    let length = request.headers.understood("content-length");
    State::Length(length.and_then(|value| line::number(&value)).unwrap_or(0))
}

/// How the body is framed, whether the response is an interim one, whether all its encodings are
/// undone.
pub(super) fn response_framing(http: &mut Http, layers: usize) -> (State, bool, bool) {
    let code = http.response.status_code().unwrap_or(0);
    let connect = http.request.method == b"CONNECT" && (200..300).contains(&code);
    if connect || code == 101 {
        return (State::Ignore, false, true);
    }
    let is_head = http.request.method == b"HEAD";
    let response = &mut http.response;
    let length = response.headers.understood("content-length");
    let chunked = is_chunked(&response.headers);
    let bodiless = matches!(code, 100..200 | 204 | 304);
    // Clients read a body that is announced, also where there should be none.
    let announced = chunked || length.as_deref().and_then(line::number).is_some_and(|n| n > 0);
    if code < 200 && bodiless && !announced {
        return (State::Line, true, true);
    }
    let mut all = true;
    if let Some(value) = response.headers.understood("content-encoding") {
        all = response.body.set_encodings(&value, layers);
    }
    if is_head || bodiless && !announced {
        return (State::Length(0), false, all);
    }
    if chunked {
        return (State::ChunkSize, false, all);
    }
    let state = match length.as_deref().and_then(line::length) {
        Some(length) => State::Length(length),
        None => State::ToEnd,
    };
    (state, false, all)
}

/// The headers of a direction.
pub(super) fn headers_of(http: &mut Http, dir: Direction) -> &mut Headers {
    match dir {
        Direction::ToServer => &mut http.request.headers,
        Direction::ToClient => &mut http.response.headers,
    }
}

/// The body of a direction.
pub(super) fn body_of(http: &mut Http, dir: Direction) -> &mut Body {
    match dir {
        Direction::ToServer => &mut http.request.body,
        Direction::ToClient => &mut http.response.body,
    }
}
