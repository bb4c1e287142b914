//! Files in transit: what a protocol carries that somebody could have saved.
//!
//! A parser makes a [`File`] when one begins, appends its content as it comes and closes it. The file
//! counts, hashes and keeps the beginning for inspection; it knows neither the protocol nor where the
//! content might be stored.

use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;

use crate::flow::Direction;

/// Bytes of the beginning that are kept in any case.
const HEAD: usize = 16;

/// Settings of files in transit.
#[derive(Clone, Copy, Debug)]
pub struct FileConfig {
    /// Bytes of the content kept for inspection.
    pub keep: usize,
    /// Files per transaction; further ones are not followed, which is an event of the transaction.
    pub per_transaction: usize,
    /// Content is handed out as it comes, see [`File::fresh`].
    pub stream: bool,
    /// Compute MD5 (RFC 1321).
    pub md5: bool,
    /// Compute SHA-1 (FIPS 180-4).
    pub sha1: bool,
    /// Compute SHA-256 (FIPS 180-4).
    pub sha256: bool,
}

impl Default for FileConfig {
    fn default() -> Self {
        Self {
            keep: 100 << 10,
            per_transaction: 64,
            stream: false,
            md5: false,
            sha1: false,
            sha256: false,
        }
    }
}

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// More may come.
    Open,
    /// All of it was seen.
    Closed,
    /// It ended before its end, or parts of it are missing.
    Truncated,
}

/// Digests over the whole content; only those asked for, and only of files seen whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digests {
    /// MD5.
    pub md5: Option<[u8; 16]>,
    /// SHA-1.
    pub sha1: Option<[u8; 20]>,
    /// SHA-256.
    pub sha256: Option<[u8; 32]>,
}

/// Digests under way.
#[derive(Clone, Default)]
struct Hashers {
    md5: Option<Md5>,
    sha1: Option<Sha1>,
    sha256: Option<Sha256>,
}

impl Hashers {
    fn new(config: &FileConfig) -> Option<Box<Self>> {
        if !(config.md5 || config.sha1 || config.sha256) {
            return None;
        }
        Some(Box::new(Self {
            md5: config.md5.then(Md5::new),
            sha1: config.sha1.then(Sha1::new),
            sha256: config.sha256.then(Sha256::new),
        }))
    }

    fn update(&mut self, bytes: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        if let Some(sha1) = &mut self.sha1 {
            sha1.update(bytes);
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
    }

    fn finish(self) -> Digests {
        Digests {
            md5: self.md5.map(|hasher| hasher.finalize().into()),
            sha1: self.sha1.map(|hasher| hasher.finalize().into()),
            sha256: self.sha256.map(|hasher| hasher.finalize().into()),
        }
    }
}

impl std::fmt::Debug for Hashers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hashers")
    }
}

/// A file in transit.
#[derive(Debug)]
pub struct File {
    /// Which way it goes.
    pub dir: Direction,
    /// Its name as the protocol gives it; empty when it has none.
    pub name: Vec<u8>,
    state: FileState,
    data: Vec<u8>,
    keep: usize,
    stream: bool,
    fresh: Vec<u8>,
    head: [u8; HEAD],
    size: u64,
    gaps: bool,
    hashers: Option<Box<Hashers>>,
    digests: Digests,
    ended_now: bool,
}

impl File {
    /// A file that begins.
    #[must_use]
    pub fn new(dir: Direction, name: &[u8], config: &FileConfig) -> Self {
        Self {
            dir,
            name: name.to_vec(),
            state: FileState::Open,
            data: Vec::new(),
            keep: config.keep,
            stream: config.stream,
            fresh: Vec::new(),
            head: [0; HEAD],
            size: 0,
            gaps: false,
            hashers: Hashers::new(config),
            digests: Digests::default(),
            ended_now: false,
        }
    }

