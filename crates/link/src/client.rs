//! The agent's end of the link: connects, ships what the spool holds, takes acknowledgements.
//!
//! Collectors are tried in their order; after a failure the wait doubles up to a minute, with
//! jitter, so that a thousand agents do not return at once. Nothing leaves the spool before it is
//! acknowledged; after a reconnect everything unacknowledged is sent again and the collector drops
//! what it has already.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use service::{Secret, Shutdown};
use tokio::sync::{Notify, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::proto::link_client::LinkClient;
use crate::proto::{self, FromAgent, FromCollector, from_agent, from_collector};
use crate::spool::{Cursor, Item, Spool, SpoolError};
use crate::{MAX_MESSAGE, PROTOCOL};

/// Batches sent and not yet acknowledged.
const WINDOW: usize = 32;
/// First and longest wait between attempts.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));
const CONNECT: Duration = Duration::from_secs(10);

/// A spool shared between those who append and the one who ships.
#[derive(Debug)]
pub struct SharedSpool {
    spool: Mutex<Spool>,
    appended: Notify,
}

impl SharedSpool {
    /// Shares `spool`.
    #[must_use]
    pub fn new(spool: Spool) -> Arc<Self> {
        Arc::new(Self { spool: Mutex::new(spool), appended: Notify::new() })
    }

    /// The spool itself.
    pub fn lock(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends events and wakes the shipper.
    ///
    /// # Errors
    /// As [`Spool::append`].
    pub fn append(&self, events: &mut [event::Event], note: &[u8]) -> Result<(), SpoolError> {
        self.lock().append(events, note)?;
        self.appended.notify_one();
        Ok(())
    }
}

/// How to reach the collectors, and as whom.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `host:port`, in order of preference.
    pub collectors: Vec<String>,
    /// Certificate of the collectors' authority, PEM.
    pub authority: String,
    /// The agent's certificate, PEM.
    pub certificate: String,
    /// The agent's key, PEM.
    pub key: Secret,
    /// What the agent says of itself.
    pub hello: proto::Hello,
    /// Seconds to go on shipping after the shutdown, until the spool is empty.
    pub drain: Duration,
}

/// What the link has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct LinkStatus {
    /// Collector connected to, if any.
    pub connected: Option<String>,
    /// Events acknowledged.
    pub acknowledged: u64,
    /// Events the collector will never take.
    pub rejected: u64,
    /// Events reported as skipped.
    pub skipped: u64,
    /// Connections made.
    pub connections: u64,
    /// Last reason for a disconnection.
    pub last_error: Option<String>,
}

/// Why a connection ended; always tried again.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("cannot connect to {collector}: {reason}")]
    Connect { collector: String, reason: String },
    #[error("collector refused or failed: {0}")]
    Status(Box<tonic::Status>),
    #[error("collector closed the connection")]
    Closed,
    #[error("collector does not answer the greeting")]
    Silent,
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

impl From<tonic::Status> for LinkError {
    fn from(status: tonic::Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// Ships until `shutdown`, and then until the spool is empty or `config.drain` is over.
/// `reports` holds the newest report of the agent as JSON, sent when it changes.
pub async fn run(
    config: ClientConfig,
    spool: Arc<SharedSpool>,
    reports: watch::Receiver<Vec<u8>>,
    status: watch::Sender<LinkStatus>,
    shutdown: Shutdown,
) {
    let mut shipper = Shipper { config, spool, reports, status, shutdown };
    let mut attempt = 0_u32;
    let mut index = 0_usize;
    loop {
        let count = shipper.config.collectors.len().max(1);
        let at = index.checked_rem(count).unwrap_or(0);
        let Some(collector) = shipper.config.collectors.get(at).cloned() else {
            return tracing::error!("no collector is configured");
        };
        let before = shipper.answered();
        match shipper.connection(&collector).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(collector, %error, "link is down");
                shipper.status.send_modify(|status| {
                    status.connected = None;
                    status.last_error = Some(error.to_string());
                });
            }
        }
        // A collector that greets and then takes nothing is as good as an absent one.
        let useful = shipper.answered() > before;
        attempt = if useful { 0 } else { attempt.saturating_add(1) };
        index = if useful { 0 } else { index.saturating_add(1) };
        if shipper.shutdown.is_triggered() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(backoff(attempt)) => {}
            () = shipper.shutdown.wait() => {}
        }
    }
}

