//! Peers that do not keep to the protocol, on either side: nobody panics, hangs or believes them.

use std::sync::Arc;
use std::time::Duration;

use link::proto::{self, FromAgent, FromCollector, from_agent, from_collector};
use link::{payload, server::ServerIdentity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Response, Status, Streaming};

use crate::testing::{Collector, Pki, ship, spool, start, until};

const PATIENCE: Duration = Duration::from_secs(30);

/// An agent with a good certificate that sends whatever a test likes.
struct Agent {
    frames: mpsc::Sender<FromAgent>,
    answers: Streaming<FromCollector>,
}

impl Agent {
    async fn connect(pki: &Pki, port: u16, first: from_agent::Frame) -> Result<Self, Status> {
        let config = pki.client(port, pki.now);
        let tls = ClientTlsConfig::new()
            .domain_name("127.0.0.1")
            .ca_certificate(Certificate::from_pem(&config.authority))
            .identity(Identity::from_pem(&config.certificate, config.key.expose()));
        let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{port}")).unwrap();
        let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
        let (frames, stream) = mpsc::channel(64);
        frames.send(FromAgent { frame: Some(first) }).await.unwrap();
        let mut client =
            proto::link_client::LinkClient::new(channel).max_encoding_message_size(64 << 20);
        let answers = client.ship(ReceiverStream::new(stream)).await?.into_inner();
        Ok(Self { frames, answers })
    }

    async fn send(
        &mut self,
        frame: Option<from_agent::Frame>,
    ) -> Result<Option<FromCollector>, Status> {
        self.frames.send(FromAgent { frame }).await.unwrap();
        self.answer().await
    }

    async fn answer(&mut self) -> Result<Option<FromCollector>, Status> {
        tokio::time::timeout(PATIENCE, self.answers.message()).await.expect("an answer")
    }
}

fn hello() -> from_agent::Frame {
    from_agent::Frame::Hello(proto::Hello { host: "host-1".into(), ..proto::Hello::default() })
}

fn batch(first_seq: u64, last_seq: u64, payload: Vec<u8>) -> Option<from_agent::Frame> {
    Some(from_agent::Frame::Batch(proto::Batch { boot: 1, first_seq, last_seq, payload }))
}

