//! Reading records from a place in the log on: for the index when it lags, and to index again.

use std::path::PathBuf;

use super::Position;
use super::record::{ALIGN, Body, Broken, HEADER, Packed, is_magic, open};
use super::segment::{SEGMENT_HEADER, Segment, list};
use crate::keyring::Keyring;
use crate::store::{Problem, StoreError};

/// Bytes read at once.
const WINDOW: u64 = 4 << 20;

/// What came next in the log.
#[derive(Debug)]
pub enum Step {
    /// A record, where it lies, and where the next one is expected.
    Record(Position, Box<Packed>, Position),
    /// A stretch that could not be read; reading goes on behind it.
    Damage(Problem),
    /// Nothing more, for now.
    End(Position),
}

/// A place of reading. Survives the deletion of segments behind it.
#[derive(Debug)]
pub struct Reader {
    directory: PathBuf,
    keys: Keyring,
    at: Position,
    segment: Option<Segment>,
    window: (u64, Vec<u8>),
}

/// The frame found at an offset, or why there is none.
pub(super) type Looked = Result<super::record::Frame, Broken>;

impl Reader {
    /// Reads from `at` on; position 0 means from the oldest segment there is.
    #[must_use]
    pub const fn new(directory: PathBuf, keys: Keyring, at: Position) -> Self {
        Self { directory, keys, at, segment: None, window: (0, Vec::new()) }
    }

    /// Where the next record is expected.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.at
    }

    /// The next step.
    ///
    /// # Errors
    /// [`StoreError::Io`], [`StoreError::Crypto`].
    pub fn step(&mut self) -> Result<Step, StoreError> {
        loop {
            if self.segment.is_none() {
                match self.enter()? {
                    None => return Ok(Step::End(self.at)),
                    Some(Some(problem)) => return Ok(Step::Damage(problem)),
                    Some(None) => {}
                }
            }
            let here = self.at;
            match self.look(here.offset)? {
                Ok(frame) => {
                    self.at.offset = here.offset.saturating_add(frame.size);
                    match frame.body {
                        Body::Batch(packed) => return Ok(Step::Record(here, packed, self.at)),
                        Body::End => self.leave(),
                    }
                }
                Err(broken) => {
                    if let Some(step) = self.broken(broken)? {
                        return Ok(step);
                    }
                }
            }
        }
    }

    /// Opens the segment of the present position, or the next one there is.
    fn enter(&mut self) -> Result<Option<Option<Problem>>, StoreError> {
        let Some(number) = list(&self.directory)?.into_iter().find(|n| *n >= self.at.segment)
        else {
            return Ok(None);
        };
        if number != self.at.segment || self.at.offset < SEGMENT_HEADER {
            self.at = Position { segment: number, offset: SEGMENT_HEADER };
        }
        match Segment::open(&self.directory, number, &self.keys)? {
            Ok(segment) => {
                self.segment = Some(segment);
                self.window = (0, Vec::new());
                Ok(Some(None))
            }
            Err(problem) => {
                self.leave();
                Ok(Some(Some(problem)))
            }
        }
    }

    fn leave(&mut self) {
        self.segment = None;
        self.at = Position { segment: self.at.segment.saturating_add(1), offset: 0 };
    }

    /// Nothing readable here: the end of the log, the end of an unclosed segment, or damage.
    fn broken(&mut self, broken: Broken) -> Result<Option<Step>, StoreError> {
        let here = self.at;
        if let Some(next) = self.resume(here.offset)? {
            self.at.offset = next;
            return Ok(Some(Step::Damage(self.problem(here, next, broken))));
        }
        let newer = list(&self.directory)?.into_iter().any(|n| n > here.segment);
        if newer {
            self.leave();
            return Ok(None);
        }
        // Look again with fresh bytes next time: the writer goes on here.
        self.segment = None;
        Ok(Some(Step::End(here)))
    }

    fn problem(&self, from: Position, to: u64, broken: Broken) -> Problem {
        Problem {
            path: super::segment::path(&self.directory, from.segment).display().to_string(),
            offset: from.offset,
            what: format!("{} bytes are damaged ({broken:?})", to.saturating_sub(from.offset)),
            advice: "what they held is lost; the rest of the segment was read".to_owned(),
        }
    }

    /// The frame at `offset` of the present segment.
    fn look(&mut self, offset: u64) -> Result<Looked, StoreError> {
        let at = Position { segment: self.at.segment, offset };
        let Some(segment) = &self.segment else { return Ok(Err(Broken::Empty)) };
        for length in [WINDOW, u64::MAX] {
            let start = usize::try_from(offset.wrapping_sub(self.window.0)).unwrap_or(usize::MAX);
            let bytes = self.window.1.get(start..).unwrap_or_default();
            let wanted = wanted(bytes).unwrap_or(HEADER);
            if bytes.len() >= wanted {
                return Ok(open(&segment.key, at, bytes));
            }
            self.window = (offset, segment.read(offset, length)?);
        }
        Ok(open(&segment.key, at, &self.window.1))
    }

    /// The offset of the next sound frame behind `offset`, if there is one.
    fn resume(&mut self, offset: u64) -> Result<Option<u64>, StoreError> {
        let Some(segment) = &self.segment else { return Ok(None) };
        let rest = segment.read(offset, u64::MAX)?;
        Ok(next_frame(segment, offset, &rest).map(|(at, _)| at))
    }
}

/// Bytes of the frame that begins here, as its header says.
fn wanted(bytes: &[u8]) -> Option<usize> {
    let length: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
    let sound = is_magic(bytes);
    sound.then(|| HEADER.saturating_add(usize::try_from(u32::from_le_bytes(length)).unwrap_or(0)))
}

/// The next sound frame behind the first byte of `bytes`, which lie at `offset`.
pub(super) fn next_frame(
    segment: &Segment,
    offset: u64,
    bytes: &[u8],
) -> Option<(u64, super::record::Frame)> {
    let mut from = ALIGN;
    while let Some(rest) = bytes.get(from..) {
        if is_magic(rest) {
            let at = offset.saturating_add(from as u64);
            let position = Position { segment: segment.number, offset: at };
            if let Ok(frame) = open(&segment.key, position, rest) {
                return Some((at, frame));
            }
        }
        from = from.saturating_add(ALIGN);
    }
    None
}
