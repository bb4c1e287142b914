//! The link's end in the collector: enrolment, books and what the store knows of them.

use super::*;
use crate::testing::{START, Site};
use event::AgentId;
use link::proto::EnrolRequest;
use service::Secret;

struct Fixture {
    site: Site,
    intake: Intake,
}

fn fixture() -> Fixture {
    let site = Site::new();
    let (authority, _) = Authority::create("test", START / 1_000_000).unwrap();
    let intake = Intake {
        pipeline: Arc::clone(&site.app.pipeline),
        agents: site.app.agents.clone(),
        enrolments: Arc::clone(&site.app.enrolments),
        authority,
        collectors: vec!["c:8444".into()],
        clock: site.app.clock.clone(),
        telemetry: site.app.telemetry.clone(),
    };
    Fixture { site, intake }
}

fn peer(agent: &str) -> Peer {
    Peer {
        agent: AgentId::new(agent).unwrap(),
        host: "web1".into(),
        version: "1".into(),
        zone: String::new(),
        region: String::new(),
        expires: START / 1_000_000 + 86_400,
        address: None,
    }
}

impl Fixture {
    fn request(&self, token: &str, secret: &Secret) -> EnrolRequest {
        let (_, signing_request) = link::pki::agent_request().unwrap();
        EnrolRequest {
            token_id: token.into(),
            token_secret: secret.expose().to_owned(),
            host: "web1".into(),
            signing_request,
            version: "1".into(),
        }
    }

    async fn enrol(&self) -> Result<EnrolReply, String> {
        let (token, secret) = self.intake.enrolments.create(60, "alice").unwrap();
        self.intake.enrol(self.request(&token.id, &secret), None).await
    }

    async fn report(&self, last_seq: u64, pending: u64) {
        let report = event::Report { boot: 1, last_seq, pending, ..event::Report::default() };
        self.intake.report(&peer("web1"), serde_json::to_vec(&report).unwrap()).await;
    }

    fn residue(&self) -> i64 {
        self.intake.agents.list()[0].residue()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_becomes_an_agent_once_per_token() {
    let fixture = fixture();
    let (token, secret) = fixture.intake.enrolments.create(60, "alice").unwrap();
    let reply = fixture.intake.enrol(fixture.request(&token.id, &secret), None).await.unwrap();
    assert_eq!((reply.agent.as_str(), &reply.collectors), ("web1", &vec!["c:8444".to_owned()]));
    let der = CertificateDer::from_pem_slice(reply.certificate.as_bytes()).unwrap();
    let (name, expires) = link::pki::subject(&der).unwrap();
    let agent = fixture.intake.agents.list().remove(0);
    assert_eq!((name.as_str(), agent.expires.seconds()), ("web1", expires));
    assert!(expires > START / 1_000_000 + 30 * 86_400, "shown before the first connection too");
    let again = fixture.intake.enrol(fixture.request(&token.id, &secret), None).await;
    assert_eq!(again.unwrap_err(), "token is unknown, used up or expired; ask for a new one");
    assert_eq!(fixture.enrol().await.unwrap().agent, "web1-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_wrong_and_unknown_tokens_enrol_nobody() {
    let fixture = fixture();
    let (token, secret) = fixture.intake.enrolments.create(60, "alice").unwrap();
    let wrong = Secret::new("wrong".into());
    for (id, secret) in [(token.id.as_str(), &wrong), ("unknown", &secret), ("", &secret)] {
        assert!(fixture.intake.enrol(fixture.request(id, secret), None).await.is_err());
    }
    fixture.site.app.clock.advance(60_000_000);
    assert!(fixture.intake.enrol(fixture.request(&token.id, &secret), None).await.is_err());
    assert!(fixture.intake.agents.list().is_empty());
    let metrics = fixture.site.app.telemetry.render();
    assert!(metrics.contains("pikett_enrolments_refused_total{} 4"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_signed_leaves_no_agent() {
    let fixture = fixture();
    for garbage in [
        "",
        "garbage",
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----",
    ] {
        let (token, secret) = fixture.intake.enrolments.create(60, "alice").unwrap();
        let mut request = fixture.request(&token.id, &secret);
        request.signing_request = garbage.into();
        let refused = fixture.intake.enrol(request, None).await.unwrap_err();
        assert_eq!(refused, "the signing request cannot be read");
    }
    assert!(fixture.intake.agents.list().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_revoked_agents_are_turned_away() {
    let fixture = fixture();
    assert!(fixture.intake.hello(&peer("web1")).await.is_err());
    fixture.enrol().await.unwrap();
    fixture.intake.hello(&peer("web1")).await.unwrap();
    fixture.intake.agents.set_revoked("web1", true).unwrap();
    let refused = fixture.intake.hello(&peer("web1")).await.unwrap_err();
    assert_eq!(refused, "this agent is not enrolled here or was revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_book_is_corrected_by_the_store_and_hides_no_loss() {
    let fixture = fixture();
    fixture.enrol().await.unwrap();
    let peer = peer("web1");
    let batch = |range: std::ops::RangeInclusive<u64>| range.map(Site::message).collect::<Vec<_>>();
    assert!(matches!(fixture.intake.batch(&peer, 1, batch(1..=10)).await, Verdict::Stored));
    fixture.report(10, 0).await;
    assert_eq!(fixture.residue(), 0);
    // Stored and acknowledged, then the collector dies before the book is written.
    fixture.site.app.pipeline.take(&peer.origin(), 1, batch(11..=30)).await.unwrap();
    fixture.report(30, 0).await;
    assert_eq!(fixture.residue(), 0, "the store knows of them");
    fixture.report(33, 1).await;
    assert_eq!(fixture.residue(), 2, "of these nobody knows");
    let verdict = fixture.intake.skipped(&peer, 1, (31, 32), "spool_full".into()).await;
    assert!(matches!(verdict, Verdict::Stored));
    assert_eq!(fixture.residue(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_cannot_be_stored_is_not_acknowledged() {
    let fixture = fixture();
    fixture.enrol().await.unwrap();
    fixture.site.store.full.store(true, std::sync::atomic::Ordering::SeqCst);
    let verdict = fixture.intake.batch(&peer("web1"), 1, vec![Site::message(1)]).await;
    let Verdict::Unavailable(reason) = verdict else { panic!("{verdict:?}") };
    assert!(reason.starts_with("no space left"), "{reason}");
    assert!(fixture.intake.agents.list()[0].books.is_empty(), "and not entered in the book");
}
