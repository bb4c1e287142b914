//! The journal: what was destroyed, changed or found, and who did what; written once, never
//! changed, kept for ever.
//!
//! One file of sealed lines that follow from each other ([`crate::lines`]). Not here: events, and
//! what people ask of the collector day by day ([`crate::audit`]).

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::keyring::Deletion;
use crate::lines::{self, Lines, Links, Seal};
use crate::redaction::Tombstone;
use crate::store::key::{Key, SALT};
use crate::vault::{Head, Signed};

/// That the oldest audit records are gone, because they were too old or too many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// When, microseconds since the epoch.
    pub time: i64,
    /// Number of the first record that was removed with this cut.
    pub from: u64,
    /// Records from the very first one up to the last that is removed, and the digest over them:
    /// the first record that stays follows from it.
    pub upto: Head,
    /// Time of the last record that is removed, microseconds.
    pub newest: i64,
    /// Number of the first file that stays.
    pub first_kept: u64,
    /// `age` or `size`.
    pub reason: String,
}

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
    /// The oldest audit records were removed; the rest goes on behind them.
    Cut {
        /// What was removed.
        cut: Cut,
        /// It again, signed.
        proof: Signed,
    },
    /// Events, or fields of them, were redacted.
    Redacted {
        /// What stays of it.
        stone: Tombstone,
        /// It again, signed.
        proof: Signed,
    },
    /// Partitions and log are sealed under new keys; the old ones are destroyed.
    Resealed {
        /// When it was asked for, microseconds since the epoch: the keys made before are gone.
        asked: i64,
        /// How far the log had come when what it held before was let go.
        log: Head,
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
pub type Entry = lines::Entry<What>;
/// What reading a journal found.
pub type Scan = lines::Scan<What>;

/// The journal, open for further entries. Several processes may write to it.
#[derive(Debug)]
pub struct Journal(Lines);

fn seal(key: &Key) -> io::Result<Seal> {
    let key = key.derive(&[0; SALT], "pikett journal 1", "journal").map_err(io::Error::other)?;
    Ok(Seal { key, links: Links::Plain(b"pikett journal 1") })
}

/// Reads a whole journal; one that is not there has no entries.
///
/// # Errors
/// As the file system.
pub fn scan(path: &Path, key: &Key) -> io::Result<Scan> {
    lines::scan(path, &seal(key)?, Some(Head::default()))
}

impl Journal {
    /// Opens a journal, or prepares to make it with its first entry; gives what it holds.
    ///
    /// # Errors
    /// As the file system.
    pub fn open(path: &Path, key: &Key) -> io::Result<(Self, Scan)> {
        let (lines, found) = Lines::open(path, seal(key)?, Some(Head::default()))?;
        Ok((Self(lines), found))
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Number of entries and digest of the last.
    #[must_use]
    pub fn head(&self) -> Head {
        self.0.head()
    }

    /// Adds an entry, durably.
    ///
    /// # Errors
    /// As the file system.
    pub fn append(&self, time: i64, what: What) -> io::Result<()> {
        self.0.append(time, what, true).map(drop)
    }
}

/// Reads hostile bytes as a journal's line.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn fuzz_line(bytes: &[u8]) {
    if let Ok(seal) = seal(&Key::new([0; 32])) {
        drop(seal.open::<What>(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::PathBuf;

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
