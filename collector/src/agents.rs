//! Agents: who is enrolled, who is connected, what they report, and whether the books balance.
//!
//! For each boot `given out = stored + skipped + rejected + still spooled`; what is missing is the
//! residue. Books are written with each report; what a crash of the collector took of them is
//! found again in the store, which knows what it has ([`Agents::reconcile`]).
//! A residue that stays is an alarm, like an agent that falls silent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event::{Report, Timestamp};
use serde::{Deserialize, Serialize};
use service::Clock;

use crate::state::{Record, State, StateError};
use crate::store::log::dedup::Seen;
use crate::store::log::writer::length;

/// Seconds without a sign of life before an agent counts as silent.
pub const SILENT_AFTER: i64 = 30;
/// Boots whose books are kept per agent.
const MAX_BOOTS: usize = 16;
/// Announcements whose time is kept per boot.
const MAX_GAPS: usize = 16;
/// Longest report kept, bytes.
const MAX_REPORT: usize = 256 * 1024;

/// Counters of one boot of one agent, as the collector sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    /// Boot, hexadecimal.
    pub boot: String,
    /// Last sequence heard of, stored or announced.
    pub given_out: u64,
    /// Events stored, each once.
    pub stored: u64,
    /// Events received again and dropped.
    pub duplicates: u64,
    /// Events the agent said will never come, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Events refused for good.
    pub rejected: u64,
    /// Time of the newest event stored.
    #[serde(default)]
    pub reached: Timestamp,
    /// The latest announcements of events that will never come: they happened after the first time, and
    /// were told at the second.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<(Timestamp, Timestamp)>,
    /// Sequences that were announced as skipped, so that an announcement sent again counts once.
    #[serde(default)]
    pub(crate) announced: Seen,
}

/// An enrolled agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Agent {
    /// Identity.
    pub id: String,
    /// Host as it says.
    pub host: String,
    /// Version as it says.
    pub version: String,
    /// Zone as it says.
    pub zone: String,
    /// Region as it says.
    pub region: String,
    /// When it was enrolled.
    pub enrolled: Timestamp,
    /// When its certificate expires.
    pub expires: Timestamp,
    /// Last sign of life.
    pub seen: Timestamp,
    /// Address of the last connection.
    pub address: String,
    /// Whether it may connect.
    pub revoked: bool,
    /// Its newest report.
    pub report: Option<Report>,
    /// Books of its boots, newest last.
    pub books: Vec<Book>,
}

impl Record for Agent {
    const KIND: &'static str = "agent";
    fn id(&self) -> &str {
        &self.id
    }
}

/// How an agent is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Connected and reporting.
    Online,
    /// Not heard of for a while.
    Silent,
    /// Enrolled and never seen.
    New,
    /// Must not connect.
    Revoked,
}

impl Agent {
    /// How it is doing at `now`.
    #[must_use]
    pub fn health(&self, now: Timestamp) -> Health {
        if self.revoked {
            Health::Revoked
        } else if self.report.is_none() {
            Health::New
        } else if now.micros_since(self.seen) > SILENT_AFTER * 1_000_000 {
            Health::Silent
        } else {
            Health::Online
        }
    }

    /// Events of the present boot that nobody accounts for. Zero when all is well; what is in
    /// flight between two reports shows for a moment and goes away.
    #[must_use]
    pub fn residue(&self) -> i64 {
        let Some(report) = &self.report else { return 0 };
        let boot = format!("{:016x}", report.boot);
        let Some(book) = self.books.iter().find(|book| book.boot == boot) else { return 0 };
        let skipped = book.skipped.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
        let accounted = [book.stored, skipped, book.rejected, report.pending]
            .into_iter()
            .fold(0_u64, u64::saturating_add);
        let given = book.given_out.max(report.last_seq);
        i64::try_from(i128::from(given) - i128::from(accounted)).unwrap_or(i64::MAX).max(0)
    }

