//! What is worth an event in HTTP/1, and its names.

use crate::flow::Direction;

/// Names of events that differ between requests and responses.
pub(super) struct EventNames {
    pub(super) repeated: &'static str,
    pub(super) lengths: &'static str,
    pub(super) folding: &'static str,
}

impl EventNames {
    pub(super) const fn of(dir: Direction) -> Self {
        match dir {
            Direction::ToServer => Self {
                repeated: "request_header_repetition",
                lengths: "duplicate_content_length_field_in_request",
                folding: "invalid_request_field_folding",
            },
            Direction::ToClient => Self {
                repeated: "response_header_repetition",
                lengths: "duplicate_content_length_field_in_response",
                folding: "invalid_response_field_folding",
            },
        }
    }
}

/// Whether credentials are of a scheme that servers commonly have (RFC 7617, RFC 7616, RFC 6750).
pub(super) fn is_known_scheme(credentials: &[u8]) -> bool {
    [&b"basic"[..], b"digest", b"bearer"].iter().any(|scheme| {
        credentials.get(..scheme.len()).is_some_and(|word| word.eq_ignore_ascii_case(scheme))
    })
}

pub(super) fn too_long(dir: Direction) -> &'static str {
    match dir {
        Direction::ToServer => "request_field_too_long",
        Direction::ToClient => "response_field_too_long",
    }
}
