//! The collector's end of the link: enrolment, batches, reports of agents.

use std::net::SocketAddr;
use std::sync::Arc;

use event::{Event, Timestamp};
use link::pki::Authority;
use link::proto::{EnrolReply, EnrolRequest};
use link::server::{Handler, Peer, Verdict};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use service::{Clock, Telemetry};

use crate::agents::{Agents, Booking};
use crate::auth::enrolment::Enrolments;
use crate::pipeline::Pipeline;
use crate::store::SourceKey;

/// What the link hands over to.
#[derive(Debug)]
pub struct Intake {
    /// Where batches go.
    pub pipeline: Arc<Pipeline>,
    /// Who is who.
    pub agents: Agents,
    /// One-time tokens.
    pub enrolments: Arc<Enrolments>,
    /// Signs certificates.
    pub authority: Authority,
    /// Addresses agents are told, `host:port`, in order.
    pub collectors: Vec<String>,
    /// Clock.
    pub clock: Clock,
    /// Metrics.
    pub telemetry: Telemetry,
}

/// Why a host did not become an agent.
#[derive(Debug, thiserror::Error)]
enum EnrolError {
    /// Its request cannot be signed.
    #[error("the signing request cannot be read")]
    Request(#[from] link::pki::PkiError),
    /// What was signed is no certificate.
    #[error("the certificate made cannot be read back")]
    Certificate,
    /// It could not be kept.
    #[error(transparent)]
    State(#[from] crate::state::StateError),
}

impl Intake {
    fn sign(&self, request: &EnrolRequest) -> Result<EnrolReply, String> {
        let failed = |error: &dyn std::error::Error| {
            tracing::error!(%error, host = request.host, "enrolment failed");
            "the collector failed; see its log".to_owned()
        };
        let taken = self.enrolments.take(&request.token_id, &request.token_secret);
        if !taken.map_err(|error| failed(&error))? {
            tracing::warn!(token = request.token_id, host = request.host, "token refused");
            self.telemetry.count("pikett_enrolments_refused", "enrolments refused", &[], 1);
            return Err("token is unknown, used up or expired; ask for a new one".to_owned());
        }
        let now = self.clock.now_micros().div_euclid(1_000_000);
        let mut certificate = String::new();
        let enrolled = self.agents.enrol(&request.host, |agent| {
            certificate = self.authority.agent(&request.signing_request, agent, now)?;
            let der = CertificateDer::from_pem_slice(certificate.as_bytes());
            let (_, expires) = link::pki::subject(&der.map_err(|_| EnrolError::Certificate)?)?;
            Ok(Timestamp::from_seconds(expires))
        });
        let agent = enrolled.map_err(|error| match error {
            EnrolError::Request(_) => "the signing request cannot be read".to_owned(),
            other => failed(&other),
        })?;
        tracing::info!(agent, host = request.host, "agent enrolled");
        Ok(EnrolReply { agent, certificate, collectors: self.collectors.clone() })
    }
}

impl Handler for Intake {
    async fn hello(&self, peer: &Peer) -> Result<(), String> {
        if !self.agents.may_connect(peer.agent.as_str()) {
            tracing::warn!(agent = %peer.agent, "unknown or revoked agent refused");
            return Err("this agent is not enrolled here or was revoked".to_owned());
        }
        self.agents.connected(peer);
        tracing::info!(agent = %peer.agent, version = peer.version, "agent connected");
        Ok(())
    }

    async fn batch(&self, peer: &Peer, boot: u64, events: Vec<Event>) -> Verdict {
        let last_seq = events.last().map_or(0, |event| event.seq);
        let reached = events.last().map_or(Timestamp::EPOCH, |event| event.seen);
        match self.pipeline.take(&peer.origin(), boot, events).await {
            Ok(taken) => {
                let (stored, duplicates) = (taken.stored, taken.duplicates);
                let booking = Booking::Batch { last_seq, reached, stored, duplicates };
                self.agents.book(peer.agent.as_str(), boot, booking);
                Verdict::Stored
            }
            Err(error) => {
                tracing::error!(%error, agent = %peer.agent, "batch not taken, to be sent again");
                self.telemetry.count("pikett_batches_refused", "batches not taken", &[], 1);
                Verdict::Unavailable(error.to_string())
            }
        }
    }

    async fn skipped(
        &self,
        peer: &Peer,
        boot: u64,
        (first, last): (u64, u64),
        reason: String,
    ) -> Verdict {
        let count = last.saturating_sub(first).saturating_add(1);
        tracing::error!(agent = %peer.agent, first, last, reason, "agent lost events");
        let labels = [("reason", reason.as_str())];
        self.telemetry.count("pikett_events_skipped", "events lost by agents", &labels, count);
        let booking = Booking::Skipped { first_seq: first, last_seq: last, reason };
        self.agents.book(peer.agent.as_str(), boot, booking);
        Verdict::Stored
    }

    async fn report(&self, peer: &Peer, json: Vec<u8>) {
        let id = peer.agent.as_str();
        self.agents.report(id, &json);
        let Some((boot, last)) = self.agents.unbalanced(id) else { return };
        let source = SourceKey { agent: peer.agent.clone(), boot };
        match self.pipeline.store().covered(source, last).await {
            Ok(covered) => self.agents.reconcile(id, boot, covered),
            Err(error) => tracing::warn!(%error, agent = id, "book not compared with the store"),
        }
    }

    async fn enrol(
        &self,
        request: EnrolRequest,
        address: Option<SocketAddr>,
    ) -> Result<EnrolReply, String> {
        tracing::info!(host = request.host, ?address, "enrolment asked for");
        self.sign(&request)
    }

    async fn goodbye(&self, peer: &Peer) {
        tracing::info!(agent = %peer.agent, "agent disconnected");
    }
}

#[cfg(test)]
mod tests;
