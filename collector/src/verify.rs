//! Looks whether what a collector has stored is what it wrote, and says where it is not.
//!
//! Looked at are keyring, journal, state, log, partitions and small files, each against its own
//! chain, against the last signed checkpoint, and against an older checkpoint kept elsewhere (an
//! anchor). Nothing is written; no collector may run meanwhile. Not here: repairing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use service::Clock;

use crate::audit;
use crate::config::Config;
use crate::custody;
use crate::init::Folder;
use crate::journal::{self, Cut, What};
use crate::keyring::Keyring;
use crate::redaction::Tombstone;
use crate::state;
use crate::store::log::checkpoint::{self as sealed, Found};
use crate::store::{Problem, index, log};
use crate::vault::checkpoint::{self, Statement};
use crate::vault::{self, Head, Link, Signed, Signer, names};

/// Largest anchor read, bytes.
const MAX_ANCHOR: u64 = 16 << 20;

/// One thing that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// File, partition or record.
    pub place: String,
    /// Offset in the file, bytes; 0 when the whole is meant.
    pub offset: u64,
    /// What was found.
    pub what: String,
}

/// What looking found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// What is not as it was written; empty when all is well.
    pub findings: Vec<Finding>,
    /// What is worth knowing and is no sign of a change.
    pub notes: Vec<String>,
    /// Number of the last checkpoint.
    pub checkpoint: Option<u64>,
    /// Number of the anchor's checkpoint.
    pub anchor: Option<u64>,
    /// Log records looked at.
    pub records: u64,
    /// Index files looked at.
    pub files: u64,
    /// Journal entries looked at.
    pub entries: u64,
    /// Audit records.
    pub audit: AuditLooked,
    /// What was redacted.
    pub redactions: Vec<Tombstone>,
}

/// What is known of the audit log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AuditLooked {
    /// Records looked at.
    pub records: u64,
    /// Number of the first record that is kept; those before it were cut, which is signed for.
    pub from: u64,
    /// Records from the very first one up to the last.
    pub upto: u64,
}

impl Report {
    fn find(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.findings.push(Finding { place: place.into(), offset: 0, what: what.into() });
    }

    fn take(&mut self, problems: Vec<Problem>) {
        let finding =
            |one: Problem| Finding { place: one.path, offset: one.offset, what: one.what };
        self.findings.extend(problems.into_iter().map(finding));
    }
}

/// Bytes that there are to be read, for a progress bar.
#[must_use]
pub fn size(config: &Config) -> u64 {
    let events = Folder::new(&config.data).events();
    let mut todo = vec![events.join("log"), events.join("index")];
    todo.extend(config.storage.warm.clone());
    let mut bytes = 0_u64;
    while let Some(folder) = todo.pop() {
        for item in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match item.metadata() {
                Ok(meta) if meta.is_dir() => todo.push(item.path()),
                Ok(meta) => bytes = bytes.saturating_add(meta.len()),
                Err(_) => {}
            }
        }
    }
    bytes
}

/// Looks through everything; `progress` is told the bytes that were read.
///
/// # Errors
/// When a collector runs, the keys cannot be had, or the anchor is none.
pub fn verify(
    config: &Config,
    anchor: Option<&Path>,
    progress: &mut dyn FnMut(u64),
) -> Result<Report> {
    let _alone = custody::alone(&config.data)?;
    let mut report = Report::default();
    let ring = vault::keyring_path(&config.data);
    let (keyring, notes) = Keyring::open(&ring, &config.master(), Clock::system(), true)?;
    notes.into_iter().for_each(|note| report.find(note.path.display().to_string(), note.what));
    let public_key = Signer::new(&*keyring.get(names::SIGNING)?)?.public();
    let anchor = anchor.map(|path| read_anchor(path, &public_key)).transpose()?;
    report.anchor = anchor.as_ref().map(|anchor| anchor.number);
    let path = vault::checkpoint_path(&config.data);
    let noted = match checkpoint::read(&path, &keyring, &public_key)? {
        Ok(read) => read.map(|(_, statement)| statement),
        Err(wrong) => {
            report.find(path.display().to_string(), wrong);
            None
        }
    };
    let mut looker = Looker {
        data: config.data.clone(),
        public_key,
        warm: config.storage.warm.clone(),
        places: BTreeMap::new(),
        wanted: anchor
            .iter()
            .filter_map(|a| a.heads.get(checkpoint::LOG))
            .map(|h| h.count)
            .collect(),
        keyring,
        report,
        heads: BTreeMap::new(),
        deleted: BTreeMap::new(),
        cut: Cut::default(),
        links: Links::default(),
    };
    let audited = anchor.iter().filter_map(|a| a.heads.get(checkpoint::AUDIT)).map(|h| h.count);
    let audited = audited.collect();
    looker.look(noted.as_ref(), &audited, progress)?;
    if noted.is_none() && looker.heads.get(checkpoint::LOG).is_some_and(|head| head.count > 0) {
        looker.report.find(path.display().to_string(), "the signed checkpoint is gone");
    }
    if let Some(noted) = &noted {
        looker.report.checkpoint = Some(noted.number);
        looker.compare(noted, "");
    }
    if let Some(anchor) = &anchor {
        looker.compare_with_anchor(anchor, noted.as_ref());
    }
    Ok(looker.report)
}

