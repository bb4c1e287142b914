//! Detection in the collector: correlations over all agents, and rules for what comes without one.
//!
//! Agents evaluate single events themselves; here their documents only feed correlations. Events of
//! other shippers have had no detection yet and get it here. Correlations, thresholds and baselines
//! keep their state over a restart ([`Memory`]).

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use event::{Document, Engine, Event, Timestamp};
use sigma::{Correlator, Record, RuleIndex, RuleSet, Scratch};

use crate::config::RulesConfig;
use crate::exceptions::Exceptions;
use crate::keys;
use crate::pipeline::{Detector, Sent};
use crate::store::Key;
use crate::store::log::checkpoint::{self, Found};

/// The detectors for a configuration, with what `memory` has of them, and the exceptions that are state.
/// Refused rules are told by name.
///
/// # Errors
/// When a file cannot be read.
pub fn detectors(
    config: &RulesConfig,
    memory: Option<&Memory>,
    exceptions: &Exceptions,
) -> Result<Vec<Box<dyn Detector>>> {
    let mut out: Vec<Box<dyn Detector>> = Vec::new();
    if !config.sigma.is_empty() {
        let texts = texts(&config.sigma)?;
        let options = options(config)?;
        let (rules, report) = RuleSet::load(texts.into_iter(), &options);
        refused(&report.rejected, "Sigma rule refused");
        tracing::info!(loaded = report.accepted, refused = report.rejected.len(), "Sigma rules");
        let files = self::texts(&config.exceptions)?;
        let (written, rejected) = sigma::Exceptions::load(files.into_iter(), &rules, &options);
        refused(&rejected, "exception refused");
        let mut correlator = Correlator::new(&rules);
        if let Some((memory, bytes)) = memory.and_then(|memory| Some((memory, memory.load(SIGMA)?)))
        {
            match correlator.restore(&bytes) {
                Ok(back) => {
                    let (groups, anew) = (back.groups, back.dropped);
                    tracing::info!(groups, ?anew, "correlations restored");
                }
                Err(error) => memory.set_aside(SIGMA, &error.to_string()),
            }
        }
        let scratch = Scratch::new();
        let told = Told::default();
        exceptions.files(written.iter().map(|(one, _)| (one, 0)));
        let made = exceptions.clone();
        out.push(Box::new(SigmaDetector { rules, correlator, scratch, written, made, told }));
    }
    if !config.anomaly.is_empty() {
        let sources: Vec<anomaly::Source> = texts(&config.anomaly)?
            .into_iter()
            .map(|(name, text)| anomaly::Source { name, text })
            .collect();
        let (rules, errors) = anomaly::RuleSet::load(&sources, &anomaly::Options::default());
        for error in &errors {
            tracing::error!(%error, "threshold rule refused");
        }
        tracing::info!(loaded = rules.rules().len(), refused = errors.len(), "threshold rules");
        let seed = u64::from_le_bytes(keys::random::<8>()?);
        let mut engine = anomaly::Engine::with_seed(&rules, seed);
        if let Some((memory, bytes)) =
            memory.and_then(|memory| Some((memory, memory.load(ANOMALY)?)))
        {
            match engine.restore(&bytes) {
                Ok(back) => {
                    tracing::info!(groups = back.groups, anew = ?back.dropped, "baselines restored");
                }
                Err(error) => memory.set_aside(ANOMALY, &error.to_string()),
            }
        }
        out.push(Box::new(AnomalyDetector { engine, found: Vec::new(), timely: false }));
    }
    Ok(out)
}

fn refused(rejected: &[sigma::Rejected], what: &str) {
    for one in rejected {
        tracing::error!(file = one.file, id = one.id, reason = one.reason, "{what}");
    }
}

/// Placeholders and names of fields of the configuration. A file of names that has another form is told
/// and left out.
///
/// # Errors
/// When a file cannot be read.
pub fn options(config: &RulesConfig) -> Result<sigma::Options> {
    let mut options =
        sigma::Options { placeholders: config.placeholders.clone(), ..sigma::Options::default() };
    for (file, text) in texts(&config.mappings)? {
        if let Err(error) = options.mappings.add(&text) {
            tracing::error!(file, %error, "names of fields refused");
        }
    }
    Ok(options)
}

