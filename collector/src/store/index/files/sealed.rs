//! Sealed index files: pages of 16 KiB, each AES-256-GCM, under a key of the file's own.
//!
//! The key is bound to partition and file name, each page to its number and to whether it is the
//! last: swapped, reordered, cut or extended files do not open. The digest over the tags of its
//! pages stands for the whole file ([`super::manifest`]).
//!
//! Layout: magic (8), salt (32), then pages of `PAGE + 16` bytes; the last one may be shorter and
//! an empty file has one empty page.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use aws_lc_rs::digest::{Context, SHA256};
use tantivy::HasLen;
use tantivy::directory::{AntiCallToken, FileHandle, OwnedBytes, TerminatingWrite};

use super::cache::PageCache;
use super::manifest::{Manifest, Written};
use crate::store::Key;
use crate::store::key::{SALT, random};
use crate::vault::Link;

/// Plain bytes of a page.
pub const PAGE: usize = 16 << 10;
/// Pages of a stretch that is put together from the cache of pages.
const FEW: usize = 8;
/// Pages read at once of a longer one.
const AT_ONCE: usize = 64;
const TAG: usize = 16;
const SEALED_PAGE: u64 = (PAGE + TAG) as u64;
const MAGIC: [u8; 8] = *b"PKTIDX\0\x01";
const HEADER: u64 = (8 + SALT) as u64;
const PURPOSE: &str = "pikett index page 1";

fn derive(key: &Key, salt: &[u8; SALT], name: &str) -> io::Result<LessSafeKey> {
    key.derive(salt, PURPOSE, name).map_err(io::Error::other)
}

fn nonce(page: u64) -> Nonce {
    // Unique under the file's own key: every page number is sealed once.
    let mut bytes = [0; 12];
    for (slot, byte) in bytes.iter_mut().zip(page.to_le_bytes()) {
        *slot = byte;
    }
    Nonce::assume_unique_for_key(bytes)
}

fn damaged(name: &str, page: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("page {page} of {name} does not open: changed, cut or swapped"),
    )
}

/// Writes a sealed file; durable after `terminate`.
#[derive(Debug)]
pub struct SealedWriter {
    file: File,
    key: LessSafeKey,
    plain: Vec<u8>,
    page: u64,
    length: u64,
    root: Root,
    /// Whom to tell when it is complete, and under which name.
    manifest: Option<(String, Arc<Mutex<Manifest>>)>,
}

/// Digest over name, salt and tags of a file, as they come.
#[derive(Clone)]
struct Root(Context);

impl std::fmt::Debug for Root {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Root")
    }
}

impl Root {
    fn new(name: &str, salt: &[u8; SALT]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in [b"pikett file 1", name.as_bytes(), &[0], salt] {
            context.update(part);
        }
        Self(context)
    }

    /// Takes the tag at the end of a sealed page.
    fn take(&mut self, page: &[u8]) {
        self.0.update(page.last_chunk::<TAG>().map_or(&[], |tag| tag.as_slice()));
    }

    fn finish(self, length: u64) -> Written {
        Written { length, root: Link::of(&self.0.finish()) }
    }
}

impl SealedWriter {
    /// Begins a new file; `name` is bound into it.
    ///
    /// # Errors
    /// As the file system, or when there is no randomness.
    pub fn create(path: &Path, name: &str, key: &Key) -> io::Result<Self> {
        let mut file = File::options().write(true).create_new(true).open(path)?;
        let salt: [u8; SALT] = random().map_err(io::Error::other)?;
        file.write_all(&MAGIC)?;
        file.write_all(&salt)?;
        let key = derive(key, &salt, name)?;
        let (plain, root) = (Vec::with_capacity(PAGE + TAG), Root::new(name, &salt));
        Ok(Self { file, key, plain, page: 0, length: 0, root, manifest: None })
    }

    /// Tells `manifest` of the file under `name` when it is complete.
    pub(in crate::store::index) fn announce(
        &mut self,
        name: String,
        manifest: Arc<Mutex<Manifest>>,
    ) {
        self.manifest = Some((name, manifest));
    }

