//! Alerts: detections grouped by rule and entity, with state, evidence and timeline.
//!
//! A detection joins the open alert of its rule and entity; else it begins a new one, so that a
//! new rule, a new entity or a return after closing is never hidden by an old alert. Of several
//! alerts of one group that are not closed (one was reopened) the newest is joined. Reopening
//! begins anew: open, nobody's, without a verdict, and people are called again; what was before
//! stays in the timeline. Detections
//! are recorded here before the batch that carried them is acknowledged, and a watermark per
//! (agent, boot) makes a batch that is sent again count only once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event::{Detection, Document, Engine, Entity, EventId, Severity, Technique, Timestamp};
use serde::{Deserialize, Serialize};
use service::Clock;
use tokio::sync::Notify;

use crate::auth::sha256;
use crate::state::{Record, State, StateError};

#[cfg(test)]
mod tests;

/// Identities of events kept as evidence: the first half of them and the newest.
const MAX_EVIDENCE: usize = 32;
/// Entries kept in a timeline.
const MAX_TIMELINE: usize = 200;
/// Boots whose watermark is kept per agent.
const MAX_BOOTS: usize = 16;
/// Alerts kept in memory; closed ones leave first.
const MAX_ALERTS: usize = 50_000;
/// An open alert without a detection for this long is not joined any more, seconds.
const WINDOW: i64 = 24 * 3600;

/// How far an alert has been dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nobody has looked.
    Open,
    /// Somebody is on it.
    Acknowledged,
    /// Dealt with.
    Closed,
}

/// What an alert turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// An attack.
    TruePositive,
    /// Right, but harmless.
    Benign,
    /// The rule is wrong.
    FalsePositive,
}

/// One line of an alert's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub time: Timestamp,
    /// Who: a user, or `pikett`.
    pub who: String,
    /// What.
    pub what: String,
}

/// A group of detections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Identity.
    pub id: String,
    /// Engine.
    pub engine: Engine,
    /// Rule.
    pub rule_id: String,
    /// Title of the rule.
    pub title: String,
    /// Worst severity seen.
    pub severity: Severity,
    /// Category of the rule.
    pub category: String,
    /// What it is about.
    pub entity: Entity,
    /// Detections.
    pub count: u64,
    /// Time of the first detection's event.
    pub first: Timestamp,
    /// Time of the last detection's event.
    pub last: Timestamp,
    /// When the first detection arrived here.
    pub created: Timestamp,
    /// Why the last one fired.
    pub explanation: String,
    /// What to do.
    pub advice: String,
    /// ATT&CK.
    pub attack: Vec<Technique>,
    /// Text of the rule.
    pub rule_text: String,
    /// Events it rests on: the detections themselves and what they name.
    pub evidence: VecDeque<String>,
    /// Hosts whose agents saw it.
    pub hosts: Vec<String>,
    /// State.
    pub status: Status,
    /// Verdict, once closed.
    pub verdict: Option<Verdict>,
    /// Who is on it; nobody while it is open.
    pub owner: Option<String>,
    /// How often it has been opened again; each time calls people anew.
    #[serde(default)]
    pub reopened: u32,
    /// History.
    pub timeline: Vec<Entry>,
}

impl Record for Alert {
    const KIND: &'static str = "alert";
    fn id(&self) -> &str {
        &self.id
    }
}

/// Up to where a boot's detections are recorded.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Watermarks {
    agent: String,
    /// (boot, last sequence), newest last.
    boots: Vec<(u64, u64)>,
}

impl Record for Watermarks {
    const KIND: &'static str = "alert_watermark";
    fn id(&self) -> &str {
        &self.agent
    }
}

/// Why an alert could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// No such alert.
    #[error("no alert {id:?}")]
    Unknown {
        /// As asked for.
        id: String,
    },
    /// The change does not fit its state.
    #[error("the alert is {status} already")]
    Status {
        /// State it is in.
        status: &'static str,
    },
    /// State could not be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What an analyst does with an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take it on.
    Acknowledge,
    /// Deal with it.
    Close(Verdict),
    /// It is not dealt with after all, or its owner gives it back.
    Reopen,
}

