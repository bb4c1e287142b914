//! The audit log: what people, programs and commands did and asked for, each numbered and chained.
//!
//! Files of sealed lines ([`crate::lines`]) in `vault/audit`, one after the other, each with a key of its
//! own; the digest that each record names of everything before it is keyed. How far it has come stands in
//! the signed checkpoints. The oldest files go with retention: what was cut is signed for in the journal
//! ([`crate::journal::Cut`]) first, then their keys are destroyed. Not here: who is let do what, and which
//! requests are kept ([`crate::web`]); what the collector itself found or destroyed (the journal).

mod look;
pub mod older;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use serde::{Deserialize, Serialize};
use service::Clock;

use crate::journal::Cut;
use crate::keyring::Keyring;
use crate::lines::{self, Lines, Links, Seal};
use crate::store::Problem;
use crate::store::key::SALT;
use crate::vault::{Head, names};

pub use look::{Looked, look};

/// Bytes of a file from which on the next one is begun.
const FILE_BYTES: u64 = 4 << 20;
/// Files that one page of records may read.
const PAGE_FILES: usize = 8;

/// Who did something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Nobody who is known.
    #[default]
    Nobody,
    /// A person with a session.
    Person,
    /// A program with a token.
    Program,
    /// A command on the collector's machine.
    Command,
    /// The collector itself.
    Collector,
}

/// Something that was done or asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Kind of who did it.
    pub by: By,
    /// Name of the person or token.
    #[serde(default)]
    pub who: String,
    /// Address it came from.
    #[serde(default)]
    pub from: String,
    /// What: method and path of the route, or the command.
    pub action: String,
    /// On what: the path as it was asked for.
    #[serde(default)]
    pub object: String,
    /// `asked` when it is a question, else how it ended: an HTTP status, or `done`.
    #[serde(default)]
    pub outcome: String,
    /// What was given with it, without what is secret; names and texts.
    #[serde(default)]
    pub about: BTreeMap<String, String>,
}

/// One record.
pub type Entry = lines::Entry<Act>;

/// What the last look at the whole log found.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// When, microseconds since the epoch.
    pub time: i64,
    /// Records from the very first one up to where it was looked at.
    pub upto: u64,
    /// First record that is still kept.
    pub from: u64,
    /// What is not as it was written; empty when the chain is whole.
    pub findings: Vec<Problem>,
}

/// Some records, newest first.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Page {
    /// The records.
    pub records: Vec<Entry>,
    /// Older ones are found before this number; `None` when there are none.
    pub next: Option<u64>,
}

/// The last file.
#[derive(Debug)]
struct Last {
    number: u64,
    lines: Lines,
}

/// Why records are not kept at the moment.
#[derive(Debug, Default)]
struct Failing {
    /// What the file system said last; `None` when all is well.
    reason: Option<String>,
    /// Records that were not kept.
    lost: u64,
}

/// The audit log. Several processes may write to it; only one of them, the collector, begins new files
/// and removes old ones.
#[derive(Debug)]
pub struct Audit {
    folder: PathBuf,
    keyring: Keyring,
    clock: Clock,
    file_bytes: u64,
    /// What was cut off the beginning.
    cut: Mutex<Cut>,
    last: Mutex<Option<Last>>,
    failing: Mutex<Failing>,
    checked: Mutex<Option<Checked>>,
}

/// Folder of the audit log in a vault.
#[must_use]
pub fn folder(vault: &Path) -> PathBuf {
    vault.join("audit")
}

fn key_name(number: u64) -> String {
    format!("audit/{number:010}")
}

fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.audit"))
}

