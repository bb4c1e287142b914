//! Looks through the log without changing it: every record must open, follow from the one before,
//! and nothing may lie where nothing was written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Position;
use super::reader::next_frame;
use super::record::{Body, Broken, Frame, HEADER, follow, open};
use super::segment::{SEGMENT_HEADER, Segment, list, path};
use crate::keyring::Keyring;
use crate::store::{Problem, StoreError};
use crate::vault::{Head, Link};

/// What looking found.
#[derive(Debug, Default)]
pub struct Looked {
    /// What is not as it was written.
    pub findings: Vec<Problem>,
    /// A stretch at the very end that does not open: torn by a crash, or changed.
    pub tail: Option<Problem>,
    /// Where the chain begins; `None` when no record has one.
    pub begin: Option<Head>,
    /// Where it ends.
    pub end: Head,
    /// Digests after so many records, where they were asked for.
    pub links: BTreeMap<u64, Link>,
    /// Records seen.
    pub records: u64,
}

struct Looker<'a> {
    wanted: &'a BTreeSet<u64>,
    out: Looked,
    /// Whether what was reported already explains the next break of the chain.
    broken: bool,
    /// Where the last record that opened ends.
    last: Option<(PathBuf, u64)>,
}

fn problem(path: &Path, offset: u64, what: String) -> Problem {
    let advice = "restore it from a backup; what it held may be in the index still".to_owned();
    Problem { path: path.display().to_string(), offset, what, advice }
}

/// Looks through the log in `directory`; `progress` is told the bytes that were read.
///
/// # Errors
/// [`StoreError`] when files cannot be read.
pub fn verify(
    directory: &Path,
    keys: &Keyring,
    wanted: &BTreeSet<u64>,
    progress: &mut dyn FnMut(u64),
) -> Result<Looked, StoreError> {
    let mut looker = Looker { wanted, out: Looked::default(), broken: false, last: None };
    let numbers = if directory.exists() { list(directory)? } else { Vec::new() };
    let mut expected = numbers.first().copied().unwrap_or(0);
    for number in numbers.iter().copied() {
        for gone in (expected..number).take(1_000) {
            let what = "log segment is gone".to_owned();
            looker.out.findings.push(problem(&path(directory, gone), 0, what));
        }
        expected = number.saturating_add(1);
        match Segment::open(directory, number, keys)? {
            Err(found) => {
                looker.out.findings.push(found);
                looker.broken = true;
            }
            Ok(segment) => {
                let last = numbers.last() == Some(&number);
                looker.segment(&segment, last)?;
                progress(segment.size);
            }
        }
    }
    Ok(looker.out)
}

impl Looker<'_> {
    fn segment(&mut self, segment: &Segment, last: bool) -> Result<(), StoreError> {
        let bytes = segment.read(0, u64::MAX)?;
        self.zeros(segment, (52, SEGMENT_HEADER), &bytes);
        let mut offset = SEGMENT_HEADER;
        loop {
            let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..));
            let rest = rest.unwrap_or_default();
            let at = Position { segment: segment.number, offset };
            match open(&segment.key, at, rest) {
                Ok(frame) => {
                    self.frame(segment, offset, &frame, rest);
                    offset = offset.saturating_add(frame.size);
                    if frame.body == Body::End {
                        self.zeros(segment, (offset, segment.size), &bytes);
                        return Ok(());
                    }
                }
                Err(broken) => match next_frame(segment, offset, rest) {
                    Some((next, _)) => {
                        let what = format!(
                            "{} bytes were changed ({broken:?})",
                            next.saturating_sub(offset)
                        );
                        self.out.findings.push(problem(&segment.path, offset, what));
                        self.broken = true;
                        offset = next;
                    }
                    None => {
                        self.rest(segment, (offset, last), rest);
                        return Ok(());
                    }
                },
            }
        }
    }

    /// A record that opens: it must follow from the one before.
    fn frame(&mut self, segment: &Segment, offset: u64, frame: &Frame, bytes: &[u8]) {
        self.out.records = self.out.records.saturating_add(1);
        let end = offset.saturating_add(frame.size);
        let length = HEADER.saturating_add(frame.sealed);
        let padding = usize::try_from(frame.size).ok().and_then(|size| bytes.get(length..size));
        let spare = bytes.get(28..HEADER).into_iter().flatten();
        if spare.chain(padding.into_iter().flatten()).any(|byte| *byte != 0) {
            let what = format!("padding of the record up to byte {end} was written to");
            self.out.findings.push(problem(&segment.path, offset, what));
        }
        let Some(chain) = frame.chain else {
            if self.out.begin.is_some() {
                let what = "a record without its place in the chain".to_owned();
                self.out.findings.push(problem(&segment.path, offset, what));
            }
            return;
        };
        let expected = self.out.end;
        if self.out.begin.is_none() {
            self.out.begin = Some(chain);
            self.link(chain);
        } else if chain != expected && !self.broken {
            let missing = chain.count.saturating_sub(expected.count);
            let here = (segment.path.clone(), offset);
            let found = match self.last.take() {
                Some((path, end)) if missing > 0 => {
                    problem(&path, end, format!("{missing} records behind this place are gone"))
                }
                _ => {
                    let what = "record does not follow from the one before".to_owned();
                    problem(&here.0, here.1, what)
                }
            };
            self.out.findings.push(found);
        }
        self.broken = false;
        self.last = Some((segment.path.clone(), end));
        self.out.end = follow(chain, bytes.get(..length).unwrap_or(bytes));
        self.link(self.out.end);
    }

    fn link(&mut self, head: Head) {
        if self.wanted.contains(&head.count) {
            self.out.links.insert(head.count, head.digest);
        }
    }

    /// Nothing opens from here to the end of the segment.
    fn rest(&mut self, segment: &Segment, (offset, last): (u64, bool), bytes: &[u8]) {
        let Some(written) = bytes.iter().rposition(|byte| *byte != 0) else { return };
        let what = format!("{} bytes do not open as records", written.saturating_add(1));
        let found = problem(&segment.path, offset, what);
        if last {
            self.out.tail = Some(found);
        } else {
            self.out.findings.push(found);
            self.broken = true;
        }
    }

    /// Nothing may have been written between two offsets.
    fn zeros(&mut self, segment: &Segment, (from, to): (u64, u64), bytes: &[u8]) {
        let range = usize::try_from(from).unwrap_or(0)..usize::try_from(to).unwrap_or(0);
        let range = bytes.get(range).unwrap_or_default();
        if let Some(at) = range.iter().position(|byte| *byte != 0) {
            let at = from.saturating_add(at as u64);
            let what = "something was written where nothing belongs".to_owned();
            self.out.findings.push(problem(&segment.path, at, what));
        }
    }
}

/// The chain at the beginning of a segment, when its first record opens and has one.
pub(super) fn begin_of(segment: &Segment) -> Result<Option<Head>, StoreError> {
    let at = Position { segment: segment.number, offset: SEGMENT_HEADER };
    for length in [1 << 20, u64::MAX] {
        let bytes = segment.read(SEGMENT_HEADER, length)?;
        match open(&segment.key, at, &bytes) {
            Ok(frame) => return Ok(frame.chain),
            Err(Broken::Torn) => {}
            Err(_) => return Ok(None),
        }
    }
    Ok(None)
}
