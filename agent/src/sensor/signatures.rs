//! The signatures in force, and newer ones when their files have changed.
//!
//! A thread of its own compiles them; packet workers look between two bursts whether there are newer
//! ones and go on with those, without losing a packet or a flow. What cannot be read leaves the old
//! ones in force, and says so. The old set is freed by this thread once the last worker has left it,
//! and only then a newer one is made: there are never more than two.

pub(crate) mod files;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};
use arc_swap::ArcSwapOption;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use event::{Event, Kind, Object, Timestamp};
use serde_json::json;
use service::{Clock, Shutdown};
use signature::{Names, Report, RuleSet};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::RulesConfig;
use crate::sensor::live::Shared;
use files::AddressPaths;
use logs::source::Item;

/// Longest time between two looks at whether to stop.
const LOOK: Duration = Duration::from_millis(200);
/// Longest wait for the workers to leave the old set; one that plays a long file keeps it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most refused rules named in an event; the log has all of them.
const MAX_NAMED: usize = 100;

/// What is known of the set in force.
#[derive(Clone, Debug, Default)]
struct State {
    /// Counts the sets that were in force.
    version: u64,
    loaded: u64,
    refused: u64,
    /// Why the newest files are not in force.
    failure: Option<String>,
}

/// Shared by those who use the rules and the one who renews them.
#[derive(Debug, Default)]
pub(crate) struct Signatures {
    current: ArcSwapOption<RuleSet>,
    state: Mutex<State>,
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl Signatures {
    /// With a first set, and how many rules were refused.
    pub(crate) fn new(rules: Option<Arc<RuleSet>>, refused: u64) -> Self {
        let loaded = rules.as_ref().map_or(0, |rules| count(rules.len()));
        let state = State { version: 1, loaded, refused, failure: None };
        Self { current: ArcSwapOption::new(rules), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules in force.
    pub(crate) fn current(&self) -> Option<Arc<RuleSet>> {
        self.current.load_full()
    }

    /// The rules in force when they are not these.
    pub(crate) fn newer_than(&self, mine: &RuleSet) -> Option<Arc<RuleSet>> {
        let current = self.current.load();
        current.as_ref().filter(|rules| !std::ptr::eq(rules.as_ref(), mine)).cloned()
    }

    /// Puts a set in force; the one before it.
    pub(crate) fn replace(&self, rules: Arc<RuleSet>, refused: u64) -> Option<Arc<RuleSet>> {
        let loaded = count(rules.len());
        let old = self.current.swap(Some(rules));
        let mut state = self.state();
        let version = state.version.saturating_add(1);
        *state = State { version, loaded, refused, failure: None };
        old
    }

    /// Rules loaded and refused.
    pub(crate) fn figures(&self) -> (u64, u64) {
        let state = self.state();
        (state.loaded, state.refused)
    }

    /// What is wrong, in words.
    pub(crate) fn problem(&self) -> Option<String> {
        let state = self.state();
        let why = state.failure.as_ref()?;
        Some(format!("newer signatures are not in force, those before them are: {why}"))
    }
}

/// Starts the thread that reads rules again on SIGHUP, or when their files have changed.
///
/// # Errors
/// When the signal cannot be listened for, or no thread started.
pub(crate) fn renew_on_hangup(
    signatures: &Arc<Signatures>,
    config: RulesConfig,
    shared: &Shared,
) -> std::io::Result<JoinHandle<()>> {
    let (ask, asked) = crossbeam_channel::bounded(1);
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            // Asked while they are being read, they are read once more afterwards.
            if ask.try_send(()).is_err() {
                tracing::debug!("rules are about to be read anyway");
            }
        }
    });
    let renewal = Renewal {
        signatures: Arc::clone(signatures),
        config,
        queue: shared.queue.clone(),
        clock: shared.clock.clone(),
        shutdown: shared.shutdown.clone(),
    };
    renewal.start(asked)
}

/// Compiles newer rules when it is asked to, or when their files have changed.
pub(crate) struct Renewal {
    /// Where they go.
    pub(crate) signatures: Arc<Signatures>,
    /// Their files and variables.
    pub(crate) config: RulesConfig,
    /// Where events about it go.
    pub(crate) queue: Sender<Item>,
    /// Clock of these events.
    pub(crate) clock: Clock,
    /// When to stop.
    pub(crate) shutdown: Shutdown,
}

/// Files with their size and time of change.
type Print = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

