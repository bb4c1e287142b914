//! Previews of rules: what a rule's text would have found in the stored past, worked out beside everything else.
//!
//! A hunt is begun, asked how far it is, and may be cancelled; few run at the same time, each bounded in events
//! and time. It means what it would mean here: with the names of fields, placeholders and exceptions of this
//! collector. Nothing is kept over a restart, and nothing is changed by it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use event::{Engine, Timestamp};
use serde::Serialize;
use service::Clock;
use sigma::{Condition, Exceptions as Written, Fired, Hunter, Made, RuleSet};

use crate::config::RulesConfig;
use crate::correlate;
use crate::exceptions::{Exceptions, Standing};
use crate::keys::random;
use crate::search::{Cancel, SearchError, SearchRequest};
use crate::store::Store;

#[cfg(test)]
mod tests;

/// Hunts that run at the same time.
const MAX_RUNNING: usize = 2;
/// Hunts that are remembered; the oldest that are over leave first.
const MAX_KEPT: usize = 32;
/// Events of one page.
const PAGE: usize = 2_000;
/// Most events evaluated.
const MAX_EVENTS: u64 = 500_000;
/// Longest time.
const BUDGET: Duration = Duration::from_secs(180);
/// Longest text of rules, bytes.
const MAX_TEXT: usize = 256 * 1024;
/// Most rules of a text.
const MAX_RULES: usize = 100;

/// How a hunt stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It goes on.
    #[default]
    Running,
    /// It has an answer.
    Done,
    /// Somebody stopped it.
    Cancelled,
    /// It could not go on.
    Failed,
}

/// How far a hunt is, and what it found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Progress {
    /// Identity.
    pub id: String,
    /// How it stands.
    pub stage: Stage,
    /// The query that finds what the rules can match.
    pub query: String,
    /// Events evaluated.
    pub events: u64,
    /// Events the query finds.
    pub total: u64,
    /// Matches so far, correlations not among them.
    pub matches: u64,
    /// It looked at the newest events alone: counts are lower bounds.
    pub partial: bool,
    /// Events that correlations did not see because there were too many.
    pub uncorrelated: u64,
    /// What would have fired, once it is done.
    pub rules: Vec<Fired>,
    /// Why it could not go on.
    pub error: String,
}

/// Why a hunt is not begun.
#[derive(Debug, thiserror::Error)]
pub enum HuntError {
    /// The rules are not whole.
    #[error("{0}")]
    Rules(String),
    /// Too many run.
    #[error("{MAX_RUNNING} previews run already; wait, or cancel one")]
    Busy,
    /// The collector failed.
    #[error("the preview could not be begun: {0}")]
    Failed(String),
}

/// What rules mean here, for hunts elsewhere.
#[derive(Debug, Serialize)]
pub struct Settings {
    /// Files of names of fields: name and text.
    pub mappings: Vec<(String, String)>,
    /// Values of placeholders.
    pub placeholders: BTreeMap<String, Vec<String>>,
    /// Files of exceptions: name and text.
    pub exceptions: Vec<(String, String)>,
    /// Exceptions of the state that hold: engine, rule, conditions.
    pub made: Vec<(Engine, String, Vec<Condition>)>,
}

fn made(exceptions: &Exceptions) -> Vec<Made> {
    let all = exceptions.list().0.into_iter().filter(|one| one.standing == Standing::Active);
    let all = all.map(|one| one.exception);
    all.map(|one| (one.engine, one.rule_id, one.conditions)).collect()
}

/// What rules mean with this configuration. Blocks.
///
/// # Errors
/// When a file cannot be read.
pub fn settings(config: &RulesConfig, exceptions: &Exceptions) -> Result<Settings> {
    Ok(Settings {
        mappings: correlate::texts(&config.mappings)?,
        placeholders: config.placeholders.clone(),
        exceptions: correlate::texts(&config.exceptions)?,
        made: made(exceptions),
    })
}

#[derive(Debug, Default)]
struct Job {
    cancel: Cancel,
    progress: Mutex<Progress>,
}

impl Job {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is hunted for, and when.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Rules, one or more YAML documents.
    pub rules: String,
    /// Earliest time.
    pub from: String,
    /// Latest time.
    pub to: String,
}

/// All hunts. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Hunts {
    jobs: Arc<Mutex<Vec<Arc<Job>>>>,
}

impl Hunts {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far a hunt is.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Progress> {
        let jobs = self.lock();
        jobs.iter().map(|job| job.lock().clone()).find(|progress| progress.id == id)
    }

    /// Stops a hunt; true when it was there.
    #[must_use]
    pub fn cancel(&self, id: &str) -> bool {
        let jobs = self.lock();
        let found = jobs.iter().find(|job| job.lock().id == id);
        found.inspect(|job| job.cancel.cancel()).is_some()
    }

    /// Stops all hunts: the collector ends.
    pub fn stop(&self) {
        self.lock().iter().for_each(|job| job.cancel.cancel());
    }