fn said(answer: Result<Option<FromCollector>, Status>) -> String {
    match answer.map(|answer| answer.and_then(|answer| answer.frame)) {
        Ok(Some(from_collector::Frame::Ack(ack))) => format!("ack {}", ack.last_seq),
        Ok(Some(from_collector::Frame::Reject(no))) => {
            format!("reject {}-{}: {}", no.first_seq, no.last_seq, no.reason)
        }
        Ok(Some(from_collector::Frame::Welcome(_))) => "welcome".to_owned(),
        Ok(None) => "end".to_owned(),
        Err(status) => format!("{:?}: {}", status.code(), status.message()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_must_begin_with_one_greeting() {
    let (pki, collector) = (Pki::new(), Arc::new(Collector::default()));
    let (port, _server) = start(&pki, 0, &collector).await;
    let first = batch(1, 1, Vec::new()).unwrap();
    let mut agent = Agent::connect(&pki, port, first).await.unwrap();
    assert_eq!(said(agent.answer().await), "InvalidArgument: the first frame must be Hello");
    let mut agent = Agent::connect(&pki, port, hello()).await.unwrap();
    assert_eq!(said(agent.answer().await), "welcome");
    assert_eq!(said(agent.send(Some(hello())).await), "InvalidArgument: a second Hello");
    assert!(collector.stored.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_batches_are_rejected_and_the_conversation_goes_on() {
    let (pki, collector) = (Pki::new(), Arc::new(Collector::default()));
    let (port, _server) = start(&pki, 0, &collector).await;
    let mut agent = Agent::connect(&pki, port, hello()).await.unwrap();
    assert_eq!(said(agent.answer().await), "welcome");
    let empty = payload::pack(&[]).unwrap();
    let bomb = vec![b'\n'; usize::try_from(payload::MAX_PLAIN).unwrap() + 1];
    let bomb = zstd::encode_all(&bomb[..], 1).unwrap();
    for (frame, expected) in [
        (batch(1, 1, b"garbage".to_vec()), "reject 1-1: batch payload cannot be decompressed"),
        (batch(1, 1, Vec::new()), "reject 1-1: batch payload cannot be decompressed"),
        (batch(1, 2, empty.clone()), "reject 1-2: batch announces 2 events and holds 0"),
        (batch(5, 4, empty.clone()), "reject 5-4: batch announces the impossible range 5 to 4"),
        (
            batch(0, u64::MAX, empty),
            "reject 0-18446744073709551615: batch announces the impossible range 0 to 18446744073709551615",
        ),
        (batch(1, 1, bomb), "reject 1-1: line 1 of the batch is no event"),
    ] {
        assert_eq!(said(agent.send(frame).await), expected);
    }
    let backward = proto::Skipped { boot: 1, first_seq: 3, last_seq: 2, reason: String::new() };
    let answer = agent.send(Some(from_agent::Frame::Skipped(backward))).await;
    assert_eq!(said(answer), "reject 3-2: range is empty");
    // A frame of a newer protocol is left out; what comes behind it is answered.
    agent.frames.send(FromAgent { frame: None }).await.unwrap();
    let skipped = proto::Skipped { boot: 1, first_seq: 1, last_seq: 2, reason: "x\u{1b}".into() };
    assert_eq!(said(agent.send(Some(from_agent::Frame::Skipped(skipped))).await), "ack 2");
    assert_eq!(*collector.skipped.lock().unwrap(), [(1, 2)]);
    assert!(collector.stored.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_the_limit_ends_the_conversation() {
    let (pki, collector) = (Pki::new(), Arc::new(Collector::default()));
    let (port, _server) = start(&pki, 0, &collector).await;
    let mut agent = Agent::connect(&pki, port, hello()).await.unwrap();
    assert_eq!(said(agent.answer().await), "welcome");
    let answer = said(agent.send(batch(1, 1, vec![0; link::MAX_MESSAGE + 1])).await);
    assert!(answer.starts_with("OutOfRange"), "{answer}");
    // Others are served meanwhile and afterwards.
    let mut other = Agent::connect(&pki, port, hello()).await.unwrap();
    assert_eq!(said(other.answer().await), "welcome");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_silence_on_the_socket_keep_nobody_out() {
    let (pki, collector) = (Pki::new(), Arc::new(Collector::default()));
    let (port, _server) = start(&pki, 0, &collector).await;
    let mut silent = Vec::new();
    for garbage in [
        &b""[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0x16, 3, 1, 0xff, 0xff],
        &[0; 4_096],
    ] {
        for _ in 0..8 {
            let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            socket.write_all(garbage).await.unwrap();
            silent.push(socket);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path(), 3);
    let mut running = ship(pki.client(port, pki.now), &spool);
    until(&mut running, |status| status.acknowledged == 30).await;
    drop(silent);
}

/// A collector with a good certificate that answers whatever a test likes.
struct Liar {
    answers: Vec<Result<FromCollector, Status>>,
}

#[tonic::async_trait]
impl proto::link_server::Link for Liar {
    type ShipStream = ReceiverStream<Result<FromCollector, Status>>;

    async fn ship(
        &self,
        request: Request<Streaming<FromAgent>>,
    ) -> Result<Response<Self::ShipStream>, Status> {
        let mut inbound = request.into_inner();
        let answers = self.answers.clone();
        let (out, stream) = mpsc::channel(64);
        tokio::spawn(async move {
            for answer in answers {
                let _left = out.send(answer).await;
            }
            while let Ok(Some(_)) = inbound.message().await {}
            drop(out);
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn enrol(
        &self,
        _: Request<proto::EnrolRequest>,
    ) -> Result<Response<proto::EnrolReply>, Status> {
        Err(Status::internal("broken\u{1b}[2J"))
    }
}

async fn lie(pki: &Pki, answers: Vec<Result<from_collector::Frame, Status>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let ServerIdentity { identity, .. } = pki.server();
    let tls = tonic::transport::ServerTlsConfig::new()
        .identity(Identity::from_pem(&identity.chain, identity.key.expose()));
    let frame = |frame| FromCollector { frame: Some(frame) };
    let answers = answers.into_iter().map(|answer| answer.map(frame)).collect();
    let service = proto::link_server::LinkServer::new(Liar { answers });
    let served = tonic::transport::Server::builder()
        .tls_config(tls)
        .unwrap()
        .add_service(service)
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(served);
    port
}

fn welcome() -> Result<from_collector::Frame, Status> {
    Ok(from_collector::Frame::Welcome(proto::Welcome::default()))
}

fn ack(boot: u64, last_seq: u64) -> Result<from_collector::Frame, Status> {
    Ok(from_collector::Frame::Ack(proto::Ack { boot, last_seq }))
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_of_what_was_never_sent_change_nothing() {
    let pki = Pki::new();
    // Of another boot, of nothing, twice, backward; then the connection breaks.
    let answers = vec![
        welcome(),
        ack(8, u64::MAX),
        ack(9, 0),
        ack(9, 10),
        ack(9, 10),
        ack(9, 5),
        Err(Status::unavailable("over")),
    ];
    let port = lie(&pki, answers).await;
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path(), 3);
    let mut running = ship(pki.client(port, pki.now), &spool);
    until(&mut running, |status| status.last_error.is_some()).await;
    running.stop.trigger();
    running.task.await.unwrap();
    assert_eq!(spool.lock().pending(), 20, "only the first batch was acknowledged");
    assert!(running.status.borrow().acknowledged <= 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_does_not_greet_is_named_and_passed_over() {
    let pki = Pki::new();
    let collector = Arc::new(Collector::default());
    let (good, _server) = start(&pki, 0, &collector).await;
    for answers in [
        vec![ack(9, 30)],
        vec![Err(Status::internal("broken"))],
        vec![welcome(), Err(Status::unavailable("disk is full"))],
    ] {
        let port = lie(&pki, answers).await;
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path(), 3);
        let mut config = pki.client(good, pki.now);
        config.collectors.insert(0, format!("127.0.0.1:{port}"));
        let mut running = ship(config, &spool);
        // The second collector takes what the first only greets for.
        until(&mut running, |status| status.acknowledged == 30).await;
        assert_eq!(running.status.borrow().connected, Some(format!("127.0.0.1:{good}")));
        assert!(running.status.borrow().last_error.is_some());
        running.stop.trigger();
        running.task.await.unwrap();
    }
    assert_eq!(collector.stored.lock().unwrap().len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_does_not_wait_for_a_collector_that_is_silent() {
    let pki = Pki::new();
    let port = lie(&pki, vec![welcome()]).await;
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path(), 1);
    let mut config = pki.client(port, pki.now);
    config.drain = Duration::from_millis(300);
    let mut running = ship(config, &spool);
    until(&mut running, |status| status.connected.is_some()).await;
    running.stop.trigger();
    tokio::time::timeout(PATIENCE, running.task).await.expect("drain has an end").unwrap();
    assert_eq!(spool.lock().pending(), 10, "nothing is forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn enrolment_names_what_went_wrong() {
    let pki = Pki::new();
    let authority = link::pki::fingerprint(pki.authority.certificate()).unwrap();
    let token = || link::enrol::Token {
        id: "t".into(),
        secret: service::Secret::new("s".into()),
        authority,
    };
    let port = lie(&pki, Vec::new()).await;
    let error = link::enrol::enrol(("127.0.0.1", port), token(), "h").await.unwrap_err();
    assert!(
        error.to_string().starts_with("the collector refuses to enrol this host: broken"),
        "{error}"
    );
    let error = link::enrol::enrol(("no host", port), token(), "h").await.unwrap_err();
    assert_eq!(error.to_string(), "\"no host\" is no host name or address");
    // A server that hangs up is not there; one that talks something else is not to be trusted.
    for (answer, expected) in [
        (&b""[..], "cannot reach the collector"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not belong to the collector"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut greeting = [0; 5];
            socket.read_exact(&mut greeting).await.unwrap();
            socket.write_all(answer).await.unwrap();
            socket.shutdown().await.unwrap();
            while socket.read(&mut [0; 1_024]).await.is_ok_and(|read| read > 0) {}
        });
        let error = link::enrol::enrol(("127.0.0.1", port), token(), "h").await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
