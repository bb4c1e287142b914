//! Records: the bytes of one append in the log.
//!
//! Each frame names how many came before it in the whole log and the digest over them ([`follow`]), so
//! that a record that is gone, moved or exchanged breaks the chain.
//!
//! A frame is a 32-byte header (magic, sealed length, CRC-32, ordinal, nonce) and the sealed body,
//! padded to 16 bytes. The CRC finds damage cheaply; the seal (AES-256-GCM) authenticates, with
//! segment, offset, ordinal and length as associated data, so that a frame moved, repeated or
//! taken from another file does not open. The body tells up to where the log was durable when the
//! frame was written, which lets recovery tell a torn group from later damage.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use aws_lc_rs::digest::{Context, SHA256};
use event::{AgentId, Document, Timestamp};

use super::Position;
use crate::store::key::random;
use crate::store::{SourceKey, StoreError};
use crate::vault::{Head, Link};

/// Bytes of a frame's header.
pub const HEADER: usize = 32;
/// Frames begin at multiples of this.
pub const ALIGN: usize = 16;
/// First bytes of a frame.
pub const MAGIC: [u8; 4] = *b"PKR2";
/// First bytes of a frame of an older version, which names nothing before it.
const OLDER: [u8; 4] = *b"PKR1";
/// Bytes that end a segment.
pub const END_FRAME: usize = 112;
/// Most bytes of the documents of one batch, serialised.
pub const MAX_RAW: usize = 64 << 20;

const TAG: usize = 16;
/// Bytes of what stands before the body: up to where the log was durable, and the chain.
const BEFORE: usize = 8 + 8 + 32;
const KIND_BATCH: u8 = 1;
const KIND_END: u8 = 2;

/// One document of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Sequence at its source.
    pub seq: u64,
    /// Its bytes in [`Entry::json`].
    pub json: Range<usize>,
    /// Its place in [`Entry::documents`].
    pub index: usize,
}

/// The content of one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where the documents come from.
    pub source: SourceKey,
    /// First sequence covered.
    pub first_seq: u64,
    /// Last sequence covered.
    pub last_seq: u64,
    /// When the collector took them in.
    pub received: Timestamp,
    /// The documents; [`Self::items`] tells which of them belong to the entry. None when they are made
    /// ready for the index already ([`crate::store::ready`]).
    pub documents: Arc<Vec<Document>>,
    /// The documents of this entry.
    pub items: Vec<Item>,
    /// Serialised documents, one after the other.
    pub json: Arc<Vec<u8>>,
}

impl Entry {
    /// The document of an item and its bytes.
    #[must_use]
    pub fn parts(&self, item: &Item) -> Option<(&Document, &[u8])> {
        Some((self.documents.get(item.index)?, self.json.get(item.json.clone())?))
    }

    /// The entry with its documents read from its bytes again.
    ///
    /// # Errors
    /// [`Broken::Content`].
    pub fn parsed(&self) -> Result<Self, Broken> {
        let (mut documents, mut items) = (Vec::new(), self.items.clone());
        for (index, item) in items.iter_mut().enumerate() {
            let bytes = self.json.get(item.json.clone()).ok_or(Broken::Content)?;
            documents.push(serde_json::from_slice(bytes).map_err(|_| Broken::Content)?);
            item.index = index;
        }
        Ok(Self { documents: Arc::new(documents), items, ..self.clone() })
    }
}

/// What a frame held.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Documents, not yet decompressed.
    Batch(Box<Packed>),
    /// The segment ends here and goes on in the next.
    End,
}

/// An entry as it lies in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    /// Where the documents come from.
    pub source: SourceKey,
    /// First sequence covered.
    pub first_seq: u64,
    /// Last sequence covered.
    pub last_seq: u64,
    received: i64,
    lengths: Vec<(u64, u32)>,
    raw: usize,
    packed: Vec<u8>,
}

/// An opened frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Number of the frame in its segment, from 0.
    pub ordinal: u32,
    /// Offset up to which the segment was durable when this was written.
    pub durable: u64,
    /// Bytes it takes with header and padding.
    pub size: u64,
    /// Sealed bytes behind the header.
    pub sealed: usize,
    /// Records before it and the digest over them; `None` for records of an older version.
    pub chain: Option<Head>,
    /// What it holds.
    pub body: Body,
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Zeros: nothing was ever written here.
    Empty,
    /// No magic, a length that does not fit, or a wrong CRC.
    Torn,
    /// Well-formed, but the seal does not open: changed, moved, or another key.
    Seal,
    /// Opened, but the content makes no sense.
    Content,
}