#[derive(Default)]
struct Known {
    alerts: BTreeMap<String, Alert>,
    /// Open and acknowledged alerts by group.
    live: BTreeMap<String, String>,
    watermarks: BTreeMap<String, Watermarks>,
}

/// All alerts. Cheap to clone.
#[derive(Clone)]
pub struct Alerts {
    state: Arc<State>,
    clock: Clock,
    known: Arc<Mutex<Known>>,
    changed: Arc<Notify>,
}

impl std::fmt::Debug for Alerts {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Alerts(..)")
    }
}

/// Detections of one batch, as they came.
#[derive(Debug)]
pub struct Arrived<'a> {
    /// Agent.
    pub agent: &'a str,
    /// Boot.
    pub boot: u64,
    /// Last sequence of the batch.
    pub last_seq: u64,
    /// Documents of kind `alert` in it.
    pub documents: Vec<&'a Document>,
}

fn group(engine: Engine, rule: &str, entity: &Entity) -> String {
    format!("{}\0{rule}\0{}\0{}", engine.as_str(), entity.field, entity.value)
}

impl Alert {
    fn group(&self) -> String {
        group(self.engine, &self.rule_id, &self.entity)
    }

    fn same_group(&self, other: &Self) -> bool {
        (self.engine, &self.rule_id, &self.entity) == (other.engine, &other.rule_id, &other.entity)
    }

    fn begin(id: String, detection: &Detection, time: Timestamp, now: Timestamp) -> Self {
        Self {
            id,
            engine: detection.engine,
            rule_id: detection.rule_id.clone(),
            title: detection.title.clone(),
            severity: detection.severity,
            category: detection.category.clone(),
            entity: detection.entity.clone(),
            count: 0,
            first: time,
            last: time,
            created: now,
            explanation: String::new(),
            advice: detection.advice.clone(),
            attack: detection.attack.clone(),
            rule_text: detection.rule_text.clone(),
            evidence: VecDeque::new(),
            hosts: Vec::new(),
            status: Status::Open,
            verdict: None,
            owner: None,
            reopened: 0,
            timeline: Vec::new(),
        }
    }

    fn note(&mut self, time: Timestamp, who: &str, what: impl Into<String>) {
        if self.timeline.len() >= MAX_TIMELINE {
            self.timeline.remove(MAX_TIMELINE / 2);
        }
        self.timeline.push(Entry { time, who: who.to_owned(), what: what.into() });
    }

    /// Counts one more detection in.
    fn join(&mut self, detection: &Detection, document: &Document, time: Timestamp) {
        self.count = self.count.saturating_add(1);
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        self.explanation.clone_from(&detection.explanation);
        let own = text(document, "event.id");
        for id in own.into_iter().chain(detection.evidence.iter().cloned()) {
            if self.evidence.contains(&id) {
                continue;
            }
            if self.evidence.len() >= MAX_EVIDENCE {
                self.evidence.remove(MAX_EVIDENCE / 2);
            }
            self.evidence.push_back(id);
        }
        if let Some(host) = text(document, "host.name")
            && !self.hosts.contains(&host)
            && self.hosts.len() < MAX_EVIDENCE
        {
            self.hosts.push(host);
        }
    }
}

fn text(document: &Document, name: &str) -> Option<String> {
    event::get(document, name).and_then(|value| value.as_str()).map(str::to_owned)
}

