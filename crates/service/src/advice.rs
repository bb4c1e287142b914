//! What to do about a disk that refuses, for people who see a program end because of it.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::sync::Arc;

/// errno(3): the device failed. It has no [`ErrorKind`] of its own.
const EIO: i32 = 5;

/// What the disk did, and what helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// It fails.
    Fails,
    /// It is mounted without writing.
    ReadOnly,
    /// It is full.
    Full,
}

impl std::fmt::Display for Disk {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Fails => {
                "the disk fails: what is stored was left as it is; see dmesg and smartctl, and start again when it works"
            }
            Self::ReadOnly => {
                "the file system is read-only: see dmesg why, mount it for writing (mount -o remount,rw) and start again"
            }
            Self::Full => "the disk is full: make room and start again",
        })
    }
}

impl Disk {
    /// What the disk did, if that is the cause of an error.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            // Errors that are told several times share theirs.
            let shared = error.downcast_ref::<Arc<io::Error>>().map(AsRef::as_ref);
            if let Some(found) = error.downcast_ref().or(shared).and_then(Self::of_io) {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    fn of_io(error: &io::Error) -> Option<Self> {
        match error.kind() {
            ErrorKind::ReadOnlyFilesystem => Some(Self::ReadOnly),
            ErrorKind::StorageFull => Some(Self::Full),
            _ if error.raw_os_error() == Some(EIO) => Some(Self::Fails),
            // One that only wraps another error does not name it as its source.
            _ => error.get_ref().and_then(|inner| Self::of(inner)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_found_among_the_causes() {
        let check = |code: i32, expected: Option<Disk>| {
            let error = crate::files::FileError {
                path: "/data/x".into(),
                source: io::Error::from_raw_os_error(code),
            };
            assert_eq!(Disk::of(&error), expected, "{error:?}");
        };
        check(5, Some(Disk::Fails));
        check(28, Some(Disk::Full));
        check(30, Some(Disk::ReadOnly));
        check(13, None);
        assert_eq!(Disk::of(&io::Error::other("x")), None);
        let shared = Arc::new(io::Error::from_raw_os_error(5));
        assert_eq!(Disk::of(&shared), Some(Disk::Fails));
        assert_eq!(Disk::of(&io::Error::other(shared)), Some(Disk::Fails));
        for disk in [Disk::Fails, Disk::ReadOnly, Disk::Full] {
            assert!(disk.to_string().contains("start again"));
        }
    }
}
