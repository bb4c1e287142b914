//! Which protocol each side of a stream speaks, by its own first bytes, and what is wrong when they differ.
//!
//! The flow's protocol is that of the side that was recognised first. The other side is looked at once,
//! with its first bytes; it is parsed as the flow's protocol in any case.

use super::detect::{Probe, Transport, probe};
use super::{AppContext, Protocol};
use crate::flow::{Direction, PerDirection};

/// The server speaks another protocol than the client.
pub const MISMATCH: &str = "applayer_mismatch_protocol_both_directions";
/// The server spoke first, where the client has to.
pub const WRONG_DIRECTION: &str = "applayer_wrong_direction_first_data";
/// What the other side sent is no protocol.
pub const ONE_DIRECTION: &str = "applayer_detect_protocol_only_one_direction";
/// The beginning of the stream is missing, so that nothing was recognised.
pub const SKIPPED: &str = "applayer_proto_detection_skipped";
/// TLS was agreed on, and something else follows.
pub const NO_TLS: &str = "applayer_no_tls_after_starttls";
/// Another protocol than the one that was agreed on.
pub const UNEXPECTED: &str = "applayer_unexpected_protocol";

/// Events of a flow kept until they are told.
const MAX_EVENTS: usize = 8;

/// What is known of both sides.
#[derive(Debug, Default)]
pub(super) struct Sides {
    spoken: PerDirection<Protocol>,
    looked_at: PerDirection<bool>,
    /// What was agreed on to follow.
    pub(super) wanted: Option<Protocol>,
    events: Option<Box<Events>>,
}

/// What is wrong with a flow, which few have.
#[derive(Debug, Default)]
struct Events {
    names: Vec<&'static str>,
    told: usize,
}

/// Protocols whose first bytes are known on both sides.
fn is_told_by_both(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Http | Protocol::Tls | Protocol::Ssh | Protocol::Smb)
}

impl Sides {
    /// Side and protocol that were recognised first.
    pub(super) fn begin(&mut self, protocol: Protocol, dir: Direction, cx: &AppContext<'_>) {
        let streams = cx.transport == Transport::Tcp;
        self.spoken = PerDirection { to_server: protocol, to_client: protocol };
        self.looked_at = PerDirection { to_server: !streams, to_client: !streams };
        *self.looked_at.get_mut(dir) = true;
        match self.wanted.take() {
            Some(Protocol::Tls) if protocol != Protocol::Tls => {
                self.event(NO_TLS);
                self.event(UNEXPECTED);
            }
            Some(wanted) if wanted != protocol => self.event(UNEXPECTED),
            _ => {}
        }
    }

    pub(super) fn is_new(&self, dir: Direction) -> bool {
        !*self.looked_at.get(dir)
    }

    /// The first bytes of the other side.
    pub(super) fn look(&mut self, dir: Direction, bytes: &[u8], cx: &AppContext<'_>) {
        *self.looked_at.get_mut(dir) = true;
        let protocol = *self.spoken.get(dir);
        match probe(dir, bytes, cx) {
            Probe::Is(found) | Probe::Reversed(found) if found != protocol => {
                *self.spoken.get_mut(dir) = found;
                self.event(MISMATCH);
            }
            Probe::No if is_told_by_both(protocol) => {
                *self.spoken.get_mut(dir) = Protocol::Failed;
                self.event(ONE_DIRECTION);
            }
            _ => {}
        }
    }

    pub(super) fn event(&mut self, event: &'static str) {
        let events = self.events.get_or_insert_default();
        if events.names.len() < MAX_EVENTS && !events.names.contains(&event) {
            events.names.push(event);
        }
    }

    pub(super) fn news(&self) -> &[&'static str] {
        let news = self.events.as_ref().and_then(|events| events.names.get(events.told..));
        news.unwrap_or_default()
    }

    pub(super) fn settle(&mut self) {
        if let Some(events) = &mut self.events {
            events.told = events.names.len();
        }
    }

    /// What each side speaks, when that differs.
    pub(super) fn differing(&self) -> Option<PerDirection<Protocol>> {
        (self.spoken.to_server != self.spoken.to_client).then_some(self.spoken)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AppConfig, AppLayer};
    use super::*;
    use crate::flow::Direction::{ToClient, ToServer};

    /// Protocol and events of a flow that begins so.
    fn run(pieces: &[(Direction, &[u8])], gap: bool) -> (Protocol, Vec<&'static str>) {
        let config = AppConfig::default();
        let cx = AppContext { config: &config, transport: Transport::Tcp, ports: (40_000, 8_000) };
        let mut app = AppLayer::default();
        if gap {
            app.gap(ToServer, 10);
        }
        for (dir, bytes) in pieces {
            app.data(*dir, bytes, &cx);
        }
        (app.protocol(), app.open().flow_events().to_vec())
    }

    #[test]
    fn sides_that_differ_are_told() {
        let get: (Direction, &[u8]) = (ToServer, b"GET / HTTP/1.0\r\n\r\n");
        let ok: (Direction, &[u8]) = (ToClient, b"HTTP/1.0 200 OK\r\n\r\n");
        let ssh: (Direction, &[u8]) = (ToClient, b"SSH-2.0-x\r\n");
        for (pieces, protocol, events) in [
            (&[get, ok][..], Protocol::Http, &[][..]),
            (&[get, ssh], Protocol::Http, &[MISMATCH]),
            (&[get, (ToClient, b"\x01\x02\x03\x04")], Protocol::Http, &[ONE_DIRECTION]),
            (&[ok, get], Protocol::Http, &[WRONG_DIRECTION]),
            (&[ssh, (ToServer, b"SSH-2.0-y\r\n")], Protocol::Ssh, &[]),
        ] {
            assert_eq!(run(pieces, false), (protocol, events.to_vec()), "{pieces:?}");
        }
        assert_eq!(run(&[], true), (Protocol::Unknown, vec![SKIPPED]));
    }

    #[test]
    fn what_follows_starttls_should_be_tls() {
        let begin: [(Direction, &[u8]); 4] = [
            (ToClient, b"220 a ESMTP\r\n"),
            (ToServer, b"EHLO b\r\n"),
            (ToClient, b"250 STARTTLS\r\n"),
            (ToServer, b"STARTTLS\r\n"),
        ];
        for (next, protocol, events) in [
            (&b"\x16\x03\x01\x00\x05\x01\0\0\x01\0"[..], Protocol::Tls, vec![]),
            (b"GET / HTTP/1.0\r\n\r\n", Protocol::Http, vec![NO_TLS, UNEXPECTED]),
        ] {
            let all = [&begin[..], &[(ToClient, b"220 go\r\n"), (ToServer, next)]].concat();
            assert_eq!(run(&all, false), (protocol, events));
        }
    }
}
