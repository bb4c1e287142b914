//! A file that appears under its name only when it is whole, and never over another one.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tempfile::NamedTempFile;

/// A file being written under another name beside its place; gone when it is dropped before its end.
#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
    file: NamedTempFile,
}

fn folder(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or_else(|| Path::new("."))
}

impl Output {
    /// Begins a file that only its owner can read; refuses when there is one already.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        if path.symlink_metadata().is_ok() {
            bail!("{} is there already: name another file or remove it", path.display());
        }
        let mut builder = tempfile::Builder::new();
        let file = builder.prefix(".pikett-").suffix(".unfinished").tempfile_in(folder(path));
        let file = file.with_context(|| format!("cannot make a file for {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Where to write.
    pub(crate) fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Makes it durable and gives it its name.
    pub(crate) fn finish(self) -> Result<()> {
        let Self { path, file } = self;
        let failed = || format!("cannot finish {}", path.display());
        file.as_file().sync_all().with_context(failed)?;
        file.persist_noclobber(&path).map_err(|error| error.error).with_context(failed)?;
        File::open(folder(&path)).and_then(|folder| folder.sync_all()).with_context(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("found.pkx");
        let output = Output::create(&path).unwrap();
        output.file().write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(output);
        assert_eq!(names(folder.path()), [""; 0]);

        let output = Output::create(&path).unwrap();
        output.file().write_all(b"whole").unwrap();
        output.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("found.pkx");
        let late = Output::create(&path).unwrap();
        std::fs::write(&path, "there").unwrap();
        assert!(Output::create(&path).unwrap_err().to_string().contains("is there already"));
        assert!(late.finish().is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"there");
        assert_eq!(names(folder.path()), ["found.pkx"]);
        let nowhere = Output::create(&folder.path().join("no/such/f")).unwrap_err().to_string();
        assert!(nowhere.starts_with("cannot make a file for "), "{nowhere}");
        assert_eq!(super::folder(Path::new("f")), Path::new("."));
    }
}
