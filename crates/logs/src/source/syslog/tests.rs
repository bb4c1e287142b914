//! Listeners as senders meet them, over loopback.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use crossbeam_channel::Receiver;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::*;
use crate::source::{Counters, Item};

/// Connections of the test with many senders.
const SENDERS: usize = 200;

struct Served {
    address: SocketAddr,
    items: Receiver<Item>,
    intake: Intake,
}

fn start(config: &SyslogConfig, room: usize) -> Served {
    let listener = Listener::open(config).unwrap();
    let address = listener.address().unwrap();
    let (queue, items) = crossbeam_channel::bounded(room);
    let intake = Intake::new(queue, Arc::new(Counters::default()), service::Shutdown::new());
    let intake = intake.of(&listener.name());
    tokio::spawn(listener.serve(intake.clone(), Clock::manual(0)));
    Served { address, items, intake }
}

fn config(transport: Transport) -> SyslogConfig {
    SyslogConfig::new("127.0.0.1:0", transport)
}

/// Waits until so many messages are there.
async fn take(items: &Receiver<Item>, count: usize) -> Vec<String> {
    let mut out = Vec::new();
    for _ in 0..12_000 {
        while let Ok(item) = items.try_recv() {
            out.push(item.events[0].fields["message"].as_str().unwrap().to_owned());
        }
        if out.len() >= count {
            return out;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("only {} of {count}: {:?}", out.len(), out.last());
}

async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if reached() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn both_framings_on_one_connection() {
    let served = start(&config(Transport::Tcp), 16);
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    for piece in [
        &b"<13>Nov 22 15:04:05 h a: one\n33 <13>Nov 22 "[..],
        b"15:04:05 h a: two\nhalf<13>Nov 22 15:04:05 h a: three\n<13>Nov 22 15:04:05 h a: last",
    ] {
        stream.write_all(piece).await.unwrap();
        stream.flush().await.unwrap();
    }
    stream.shutdown().await.unwrap();
    assert_eq!(take(&served.items, 4).await, ["one", "two\nhalf", "three", "last"]);
    let report = served.intake.source().report();
    assert_eq!((report.lines, report.peer_count), (4, 1));
    assert_eq!((report.peers[0].address.as_str(), report.peers[0].messages), ("127.0.0.1", 4));
}

#[tokio::test]
async fn tcp_senders_wait_and_lose_nothing() {
    let served = start(&config(Transport::Tcp), 2);
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    for n in 0..200 {
        stream.write_all(format!("<13>Nov 22 15:04:05 h a: {n}\n").as_bytes()).await.unwrap();
    }
    assert_eq!(take(&served.items, 200).await.len(), 200);
    until("all are counted", || served.intake.counters().ledger().processed == 200).await;
    let ledger = served.intake.counters().ledger();
    assert_eq!((ledger.seen, ledger.residue()), (200, 0));
}

#[tokio::test]
async fn datagrams_wait_in_the_kernel_while_there_is_no_room() {
    let served = start(&config(Transport::Udp), 2);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for n in 0..5 {
        let text = format!("<13>Nov 22 15:04:05 h a: {n}");
        socket.send_to(text.as_bytes(), served.address).await.unwrap();
    }
    until("the queue is full", || served.items.is_full()).await;
    assert_eq!(served.intake.counters().ledger().seen, 2);
    let item = served.items.recv().unwrap();
    assert_eq!(item.events[0].fields["log"]["source"]["address"], "127.0.0.1");
    assert_eq!(take(&served.items, 4).await, ["1", "2", "3", "4"]);
    let ledger = served.intake.counters().ledger();
    assert_eq!((ledger.seen, ledger.shed.len(), ledger.residue()), (5, 0, 0));
}

/// What the kernel drops is in the ledger: sent = taken + dropped.
#[tokio::test]
async fn datagrams_that_the_kernel_drops_are_counted() {
    let config = config(Transport::Udp);
    let listener = Listener::open(&config).unwrap();
    let address = listener.address().unwrap();
    let Socket::Udp(socket) = &listener.socket else { panic!("no socket") };
    setsockopt(socket, sockopt::RcvBuf, &4096).unwrap();
    // Nobody reads yet: most of these find no room.
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for n in 0..1_000 {
        sender.send_to(format!("<13>Nov 22 15:04:05 h a: {n}").as_bytes(), address).unwrap();
    }
    let (queue, items) = crossbeam_channel::bounded(2_000);
    let intake = Intake::new(queue, Arc::new(Counters::default()), service::Shutdown::new());
    let intake = intake.of(&listener.name());
    tokio::spawn(listener.serve(intake.clone(), Clock::manual(0)));
    until("all are accounted for", || intake.counters().ledger().seen == 1_000).await;
    let ledger = intake.counters().ledger();
    assert!(ledger.dropped > 0, "{ledger:?}");
    assert_eq!((ledger.residue(), ledger.processed), (0, 1_000 - ledger.dropped));
    assert_eq!(intake.source().report().dropped, ledger.dropped);
    assert_eq!(u64::try_from(items.len()).unwrap(), ledger.processed);
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let served = start(&config(Transport::Tcp), 1);
    let error = Listener::open(&SyslogConfig::new(&served.address.to_string(), Transport::Tcp));
    let expected = format!("cannot listen for syslog on {}", served.address);
    assert_eq!(error.unwrap_err().to_string(), expected);
}

#[tokio::test]
async fn connections_from_one_address_are_bounded() {
    let served = start(&SyslogConfig { connections_per_peer: 2, ..config(Transport::Tcp) }, 16);
    let mut streams = Vec::new();
    for n in 0..3 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let text = format!("<13>Nov 22 15:04:05 h a: {n}\n");
        // The third one is closed by the other side.
        let _sent = stream.write_all(text.as_bytes()).await;
        streams.push(stream);
    }
    assert_eq!(take(&served.items, 2).await.len(), 2);
    until("one is refused", || served.intake.source().report().errors == 1).await;
    streams.remove(0);
    for _ in 0..500 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let _sent = stream.write_all(b"<13>Nov 22 15:04:05 h a: again\n").await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        if !served.items.is_empty() {
            return;
        }
    }
    panic!("its place was not given back");
}

