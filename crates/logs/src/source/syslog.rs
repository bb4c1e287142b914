//! Syslog listeners: UDP (RFC 5426) and TCP with both framings of RFC 6587, told apart per message.
//!
//! A TCP sender waits when the agent is behind; a datagram that finds no room is shed and counted.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use event::{Timestamp, set};
use serde_json::Value;
use service::Clock;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Semaphore;

use super::{Intake, Item, Stopped};
use crate::config::{Format, SyslogConfig, Transport};
use crate::parse::{Parser, Zone};

mod framing;

use framing::Framer;

/// Most TCP senders at once.
const MAX_SENDERS: usize = 1024;
/// A sender that is silent for longer is disconnected.
const IDLE: std::time::Duration = std::time::Duration::from_secs(3600);

/// Why a listener cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SyslogError {
    /// The address cannot be listened on.
    #[error("cannot listen for syslog on {address}")]
    Listen {
        /// As configured.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No such time zone.
    #[error("unknown time zone {name:?}")]
    Zone {
        /// As configured.
        name: String,
    },
}

/// An open listener; opened before privileges are dropped and threads started, served afterwards.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    parser: Parser,
}

#[derive(Debug)]
enum Socket {
    Udp(std::net::UdpSocket),
    Tcp(std::net::TcpListener),
}

