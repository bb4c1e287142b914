//! The product watches itself: what nobody sends an event about (silence, residues, loss, refused
//! rules, damage, a disk that fills) becomes an alert like any other.
//!
//! What is wrong is worked out from the state alone ([`troubles`]); [`Watch`] raises it once until
//! it has gone away or has grown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use event::{Detection, Engine, Entity, Ledger, Report, Severity, SourceReport, Timestamp};
use service::causes;

use crate::agents::{Agent, Health};
use crate::audit::Checked;
use crate::config::RetentionConfig;
use crate::correlate::Memory;
use crate::receive::ReceiveFigures;
use crate::room::{Level, Room};
use crate::store::Figures;
use crate::vault::VaultError;
use crate::web::App;

/// Time between two looks at the disk.
const TICK: Duration = Duration::from_secs(1);
/// Ticks between two looks at everything else.
const LOOK: u32 = 5;
/// Ticks between two savings of what the detectors remember.
const KEEP: u32 = 60;
/// Ticks between two looks at what is too old.
const RETAIN: u32 = 600;
/// Time between two looks through the whole audit log, microseconds.
const AUDIT_CHECK: i64 = 3_600_000_000;
/// What the collector is called where agents are named.
const COLLECTOR: &str = "collector";
/// Rule of log sources that have fallen silent.
const SILENT: &str = "source-silent";
/// Looks in a row at which a residue must be there: what is in flight shows for a moment.
const RESIDUE_LOOKS: u32 = 6;

/// Something wrong with the product.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trouble {
    rule: &'static str,
    title: &'static str,
    severity: Severity,
    /// Field and value it is about.
    about: (&'static str, String),
    words: String,
    advice: &'static str,
    /// How much of it: it is told again when there is more.
    amount: u64,
}

/// The state that is looked at.
struct View<'a> {
    now: Timestamp,
    agents: &'a [Agent],
    figures: &'a Figures,
    /// What the collector's own inputs have received.
    received: &'a ReceiveFigures,
    /// Level of the disk and bytes free.
    room: (Level, u64),
}

fn on_agent(agent: &Agent, rule: &'static str, title: &'static str, words: String) -> Trouble {
    Trouble {
        rule,
        title,
        severity: Severity::High,
        about: ("agent.id", agent.id.clone()),
        words,
        advice: "See the agents page; docs/operate.md says what to do.",
        amount: 0,
    }
}

/// Events an agent gave up, by reason, over all its boots.
fn skipped(agent: &Agent) -> BTreeMap<&str, u64> {
    let mut reasons = BTreeMap::new();
    for (reason, count) in agent.books.iter().flat_map(|book| &book.skipped) {
        let slot: &mut u64 = reasons.entry(reason.as_str()).or_default();
        *slot = slot.saturating_add(*count);
    }
    reasons
}

/// What the hops of an agent did not let through since its start, by hop and reason.
fn shed(report: &Report) -> BTreeMap<String, u64> {
    let hops = report.ledgers.iter().flat_map(|(hop, ledger)| {
        let Ledger { shed, dropped, .. } = ledger;
        let dropped = std::iter::once(("dropped by the kernel", *dropped));
        let shed = shed.iter().map(|(reason, count)| (reason.as_str(), *count));
        shed.chain(dropped).map(move |(reason, count)| (format!("{hop:?}: {reason}"), count))
    });
    hops.filter(|(_, count)| *count > 0).collect()
}

fn total<'a>(counts: impl IntoIterator<Item = &'a u64>) -> u64 {
    counts.into_iter().fold(0, |sum, count| sum.saturating_add(*count))
}

fn words<K: std::fmt::Display>(counts: &BTreeMap<K, u64>) -> String {
    let each = counts.iter().map(|(reason, count)| format!("{count} ({reason})"));
    each.collect::<Vec<_>>().join(", ")
}

