//! Application protocols: what the payload of a flow is, and its transactions.
//!
//! [`detect`] finds the protocol from the first bytes of both directions, not from the port. A
//! parser then turns bytes into [`Transaction`]s in a [`TxList`]; whoever drives it (the engine)
//! hands changed transactions to the sink and drops finished ones.
//!
//! # A new protocol
//!
//! 1. A folder with a type that implements [`AppParser`], and a record type for [`Record`].
//! 2. A variant in [`Protocol`] and [`Record`], a line in the private `parser_of` below, and one line each
//!    in the `match`es that the compiler then points at.
//! 3. What its first bytes look like in [`detect`].
//! 4. In the agent: `sensor/inspect/NAME.rs` (what rules see of it) and `sensor/eve/NAME.rs` (its record);
//!    in `signature`: its buffers in `buffer.rs`, its numbers in `view.rs`.
//!
//! A parser must take its input in any pieces, keep its buffers under a limit it states, survive a
//! gap (give up or find its place again) and report what is wrong as [`Transaction::event`]. Files it
//! carries go into [`Transaction::files`]. `template.rs` is a small one to begin from: compiled, tested,
//! with the list of everything else that a protocol needs.

mod ber;
pub mod dcerpc;
pub mod detect;
pub mod dhcp;
pub mod dns;
pub mod expect;
pub mod file;
pub mod frame;
pub mod ftp;
pub mod http;
pub mod http2;
pub mod krb5;
pub mod ldap;
mod lines;
pub mod mime;
pub mod ntp;
pub mod pop3;
mod protocol;
pub mod quic;
pub mod rfb;
pub mod sides;
pub mod sip;
pub mod smb;
pub mod smtp;
pub mod snmp;
pub mod ssh;
#[cfg(test)]
pub(crate) mod template;
pub mod tftp;
pub mod tls;
mod transaction;
pub mod websocket;

#[cfg(test)]
mod detect_tests;
#[cfg(test)]
mod dns_tests;
#[cfg(test)]
mod tests;

pub use protocol::Protocol;
pub(crate) use transaction::Spare;
pub use transaction::{Event, Record, Transaction, TxList};

use crate::flow::{Direction, PerDirection};
use detect::{Probe, Transport};
use expect::{Expected, What};

/// Bytes of one direction that detection looks at before it gives up.
const PROBE_LIMIT: usize = 2048;

/// A protocol parser: bytes of both directions in, transactions out.
pub trait AppParser: std::fmt::Debug + Send {
    /// Bytes in order (TCP) or one whole datagram (UDP).
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList);
    /// That many bytes are missing here.
    fn gap(&mut self, dir: Direction, missing: u64, txs: &mut TxList);
    /// Nothing more will come in this direction.
    fn end(&mut self, dir: Direction, txs: &mut TxList);
    /// Asked after each piece of data: `Some` once, when the flow speaks another protocol from now on
    /// (STARTTLS, an upgrade). The parser is not called again.
    fn switch(&mut self) -> Option<Switch> {
        None
    }
    /// Asked after each piece of data: `Some` once, when what the flow carries has a narrower name (DNS
    /// over HTTP/2).
    fn renamed(&mut self) -> Option<Protocol> {
        None
    }
    /// Asked after each piece of data: another flow that was announced and will carry part of this one.
    fn expect(&mut self) -> Option<Expected> {
        None
    }
}

/// The end of one protocol within a flow: the bytes that belong to the next one.
#[derive(Debug, Default)]
pub struct Switch {
    /// The protocol when it is certain; else it is looked for.
    pub to: Option<Protocol>,
    /// The parser of what follows, when it has to know what was agreed on.
    pub parser: Option<Box<dyn AppParser>>,
    /// Bytes that were given to the parser but belong to what follows.
    pub rest: PerDirection<Vec<u8>>,
}