/// Names and texts of the YAML files of files and folders.
///
/// # Errors
/// When one cannot be read.
pub fn texts(paths: &[PathBuf]) -> Result<Vec<(String, String)>> {
    Ok(service::files::read(&service::files::find(paths, &["yml", "yaml"])?)?)
}

fn time(document: &Document, name: &str) -> Timestamp {
    let text = event::get(document, name).and_then(|value| value.as_str());
    text.and_then(|text| text.parse().ok()).unwrap_or(Timestamp::EPOCH)
}

/// Where detectors' state lies while the collector does not run: sealed files in its data folder.
#[derive(Clone, Debug)]
pub struct Memory {
    folder: PathBuf,
    key: Key,
}

impl Memory {
    /// In `folder`, sealed with `key`.
    #[must_use]
    pub const fn new(folder: PathBuf, key: Key) -> Self {
        Self { folder, key }
    }

    /// What its files are sealed with.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.memory"))
    }

    /// Keeps what the detectors remember; blocks. What cannot be written is told and the older
    /// state stays.
    pub fn save(&self, memories: &[(&'static str, Vec<u8>)]) {
        for (name, bytes) in memories {
            if let Err(error) = checkpoint::write(&self.path(name), &self.key, bytes, true) {
                tracing::error!(name, error = service::causes(&error), "memory not kept");
            }
        }
    }

    /// Moves a file that cannot be used out of the way (`NAME.memory.damaged`), so that the next save
    /// does not destroy what somebody may want to look at.
    pub fn set_aside(&self, name: &str, reason: &str) {
        let aside = self.folder.join(format!("{name}.memory.damaged"));
        tracing::error!(name, reason, aside = %aside.display(), "kept memory cannot be used, beginning anew");
        if let Err(error) = std::fs::rename(self.path(name), &aside) {
            tracing::error!(name, %error, "it could not be set aside");
        }
    }

    /// What was kept under `name`. A file that does not open is set aside and counts as none.
    #[must_use]
    pub fn load(&self, name: &str) -> Option<Vec<u8>> {
        match checkpoint::read(&self.path(name), &self.key) {
            Ok(Found::Content(bytes)) => return Some(bytes),
            Ok(Found::Nothing) => {}
            Ok(Found::Damaged) => self.set_aside(name, "damaged, or sealed with another key"),
            Err(error) => {
                tracing::error!(name, error = service::causes(&error), "memory not read");
            }
        }
        None
    }
}

/// Name of the detector of Sigma rules and correlations.
const SIGMA: &str = "sigma";

struct SigmaDetector {
    rules: RuleSet,
    correlator: Correlator,
    scratch: Scratch,
    /// Exceptions from files.
    written: sigma::Exceptions,
    /// Exceptions that are state.
    made: Exceptions,
    told: Told,
}

/// What was told already.
#[derive(Default)]
struct Told {
    /// Counts by reason.
    left_out: BTreeMap<String, u64>,
    /// Suppressions by exception.
    suppressed: BTreeMap<String, u64>,
}

impl Detector for SigmaDetector {
    fn name(&self) -> &'static str {
        SIGMA
    }

    fn save(&self) -> Option<Vec<u8>> {
        let saved = self.correlator.snapshot();
        saved.inspect_err(|error| tracing::error!(%error, "correlations cannot be kept")).ok()
    }

    fn pass(&mut self, _now: Timestamp, _found: &mut Vec<Event>) {
        let told = &mut self.told.suppressed;
        let more = self.written.iter().map(|(one, count)| {
            let before = told.insert(one.id.clone(), count).unwrap_or_default();
            (one, count.saturating_sub(before))
        });
        self.made.files(more);
    }

    fn left_out(&mut self) -> Vec<(String, u64)> {
        let counters = self.correlator.counters().by_reason();
        let counters = counters.map(|(reason, count)| (reason.to_owned(), count));
        let exceptions =
            self.written.iter().map(|(one, count)| (format!("exception {}", one.id), count));
        let mut more = Vec::new();
        for (reason, count) in counters.into_iter().chain(exceptions) {
            let before = self.told.left_out.insert(reason.clone(), count).unwrap_or_default();
            if count > before {
                more.push((reason, count - before));
            }
        }
        more
    }

    fn document(&mut self, document: &Document, by: Sent, found: &mut Vec<Event>) {
        // A detection is not evidence of itself.
        if document.contains_key("detection") {
            return;
        }
        let record = Record::new(document);
        let mut matched = self.rules.evaluate(&record, &mut self.scratch).to_vec();
        if matched.is_empty() {
            return;
        }
        let (at, seen) = (time(document, "timestamp"), time(document, "event.created"));
        matched.retain(|rule| {
            let meta = self.rules.meta(*rule);
            meta.is_none_or(|meta| self.written.suppress(meta, &record, seen).is_none())
        });
        if by == Sent::Other {
            for rule in matched.iter().filter(|rule| self.rules.speaks(**rule)) {
                if let Some(one) = self.rules.describe(*rule, &record, &mut self.scratch) {
                    let mut context = document.clone();
                    for name in ["timestamp", "event_type", "agent"] {
                        context.shift_remove(name);
                    }
                    found.push(one.into_detection().into_event(at, seen, context));
                }
            }
        }
        self.keep_out(document, &mut matched);
        for correlated in self.correlator.observe(&record, &matched) {
            let meta = self.rules.correlation_meta(&correlated.rule_id);
            if meta.is_some_and(|meta| self.written.suppress(meta, &record, seen).is_some()) {
                continue;
            }
            let mut context = Document::new();
            for (name, value) in &correlated.group {
                event::set(&mut context, name, value.as_str().into());
            }
            found.push(correlated.into_detection().into_event(at, seen, context));
        }
    }
}

