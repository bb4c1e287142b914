//! Syslog listeners: UDP (RFC 5426), TCP with both framings of RFC 6587, told apart per message, and TLS
//! (RFC 5425).
//!
//! For agent and collector alike: what is received goes into an [`Intake`]. A sender over TCP or TLS
//! waits when the reader is behind; datagrams wait in the kernel's buffer, and those that it
//! drops are counted as it counts them.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use event::Timestamp;
use service::Clock;

use super::{Intake, datagrams};
use crate::config::{SyslogConfig, Transport};

mod framing;
mod peers;
mod streams;
#[cfg(test)]
mod tests;
mod tls;

pub(crate) use peers::PeerCounters;

use peers::Peers;
use streams::Limits;
use tls::Acceptor;

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
    /// No network.
    #[error("{text:?} is no network")]
    Network {
        /// As configured.
        text: String,
    },
    /// TLS needs a certificate and its key.
    #[error("syslog over TLS on {address} needs certificate and key")]
    NoCertificate {
        /// As configured.
        address: String,
    },
    /// A certificate or key cannot be used.
    #[error("cannot use {}: {reason}", path.display())]
    Certificate {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        reason: String,
    },
}

/// An open listener; opened before privileges are dropped and threads started, served afterwards.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    peers: Arc<Peers>,
    limits: Limits,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Tcp(TcpListener, Option<Acceptor>),
}

impl Listener {
    /// Opens the socket of `config`.
    ///
    /// # Errors
    /// [`SyslogError`].
    pub fn open(config: &SyslogConfig) -> Result<Self, SyslogError> {
        let peers = Arc::new(Peers::new(config)?);
        let acceptor = match config.transport {
            Transport::Tls => Some(tls::acceptor(config)?),
            Transport::Udp | Transport::Tcp => None,
        };
        let socket = match config.transport {
            Transport::Udp => {
                datagrams::open(&config.listen, config.receive_megabytes).map(Socket::Udp)
            }
            Transport::Tcp | Transport::Tls => {
                TcpListener::bind(&config.listen).and_then(|socket| {
                    socket.set_nonblocking(true)?;
                    Ok(Socket::Tcp(socket, acceptor))
                })
            }
        };
        let failed = |source| SyslogError::Listen { address: config.listen.clone(), source };
        Ok(Self { socket: socket.map_err(failed)?, peers, limits: Limits::of(config) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Udp(socket) => socket.local_addr(),
            Socket::Tcp(listener, _) => listener.local_addr(),
        }
    }

    /// What it is called in reports.
    #[must_use]
    pub fn name(&self) -> String {
        let kind = match &self.socket {
            Socket::Udp(_) => "udp",
            Socket::Tcp(_, None) => "tcp",
            Socket::Tcp(_, Some(_)) => "tls",
        };
        self.address().map_or_else(|_| kind.to_owned(), |address| format!("{kind} {address}"))
    }

    /// Serves until `intake` stops.
    pub async fn serve(self, intake: Intake, clock: Clock) {
        let stop = intake.shutdown().clone();
        let Self { socket, peers, limits } = self;
        intake.source().set_peers(Arc::clone(peers.counters()));
        let served = async {
            match socket {
                Socket::Udp(socket) => {
                    let take = |bytes: &[u8], peer| {
                        let now = Timestamp::from_micros(clock.now_micros());
                        let (item, parsed) = peers.item(bytes, 0, peer, now);
                        intake.offer(item, parsed, bytes.len())
                    };
                    datagrams::serve(socket, &intake, take).await
                }
                Socket::Tcp(listener, acceptor) => {
                    let server = streams::Server { peers, limits, intake, clock, acceptor };
                    server.serve(listener).await
                }
            }
        };
        tokio::select! {
            outcome = served => if let Err(error) = outcome {
                tracing::error!(%error, "syslog listener failed");
            },
            () = stop.wait() => {}
        }
    }
}

/// The messages of a stream that comes in these pieces, with the bytes cut off each; for fuzzing.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn frames(pieces: &[&[u8]]) -> Vec<(Vec<u8>, u64)> {
    let mut framer = framing::Framer::default();
    let mut out = Vec::new();
    for piece in pieces {
        framer.feed(piece);
        out.extend(std::iter::from_fn(|| framer.next(false)));
    }
    out.extend(std::iter::from_fn(|| framer.next(true)));
    out.into_iter().map(|message| (message.bytes, message.cut)).collect()
}
