//! A file of sealed lines that follow from each other: what the journal and the audit log are made of.
//!
//! One sealed entry a line (base64 of nonce and AES-256-GCM). Each entry names the digest of
//! everything before it, so that an entry that was changed, removed or moved breaks the chain at
//! its line; that the last entries are gone is seen from the checkpoint ([`crate::vault`]). A line
//! torn by a crash was never answered and breaks nothing. Not here: what entries tell, and files
//! that follow each other.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::keys::random;
use crate::vault::{Head, Link};

/// Longest line read, bytes.
const MAX_LINE: u64 = 256 << 10;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<T> {
    /// Its number, from 0.
    pub number: u64,
    /// Digest of everything before it, as hexadecimal digits.
    pub previous: Link,
    /// When, microseconds since the epoch.
    pub time: i64,
    /// What.
    #[serde(flatten)]
    pub what: T,
}

/// A line that is no entry or does not follow from the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Number of the line, from 1.
    pub line: u64,
    /// What is wrong.
    pub what: String,
}

/// How a file of lines is sealed and chained.
pub(crate) struct Seal {
    pub(crate) key: LessSafeKey,
    pub(crate) links: Links,
}

/// What the digest of everything before is made with.
pub(crate) enum Links {
    /// SHA-256 behind this text.
    Plain(&'static [u8]),
    /// HMAC-SHA-256.
    Keyed(Box<hmac::Key>),
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Seal(secret)")
    }
}

impl Seal {
    fn link(&self, previous: &Link, line: &[u8]) -> Link {
        match &self.links {
            Links::Plain(text) => {
                let mut context = Context::new(&SHA256);
                [text, &previous.0[..], line].into_iter().for_each(|part| context.update(part));
                Link::of(&context.finish())
            }
            Links::Keyed(key) => {
                let mut context = hmac::Context::with_key(key);
                [&previous.0[..], line].into_iter().for_each(|part| context.update(part));
                Link(context.sign().as_ref().first_chunk().copied().unwrap_or_default())
            }
        }
    }

    pub(crate) fn open<T: DeserializeOwned>(&self, line: &[u8]) -> Option<Entry<T>> {
        let bytes = STANDARD.decode(line).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<12>()?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.key.open_in_place(nonce, Aad::empty(), &mut sealed).ok()?;
        serde_json::from_slice(plain).ok()
    }

    fn seal<T: Serialize>(&self, entry: &Entry<T>) -> io::Result<String> {
        let mut sealed = serde_json::to_vec(entry)?;
        let nonce = random::<12>().map_err(io::Error::other)?;
        let unique = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(unique, Aad::empty(), &mut sealed)
            .map_err(|_| io::Error::other("sealing failed"))?;
        let line = STANDARD.encode([&nonce[..], &sealed].concat());
        if u64::try_from(line.len()).unwrap_or(u64::MAX) >= MAX_LINE {
            return Err(io::Error::other("an entry is larger than 192 KiB"));
        }
        Ok(line)
    }
}

/// What reading a file of lines found.
#[derive(Clone, Debug)]
pub struct Scan<T> {
    /// Entries, with the digest up to and with each.
    pub entries: Vec<(Entry<T>, Link)>,
    /// Lines that break the chain.
    pub broken: Vec<Broken>,
    /// Lines that a crash tore; the chain goes on behind them.
    pub torn: Vec<u64>,
    /// First of the lines at the end that did not open, which are among the torn ones.
    pub unread: Option<u64>,
    /// How far it has come with everything before the file.
    end: Head,
    /// Whether the last line has an end.
    ended: bool,
    /// Bytes read.
    length: u64,
}

impl<T> Scan<T> {
    fn new(begin: Head) -> Self {
        let (entries, broken, torn) = (Vec::new(), Vec::new(), Vec::new());
        Self { entries, broken, torn, unread: None, end: begin, ended: true, length: 0 }
    }

    /// Number of entries that there should be, and digest of the last.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.end
    }

    /// Takes an entry that opened; lines before it that did not are `waiting`.
    fn take(&mut self, (number, entry): (u64, Entry<T>), link: Link, waiting: &mut Vec<u64>) {
        let (expected, follows) = (self.end, self.end.count == entry.number);
        if follows && entry.previous == expected.digest {
            // Nothing is missing here: what did not open before it was torn.
            self.torn.append(waiting);
        } else {
            let what = format!(
                "entry {} does not follow from entry {}: changed, removed or moved",
                entry.number,
                i128::from(expected.count).saturating_sub(1)
            );
            let line = waiting.first().copied().unwrap_or(number);
            self.broken.push(Broken { line, what });
            waiting.clear();
        }
        self.end = Head { count: entry.number.saturating_add(1), digest: link };
        self.entries.push((entry, link));
    }
}