    fn put(&mut self, last: bool) -> io::Result<()> {
        self.length = self.length.saturating_add(self.plain.len() as u64);
        let aad = Aad::from([u8::from(last)]);
        self.key
            .seal_in_place_append_tag(nonce(self.page), aad, &mut self.plain)
            .map_err(|_| io::Error::other("sealing failed"))?;
        self.file.write_all(&self.plain)?;
        self.root.take(&self.plain);
        self.plain.clear();
        self.page = self.page.saturating_add(1);
        Ok(())
    }

    /// Seals what is left as the last page and syncs.
    ///
    /// # Errors
    /// As the file system.
    pub fn finish(&mut self) -> io::Result<()> {
        self.put(true)?;
        self.file.sync_data()?;
        if let Some((name, manifest)) = self.manifest.take() {
            let written = self.root.clone().finish(self.length);
            let mut manifest = manifest.lock().unwrap_or_else(PoisonError::into_inner);
            manifest.files.insert(name, written);
        }
        Ok(())
    }
}

impl Write for SealedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full page is kept until more comes, so that the last one is known to be the last.
        if self.plain.len() == PAGE && !bytes.is_empty() {
            self.put(false)?;
        }
        let taken = bytes.len().min(PAGE.saturating_sub(self.plain.len()));
        self.plain.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for SealedWriter {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        self.finish()
    }
}

/// Reads a sealed file. The file stays readable when it is deleted meanwhile.
#[derive(Debug)]
pub struct SealedFile {
    file: File,
    key: LessSafeKey,
    name: String,
    pages: u64,
    length: usize,
    identity: u64,
    cache: Arc<PageCache>,
    salt: [u8; SALT],
    trouble: Trouble,
}

/// Whether the disk has refused to give something that may be there: no sign of damage.
#[derive(Clone, Debug, Default)]
pub(in crate::store::index) struct Trouble(Arc<AtomicBool>);