/// Numbers of the files there are, ascending.
fn list(folder: &Path) -> io::Result<Vec<u64>> {
    let items = match std::fs::read_dir(folder) {
        Ok(items) => items,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut numbers = Vec::new();
    for item in items {
        let name = item?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".audit"));
        numbers.extend(number.and_then(|digits| digits.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn seal_of(keyring: &Keyring, number: u64) -> io::Result<Seal> {
    let key = keyring.file_key(&key_name(number)).map_err(io::Error::other)?;
    let key =
        key.derive(&[0; SALT], "pikett audit 1", &number.to_string()).map_err(io::Error::other)?;
    let chain = keyring.get(names::AUDIT).map_err(io::Error::other)?;
    Ok(Seal { key, links: Links::Keyed(Box::new(hmac::Key::new(HMAC_SHA256, &*chain))) })
}

fn scan(
    keyring: &Keyring,
    (folder, number): (&Path, u64),
    begin: Option<Head>,
) -> io::Result<lines::Scan<Act>> {
    lines::scan(&path_of(folder, number), &seal_of(keyring, number)?, begin)
}

impl Audit {
    /// Opens the audit log of a vault, of which `cut` was cut off the beginning last. What a kill left of
    /// a cut is removed, unless this is a command beside a collector (`beside`).
    ///
    /// # Errors
    /// As the file system.
    pub fn open(
        vault: &Path,
        (keyring, clock): (Keyring, Clock),
        cut: Cut,
        beside: bool,
    ) -> io::Result<Self> {
        let audit = Self {
            folder: folder(vault),
            keyring,
            clock,
            file_bytes: if beside { u64::MAX } else { FILE_BYTES },
            cut: Mutex::new(cut),
            last: Mutex::default(),
            failing: Mutex::default(),
            checked: Mutex::default(),
        };
        if !beside {
            audit.keyring.ensure(names::AUDIT).map_err(io::Error::other)?;
            audit.remove_before(audit.cut().first_kept)?;
        }
        *audit.lock() = audit.open_last()?;
        Ok(audit)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Last>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut(&self) -> Cut {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same with files of so many bytes.
    #[cfg(test)]
    pub(crate) const fn set_file_bytes(&mut self, bytes: u64) {
        self.file_bytes = bytes;
    }

    /// Where it lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Numbers of the files that are not cut off, ascending.
    fn files(&self) -> io::Result<Vec<u64>> {
        let first = self.cut().first_kept;
        Ok(list(&self.folder)?.into_iter().filter(|number| *number >= first).collect())
    }

    fn open_last(&self) -> io::Result<Option<Last>> {
        let numbers = self.files()?;
        let Some((number, before)) = numbers.split_last() else { return Ok(None) };
        let begin = match before.last() {
            Some(one) => scan(&self.keyring, (&self.folder, *one), None)?.head(),
            None => self.cut().upto,
        };
        self.open_file(*number, begin).map(Some)
    }

    fn open_file(&self, number: u64, begin: Head) -> io::Result<Last> {
        let seal = seal_of(&self.keyring, number)?;
        let path = path_of(&self.folder, number);
        let (lines, _) = Lines::open::<Act>(&path, seal, Some(begin))?;
        Ok(Last { number, lines })
    }

    /// How far it has come; everything up to there is durable.
    ///
    /// # Errors
    /// As the file system.
    pub fn head(&self) -> io::Result<Head> {
        let last = self.lock();
        let Some(last) = last.as_ref() else { return Ok(self.cut().upto) };
        last.lines.sync()?;
        Ok(last.lines.head())
    }

    /// Adds a record; with `sync`, durably. Gives its number.
    ///
    /// # Errors
    /// As the file system; that it was lost is counted, and told until records are kept again.
    pub fn append(&self, act: Act, sync: bool) -> io::Result<u64> {
        self.append_at(self.clock.now_micros(), act, sync)
    }

    fn append_at(&self, time: i64, act: Act, sync: bool) -> io::Result<u64> {
        let added = self.add(time, act, sync);
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match &added {
            Ok(_) => failing.reason = None,
            Err(error) => {
                tracing::error!(%error, "an audit record is not kept");
                failing.reason = Some(error.to_string());
                failing.lost = failing.lost.saturating_add(1);
            }
        }
        added
    }

    fn add(&self, time: i64, act: Act, sync: bool) -> io::Result<u64> {
        std::fs::create_dir_all(&self.folder)?;
        // Held against other processes, so that nobody writes to a file behind which another was begun.
        let between = File::create(self.folder.join("lock"))?;
        between.lock()?;
        let mut last = self.lock();
        let stale = |last: &Last| path_of(&self.folder, last.number.saturating_add(1)).exists();
        if last.as_ref().is_none_or(stale) {
            if let Some(number) = self.files()?.last() {
                // Another process may have begun it, with a key that is not known here yet.
                self.keyring.ensure(&key_name(*number)).map_err(io::Error::other)?;
            }
            *last = self.open_last()?;
        }
        let full = |last: &Last| last.lines.length() >= self.file_bytes;
        let next = match last.take_if(|last| full(last)) {
            Some(full) => {
                full.lines.sync()?;
                // Another process may have added to it meanwhile.
                let full = self.open_last()?.unwrap_or(full);
                Some((full.number.saturating_add(1), full.lines.head()))
            }
            None if last.is_none() => Some((1, self.cut().upto)),
            None => None,
        };
        if let Some((number, begin)) = next {
            let number = number.max(self.cut().first_kept);
            self.keyring.ensure(&key_name(number)).map_err(io::Error::other)?;
            *last = Some(self.open_file(number, begin)?);
        }
        let last = last.as_ref().ok_or_else(|| io::Error::other("the audit log has no file"))?;
        last.lines.append(time, act, sync)
    }

    /// Whether records are kept: tried, when the last one was not.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let lost = {
            let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
            if failing.reason.is_none() {
                return true;
            }
            failing.lost
        };
        let about = [("lost".to_owned(), lost.to_string())].into();
        let action = "records are kept again".to_owned();
        let act =
            Act { by: By::Collector, action, about, outcome: "done".into(), ..Act::default() };
        self.append(act, true).is_ok()
    }

    /// Records that `wanted` takes, newest first, at most `limit` of those before number `before`.
    ///
    /// # Errors
    /// As the file system.
    pub fn page(
        &self,
        wanted: impl Fn(&Entry) -> bool,
        before: Option<u64>,
        limit: usize,
    ) -> io::Result<Page> {
        let mut page = Page::default();
        let mut looked = 0_usize;
        for number in self.files()?.into_iter().rev() {
            let mut entries = scan(&self.keyring, (&self.folder, number), None)?.entries;
            let first = entries.first().map(|(entry, _)| entry.number);
            if let (Some(before), Some(first)) = (before, first)
                && first >= before
            {
                continue;
            }
            while let Some((entry, _)) = entries.pop() {
                if before.is_some_and(|before| entry.number >= before) {
                    continue;
                }
                if page.records.len() == limit {
                    page.next = Some(entry.number.saturating_add(1));
                    return Ok(page);
                }
                if wanted(&entry) {
                    page.records.push(entry);
                }
            }
            looked = looked.saturating_add(1);
            if looked == PAGE_FILES {
                page.next = first.filter(|first| *first > self.cut().upto.count);
                return Ok(page);
            }
        }
        Ok(page)
    }

    /// Looks through the whole log and keeps what was found.
    ///
    /// # Errors
    /// As the file system.
    pub fn check(&self) -> io::Result<Checked> {
        let (head, time) = (self.head()?, self.clock.now_micros());
        let cut = self.cut();
        let looked = look(&self.folder, &self.keyring, &cut, &std::collections::BTreeSet::new())?;
        let mut findings = looked.findings;
        if looked.end.count < head.count {
            let what = format!(
                "ends at record {} of {}: the last ones are gone",
                looked.end.count, head.count
            );
            findings.push(problem(&self.folder, what));
        }
        let checked = Checked { time, upto: looked.end.count, from: cut.upto.count, findings };
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = Some(checked.clone());
        Ok(checked)
    }

    /// What the last look found, if there was one.
    #[must_use]
    pub fn checked(&self) -> Option<Checked> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = self.checked().map(|checked| checked.findings).unwrap_or_default();
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = &failing.reason {
            let what = format!("audit records are not kept: {reason}");
            let advice = "nothing is changed by people and programs until they are kept again; see to the disk";
            found.push(Problem { advice: advice.to_owned(), ..problem(&self.folder, what) });
        }
        found
    }

    /// What has to be cut off the beginning, if anything: whole files whose records are all older than
    /// `older_than` (microseconds), or the oldest while there are more than `most` bytes. The last file stays.
    ///
    /// # Errors
    /// As the file system.
    pub(crate) fn due(&self, older_than: i64, most: u64) -> io::Result<Option<Cut>> {
        let numbers = self.files()?;
        let size = |number: &u64| {
            std::fs::metadata(path_of(&self.folder, *number)).map_or(0, |meta| meta.len())
        };
        let mut bytes: u64 = numbers.iter().map(size).sum();
        let mut cut = self.cut();
        let (mut due, from) = (false, cut.upto.count);
        for pair in numbers.windows(2) {
            let [number, next] = pair else { break };
            let found = scan(&self.keyring, (&self.folder, *number), Some(cut.upto))?;
            let newest = found.entries.last().map_or(cut.newest, |(entry, _)| entry.time);
            let reason = match (newest < older_than, bytes > most) {
                (true, _) => "age",
                (false, true) => "size",
                (false, false) => break,
            };
            bytes = bytes.saturating_sub(size(number));
            let (time, upto) = (self.clock.now_micros(), found.head());
            cut = Cut { time, from, upto, newest, first_kept: *next, reason: reason.to_owned() };
            due = true;
        }
        Ok(due.then_some(cut))
    }

    /// Carries out a cut that is signed for: the keys of what goes are destroyed, then the files go.
    ///
    /// # Errors
    /// As the file system.
    pub(crate) fn carry_out(&self, cut: Cut) -> io::Result<()> {
        let first = cut.first_kept;
        *self.cut.lock().unwrap_or_else(PoisonError::into_inner) = cut;
        self.remove_before(first)
    }

    fn remove_before(&self, first: u64) -> io::Result<()> {
        let gone = |name: &str| name.starts_with("audit/") && *name < *key_name(first);
        self.keyring.forget(gone).map_err(io::Error::other)?;
        for number in list(&self.folder)?.into_iter().filter(|number| *number < first) {
            std::fs::remove_file(path_of(&self.folder, number))?;
        }
        Ok(())
    }
}

fn problem(path: &Path, what: String) -> Problem {
    let advice = "compare with an anchor that was kept elsewhere, and with a backup";
    Problem { path: path.display().to_string(), offset: 0, what, advice: advice.to_owned() }
}

/// Reads hostile bytes as a line of an audit file.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn fuzz_line(bytes: &[u8]) {
    let key = crate::store::Key::new([0; 32]).derive(&[0; SALT], "fuzz", "");
    let links = Links::Keyed(Box::new(hmac::Key::new(HMAC_SHA256, &[0; 32])));
    if let Ok(key) = key {
        drop(Seal { key, links }.open::<Act>(bytes));
    }
    drop(serde_json::from_slice::<Entry>(bytes));
}
