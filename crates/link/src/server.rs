//! The collector's end of the link: who is talking, what they send, when it is acknowledged.
//!
//! A peer is what its certificate says. Frames of one connection are handled in their order; an
//! acknowledgement goes out only after the [`Handler`] says that the batch is durable.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use event::{AgentId, Event};
use service::Shutdown;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::proto::link_server::{Link, LinkServer};
use crate::proto::{self, FromAgent, FromCollector, from_agent, from_collector};
use crate::{MAX_MESSAGE, payload, pki};

/// Longest wait for the greeting of a new connection.
const GREETING: Duration = Duration::from_secs(10);
/// Longest name, zone or region taken from a greeting, characters.
const MAX_NAME: usize = 255;

/// One connected agent.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Identity, from the certificate.
    pub agent: AgentId,
    /// Where it connects from.
    pub address: Option<SocketAddr>,
    /// When its certificate expires, seconds since the epoch.
    pub expires: i64,
    /// Its version, as it says.
    pub version: String,
    /// Its host, as it says.
    pub host: String,
    /// Its zone, as it says.
    pub zone: String,
    /// Its region, as it says.
    pub region: String,
}

impl Peer {
    /// The origin of events this peer sends.
    #[must_use]
    pub fn origin(&self) -> event::Origin {
        event::Origin {
            agent: self.agent.clone(),
            host: self.host.clone(),
            version: self.version.clone(),
            zone: self.zone.clone(),
            region: self.region.clone(),
        }
    }
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Durable, or already there.
    Stored,
    /// Never to be taken; the agent forgets it and counts it.
    Rejected(String),
    /// Not now; the connection is closed and the agent tries again later.
    Unavailable(String),
}

/// What the collector does with what agents send.
pub trait Handler: Send + Sync + 'static {
    /// A peer connects; an error refuses it, in words it may see.
    fn hello(&self, peer: &Peer) -> impl Future<Output = Result<(), String>> + Send;
    /// Events of `boot`, in sequence.
    fn batch(
        &self,
        peer: &Peer,
        boot: u64,
        events: Vec<Event>,
    ) -> impl Future<Output = Verdict> + Send;
    /// Events that will never come.
    fn skipped(
        &self,
        peer: &Peer,
        boot: u64,
        range: (u64, u64),
        reason: String,
    ) -> impl Future<Output = Verdict> + Send;
    /// The agent's own report, JSON.
    fn report(&self, peer: &Peer, json: Vec<u8>) -> impl Future<Output = ()> + Send;
    /// A host without a certificate presents a token; an error refuses it, in words it may see.
    fn enrol(
        &self,
        request: proto::EnrolRequest,
        address: Option<SocketAddr>,
    ) -> impl Future<Output = Result<proto::EnrolReply, String>> + Send;
    /// The connection ended.
    fn goodbye(&self, peer: &Peer) -> impl Future<Output = ()> + Send;
}

/// Certificates of the listening side, PEM.
#[derive(Debug)]
pub struct ServerIdentity {
    /// Server certificate and key.
    pub identity: pki::Identity,
    /// Authority that agents' certificates must come from.
    pub authority: String,
}

/// Serves agents on `listener` until `shutdown`. Shipping needs a certificate of the authority, a
/// certificate of another one fails the handshake; TLS 1.2 and 1.3 only.
///
/// # Errors
/// When the certificates cannot be used or the listener fails.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    identity: ServerIdentity,
    handler: Arc<H>,
    shutdown: Shutdown,
) -> Result<(), tonic::transport::Error> {
    let pair = Identity::from_pem(&identity.identity.chain, identity.identity.key.expose());
    let tls = ServerTlsConfig::new()
        .identity(pair)
        .client_ca_root(Certificate::from_pem(&identity.authority))
        .client_auth_optional(true)
        .timeout(GREETING);
    let stop = shutdown.clone();
    let service = LinkServer::new(Service { handler, shutdown })
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    Server::builder()
        .tls_config(tls)?
        .tcp_nodelay(true)
        .http2_keepalive_interval(Some(Duration::from_secs(15)))
        .http2_keepalive_timeout(Some(Duration::from_secs(15)))
        .max_concurrent_streams(Some(4))
        .add_service(service)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async move {
            stop.wait().await;
        })
        .await
}

struct Service<H> {
    handler: Arc<H>,
    shutdown: Shutdown,
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}

/// Identity and expiry from the client certificate.
fn identify(request: &Request<Streaming<FromAgent>>) -> Result<Peer, Status> {
    let info = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>();
    let certificates = info.and_then(TlsConnectInfo::peer_certs);
    let leaf = certificates.as_ref().and_then(|chain| chain.first());
    let leaf = leaf.ok_or_else(|| Status::unauthenticated("no client certificate"))?;
    let (name, expires) =
        pki::subject(leaf).map_err(|error| Status::unauthenticated(error.to_string()))?;
    let agent = AgentId::new(&name).map_err(|error| Status::unauthenticated(error.to_string()))?;
    Ok(Peer {
        agent,
        address: request.remote_addr(),
        expires,
        version: String::new(),
        host: String::new(),
        zone: String::new(),
        region: String::new(),
    })
}

