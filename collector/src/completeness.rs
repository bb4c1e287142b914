//! How complete the events of a window of time are, told with every answer: from the loss ledger of
//! the agents, of the collector's own inputs and of the store.
//!
//! What agents and inputs lost and when they were silent is kept over time (`history`), so that a window
//! of the past is told what happened in it; what may have happened in it or outside is told: rather once
//! too often than once too little. Not here: what a search itself left out, which its answer says; alerts
//! about losses, which `watch` raises.

use std::sync::{Arc, Mutex, PoisonError};

use event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::{State as Database, StateError};
use crate::store::Figures;
use crate::web::App;

mod history;
mod judge;
mod series;

use history::History;

/// Most reasons listed with an answer; the others are counted.
pub const MAX_REASONS: usize = 20;
/// Most reasons listed when they are asked for.
pub const MAX_ASKED: usize = 1_000;
/// How long figures of the store are used, microseconds.
const FRESH: i64 = 1_000_000;
/// Where the console shows agents, inputs and ledgers.
const AGENTS: &str = "#/agents";
/// Where the console shows the storage.
const STORAGE: &str = "#/storage";

/// Why events may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Events that will not come any more.
    Lost,
    /// What was not looked at where it arose: packets or lines.
    Unseen,
    /// Events that the collector refused.
    Rejected,
    /// Stored events that cannot be read any more.
    Damaged,
    /// Stored events in the warm folder, which is not there.
    WarmAway,
    /// Events that were redacted.
    Redacted,
    /// An agent that is not heard of.
    AgentSilent,
    /// A log source that is not heard of.
    SourceSilent,
    /// Events that are still on their way, or that nobody accounts for yet; those that stay away raise
    /// an alert.
    Late,
    /// An agent was not connected, ran all the same, and has sent since what it saw.
    Delayed,
}

/// How complete a window is, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing is known to be missing.
    #[default]
    Complete,
    /// Only what is on its way is missing.
    Arriving,
    /// Events may be missing.
    Incomplete,
}

/// One reason why events may be missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Why.
    pub kind: Kind,
    /// Agent, `collector` or `store`.
    pub subject: String,
    /// Since when; not known when absent.
    pub since: Option<Timestamp>,
    /// Until when; not over, or not known, when absent.
    pub until: Option<Timestamp>,
    /// How many events, packets or lines, as far as known.
    pub count: Option<u64>,
    /// In words.
    pub words: String,
    /// Where the console tells more.
    pub link: String,
}

/// How complete a window is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completeness {
    /// In one word.
    pub state: State,
    /// Why something may be missing, gravest first.
    pub reasons: Vec<Reason>,
    /// Reasons that are not listed.
    pub more: usize,
}

/// A window of time, microseconds, both ends within; and now.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// First.
    pub low: i64,
    /// Last.
    pub high: i64,
    /// Now.
    pub now: Timestamp,
}

/// What is known of losses: their history, and the figures of the store, which are asked for at most once a
/// second because they are counted from the disk. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledgers {
    state: Arc<Database>,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug)]
struct Known {
    history: History,
    figures: Option<(Timestamp, Figures)>,
    /// When this collector started.
    started: Timestamp,
}

impl Ledgers {
    /// Reads the history from the state.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn load(state: Arc<Database>, started: Timestamp) -> Result<Self, StateError> {
        let known = Known { history: History::load(&state)?, figures: None, started };
        Ok(Self { state, known: Arc::new(Mutex::new(known)) })
    }

    /// Looks at agents and inputs, and notes what has happened since the last look.
    pub fn look(&self, app: &App) {
        self.lock().look(app);
    }

    /// Keeps the history. Blocks.
    pub fn keep(&self, now: Timestamp) {
        if let Err(error) = self.lock().history.keep(&self.state, now) {
            tracing::error!(error = service::causes(&error), "history of losses is not kept yet");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Judges a window by everything the collector knows, with at most `most` reasons. Blocks.
    #[must_use]
    pub fn judge(&self, app: &App, window: Window, most: usize) -> Completeness {
        let now = app.now();
        let mut known = self.lock();
        let fresh = known.figures.take().filter(|(at, _)| now.micros_since(*at).abs() < FRESH);
        if fresh.is_none() {
            known.look(app);
        }
        let figures = fresh.unwrap_or_else(|| (now, app.pipeline.store().figures()));
        let known = &mut *known;
        let (_, figures) = known.figures.insert(figures);
        judge::judge(
            window,
            (&app.agents.list(), &app.receiving.figures(), figures),
            app.vault.redactions.count(window.low, window.high),
            &known.history,
            most,
        )
    }
}

impl Known {
    fn look(&mut self, app: &App) {
        let now = app.now();
        for agent in app.agents.list().iter().filter(|agent| !agent.revoked) {
            self.history.agent(agent, now);
        }
        self.history.inputs(&app.receiving.figures(), self.started, now);
    }
}

#[cfg(test)]
mod tests;
