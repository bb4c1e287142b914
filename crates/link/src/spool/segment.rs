//! One file of the spool: a header, then sealed records.
//!
//! File header, 32 bytes: `PKSPOOL1`, 16 bytes of salt, 8 reserved. Record header, 36 bytes little
//! endian: length of the sealed bytes (u32), boot (u64), first and last sequence (u64 each), 4 zero
//! bytes, CRC-32 of all before (u32). Then AES-256-GCM over the content (length of the note as u32,
//! the note, the payload); the key is
//! HKDF-SHA256(spool key, salt), the nonce the record's number in the file, the header is
//! authenticated with it. A file is never appended to after it was reopened, so no nonce repeats.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};

use super::{SpoolError, SpoolKey};

const MAGIC: &[u8; 8] = b"PKSPOOL1";
const FILE_HEADER: usize = 32;
const RECORD_HEADER: usize = 36;
const TAG: u64 = 16;
/// Most bytes a record costs beside its note and payload: both headers, the length of the note, the tag.
pub(super) const OVERHEAD: usize = FILE_HEADER + RECORD_HEADER + 4 + 16;
/// Longest sealed record accepted.
const MAX_RECORD: u32 = 64 * 1024 * 1024;

/// Path of segment `number`.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016}.spool"))
}

/// Where one record is and what it holds.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) boot: u64,
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    /// Offset of the record's header in the file.
    pub(super) offset: u64,
    /// Sealed bytes behind the header.
    pub(super) length: u32,
}

impl Record {
    /// Stands for events that damage has taken: no bytes of the file are theirs.
    pub(super) const fn hole(boot: u64, first_seq: u64, last_seq: u64) -> Self {
        Self { boot, first_seq, last_seq, offset: 0, length: 0 }
    }

    pub(super) const fn events(&self) -> u64 {
        self.last_seq.saturating_sub(self.first_seq).saturating_add(1)
    }

    fn header(&self) -> [u8; RECORD_HEADER] {
        let mut out = [0; RECORD_HEADER];
        let parts: [&[u8]; 4] = [
            &self.length.to_le_bytes(),
            &self.boot.to_le_bytes(),
            &self.first_seq.to_le_bytes(),
            &self.last_seq.to_le_bytes(),
        ];
        let bytes = parts.into_iter().flatten();
        out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        let (body, check) = out.split_at_mut(RECORD_HEADER.saturating_sub(4));
        check.copy_from_slice(&crc32fast::hash(body).to_le_bytes());
        out
    }

    fn parse(header: &[u8; RECORD_HEADER], offset: u64) -> Option<Self> {
        let (body, check) = header.split_last_chunk::<4>()?;
        if crc32fast::hash(body) != u32::from_le_bytes(*check) {
            return None;
        }
        let (length, rest) = body.split_first_chunk::<4>()?;
        let (boot, rest) = rest.split_first_chunk::<8>()?;
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let (last, _) = rest.split_first_chunk::<8>()?;
        let record = Self {
            boot: u64::from_le_bytes(*boot),
            first_seq: u64::from_le_bytes(*first),
            last_seq: u64::from_le_bytes(*last),
            offset,
            length: u32::from_le_bytes(*length),
        };
        let sane = (1..=MAX_RECORD).contains(&record.length) && record.first_seq <= record.last_seq;
        sane.then_some(record)
    }
}

/// What is sealed in a record.
#[derive(Debug)]
pub(super) struct Content {
    /// For the writer alone.
    pub(super) note: Vec<u8>,
    /// For the collector.
    pub(super) payload: Vec<u8>,
}

impl Content {
    fn join(&self) -> Option<Vec<u8>> {
        let note_length = u32::try_from(self.note.len()).ok()?;
        let mut out = note_length.to_le_bytes().to_vec();
        out.extend_from_slice(&self.note);
        out.extend_from_slice(&self.payload);
        Some(out)
    }

    fn split(plain: &[u8]) -> Option<Self> {
        let (length, rest) = plain.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (note, payload) = rest.split_at_checked(length)?;
        Some(Self { note: note.to_vec(), payload: payload.to_vec() })
    }
}

/// What is known of one segment file.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) records: Vec<Record>,
    /// Leading records that are acknowledged.
    pub(super) acknowledged: usize,
    /// Whether it may hold notes that stand nowhere else.
    pub(super) noted: bool,
    salt: [u8; 16],
}

struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        32
    }
}

fn derive(key: &SpoolKey, salt: &[u8; 16]) -> Option<LessSafeKey> {
    let prk = Salt::new(HKDF_SHA256, salt).extract(&*key.0);
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    prk.expand(&[b"pikett spool 1"], KeyLength).ok()?.fill(&mut *bytes).ok()?;
    Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*bytes).ok()?))
}

fn nonce(index: usize) -> Nonce {
    let mut bytes = [0; 12];
    let number = u64::try_from(index).unwrap_or(u64::MAX).to_le_bytes();
    bytes.iter_mut().zip(number).for_each(|(to, from)| *to = from);
    Nonce::assume_unique_for_key(bytes)
}

impl Segment {
    /// Reads the record headers of a file. The note says what was unreadable; nothing behind it is used.
    pub(super) fn recover(path: &Path, number: u64) -> io::Result<(Self, Option<String>)> {
        let mut segment = Self {
            number,
            path: path.to_owned(),
            bytes: fs::metadata(path)?.len(),
            records: Vec::new(),
            acknowledged: 0,
            noted: true,
            salt: [0; 16],
        };
        let note = segment.headers(&mut BufReader::new(File::open(path)?))?;
        Ok((segment, note))
    }