fn read_anchor(path: &Path, public_key: &str) -> Result<Statement> {
    let meta =
        std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    anyhow::ensure!(meta.len() <= MAX_ANCHOR, "{} is too large for an anchor", path.display());
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let signed: Signed = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is no anchor", path.display()))?;
    signed.check(public_key).with_context(|| {
        format!(
            "{} is not signed by this collector (its key is {public_key}, the anchor says {}): it is of another collector, it was changed, or the keyring was exchanged",
            path.display(),
            signed.public_key
        )
    })
}

/// Digests that were asked for, by number.
#[derive(Default)]
struct Links {
    log: BTreeMap<u64, Link>,
    log_begin: u64,
    journal: BTreeMap<u64, Link>,
    audit: BTreeMap<u64, Link>,
}

struct Looker {
    data: PathBuf,
    public_key: String,
    /// The second folder of partitions, and those that lie there.
    warm: Option<PathBuf>,
    places: BTreeMap<String, PathBuf>,
    keyring: Keyring,
    /// Numbers of log records whose digests an anchor asks for.
    wanted: BTreeSet<u64>,
    report: Report,
    /// How far everything has come.
    heads: BTreeMap<String, Head>,
    /// When partitions were deleted last.
    deleted: BTreeMap<String, i64>,
    /// What was cut off the beginning of the audit log.
    cut: Cut,
    links: Links,
}

impl Looker {
    fn look(
        &mut self,
        noted: Option<&Statement>,
        audited: &BTreeSet<u64>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let generation = Head { count: self.keyring.generation(), digest: Link::default() };
        self.heads.insert(checkpoint::KEYRING.to_owned(), generation);
        self.journal()?;
        self.audit(audited)?;
        self.state();
        self.log(noted, progress)?;
        let events = Folder::new(&self.data).events();
        let found = index::verify::verify(&events.join("index"), &self.keyring, progress)?;
        self.report.take(found.findings);
        self.report.files = found.files;
        let left = found.left.into_iter().map(|path| format!("{path} belongs to nothing"));
        self.report.notes.extend(left);
        let mut heads = found.heads;
        if let Some(warm) = self.warm.clone() {
            let found = index::verify::verify(&warm, &self.keyring, progress)?;
            self.report.take(found.findings);
            self.report.files = self.report.files.saturating_add(found.files);
            self.places.extend(found.heads.keys().map(|name| (name.clone(), warm.join(name))));
            heads.extend(found.heads);
        }
        let heads = heads.into_iter();
        self.heads.extend(heads.map(|(name, head)| (vault::partition_key(&name), head)));
        self.small_files(&events)
    }

    fn journal(&mut self) -> Result<()> {
        let path = vault::journal_path(&self.data);
        let name = path.display().to_string();
        let found = journal::scan(&path, &self.keyring.file_key(names::JOURNAL)?)
            .with_context(|| format!("cannot read {name}"))?;
        for broken in &found.broken {
            self.report.find(format!("{name}, line {}", broken.line), broken.what.clone());
        }
        self.report.entries = found.entries.len() as u64;
        let torn = found.torn.iter().map(|line| format!("{name}, line {line}: torn by a crash"));
        self.report.notes.extend(torn);
        self.heads.insert(checkpoint::JOURNAL.to_owned(), found.head());
        for (entry, link) in &found.entries {
            self.links.journal.insert(entry.number.saturating_add(1), *link);
            match &entry.what {
                What::Deleted { deletion, .. } => {
                    let name = vault::partition_key(&deletion.partition);
                    self.deleted.insert(name, deletion.time);
                }
                What::Redacted { stone, proof } => self.redaction(stone, proof),
                What::Cut { cut, proof }
                    if proof.check::<Cut>(&self.public_key).as_ref() != Some(cut) =>
                {
                    self.report.find(
                        name.clone(),
                        format!(
                            "the cut before record {} is not signed by this collector",
                            cut.upto.count
                        ),
                    );
                }
                What::Found { path, what } => {
                    let when = event::Timestamp::from_micros(entry.time);
                    self.report.notes.push(format!("found at {when}: {path} {what}"));
                }
                _ => {}
            }
        }
        self.cut = vault::last_cut(&found.entries);
        for order in self.keyring.orders() {
            let note = format!("redaction {} is begun; it is ended at the next start", order.id);
            self.report.notes.push(note);
        }
        let pending = self.keyring.pending();
        let pending = pending.iter().map(|one| (vault::partition_key(&one.partition), one.time));
        self.deleted.extend(pending);
        Ok(())
    }