impl Listener {
    /// Opens the socket of `config`.
    ///
    /// # Errors
    /// [`SyslogError`].
    pub fn open(config: &SyslogConfig) -> Result<Self, SyslogError> {
        let zone = match &config.time_zone {
            None => Zone::utc(),
            Some(name) => {
                Zone::named(name).ok_or_else(|| SyslogError::Zone { name: name.clone() })?
            }
        };
        let failed = |source| SyslogError::Listen { address: config.listen.clone(), source };
        let socket = match config.transport {
            Transport::Udp => std::net::UdpSocket::bind(&config.listen)
                .and_then(|socket| socket.set_nonblocking(true).map(|()| Socket::Udp(socket))),
            Transport::Tcp => std::net::TcpListener::bind(&config.listen)
                .and_then(|socket| socket.set_nonblocking(true).map(|()| Socket::Tcp(socket))),
        };
        let socket = socket.map_err(failed)?;
        Ok(Self { socket, parser: Parser::new(Format::Syslog, zone) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Udp(socket) => socket.local_addr(),
            Socket::Tcp(listener) => listener.local_addr(),
        }
    }

    /// What it is called in reports.
    #[must_use]
    pub fn name(&self) -> String {
        let kind = match &self.socket {
            Socket::Udp(_) => "udp",
            Socket::Tcp(_) => "tcp",
        };
        self.address().map_or_else(|_| kind.to_owned(), |address| format!("{kind} {address}"))
    }

    /// Serves until `intake` stops.
    pub async fn serve(self, intake: Intake, clock: Clock) {
        let stop = intake.shutdown().clone();
        let served = async {
            match self.socket {
                Socket::Udp(socket) => match UdpSocket::from_std(socket) {
                    Ok(socket) => datagrams(&socket, &self.parser, &intake, &clock).await,
                    Err(error) => tracing::error!(%error, "syslog listener failed"),
                },
                Socket::Tcp(listener) => match TcpListener::from_std(listener) {
                    Ok(listener) => accept(&listener, &self.parser, &intake, &clock).await,
                    Err(error) => tracing::error!(%error, "syslog listener failed"),
                },
            }
        };
        tokio::select! {
            () = served => {}
            () = stop.wait() => {}
        }
    }
}

fn item(parser: &Parser, bytes: &[u8], peer: SocketAddr, now: Timestamp) -> (Item, bool) {
    let (mut event, parsed) = parser.event(bytes, now);
    let address = peer.ip().to_canonical().to_string();
    set(&mut event.fields, "log.source.address", Value::String(address));
    (Item::new(event), parsed)
}

async fn datagrams(socket: &UdpSocket, parser: &Parser, intake: &Intake, clock: &Clock) {
    let mut buffer = vec![0; 65_536];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, peer)) => {
                let now = Timestamp::from_micros(clock.now_micros());
                let bytes = buffer.get(..length).unwrap_or_default();
                let (item, parsed) = item(parser, bytes, peer, now);
                if intake.offer(item, parsed, length).is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "syslog datagram could not be received");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn accept(listener: &TcpListener, parser: &Parser, intake: &Intake, clock: &Clock) {
    let places = Arc::new(Semaphore::new(MAX_SENDERS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (parser, intake, clock) = (parser.clone(), intake.clone(), clock.clone());
                tokio::spawn(async move {
                    let served = stream_of(stream, peer, &parser, &intake, &clock);
                    tokio::select! {
                        outcome = served => if let Err(error) = outcome {
                            tracing::warn!(%peer, %error, "syslog sender disconnected");
                        },
                        () = intake.shutdown().wait() => {}
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "syslog connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn stream_of(
    mut stream: impl AsyncRead + Unpin,
    peer: SocketAddr,
    parser: &Parser,
    intake: &Intake,
    clock: &Clock,
) -> io::Result<()> {
    let mut framer = Framer::default();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::time::timeout(IDLE, stream.read(&mut buffer)).await;
        let length = read.map_err(|_| io::Error::other("silent for an hour"))??;
        framer.feed(buffer.get(..length).unwrap_or_default());
        while let Some(message) = framer.next(length == 0) {
            let now = Timestamp::from_micros(clock.now_micros());
            let (mut item, parsed) = item(parser, &message.bytes, peer, now);
            if message.cut > 0 {
                set(&mut item.event.fields, "log.truncated_bytes", Value::from(message.cut));
            }
            let passed = intake.wait_async(item, parsed, message.bytes.len()).await;
            passed.map_err(|Stopped| io::Error::other("the agent stops"))?;
        }
        if length == 0 {
            return Ok(());
        }
    }
}

/// The messages of a stream that comes in these pieces, with the bytes cut off each; for fuzzing.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn frames(pieces: &[&[u8]]) -> Vec<(Vec<u8>, u64)> {
    let mut framer = Framer::default();
    let mut out = Vec::new();
    for piece in pieces {
        framer.feed(piece);
        out.extend(std::iter::from_fn(|| framer.next(false)));
    }
    out.extend(std::iter::from_fn(|| framer.next(true)));
    out.into_iter().map(|message| (message.bytes, message.cut)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Counters;
    use crossbeam_channel::Receiver;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpStream;

    fn start(transport: Transport, room: usize) -> (SocketAddr, Receiver<Item>, Intake) {
        let config = SyslogConfig { listen: "127.0.0.1:0".into(), transport, time_zone: None };
        let listener = Listener::open(&config).unwrap();
        let address = listener.address().unwrap();
        let (queue, items) = crossbeam_channel::bounded(room);
        let intake = Intake::new(queue, Arc::new(Counters::default()), service::Shutdown::new());
        tokio::spawn(listener.serve(intake.clone(), Clock::manual(0)));
        (address, items, intake)
    }

    async fn take(items: &Receiver<Item>, count: usize) -> Vec<String> {
        let mut out = Vec::new();
        for _ in 0..2_000 {
            while let Ok(item) = items.try_recv() {
                out.push(item.event.fields["message"].as_str().unwrap().to_owned());
            }
            if out.len() >= count {
                return out;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("only {out:?}");
    }

    #[tokio::test]
    async fn both_framings_on_one_connection() {
        let (address, items, _) = start(Transport::Tcp, 16);
        let mut stream = TcpStream::connect(address).await.unwrap();
        for piece in [
            &b"<13>Nov 22 15:04:05 h a: one\n33 <13>Nov 22 "[..],
            b"15:04:05 h a: two\nhalf<13>Nov 22 15:04:05 h a: three\n<13>Nov 22 15:04:05 h a: last",
        ] {
            stream.write_all(piece).await.unwrap();
            stream.flush().await.unwrap();
        }
        stream.shutdown().await.unwrap();
        assert_eq!(take(&items, 4).await, ["one", "two\nhalf", "three", "last"]);
    }

    #[tokio::test]
    async fn tcp_senders_wait_and_lose_nothing() {
        let (address, items, intake) = start(Transport::Tcp, 2);
        let mut stream = TcpStream::connect(address).await.unwrap();
        for n in 0..200 {
            stream.write_all(format!("<13>Nov 22 15:04:05 h a: {n}\n").as_bytes()).await.unwrap();
        }
        assert_eq!(take(&items, 200).await.len(), 200);
        let ledger = intake.counters().ledger();
        assert_eq!((ledger.seen, ledger.residue()), (200, 0));
    }

    #[tokio::test]
    async fn datagrams_are_shed_and_counted_when_there_is_no_room() {
        let (address, items, intake) = start(Transport::Udp, 1);
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for n in 0..5 {
            socket
                .send_to(format!("<13>Nov 22 15:04:05 h a: {n}").as_bytes(), address)
                .await
                .unwrap();
        }
        for _ in 0..2_000 {
            if intake.counters().ledger().seen == 5 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let ledger = intake.counters().ledger();
        assert_eq!(ledger.shed.get("queue_full"), Some(&4));
        assert_eq!(ledger.residue(), 0);
        let item = items.recv().unwrap();
        assert_eq!(item.event.fields["log"]["source"]["address"], "127.0.0.1");
    }

    #[tokio::test]
    async fn a_taken_address_is_named() {
        let (address, _items, _) = start(Transport::Tcp, 1);
        let config = SyslogConfig {
            listen: address.to_string(),
            transport: Transport::Tcp,
            time_zone: None,
        };
        let error = Listener::open(&config).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen for syslog on {address}"));
    }
}
