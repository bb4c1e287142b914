//! Windows event log files (EVTX): where their chunks are, and the records of a chunk as JSON.
//!
//! A file is a header and chunks of 64 KiB, each read alone: the whole file is never in memory. What the header of the
//! file says is not needed: of a log in use it is behind. Chunks of a full log are written over, the oldest first, so
//! they are put in the order of their record ids. The binary XML inside is the crate `evtx`'s to read, within its limits
//! (16 MiB of a record, 64 MiB of a chunk). Nothing is known here of how far a file was read, which `source::evtx` keeps.
//! Layout: <https://github.com/libyal/libevtx/blob/main/documentation/Windows%20XML%20Event%20Log%20(EVTX).asciidoc>.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use event::Timestamp;
use evtx::err::EvtxError as Library;
use evtx::{EvtxChunkData, ParserSettings};
use serde::{Deserialize, Serialize};

#[cfg(test)]
pub(crate) mod written;

/// Bytes of a chunk.
pub const CHUNK: usize = 65_536;
/// Bytes before the first chunk.
const FILE_HEADER: u64 = 4096;
/// Bytes of a chunk before its first record.
const CHUNK_HEADER: usize = 512;
/// Bytes of a record besides its content.
const RECORD: usize = 28;
/// Most chunks of a file: 4 GiB.
const MAX_CHUNKS: u64 = 65_536;
/// Most chunks that are read in search of one record: headers may say anything.
const TRIES: usize = 16;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EvtxError {
    /// The system does not give it.
    #[error("cannot be read")]
    Io(#[from] io::Error),
    /// It is something else, or cut off within its header.
    #[error("does not begin as a Windows event log")]
    NotALog,
    /// More than is taken.
    #[error("is longer than 4 GiB")]
    TooLong,
    /// A chunk that does not hold together.
    #[error("chunk {number} at byte {offset} is damaged: {reason}")]
    Chunk {
        /// Its number in the file.
        number: u64,
        /// Where it begins.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
}

/// What the header of a chunk says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of the chunk in the file.
    pub number: u64,
    /// Id of its first record.
    pub first: u64,
    /// Id of its last record.
    pub last: u64,
}

/// What tells one record from every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its id, one more than that of the record before it.
    pub id: u64,
    /// When it was written, 100 ns since 1601.
    pub time: u64,
    /// CRC-32 of its bytes.
    pub crc: u32,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: u64,
    /// When it was written.
    pub time: Timestamp,
    /// As EVTX writers nest it: `{"Event": {"System": ..}}`.
    pub json: String,
}

/// A record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Its id, when that can be read.
    pub id: Option<u64>,
    /// What is wrong with it, and where.
    pub reason: String,
}

/// A file and its chunks.
#[derive(Debug)]
pub struct Log {
    file: File,
    heads: Vec<Head>,
    damaged: Vec<u64>,
    rest: u64,
}

/// Where a chunk begins.
#[must_use]
pub const fn offset_of(number: u64) -> u64 {
    number.saturating_mul(CHUNK as u64).saturating_add(FILE_HEADER)
}

fn at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    at(bytes, offset).map(u64::from_le_bytes)
}

/// The header of a chunk; `None` when it is none.
fn head(bytes: &[u8], number: u64) -> Option<Head> {
    if !bytes.starts_with(b"ElfChnk\0") {
        return None;
    }
    let (first, last) = (u64_at(bytes, 24)?, u64_at(bytes, 32)?);
    // A range that is reversed says nothing.
    let (first, last) = if first <= last { (first, last) } else { (u64::MAX, u64::MAX) };
    Some(Head { number, first, last })
}

impl Log {
    /// Looks at the headers of a file.
    ///
    /// # Errors
    /// When it is no event log, too long, or cannot be read.
    pub fn open(file: File) -> Result<Self, EvtxError> {
        let length = file.metadata()?.len();
        let mut magic = [0; 8];
        if length < FILE_HEADER {
            return Err(EvtxError::NotALog);
        }
        file.read_exact_at(&mut magic, 0)?;
        if magic != *b"ElfFile\0" {
            return Err(EvtxError::NotALog);
        }
        let chunks = length.saturating_sub(FILE_HEADER);
        let (count, rest) = (chunks / CHUNK as u64, chunks % CHUNK as u64);
        if count > MAX_CHUNKS {
            return Err(EvtxError::TooLong);
        }
        let mut log = Self { file, heads: Vec::new(), damaged: Vec::new(), rest };
        let mut bytes = [0; CHUNK_HEADER];
        for number in 0..count {
            log.file.read_exact_at(&mut bytes, offset_of(number))?;
            match head(&bytes, number) {
                Some(head) => log.heads.push(head),
                // Room that was not used yet.
                None if bytes.iter().all(|byte| *byte == 0) => {}
                None => log.damaged.push(number),
            }
        }
        log.heads.sort_by_key(|head| head.first);
        Ok(log)
    }