fn about_agent(agent: &Agent, now: Timestamp, found: &mut Vec<Trouble>) {
    if agent.health(now) == Health::Silent {
        let seconds = now.micros_since(agent.seen) / 1_000_000;
        let words = format!("agent {} was last heard of {seconds} s ago", agent.id);
        found.push(on_agent(agent, "agent-silent", "Agent is silent", words));
    }
    let lost = skipped(agent);
    if !lost.is_empty() {
        let words = format!("agent {} has lost events for good: {}", agent.id, words(&lost));
        let trouble = on_agent(agent, "events-lost", "Events are lost", words);
        found.push(Trouble { amount: total(lost.values()), ..trouble });
    }
    let Some(report) = &agent.report else { return };
    about_sources(&agent.id, &report.sources, found);
    let shed = shed(report);
    if !shed.is_empty() {
        let words = format!("agent {} did not look at everything: {}", agent.id, words(&shed));
        let trouble = on_agent(agent, "input-lost", "Packets or lines are not seen", words);
        // Told again when it has doubled: a loaded sensor loses a little all the time.
        let amount = u64::from(total(shed.values()).ilog2());
        found.push(Trouble { amount, severity: Severity::Medium, ..trouble });
    }
    for problem in &report.problems {
        let trouble = on_agent(agent, "agent-problem", "Agent has a problem", problem.clone());
        found.push(Trouble { severity: Severity::Medium, ..trouble });
    }
}

/// A log source of an agent or of the collector, as it is named in alerts.
fn source_of(reader: &str, source: &SourceReport) -> String {
    format!("{reader}: {}", source.name)
}

/// Log sources that their reader found silent. While an agent itself is silent nothing new is known of them.
fn about_sources(reader: &str, sources: &[SourceReport], found: &mut Vec<Trouble>) {
    for source in sources {
        let (Some(since), Some(limit)) = (source.silent_since, source.quiet_after_seconds) else {
            continue;
        };
        let (by, severity) = match source.quiet_learned {
            true => ("by what it did before", Severity::Medium),
            false => ("by its quiet_after", Severity::High),
        };
        let name = &source.name;
        found.push(Trouble {
            rule: SILENT,
            title: "Log source is silent",
            severity,
            about: ("log.source.name", source_of(reader, source)),
            words: format!("{reader} has read nothing of {name} since {since}; {by} it should speak every {limit} s"),
            advice: "Look whether the program still writes and the log is where it was; see the agents page.",
            amount: 0,
        });
    }
}

/// Sources that were told silent and speak again.
fn again<'a>(
    told: &'a BTreeSet<String>,
    agents: &'a [Agent],
    own: &'a [SourceReport],
) -> impl Iterator<Item = Trouble> + 'a {
    let sources = agents.iter().filter_map(|agent| Some((&*agent.id, agent.report.as_ref()?)));
    let sources =
        sources.flat_map(|(agent, report)| report.sources.iter().map(move |one| (agent, one)));
    let sources = sources.chain(own.iter().map(|one| (COLLECTOR, one)));
    sources.filter(|(_, source)| source.silent_since.is_none()).filter_map(|(reader, source)| {
        let name = source_of(reader, source);
        told.contains(&key_of(SILENT, &name, "", 0)).then(|| Trouble {
            rule: "source-again",
            title: "Log source speaks again",
            severity: Severity::Informational,
            words: format!("{reader} reads {} again", source.name),
            about: ("log.source.name", name),
            advice: "What was written meanwhile and is lost, nobody knows here; the source may tell.",
            amount: 0,
        })
    })
}

fn key_of(rule: &str, about: &str, detail: &str, amount: u64) -> String {
    format!("{rule}\0{about}\0{detail}\0{amount}")
}

fn about_inputs(received: &ReceiveFigures, found: &mut Vec<Trouble>) {
    about_sources(COLLECTOR, &received.sources, found);
    let received = &received.ledger;
    let dropped = std::iter::once(("dropped by the kernel", received.dropped));
    let shed = received.shed.iter().map(|(reason, count)| (reason.as_str(), *count));
    let lost: BTreeMap<_, _> = dropped.chain(shed).filter(|(_, count)| *count > 0).collect();
    if lost.is_empty() {
        return;
    }
    found.push(Trouble {
        rule: "input-lost",
        title: "Messages sent to the collector are lost",
        severity: Severity::Medium,
        about: ("host.name", "collector".to_owned()),
        words: format!("the collector's inputs did not take everything: {}", words(&lost)),
        advice: "See the agents page. Senders over TCP or TLS wait instead of losing messages.",
        // Told again when it has doubled.
        amount: u64::from(total(lost.values()).ilog2()),
    });
}

fn about_disk((level, free): (Level, u64), found: &mut Vec<Trouble>) {
    let (rule, title, severity) = match level {
        Level::Enough => return,
        Level::Low => ("disk-low", "Disk of the collector is filling", Severity::High),
        Level::Short => ("disk-full", "Disk of the collector is full", Severity::Critical),
    };
    let mut words = format!("{} MiB are left on the collector's disk", free >> 20);
    if level == Level::Short {
        words.push_str("; no new events are taken, agents keep theirs in their spools");
    }
    found.push(Trouble {
        rule,
        title,
        severity,
        about: ("host.name", "collector".to_owned()),
        words,
        advice: "Free some room or lower `retention`; it goes on by itself.",
        amount: 0,
    });
}

