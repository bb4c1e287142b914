//! Both ends of the link for tests: a collector that keeps what it gets, an agent, their certificates.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use event::{Event, Kind, Object, Timestamp};
use link::client::{self, ClientConfig, LinkStatus, SharedSpool};
use link::server::{self, Handler, Peer, ServerIdentity, Verdict};
use link::spool::{Limits, Spool, SpoolKey};
use link::{pki, proto};
use service::{Clock, Secret, Shutdown};
use tokio::net::TcpListener;
use tokio::sync::watch;

#[derive(Default)]
pub(crate) struct Collector {
    pub(crate) stored: Mutex<BTreeMap<(String, u64, u64), usize>>,
    pub(crate) skipped: Mutex<Vec<(u64, u64)>>,
    pub(crate) reports: Mutex<Vec<Vec<u8>>>,
    pub(crate) fail_next: Mutex<usize>,
    pub(crate) refuse: Mutex<bool>,
    pub(crate) reject: Mutex<bool>,
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

pub(crate) struct Pki {
    pub(crate) authority: pki::Authority,
    pub(crate) now: i64,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let now = Clock::system().now_micros() / 1_000_000;
        Self { authority: pki::Authority::create("test", now).unwrap().0, now }
    }

    pub(crate) fn server(&self) -> ServerIdentity {
        ServerIdentity {
            identity: self.authority.server(&["127.0.0.1".to_owned()], self.now).unwrap(),
            authority: self.authority.certificate().to_owned(),
        }
    }

    pub(crate) fn client(&self, port: u16, now: i64) -> ClientConfig {
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

pub(crate) fn spool(folder: &Path, batches: usize) -> Arc<SharedSpool> {
    let shared = SharedSpool::new(
        Spool::open(folder, SpoolKey::new([1; 32]), Limits::default(), 9).unwrap(),
    );
    append(&shared, batches);
    shared
}

pub(crate) fn append(spool: &SharedSpool, batches: usize) {
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

pub(crate) async fn start(pki: &Pki, port: u16, handler: &Arc<Collector>) -> (u16, Shutdown) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = Shutdown::new();
    tokio::spawn(server::serve(listener, pki.server(), Arc::clone(handler), stop.clone()));
    (port, stop)
}

pub(crate) struct Running {
    pub(crate) status: watch::Receiver<LinkStatus>,
    pub(crate) reports: watch::Sender<Vec<u8>>,
    pub(crate) stop: Shutdown,
    pub(crate) task: tokio::task::JoinHandle<()>,
}

pub(crate) fn ship(config: ClientConfig, spool: &Arc<SharedSpool>) -> Running {
    let (status_in, status) = watch::channel(LinkStatus::default());
    let (reports, report_out) = watch::channel(Vec::new());
    let stop = Shutdown::new();
    let task =
        tokio::spawn(client::run(config, Arc::clone(spool), report_out, status_in, stop.clone()));
    Running { status, reports, stop, task }
}

pub(crate) async fn until(running: &mut Running, what: impl FnMut(&LinkStatus) -> bool) {
    tokio::time::timeout(Duration::from_secs(60), running.status.wait_for(what))
        .await
        .expect("in time")
        .unwrap();
}