    /// Reads the header of the file and of each record up to the first that cannot be.
    fn headers(&mut self, reader: &mut (impl Read + Seek)) -> io::Result<Option<String>> {
        let mut header = [0; FILE_HEADER];
        if !fill(reader, &mut header)? || !header.starts_with(MAGIC) {
            return Ok(Some("no spool header, file ignored".to_owned()));
        }
        let salt = header.get(8..24).and_then(|salt| salt.try_into().ok());
        self.salt = salt.unwrap_or_default();
        let mut offset = u64::try_from(FILE_HEADER).unwrap_or(0);
        loop {
            let mut header = [0; RECORD_HEADER];
            if offset == self.bytes {
                return Ok(None);
            }
            let parsed =
                if fill(reader, &mut header)? { Record::parse(&header, offset) } else { None };
            let end = parsed.as_ref().map(Self::end);
            let (Some(record), Some(end)) = (parsed, end.filter(|end| *end <= self.bytes)) else {
                return Ok(Some(format!("unreadable from byte {offset} on")));
            };
            reader.seek_relative(i64::from(record.length))?;
            self.records.push(record);
            offset = end;
        }
    }

    /// For fuzzing: the record headers found in the bytes of a file.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn scan(bytes: &[u8]) -> io::Result<usize> {
        let mut segment = Self {
            number: 1,
            path: PathBuf::new(),
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            records: Vec::new(),
            acknowledged: 0,
            noted: true,
            salt: [0; 16],
        };
        segment.headers(&mut io::Cursor::new(bytes))?;
        Ok(segment.records.len())
    }

    fn end(record: &Record) -> u64 {
        let header = u64::try_from(RECORD_HEADER).unwrap_or(0);
        record.offset.saturating_add(header).saturating_add(u64::from(record.length))
    }

    /// Records not yet acknowledged.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().skip(self.acknowledged)
    }

    /// Counts leading records of `boot` up to `last_seq` as acknowledged.
    pub(super) fn acknowledge(&mut self, boot: u64, last_seq: u64) {
        while let Some(record) = self.records.get(self.acknowledged)
            && record.boot == boot
            && record.last_seq <= last_seq
        {
            self.acknowledged = self.acknowledged.saturating_add(1);
        }
    }

    /// Whether nothing in it is waiting.
    pub(super) fn is_done(&self) -> bool {
        self.acknowledged >= self.records.len()
    }

    /// Content of the record at `index`, or `None` when it is damaged.
    pub(super) fn read(
        &self,
        index: usize,
        record: &Record,
        key: &SpoolKey,
    ) -> io::Result<Option<Content>> {
        if record.length == 0 {
            return Ok(None);
        }
        let mut file = File::open(&self.path)?;
        let header = u64::try_from(RECORD_HEADER).unwrap_or(0);
        file.seek(SeekFrom::Start(record.offset.saturating_add(header)))?;
        let mut sealed = vec![0; usize::try_from(record.length).unwrap_or(0)];
        if !fill(&mut file, &mut sealed)? {
            return Ok(None);
        }
        let Some(key) = derive(key, &self.salt) else { return Ok(None) };
        let opened = key.open_in_place(nonce(index), Aad::from(record.header()), &mut sealed);
        Ok(opened.ok().and_then(|plain| Content::split(plain)))
    }

    /// Deletes the file.
    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Reads until `buffer` is full; false when the file ends first.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The open end of the newest segment.
pub(super) struct Writer {
    file: File,
    key: LessSafeKey,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Writer(..)")
    }
}

impl Writer {
    /// Makes a new segment file, readable by its owner only.
    pub(super) fn create(path: &Path, number: u64, key: &SpoolKey) -> io::Result<(Self, Segment)> {
        let mut salt = [0; 16];
        aws_lc_rs::rand::fill(&mut salt).map_err(io::Error::other)?;
        let key = derive(key, &salt).ok_or_else(|| io::Error::other("key derivation failed"))?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let mut header = Vec::with_capacity(FILE_HEADER);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&salt);
        header.resize(FILE_HEADER, 0);
        file.write_all(&header)?;
        let segment = Segment {
            number,
            path: path.to_owned(),
            bytes: u64::try_from(FILE_HEADER).unwrap_or(0),
            records: Vec::new(),
            acknowledged: 0,
            noted: false,
            salt,
        };
        Ok((Self { file, key }, segment))
    }

    /// Seals and writes one record in a single call, and adds it to `segment`.
    pub(super) fn append(
        &self,
        segment: &mut Segment,
        mut record: Record,
        content: &Content,
    ) -> Result<(), SpoolError> {
        let noted = !content.note.is_empty();
        let mut payload = content.join().ok_or(SpoolError::Crypto)?;
        let length = u64::try_from(payload.len()).unwrap_or(u64::MAX).saturating_add(TAG);
        record.length = u32::try_from(length)
            .ok()
            .filter(|length| *length <= MAX_RECORD)
            .ok_or(SpoolError::Full { bytes: length })?;
        record.offset = segment.bytes;
        let header = record.header();
        let index = nonce(segment.records.len());
        self.key
            .seal_in_place_append_tag(index, Aad::from(header), &mut payload)
            .map_err(|_| SpoolError::Crypto)?;
        let mut bytes = Vec::with_capacity(header.len().saturating_add(payload.len()));
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&payload);
        self.file.write_all_at(&bytes, segment.bytes).map_err(super::io("write", &segment.path))?;
        segment.bytes = Segment::end(&record);
        segment.records.push(record);
        segment.noted |= noted;
        Ok(())
    }

    /// Makes what was written survive a loss of power.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
