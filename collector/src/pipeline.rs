//! From a batch to durable documents and recorded detections, in that order, and only then an
//! acknowledgement.
//!
//! Whatever brings events in (agents, `_bulk`) comes through [`Pipeline::take`]. Detection over
//! the collector's whole view happens here too, on the documents as they are stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use event::{AgentId, Detection, Document, Event, Object, Origin, Timestamp};
use service::{Clock, Telemetry};
use tokio::sync::{Mutex, broadcast};

use crate::alert::{Alerts, Arrived};
use crate::store::{Append, AppendOutcome, SourceKey, Store, StoreError};

/// Documents a slow live view may be behind before it loses some.
const LIVE: usize = 1024;

/// Who brought a document in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// An agent, which has looked at it already.
    Agent,
    /// Anybody else.
    Other,
}

/// Looks at every document that is stored, in order, and may find things.
pub trait Detector: Send {
    /// Looks at one document.
    fn document(&mut self, document: &Document, by: Sent, found: &mut Vec<Event>);
}

/// Why a batch was not taken; it may be sent again.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its detections could not be recorded.
    #[error(transparent)]
    State(#[from] crate::state::StateError),
    /// A thread of the collector failed.
    #[error("the collector failed internally")]
    Internal,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Documents stored now.
    pub stored: u64,
    /// Documents that were there already.
    pub duplicates: u64,
}

/// Sequences the collector gives out itself, for events that come without one.
struct Own {
    agent: AgentId,
    boot: u64,
    seq: AtomicU64,
}

/// The pipeline. Shared by everything that brings events in.
pub struct Pipeline {
    store: Arc<dyn Store>,
    alerts: Alerts,
    clock: Clock,
    telemetry: Telemetry,
    live: broadcast::Sender<Arc<Document>>,
    detectors: Mutex<Vec<Box<dyn Detector>>>,
    own: Own,
    /// Held while the collector's own events are numbered and appended: sequences arrive in order.
    appending: Mutex<()>,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Pipeline(..)")
    }
}

