//! From a batch to durable documents and recorded detections, in that order, and only then an
//! acknowledgement.
//!
//! Whatever brings events in (agents, `_bulk`) comes through [`Pipeline::take`]. Detection over
//! the collector's whole view happens here too, on the documents as they are stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use event::{AgentId, Detection, Document, Event, Kind, Object, Origin, Timestamp};
use service::{Clock, Telemetry};
use tokio::sync::{Mutex, broadcast};

use crate::alert::{Alerts, Arrived};
use crate::exceptions::{Exceptions, Marked};
use crate::store::{Append, AppendOutcome, SourceKey, Store, StoreError};

/// Documents a slow live view may be behind before it loses some.
const LIVE: usize = 1024;

/// Findings kept while the store takes nothing.
const MAX_UNSTORED: usize = 10_000;
/// Names that the envelope alone may have. A sender's own flat key of such a name (`"event.id": 1`)
/// would be found instead of the envelope's.
const ENVELOPE: [&str; 4] = ["event.id", "event.created", "agent.id", "agent.version"];

/// The documents of events; a sender's keys in the place of the envelope move below `original`.
fn documents(events: Vec<Event>, origin: &Origin, boot: u64) -> Vec<Document> {
    let own = |event: Event| {
        let mut document = event.into_document(origin, boot);
        for name in ENVELOPE {
            if let Some(value) = document.shift_remove(name) {
                event::set(&mut document, &format!("original.{name}"), value);
            }
        }
        document
    };
    events.into_iter().map(own).collect()
}