impl Renewal {
    /// Starts its thread; a message on `asked` has the rules read again.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn start(self, asked: Receiver<()>) -> std::io::Result<JoinHandle<()>> {
        // Before the thread runs: what changes from now on is news.
        let known = self.print();
        let thread = std::thread::Builder::new().name("rules".to_owned());
        thread.spawn(move || self.run(&asked, known))
    }

    fn run(&self, asked: &Receiver<()>, mut known: Print) {
        let every = Duration::from_secs(self.config.watch_seconds);
        let mut seen = Print::new();
        let mut looked = now();
        while !self.shutdown.is_triggered() {
            match asked.recv_timeout(LOOK) {
                Ok(()) => {
                    known = self.print();
                    self.renew("asked to");
                }
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if every.is_zero() || looked.elapsed() < every {
                continue;
            }
            looked = now();
            // Only what is the same twice: files are being written while they change.
            let print = self.print();
            if print != known && print == seen {
                known.clone_from(&print);
                self.renew("files have changed");
            }
            seen = print;
        }
    }

    fn print(&self) -> Print {
        let files = service::files::find(&self.config.signatures, &["rules", "config"]);
        let addresses = AddressPaths::of(&self.config);
        let all = files.unwrap_or_default().into_iter().chain(addresses.all());
        let files = all.map(|path| {
            let about = path.metadata().ok();
            let size = about.as_ref().map_or(0, std::fs::Metadata::len);
            (path, (size, about.and_then(|about| about.modified().ok())))
        });
        files.collect()
    }

    /// Reads the rules and puts them in force, or keeps those that are.
    pub(crate) fn renew(&self, why: &str) {
        let Some(old) = self.signatures.current() else { return };
        let began = now();
        // On one thread: packet workers are at work, and a second core taken from them for the time of a load would be
        // packets lost, while nobody waits for newer rules.
        let read = read(&self.config, old.names(), Some(NonZero::<usize>::MIN));
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match read.and_then(|(rules, report)| usable(&old, rules, report)) {
            Ok((rules, report)) => {
                let refused = refused(&report);
                let loaded = rules.len();
                drop(self.signatures.replace(Arc::new(rules), refused));
                tracing::info!(why, loaded, refused, took, "newer signatures are in force");
                let named: Vec<String> =
                    report.rejected.iter().take(MAX_NAMED).map(files::describe).collect();
                self.tell("newer signatures are in force", took, &named);
                self.release(old);
            }
            Err(error) => {
                let words = format!("{error:#}");
                tracing::error!(why, error = words, "signatures stay as they are");
                self.signatures.state().failure = Some(words);
                self.tell("newer signatures could not be loaded, the old ones stay", took, &[]);
            }
        }
    }

    /// Frees a set once nobody uses it.
    fn release(&self, old: Arc<RuleSet>) {
        let began = now();
        while Arc::strong_count(&old) > 1 && !self.shutdown.is_triggered() {
            if began.elapsed() > PATIENCE {
                tracing::warn!("old signatures are still in use, they are freed later");
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(old);
        tracing::debug!(milliseconds = began.elapsed().as_millis(), "old signatures are freed");
    }

    /// An event of kind `health` about the rules.
    fn tell(&self, message: &str, took: u64, refused_rules: &[String]) {
        let State { version, loaded, refused, failure } = self.signatures.state().clone();
        let mut fields = Object::new();
        fields.insert("message".into(), message.into());
        let rules = json!({
            "engine": "signature", "version": version, "loaded": loaded, "refused": refused,
            "refused_rules": refused_rules, "failure": failure, "milliseconds": took,
        });
        fields.insert("health".into(), json!({ "rules_renewed": rules }));
        let time = Timestamp::from_micros(self.clock.now_micros());
        let event = Event { seq: 0, time, seen: time, kind: Kind::Health, fields };
        if let Err(error) = self.queue.try_send(Item::new(event)) {
            tracing::warn!(%error, "no room for the event about signatures");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "measures its own work and waits; no packet's time")]
fn now() -> Instant {
    Instant::now()
}

/// How many rules a report refuses.
pub(crate) fn refused(report: &Report) -> u64 {
    count(report.rejected.len().saturating_add(report.rejected_beyond))
}

/// Reads the rules of a configuration, on so many threads or as many as there are cores; each one that is refused is
/// told by name.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn read(
    config: &RulesConfig,
    names: &Names,
    threads: Option<NonZero<usize>>,
) -> Result<(RuleSet, Report)> {
    let vars: Vec<_> = config.vars.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
    let addresses = AddressPaths::of(config);
    let (rules, report) =
        files::load_after(&config.signatures, &vars, &addresses, (names, threads))?;
    for rejected in &report.rejected {
        tracing::error!(rule = files::describe(rejected), "signature refused");
    }
    Ok((rules, report))
}

/// Refuses a set without any rule when there were some: files were lost, not given up.
fn usable(old: &RuleSet, rules: RuleSet, report: Report) -> Result<(RuleSet, Report)> {
    ensure!(!rules.is_empty() || old.is_empty(), "there is not one rule in them");
    Ok((rules, report))
}

#[cfg(test)]
mod tests;