impl SigmaDetector {
    /// Keeps matches that an exception of the collector suppresses out of correlations. Detections are
    /// counted when they are stored; a rule that makes none is counted here.
    fn keep_out(&self, document: &Document, matched: &mut Vec<RuleIndex>) {
        let mut silent: BTreeMap<String, u64> = BTreeMap::new();
        matched.retain(|rule| {
            let Some(meta) = self.rules.meta(*rule) else { return true };
            let held = self.made.holding((Engine::Sigma, &meta.id), document);
            if let Some(id) = &held
                && !self.rules.speaks(*rule)
            {
                let count = silent.entry(id.clone()).or_default();
                *count = count.saturating_add(1);
            }
            held.is_none()
        });
        self.made.count(&silent);
    }
}

/// Name of the detector of thresholds and baselines.
const ANOMALY: &str = "anomaly";
/// Events may arrive this much later than they happened before the clock ends their bucket,
/// microseconds.
const GRACE: i64 = 60_000_000;
/// Events that are older than this on arrival are a replay, whose time is not the clock's.
const REPLAY: i64 = 3_600_000_000;

struct AnomalyDetector {
    engine: anomaly::Engine,
    found: Vec<anomaly::Finding>,
    /// Whether the latest event was of the present.
    timely: bool,
}

impl Detector for AnomalyDetector {
    fn name(&self) -> &'static str {
        ANOMALY
    }

    fn pass(&mut self, now: Timestamp, found: &mut Vec<Event>) {
        if self.timely {
            let until = Timestamp::from_micros(now.micros().saturating_sub(GRACE));
            self.engine.advance(until, &mut self.found);
            found.extend(self.found.drain(..).map(|finding| finding.to_event(now)));
        }
    }

    fn save(&self) -> Option<Vec<u8>> {
        let saved = self.engine.snapshot();
        saved.inspect_err(|error| tracing::error!(%error, "baselines cannot be kept")).ok()
    }

    fn document(&mut self, document: &Document, by: Sent, found: &mut Vec<Event>) {
        if by == Sent::Agent || document.contains_key("detection") {
            return;
        }
        let Some(view) = anomaly::EventView::of_document(document) else { return };
        self.engine.observe(&view, &mut self.found);
        let seen = time(document, "event.created");
        self.timely = seen.micros_since(view.time).abs() < REPLAY;
        found.extend(self.found.drain(..).map(|finding| finding.to_event(seen)));
    }
}

#[cfg(test)]
mod tests;
