//! Detection over events in the agent: Sigma rules, thresholds, baselines.
//!
//! Each engine becomes a [`Detector`] of the outbox. What is refused at loading is told by name and
//! counted; correlations over several hosts are the collector's. Thresholds and baselines keep their
//! state over a restart ([`Memory`]).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Result;
use event::{Event, EventId, Timestamp};
use serde_json::Value;
use sigma::{Exceptions, Record, RuleSet, Scratch};

use crate::config::RulesConfig;
use crate::memory::Memory;
use crate::outbox::Detector;

/// Rules in force and refused, of one engine.
pub type Loaded = (u64, u64);

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// The Sigma engine, when rules are configured.
///
/// # Errors
/// When a file cannot be read.
pub fn sigma(config: &RulesConfig, host: &str) -> Result<Option<(Box<dyn Detector>, Loaded)>> {
    if config.sigma.is_empty() {
        return Ok(None);
    }
    let files = service::files::find(&config.sigma, &["yml", "yaml"])?;
    let texts = service::files::read(&files)?;
    let options = sigma_options(config)?;
    let (rules, report) = RuleSet::load(texts.into_iter(), &options);
    for rejected in &report.rejected {
        let (file, id, reason) = (&rejected.file, &rejected.id, &rejected.reason);
        tracing::error!(file, id, reason, "Sigma rule refused");
    }
    for inert in &report.inert {
        tracing::warn!(id = inert.id, reason = inert.reason, "Sigma rule cannot fire");
    }
    let loaded = (count(report.accepted), count(report.rejected.len()));
    tracing::info!(loaded = loaded.0, refused = loaded.1, "Sigma rules");
    let exceptions = exceptions(config, &rules, &options)?;
    let detector = SigmaDetector {
        rules: Arc::new(rules),
        scratch: Scratch::new(),
        host: host.to_owned(),
        exceptions,
        expired: 0,
    };
    Ok(Some((Box::new(detector), loaded)))
}

/// Placeholders and names of fields of the configuration. A file of names that has another form is told
/// and left out.
fn sigma_options(config: &RulesConfig) -> Result<sigma::Options> {
    let mut options =
        sigma::Options { placeholders: config.placeholders.clone(), ..sigma::Options::default() };
    let files = service::files::find(&config.mappings, &["yml", "yaml"])?;
    for (file, text) in service::files::read(&files)? {
        if let Err(error) = options.mappings.add(&text) {
            tracing::error!(file, %error, "names of fields refused");
        }
    }
    Ok(options)
}

/// The exceptions of the configuration; refused ones are told.
fn exceptions(
    config: &RulesConfig,
    rules: &RuleSet,
    options: &sigma::Options,
) -> Result<Exceptions> {
    let files = service::files::find(&config.exceptions, &["yml", "yaml"])?;
    let texts = service::files::read(&files)?;
    let (exceptions, rejected) = Exceptions::load(texts.into_iter(), rules, options);
    for one in &rejected {
        let (file, id, reason) = (&one.file, &one.id, &one.reason);
        tracing::error!(file, id, reason, "exception refused");
    }
    tracing::info!(loaded = exceptions.iter().count(), refused = rejected.len(), "exceptions");
    Ok(exceptions)
}

/// What threshold rules are read with: their home networks are `HOME_NET` of the configuration when
/// that is a plain list of networks and addresses (`[10.0.0.0/8, 192.0.2.7]`). Anything else (a
/// negation, `any`, a range, another variable) has no meaning for `|inside`: the private networks
/// are used then, as without `HOME_NET`, and the log says so.
fn options(vars: &BTreeMap<String, String>) -> anomaly::Options {
    let Some(text) = vars.get("HOME_NET") else { return anomaly::Options::default() };
    match networks(text) {
        Some(home) => anomaly::Options { home },
        None => {
            tracing::warn!(
                text,
                "HOME_NET is no plain list of networks; threshold rules take the private networks for home"
            );
            anomaly::Options::default()
        }
    }
}

/// A list of networks in brackets, or one without; `None` when any of it is something else.
fn networks<N: std::str::FromStr>(text: &str) -> Option<Vec<N>> {
    let text = text.trim();
    let list = text.strip_prefix('[').map_or(Some(text), |inner| inner.strip_suffix(']'))?;
    let one = |item: &str| match item.trim().parse::<IpAddr>() {
        Ok(address) => format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 }).parse(),
        Err(_) => item.trim().parse(),
    };
    list.split(',').map(|item| one(item).ok()).collect()
}