/// Everything that is wrong now, residues apart.
fn troubles(view: &View<'_>) -> Vec<Trouble> {
    let mut found = Vec::new();
    view.agents.iter().for_each(|agent| about_agent(agent, view.now, &mut found));
    about_inputs(view.received, &mut found);
    about_disk(view.room, &mut found);
    found.extend(view.figures.warm.away.iter().map(|away| Trouble {
        rule: "warm-away",
        title: "Warm folder is not there",
        severity: Severity::High,
        about: ("file.path", away.folder.clone()),
        words: format!("{}, and nothing is moved", away.words(away.days.len())),
        advice: "Mount it: it is used again within seconds, without a restart.",
        amount: 0,
    }));
    found.extend(view.figures.problems.iter().map(|problem| Trouble {
        rule: "store-problem",
        title: "Event store is damaged",
        severity: Severity::High,
        about: ("file.path", problem.path.clone()),
        words: format!("{} at byte {}: {}", problem.what, problem.offset, problem.advice),
        advice: "docs/operate.md says what to do.",
        amount: 0,
    }));
    found
}

/// The watching task.
pub(crate) struct Watch {
    app: App,
    room: Room,
    level: (Level, u64),
    memory: Memory,
    retention: RetentionConfig,
    /// What has been raised and has not gone away.
    told: BTreeSet<String>,
    /// Looks in a row at which an agent had a residue.
    residues: BTreeMap<String, u32>,
}

impl Watch {
    /// Watches the collector with its data in `folder`.
    pub(crate) fn new(app: App, room: Room, memory: Memory, retention: RetentionConfig) -> Self {
        let level = (Level::Enough, 0);
        let (told, residues) = (BTreeSet::new(), BTreeMap::new());
        Self { app, room, level, memory, retention, told, residues }
    }

