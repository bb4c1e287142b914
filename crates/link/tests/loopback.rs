//! Both ends of the link over loopback TLS: delivery, reconnection, refusal.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use event::{AgentId, Event, Kind, Object, Timestamp};
use link::client::{self, ClientConfig, LinkStatus, SharedSpool};
use link::server::{self, Handler, Peer, ServerIdentity, Verdict};
use link::spool::{Limits, Spool, SpoolKey};
use link::{pki, proto};
use service::{Clock, Secret, Shutdown};
use tokio::net::TcpListener;
use tokio::sync::watch;

#[derive(Default)]
struct Collector {
    stored: Mutex<BTreeMap<(String, u64, u64), usize>>,
    skipped: Mutex<Vec<(u64, u64)>>,
    reports: Mutex<Vec<Vec<u8>>>,
    fail_next: Mutex<usize>,
    refuse: Mutex<bool>,
    reject: Mutex<bool>,
}

impl Handler for Collector {
    async fn hello(&self, peer: &Peer) -> Result<(), String> {
        assert_eq!(peer.host, "host-1");
        if *self.refuse.lock().unwrap() { Err("agent is revoked".into()) } else { Ok(()) }
    }

    async fn batch(&self, peer: &Peer, boot: u64, events: Vec<Event>) -> Verdict {
        let mut fail = self.fail_next.lock().unwrap();
        if *fail > 0 {
            *fail -= 1;
            return Verdict::Unavailable("disk is full".into());
        }
        if *self.reject.lock().unwrap() {
            return Verdict::Rejected("no thanks".into());
        }
        let mut stored = self.stored.lock().unwrap();
        for event in events {
            *stored.entry((peer.agent.to_string(), boot, event.seq)).or_default() += 1;
        }
        Verdict::Stored
    }

    async fn skipped(&self, _: &Peer, _: u64, range: (u64, u64), _: String) -> Verdict {
        self.skipped.lock().unwrap().push(range);
        Verdict::Stored
    }

    async fn report(&self, _: &Peer, json: Vec<u8>) {
        self.reports.lock().unwrap().push(json);
    }

    async fn enrol(
        &self,
        request: proto::EnrolRequest,
        _: Option<SocketAddr>,
    ) -> Result<proto::EnrolReply, String> {
        if request.token_secret != "s3cret" {
            return Err("unknown or used token".into());
        }
        let collectors = vec!["c:1".to_owned()];
        let certificate = request.signing_request;
        Ok(proto::EnrolReply { agent: request.host, certificate, collectors })
    }

    async fn goodbye(&self, _: &Peer) {}
}

struct Pki {
    authority: pki::Authority,
    now: i64,
}

impl Pki {
    fn new() -> Self {
        let now = Clock::system().now_micros() / 1_000_000;
        Self { authority: pki::Authority::create("test", now).unwrap().0, now }
    }

    fn server(&self) -> ServerIdentity {
        ServerIdentity {
            identity: self.authority.server(&["127.0.0.1".to_owned()], self.now).unwrap(),
            authority: self.authority.certificate().to_owned(),
        }
    }

    fn client(&self, port: u16, now: i64) -> ClientConfig {
        let (key, request) = pki::agent_request().unwrap();
        ClientConfig {
            collectors: vec![format!("127.0.0.1:{port}")],
            authority: self.authority.certificate().to_owned(),
            certificate: self.authority.agent(&request, "agent-1", now).unwrap(),
            key: Secret::new(key.expose().to_owned()),
            hello: proto::Hello { host: "host-1".into(), ..proto::Hello::default() },
            drain: Duration::from_secs(20),
        }
    }
}

fn spool(folder: &Path, batches: usize) -> Arc<SharedSpool> {
    let shared = SharedSpool::new(
        Spool::open(folder, SpoolKey::new([1; 32]), Limits::default(), 9).unwrap(),
    );
    append(&shared, batches);
    shared
}

fn append(spool: &SharedSpool, batches: usize) {
    let event = Event {
        seq: 0,
        time: Timestamp::EPOCH,
        seen: Timestamp::EPOCH,
        kind: Kind::Log,
        fields: Object::new(),
    };
    for _ in 0..batches {
        spool.append(&mut vec![event.clone(); 10], b"").unwrap();
    }
}

async fn start(pki: &Pki, port: u16, handler: &Arc<Collector>) -> (u16, Shutdown) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = Shutdown::new();
    tokio::spawn(server::serve(listener, pki.server(), Arc::clone(handler), stop.clone()));
    (port, stop)
}

struct Running {
    status: watch::Receiver<LinkStatus>,
    reports: watch::Sender<Vec<u8>>,
    stop: Shutdown,
    task: tokio::task::JoinHandle<()>,
}

fn ship(config: ClientConfig, spool: &Arc<SharedSpool>) -> Running {
    let (status_in, status) = watch::channel(LinkStatus::default());
    let (reports, report_out) = watch::channel(Vec::new());
    let stop = Shutdown::new();
    let task =
        tokio::spawn(client::run(config, Arc::clone(spool), report_out, status_in, stop.clone()));
    Running { status, reports, stop, task }
}