/// The body of a batch, to be sealed by [`seal`].
///
/// # Errors
/// [`StoreError::Batch`] when it is too large.
pub fn pack(entry: &Entry) -> Result<Vec<u8>, StoreError> {
    let too_large = || StoreError::Batch {
        first_seq: entry.first_seq,
        last_seq: entry.last_seq,
        problem: "is larger than 64 MiB",
    };
    let length: usize = entry.items.iter().map(|item| item.json.len()).sum();
    if length > MAX_RAW {
        return Err(too_large());
    }
    let mut raw = Vec::with_capacity(length);
    let mut out = vec![KIND_BATCH];
    let agent = entry.source.agent.as_str().as_bytes();
    out.push(u8::try_from(agent.len()).map_err(|_| too_large())?);
    out.extend_from_slice(agent);
    for number in [entry.source.boot, entry.first_seq, entry.last_seq] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&entry.received.micros().to_le_bytes());
    out.extend_from_slice(
        &u32::try_from(entry.items.len()).map_err(|_| too_large())?.to_le_bytes(),
    );
    for item in &entry.items {
        let bytes = entry.json.get(item.json.clone()).unwrap_or_default();
        out.extend_from_slice(&item.seq.to_le_bytes());
        out.extend_from_slice(&u32::try_from(bytes.len()).map_err(|_| too_large())?.to_le_bytes());
        raw.extend_from_slice(bytes);
    }
    out.extend_from_slice(&u32::try_from(raw.len()).map_err(|_| too_large())?.to_le_bytes());
    out.extend_from_slice(&compressed(&raw).map_err(|_| too_large())?);
    Ok(out)
}

/// Compressed at level 1; what compressing works with is kept by each thread.
fn compressed(raw: &[u8]) -> std::io::Result<Vec<u8>> {
    thread_local! {
        static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    }
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(zstd::bulk::Compressor::new(1)?),
        };
        compressor.compress(raw)
    })
}

/// The body that ends a segment.
#[must_use]
pub fn end_body() -> Vec<u8> {
    vec![KIND_END]
}

/// Bytes a body takes in the log, header and padding included.
#[must_use]
pub fn frame_size(body: &[u8]) -> usize {
    let sealed = body.len().saturating_add(BEFORE).saturating_add(TAG);
    HEADER.saturating_add(sealed).next_multiple_of(ALIGN)
}

/// Whether a frame may begin like this.
#[must_use]
pub fn is_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC) || bytes.starts_with(&OLDER)
}

/// How far the log has come with a frame, header and sealed bytes without padding, after what came
/// before it.
#[must_use]
pub fn follow(before: Head, frame: &[u8]) -> Head {
    let mut context = Context::new(&SHA256);
    for part in [&b"pikett log 1"[..], &before.digest.0, frame] {
        context.update(part);
    }
    Head { count: before.count.saturating_add(1), digest: Link::of(&context.finish()) }
}

/// Place and form of a frame; the last byte is there in frames of this version alone.
fn associated(at: Position, ordinal: u32, length: u32) -> [u8; 25] {
    let mut out = [0; 25];
    let parts = at.segment.to_le_bytes().into_iter().chain(at.offset.to_le_bytes());
    let rest = ordinal.to_le_bytes().into_iter().chain(length.to_le_bytes());
    let rest = rest.chain([2]);
    for (slot, byte) in out.iter_mut().zip(parts.chain(rest)) {
        *slot = byte;
    }
    out
}

/// Seals a body for this place behind `before` and appends the frame to `out`. Gives how far the
/// log has come with it.
///
/// # Errors
/// [`StoreError::Crypto`].
pub fn seal(
    key: &LessSafeKey,
    (at, ordinal, durable): (Position, u32, u64),
    before: Head,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<Head, StoreError> {
    let crypto = StoreError::Crypto { action: "seal a record" };
    let mut sealed = Vec::with_capacity(body.len().saturating_add(BEFORE).saturating_add(TAG));
    sealed.extend_from_slice(&durable.to_le_bytes());
    sealed.extend_from_slice(&before.count.to_le_bytes());
    sealed.extend_from_slice(&before.digest.0);
    sealed.extend_from_slice(body);
    let length = sealed.len().saturating_add(TAG);
    let length = u32::try_from(length).map_err(|_| crypto.clone())?;
    let nonce: [u8; 12] = random()?;
    let aad = Aad::from(associated(at, ordinal, length));
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
        .map_err(|_| crypto)?;
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&checksum(length, ordinal, &nonce, &sealed).to_le_bytes());
    out.extend_from_slice(&ordinal.to_le_bytes());
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&sealed);
    let after = follow(before, out.get(start..).unwrap_or_default());
    let size = out.len().saturating_sub(start).next_multiple_of(ALIGN);
    out.resize(start.saturating_add(size), 0);
    Ok(after)
}