impl Alerts {
    /// Reads all alerts from the state.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn load(state: Arc<State>, clock: Clock) -> Result<Self, StateError> {
        let mut known = Known::default();
        for alert in state.list::<Alert>()? {
            known.alerts.insert(alert.id.clone(), alert);
        }
        known.live = newest(known.alerts.values());
        for marks in state.list::<Watermarks>()? {
            known.watermarks.insert(marks.agent.clone(), marks);
        }
        let known = Arc::new(Mutex::new(known));
        Ok(Self { state, clock, known, changed: Arc::new(Notify::new()) })
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.now_micros())
    }

    /// Resolves when an alert was made or changed since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Records the detections of one batch, durably, once. Returns how many were new.
    ///
    /// # Errors
    /// [`StateError`]; then none of them is recorded and the batch must not be acknowledged.
    pub fn record(&self, arrived: &Arrived<'_>) -> Result<usize, StateError> {
        let mut known = self.lock();
        let mut marks = known
            .watermarks
            .get(arrived.agent)
            .cloned()
            .unwrap_or_else(|| Watermarks { agent: arrived.agent.to_owned(), boots: Vec::new() });
        let done = marks.boots.iter().find(|(boot, _)| *boot == arrived.boot);
        let done = done.map_or(0, |(_, seq)| *seq);
        let fresh = arrived.documents.iter().filter(|document| {
            let id = text(document, "event.id").and_then(|id| id.parse::<EventId>().ok());
            id.is_none_or(|id| id.seq > done)
        });
        let mut touched: BTreeMap<String, Alert> = BTreeMap::new();
        let mut count = 0_usize;
        for document in fresh {
            count = count.saturating_add(1);
            self.place(&known, &mut touched, document);
        }
        if count == 0 {
            return Ok(0);
        }
        marks.boots.retain(|(boot, _)| *boot != arrived.boot);
        marks.boots.push((arrived.boot, arrived.last_seq.max(done)));
        let surplus = marks.boots.len().saturating_sub(MAX_BOOTS);
        marks.boots.drain(..surplus);
        self.state.write(|batch| {
            batch.put(&marks)?;
            touched.values().try_for_each(|alert| batch.put(alert))
        })?;
        known.watermarks.insert(marks.agent.clone(), marks);
        for (group, alert) in touched {
            known.live.insert(group, alert.id.clone());
            known.alerts.insert(alert.id.clone(), alert);
        }
        self.shrink(&mut known);
        drop(known);
        self.changed.notify_waiters();
        Ok(count)
    }

    /// Puts one detection into the alert it belongs to, or a new one.
    fn place(&self, known: &Known, touched: &mut BTreeMap<String, Alert>, document: &Document) {
        let Some(detection) = Detection::from_document(document) else {
            tracing::error!("an alert event without a usable detection was stored but not grouped");
            return;
        };
        let now = self.now();
        let time = text(document, "timestamp").and_then(|text| text.parse().ok()).unwrap_or(now);
        let group = group(detection.engine, &detection.rule_id, &detection.entity);
        let old = touched.get(&group).cloned().or_else(|| {
            let alert = known.alerts.get(known.live.get(&group)?)?;
            let fits = time.micros_since(alert.last) < WINDOW * 1_000_000;
            fits.then(|| alert.clone())
        });
        let mut alert = old.unwrap_or_else(|| {
            let id = text(document, "event.id").unwrap_or_default();
            let id = sha256(&format!("{group}\0{id}\0{}", now.micros())).chars().take(16).collect();
            let mut alert = Alert::begin(id, &detection, time, now);
            alert.note(now, PRODUCT, "opened");
            alert
        });
        if detection.severity > alert.severity {
            alert.severity = detection.severity;
            let what = format!("severity rose to {}", detection.severity.as_str());
            alert.note(now, PRODUCT, what);
        }
        alert.join(&detection, document, time);
        touched.insert(group, alert);
    }

    /// Lets the oldest closed alerts leave the memory and the state when there are too many.
    fn shrink(&self, known: &mut Known) {
        while known.alerts.len() > MAX_ALERTS {
            let closed = known.alerts.values().filter(|alert| alert.status == Status::Closed);
            let Some(oldest) = closed.min_by_key(|alert| alert.last).map(|one| one.id.clone())
            else {
                return;
            };
            if let Err(error) = self.state.remove::<Alert>(&oldest) {
                tracing::error!(%error, "an old alert could not be removed");
            }
            known.alerts.remove(&oldest);
        }
    }

    /// One alert.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Alert> {
        self.lock().alerts.get(id).cloned()
    }

    /// Alerts that `wanted` takes, newest first, at most `limit`, and how many there are in all.
    #[must_use]
    pub fn list(&self, wanted: impl Fn(&Alert) -> bool, limit: usize) -> (Vec<Alert>, usize) {
        let known = self.lock();
        let mut found: Vec<&Alert> = known.alerts.values().filter(|one| wanted(one)).collect();
        let total = found.len();
        found.sort_by_key(|alert| std::cmp::Reverse(alert.last));
        (found.into_iter().take(limit).cloned().collect(), total)
    }

    /// What `pick` takes of the alerts.
    pub fn pick<T>(&self, pick: impl Fn(&Alert) -> Option<T>) -> Vec<T> {
        self.lock().alerts.values().filter_map(pick).collect()
    }

    /// Does `action` in the name of `who`.
    ///
    /// # Errors
    /// [`AlertError`].
    pub fn act(
        &self,
        id: &str,
        action: Action,
        who: &str,
        note: &str,
    ) -> Result<Alert, AlertError> {
        let mut known = self.lock();
        let unknown = || AlertError::Unknown { id: id.to_owned() };
        let mut alert = known.alerts.get(id).cloned().ok_or_else(unknown)?;
        let status = |status| Err(AlertError::Status { status });
        let what = match (action, alert.status) {
            (Action::Acknowledge, Status::Open) => {
                alert.status = Status::Acknowledged;
                alert.owner = Some(who.to_owned());
                "acknowledged".to_owned()
            }
            (Action::Acknowledge, Status::Acknowledged) => return status("acknowledged"),
            (Action::Acknowledge | Action::Close(_), Status::Closed) => return status("closed"),
            (Action::Close(verdict), _) => {
                alert.status = Status::Closed;
                alert.verdict = Some(verdict);
                format!("closed as {}", name(verdict))
            }
            (Action::Reopen, Status::Open) => return status("open"),
            (Action::Reopen, before) => {
                alert.status = Status::Open;
                alert.verdict = None;
                alert.owner = None;
                alert.reopened = alert.reopened.saturating_add(1);
                if before == Status::Closed { "reopened" } else { "given back" }.to_owned()
            }
        };
        let what = if note.is_empty() { what } else { format!("{what}: {note}") };
        alert.note(self.now(), who, what);
        self.state.put(&alert)?;
        let group = alert.group();
        known.alerts.insert(alert.id.clone(), alert.clone());
        let same = known.alerts.values().filter(|one| one.same_group(&alert));
        match newest(same).remove(&group) {
            Some(id) => known.live.insert(group, id),
            None => known.live.remove(&group),
        };
        drop(known);
        self.changed.notify_waiters();
        Ok(alert)
    }

    /// Adds a line to an alert's history, unless it says just that since it was last (re)opened:
    /// what goes wrong again and again is told once.
    ///
    /// # Errors
    /// [`AlertError`].
    pub fn note_once(&self, id: &str, what: &str) -> Result<(), AlertError> {
        let told = self.get(id).is_some_and(|alert| {
            let since = alert.timeline.iter().rev();
            since.take_while(|entry| !begins(entry)).any(|entry| entry.what == what)
        });
        if told { Ok(()) } else { self.note(id, PRODUCT, what) }
    }

    /// Adds a line to an alert's history.
    ///
    /// # Errors
    /// [`AlertError`].
    pub fn note(&self, id: &str, who: &str, what: &str) -> Result<(), AlertError> {
        let mut known = self.lock();
        let now = self.now();
        let alert =
            known.alerts.get_mut(id).ok_or_else(|| AlertError::Unknown { id: id.to_owned() })?;
        alert.note(now, who, what);
        self.state.put(alert)?;
        Ok(())
    }
}

/// Name under which the product itself writes history.
pub const PRODUCT: &str = "pikett";

/// Whether this entry is where an alert was opened again.
fn begins(entry: &Entry) -> bool {
    let verb = entry.what.split(':').next().unwrap_or_default();
    entry.who != PRODUCT && ["reopened", "given back"].contains(&verb)
}

/// The newest alert that is not closed, by group.
fn newest<'a>(alerts: impl Iterator<Item = &'a Alert>) -> BTreeMap<String, String> {
    let mut live: BTreeMap<String, &Alert> = BTreeMap::new();
    for alert in alerts.filter(|alert| alert.status != Status::Closed) {
        let slot = live.entry(alert.group()).or_insert(alert);
        if (alert.created, &alert.id) > (slot.created, &slot.id) {
            *slot = alert;
        }
    }
    live.into_iter().map(|(group, alert)| (group, alert.id.clone())).collect()
}

/// A verdict in words.
#[must_use]
pub const fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::TruePositive => "true positive",
        Verdict::Benign => "benign",
        Verdict::FalsePositive => "false positive",
    }
}
