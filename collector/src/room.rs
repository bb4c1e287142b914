//! Room on the collector's disk: events from outside are refused before it is used up, so that
//! alerts, pages and searches go on when it is.
//!
//! A part of what is kept free lies in a file of its own. It is given up when the room runs out,
//! whoever has taken it, so that state can still be written, and taken back later.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Most bytes kept free unless the configuration says otherwise.
const MOST: u64 = 1 << 30;
/// Most bytes of the file that is given up.
const RESERVE: u64 = 16 << 20;

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Enough.
    Enough,
    /// Less than twice what is kept free.
    Low,
    /// Less than is kept free: nothing new is taken.
    Short,
}

/// The room in one folder.
#[derive(Debug)]
pub(crate) struct Room {
    folder: PathBuf,
    keep: Option<u64>,
    level: Level,
}

/// Bytes free and bytes in all of the file system a folder is on.
pub(crate) fn measure(folder: &Path) -> io::Result<(u64, u64)> {
    let stat = nix::sys::statvfs::statvfs(folder)?;
    let fragment = stat.fragment_size();
    let bytes = |blocks: u64| blocks.saturating_mul(fragment);
    Ok((bytes(stat.blocks_available()), bytes(stat.blocks())))
}

/// Bytes free in a folder above `keep`, which is as in [`Room::new`].
///
/// # Errors
/// When the file system does not say.
pub(crate) fn above(folder: &Path, keep: Option<u64>) -> io::Result<u64> {
    let (free, total) = measure(folder)?;
    Ok(free.saturating_sub(keep.unwrap_or_else(|| MOST.min(total / 20))))
}

impl Room {
    /// Keeps `keep` bytes free in `folder`: one gibibyte or a twentieth of the disk, whichever is
    /// less, when that is not said.
    #[must_use]
    pub(crate) fn new(folder: &Path, keep: Option<u64>) -> Self {
        Self { folder: folder.to_owned(), keep, level: Level::Enough }
    }

    /// Looks again; gives the level and the bytes free, what lies in reserve not counted.
    ///
    /// # Errors
    /// When the file system does not say.
    pub(crate) fn look(&mut self) -> io::Result<(Level, u64)> {
        let (free, total) = measure(&self.folder)?;
        let keep = self.keep.unwrap_or_else(|| MOST.min(total / 20));
        let level = judge(self.level, free, keep);
        let reserve = self.folder.join("reserve");
        if level == Level::Short {
            match std::fs::remove_file(&reserve) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        } else if keep > 1 && !reserve.exists() {
            let bytes = i64::try_from(RESERVE.min(keep / 2)).unwrap_or(0);
            let file = File::create(&reserve)?;
            nix::fcntl::posix_fallocate(file, 0, bytes)?;
        }
        self.level = level;
        Ok((level, free))
    }
}

/// Once short, there must be half as much again before events are taken: no coming and going.
fn judge(before: Level, free: u64, keep: u64) -> Level {
    let enough = if before == Level::Short { keep.saturating_add(keep / 2) } else { keep };
    if free < enough {
        Level::Short
    } else if free < keep.saturating_mul(2) {
        Level::Low
    } else {
        Level::Enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_their_edges() {
        use Level::{Enough, Low, Short};
        for (before, free, expected) in [
            (Enough, 200, Enough),
            (Enough, 199, Low),
            (Enough, 100, Low),
            (Low, 99, Short),
            (Short, 100, Short),
            (Short, 149, Short),
            (Short, 150, Low),
            (Short, 200, Enough),
            (Enough, 0, Short),
        ] {
            assert_eq!(judge(before, free, 100), expected, "{before:?} {free}");
        }
        assert_eq!(judge(Low, u64::MAX, u64::MAX), Enough, "no overflow");
    }

    #[test]
    fn the_reserve_is_given_up_and_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = folder.path().join("reserve");
        let mut room = Room::new(folder.path(), Some(64 * 1024));
        assert_eq!(room.look().unwrap().0, Level::Enough);
        assert_eq!(reserve.metadata().unwrap().len(), 32 * 1024);
        room.keep = Some(u64::MAX);
        assert_eq!(room.look().unwrap().0, Level::Short);
        assert!(!reserve.exists());
        assert_eq!(room.look().unwrap().0, Level::Short, "and without it");
        room.keep = Some(1024);
        assert_eq!(room.look().unwrap().0, Level::Enough);
        assert!(reserve.exists());
        assert!(Room::new(Path::new("/nonexistent"), None).look().is_err());
    }
}