    fn redaction(&mut self, stone: &Tombstone, proof: &Signed) {
        let (id, events) = (&stone.id, stone.events.len());
        if proof.check::<Tombstone>(&self.public_key).as_ref() != Some(stone) {
            let place = vault::journal_path(&self.data).display().to_string();
            self.report.find(place, format!("redaction {id} is not signed by this collector"));
        }
        let when = event::Timestamp::from_micros(stone.time);
        let Tombstone { who, reason, .. } = stone;
        let note =
            format!("redacted by {who} at {when}: {events} events, redaction {id}: {reason}");
        self.report.notes.push(note);
        self.report.redactions.push(stone.clone());
    }

    fn audit(&mut self, wanted: &BTreeSet<u64>) -> Result<()> {
        let folder = audit::folder(&vault::folder(&self.data));
        let found = audit::look(&folder, &self.keyring, &self.cut, wanted)
            .with_context(|| format!("cannot read {}", folder.display()))?;
        self.report.take(found.findings);
        self.report.notes.extend(found.notes);
        let (records, from, upto) = (found.records, self.cut.upto.count, found.end.count);
        self.report.audit = AuditLooked { records, from, upto };
        self.links.audit = found.links;
        self.heads.insert(checkpoint::AUDIT.to_owned(), found.end);
        Ok(())
    }

    fn state(&mut self) {
        let path = Folder::new(&self.data).state();
        let name = path.display().to_string();
        let key = self.keyring.get(names::STATE);
        let read = key
            .map_err(|error| error.to_string())
            .and_then(|key| state::verify(&path, &key).map_err(|error| service::causes(&error)));
        match read {
            Ok((findings, head)) => {
                for (place, what) in findings {
                    self.report.find(format!("{name}, {place}"), what);
                }
                self.heads.insert(checkpoint::STATE.to_owned(), head);
            }
            Err(error) => self.report.find(name, error),
        }
    }

    fn log(&mut self, noted: Option<&Statement>, progress: &mut dyn FnMut(u64)) -> Result<()> {
        let folder = Folder::new(&self.data).events().join("log");
        let found = log::verify::verify(&folder, &self.keyring, &self.wanted, progress)?;
        self.report.take(found.findings);
        self.report.records = found.records;
        self.links.log = found.links;
        self.links.log_begin = found.begin.map_or(u64::MAX, |begin| begin.count);
        let end = found.begin.map_or_else(Head::default, |_| found.end);
        self.heads.insert(checkpoint::LOG.to_owned(), end);
        if let Some(tail) = found.tail {
            let head = |name| noted.and_then(|noted| noted.heads.get(name));
            let lacking = head(checkpoint::LOG).is_some_and(|known| known.count > end.count);
            // Nothing was being written when the collector stopped.
            let closed = head(checkpoint::LOG_CLOSED).is_some_and(|at| *at == end);
            if lacking || (closed && end.count > 0) {
                self.report.take(vec![tail]);
            } else {
                let Problem { path, offset, what, .. } = tail;
                let note = format!(
                    "{path} at byte {offset}: {what}; torn by a crash, nobody was answered for it"
                );
                self.report.notes.push(note);
            }
        }
        let begins = noted.and_then(|noted| noted.heads.get(checkpoint::LOG_BEGIN));
        if let (Some(noted), Some(begin)) = (begins, found.begin)
            && begin.count > noted.count
        {
            let gone = begin.count.saturating_sub(noted.count);
            self.report.find(
                folder.display().to_string(),
                format!("{gone} records are gone from the beginning of the log"),
            );
        }
        Ok(())
    }

    /// Sealed files that are replaced as a whole.
    fn small_files(&mut self, events: &Path) -> Result<()> {
        let store = self.keyring.file_key(names::STORE)?;
        let memory = self.keyring.file_key(names::MEMORY)?;
        let mut files = vec![(events.join("log/dedup.state"), &store)];
        files.push((events.join("index.position"), &store));
        for item in std::fs::read_dir(&self.data).into_iter().flatten().flatten() {
            let path = item.path();
            if path.extension().is_some_and(|extension| extension == "memory") {
                files.push((path, &memory));
            }
        }
        // Older collectors have none.
        let routing = events.join("index.routing");
        if routing.exists() {
            files.push((routing, &store));
        }
        let begun = self.heads.get(checkpoint::LOG).is_some_and(|head| head.count > 0);
        for (path, key) in files {
            let name = path.display().to_string();
            match sealed::read(&path, key)? {
                Found::Damaged => self.report.find(name, "does not open: changed, cut or moved"),
                Found::Nothing if begun => self.report.find(name, "file is gone"),
                Found::Content(_) | Found::Nothing => {}
            }
        }
        Ok(())
    }

