//! What detectors remember while the agent does not run: one sealed file for each in the data folder.
//!
//! Magic, nonce, content under AES-256-GCM; the detector's name is bound into the seal. A file is
//! replaced as a whole. One that does not open is set aside with a line in the log, never fatal: the
//! detector begins anew. One that the disk does not give stays as it is: until the next start the
//! detector goes on without it, and nothing is written over it.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};

use crate::keys::{self, Derived};
use crate::outbox::write_durably;

const MAGIC: [u8; 8] = *b"PKTMEM\0\x01";
const PURPOSE: &[u8] = b"pikett detector memory 1";
/// Largest file read, bytes; rules bound what their detectors remember far below.
const MAX_FILE: u64 = 1 << 30;

/// The key of these files; cannot be printed.
#[derive(Clone, Debug)]
pub struct MemoryKey(Derived);

impl MemoryKey {
    /// Derives the key from the agent's secret on disk; `None` when the library refuses.
    #[must_use]
    pub fn derive(secret: &[u8; 32]) -> Option<Self> {
        keys::derive(secret, &[], PURPOSE).map(Self)
    }
}

/// Sealed files of detectors in one folder.
#[derive(Clone, Debug)]
pub struct Memory {
    folder: PathBuf,
    key: MemoryKey,
    /// Names of files that could not be read.
    held: Arc<Mutex<BTreeSet<String>>>,
}

fn crypto(action: &str) -> io::Error {
    io::Error::other(format!("cannot {action}"))
}

impl Memory {
    /// In `folder`, sealed with `key`.
    #[must_use]
    pub fn new(folder: PathBuf, key: MemoryKey) -> Self {
        Self { folder, key, held: Arc::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.memory"))
    }

    fn sealer(&self) -> io::Result<RandomizedNonceKey> {
        RandomizedNonceKey::new(&AES_256_GCM, self.key.0.expose())
            .map_err(|_| crypto("use the key"))
    }

    /// Keeps what a detector remembers, durably; blocks.
    ///
    /// # Errors
    /// When the disk refuses, or has refused to give the older state; then that stays.
    pub fn save(&self, name: &str, content: &[u8]) -> io::Result<()> {
        if self.held.lock().unwrap_or_else(PoisonError::into_inner).contains(name) {
            let what =
                "what was kept before could not be read and is not written over: start again";
            return Err(io::Error::other(what));
        }
        let mut sealed = content.to_vec();
        let nonce = self
            .sealer()?
            .seal_in_place_append_tag(Aad::from(name), &mut sealed)
            .map_err(|_| crypto("seal"))?;
        write_durably(&self.path(name), &[&MAGIC[..], nonce.as_ref(), &sealed].concat())
    }

    /// What was kept under `name`. A file that does not open is set aside and counts as none; so does one that cannot
    /// be read, which is kept.
    #[must_use]
    pub fn load(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.path(name);
        let bytes = match read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                let path = path.display();
                tracing::error!(%path, %error, "kept memory cannot be read: doing without it until the next start");
                self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
                return None;
            }
        };
        let opened = self.open(name, &bytes);
        if opened.is_none() {
            self.set_aside(name, "damaged, or sealed for another agent");
        }
        opened
    }

    fn open(&self, name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = bytes.strip_prefix(&MAGIC)?.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let content = self.sealer().ok()?.open_in_place(nonce, Aad::from(name), &mut sealed);
        let length = content.ok()?.len();
        sealed.truncate(length);
        Some(sealed)
    }

    /// Moves a file that cannot be used out of the way (`NAME.memory.damaged`), so that the next
    /// save does not destroy what somebody may want to look at.
    pub fn set_aside(&self, name: &str, reason: &str) {
        let path = self.path(name);
        let aside = self.folder.join(format!("{name}.memory.damaged"));
        tracing::error!(name, reason, aside = %aside.display(), "kept memory cannot be used, beginning anew");
        if let Err(error) = std::fs::rename(&path, &aside) {
            tracing::error!(path = %path.display(), %error, "it could not be set aside");
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if std::fs::metadata(path)?.len() > MAX_FILE {
        return Err(io::Error::other("larger than 1 GiB"));
    }
    std::fs::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(folder: &tempfile::TempDir, secret: u8) -> Memory {
        Memory::new(folder.path().to_owned(), MemoryKey::derive(&[secret; 32]).unwrap())
    }

    fn names(folder: &tempfile::TempDir) -> Vec<String> {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_kept_comes_back_and_is_not_readable_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let memory = memory(&folder, 1);
        assert_eq!(memory.load("a"), None);
        memory.save("a", b"who talks to whom").unwrap();
        memory.save("a", b"who talks to whom at night").unwrap();
        memory.save("empty", b"").unwrap();
        assert_eq!(memory.load("a").unwrap(), b"who talks to whom at night");
        assert_eq!(memory.load("empty").unwrap(), b"");
        assert_eq!(names(&folder), ["a.memory", "empty.memory"], "no half-written file stays");
        let disk = std::fs::read(folder.path().join("a.memory")).unwrap();
        assert!(!disk.windows(4).any(|four| four == b"talk"));
        assert_eq!(format!("{memory:?}").matches("MemoryKey(Derived(..))").count(), 1);
    }

    #[test]
    fn every_damaged_byte_and_every_cut_is_noticed_and_the_file_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let memory = memory(&folder, 1);
        memory.save("a", b"state").unwrap();
        let path = folder.path().join("a.memory");
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            for bytes in [&bad[..], &good[..at]] {
                std::fs::write(&path, bytes).unwrap();
                assert_eq!(memory.load("a"), None, "byte {at}");
                assert_eq!(names(&folder), ["a.memory.damaged"]);
            }
        }
        memory.save("a", b"anew").unwrap();
        assert_eq!(memory.load("a").unwrap(), b"anew");
    }

    #[test]
    fn another_agents_file_and_another_detectors_file_do_not_open() {
        let folder = tempfile::tempdir().unwrap();
        memory(&folder, 1).save("a", b"state").unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::copy(path("a.memory"), path("b.memory")).unwrap();
        assert_eq!(memory(&folder, 1).load("b"), None, "moved to another name");
        assert_eq!(memory(&folder, 2).load("a"), None, "another secret");
        assert_eq!(names(&folder), ["a.memory.damaged", "b.memory.damaged"]);
    }

    #[test]
    fn what_the_disk_does_not_give_is_neither_set_aside_nor_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let memory = memory(&folder, 1);
        // A folder can be looked at and not read, as a file on a bad sector.
        std::fs::create_dir(folder.path().join("a.memory")).unwrap();
        assert_eq!(memory.load("a"), None);
        let refused = memory.save("a", b"anew").unwrap_err().to_string();
        assert!(refused.contains("is not written over"), "{refused}");
        assert_eq!(names(&folder), ["a.memory"]);
        memory.save("b", b"other").unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_and_keeps_the_older_state() {
        let folder = tempfile::tempdir().unwrap();
        let memory = memory(&folder, 1);
        memory.save("a", b"old").unwrap();
        // The place of the half-written file is taken by a folder.
        std::fs::create_dir(folder.path().join("a.part")).unwrap();
        assert!(memory.save("a", b"new").is_err());
        assert_eq!(memory.load("a").unwrap(), b"old");
        let gone = Memory::new(folder.path().join("gone"), MemoryKey::derive(&[1; 32]).unwrap());
        assert!(gone.save("a", b"x").is_err() && gone.load("a").is_none());
    }
}