    fn book(&mut self, boot: u64) -> &mut Book {
        let boot = format!("{boot:016x}");
        if let Some(at) = self.books.iter().position(|book| book.boot == boot) {
            let book = self.books.remove(at);
            self.books.push(book);
        } else {
            let surplus = (self.books.len() + 1).saturating_sub(MAX_BOOTS);
            self.books.drain(..surplus);
            self.books.push(Book { boot, ..Book::default() });
        }
        let last = self.books.len().saturating_sub(1);
        &mut self.books[last]
    }
}

/// What is to be entered in an agent's book.
#[derive(Debug)]
pub enum Booking {
    /// A batch up to this sequence: events stored, events dropped as duplicates.
    Batch {
        /// Last sequence.
        last_seq: u64,
        /// Time of its last event.
        reached: Timestamp,
        /// Stored now.
        stored: u64,
        /// There already.
        duplicates: u64,
    },
    /// Events that will never come.
    Skipped {
        /// First sequence.
        first_seq: u64,
        /// Last sequence.
        last_seq: u64,
        /// Why.
        reason: String,
    },
}

/// All agents. Cheap to clone.
#[derive(Clone)]
pub struct Agents {
    state: Arc<State>,
    clock: Clock,
    known: Arc<Mutex<BTreeMap<String, Agent>>>,
}

impl std::fmt::Debug for Agents {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Agents(..)")
    }
}