/// The threshold and baseline engine, when rules are configured, with what `memory` has of it.
///
/// # Errors
/// When a file cannot be read.
pub fn anomaly(
    config: &RulesConfig,
    memory: Option<&Memory>,
) -> Result<Option<(Box<dyn Detector>, Loaded)>> {
    if config.anomaly.is_empty() {
        return Ok(None);
    }
    let files = service::files::find(&config.anomaly, &["yml", "yaml"])?;
    let sources = service::files::read(&files)?;
    let sources: Vec<anomaly::Source> =
        sources.into_iter().map(|(name, text)| anomaly::Source { name, text }).collect();
    let (rules, errors) = anomaly::RuleSet::load(&sources, &options(&config.vars));
    for error in &errors {
        tracing::error!(%error, "threshold rule refused");
    }
    let loaded = (count(rules.rules().len()), count(errors.len()));
    tracing::info!(loaded = loaded.0, refused = loaded.1, "threshold rules");
    let mut engine = anomaly::Engine::with_seed(&rules, seed());
    if let Some((memory, bytes)) = memory.and_then(|memory| Some((memory, memory.load(ANOMALY)?))) {
        match engine.restore(&bytes) {
            Ok(back) => {
                tracing::info!(groups = back.groups, anew = ?back.dropped, "baselines restored");
            }
            Err(error) => memory.set_aside(ANOMALY, &error.to_string()),
        }
    }
    let detector = AnomalyDetector { engine, found: Vec::new(), timely: false };
    Ok(Some((Box::new(detector), loaded)))
}

/// A random seed, so that nobody can aim at the sketches; fixed when the system gives none.
fn seed() -> u64 {
    let mut bytes = [0; 8];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        tracing::warn!("the system gives no random numbers; sketches use a fixed seed");
    }
    u64::from_le_bytes(bytes)
}

struct SigmaDetector {
    rules: Arc<RuleSet>,
    scratch: Scratch,
    host: String,
    exceptions: Exceptions,
    /// Exceptions whose end was told.
    expired: usize,
}

impl Detector for SigmaDetector {
    fn event(&mut self, event: &mut Event, id: &EventId, found: &mut Vec<Event>) {
        // Rules see the event as it will be stored: with its type, and its host.
        if event::get(&event.fields, "host.name").is_none() {
            event::set(&mut event.fields, "host.name", Value::String(self.host.clone()));
        }
        let kind = Value::String(event.kind.as_str().to_owned());
        let before = event.fields.insert("event_type".to_owned(), kind);
        let (matches, suppressed) = self.matches(event, id);
        match before {
            Some(value) => {
                event.fields.insert("event_type".to_owned(), value);
            }
            None => {
                event.fields.shift_remove("event_type");
            }
        }
        // What nobody wants to hear of is still seen by whoever searches for it.
        for (name, values) in [("suppressed.rule_id", 0), ("suppressed.exception", 1)] {
            let texts: Vec<Value> =
                suppressed.iter().map(|pair| Value::from(pair[values].as_str())).collect();
            if !texts.is_empty() {
                event::set(&mut event.fields, name, Value::Array(texts));
            }
        }
        found.extend(matches);
    }

    fn pass(&mut self, now: Timestamp, _found: &mut Vec<Event>) {
        let expired: Vec<&str> = self.exceptions.expired(now).map(|one| one.id.as_str()).collect();
        if expired.len() > self.expired {
            tracing::warn!(?expired, "exceptions have come to their end and have no effect");
            self.expired = expired.len();
        }
    }
}

impl SigmaDetector {
    /// Detections, and rules with the exceptions that suppressed them.
    fn matches(&mut self, event: &Event, id: &EventId) -> (Vec<Event>, Vec<[String; 2]>) {
        let record = Record::new(&event.fields);
        let matched = self.rules.evaluate(&record, &mut self.scratch).to_vec();
        let (mut out, mut suppressed) = (Vec::new(), Vec::new());
        for rule in matched.into_iter().filter(|rule| self.rules.speaks(*rule)) {
            if let Some(meta) = self.rules.meta(rule)
                && let Some(exception) = self.exceptions.suppress(meta, &record, event.seen)
            {
                suppressed.push([meta.id.clone(), exception.id.clone()]);
                continue;
            }
            let Some(found) = self.rules.describe(rule, &record, &mut self.scratch) else {
                continue;
            };
            let mut detection = found.into_detection();
            detection.evidence.insert(0, id.to_string());
            let mut context = event.fields.clone();
            context.shift_remove("event_type");
            context.shift_remove("alert");
            out.push(detection.into_event(event.time, event.seen, context));
        }
        (out, suppressed)
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
    fn event(&mut self, event: &mut Event, id: &EventId, found: &mut Vec<Event>) {
        let id = id.to_string();
        let view = anomaly::EventView { id: Some(&id), ..anomaly::EventView::of(event) };
        self.engine.observe(&view, &mut self.found);
        let seen: Timestamp = event.seen;
        self.timely = seen.micros_since(event.time).abs() < REPLAY;
        found.extend(self.found.drain(..).map(|finding| finding.to_event(seen)));
    }

    fn pass(&mut self, now: Timestamp, found: &mut Vec<Event>) {
        if self.timely {
            let until = Timestamp::from_micros(now.micros().saturating_sub(GRACE));
            self.engine.advance(until, &mut self.found);
            found.extend(self.found.drain(..).map(|finding| finding.to_event(now)));
        }
    }

    fn memory(&self) -> Option<(&'static str, Vec<u8>)> {
        match self.engine.snapshot() {
            Ok(bytes) => Some((ANOMALY, bytes)),
            Err(error) => {
                tracing::error!(%error, "baselines cannot be kept");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
