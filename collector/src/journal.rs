//! The journal: what was destroyed, changed or found, and who did what; written once, never
//! changed, kept for ever.
//!
//! One sealed entry a line (base64 of nonce and AES-256-GCM). Each entry names the digest of
//! everything before it, so that an entry that was changed, removed or moved breaks the chain at
//! its line; that the last entries are gone is seen from the checkpoint ([`crate::vault`]). A line
//! torn by a crash was never answered and breaks nothing. Not here: events.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::keyring::Deletion;
use crate::keys::random;
use crate::store::key::{Key, SALT};
use crate::vault::{Head, Link, Signed};

/// Longest line read, bytes.
const MAX_LINE: u64 = 256 << 10;

/// What an entry tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A partition's data is gone for good; the proof can be shown to others.
    Deleted {
        /// The deletion.
        deletion: Deletion,
        /// It again, signed.
        proof: Signed,
    },
    /// The keyring is sealed with another master key.
    MasterChanged {
        /// Identity of the new one.
        master: String,
    },
    /// Opening found something that is not as it was left.
    Found {
        /// File or partition.
        path: String,
        /// What was found.
        what: String,
    },
    /// Somebody did something.
    Did {
        /// Who.
        who: String,
        /// What, as in `event.action`.
        action: String,
        /// Further words: name and text.
        about: BTreeMap<String, String>,
    },
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 0.
    pub number: u64,
    /// Digest of everything before it, as hexadecimal digits.
    pub previous: Link,
    /// When, microseconds since the epoch.
    pub time: i64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// A line that is no entry or does not follow from the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Number of the line, from 1.
    pub line: u64,
    /// What is wrong.
    pub what: String,
}

/// What reading a journal found.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// Entries, with the digest up to and with each.
    pub entries: Vec<(Entry, Link)>,
    /// Lines that break the chain.
    pub broken: Vec<Broken>,
    /// Lines that a crash tore; the chain goes on behind them.
    pub torn: Vec<u64>,
    /// Whether the last line has an end.
    ended: bool,
    /// Bytes read.
    length: u64,
}

impl Scan {
    /// Number of entries that there should be, and digest of the last.
    #[must_use]
    pub fn head(&self) -> Head {
        self.entries.last().map_or_else(Head::default, |(entry, link)| Head {
            count: entry.number.saturating_add(1),
            digest: *link,
        })
    }
}

/// The journal, open for further entries. Several processes may write to it.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    key: LessSafeKey,
    end: Mutex<End>,
}

#[derive(Debug)]
struct End {
    head: Head,
    /// Whether the next entry must end a line first.
    torn: bool,
    /// Bytes of the file.
    length: u64,
}

impl End {
    fn of(found: &Scan) -> Self {
        Self { head: found.head(), torn: !found.ended, length: found.length }
    }
}

fn cipher(key: &Key) -> io::Result<LessSafeKey> {
    key.derive(&[0; SALT], "pikett journal 1", "journal").map_err(io::Error::other)
}

fn link(previous: &Link, line: &[u8]) -> Link {
    let mut context = Context::new(&SHA256);
    context.update(b"pikett journal 1");
    context.update(&previous.0);
    context.update(line);
    Link::of(&context.finish())
}

fn open_line(key: &LessSafeKey, line: &[u8]) -> Option<Entry> {
    let bytes = STANDARD.decode(line).ok()?;
    let (nonce, sealed) = bytes.split_first_chunk::<12>()?;
    let mut sealed = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let plain = key.open_in_place(nonce, Aad::empty(), &mut sealed).ok()?;
    serde_json::from_slice(plain).ok()
}

/// Reads a whole journal; one that is not there has no entries.
///
/// # Errors
/// As the file system.
pub fn scan(path: &Path, key: &Key) -> io::Result<Scan> {
    scan_with(path, &cipher(key)?)
}