    /// Watches until the collector stops.
    pub(crate) async fn run(mut self) {
        let shutdown = self.app.shutdown.clone();
        for tick in 0_u32.. {
            self.measure();
            if tick.is_multiple_of(LOOK) {
                self.look().await;
                self.app.pipeline.pass().await;
            }
            if tick.is_multiple_of(KEEP) {
                keep(&self.app, &self.memory).await;
            }
            if tick.is_multiple_of(RETAIN) {
                self.retain().await;
            }
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = shutdown.wait() => return,
            }
        }
    }

    /// Looks at the disk, and refuses or takes events from outside accordingly.
    fn measure(&mut self) {
        match self.room.look() {
            Ok(level) => self.level = level,
            Err(error) => tracing::error!(%error, "room on the disk is not known"),
        }
        let (level, free) = self.level;
        self.app.pipeline.refuse(level == Level::Short);
        let free = i64::try_from(free).unwrap_or(i64::MAX);
        self.app.telemetry.set("pikett_disk_free_bytes", "bytes free on the disk", &[], free);
    }

    async fn look(&mut self) {
        self.app.ledgers.look(&self.app);
        let agents = self.app.agents.list();
        let figures = self.app.pipeline.store().figures();
        let now = self.app.now();
        self.app.receiving.watch(now, self.level.0 == Level::Short);
        let received = self.app.receiving.figures();
        let view =
            View { now, agents: &agents, figures: &figures, received: &received, room: self.level };
        let mut found = troubles(&view);
        for agent in &agents {
            let looks = self.residues.entry(agent.id.clone()).or_default();
            *looks = if agent.residue() > 0 { looks.saturating_add(1) } else { 0 };
            if *looks >= RESIDUE_LOOKS {
                let words = format!("{} events are unaccounted for", agent.residue());
                found.push(on_agent(agent, "residue", "Events are unaccounted for", words));
            }
        }
        let mut present = BTreeSet::new();
        for trouble in again(&self.told, &agents, &received.sources) {
            let key = key_of(SILENT, &trouble.about.1, "", 0);
            if !self.raise(trouble).await {
                // Tried again at the next look.
                present.insert(key);
            }
        }
        for trouble in found {
            let (rule, (_, about)) = (trouble.rule, &trouble.about);
            let detail = if rule == "agent-problem" { &trouble.words } else { "" };
            let key = key_of(rule, about, detail, trouble.amount);
            if self.told.contains(&key) || self.raise(trouble).await {
                present.insert(key);
            }
        }
        self.told = present;
        self.ends().await;
    }

    /// Tells of exceptions that come to their end, once each, and keeps what was counted of them.
    async fn ends(&self) {
        let exceptions = self.app.exceptions.clone();
        for due in exceptions.due() {
            tracing::warn!(id = due.id, come = due.come, "an exception comes to its end");
            let raised = self.app.pipeline.raise(due.detection()).await.map_err(|e| causes(&e));
            let told = raised.and_then(|()| exceptions.told(&due).map_err(|e| causes(&e)));
            if let Err(error) = told {
                tracing::error!(error, "the end of an exception is not told yet");
            }
        }
        flush(&self.app).await;
    }

    /// Raises an alert; false when it could not be kept and must be tried again.
    async fn raise(&self, trouble: Trouble) -> bool {
        let Trouble { rule, title, severity, about: (field, value), words, advice, .. } = trouble;
        tracing::error!(rule, about = value, words, "the product has a problem");
        let detection = Detection {
            engine: Engine::Health,
            rule_id: format!("pikett-{rule}"),
            rule_rev: "1".to_owned(),
            title: title.to_owned(),
            severity,
            category: "health".to_owned(),
            entity: Entity { field: field.to_owned(), value },
            explanation: words,
            advice: advice.to_owned(),
            evidence: Vec::new(),
            attack: Vec::new(),
            rule_text: String::new(),
        };
        match self.app.pipeline.raise(detection).await {
            Ok(()) => true,
            Err(error) => {
                let error = causes(&error);
                tracing::error!(error, "a problem of the product is not kept as an alert yet");
                false
            }
        }
    }

    async fn retain(&self) {
        let policy = self.retention.policy(self.app.now());
        let store = Arc::clone(self.app.pipeline.store());
        match tokio::task::spawn_blocking(move || store.retain(&policy)).await {
            Ok(Ok(report)) => {
                for gone in report.dropped {
                    let (name, documents) = (gone.partition, gone.documents);
                    tracing::info!(name, documents, reason = gone.reason, "partition dropped");
                }
            }
            Ok(Err(error)) => tracing::error!(%error, "retention failed"),
            Err(error) => tracing::error!(%error, "retention failed"),
        }
        self.retain_audit().await;
    }

    /// Lets old audit records go, and looks from time to time whether those that stay are whole.
    async fn retain_audit(&self) {
        let days = i64::from(self.retention.audit_days);
        let older_than = self.app.now().plus_seconds(-days * 86_400).micros();
        let most = self.retention.audit_megabytes.saturating_mul(1024 * 1024);
        let (vault, now) = (Arc::clone(&self.app.vault), self.app.clock.now_micros());
        let look = move || {
            let cut = vault.retain_audit(older_than, most)?;
            let due = |last: &Checked| now.saturating_sub(last.time) >= AUDIT_CHECK;
            if vault.audit.checked().as_ref().is_none_or(due) {
                let folder = vault.audit.folder();
                vault.audit.check().map_err(|e| VaultError::io("read", folder, e))?;
            }
            Ok::<_, VaultError>(cut)
        };
        match tokio::task::spawn_blocking(look).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(cut))) => {
                let (upto, reason) = (cut.upto.count, cut.reason);
                tracing::info!(upto, reason, "old audit records removed");
            }
            Ok(Err(error)) => {
                tracing::error!(error = causes(&error), "the audit log was not looked at");
            }
            Err(error) => tracing::error!(%error, "the audit log was not looked at"),
        }
    }
}

/// Writes what exceptions have suppressed.
async fn flush(app: &App) {
    let exceptions = app.exceptions.clone();
    match tokio::task::spawn_blocking(move || exceptions.flush()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "counts of exceptions are not kept yet"),
        Err(error) => tracing::error!(%error, "counts of exceptions are not kept yet"),
    }
}

/// Keeps what the detectors remember and what exceptions have suppressed.
pub(crate) async fn keep(app: &App, memory: &Memory) {
    flush(app).await;
    let (memories, memory) = (app.pipeline.memories().await, memory.clone());
    let (ledgers, now) = (app.ledgers.clone(), app.now());
    let kept = tokio::task::spawn_blocking(move || {
        ledgers.keep(now);
        memory.save(&memories);
    });
    let kept = kept.await;
    if let Err(error) = kept {
        tracing::error!(%error, "what detectors remember was not kept");
    }
}

#[cfg(test)]
mod tests;