/// Events made into documents, ready to be taken; what exceptions suppress is marked.
#[derive(Clone, Debug)]
pub struct Prepared {
    append: Append,
    marked: Marked,
}

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
    /// Its name; that of its saved state too.
    fn name(&self) -> &'static str;

    /// Looks at one document.
    fn document(&mut self, document: &Document, by: Sent, found: &mut Vec<Event>);

    /// Lets time pass: called every few seconds, also when nothing comes in.
    fn pass(&mut self, _now: Timestamp, _found: &mut Vec<Event>) {}

    /// What it left out since it was asked last, by reason.
    fn left_out(&mut self) -> Vec<(String, u64)> {
        Vec::new()
    }

    /// What it remembers, to be given back after a restart; `None` when it cannot say.
    fn save(&self) -> Option<Vec<u8>> {
        None
    }
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
    /// What must stay free on the disk is reached.
    #[error("the collector's disk is full; it takes events again when there is room")]
    NoRoom,
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
    exceptions: Exceptions,
    clock: Clock,
    telemetry: Telemetry,
    live: broadcast::Sender<Arc<Document>>,
    detectors: Mutex<Vec<Box<dyn Detector>>>,
    /// What was found and could not be stored yet.
    unstored: Mutex<Vec<Event>>,
    own: Own,
    /// Held while the collector's own events are numbered and appended: sequences arrive in order.
    appending: Mutex<()>,
    /// Events from outside are refused: the disk has no room.
    refusing: AtomicBool,
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
        (alerts, exceptions): (Alerts, Exceptions),
        (clock, telemetry): (Clock, Telemetry),
        (name, boot): (AgentId, u64),
        detectors: Vec<Box<dyn Detector>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            alerts,
            exceptions,
            clock,
            telemetry,
            live: broadcast::Sender::new(LIVE),
            detectors: Mutex::new(detectors),
            unstored: Mutex::default(),
            own: Own { agent: name, boot, seq: AtomicU64::new(0) },
            appending: Mutex::new(()),
            refusing: AtomicBool::new(false),
        })
    }

    /// Refuses events from outside, or takes them again. The collector's own alerts still pass.
    pub fn refuse(&self, refuse: bool) {
        if self.refusing.swap(refuse, Ordering::SeqCst) != refuse {
            tracing::warn!(refuse, "room on the disk decides whether events are taken");
        }
    }

    fn has_room(&self) -> Result<(), PipelineError> {
        if self.refusing.load(Ordering::SeqCst) { Err(PipelineError::NoRoom) } else { Ok(()) }
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

    /// Takes the events `first_seq..` of one boot of an agent, in sequence.
    ///
    /// # Errors
    /// [`PipelineError`]; then nothing may be acknowledged and the batch may come again.
    pub async fn take(
        &self,
        origin: &Origin,
        boot: u64,
        events: Vec<Event>,
    ) -> Result<Taken, PipelineError> {
        self.take_from(origin, boot, events, Sent::Agent).await
    }

    /// As [`Self::take`], by whom it is brought.
    ///
    /// # Errors
    /// [`PipelineError`]; then the batch may come again.
    pub async fn take_from(
        &self,
        origin: &Origin,
        boot: u64,
        events: Vec<Event>,
        by: Sent,
    ) -> Result<Taken, PipelineError> {
        match self.prepare(origin, boot, events) {
            Some(prepared) => self.take_prepared(&prepared, by).await,
            None => Ok(Taken { stored: 0, duplicates: 0 }),
        }
    }

    /// Makes the events of one boot of a sender, in sequence, ready; `None` when there are none.
    #[must_use]
    pub fn prepare(&self, origin: &Origin, boot: u64, events: Vec<Event>) -> Option<Prepared> {
        let (first_seq, last_seq) = (events.first()?.seq, events.last()?.seq);
        let source = SourceKey { agent: origin.agent.clone(), boot };
        let mut documents = documents(events, origin, boot);
        let marked = self.exceptions.mark(&mut documents);
        let append = Append { source, first_seq, last_seq, documents: Arc::new(documents) };
        Some(Prepared { append, marked })
    }

    /// Takes what was made ready; it may be tried again as it is.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub async fn take_prepared(
        &self,
        prepared: &Prepared,
        by: Sent,
    ) -> Result<Taken, PipelineError> {
        self.has_room()?;
        let Prepared { append, marked } = prepared;
        let (documents, last_seq) = (&append.documents, append.last_seq);
        let SourceKey { agent, boot } = &append.source;
        let outcome = self.store.append(append.clone()).await?;
        // Also when all of it was there already: the crash may have come between the two.
        self.record(agent.as_str(), (*boot, last_seq), (documents, marked)).await?;
        let total = u64::try_from(documents.len()).unwrap_or(u64::MAX);
        let taken =
            Taken { stored: outcome.events(), duplicates: total.saturating_sub(outcome.events()) };
        self.count(&taken);
        if !matches!(outcome, AppendOutcome::Duplicate { .. }) {
            self.suppressed(marked);
            self.publish(documents);
            self.detect(documents, by).await;
        }
        Ok(taken)
    }

    fn count(&self, taken: &Taken) {
        self.telemetry.count("pikett_events_stored", "events stored", &[], taken.stored);
        let name = "pikett_events_duplicate";
        self.telemetry.count(name, "events received again and dropped", &[], taken.duplicates);
    }

    fn suppressed(&self, marked: &Marked) {
        self.exceptions.count(&marked.counts);
        let count = u64::try_from(marked.places.len()).unwrap_or(u64::MAX);
        let name = "pikett_detections_suppressed";
        self.telemetry.count(name, "detections that an exception suppressed", &[], count);
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

    /// Records the detections among the documents before they are acknowledged; no suppressed ones.
    async fn record(
        &self,
        agent: &str,
        (boot, last_seq): (u64, u64),
        (documents, marked): (&Arc<Vec<Document>>, &Marked),
    ) -> Result<(), PipelineError> {
        let is_alert = |(place, document): &(usize, &Document)| {
            document.contains_key("detection") && !marked.places.contains(place)
        };
        let places: Vec<usize> =
            documents.iter().enumerate().filter(is_alert).map(|(place, _)| place).collect();
        if places.is_empty() {
            return Ok(());
        }
        let (alerts, agent) = (self.alerts.clone(), agent.to_owned());
        let documents = Arc::clone(documents);
        let recorded = tokio::task::spawn_blocking(move || {
            let documents = places.iter().filter_map(|place| documents.get(*place)).collect();
            alerts.record(&Arrived { agent: &agent, boot, last_seq, documents })
        });
        let count = recorded.await.map_err(|_| PipelineError::Internal)??;
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.telemetry.count("pikett_detections", "detections recorded", &[], count);
        Ok(())
    }

    /// Lets the collector's own detectors see the documents; what they find is stored as well.
    async fn detect(&self, documents: &[Document], by: Sent) {
        let mut found = Vec::new();
        {
            let mut detectors = self.detectors.lock().await;
            for detector in detectors.iter_mut() {
                documents.iter().for_each(|document| detector.document(document, by, &mut found));
            }
        }
        self.store_found(found).await;
    }

    /// Lets the detectors know what time it is; stores what they find and what could not be
    /// stored before. To be called every few seconds.
    pub async fn pass(&self) {
        let now = Timestamp::from_micros(self.clock.now_micros());
        let mut found = Vec::new();
        for one in self.detectors.lock().await.iter_mut() {
            one.pass(now, &mut found);
            for (reason, count) in one.left_out() {
                let labels = [("detector", one.name()), ("reason", reason.as_str())];
                let help = "what detectors left out, by reason";
                self.telemetry.count("pikett_detectors_left_out", help, &labels, count);
            }
        }
        self.store_found(found).await;
    }

    /// What the detectors remember, by name.
    pub async fn memories(&self) -> Vec<(&'static str, Vec<u8>)> {
        let detectors = self.detectors.lock().await;
        detectors.iter().filter_map(|one| Some((one.name(), one.save()?))).collect()
    }

    /// Stores findings. The documents they rest on are durable and will not be looked at again, so
    /// what cannot be stored now is kept for the next time.
    async fn store_found(&self, found: Vec<Event>) {
        let mut all = std::mem::take(&mut *self.unstored.lock().await);
        all.extend(found);
        if all.is_empty() {
            return;
        }
        let origin = self.own_origin();
        let Err(error) = self.append_own(&origin, all.clone(), false).await else { return };
        tracing::error!(%error, findings = all.len(), "findings not stored, to be tried again");
        let mut unstored = self.unstored.lock().await;
        all.append(&mut unstored);
        let lost = all.len().saturating_sub(MAX_UNSTORED);
        all.truncate(MAX_UNSTORED);
        let lost = u64::try_from(lost).unwrap_or(u64::MAX);
        self.telemetry.count("pikett_findings_lost", "findings that were never stored", &[], lost);
        *unstored = all;
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
        self.has_room()?;
        let origin = Origin {
            agent: sender.clone(),
            host: sender.to_string(),
            version: String::new(),
            zone: String::new(),
            region: String::new(),
        };
        self.append_own(&origin, events, true).await
    }

    /// Stores what somebody did: an event of kind `audit`, found by whoever looks for it.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub async fn audit(&self, fields: Object) -> Result<(), PipelineError> {
        let now = Timestamp::from_micros(self.clock.now_micros());
        let event = Event { seq: 0, time: now, seen: now, kind: Kind::Audit, fields };
        let origin = self.own_origin();
        self.append_own(&origin, vec![event], false).await.map(|_| ())
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
        let mut documents = documents(events, origin, boot);
        let marked = self.exceptions.mark(&mut documents);
        let documents = Arc::new(documents);
        let source = SourceKey { agent: origin.agent.clone(), boot };
        let append = Append { source, first_seq, last_seq, documents: Arc::clone(&documents) };
        // A sequence is used up whether or not it was stored: a failed one is never given again.
        self.own.seq.store(last_seq, Ordering::SeqCst);
        let stored = self.store.append(append).await?.events();
        self.record(origin.agent.as_str(), (boot, last_seq), (&documents, &marked)).await?;
        self.suppressed(&marked);
        let taken = Taken { stored, duplicates: 0 };
        self.count(&taken);
        self.publish(&documents);
        drop(in_order);
        if detect {
            Box::pin(self.detect(&documents, Sent::Other)).await;
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests;