fn scan_with(path: &Path, key: &LessSafeKey) -> io::Result<Scan> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Scan { ended: true, ..Scan::default() });
        }
        Err(error) => return Err(error),
    };
    let mut reader = BufReader::new(file);
    let mut out = Scan { ended: true, ..Scan::default() };
    let (mut head, mut waiting) = (Head::default(), Vec::new());
    for number in 1_u64.. {
        let mut line = Vec::new();
        reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        out.length = out.length.saturating_add(u64::try_from(line.len()).unwrap_or(0));
        out.ended = line.pop_if(|last| *last == b'\n').is_some();
        let Some(entry) = open_line(key, &line) else {
            if !line.is_empty() {
                waiting.push(number);
            }
            continue;
        };
        if entry.number == head.count && entry.previous == head.digest {
            // Nothing is missing here: what did not open before it was torn.
            out.torn.append(&mut waiting);
        } else {
            let what = format!(
                "entry {} does not follow from entry {}: changed, removed or moved",
                entry.number,
                i128::from(head.count).saturating_sub(1)
            );
            let line = waiting.first().copied().unwrap_or(number);
            out.broken.push(Broken { line, what });
            waiting.clear();
        }
        head = Head { count: entry.number.saturating_add(1), digest: link(&entry.previous, &line) };
        out.entries.push((entry, head.digest));
    }
    // At the end only the checkpoint can tell a torn line from a changed one.
    out.torn.append(&mut waiting);
    Ok(out)
}

impl Journal {
    /// Opens a journal, or prepares to make it with its first entry; gives what it holds.
    ///
    /// # Errors
    /// As the file system.
    pub fn open(path: &Path, key: &Key) -> io::Result<(Self, Scan)> {
        let key = cipher(key)?;
        let found = scan_with(path, &key)?;
        let end = Mutex::new(End::of(&found));
        Ok((Self { path: path.to_owned(), key, end }, found))
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of entries and digest of the last.
    #[must_use]
    pub fn head(&self) -> Head {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).head
    }

    /// Adds an entry, durably.
    ///
    /// # Errors
    /// As the file system.
    pub fn append(&self, time: i64, what: What) -> io::Result<()> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).mode(0o600).open(&self.path)?;
        file.lock()?;
        if file.metadata()?.len() != end.length {
            *end = End::of(&scan_with(&self.path, &self.key)?);
        }
        let entry = Entry { number: end.head.count, previous: end.head.digest, time, what };
        let mut sealed = serde_json::to_vec(&entry)?;
        let nonce = random::<12>().map_err(io::Error::other)?;
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                &mut sealed,
            )
            .map_err(|_| io::Error::other("sealing failed"))?;
        let line = STANDARD.encode([&nonce[..], &sealed].concat());
        if u64::try_from(line.len()).unwrap_or(u64::MAX) >= MAX_LINE {
            return Err(io::Error::other("an entry is larger than 192 KiB"));
        }
        let start = if end.torn { "\n" } else { "" };
        file.write_all(format!("{start}{line}\n").as_bytes())?;
        file.sync_data()?;
        if let (0, Some(folder)) = (end.length, self.path.parent()) {
            File::open(folder)?.sync_all()?;
        }
        let digest = link(&entry.previous, line.as_bytes());
        let head = Head { count: entry.number.saturating_add(1), digest };
        *end = End { head, torn: false, length: file.metadata()?.len() };
        Ok(())
    }
}