#[tonic::async_trait]
impl<H: Handler> Link for Service<H> {
    type ShipStream = ReceiverStream<Result<FromCollector, Status>>;

    async fn ship(
        &self,
        request: Request<Streaming<FromAgent>>,
    ) -> Result<Response<Self::ShipStream>, Status> {
        let peer = identify(&request)?;
        let (answers, stream) = mpsc::channel(64);
        let connection =
            Connection { handler: Arc::clone(&self.handler), peer, answers, started: false };
        let shutdown = self.shutdown.clone();
        tokio::spawn(connection.run(request.into_inner(), shutdown));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn enrol(
        &self,
        request: Request<proto::EnrolRequest>,
    ) -> Result<Response<proto::EnrolReply>, Status> {
        let address = request.remote_addr();
        let mut request = request.into_inner();
        request.host = short(&request.host);
        request.version = short(&request.version);
        let reply = self.handler.enrol(request, address).await;
        reply.map(Response::new).map_err(Status::permission_denied)
    }
}

struct Connection<H> {
    handler: Arc<H>,
    peer: Peer,
    answers: mpsc::Sender<Result<FromCollector, Status>>,
    started: bool,
}

impl<H: Handler> Connection<H> {
    async fn run(mut self, mut inbound: Streaming<FromAgent>, shutdown: Shutdown) {
        let outcome = tokio::select! {
            outcome = self.converse(&mut inbound) => outcome,
            () = shutdown.wait() => Err(Status::unavailable("collector is stopping")),
        };
        if let Err(status) = outcome
            && self.answers.send(Err(status)).await.is_err()
        {
            tracing::debug!(agent = %self.peer.agent, "agent left before its answer");
        }
        if self.started {
            self.handler.goodbye(&self.peer).await;
        }
    }

    async fn converse(&mut self, inbound: &mut Streaming<FromAgent>) -> Result<(), Status> {
        let first = tokio::time::timeout(GREETING, inbound.message())
            .await
            .map_err(|_| Status::deadline_exceeded("no greeting"))??;
        let Some(from_agent::Frame::Hello(hello)) = first.and_then(|message| message.frame) else {
            return Err(Status::invalid_argument("the first frame must be Hello"));
        };
        self.greet(hello).await?;
        while let Some(message) = inbound.message().await? {
            match message.frame {
                Some(from_agent::Frame::Batch(batch)) => self.batch(batch).await?,
                Some(from_agent::Frame::Skipped(skipped)) => self.skipped(skipped).await?,
                Some(from_agent::Frame::Report(report)) => {
                    self.handler.report(&self.peer, report.json).await;
                }
                Some(from_agent::Frame::Hello(_)) => {
                    return Err(Status::invalid_argument("a second Hello"));
                }
                // A frame of a newer protocol: it may be left out by definition.
                None => {}
            }
        }
        Ok(())
    }

    async fn greet(&mut self, hello: proto::Hello) -> Result<(), Status> {
        self.peer.version = short(&hello.version);
        self.peer.host = short(&hello.host);
        self.peer.zone = short(&hello.zone);
        self.peer.region = short(&hello.region);
        self.handler.hello(&self.peer).await.map_err(Status::permission_denied)?;
        self.started = true;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let welcome = proto::Welcome { version, collector: String::new() };
        self.send(from_collector::Frame::Welcome(welcome)).await
    }

    async fn send(&self, frame: from_collector::Frame) -> Result<(), Status> {
        let message = FromCollector { frame: Some(frame) };
        self.answers.send(Ok(message)).await.map_err(|_| Status::cancelled("agent left"))
    }

    async fn batch(&self, batch: proto::Batch) -> Result<(), Status> {
        let proto::Batch { boot, first_seq, last_seq, payload } = batch;
        let unpacked =
            tokio::task::spawn_blocking(move || payload::unpack(&payload, first_seq, last_seq));
        let verdict = match unpacked.await.map_err(|_| Status::internal("unpacking failed"))? {
            Ok(events) => self.handler.batch(&self.peer, boot, events).await,
            Err(error) => Verdict::Rejected(error.to_string()),
        };
        self.conclude(verdict, boot, (first_seq, last_seq)).await
    }

    async fn skipped(&self, skipped: proto::Skipped) -> Result<(), Status> {
        let proto::Skipped { boot, first_seq, last_seq, reason } = skipped;
        let range = (first_seq, last_seq);
        let verdict = if first_seq > last_seq {
            Verdict::Rejected("range is empty".to_owned())
        } else {
            self.handler.skipped(&self.peer, boot, range, short(&reason)).await
        };
        self.conclude(verdict, boot, range).await
    }

    async fn conclude(
        &self,
        verdict: Verdict,
        boot: u64,
        (first_seq, last_seq): (u64, u64),
    ) -> Result<(), Status> {
        let frame = match verdict {
            Verdict::Stored => from_collector::Frame::Ack(proto::Ack { boot, last_seq }),
            Verdict::Rejected(reason) => {
                tracing::warn!(agent = %self.peer.agent, first_seq, last_seq, reason, "rejected");
                from_collector::Frame::Reject(proto::Reject { boot, first_seq, last_seq, reason })
            }
            Verdict::Unavailable(reason) => return Err(Status::unavailable(reason)),
        };
        self.send(frame).await
    }
}