/// Settings of detection and parsers.
#[derive(Clone, Copy, Debug)]
pub struct AppConfig {
    /// Bytes kept of an HTTP request body, after decoding.
    pub request_body_limit: usize,
    /// Bytes kept of an HTTP response body, after decoding.
    pub response_body_limit: usize,
    /// Layers of content encoding undone in responses.
    pub decompress_layers: usize,
    /// LZMA is undone in responses.
    pub lzma: bool,
    /// Ports on which DNS and SNMP, and over UDP Kerberos, are looked for.
    pub ports: Ports,
    /// Transactions kept per flow.
    pub max_transactions: usize,
    /// Protocols that are not parsed, a bit per [`Protocol`].
    pub disabled: u64,
    /// Frames are looked for, see [`frame`].
    pub frames: bool,
    /// Files in transit.
    pub files: file::FileConfig,
    /// SMTP and the mails in it.
    pub smtp: smtp::Config,
    /// FTP.
    pub ftp: ftp::Config,
    /// SMB.
    pub smb: SmbLimits,
}

/// Where protocols are looked for whose messages alone do not tell them for certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    /// On any port, where the whole message is right.
    #[default]
    Any,
    /// Where either side has their port.
    Registered,
    /// Where the side that was spoken to first has their port: an answer without its request is none.
    Server,
}

impl Ports {
    /// Whether a protocol is at home between these ports (client, server).
    fn is_home(self, registered: &[u16], (client, server): (u16, u16)) -> bool {
        registered.contains(&server) || (self != Self::Server && registered.contains(&client))
    }

    /// Whether a protocol may be between these ports.
    fn allow(self, registered: &[u16], ports: (u16, u16)) -> bool {
        self == Self::Any || self.is_home(registered, ports)
    }
}

/// What SMB requests may ask for; 0 is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct SmbLimits {
    /// Bytes of a read; more are an event.
    pub max_read: u32,
    /// Bytes of a write; more are an event.
    pub max_write: u32,
}

impl Default for AppConfig {
    fn default() -> Self {
        Self {
            request_body_limit: 100 << 10,
            response_body_limit: 100 << 10,
            decompress_layers: 2,
            lzma: false,
            ports: Ports::default(),
            max_transactions: 512,
            disabled: 0,
            frames: false,
            files: file::FileConfig::default(),
            smtp: smtp::Config::default(),
            ftp: ftp::Config::default(),
            smb: SmbLimits::default(),
        }
    }
}

impl AppConfig {
    /// Switches a protocol off.
    pub fn disable(&mut self, protocol: Protocol) {
        self.disabled |= protocol.bit();
    }

    fn is_enabled(&self, protocol: Protocol) -> bool {
        self.disabled & protocol.bit() == 0
    }
}

/// What a flow's payload needs to know of the flow.
#[derive(Clone, Copy, Debug)]
pub struct AppContext<'a> {
    /// Limits and switches.
    pub config: &'a AppConfig,
    /// TCP or UDP.
    pub transport: Transport,
    /// Port of client and server.
    pub ports: (u16, u16),
}

/// What is only there while the protocol is looked for.
#[derive(Debug, Default)]
struct Probing {
    seen: PerDirection<Vec<u8>>,
    /// Bytes after those in `seen` that were not kept, or not seen at all.
    skipped: PerDirection<u64>,
}

/// Detection state, parser and transactions of one flow. There is one for each flow with payload, so what
/// few of them need is somewhere else.
#[derive(Debug, Default)]
pub struct AppLayer {
    /// None while the protocol is looked for, and when what follows is not parsed.
    parser: Option<Box<dyn AppParser>>,
    /// The protocol is known, or there is none: nothing is looked for any more.
    decided: bool,
    protocol: Protocol,
    gave_up: PerDirection<bool>,
    reversed: bool,
    probing: Option<Box<Probing>>,
    expected: Option<Box<Expected>>,
    frames: Option<Box<frame::Frames>>,
    txs: TxList,
}

impl AppLayer {
    /// What a flow is that was announced by another one, before its first byte.
    pub(crate) fn announced(&mut self, what: What, config: &AppConfig) {
        let What::FtpData(transfer) = what;
        if !config.is_enabled(Protocol::FtpData) {
            return;
        }
        self.protocol = Protocol::FtpData;
        self.decide(Some(Box::new(ftp::DataParser::new(transfer, &config.files))));
    }

