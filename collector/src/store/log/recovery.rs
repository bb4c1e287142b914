//! Finding the end of the log again: reads the segments that the deduplication state does not
//! cover yet, keeps every sound record, and tells apart what was never acknowledged (a torn tail
//! or group) from damage to what was.

use super::dedup::Dedup;
use super::reader::next_frame;
use super::record::{ALIGN, Body, Broken, Frame, HEADER, follow, open};
use super::segment::{SEGMENT_HEADER, Segment, list};
use super::until::Until;
use super::{LogConfig, Position};
use crate::keyring::Keyring;
use crate::store::{Problem, StoreError};
use crate::vault::Head;

/// What recovery found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The segment to go on in; `None` when a new one is to be begun.
    pub current: Option<Tail>,
    /// Number for the next new segment.
    pub next_number: u64,
    /// Damage found.
    pub problems: Vec<Problem>,
    /// Records that are gone, as far as their ordinals tell.
    pub lost: u64,
    /// By when they had been received.
    pub until: Until,
    /// Tails or groups that had not become durable.
    pub torn: u64,
    /// Records written so far, and the digest over them; `None` when no record tells.
    pub head: Option<Head>,
}

/// The last segment and where it ends.
#[derive(Debug)]
pub struct Tail {
    /// The segment.
    pub segment: Segment,
    /// Where the next record goes.
    pub offset: u64,
    /// Its ordinal.
    pub ordinal: u32,
}

/// What one segment held.
struct Scan {
    offset: u64,
    ordinal: u32,
    closed: bool,
}

/// Recovers the log: marks in `dedup` what lies at or behind `from`.
///
/// # Errors
/// [`StoreError::Io`], [`StoreError::Crypto`].
pub fn recover(
    config: &LogConfig,
    keys: &Keyring,
    from: Position,
    dedup: &mut Dedup,
) -> Result<Recovered, StoreError> {
    let mut out = Recovered::default();
    let numbers = list(&config.directory)?;
    out.next_number = numbers.last().copied().unwrap_or(0).max(from.segment).saturating_add(1);
    let covered: Vec<u64> = numbers.iter().copied().filter(|n| *n >= from.segment).collect();
    for (index, number) in covered.iter().copied().enumerate() {
        let last = index.saturating_add(1) == covered.len();
        let before = out.problems.len();
        match Segment::open(&config.directory, number, keys)? {
            Err(problem) => {
                out.problems.push(problem);
                set_aside(config, number, &mut out)?;
            }
            Ok(segment) => {
                let scan = scan(&segment, last, dedup, &mut out)?;
                if out.problems.len() > before {
                    keep_copy(config, &segment)?;
                }
                if last && !scan.closed {
                    segment.blank_from(scan.offset)?;
                    let tail = Tail { segment, offset: scan.offset, ordinal: scan.ordinal };
                    out.current = Some(tail);
                }
            }
        }
    }
    missing(config, &numbers, from, &mut out);
    Ok(out)
}

/// Segments that should lie between others and do not.
fn missing(config: &LogConfig, numbers: &[u64], from: Position, out: &mut Recovered) {
    let expected = from.segment.max(numbers.first().copied().unwrap_or(0));
    let gone = numbers
        .iter()
        .filter(|n| **n >= expected)
        .fold((expected, 0_u64), |(next, gone), n| {
            (n.saturating_add(1), gone.saturating_add(n.saturating_sub(next)))
        })
        .1;
    if gone > 0 {
        out.problems.push(Problem {
            path: config.directory.display().to_string(),
            offset: 0,
            what: format!("{gone} log segments are missing between others"),
            advice: "restore them from a backup and start again; what they held is lost otherwise"
                .to_owned(),
        });
    }
}