/// Wait before attempt number `attempt`: doubling, capped, between half and all of it.
fn backoff(attempt: u32) -> Duration {
    let (first, most) = BACKOFF;
    let full = first.saturating_mul(2_u32.saturating_pow(attempt.min(16))).min(most);
    let mut byte = [0_u8; 1];
    if aws_lc_rs::rand::fill(&mut byte).is_err() {
        return full;
    }
    let [jitter] = byte;
    let half = full.checked_div(2).unwrap_or(full);
    half.saturating_add(half.mul_f64(f64::from(jitter) / 255.0))
}

struct Shipper {
    config: ClientConfig,
    spool: Arc<SharedSpool>,
    reports: watch::Receiver<Vec<u8>>,
    status: watch::Sender<LinkStatus>,
    shutdown: Shutdown,
}

/// State of one connection.
struct Session {
    outbound: mpsc::Sender<FromAgent>,
    inbound: Streaming<FromCollector>,
    cursor: Cursor,
    /// (boot, last sequence, events) sent and not yet answered.
    flying: VecDeque<(u64, u64, u64)>,
}

impl Shipper {
    /// Events a collector has answered for, so far.
    fn answered(&self) -> u64 {
        let status = self.status.borrow();
        status.acknowledged.saturating_add(status.rejected)
    }