async fn until(running: &mut Running, what: impl FnMut(&LinkStatus) -> bool) {
    tokio::time::timeout(Duration::from_secs(60), running.status.wait_for(what))
        .await
        .expect("in time")
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_once_and_shutdown_drains() {
    let folder = tempfile::tempdir().unwrap();
    let (pki, collector) = (Pki::new(), Arc::new(Collector::default()));
    let (port, _server) = start(&pki, 0, &collector).await;
    let spool = spool(folder.path(), 100);
    let running = ship(pki.client(port, pki.now), &spool);
    running.reports.send(b"{}".to_vec()).unwrap();
    append(&spool, 100);
    running.stop.trigger();
    running.task.await.unwrap();
    let stored = collector.stored.lock().unwrap();
    assert_eq!(stored.len(), 2_000);
    assert!(stored.values().all(|times| *times == 1));
    assert_eq!(running.status.borrow().acknowledged, 2_000);
    assert_eq!(spool.lock().pending(), 0);
    assert_eq!(collector.reports.lock().unwrap().last().unwrap(), b"{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_fails_or_dies_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (pki, collector) = (Pki::new(), Arc::new(Collector::default()));
    *collector.fail_next.lock().unwrap() = 3;
    let (port, server) = start(&pki, 0, &collector).await;
    let spool = spool(folder.path(), 50);
    let mut running = ship(pki.client(port, pki.now), &spool);
    until(&mut running, |status| status.acknowledged >= 500).await;
    assert!(running.status.borrow().connections >= 4);
    server.trigger();
    until(&mut running, |status| status.connected.is_none()).await;
    append(&spool, 50);
    let (_, _server) = start(&pki, port, &collector).await;
    until(&mut running, |status| status.acknowledged >= 1_000).await;
    assert_eq!(collector.stored.lock().unwrap().len(), 1_000);
    assert_eq!(spool.lock().pending(), 0);
    running.stop.trigger();
    running.task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_collector_serves_when_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (pki, collector) = (Pki::new(), Arc::new(Collector::default()));
    let (port, _server) = start(&pki, 0, &collector).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let spool = spool(folder.path(), 1);
    let mut config = pki.client(port, pki.now);
    config.collectors.insert(0, format!("127.0.0.1:{closed}"));
    let mut running = ship(config, &spool);
    until(&mut running, |status| status.acknowledged == 10).await;
    assert_eq!(running.status.borrow().connected, Some(format!("127.0.0.1:{port}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_batches_are_counted_and_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let (pki, collector) = (Pki::new(), Arc::new(Collector::default()));
    *collector.reject.lock().unwrap() = true;
    let (port, _server) = start(&pki, 0, &collector).await;
    let spool = spool(folder.path(), 2);
    let mut running = ship(pki.client(port, pki.now), &spool);
    until(&mut running, |status| status.rejected == 20).await;
    assert_eq!(spool.lock().pending(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn enrolment_needs_the_token_and_the_right_collector() {
    let (pki, collector) = (Pki::new(), Arc::new(Collector::default()));
    let (port, _server) = start(&pki, 0, &collector).await;
    let authority = pki::fingerprint(pki.authority.certificate()).unwrap();
    let token = |secret: &str, authority| link::enrol::Token {
        id: "t1".into(),
        secret: Secret::new(secret.into()),
        authority,
    };
    let at = ("127.0.0.1", port);
    let enrolled = link::enrol::enrol(at, token("s3cret", authority), "web-1").await.unwrap();
    assert_eq!((enrolled.agent.as_str(), enrolled.collectors[0].as_str()), ("web-1", "c:1"));
    assert!(enrolled.certificate.contains("CERTIFICATE REQUEST"));
    let wrong = link::enrol::enrol(at, token("guess", authority), "web-1").await.unwrap_err();
    let expected = "the collector refuses to enrol this host: unknown or used token";
    assert_eq!(wrong.to_string(), expected);
    let other = link::enrol::enrol(at, token("s3cret", [0; 32]), "web-1").await.unwrap_err();
    assert!(matches!(other, link::enrol::EnrolError::Untrusted { .. }), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shipping_without_a_certificate_is_refused() {
    let (pki, collector) = (Pki::new(), Arc::new(Collector::default()));
    let (port, _server) = start(&pki, 0, &collector).await;
    let tls = tonic::transport::ClientTlsConfig::new()
        .domain_name("127.0.0.1")
        .ca_certificate(tonic::transport::Certificate::from_pem(pki.authority.certificate()));
    let channel = tonic::transport::Endpoint::from_shared(format!("https://127.0.0.1:{port}"))
        .unwrap()
        .tls_config(tls)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let frames = tokio_stream::iter(Vec::<proto::FromAgent>::new());
    let status = proto::link_client::LinkClient::new(channel).ship(frames).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
}

/// Ships with `config` for a while and returns the last error; nothing may be stored.
async fn refused(config: ClientConfig, collector: &Collector) -> String {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path(), 1);
    let mut running = ship(config, &spool);
    until(&mut running, |status| status.last_error.is_some()).await;
    assert!(collector.stored.lock().unwrap().is_empty());
    assert_eq!(spool.lock().pending(), 10);
    running.status.borrow().last_error.clone().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused() {
    let (pki, collector) = (Pki::new(), Arc::new(Collector::default()));
    let (port, _server) = start(&pki, 0, &collector).await;

    let other = Pki::new();
    let mut config = other.client(port, pki.now);
    config.authority = pki.authority.certificate().to_owned();
    let error = refused(config, &collector).await;
    assert!(!error.is_empty());

    // A certificate of the right authority that has expired.
    let expired = pki.client(port, pki.now - 500 * 86_400);
    refused(expired, &collector).await;

    // The agent does not talk to a collector of another authority either.
    let mut config = pki.client(port, pki.now);
    config.authority = other.authority.certificate().to_owned();
    refused(config, &collector).await;

    *collector.refuse.lock().unwrap() = true;
    let error = refused(pki.client(port, pki.now), &collector).await;
    assert!(error.contains("agent is revoked"), "{error}");
    assert!(AgentId::new("agent-1").is_ok());
}