impl Pipeline {
    /// A pipeline into `store`. `boot` is a fresh random number; `name` the collector's identity.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        alerts: Alerts,
        (clock, telemetry): (Clock, Telemetry),
        (name, boot): (AgentId, u64),
        detectors: Vec<Box<dyn Detector>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            alerts,
            clock,
            telemetry,
            live: broadcast::Sender::new(LIVE),
            detectors: Mutex::new(detectors),
            own: Own { agent: name, boot, seq: AtomicU64::new(0) },
            appending: Mutex::new(()),
        })
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Documents as they are stored, for live views.
    #[must_use]
    pub fn live(&self) -> broadcast::Receiver<Arc<Document>> {
        self.live.subscribe()
    }

    /// Takes the events `first_seq..` of one boot of one origin, in sequence.
    ///
    /// # Errors
    /// [`PipelineError`]; then nothing may be acknowledged and the batch may come again.
    pub async fn take(
        &self,
        origin: &Origin,
        boot: u64,
        events: Vec<Event>,
    ) -> Result<Taken, PipelineError> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return Ok(Taken { stored: 0, duplicates: 0 });
        };
        let (first_seq, last_seq) = (first.seq, last.seq);
        let documents: Vec<Document> =
            events.into_iter().map(|event| event.into_document(origin, boot)).collect();
        let documents = Arc::new(documents);
        let source = SourceKey { agent: origin.agent.clone(), boot };
        let append = Append { source, first_seq, last_seq, documents: Arc::clone(&documents) };
        let outcome = self.store.append(append).await?;
        // Also when all of it was there already: the crash may have come between the two.
        self.record(origin.agent.as_str(), (boot, last_seq), &documents).await?;
        let total = u64::try_from(documents.len()).unwrap_or(u64::MAX);
        let taken =
            Taken { stored: outcome.events(), duplicates: total.saturating_sub(outcome.events()) };
        self.count(&taken);
        if !matches!(outcome, AppendOutcome::Duplicate { .. }) {
            self.publish(&documents);
            self.detect(&documents, Sent::Agent).await?;
        }
        Ok(taken)
    }

    fn count(&self, taken: &Taken) {
        self.telemetry.count("pikett_events_stored", "events stored", &[], taken.stored);
        let name = "pikett_events_duplicate";
        self.telemetry.count(name, "events received again and dropped", &[], taken.duplicates);
    }

    fn publish(&self, documents: &[Document]) {
        if self.live.receiver_count() > 0 {
            for document in documents {
                if self.live.send(Arc::new(document.clone())).is_err() {
                    return;
                }
            }
        }
    }

    /// Records the detections among the documents before they are acknowledged.
    async fn record(
        &self,
        agent: &str,
        (boot, last_seq): (u64, u64),
        documents: &Arc<Vec<Document>>,
    ) -> Result<(), PipelineError> {
        let is_alert = |document: &&Document| document.contains_key("detection");
        if !documents.iter().any(|document| is_alert(&document)) {
            return Ok(());
        }
        let (alerts, agent) = (self.alerts.clone(), agent.to_owned());
        let documents = Arc::clone(documents);
        let recorded = tokio::task::spawn_blocking(move || {
            let documents = documents.iter().filter(is_alert).collect();
            alerts.record(&Arrived { agent: &agent, boot, last_seq, documents })
        });
        let count = recorded.await.map_err(|_| PipelineError::Internal)??;
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.telemetry.count("pikett_detections", "detections recorded", &[], count);
        Ok(())
    }

    /// Lets the collector's own detectors see the documents; what they find is stored as well.
    async fn detect(&self, documents: &[Document], by: Sent) -> Result<(), PipelineError> {
        let mut found = Vec::new();
        {
            let mut detectors = self.detectors.lock().await;
            for detector in detectors.iter_mut() {
                documents.iter().for_each(|document| detector.document(document, by, &mut found));
            }
        }
        if !found.is_empty() {
            let origin = self.own_origin();
            self.append_own(&origin, found, false).await?;
        }
        Ok(())
    }

    fn own_origin(&self) -> Origin {
        Origin {
            agent: self.own.agent.clone(),
            host: self.own.agent.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            zone: String::new(),
            region: String::new(),
        }
    }

    /// Stores events that came without a sequence under the name `sender`.
    ///
    /// # Errors
    /// [`PipelineError`]; then none of them may be acknowledged.
    pub async fn ingest(
        &self,
        sender: &AgentId,
        events: Vec<Event>,
    ) -> Result<Taken, PipelineError> {
        let origin = Origin {
            agent: sender.clone(),
            host: sender.to_string(),
            version: String::new(),
            zone: String::new(),
            region: String::new(),
        };
        self.append_own(&origin, events, true).await
    }

    /// Makes a detection of the collector about itself or its sources.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub async fn raise(&self, detection: Detection) -> Result<(), PipelineError> {
        let now = Timestamp::from_micros(self.clock.now_micros());
        let event = detection.into_event(now, now, Object::new());
        let origin = self.own_origin();
        self.append_own(&origin, vec![event], false).await.map(|_| ())
    }

    async fn append_own(
        &self,
        origin: &Origin,
        mut events: Vec<Event>,
        detect: bool,
    ) -> Result<Taken, PipelineError> {
        let in_order = self.appending.lock().await;
        let (Some(_), count) = (events.first(), events.len()) else {
            return Ok(Taken { stored: 0, duplicates: 0 });
        };
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let first_seq = self.own.seq.load(Ordering::SeqCst).saturating_add(1);
        let last_seq = first_seq.saturating_add(count).saturating_sub(1);
        for (event, seq) in events.iter_mut().zip(first_seq..) {
            event.seq = seq;
        }
        let boot = self.own.boot;
        let documents: Vec<Document> =
            events.into_iter().map(|event| event.into_document(origin, boot)).collect();
        let documents = Arc::new(documents);
        let source = SourceKey { agent: origin.agent.clone(), boot };
        let append = Append { source, first_seq, last_seq, documents: Arc::clone(&documents) };
        // A sequence is used up whether or not it was stored: a failed one is never given again.
        self.own.seq.store(last_seq, Ordering::SeqCst);
        let stored = self.store.append(append).await?.events();
        self.record(origin.agent.as_str(), (boot, last_seq), &documents).await?;
        let taken = Taken { stored, duplicates: 0 };
        self.count(&taken);
        self.publish(&documents);
        drop(in_order);
        if detect {
            Box::pin(self.detect(&documents, Sent::Other)).await?;
        }
        Ok(taken)
    }
}