impl Trouble {
    /// Takes notice of an error.
    pub(in crate::store::index) fn note(&self, error: &io::Error) {
        use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
        if !matches!(error.kind(), InvalidData | NotFound | UnexpectedEof) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Whether there was trouble since this was asked last.
    pub(in crate::store::index) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl SealedFile {
    /// Opens a file written under `name`; its header and last page are checked now, the other
    /// pages when they are read.
    ///
    /// # Errors
    /// As the file system; `InvalidData` when it is damaged.
    pub fn open(path: &Path, name: &str, key: &Key, cache: Arc<PageCache>) -> io::Result<Self> {
        let file = File::open(path)?;
        let wrong = || damaged(name, 0);
        let body = file.metadata()?.len().checked_sub(HEADER).ok_or_else(wrong)?;
        let mut header = [0; 8 + SALT];
        file.read_exact_at(&mut header, 0)?;
        let (magic, salt) = header.split_first_chunk::<8>().ok_or_else(wrong)?;
        let salt: [u8; SALT] = salt.try_into().map_err(|_| wrong())?;
        if *magic != MAGIC || body < TAG as u64 {
            return Err(wrong());
        }
        let pages = body.div_ceil(SEALED_PAGE);
        let length = body.checked_sub(pages.saturating_mul(TAG as u64)).ok_or_else(wrong)?;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let key = derive(key, &salt, name)?;
        let identity = cache.file();
        let (name, trouble) = (name.to_owned(), Trouble::default());
        let opened = Self { file, key, name, pages, length, identity, cache, salt, trouble };
        opened.page(pages.saturating_sub(1))?;
        Ok(opened)
    }

    /// Tells of trouble from now on.
    pub(in crate::store::index) fn telling(mut self, trouble: &Trouble) -> Self {
        self.trouble = trouble.clone();
        self
    }

    /// Opens every page.
    ///
    /// # Errors
    /// `InvalidData` at the first damaged one.
    pub fn verify(&self) -> io::Result<()> {
        (0..self.pages).try_for_each(|page| self.open_page(page).map(drop))
    }

    /// What the file is, by the tags of its pages alone.
    pub(in crate::store::index) fn written(&self) -> io::Result<Written> {
        let mut root = Root::new(&self.name, &self.salt);
        for page in 0..self.pages {
            root.take(&self.sealed_page(page)?);
        }
        Ok(root.finish(self.length as u64))
    }

    /// Opens every page; gives what the file is.
    ///
    /// # Errors
    /// `InvalidData` at the first damaged one.
    pub(in crate::store::index) fn check(&self) -> io::Result<Written> {
        self.verify()?;
        self.written()
    }

    fn open_page(&self, page: u64) -> io::Result<Vec<u8>> {
        let mut bytes = self.sealed_page(page)?;
        let plain = self.open_in_place(page, &mut bytes)?.len();
        bytes.truncate(plain);
        Ok(bytes)
    }

    fn open_in_place<'a>(&self, page: u64, bytes: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let last = page.saturating_add(1) == self.pages;
        let aad = Aad::from([u8::from(last)]);
        let opened = self.key.open_in_place(nonce(page), aad, bytes);
        opened.map(|plain| &*plain).map_err(|_| damaged(&self.name, page))
    }

    fn sealed_page(&self, page: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_sealed(page..page.saturating_add(1), &mut bytes)?;
        Ok(bytes)
    }

    /// Reads pages as they are on disk.
    fn read_sealed(&self, pages: Range<u64>, bytes: &mut Vec<u8>) -> io::Result<()> {
        let body = self.pages.saturating_mul(TAG as u64).saturating_add(self.length as u64);
        let start = pages.start.saturating_mul(SEALED_PAGE);
        let end = pages.end.saturating_mul(SEALED_PAGE).min(body);
        let length = usize::try_from(end.saturating_sub(start)).map_err(io::Error::other)?;
        bytes.resize(length, 0);
        let read = self.file.read_exact_at(bytes, HEADER.saturating_add(start));
        read.inspect_err(|error| self.trouble.note(error))
    }

    fn page(&self, page: u64) -> io::Result<OwnedBytes> {
        let start = usize::try_from(page).map_err(io::Error::other)?.saturating_mul(PAGE);
        let key = (self.identity, start, PAGE);
        if let Some(found) = self.cache.get(key) {
            return Ok(found);
        }
        let opened = OwnedBytes::new(self.open_page(page)?);
        self.cache.put(key, opened.clone());
        Ok(opened)
    }

    fn gather(&self, range: &Range<usize>) -> io::Result<OwnedBytes> {
        let (first, last) = (range.start / PAGE, range.end.saturating_sub(1) / PAGE);
        if last.saturating_sub(first) >= FEW {
            let key = (self.identity, range.start, range.len());
            if let Some(found) = self.cache.get(key) {
                return Ok(found);
            }
            let opened = OwnedBytes::new(self.stretch(range)?);
            self.cache.put_again(key, &opened);
            return Ok(opened);
        }
        let mut out = Vec::with_capacity(range.len());
        for page in first..=last {
            let bytes = self.page(page as u64)?;
            let part = self.part(&bytes, page, range)?;
            if first == last {
                return Ok(bytes.slice(part));
            }
            out.extend_from_slice(bytes.get(part).unwrap_or_default());
        }
        Ok(OwnedBytes::new(out))
    }

    /// Where the bytes of a range are in an opened page.
    fn part(&self, bytes: &[u8], page: usize, range: &Range<usize>) -> io::Result<Range<usize>> {
        let base = page.saturating_mul(PAGE);
        let from = range.start.saturating_sub(base);
        let to = range.end.saturating_sub(base).min(bytes.len());
        if from > to {
            return Err(damaged(&self.name, page as u64));
        }
        Ok(from..to)
    }

    /// Many pages, past the cache.
    fn stretch(&self, range: &Range<usize>) -> io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(range.len());
        let pages = range.start / PAGE..range.end.div_ceil(PAGE);
        let mut sealed = Vec::new();
        for first in pages.clone().step_by(AT_ONCE) {
            let end = first.saturating_add(AT_ONCE).min(pages.end);
            self.read_sealed(first as u64..end as u64, &mut sealed)?;
            for (page, bytes) in (first..end).zip(sealed.chunks_mut(PAGE + TAG)) {
                let plain = self.open_in_place(page as u64, bytes)?;
                let part = self.part(plain, page, range)?;
                out.extend_from_slice(plain.get(part).unwrap_or_default());
            }
        }
        Ok(out)
    }
}

impl HasLen for SealedFile {
    fn len(&self) -> usize {
        self.length
    }
}

impl FileHandle for SealedFile {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        if range.start > range.end || range.end > self.length {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{range:?} lies outside of {} ({} bytes)", self.name, self.length),
            ));
        }
        if range.is_empty() {
            return Ok(OwnedBytes::empty());
        }
        self.gather(&range)
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "the numbers are below 251")]
#[path = "sealed_tests.rs"]
mod tests;
