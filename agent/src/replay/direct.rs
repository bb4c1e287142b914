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

/// Bytes written at once; a multiple of [`ALIGNMENT`].
const BLOCK: usize = 1 << 18;
/// What places in memory and in the file are multiples of: no disk asks for more.
const ALIGNMENT: usize = 1 << 12;

/// A new file. What it holds is complete after [`flush`](Write::flush).
#[derive(Debug)]
pub(super) struct DirectFile {
    file: File,
    /// Whether blocks go past the cache.
    direct: bool,
    /// Room for a block, with some more to begin it where it has to.
    room: Vec<u8>,
    /// Where the block begins in the room.
    begin: usize,
    /// Bytes of the block that are there.
    filled: usize,
}

impl DirectFile {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        let room = vec![0; BLOCK + ALIGNMENT];
        let begin = room.as_ptr().align_offset(ALIGNMENT);
        // Some filesystems refuse: then it is a file like any other.
        let direct = begin <= ALIGNMENT && set_direct(&file, true).is_ok();
        Ok(Self { file, direct, room, begin, filled: 0 })
    }

    fn block(&mut self) -> &mut [u8] {
        self.room.get_mut(self.begin..).and_then(|room| room.get_mut(..BLOCK)).unwrap_or_default()
    }

    /// Writes what is there of the block.
    fn write_block(&mut self) -> io::Result<()> {
        let filled = std::mem::take(&mut self.filled);
        let mut block = self.room.get(self.begin..self.begin + filled).unwrap_or_default();
        while !block.is_empty() {
            match self.file.write(block) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    block = block.get(written..).unwrap_or_default();
                    // The next place in the file is no multiple any more.
                    if !written.is_multiple_of(ALIGNMENT) {
                        through_cache(&self.file, &mut self.direct)?;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Told only now that this disk wants more than we know.
                Err(error) if self.direct && is(&error, Errno::EINVAL) => {
                    through_cache(&self.file, &mut self.direct)?
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// From here on a file like any other.
fn through_cache(file: &File, direct: &mut bool) -> io::Result<()> {
    if std::mem::take(direct) {
        set_direct(file, false)?;
    }
    Ok(())
}

impl Write for DirectFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.filled == BLOCK {
            self.write_block()?;
        }
        let filled = self.filled;
        let room = self.block().get_mut(filled..).unwrap_or_default();
        let taken = room.len().min(bytes.len());
        if let (Some(room), Some(bytes)) = (room.get_mut(..taken), bytes.get(..taken)) {
            room.copy_from_slice(bytes);
        }
        self.filled += taken;
        Ok(taken)
    }

    /// Writes all that is left. Blocks after it go through the cache, as they do not begin where they would have to.
    fn flush(&mut self) -> io::Result<()> {
        if !self.filled.is_multiple_of(ALIGNMENT) {
            through_cache(&self.file, &mut self.direct)?;
        }
        self.write_block()
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

    /// Writes a text in pieces of one length and gives what the file holds.
    fn written(folder: &Path, text: &[u8], piece: usize, flushes: bool) -> Vec<u8> {
        let path = folder.join(format!("{piece}"));
        let mut file = DirectFile::create(&path).expect("file");
        for piece in text.chunks(piece) {
            file.write_all(piece).expect("written");
            if flushes {
                file.flush().expect("flushed");
            }
        }
        file.flush().expect("flushed");
        std::fs::read(&path).expect("read")
    }

    #[test]
    fn any_pieces_give_the_same_file() {
        // Folders of the build are on a disk, those for temporary files often in memory.
        for folder in [tempfile::tempdir(), tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR"))] {
            let folder = folder.expect("folder");
            let text: Vec<u8> = (0..BLOCK as u32 * 3 / 4).flat_map(u32::to_le_bytes).collect();
            for piece in [1000, ALIGNMENT, BLOCK, BLOCK + 1, text.len()] {
                assert!(
                    written(folder.path(), &text, piece, false) == text,
                    "in pieces of {piece}"
                );
            }
            for piece in [100_000, 2 * ALIGNMENT] {
                assert!(written(folder.path(), &text, piece, true) == text, "flushed at {piece}");
            }
            assert!(written(folder.path(), &[], 1, true).is_empty());
        }
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let mut file = DirectFile::create(Path::new("/dev/full")).expect("file");
        let failed = file.write_all(&vec![0; 2 * BLOCK]).expect_err("nothing fits");
        assert!(is(&failed, Errno::ENOSPC), "{failed}");
    }
}
