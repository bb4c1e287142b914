//! Segment files: names, header, writing out in advance, positioned reads and writes.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::LessSafeKey;

use crate::keyring::Keyring;
use crate::store::key::{SALT, random};
use crate::store::{Problem, StoreError};

/// Bytes of a segment's header; records begin here.
pub const SEGMENT_HEADER: u64 = 64;
const MAGIC: [u8; 8] = *b"PKTLOG\0\x01";

/// An open segment.
#[derive(Debug)]
pub struct Segment {
    /// Its number.
    pub number: u64,
    /// Its file.
    pub path: PathBuf,
    /// Its size on disk, bytes.
    pub size: u64,
    /// The key of its records.
    pub key: LessSafeKey,
    file: File,
}

/// Segments that share a key.
const GROUP: u64 = 8;

/// Name of a segment's key, which its neighbours share.
#[must_use]
pub fn key_name(number: u64) -> String {
    format!("log/{:020}", number / GROUP)
}

/// Whether a segment is the first of those that share its key.
#[must_use]
pub const fn begins_group(number: u64) -> bool {
    number.is_multiple_of(GROUP)
}

/// Whether a key is one of segments that all lie before `number`.
#[must_use]
pub fn is_key_before(name: &str, number: u64) -> bool {
    let group = name.strip_prefix("log/").and_then(|group| group.parse::<u64>().ok());
    group.is_some_and(|group| group < number / GROUP)
}

/// Path of a segment.
#[must_use]
pub fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:020}.log"))
}

/// Numbers of the segments in a directory, ascending.
///
/// # Errors
/// [`StoreError::Io`].
pub fn list(directory: &Path) -> Result<Vec<u64>, StoreError> {
    let failed = |source| StoreError::io("list", directory, source);
    let mut numbers = Vec::new();
    for item in std::fs::read_dir(directory).map_err(failed)? {
        let name = item.map_err(failed)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log"));
        if let Some(number) = number.and_then(|digits| digits.parse().ok()) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes the entries of a directory durable.
///
/// # Errors
/// [`StoreError::Io`].
pub fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(|source| StoreError::io("sync", directory, source))
}

impl Segment {
    /// Makes a segment of `size` bytes, all written and synced, so that later syncs are cheap.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Io`], [`StoreError::Crypto`]; nothing is left behind.
    pub fn create(
        directory: &Path,
        number: u64,
        size: u64,
        keys: &Keyring,
    ) -> Result<Self, StoreError> {
        let path = path(directory, number);
        keys.ensure(&key_name(number))?;
        let fresh = path.with_extension("new");
        let made = Self::write_out(&fresh, number, size).and_then(|()| {
            std::fs::rename(&fresh, &path)
                .map_err(|source| StoreError::io("rename", &fresh, source))?;
            sync_directory(directory)
        });
        if let Err(error) = made {
            drop(std::fs::remove_file(&fresh));
            return Err(error);
        }
        Self::open(directory, number, keys)?.map_err(|problem| StoreError::Io {
            action: "read back",
            path,
            source: std::io::Error::other(problem.what).into(),
        })
    }

    fn write_out(path: &Path, number: u64, size: u64) -> Result<(), StoreError> {
        const CHUNK: usize = 1 << 20;
        let salt: [u8; SALT] = random()?;
        let mut header = Vec::with_capacity(CHUNK);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&number.to_le_bytes());
        header.extend_from_slice(&salt);
        header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        header.resize(CHUNK, 0);
        let write = || {
            let mut file = File::create(path)?;
            let mut left = usize::try_from(size).unwrap_or(usize::MAX);
            let mut chunk = header.as_slice();
            let zeros = vec![0; CHUNK];
            while left > 0 {
                let part = chunk.get(..left.min(CHUNK)).unwrap_or(chunk);
                file.write_all(part)?;
                left = left.saturating_sub(part.len());
                chunk = &zeros;
            }
            file.sync_all()
        };
        write().map_err(|source| StoreError::io("write out", path, source))
    }

    /// Opens a segment; the inner error says that its header is damaged.
    ///
    /// # Errors
    /// [`StoreError::Io`], [`StoreError::Crypto`].
    pub fn open(
        directory: &Path,
        number: u64,
        keys: &Keyring,
    ) -> Result<Result<Self, Problem>, StoreError> {
        let path = path(directory, number);
        let failed = |source| StoreError::io("open", &path, source);
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut header = [0; 52];
        let problem = |what: &str| Problem {
            path: path.display().to_string(),
            offset: 0,
            what: what.to_owned(),
            advice: "the segment is kept in quarantine; check the disk".to_owned(),
        };
        match file.read_exact_at(&mut header, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Ok(Err(problem("segment is shorter than its header")));
            }
            // What a disk does not give now it may give later: that is no damage.
            Err(error) => return Err(StoreError::io("read", &path, error)),
        }
        let (magic, rest) = header.split_at(8);
        let (stored_number, rest) = rest.split_at(8);
        let (salt, crc) = rest.split_at(SALT);
        let sound = magic == MAGIC
            && stored_number == number.to_le_bytes()
            && crc == crc32fast::hash(header.get(..48).unwrap_or_default()).to_le_bytes();
        if !sound {
            return Ok(Err(problem("segment header is damaged or belongs to another segment")));
        }
        let salt: [u8; SALT] =
            salt.try_into().map_err(|_| StoreError::Crypto { action: "read a salt" })?;
        let Ok(key) = keys.file_key(&key_name(number)) else {
            return Ok(Err(problem("segment's key is not in the keyring")));
        };
        let key = key.derive(&salt, "pikett log segment 1", &number.to_string())?;
        Ok(Ok(Self { number, path, size, key, file }))
    }

    /// Reads up to `length` bytes at `offset`; fewer at the end of the file.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, StoreError> {
        let length = self.size.saturating_sub(offset).min(length);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(|source| StoreError::io("read", &self.path, source))?;
        Ok(bytes)
    }

    /// Writes at `offset` and makes it durable.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Io`].
    pub fn write_durably(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let failed = |source| StoreError::io("write", &self.path, source);
        self.file.write_all_at(bytes, offset).map_err(failed)?;
        self.file.sync_data().map_err(failed)
    }

    /// Overwrites everything from `offset` on with zeros, durably.
    ///
    /// # Errors
    /// As [`Self::write_durably`].
    pub fn blank_from(&self, offset: u64) -> Result<(), StoreError> {
        let rest = self.read(offset, self.size)?;
        match rest.iter().rposition(|byte| *byte != 0) {
            None => Ok(()),
            Some(last) => self.write_durably(offset, &vec![0; last.saturating_add(1)]),
        }
    }

    /// Cuts the file at `offset`: what failed to become durable must not come back.
    pub fn abandon_from(&self, offset: u64) {
        if let Err(error) = self.file.set_len(offset) {
            tracing::warn!(path = %self.path.display(), %error, "cannot cut an abandoned segment");
        }
    }
}