    /// The flow that was announced by this one's newest bytes.
    pub(crate) fn take_expected(&mut self) -> Option<Expected> {
        self.expected.take().map(|expected| *expected)
    }

    /// A flow whose protocol is known before its first byte, for fuzzers that want to be inside its parser.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn started(protocol: Protocol, cx: &AppContext<'_>) -> Self {
        let mut app = Self::default();
        app.begin(protocol, Direction::ToServer, cx);
        app
    }

    /// The protocol, as far as known.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Number of transactions so far.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.txs.created()
    }

    /// True once when detection found that the first packet came from the server.
    pub fn take_reversed(&mut self) -> bool {
        std::mem::take(&mut self.reversed)
    }

    /// Takes in bytes of one direction.
    pub fn data(&mut self, dir: Direction, bytes: &[u8], cx: &AppContext<'_>) {
        if bytes.is_empty() {
            return;
        }
        match &mut self.parser {
            None if self.decided => {}
            None if cx.transport == Transport::Udp => self.probe_datagram(dir, bytes, cx),
            None => self.probe(dir, bytes, cx),
            Some(parser) => {
                if self.txs.sides.is_new(dir) {
                    self.txs.sides.look(dir, bytes, cx);
                }
                if let Some(frames) = &mut self.frames {
                    frames.data(dir, bytes, self.txs.frames.get_or_insert_default());
                }
                parser.data(dir, bytes, &mut self.txs);
                if let Some(expected) = parser.expect() {
                    self.expected = Some(Box::new(expected));
                }
                if let Some(protocol) = parser.renamed() {
                    self.txs.original.get_or_insert(self.protocol);
                    self.protocol = protocol;
                }
                if let Some(switch) = parser.switch() {
                    self.switch(dir, switch, cx);
                }
            }
        }
    }

    /// Bytes are missing in one direction.
    pub fn gap(&mut self, dir: Direction, missing: u64) {
        match &mut self.parser {
            None if self.decided => {}
            None => {
                *self.gave_up.get_mut(dir) = true;
                self.txs.sides.event(sides::SKIPPED);
                if !self.seen(dir).is_empty() {
                    self.skip(dir, missing);
                }
            }
            Some(parser) => {
                parser.gap(dir, missing, &mut self.txs);
                self.cut_frames(dir);
            }
        }
    }

    /// Nothing more will come in one direction.
    pub fn end(&mut self, dir: Direction) {
        if let Some(parser) = &mut self.parser {
            parser.end(dir, &mut self.txs);
            self.cut_frames(dir);
        }
    }

    fn cut_frames(&mut self, dir: Direction) {
        if let Some(frames) = &mut self.frames {
            frames.cut(dir, self.txs.frames.get_or_insert_default());
        }
    }

    /// The flow has ended: every transaction is complete as it is.
    pub fn finish(&mut self) {
        self.end(Direction::ToServer);
        self.end(Direction::ToClient);
        self.txs.complete_all();
        if !self.decided && self.has_seen_any() {
            self.fail();
        }
    }

    /// The open transactions.
    #[must_use]
    pub fn open(&self) -> &TxList {
        &self.txs
    }

    /// The same, for whoever takes a message out of them.
    pub(crate) fn open_mut(&mut self) -> &mut TxList {
        &mut self.txs
    }

    /// The news was taken note of, see [`TxList::changed`], and that of `inspected` (`None`: of both
    /// directions) was inspected.
    pub(crate) fn settle(&mut self, inspected: Option<Direction>) {
        self.txs.settle(inspected);
    }

    /// Takes over spare room for what comes with this packet.
    pub(crate) fn lend(&mut self, spare: &mut Spare) {
        self.txs.lend(spare);
    }

    /// Gives free room to other flows.
    pub(crate) fn give_back(&mut self, spare: &mut Spare) {
        self.txs.give_back(spare);
    }

    /// The flow is over but for its record: gives back what parsing needed.
    pub(crate) fn retire(&mut self) {
        if self.txs.is_empty() {
            // Without a parser while still looking, there is nothing to give back.
            self.parser = None;
        }
    }

    fn has_seen_any(&self) -> bool {
        let buffered = [Direction::ToServer, Direction::ToClient];
        let buffered = buffered.iter().any(|dir| !self.seen(*dir).is_empty());
        buffered || self.gave_up.to_server || self.gave_up.to_client
    }

    fn decide(&mut self, parser: Option<Box<dyn AppParser>>) {
        (self.parser, self.decided) = (parser, true);
    }

    fn fail(&mut self) {
        self.decide(None);
        self.protocol = Protocol::Failed;
        self.probing = None;
    }

    fn seen(&self, dir: Direction) -> &[u8] {
        self.probing.as_ref().map_or(&[], |probing| probing.seen.get(dir))
    }

    fn keep(&mut self, dir: Direction, bytes: &[u8]) {
        let probing = self.probing.get_or_insert_default();
        probing.seen.get_mut(dir).extend_from_slice(bytes);
    }

    fn skipped(&self, dir: Direction) -> u64 {
        self.probing.as_ref().map_or(0, |probing| *probing.skipped.get(dir))
    }

    fn skip(&mut self, dir: Direction, missing: u64) {
        if missing > 0 {
            let skipped = self.probing.get_or_insert_default().skipped.get_mut(dir);
            *skipped = skipped.saturating_add(missing);
        }
    }

    /// Each datagram is looked at alone: unlike a stream, two of them do not make one message.
    fn probe_datagram(&mut self, dir: Direction, bytes: &[u8], cx: &AppContext<'_>) {
        let (protocol, dir) = match detect::probe(dir, bytes, cx) {
            Probe::Is(protocol) => (protocol, dir),
            Probe::Reversed(protocol) => {
                self.reversed = true;
                (protocol, dir.reverse())
            }
            Probe::More | Probe::No => return self.give_up(dir),
        };
        self.begin(protocol, dir, cx);
        self.data(dir, bytes, cx);
    }

    fn give_up(&mut self, dir: Direction) {
        *self.gave_up.get_mut(dir) = true;
        if self.gave_up.to_server && self.gave_up.to_client {
            self.fail();
        }
    }

    fn probe(&mut self, dir: Direction, bytes: &[u8], cx: &AppContext<'_>) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if self.skipped(dir) > 0 {
            // What comes after a hole is not what the first bytes said.
            return self.skip(dir, length);
        }
        let whole = self.seen(dir).is_empty();
        let room = PROBE_LIMIT.saturating_sub(self.seen(dir).len());
        let (kept, cut) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        let found = if whole {
            detect::probe(dir, bytes, cx)
        } else {
            self.keep(dir, kept);
            detect::probe(dir, self.seen(dir), cx)
        };
        match found {
            Probe::Is(protocol) => {
                self.begin(protocol, dir, cx);
                self.data(dir, if whole { bytes } else { cut }, cx);
            }
            Probe::Reversed(protocol) => {
                self.reversed = true;
                if let Some(probing) = &mut self.probing {
                    probing.seen.swap();
                    probing.skipped.swap();
                }
                self.begin(protocol, dir.reverse(), cx);
                self.data(dir.reverse(), if whole { bytes } else { cut }, cx);
            }
            Probe::More if room > bytes.len() => {
                if whole {
                    self.keep(dir, kept);
                }
            }
            Probe::More | Probe::No => {
                if whole {
                    self.keep(dir, kept);
                }
                self.skip(dir, u64::try_from(cut.len()).unwrap_or(u64::MAX));
                self.give_up(dir);
            }
        }
    }

    /// Starts the parser and gives it what was looked at before, the other side first: it came
    /// earlier.
    fn begin(&mut self, protocol: Protocol, dir: Direction, cx: &AppContext<'_>) {
        if !cx.config.is_enabled(protocol) {
            return self.fail();
        }
        if dir == Direction::ToClient
            && matches!(protocol, Protocol::Http | Protocol::Tls)
            && cx.transport == Transport::Tcp
            && self.protocol == Protocol::Unknown
            && self.seen(Direction::ToServer).is_empty()
        {
            self.txs.sides.event(sides::WRONG_DIRECTION);
        }
        self.txs.sides.begin(protocol, dir, cx);
        self.protocol = protocol;
        self.txs.set_limit(cx.config.max_transactions);
        self.decide(parser_of(protocol, cx));
        if cx.config.frames {
            let at = self.frames.take().map(|frames| frames.position()).unwrap_or_default();
            self.frames = frame::Frames::new(protocol, cx.transport, at).map(Box::new);
        }
        let Some(probing) = &mut self.probing else { return };
        let seen = std::mem::take(&mut probing.seen);
        for side in [dir.reverse(), dir] {
            self.data(side, seen.get(side), cx);
            let skipped = self.skipped(side);
            if skipped > 0 {
                self.gap(side, skipped);
            }
        }
        if self.decided {
            self.probing = None;
        }
    }

    /// What the old protocol began is complete as it is; what was left over is looked at anew.
    fn switch(&mut self, dir: Direction, switch: Switch, cx: &AppContext<'_>) {
        let Switch { to, parser, rest } = switch;
        self.txs.complete_all();
        if let Some(frames) = &mut self.frames {
            frames.give_back(&rest);
        }
        if to.is_some_and(|protocol| !cx.config.is_enabled(protocol)) {
            // What follows is not looked at; the flow stays what it was.
            self.decide(None);
            return;
        }
        self.txs.original.get_or_insert(self.protocol);
        self.txs.sides.wanted = match self.protocol {
            // STARTTLS (RFC 3207), AUTH TLS (RFC 4217), StartTLS (RFC 4511), STLS (RFC 2595).
            Protocol::Smtp | Protocol::Ftp | Protocol::Ldap | Protocol::Pop3 => Some(Protocol::Tls),
            _ => to,
        };
        (self.parser, self.decided) = (None, false);
        self.probing = None;
        self.gave_up = PerDirection::default();
        if let Some(protocol) = to {
            self.begin(protocol, dir, cx);
            if let Some(parser) = parser {
                self.decide(Some(parser));
            }
        }
        for side in [dir.reverse(), dir] {
            self.data(side, rest.get(side), cx);
        }
    }
}

