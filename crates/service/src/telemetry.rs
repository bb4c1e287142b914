//! Logging and metrics of a daemon.
//!
//! A noteworthy occurrence is one type whose `emit` writes the log line and counts the metric
//! together, so that neither can be forgotten; those types live where the occurrence happens and
//! use [`Telemetry::count`] and [`Telemetry::set`]. Fast paths keep plain integers and publish them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tracing_subscriber::EnvFilter;

/// Most label sets kept per metric; further ones are counted under `label="other"`.
const MAX_SERIES: usize = 1_000;

type Labels = Vec<(String, String)>;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging to standard error. `filter` is a `tracing` filter such as `info` or
/// `info,link=debug`. A second call in one process changes nothing.
///
/// # Errors
/// When the filter cannot be read.
pub fn init_logging(filter: &str, format: LogFormat) -> Result<(), String> {
    // That library tells of every chunk it reads; whoever wants to hear it names it.
    let filter = EnvFilter::try_new(format!("evtx=warn,{filter}"))
        .map_err(|error| format!("log filter: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let outcome = match format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    if outcome.is_err() {
        tracing::debug!("logging was already started");
    }
    Ok(())
}

/// A gauge and its label sets.
type Level = (Family<Labels, Gauge<i64, AtomicI64>>, BTreeSet<Labels>);
type Series = (Family<Labels, Counter>, BTreeMap<Labels, Counter>);

#[derive(Default)]
struct Metrics {
    registry: Registry,
    counters: BTreeMap<&'static str, Series>,
    gauges: BTreeMap<&'static str, Level>,
}

/// The metrics of one process, in Prometheus' text format. Cheap to clone.
#[derive(Clone, Default)]
pub struct Telemetry {
    metrics: Arc<Mutex<Metrics>>,
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Telemetry")
    }
}

fn owned(labels: &[(&str, &str)]) -> Labels {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl Telemetry {
    /// No metrics yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `count` to the counter `name{labels}`, which is registered with `help` at first use.
    /// The name goes without `_total`; the text format adds it.
    pub fn count(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        count: u64,
    ) {
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let Metrics { registry, counters, .. } = &mut *metrics;
        let (family, known) = counters.entry(name).or_insert_with(|| {
            let family = Family::default();
            registry.register(name, help, family.clone());
            (family, BTreeMap::new())
        });
        let mut labels = owned(labels);
        if known.len() >= MAX_SERIES && !known.contains_key(&labels) {
            labels.iter_mut().for_each(|(_, value)| "other".clone_into(value));
        }
        let counter =
            known.entry(labels.clone()).or_insert_with(|| family.get_or_create(&labels).clone());
        counter.inc_by(count);
    }

    /// Sets the gauge `name{labels}` to `value`; label sets beyond the bound share one.
    pub fn set(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)], value: i64) {
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let Metrics { registry, gauges, .. } = &mut *metrics;
        let (family, known) = gauges.entry(name).or_insert_with(|| {
            let family = Family::default();
            registry.register(name, help, family.clone());
            (family, BTreeSet::new())
        });
        let mut labels = owned(labels);
        if known.len() >= MAX_SERIES && !known.contains(&labels) {
            labels.iter_mut().for_each(|(_, value)| "other".clone_into(value));
        }
        family.get_or_create(&labels).set(value);
        known.insert(labels);
    }

    /// The value of a counter; 0 when it was never counted.
    #[must_use]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let known = metrics.counters.get(name);
        known.and_then(|(_, series)| series.get(&owned(labels))).map_or(0, Counter::get)
    }

    /// All metrics in the text format that Prometheus scrapes.
    #[must_use]
    pub fn render(&self) -> String {
        let metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        match encode(&mut out, &metrics.registry) {
            Ok(()) => out,
            Err(error) => format!("# metrics could not be written: {error}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_label_and_renders() {
        let telemetry = Telemetry::new();
        let lost = |reason: &str, n| {
            telemetry.count("pikett_events_lost", "events lost", &[("reason", reason)], n);
        };
        lost("queue_full", 2);
        lost("queue_full", 3);
        lost("other", 1);
        telemetry.set("pikett_queue_depth", "items waiting", &[], 7);
        assert_eq!(telemetry.value("pikett_events_lost", &[("reason", "queue_full")]), 5);
        assert_eq!(telemetry.value("pikett_events_lost", &[("reason", "never")]), 0);
        let text = telemetry.render();
        assert!(text.contains("pikett_events_lost_total{reason=\"queue_full\"} 5"), "{text}");
        assert!(text.contains("pikett_queue_depth{} 7"), "{text}");
    }

    #[test]
    fn hostile_labels_do_not_grow_without_bound() {
        let telemetry = Telemetry::new();
        for n in 0..2_000 {
            telemetry.count("pikett_x", "x", &[("source", &n.to_string())], 1);
        }
        assert_eq!(telemetry.value("pikett_x", &[("source", "other")]), 1_000);
    }

    #[test]
    fn hostile_labels_of_gauges_do_not_either() {
        let telemetry = Telemetry::new();
        for n in 0..2_000 {
            telemetry.set("pikett_g", "g", &[("source", &n.to_string())], n);
        }
        // What is known keeps its own series.
        telemetry.set("pikett_g", "g", &[("source", "7")], -5);
        let text = telemetry.render();
        assert_eq!(text.lines().filter(|line| line.starts_with("pikett_g{")).count(), 1_001);
        assert!(text.contains("pikett_g{source=\"other\"} 1999"), "{text}");
        assert!(text.contains("pikett_g{source=\"7\"} -5"), "{text}");
    }

    #[test]
    fn labels_cannot_break_the_text_format() {
        let telemetry = Telemetry::new();
        telemetry.count("pikett_x", "x", &[("file", "a\"} 9\nforged 1\\")], 1);
        let text = telemetry.render();
        assert!(!text.lines().any(|line| line.starts_with("forged")), "{text}");
        assert!(text.contains(r#"pikett_x_total{file="a\"} 9\nforged 1\\"} 1"#), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn clones_count_into_one_and_other_labels_stay_apart() {
        let telemetry = Telemetry::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let telemetry = telemetry.clone();
                scope.spawn(move || {
                    (0..500).for_each(|_| telemetry.count("pikett_x", "x", &[("a", "b")], 1));
                });
            }
        });
        assert_eq!(telemetry.value("pikett_x", &[("a", "b")]), 2_000);
        assert_eq!(telemetry.value("pikett_x", &[("a", "c")]), 0);
        assert_eq!(telemetry.value("pikett_x", &[]), 0);
        assert_eq!(telemetry.render().matches("# HELP").count(), 1);
    }

    #[test]
    fn a_bad_filter_is_an_error() {
        for filter in ["info,=x=y", "info,link=loud"] {
            let error = init_logging(filter, LogFormat::Text).unwrap_err();
            assert!(error.starts_with("log filter: "), "{error}");
        }
        assert!(init_logging("warn,link=debug", LogFormat::Json).is_ok());
        assert!(init_logging("info", LogFormat::Text).is_ok(), "a second call changes nothing");
    }
}