/// Certificate and key of an authority and of `localhost` under it, as files.
struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    fn make() -> Self {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text);
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        write("authority.pem", params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        write("own.pem", params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
        write("own.key", key.serialize_pem()).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn server(&self) -> SyslogConfig {
        let (certificate, key) = (Some(self.path("own.pem")), Some(self.path("own.key")));
        SyslogConfig { certificate, key, ..config(Transport::Tls) }
    }

    fn connector(&self, own: bool) -> tokio_rustls::TlsConnector {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("authority.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = if own {
            let chain = vec![CertificateDer::from_pem_file(self.path("own.pem")).unwrap()];
            let key = PrivateKeyDer::from_pem_file(self.path("own.key")).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        } else {
            builder.with_no_client_auth()
        };
        tokio_rustls::TlsConnector::from(Arc::new(config))
    }
}

async fn send(mut stream: impl AsyncWrite + Unpin, from: usize, count: usize) {
    for n in from..from + count {
        let text = format!("<13>Nov 22 15:04:05 h a: message {n}");
        // Every other one is counted, as RFC 5425 wants it; the others end with a line feed.
        let framed =
            if n % 2 == 0 { format!("{} {text}", text.len()) } else { format!("{text}\n") };
        stream.write_all(framed.as_bytes()).await.unwrap();
    }
    stream.shutdown().await.unwrap();
}

/// `PIKETT_SYSLOG_MESSAGES` sets how many messages come over each of the two (10,000).
#[tokio::test(flavor = "multi_thread")]
async fn many_senders_over_tcp_and_tls_lose_nothing() {
    let all = std::env::var("PIKETT_SYSLOG_MESSAGES").map_or(10_000, |text| text.parse().unwrap());
    let certificates = Certificates::make();
    for (config, connector) in [
        (config(Transport::Tcp), None),
        (certificates.server(), Some(certificates.connector(false))),
    ] {
        let served = start(&config, 512);
        let each = all / SENDERS;
        for sender in 0..SENDERS {
            let (address, connector) = (served.address, connector.clone());
            tokio::spawn(async move {
                let stream = TcpStream::connect(address).await.unwrap();
                let Some(connector) = connector else {
                    return send(stream, sender * each, each).await;
                };
                let name = "localhost".try_into().unwrap();
                send(connector.connect(name, stream).await.unwrap(), sender * each, each).await;
            });
        }
        let found = take(&served.items, each * SENDERS).await;
        let distinct: BTreeSet<&String> = found.iter().collect();
        assert_eq!((found.len(), distinct.len()), (each * SENDERS, each * SENDERS));
        until("all are counted", || served.intake.counters().ledger().pending == 0).await;
        let (ledger, report) = (served.intake.counters().ledger(), served.intake.source().report());
        assert_eq!((ledger.residue(), report.errors, report.unparsed), (0, 0, 0));
    }
}

#[tokio::test]
async fn senders_show_a_certificate_when_they_must() {
    let certificates = Certificates::make();
    let client_authority = Some(certificates.path("authority.pem"));
    let served = start(&SyslogConfig { client_authority, ..certificates.server() }, 16);
    for own in [false, true] {
        let stream = TcpStream::connect(served.address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        if let Ok(mut stream) = certificates.connector(own).connect(name, stream).await {
            // Under TLS 1.3 a client learns only afterwards that it was refused.
            let _sent =
                stream.write_all(format!("<13>Nov 22 15:04:05 h a: {own}\n").as_bytes()).await;
            let _sent = stream.flush().await;
            let _ended = stream.shutdown().await;
        }
    }
    assert_eq!(take(&served.items, 1).await, ["true"]);
    assert_eq!(served.intake.source().report().errors, 1);
}

#[test]
fn tls_without_certificate_is_refused_by_name() {
    let error = |config: &SyslogConfig| Listener::open(config).unwrap_err().to_string();
    assert_eq!(
        error(&config(Transport::Tls)),
        "syslog over TLS on 127.0.0.1:0 needs certificate and key"
    );
    let certificates = Certificates::make();
    let key = certificates.path("own.key");
    let wrong = SyslogConfig { certificate: Some(key.clone()), ..certificates.server() };
    assert_eq!(error(&wrong), format!("cannot use {}: no certificate in it", key.display()));
    let missing = SyslogConfig { key: Some("/no/such/key".into()), ..certificates.server() };
    assert!(error(&missing).starts_with("cannot use /no/such/key: "), "{}", error(&missing));
}

/// A sender that is a real program, when it is installed.
fn program(name: &str) -> Option<Command> {
    let found = ["/usr/sbin", "/usr/bin"].iter().map(|folder| format!("{folder}/{name}"));
    let path = found.map(std::path::PathBuf::from).find(|path| path.exists());
    if path.is_none() {
        println!("skipped: no {name}");
    }
    path.map(Command::new)
}

#[tokio::test(flavor = "multi_thread")]
async fn logger_is_understood() {
    for (transport, options) in [
        (Transport::Udp, &["--udp", "--rfc3164"][..]),
        (Transport::Udp, &["--udp", "--rfc5424"]),
        (Transport::Tcp, &["--tcp", "--rfc5424", "--octet-count"]),
        (Transport::Tcp, &["--tcp", "--rfc3164"]),
    ] {
        let served = start(&config(transport), 16);
        let Some(mut logger) = program("logger") else { return };
        let (host, port) = (served.address.ip().to_string(), served.address.port().to_string());
        let target = ["--server", &host, "--port", &port, "--tag", "app", "hello from logger"];
        assert!(logger.args(options).args(target).status().unwrap().success());
        let item = tokio::task::spawn_blocking(move || {
            served.items.recv_timeout(Duration::from_secs(10)).unwrap()
        });
        let event = item.await.unwrap().events.remove(0);
        assert_eq!(event.fields["message"], "hello from logger", "{options:?}");
        assert_eq!(event.fields["process"]["name"], "app", "{options:?}");
    }
}

/// rsyslog sends a file over UDP, TCP and TLS, with either framing.
#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_is_understood() {
    let certificates = Certificates::make();
    let authority = certificates.path("authority.pem");
    let tls = format!(
        "streamdriver=\"gtls\" streamdrivermode=\"1\" streamdriverauthmode=\"x509/name\" \
         streamdriverpermittedpeers=\"localhost\" TCP_Framing=\"octet-counted\"\n\
         streamDriver.CAFile=\"{}\"",
        authority.display()
    );
    for (config, options) in [
        (config(Transport::Udp), "protocol=\"udp\"".to_owned()),
        (config(Transport::Tcp), "protocol=\"tcp\"".to_owned()),
        (config(Transport::Tcp), "protocol=\"tcp\" TCP_Framing=\"octet-counted\"".to_owned()),
        (certificates.server(), format!("protocol=\"tcp\" {tls}")),
    ] {
        let Some(mut rsyslog) = program("rsyslogd") else { return };
        let served = start(&config, 4_096);
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let lines: String = (0..500).map(|n| format!("line {n}\n")).collect();
        std::fs::write(at("in.log"), lines).unwrap();
        let text = format!(
            "global(workDirectory=\"{}\")\nmodule(load=\"imfile\")\n\
             input(type=\"imfile\" file=\"{}\" tag=\"app:\")\n\
             action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{}\" {options} \
             template=\"RSYSLOG_SyslogProtocol23Format\")\n",
            folder.path().display(),
            at("in.log"),
            served.address.port()
        );
        std::fs::write(at("rsyslog.conf"), text).unwrap();
        let run = rsyslog.args(["-n", "-f", &at("rsyslog.conf"), "-i", &at("pid")]);
        let output = std::fs::File::create(at("out")).unwrap();
        let errors = output.try_clone().unwrap();
        let mut child = run.stdout(output).stderr(errors).stdin(Stdio::null()).spawn().unwrap();
        let found = tokio::time::timeout(Duration::from_secs(30), take(&served.items, 500)).await;
        let _ended = child.kill().and_then(|()| child.wait());
        let said = std::fs::read_to_string(at("out")).unwrap_or_default();
        let found = found.unwrap_or_else(|_| panic!("{options}: {said}"));
        let distinct: BTreeSet<&String> = found.iter().collect();
        assert_eq!((found.len(), distinct.len()), (500, 500), "{options}: {said}");
        assert!(distinct.contains(&"line 499".to_owned()), "{:?}", found.first());
    }
}
