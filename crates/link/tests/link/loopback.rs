//! Both ends of the link over loopback TLS: delivery, reconnection, refusal.

use std::sync::Arc;

use event::AgentId;
use link::client::ClientConfig;
use link::{pki, proto};
use service::Secret;
use tokio::net::TcpListener;

use crate::testing::{Collector, Pki, append, ship, spool, start, until};

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
