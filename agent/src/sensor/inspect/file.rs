//! What rules see of files in transit.

use net::Direction;
use net::app::Transaction;
use net::app::file::{File, FileState};
use signature::{Buffer, FileFacts, View};

use super::non_empty;

/// A file that is still growing is first inspected at this size, and again each time it has grown
/// by as much.
const STEP: usize = 16 << 10;

/// A buffer of the `at`th file of a direction.
pub(super) fn buffer(tx: &Transaction, buffer: Buffer, dir: Direction, at: u32) -> View<'_> {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let Some(file) = tx.files.iter().filter(|file| file.dir == dir).nth(at) else {
        return if tx.is_complete(dir) { View::Absent } else { View::Pending };
    };
    match buffer {
        Buffer::FileData => data(file),
        Buffer::FileName => non_empty(&file.name),
        _ => View::Absent,
    }
}

/// What is known of the `at`th file of a direction.
pub(super) fn facts(tx: &Transaction, dir: Direction, at: u32) -> Option<FileFacts<'_>> {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let file = tx.files.iter().filter(|file| file.dir == dir).nth(at)?;
    let digests = file.digests();
    Some(FileFacts {
        name: &file.name,
        size: file.size(),
        md5: digests.md5,
        sha1: digests.sha1,
        sha256: digests.sha256,
        magic: super::magic::of(file.head(), file.state() != FileState::Open),
        complete: file.state() != FileState::Open,
        truncated: file.state() == FileState::Truncated,
    })
}

fn data(file: &File) -> View<'_> {
    let bytes = file.data();
    let cut = u64::try_from(bytes.len()).unwrap_or(u64::MAX) < file.size();
    if file.state() != FileState::Open || cut {
        return non_empty(bytes);
    }
    let steps = bytes.len().checked_div(STEP).unwrap_or(0);
    if steps == 0 {
        return View::Pending;
    }
    let end = steps.saturating_mul(STEP);
    View::Data { bytes: bytes.get(..end).unwrap_or(bytes), offset: 0, last: false }
}