/// Reads a whole file of lines; one that is not there has no entries. `begin` is how far everything
/// before it has come; what its first entry says counts when that is not known.
///
/// # Errors
/// As the file system.
pub(crate) fn scan<T: DeserializeOwned>(
    path: &Path,
    seal: &Seal,
    begin: Option<Head>,
) -> io::Result<Scan<T>> {
    let mut out = Scan::new(begin.unwrap_or_default());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(out),
        Err(error) => return Err(error),
    };
    let mut reader = BufReader::new(file);
    let mut waiting = Vec::new();
    for number in 1_u64.. {
        let mut line = Vec::new();
        reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        out.length = out.length.saturating_add(u64::try_from(line.len()).unwrap_or(0));
        out.ended = line.pop_if(|last| *last == b'\n').is_some();
        let Some(entry) = seal.open::<T>(&line) else {
            if !line.is_empty() {
                waiting.push(number);
            }
            continue;
        };
        if begin.is_none() && out.entries.is_empty() {
            out.end = Head { count: entry.number, digest: entry.previous };
        }
        let link = seal.link(&entry.previous, &line);
        out.take((number, entry), link, &mut waiting);
    }
    // At the end only the checkpoint can tell a torn line from a changed one.
    out.unread = waiting.first().copied();
    out.torn.append(&mut waiting);
    Ok(out)
}

/// A file of lines, open for further entries. Several processes may write to it.
#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    seal: Seal,
    begin: Option<Head>,
    end: Mutex<End>,
}

#[derive(Debug)]
struct End {
    head: Head,
    /// Whether the next entry must end a line first.
    torn: bool,
    /// Bytes of the file.
    length: u64,
    /// Whether something is written and not synced.
    unsynced: bool,
}

impl End {
    const fn of<T>(found: &Scan<T>) -> Self {
        let (head, torn, length) = (found.end, !found.ended, found.length);
        Self { head, torn, length, unsynced: false }
    }
}

impl Lines {
    /// Opens a file of lines, or prepares to make it with its first entry; gives what it holds.
    ///
    /// # Errors
    /// As the file system.
    pub(crate) fn open<T: DeserializeOwned>(
        path: &Path,
        seal: Seal,
        begin: Option<Head>,
    ) -> io::Result<(Self, Scan<T>)> {
        let found = scan(path, &seal, begin)?;
        let end = Mutex::new(End::of(&found));
        Ok((Self { path: path.to_owned(), seal, begin, end }, found))
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn end(&self) -> std::sync::MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of entries and digest of the last.
    pub(crate) fn head(&self) -> Head {
        self.end().head
    }

    /// Bytes of the file.
    pub(crate) fn length(&self) -> u64 {
        self.end().length
    }

    /// Adds an entry, durably when `sync` is set, else with the next one that is, or [`Self::sync`].
    /// Gives its number.
    ///
    /// # Errors
    /// As the file system; then it is not there for sure, and the next one follows from what is.
    pub(crate) fn append<T: Serialize + DeserializeOwned>(
        &self,
        time: i64,
        what: T,
        sync: bool,
    ) -> io::Result<u64> {
        let mut end = self.end();
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).mode(0o600).open(&self.path)?;
        file.lock()?;
        if file.metadata()?.len() != end.length {
            let unsynced = end.unsynced;
            *end = End { unsynced, ..End::of(&scan::<T>(&self.path, &self.seal, self.begin)?) };
        }
        let entry = Entry { number: end.head.count, previous: end.head.digest, time, what };
        let line = self.seal.seal(&entry)?;
        let start = if end.torn { "\n" } else { "" };
        file.write_all(format!("{start}{line}\n").as_bytes())?;
        if sync {
            file.sync_data()?;
        }
        if let (0, Some(folder)) = (end.length, self.path.parent()) {
            File::open(folder)?.sync_all()?;
        }
        let digest = self.seal.link(&entry.previous, line.as_bytes());
        let head = Head { count: entry.number.saturating_add(1), digest };
        *end = End { head, torn: false, length: file.metadata()?.len(), unsynced: !sync };
        Ok(entry.number)
    }

    /// Makes durable what is written.
    ///
    /// # Errors
    /// As the file system.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let mut end = self.end();
        if end.unsynced {
            File::open(&self.path)?.sync_data()?;
            end.unsynced = false;
        }
        Ok(())
    }
}