    /// The chunks, in the order of their records.
    #[must_use]
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// Numbers of the chunks whose header cannot be read.
    #[must_use]
    pub fn damaged(&self) -> &[u64] {
        &self.damaged
    }

    /// Bytes behind the last whole chunk.
    #[must_use]
    pub const fn rest(&self) -> u64 {
        self.rest
    }

    /// Reads a chunk.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn chunk(&self, number: u64) -> Result<Chunk, EvtxError> {
        let mut bytes = vec![0; CHUNK];
        self.file.read_exact_at(&mut bytes, offset_of(number))?;
        Chunk::new(bytes, number)
    }

    /// What tells this log from every other: its first record that can be read.
    #[must_use]
    pub fn first(&self) -> Option<Mark> {
        let heads = self.heads.iter().take(TRIES);
        let mut chunks = heads.filter_map(|head| self.chunk(head.number).ok());
        chunks.find_map(|chunk| chunk.marks().into_iter().min_by_key(|mark| mark.id))
    }

    /// The record of an id; `None` when it is not there.
    #[must_use]
    pub fn find(&self, id: u64) -> Option<Mark> {
        let heads = self.heads.iter().filter(|head| (head.first..=head.last).contains(&id));
        heads.take(TRIES).find_map(|head| {
            let chunk = self.chunk(head.number).ok()?;
            chunk.marks().into_iter().find(|mark| mark.id == id)
        })
    }
}

/// The bytes of a chunk.
pub struct Chunk {
    data: EvtxChunkData,
    number: u64,
}

impl std::fmt::Debug for Chunk {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Chunk").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Chunk {
    /// A chunk of these bytes.
    ///
    /// # Errors
    /// When they are none.
    pub fn new(bytes: Vec<u8>, number: u64) -> Result<Self, EvtxError> {
        let mut data = EvtxChunkData::new(bytes, false).map_err(|error| damaged(number, &error))?;
        data.number = Some(number);
        Ok(Self { data, number })
    }

    /// Whether its records are as they were when Windows last counted them. Of a chunk in use this is often not so.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.data.validate_data_checksum()
    }

    /// The records, one behind the other, up to the first whose header cannot be read.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        let free = usize::try_from(self.data.header.free_space_offset).unwrap_or(CHUNK);
        let bytes = self.data.data.get(..free).unwrap_or(&self.data.data);
        let (mut marks, mut place) = (Vec::new(), CHUNK_HEADER);
        while let Some(record) = record_at(bytes, place) {
            let (Some(id), Some(time)) = (u64_at(record, 8), u64_at(record, 16)) else { break };
            marks.push(Mark { id, time, crc: crc32fast::hash(record) });
            place = place.saturating_add(record.len());
        }
        marks
    }

    /// The records behind the id `after` as they stand in the chunk, and those that cannot be read.
    ///
    /// # Errors
    /// When the chunk is damaged as a whole.
    pub fn records(
        &mut self,
        after: Option<u64>,
    ) -> Result<Vec<Result<Record, Damage>>, EvtxError> {
        let settings = Arc::new(ParserSettings::new().indent(false));
        let number = self.number;
        let mut chunk = self.data.parse(settings).map_err(|error| damaged(number, &error))?;
        let mut found = Vec::new();
        for record in chunk.iter() {
            let read = match record {
                Ok(record) if Some(record.event_record_id) <= after => continue,
                Ok(record) => record.into_json().map(|record| Record {
                    id: record.event_record_id,
                    time: Timestamp::from_micros(record.timestamp.as_microsecond()),
                    json: record.data,
                }),
                Err(error) => Err(error),
            };
            let read = read.map_err(|error| damage(&error));
            if read.as_ref().is_err_and(|one| one.id.is_some() && one.id <= after) {
                continue;
            }
            found.push(read);
        }
        Ok(found)
    }
}

/// The bytes of the record that begins at an offset.
fn record_at(bytes: &[u8], offset: usize) -> Option<&[u8]> {
    let rest = bytes.get(offset..)?;
    if !rest.starts_with(b"**\0\0") {
        return None;
    }
    let length = usize::try_from(at(rest, 4).map(u32::from_le_bytes)?).ok()?;
    rest.get(..length).filter(|record| record.len() >= RECORD)
}

fn damaged(number: u64, error: &dyn std::error::Error) -> EvtxError {
    EvtxError::Chunk { number, offset: offset_of(number), reason: service::causes(error) }
}

fn damage(error: &Library) -> Damage {
    let id = match error {
        Library::FailedToParseRecord { record_id, .. } => Some(*record_id),
        _ => None,
    };
    Damage { id, reason: service::causes(error) }
}

#[cfg(test)]
mod tests;