impl Agents {
    /// Reads the agents from the state.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn load(state: Arc<State>, clock: Clock) -> Result<Self, StateError> {
        let known = state.list::<Agent>()?.into_iter().map(|agent| (agent.id.clone(), agent));
        let known = Arc::new(Mutex::new(known.collect()));
        Ok(Self { state, clock, known })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Agent>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.now_micros())
    }

    /// A free identity for `host`: its name, with a number when that is taken.
    fn free_id(known: &BTreeMap<String, Agent>, host: &str) -> String {
        let clean = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
        let base: String = host.chars().take(48).map(clean).collect();
        let base = base.trim_matches('-');
        let base = if base.is_empty() { "agent" } else { base };
        let numbered = (2_u32..).map(|number| format!("{base}-{number}"));
        let mut names = std::iter::once(base.to_owned()).chain(numbered);
        names.find(|name| !known.contains_key(name)).unwrap_or_default()
    }

    /// Adds an agent for `host` under an identity nobody else has, which is returned. `certify`
    /// makes its certificate and says when that expires; when it fails nothing is added.
    ///
    /// # Errors
    /// What `certify` returns, or [`StateError`] as its `From`.
    pub fn enrol<E: From<StateError>>(
        &self,
        host: &str,
        certify: impl FnOnce(&str) -> Result<Timestamp, E>,
    ) -> Result<String, E> {
        // Held throughout: two hosts of one name must not get one identity.
        let mut known = self.lock();
        let id = Self::free_id(&known, host);
        let expires = certify(&id)?;
        let agent = Agent {
            id: id.clone(),
            host: host.to_owned(),
            version: String::new(),
            zone: String::new(),
            region: String::new(),
            enrolled: self.now(),
            expires,
            seen: Timestamp::EPOCH,
            address: String::new(),
            revoked: false,
            report: None,
            books: Vec::new(),
        };
        self.state.put(&agent)?;
        known.insert(agent.id.clone(), agent);
        Ok(id)
    }

    /// All agents, by identity.
    #[must_use]
    pub fn list(&self) -> Vec<Agent> {
        self.lock().values().cloned().collect()
    }

    /// Whether this agent may connect.
    #[must_use]
    pub fn may_connect(&self, id: &str) -> bool {
        self.lock().get(id).is_some_and(|agent| !agent.revoked)
    }

    /// Lets an agent connect or not; false when there is no such agent.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn set_revoked(&self, id: &str, revoked: bool) -> Result<bool, StateError> {
        let mut known = self.lock();
        let Some(agent) = known.get_mut(id) else { return Ok(false) };
        agent.revoked = revoked;
        self.state.put(agent)?;
        Ok(true)
    }

    /// Notes who has connected.
    pub fn connected(&self, peer: &link::server::Peer) {
        let now = self.now();
        if let Some(agent) = self.lock().get_mut(peer.agent.as_str()) {
            agent.seen = now;
            agent.host.clone_from(&peer.host);
            agent.version.clone_from(&peer.version);
            agent.zone.clone_from(&peer.zone);
            agent.region.clone_from(&peer.region);
            agent.expires = Timestamp::from_seconds(peer.expires);
            agent.address =
                peer.address.map(|address| address.ip().to_string()).unwrap_or_default();
            self.keep(agent);
        }
    }

    /// Takes an agent's own report.
    pub fn report(&self, id: &str, json: &[u8]) {
        if json.len() > MAX_REPORT {
            return tracing::warn!(agent = id, bytes = json.len(), "report is too large");
        }
        match serde_json::from_slice::<Report>(json) {
            Ok(report) => {
                let now = self.now();
                if let Some(agent) = self.lock().get_mut(id) {
                    agent.seen = now;
                    agent.book(report.boot).rejected = report.rejected;
                    agent.report = Some(report);
                    self.keep(agent);
                }
            }
            Err(error) => tracing::warn!(agent = id, %error, "report cannot be read"),
        }
    }

    /// Enters what came in an agent's book. Kept with its next report.
    pub fn book(&self, id: &str, boot: u64, booking: Booking) {
        let now = self.now();
        if let Some(agent) = self.lock().get_mut(id) {
            agent.seen = now;
            let book = agent.book(boot);
            match booking {
                Booking::Batch { last_seq, reached, stored, duplicates } => {
                    book.reached = book.reached.max(reached);
                    book.given_out = book.given_out.max(last_seq);
                    book.stored = book.stored.saturating_add(stored);
                    book.duplicates = book.duplicates.saturating_add(duplicates);
                }
                Booking::Skipped { first_seq, last_seq, reason } => {
                    book.given_out = book.given_out.max(last_seq);
                    let known = length(&book.announced.overlap(first_seq, last_seq));
                    let count = length(&[first_seq..=last_seq]).saturating_sub(known);
                    book.announced.mark(first_seq, last_seq);
                    if count > 0 && book.reached > Timestamp::EPOCH {
                        let surplus = (book.gaps.len() + 1).saturating_sub(MAX_GAPS);
                        book.gaps.drain(..surplus);
                        book.gaps.push((book.reached.min(now), now));
                    }
                    let slot = book.skipped.entry(reason).or_default();
                    *slot = slot.saturating_add(count);
                    // Acknowledged after this: nobody will say it again.
                    self.keep(agent);
                }
            }
        }
    }

    /// Boot and last sequence of an agent whose book of the present boot does not balance.
    #[must_use]
    pub fn unbalanced(&self, id: &str) -> Option<(u64, u64)> {
        let known = self.lock();
        let agent = known.get(id).filter(|agent| agent.residue() > 0)?;
        let report = agent.report.as_ref()?;
        let boot = format!("{:016x}", report.boot);
        let book = agent.books.iter().find(|book| book.boot == boot)?;
        Some((report.boot, book.given_out.max(report.last_seq)))
    }

    /// Corrects a book by what the store has: `covered` sequences of this boot.
    pub fn reconcile(&self, id: &str, boot: u64, covered: u64) {
        if let Some(agent) = self.lock().get_mut(id) {
            let book = agent.book(boot);
            book.stored = book.stored.max(covered);
            self.keep(agent);
        }
    }

    fn keep(&self, agent: &Agent) {
        if let Err(error) = self.state.put(agent) {
            tracing::error!(%error, agent = agent.id, "state of an agent could not be kept");
        }
    }
}

#[cfg(test)]
mod tests;