fn scan(
    segment: &Segment,
    last: bool,
    dedup: &mut Dedup,
    out: &mut Recovered,
) -> Result<Scan, StoreError> {
    let bytes = segment.read(0, u64::MAX)?;
    let mut state = Scan { offset: SEGMENT_HEADER, ordinal: 0, closed: false };
    loop {
        let rest = usize::try_from(state.offset).ok().and_then(|at| bytes.get(at..));
        let rest = rest.unwrap_or_default();
        let at = Position { segment: segment.number, offset: state.offset };
        match open(&segment.key, at, rest) {
            Ok(frame) => {
                if let Some(before) = frame.chain {
                    let end = HEADER.saturating_add(frame.sealed);
                    out.head = Some(follow(before, rest.get(..end).unwrap_or(rest)));
                }
                if take(&frame, &mut state, dedup, &mut out.until) {
                    return Ok(state);
                }
            }
            Err(broken) => match next_frame(segment, state.offset, rest) {
                Some((next, frame)) if acknowledged(segment, state.offset, rest) => {
                    damaged(segment, &mut state, (broken, next), &frame, out);
                }
                Some(_) => {
                    // Nobody was answered for anything behind here: it goes, so that each record
                    // follows from the one before.
                    out.torn = out.torn.saturating_add(1);
                    return Ok(state);
                }
                None => {
                    tail(segment, last, broken, &state, out);
                    return Ok(state);
                }
            },
        }
    }
}

/// Takes a sound frame; true when it ends the segment.
fn take(frame: &Frame, state: &mut Scan, dedup: &mut Dedup, until: &mut Until) -> bool {
    state.offset = state.offset.saturating_add(frame.size);
    state.ordinal = frame.ordinal.saturating_add(1);
    match &frame.body {
        Body::Batch(packed) => {
            until.sound(packed.received());
            let range = (packed.first_seq, packed.last_seq);
            dedup.mark(&packed.source, range, packed.received());
        }
        Body::End => state.closed = true,
    }
    state.closed
}

/// Whether something that was acknowledged lies at or behind `offset`: a frame behind it was
/// written when the log was durable further on.
fn acknowledged(segment: &Segment, offset: u64, bytes: &[u8]) -> bool {
    let (mut at, mut rest) = (offset, bytes);
    while let Some((next, frame)) = next_frame(segment, at, rest) {
        if frame.durable > offset {
            return true;
        }
        // The next look begins behind this frame.
        let behind = next.saturating_add(frame.size).saturating_sub(ALIGN as u64);
        let skip = usize::try_from(behind.saturating_sub(at)).unwrap_or(usize::MAX);
        rest = rest.get(skip..).unwrap_or_default();
        at = behind;
    }
    false
}

/// A stretch that does not open, with a sound frame behind it that tells of acknowledged records.
fn damaged(
    segment: &Segment,
    state: &mut Scan,
    (broken, next): (Broken, u64),
    frame: &Frame,
    out: &mut Recovered,
) {
    let lost = u64::from(frame.ordinal.saturating_sub(state.ordinal)).max(1);
    out.lost = out.lost.saturating_add(lost);
    out.until.lost();
    out.problems.push(Problem {
        path: segment.path.display().to_string(),
        offset: state.offset,
        what: format!(
            "{} bytes are damaged ({broken:?}), {lost} records are lost",
            next.saturating_sub(state.offset)
        ),
        advice: "a copy is in quarantine; check the disk; all other records were kept".to_owned(),
    });
    state.offset = next;
    state.ordinal = frame.ordinal;
}

/// Nothing sound behind here.
fn tail(segment: &Segment, last: bool, broken: Broken, state: &Scan, out: &mut Recovered) {
    if last && broken == Broken::Empty {
        return;
    }
    if last {
        out.torn = out.torn.saturating_add(1);
        return;
    }
    out.problems.push(Problem {
        path: segment.path.display().to_string(),
        offset: state.offset,
        what: "segment stops without its end mark".to_owned(),
        advice: "records behind this place, if there were any, are lost; a copy is in quarantine"
            .to_owned(),
    });
}

fn keep_copy(config: &LogConfig, segment: &Segment) -> Result<(), StoreError> {
    let target = config.quarantine.join(segment.path.file_name().unwrap_or_default());
    if target.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(&config.quarantine)
        .and_then(|()| std::fs::copy(&segment.path, &target))
        .map(|_| ())
        .map_err(|source| StoreError::io("copy to quarantine", &target, source))
}

/// Moves a segment that cannot be read at all out of the way.
fn set_aside(config: &LogConfig, number: u64, out: &mut Recovered) -> Result<(), StoreError> {
    let path = super::segment::path(&config.directory, number);
    let target = config.quarantine.join(path.file_name().unwrap_or_default());
    out.lost = out.lost.saturating_add(1);
    out.until.lost();
    std::fs::create_dir_all(&config.quarantine)
        .and_then(|()| std::fs::rename(&path, &target))
        .map_err(|source| StoreError::io("move to quarantine", &path, source))
}