/// The parser of a protocol, when there is one.
fn parser_of(protocol: Protocol, cx: &AppContext<'_>) -> Option<Box<dyn AppParser>> {
    Some(match protocol {
        Protocol::Http => Box::new(http::Parser::new(cx.config)),
        Protocol::Dns | Protocol::Mdns | Protocol::Llmnr if cx.transport == Transport::Udp => {
            Box::new(dns::Datagrams)
        }
        Protocol::Dns | Protocol::Mdns | Protocol::Llmnr => Box::new(dns::Parser::default()),
        Protocol::Tls => Box::new(tls::Parser::default()),
        Protocol::Websocket => Box::new(websocket::Parser::default()),
        Protocol::Http2 | Protocol::Doh2 => Box::new(http2::Parser::new(cx.config)),
        Protocol::Smtp => Box::new(smtp::Parser::new(cx.config)),
        Protocol::Ftp => Box::new(ftp::Parser::new(cx.config)),
        Protocol::Ssh => Box::new(ssh::Parser::default()),
        Protocol::Dcerpc => Box::new(dcerpc::Parser::new(cx.transport)),
        Protocol::Smb => Box::new(smb::Parser::new(cx.config)),
        Protocol::Snmp => Box::new(snmp::Parser),
        Protocol::Ldap => Box::new(ldap::Parser::new(cx.transport == Transport::Udp)),
        Protocol::Pop3 => Box::new(pop3::Parser::default()),
        Protocol::Quic => Box::new(quic::Parser::default()),
        Protocol::Dhcp => Box::new(dhcp::Parser),
        Protocol::Ntp => Box::new(ntp::Parser),
        Protocol::Tftp => Box::new(tftp::Parser),
        Protocol::Rfb => Box::new(rfb::Parser::default()),
        Protocol::Krb5 => Box::new(krb5::Parser::new(cx.transport == Transport::Tcp)),
        Protocol::Sip => Box::new(sip::Parser::new(cx.transport == Transport::Tcp)),
        _ => return None,
    })
}