    fn place(&self, name: &str) -> String {
        let events = Folder::new(&self.data).events();
        let path = match name.split_once('/') {
            Some(("partition", partition)) => match self.places.get(partition) {
                Some(warm) => warm.clone(),
                None => events.join("index").join(partition),
            },
            _ => match name {
                checkpoint::LOG | checkpoint::LOG_BEGIN | checkpoint::LOG_CLOSED => {
                    events.join("log")
                }
                checkpoint::STATE => Folder::new(&self.data).state(),
                checkpoint::JOURNAL => vault::journal_path(&self.data),
                checkpoint::AUDIT => audit::folder(&vault::folder(&self.data)),
                _ => vault::keyring_path(&self.data),
            },
        };
        path.display().to_string()
    }

    /// Nothing may have come less far than a statement says.
    fn compare(&mut self, noted: &Statement, since: &str) {
        for (name, head) in &noted.heads {
            let present = self.heads.get(name).copied();
            let deleted = self.deleted.get(name).is_some_and(|time| *time >= noted.time);
            let gone = present.is_none() && deleted;
            if gone || [checkpoint::LOG_BEGIN, checkpoint::LOG_CLOSED].contains(&name.as_str()) {
                continue;
            }
            if let Some(what) = checkpoint::compare(*head, present) {
                let place = self.place(name);
                // What does not open at all was found by itself already.
                let known = |one: &Finding| one.place.starts_with(&place);
                if present.is_some() || !self.report.findings.iter().any(known) {
                    self.report.find(place, format!("{what}{since}"));
                }
            }
        }
    }

    /// As [`Self::compare`], and the chains must lead through what the anchor says.
    fn compare_with_anchor(&mut self, anchor: &Statement, noted: Option<&Statement>) {
        let when = event::Timestamp::from_micros(anchor.time);
        let since = format!(" (anchor {} of {when})", anchor.number);
        if noted.is_none_or(|noted| noted.number < anchor.number) {
            let place = vault::checkpoint_path(&self.data).display().to_string();
            self.report.find(place, format!("the checkpoint is older than the anchor{since}"));
        }
        self.compare(anchor, &since);
        for (name, links, begin) in [
            (checkpoint::LOG, &self.links.log, self.links.log_begin),
            (checkpoint::JOURNAL, &self.links.journal, 0),
            (checkpoint::AUDIT, &self.links.audit, self.cut.upto.count),
        ] {
            let Some(head) = anchor.heads.get(name).filter(|head| head.count > 0) else { continue };
            if head.count < begin {
                let note = format!("{name}: what the anchor covers is not kept any more");
                self.report.notes.push(note);
            } else if links.get(&head.count).is_some_and(|link| *link != head.digest) {
                let place = self.place(name);
                let what = format!("was written anew up to step {}{since}", head.count);
                self.report.findings.push(Finding { place, offset: 0, what });
            }
        }
    }
}

/// The last checkpoint, to be kept elsewhere: JSON that says nothing of what is stored.
///
/// # Errors
/// When there is none, or it does not open.
pub fn anchor(config: &Config) -> Result<String> {
    let keyring = vault::keyring(&config.data, &config.master(), Clock::system())?;
    let public_key = Signer::new(&*keyring.get(names::SIGNING)?)?.public();
    let path = vault::checkpoint_path(&config.data);
    match checkpoint::read(&path, &keyring, &public_key)? {
        Ok(Some((signed, _))) => Ok(serde_json::to_string(&signed)?),
        Ok(None) => anyhow::bail!("{} is not there: nothing was stored yet", path.display()),
        Err(wrong) => anyhow::bail!("{} {wrong}", path.display()),
    }
}

/// Reads hostile bytes as each kind of file that is looked at.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz_files(bytes: &[u8]) {
    crate::keyring::fuzz_open(bytes);
    journal::fuzz_line(bytes);
    audit::fuzz_line(bytes);
    drop(index::files::manifest::read(bytes));
    index::summary::fuzz_table(bytes);
    drop(serde_json::from_slice::<Signed>(bytes).map(|signed| signed.check::<Statement>("00")));
    if let Ok(key) = crate::store::Key::new([0; 32]).derive(&[0; 32], "fuzz", "") {
        drop(log::record::open(&key, log::Position::default(), bytes));
    }
}

#[cfg(test)]
mod tests;