    async fn connection(&mut self, collector: &str) -> Result<(), LinkError> {
        let mut session = self.connect(collector).await?;
        tracing::info!(collector, "link is up");
        self.status.send_modify(|status| {
            status.connected = Some(collector.to_owned());
            status.connections = status.connections.saturating_add(1);
        });
        self.reports.mark_changed();
        let shutdown = self.shutdown.clone();
        let mut deadline = None;
        loop {
            while session.flying.len() < WINDOW && self.send_next(&mut session).await? {}
            let idle = session.flying.is_empty();
            if shutdown.is_triggered() {
                let since = *deadline.get_or_insert_with(tokio::time::Instant::now);
                if idle || since.elapsed() >= self.config.drain {
                    return Ok(());
                }
            }
            let spool = Arc::clone(&self.spool);
            tokio::select! {
                message = session.inbound.message() => {
                    self.answer(&mut session, message?.ok_or(LinkError::Closed)?)?;
                }
                () = spool.appended.notified() => {}
                changed = self.reports.changed() => {
                    if changed.is_ok() {
                        let json = self.reports.borrow_and_update().clone();
                        let report = from_agent::Frame::Report(proto::Report { json });
                        send(&session.outbound, report).await?;
                    } else {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
                () = shutdown.wait(), if deadline.is_none() => {}
                () = tokio::time::sleep(Duration::from_millis(200)), if deadline.is_some() => {}
            }
        }
    }

    async fn connect(&self, collector: &str) -> Result<Session, LinkError> {
        let failed =
            |reason: String| LinkError::Connect { collector: collector.to_owned(), reason };
        let channel =
            self.channel(collector).await.map_err(|error| failed(service::causes(&error)))?;
        let mut client = LinkClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let (outbound, frames) = mpsc::channel(4);
        let mut hello = self.config.hello.clone();
        hello.protocol = PROTOCOL;
        send(&outbound, from_agent::Frame::Hello(hello)).await?;
        let greeting = async {
            let mut inbound = client.ship(ReceiverStream::new(frames)).await?.into_inner();
            let first = inbound.message().await?.and_then(|message| message.frame);
            match first {
                Some(from_collector::Frame::Welcome(welcome)) => {
                    tracing::debug!(version = welcome.version, "collector says welcome");
                    Ok(inbound)
                }
                _ => Err(LinkError::Silent),
            }
        };
        let inbound =
            tokio::time::timeout(CONNECT, greeting).await.map_err(|_| LinkError::Silent)??;
        Ok(Session { outbound, inbound, cursor: Cursor::default(), flying: VecDeque::new() })
    }

    async fn channel(&self, collector: &str) -> Result<Channel, tonic::transport::Error> {
        let host = collector.rsplit_once(':').map_or(collector, |(host, _)| host);
        let tls = ClientTlsConfig::new()
            .domain_name(host.trim_start_matches('[').trim_end_matches(']'))
            .ca_certificate(Certificate::from_pem(&self.config.authority))
            .identity(Identity::from_pem(&self.config.certificate, self.config.key.expose()));
        Endpoint::from_shared(format!("https://{collector}"))?
            .tls_config(tls)?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(true)
            .connect()
            .await
    }

    /// Sends the next item of the spool; false when there is none.
    async fn send_next(&self, session: &mut Session) -> Result<bool, LinkError> {
        let spool = Arc::clone(&self.spool);
        let cursor = session.cursor;
        let read = tokio::task::spawn_blocking(move || spool.lock().read(cursor)).await;
        let Some((item, next)) = read.map_err(|_| LinkError::Closed)?? else { return Ok(false) };
        let (boot, first_seq, last_seq) = match &item {
            Item::Batch { boot, first_seq, last_seq, .. } => (*boot, *first_seq, *last_seq),
            Item::Skipped(skipped) => (skipped.boot, skipped.first_seq, skipped.last_seq),
        };
        let events = last_seq.saturating_sub(first_seq).saturating_add(1);
        let frame = match item {
            Item::Batch { payload, .. } => {
                from_agent::Frame::Batch(proto::Batch { boot, first_seq, last_seq, payload })
            }
            Item::Skipped(skipped) => {
                self.status.send_modify(|status| {
                    status.skipped = status.skipped.saturating_add(events);
                });
                let reason = skipped.reason.to_owned();
                from_agent::Frame::Skipped(proto::Skipped { boot, first_seq, last_seq, reason })
            }
        };
        send(&session.outbound, frame).await?;
        session.cursor = next;
        session.flying.push_back((boot, last_seq, events));
        Ok(true)
    }

    fn answer(&self, session: &mut Session, message: FromCollector) -> Result<(), LinkError> {
        let (boot, last_seq, rejected) = match message.frame {
            Some(from_collector::Frame::Ack(ack)) => (ack.boot, ack.last_seq, false),
            Some(from_collector::Frame::Reject(reject)) => {
                let (first, last) = (reject.first_seq, reject.last_seq);
                tracing::error!(first, last, reason = reject.reason, "collector rejected events");
                (reject.boot, reject.last_seq, true)
            }
            Some(from_collector::Frame::Welcome(_)) | None => return Ok(()),
        };
        let mut events = 0_u64;
        while let Some((flying_boot, last, count)) = session.flying.front().copied()
            && flying_boot == boot
            && last <= last_seq
        {
            events = events.saturating_add(count);
            session.flying.pop_front();
        }
        let deleted = self.spool.lock().acknowledge(boot, last_seq);
        self.status.send_modify(|status| {
            let counter = if rejected { &mut status.rejected } else { &mut status.acknowledged };
            *counter = counter.saturating_add(events);
        });
        Ok(deleted?)
    }
}

async fn send(
    outbound: &mpsc::Sender<FromAgent>,
    frame: from_agent::Frame,
) -> Result<(), LinkError> {
    let message = FromAgent { frame: Some(frame) };
    outbound.send(message).await.map_err(|_| LinkError::Closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_to_a_minute() {
        for attempt in 0..40 {
            let wait = backoff(attempt);
            let full = Duration::from_millis(250)
                .saturating_mul(2_u32.saturating_pow(attempt.min(16)))
                .min(Duration::from_secs(60));
            assert!(wait <= full && wait >= full / 2, "{attempt}: {wait:?}");
        }
    }
}