fn checksum(length: u32, ordinal: u32, nonce: &[u8], sealed: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&length.to_le_bytes());
    crc.update(&ordinal.to_le_bytes());
    crc.update(nonce);
    crc.update(sealed);
    crc.finalize()
}

/// Opens the frame at the start of `bytes`, which lie at `at`.
///
/// # Errors
/// [`Broken`].
pub fn open(key: &LessSafeKey, at: Position, bytes: &[u8]) -> Result<Frame, Broken> {
    let mut header = Cursor(bytes.get(..HEADER).ok_or(Broken::Empty)?);
    let magic = header.take(4)?;
    if magic == [0; 4] {
        let blank = header.0.iter().all(|byte| *byte == 0);
        return Err(if blank { Broken::Empty } else { Broken::Torn });
    }
    if !is_magic(magic) {
        return Err(Broken::Torn);
    }
    let chained = magic == MAGIC;
    let (length, crc, ordinal) = (header.u32()?, header.u32()?, header.u32()?);
    let nonce: [u8; 12] = header.take(12)?.try_into().map_err(|_| Broken::Torn)?;
    let end = HEADER.saturating_add(usize::try_from(length).map_err(|_| Broken::Torn)?);
    let sealed = bytes.get(HEADER..end).ok_or(Broken::Torn)?;
    if checksum(length, ordinal, &nonce, sealed) != crc {
        return Err(Broken::Torn);
    }
    let mut sealed = sealed.to_vec();
    let associated = associated(at, ordinal, length);
    let bound = if chained { associated.as_slice() } else { associated.get(..24).unwrap_or(&[]) };
    let aad = Aad::from(bound);
    let plain = key
        .open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
        .map_err(|_| Broken::Seal)?;
    let mut cursor = Cursor(plain);
    let durable = cursor.u64()?;
    let chain = match chained {
        true => Some(Head { count: cursor.u64()?, digest: Link(cursor.array()?) }),
        false => None,
    };
    let body = match cursor.take(1)? {
        [KIND_BATCH] => Body::Batch(Box::new(batch(cursor)?)),
        [KIND_END] => Body::End,
        _ => return Err(Broken::Content),
    };
    let size = u64::try_from(end.next_multiple_of(ALIGN)).map_err(|_| Broken::Torn)?;
    let sealed = end.saturating_sub(HEADER);
    Ok(Frame { ordinal, durable, size, sealed, chain, body })
}

fn batch(mut cursor: Cursor<'_>) -> Result<Packed, Broken> {
    let length = cursor.take(1)?.first().copied().unwrap_or(0);
    let agent = std::str::from_utf8(cursor.take(usize::from(length))?);
    let agent = agent.ok().and_then(|text| AgentId::new(text).ok()).ok_or(Broken::Content)?;
    let (boot, first_seq, last_seq) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
    let received = i64::from_le_bytes(cursor.array()?);
    let count = cursor.u32()?;
    let mut lengths = Vec::new();
    for _ in 0..count {
        lengths.push((cursor.u64()?, cursor.u32()?));
    }
    let raw = usize::try_from(cursor.u32()?).map_err(|_| Broken::Content)?;
    if raw > MAX_RAW {
        return Err(Broken::Content);
    }
    let source = SourceKey { agent, boot };
    Ok(Packed { source, first_seq, last_seq, received, lengths, raw, packed: cursor.0.to_vec() })
}

impl Packed {
    /// When the collector took the documents in.
    #[must_use]
    pub const fn received(&self) -> Timestamp {
        Timestamp::from_micros(self.received)
    }

    /// Decompresses and parses the documents.
    ///
    /// # Errors
    /// [`Broken::Content`].
    pub fn unpack(&self) -> Result<Entry, Broken> {
        let json = zstd::bulk::decompress(&self.packed, self.raw).map_err(|_| Broken::Content)?;
        let (mut items, mut start) = (Vec::new(), 0_usize);
        for (index, (seq, length)) in self.lengths.iter().enumerate() {
            let length = usize::try_from(*length).map_err(|_| Broken::Content)?;
            let end = start.checked_add(length).ok_or(Broken::Content)?;
            items.push(Item { seq: *seq, json: start..end, index });
            start = end;
        }
        let entry = Entry {
            source: self.source.clone(),
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            received: self.received(),
            documents: Arc::default(),
            items,
            json: Arc::new(json),
        };
        entry.parsed()
    }
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Broken> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(Broken::Content)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        self.take(N)?.try_into().map_err(|_| Broken::Content)
    }

    fn u32(&mut self) -> Result<u32, Broken> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Broken> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
