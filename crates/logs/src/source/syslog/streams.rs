//! Streams: connections over TCP and TLS, bounded in number, in all and from one address.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use event::Timestamp;
use service::Clock;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::framing::Framer;
use super::peers::Peers;
use super::tls::Acceptor;
use crate::config::SyslogConfig;
use crate::source::{Intake, Stopped};

/// Longest wait for a sender to agree on TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted, such as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Bounds of the connections of a listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    connections: usize,
    each: usize,
    idle: Duration,
}

impl Limits {
    pub(super) const fn of(config: &SyslogConfig) -> Self {
        Self {
            connections: config.connections,
            each: config.connections_per_peer,
            idle: Duration::from_secs(config.idle_seconds),
        }
    }
}

/// Connections by address.
#[derive(Debug, Default)]
struct Open(Mutex<BTreeMap<IpAddr, usize>>);

/// A place of one connection; given back when dropped.
struct Place(Arc<Open>, IpAddr);

impl Open {
    fn place(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Place(Arc::clone(self), address))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.1) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.1);
            }
        }
    }
}

/// What serves the connections of a listener. Cheap to clone.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) peers: Arc<Peers>,
    pub(super) limits: Limits,
    pub(super) intake: Intake,
    pub(super) clock: Clock,
    pub(super) acceptor: Option<Acceptor>,
}

impl Server {
    /// Accepts until the intake stops. While all places are taken nobody is accepted: senders wait.
    pub(super) async fn serve(self, listener: StdListener) -> io::Result<()> {
        let listener = TcpListener::from_std(listener)?;
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let open = Arc::new(Open::default());
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.intake.source().count_error();
                    tracing::warn!(%error, "syslog connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let Some(own) = open.place(peer.ip(), self.limits.each) else {
                self.intake.source().count_error();
                tracing::warn!(%peer, "too many syslog connections from one address");
                continue;
            };
            let server = self.clone();
            tokio::spawn(async move {
                let stop = server.intake.shutdown().clone();
                tokio::select! {
                    outcome = server.connection(stream, peer) => if let Err(error) = outcome {
                        server.intake.source().count_error();
                        tracing::warn!(%peer, %error, "syslog sender disconnected");
                    },
                    () = stop.wait() => {}
                }
                drop((place, own));
            });
        }
        Ok(())
    }

    async fn connection(&self, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        let Some(acceptor) = &self.acceptor else { return self.messages(stream, peer).await };
        let agreed = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
        let stream = agreed.map_err(|_| io::Error::other("TLS was not agreed on in time"))??;
        self.messages(stream, peer).await
    }

    async fn messages(
        &self,
        mut stream: impl AsyncRead + Unpin,
        peer: SocketAddr,
    ) -> io::Result<()> {
        let mut framer = Framer::default();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = tokio::time::timeout(self.limits.idle, stream.read(&mut buffer)).await;
            let read = read.map_err(|_| io::Error::other("silent for too long"))?;
            // What came before the end of a broken connection is kept; the sender is told of below.
            let (length, broken) = match read {
                Ok(length) => (length, None),
                Err(error) => (0, Some(error)),
            };
            framer.feed(buffer.get(..length).unwrap_or_default());
            while let Some(message) = framer.next(length == 0) {
                let now = Timestamp::from_micros(self.clock.now_micros());
                let bytes = &message.bytes;
                let (item, parsed) = self.peers.item(bytes, message.cut, peer, now);
                let passed = self.intake.wait_async(item, parsed, bytes.len()).await;
                passed.map_err(|Stopped| io::Error::other("the reader stops"))?;
            }
            match (length, broken) {
                (0, None) => return Ok(()),
                // Many senders over TLS end without saying so.
                (0, Some(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                (0, Some(error)) => return Err(error),
                _ => {}
            }
        }
    }
}
