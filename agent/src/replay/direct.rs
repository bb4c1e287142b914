//! A file that is written past the cache of the system where its filesystem can do that.
//!
//! Records of a large capture are several times its size. Through the cache they would push out what other
//! programs keep there, and each of their pages is found, filled and written back by the kernel: with DNS
//! that was a tenth of all CPU time. So blocks go from one place of memory to the disk (`O_DIRECT`, open(2)).

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// What places in memory and in the file are multiples of, in bytes: no disk asks for more.
pub(super) const ALIGNMENT: usize = 1 << 12;

/// A new file.
#[derive(Debug)]
pub(super) struct DirectFile {
    file: File,
    /// Whether blocks go past the cache.
    direct: bool,
}

impl DirectFile {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        // Some filesystems refuse: then it is a file like any other.
        let direct = set_direct(&file, true).is_ok();
        Ok(Self { file, direct })
    }

    /// Writes as many bytes as make whole blocks of [`ALIGNMENT`], or all of them through the cache, and tells
    /// how many: the others come again. They should begin at a multiple of it in memory.
    pub(super) fn write_blocks(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut done = 0;
        loop {
            let rest = bytes.get(done..).unwrap_or_default();
            let length = if self.direct { rest.len() / ALIGNMENT * ALIGNMENT } else { rest.len() };
            if length == 0 {
                return Ok(done);
            }
            match self.file.write(&rest[..length]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    done += written;
                    // The next place in the file is no multiple any more.
                    if !written.is_multiple_of(ALIGNMENT) {
                        self.through_cache()?;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Told only now that this disk wants something else.
                Err(error) if self.direct && is(&error, Errno::EINVAL) => self.through_cache()?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes what makes no whole block. From here on it is a file like any other.
    pub(super) fn write_rest(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.through_cache()?;
        self.file.write_all(bytes)
    }

    /// Writes all of another file. From here on it is a file like any other.
    pub(super) fn append(&mut self, other: &mut File) -> io::Result<()> {
        self.through_cache()?;
        io::copy(other, &mut self.file).map(drop)
    }

    fn through_cache(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.direct) {
            set_direct(&self.file, false)?;
        }
        Ok(())
    }
}

fn set_direct(file: &File, direct: bool) -> nix::Result<()> {
    let mut flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
    flags.set(OFlag::O_DIRECT, direct);
    fcntl(file, FcntlArg::F_SETFL(flags)).map(drop)
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Folders of the build are on a disk, those for temporary files often in memory.
    fn folders() -> [tempfile::TempDir; 2] {
        [tempfile::tempdir(), tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR"))]
            .map(|folder| folder.expect("folder"))
    }

    #[test]
    fn any_pieces_from_any_place_give_the_same_file() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        for folder in folders() {
            for piece in [5000, ALIGNMENT, 3 * ALIGNMENT + 1, text.len()] {
                let path = folder.path().join("file");
                let mut file = DirectFile::create(&path).expect("file");
                let mut at = 0;
                while let Some(next) = text.get(at..at + piece) {
                    // Of fewer bytes than a block none are written: then it takes more.
                    at += file.write_blocks(next).expect("written");
                }
                file.write_rest(&text[at..]).expect("written");
                assert!(std::fs::read(&path).expect("read") == text, "in pieces of {piece}");
            }
        }
    }

    #[test]
    fn after_the_rest_more_can_be_written() {
        for folder in folders() {
            let path = folder.path().join("file");
            let mut file = DirectFile::create(&path).expect("file");
            file.write_rest(b"one ").expect("written");
            assert_eq!(file.write_blocks(b"two").expect("written"), 3);
            assert_eq!(std::fs::read(&path).expect("read"), b"one two");
        }
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let mut file = DirectFile::create(Path::new("/dev/full")).expect("file");
        let failed = file.write_blocks(&[0; 2 * ALIGNMENT]).expect_err("nothing fits");
        assert!(is(&failed, Errno::ENOSPC), "{failed}");
    }
}