    /// The next bytes of its content.
    pub fn append(&mut self, bytes: &[u8]) {
        if self.state != FileState::Open {
            return;
        }
        let begun = usize::try_from(self.size).unwrap_or(usize::MAX);
        for (slot, byte) in self.head.iter_mut().skip(begun).zip(bytes) {
            *slot = *byte;
        }
        self.size = self.size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if let Some(hashers) = &mut self.hashers {
            hashers.update(bytes);
        }
        if self.stream {
            self.fresh.extend_from_slice(bytes);
        }
        let room = self.keep.saturating_sub(self.data.len()).min(bytes.len());
        self.data.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }

    /// That many bytes of its content are missing.
    pub fn gap(&mut self, missing: u64) {
        self.gaps = true;
        self.hashers = None;
        self.size = self.size.saturating_add(missing);
    }

    /// Its end, as the protocol tells it.
    pub fn close(&mut self) {
        if self.state != FileState::Open {
            return;
        }
        self.state = if self.gaps { FileState::Truncated } else { FileState::Closed };
        self.ended_now = true;
        if let Some(hashers) = self.hashers.take() {
            self.digests = hashers.finish();
        }
    }

    /// It ends before its end.
    pub fn truncate(&mut self) {
        if self.state == FileState::Open {
            self.state = FileState::Truncated;
            self.ended_now = true;
            self.hashers = None;
        }
    }

    /// True when it ended since its transaction's news was taken note of.
    #[must_use]
    pub fn has_ended_now(&self) -> bool {
        self.ended_now
    }

    pub(crate) fn settle(&mut self) {
        self.ended_now = false;
        self.fresh.clear();
    }

    /// Content that came since its transaction's news was taken note of; only where it is handed out.
    #[must_use]
    pub fn fresh(&self) -> &[u8] {
        &self.fresh
    }

    /// False when its content is kept elsewhere.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.keep > 0
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> FileState {
        self.state
    }

    /// The beginning of its content, up to the limit of the configuration.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The first bytes, wherever the content is kept.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        let length = usize::try_from(self.size).unwrap_or(HEAD).min(HEAD);
        self.head.get(..length).unwrap_or_default()
    }

    /// Bytes of content so far, missing ones included.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// True when parts of it are missing.
    #[must_use]
    pub fn has_gaps(&self) -> bool {
        self.gaps
    }

    /// Digests of a closed file.
    #[must_use]
    pub fn digests(&self) -> Digests {
        self.digests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> FileConfig {
        FileConfig { keep: 4, md5: true, sha1: true, sha256: true, ..FileConfig::default() }
    }

    #[test]
    fn a_file_is_hashed_whole_and_kept_in_part() {
        let mut file = File::new(Direction::ToClient, b"a.txt", &config());
        file.append(b"ab");
        file.append(b"cdef");
        assert_eq!((file.size(), file.data(), file.state()), (6, &b"abcd"[..], FileState::Open));
        file.close();
        let digests = file.digests();
        let expected: [u8; 16] = Md5::digest(b"abcdef").into();
        assert_eq!((file.state(), digests.md5), (FileState::Closed, Some(expected)));
        assert_eq!(digests.sha1, Some(Sha1::digest(b"abcdef").into()));
        assert_eq!(digests.sha256, Some(Sha256::digest(b"abcdef").into()));
    }

    #[test]
    fn a_hole_or_an_early_end_leaves_no_digest() {
        let mut holed = File::new(Direction::ToServer, b"", &config());
        holed.append(b"ab");
        holed.gap(3);
        holed.close();
        assert_eq!((holed.state(), holed.size()), (FileState::Truncated, 5));
        assert_eq!(holed.digests(), Digests::default());
        let mut cut = File::new(Direction::ToServer, b"", &config());
        cut.append(b"ab");
        cut.truncate();
        cut.append(b"more");
        cut.close();
        assert_eq!((cut.state(), cut.size()), (FileState::Truncated, 2));
        assert_eq!(cut.digests(), Digests::default());
    }
}