/// Reads hostile bytes as a journal's line.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn fuzz_line(bytes: &[u8]) {
    if let Ok(key) = cipher(&Key::new([0; 32])) {
        drop(open_line(&key, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn did(action: &str) -> What {
        What::Did { who: "ada".into(), action: action.into(), about: BTreeMap::new() }
    }

    /// A journal of five entries in a folder, and its key.
    fn five() -> (tempfile::TempDir, PathBuf, Key) {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("journal"), Key::new([4; 32]));
        let (journal, found) = Journal::open(&path, &key).unwrap();
        assert_eq!((found.entries.len(), found.head()), (0, Head::default()));
        (0..5).for_each(|n| journal.append(n, did(&format!("act {n}"))).unwrap());
        assert_eq!(journal.head(), scan(&path, &key).unwrap().head());
        (folder, path, key)
    }

    fn actions(found: &Scan) -> Vec<u64> {
        found.entries.iter().map(|(entry, _)| entry.number).collect()
    }

    #[test]
    fn entries_follow_each_other_over_a_restart() {
        let (_folder, path, key) = five();
        let (journal, found) = Journal::open(&path, &key).unwrap();
        assert_eq!(
            (actions(&found), found.broken, found.torn),
            (vec![0, 1, 2, 3, 4], vec![], vec![])
        );
        journal.append(9, did("later")).unwrap();
        let found = scan(&path, &key).unwrap();
        assert_eq!((found.entries.len(), found.broken), (6, vec![]));
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(3).any(|window| window == b"ada"));
        assert_eq!(scan(&path, &Key::new([5; 32])).unwrap().entries, []);
    }

    #[test]
    fn a_torn_end_is_no_break() {
        let (_folder, path, key) = five();
        let whole = std::fs::read(&path).unwrap();
        let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        for cut in [last + 1, last + 40, whole.len() - 2] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (journal, found) = Journal::open(&path, &key).unwrap();
            assert_eq!(actions(&found), [0, 1, 2, 3], "cut at {cut}");
            journal.append(9, did("again")).unwrap();
            let found = scan(&path, &key).unwrap();
            assert_eq!((actions(&found), found.torn), (vec![0, 1, 2, 3, 4], vec![5]));
            assert_eq!(found.broken, [], "cut at {cut}");
        }
    }

    #[test]
    fn lines_removed_moved_or_repeated_break_the_chain_there() {
        let (_folder, path, key) = five();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let check = |order: &[usize], broken: &[u64]| {
            let text: String = order.iter().map(|n| format!("{}\n", lines[*n])).collect();
            std::fs::write(&path, text).unwrap();
            let found = scan(&path, &key).unwrap();
            let at: Vec<u64> = found.broken.iter().map(|broken| broken.line).collect();
            assert_eq!(at, broken, "{order:?}");
        };
        check(&[0, 1, 2, 3, 4], &[]);
        check(&[0, 2, 3, 4], &[2]);
        check(&[1, 2, 3, 4], &[1]);
        check(&[0, 2, 1, 3, 4], &[2, 3, 4]);
        check(&[0, 1, 1, 2, 3, 4], &[3]);
    }

    #[test]
    fn two_writers_take_turns() {
        let (_folder, path, key) = five();
        let one = Journal::open(&path, &key).unwrap().0;
        let two = Journal::open(&path, &key).unwrap().0;
        for n in 0..3 {
            one.append(n, did("one")).unwrap();
            two.append(n, did("two")).unwrap();
        }
        let found = scan(&path, &key).unwrap();
        assert_eq!((found.entries.len(), found.broken), (11, vec![]));
        assert!(one.append(0, did(&"x".repeat(200_000))).is_err(), "an entry has a limit");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_flip_before_the_last_line_is_located(at in 0_usize..1_000, bit in 0..8_u32) {
            let (_folder, path, key) = five();
            let mut bytes = std::fs::read(&path).unwrap();
            let last = bytes[..bytes.len() - 1].iter().rposition(|b| *b == b'\n').unwrap();
            let at = at % last;
            let line = bytes[..at].iter().filter(|b| **b == b'\n').count() as u64 + 1;
            bytes[at] ^= 1 << bit;
            std::fs::write(&path, bytes).unwrap();
            let found = scan(&path, &key).unwrap();
            prop_assert_eq!(found.broken.first().map(|broken| broken.line), Some(line));
        }
    }
}
