//! From datagrams to hellos.

use super::super::{AppParser, Record, TxList};
use super::keys::Keys;
use super::packet::{self, Kind, Packet, is_google};
use super::reassembly::{Frames, Stream};
use super::{Quic, google};
use crate::app::tls;
use crate::flow::{Direction, PerDirection};

/// Initial packets of a direction that are opened; a hello is in the first few.
const MAX_INITIALS: u8 = 32;
/// Packets of one datagram.
const MAX_PACKETS: usize = 8;

#[derive(Debug, Default)]
struct Side {
    stream: Stream,
    initials: u8,
    /// The hello was seen, or is not waited for any more.
    done: bool,
}

/// Parser of one flow.
#[derive(Debug, Default)]
pub struct Parser {
    keys: Option<Keys>,
    sides: PerDirection<Side>,
}

impl Parser {
    fn push(dir: Direction, quic: Quic, event: Option<&'static str>, txs: &mut TxList) {
        let id = txs.push(Record::Quic(Box::new(quic)));
        let Some(tx) = txs.get_mut(id) else { return };
        if let Some(event) = event {
            tx.event(dir, event);
        }
        tx.reach(dir, 1);
        tx.close_silently(dir.reverse(), 1);
    }

    /// The payload of an Initial packet. A client that was sent elsewhere (Retry) begins anew with keys of
    /// its new identifier.
    fn open(&mut self, dir: Direction, packet: &Packet<'_>) -> Option<Vec<u8>> {
        if let Some(payload) = self.keys.as_ref().and_then(|keys| keys.open(dir, packet)) {
            return Some(payload);
        }
        if dir == Direction::ToClient {
            return None;
        }
        let keys = Keys::initial(packet.version, packet.destination)?;
        let payload = keys.open(dir, packet)?;
        self.keys = Some(keys);
        Some(payload)
    }

    fn initial(&mut self, dir: Direction, packet: &Packet<'_>, txs: &mut TxList) {
        let side = self.sides.get_mut(dir);
        if side.initials >= MAX_INITIALS {
            side.done = true;
            return;
        }
        side.initials = side.initials.saturating_add(1);
        let known = Quic { version: packet.version, ..Quic::default() };
        let Some(payload) = self.open(dir, packet) else {
            // Without the client's first packet the server's cannot be opened.
            if self.keys.is_some() || dir == Direction::ToServer {
                self.sides.get_mut(dir).done = true;
                Self::push(dir, known, Some("failed_decrypt"), txs);
            }
            return;
        };
        let side = self.sides.get_mut(dir);
        let event = match side.stream.frames(&payload) {
            Frames::Good => None,
            Frames::Wrong => Some("error_on_data"),
            Frames::TooLong => Some("crypto_frag_too_long"),
        };
        if event.is_some() {
            side.done = true;
            return Self::push(dir, known, event, txs);
        }
        let Some((kind, body)) = side.stream.message() else { return };
        let mut quic = known;
        match (kind, dir) {
            (1, Direction::ToServer) => quic.client = tls::client_hello(body),
            (2, Direction::ToClient) => quic.server = tls::server_hello(body),
            _ => {}
        }
        side.done = true;
        side.stream = Stream::default();
        let unreadable = quic.client.is_none() && quic.server.is_none();
        Self::push(dir, quic, unreadable.then_some("error_on_data"), txs);
    }

    /// The server sends the client elsewhere: it begins anew, with keys of the identifier it was given.
    /// The old ones stay until then, for clients do not follow twice (RFC 9000 section 17.2.5.2).
    fn retry(&mut self) {
        self.sides.to_server.stream = Stream::default();
        self.sides.to_server.done = false;
    }
}

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        if self.sides.to_server.done && self.sides.to_client.done {
            return;
        }
        let version = packet::long(bytes).map(|(version, _)| version);
        if version.or_else(|| google::public_version(bytes)).is_some_and(is_google) {
            if dir == Direction::ToServer
                && let Some((version, google)) = google::client_hello(bytes)
            {
                let quic = Quic { version, google: Some(google), ..Quic::default() };
                Self::push(dir, quic, None, txs);
            }
            return;
        }
        let mut rest = bytes;
        for _ in 0..MAX_PACKETS {
            let Some(packet) = packet::next(&mut rest) else { return };
            match (packet.kind, dir) {
                (Kind::Retry, Direction::ToClient) => self.retry(),
                (Kind::Initial, _) if !self.sides.get(dir).done => self.initial(dir, &packet, txs),
                _ => {}
            }
        }
    }

    fn gap(&mut self, _dir: Direction, _missing: u64, _txs: &mut TxList) {}

    fn end(&mut self, _dir: Direction, _txs: &mut TxList) {}
}