    /// Reads the rules and begins to hunt on a thread for what takes long.
    ///
    /// # Errors
    /// [`HuntError`].
    pub fn begin(
        &self,
        wanted: Wanted,
        (store, clock): (Arc<dyn Store>, Clock),
        (config, exceptions): (&RulesConfig, &Exceptions),
    ) -> Result<Progress, HuntError> {
        let failed = |error: anyhow::Error| HuntError::Failed(format!("{error:#}"));
        let options = correlate::options(config).map_err(failed)?;
        let rules = rules(&wanted.rules, &options)?;
        let texts = correlate::texts(&config.exceptions).map_err(failed)?;
        // Those about other rules are refused here, and have no part in it.
        let (written, _) = Written::load(texts.into_iter(), &rules, &options);
        let made = made(exceptions);
        let id = random::<8>().map_err(|error| HuntError::Failed(error.to_string()))?;
        let id = id.iter().fold(String::new(), |id, byte| id + &format!("{byte:02x}"));
        let progress = Progress { id, query: rules.query(), ..Progress::default() };
        let job = Arc::new(Job { progress: Mutex::new(progress.clone()), ..Job::default() });
        {
            let mut jobs = self.lock();
            let running = |job: &&Arc<Job>| job.lock().stage == Stage::Running;
            if jobs.iter().filter(running).count() >= MAX_RUNNING {
                return Err(HuntError::Busy);
            }
            if jobs.len() >= MAX_KEPT
                && let Some(over) = jobs.iter().position(|job| !running(&job))
            {
                jobs.remove(over);
            }
            jobs.push(Arc::clone(&job));
        }
        tokio::task::spawn_blocking(move || {
            let hunting = Hunting { job: &job, wanted: &wanted, clock: &clock };
            let outcome = hunting.run(store.as_ref(), &rules, (written, made));
            let mut progress = job.lock();
            match outcome {
                Ok(()) | Err(_) if job.cancel.is_cancelled() => progress.stage = Stage::Cancelled,
                Ok(()) => progress.stage = Stage::Done,
                Err(error) => {
                    progress.stage = Stage::Failed;
                    progress.error = error.to_string();
                }
            }
        });
        Ok(progress)
    }
}

/// The rules of a text; one that is not whole refuses all.
fn rules(text: &str, options: &sigma::Options) -> Result<RuleSet, HuntError> {
    let wrong = |what: String| Err(HuntError::Rules(what));
    if text.len() > MAX_TEXT {
        return wrong(format!("rules have at most {MAX_TEXT} bytes here"));
    }
    let (rules, report) = RuleSet::load(std::iter::once(("rule", text)), options);
    if let Some(one) = report.rejected.first() {
        return wrong(format!("{} {}", one.id, one.reason).trim().to_owned());
    }
    if let Some(one) = report.inert.first() {
        return wrong(format!("{} can never fire: {}", one.id, one.reason));
    }
    match rules.len() + rules.correlations() {
        0 => wrong("there is no rule in it".to_owned()),
        count if count > MAX_RULES => wrong(format!("{count} rules; at most {MAX_RULES} at once")),
        _ => Ok(rules),
    }
}

struct Hunting<'a> {
    job: &'a Job,
    wanted: &'a Wanted,
    clock: &'a Clock,
}

impl Hunting<'_> {
    fn run(
        &self,
        store: &dyn Store,
        rules: &RuleSet,
        (written, made): (Written, Vec<Made>),
    ) -> Result<()> {
        let mut hunter = Hunter::new(rules, written, made)?;
        let until = self.clock.now_micros().saturating_add(i64::try_from(BUDGET.as_micros())?);
        // The end is fixed, so that what arrives meanwhile does not lengthen it.
        let now = Timestamp::from_micros(self.clock.now_micros()).to_string();
        let to = if self.wanted.to.trim() == "now" { now } else { self.wanted.to.clone() };
        let mut request = SearchRequest {
            query: rules.query(),
            from: Some(self.wanted.from.clone()),
            to: Some(to),
            limit: PAGE,
            ..SearchRequest::default()
        };
        loop {
            let found = match store.search(&request, &self.job.cancel) {
                Err(SearchError::Cancelled) => return Ok(()),
                found => found?,
            };
            let count = u64::try_from(found.hits.len())?;
            found.hits.into_iter().for_each(|hit| hunter.event(hit.document));
            let mut progress = self.job.lock();
            progress.events = progress.events.saturating_add(count);
            progress.total = found.total.max(progress.events);
            progress.matches = hunter.so_far();
            progress.partial |= found.partial || !found.failures.is_empty();
            if self.job.cancel.is_cancelled() {
                return Ok(());
            }
            let Some(next) = found.next else { break };
            if progress.events >= MAX_EVENTS || self.clock.now_micros() >= until {
                progress.partial = true;
                break;
            }
            request.after = Some(next);
        }
        let (fired, uncorrelated) = hunter.finish();
        let mut progress = self.job.lock();
        progress.rules = fired;
        progress.uncorrelated = uncorrelated;
        if progress.rules.is_empty() {
            bail!("no rule speaks for itself");
        }
        Ok(())
    }
}
