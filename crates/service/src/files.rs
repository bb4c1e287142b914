//! Files named by a configuration: each path is a file or a folder that is searched to its bottom.

use std::io;
use std::path::{Path, PathBuf};

/// Deepest folder that is searched.
const MAX_DEPTH: usize = 16;
/// Largest file read, bytes.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// A file or folder that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
pub struct FileError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// All files among `paths` and below, sorted within each; in folders only those with one of the
/// `endings` (without dot). A file named itself is taken whatever its ending.
///
/// # Errors
/// [`FileError`], naming the first path that cannot be read.
pub fn find(paths: &[PathBuf], endings: &[&str]) -> Result<Vec<PathBuf>, FileError> {
    let mut out = Vec::new();
    for path in paths {
        let failed = |source| FileError { path: path.clone(), source };
        if std::fs::metadata(path).map_err(failed)?.is_dir() {
            walk(path, endings, 0, &mut out)?;
        } else {
            out.push(path.clone());
        }
    }
    Ok(out)
}

fn walk(
    folder: &Path,
    endings: &[&str],
    depth: usize,
    out: &mut Vec<PathBuf>,
) -> Result<(), FileError> {
    let failed = |source| FileError { path: folder.to_owned(), source };
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        entries.push(entry.map_err(failed)?.path());
    }
    entries.sort();
    for path in entries {
        if path.is_dir() {
            if depth < MAX_DEPTH {
                walk(&path, endings, depth.saturating_add(1), out)?;
            }
        } else if path.extension().and_then(|e| e.to_str()).is_some_and(|e| endings.contains(&e)) {
            out.push(path);
        }
    }
    Ok(())
}

/// Name and content of each file; invalid UTF-8 is replaced.
///
/// # Errors
/// [`FileError`], also when a file is larger than 64 MiB.
pub fn read(paths: &[PathBuf]) -> Result<Vec<(String, String)>, FileError> {
    let read = |path: &PathBuf| {
        let failed = |source| FileError { path: path.clone(), source };
        if std::fs::metadata(path).map_err(failed)?.len() > MAX_FILE {
            return Err(failed(io::Error::other("larger than 64 MiB")));
        }
        let bytes = std::fs::read(path).map_err(failed)?;
        Ok((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()))
    };
    paths.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_searched_and_named_files_taken() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b/x.yml", "a.yml", "a.txt", "b/c/y.yaml"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        let paths = [folder.path().to_owned(), folder.path().join("a.txt")];
        let found = find(&paths, &["yml", "yaml"]).unwrap();
        let texts: Vec<_> = read(&found).unwrap().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["a.yml", "b/c/y.yaml", "b/x.yml", "a.txt"]);
        assert_eq!(find(&[], &["yml"]).unwrap(), Vec::<PathBuf>::new());
        assert_eq!(find(&paths[..1], &["YML"]).unwrap(), Vec::<PathBuf>::new());
        let error = find(&["/no/such".into()], &[]).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /no/such");
    }

    #[test]
    fn depth_and_size_have_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut deep = folder.path().to_owned();
        for level in 0..=MAX_DEPTH + 1 {
            std::fs::write(deep.join(format!("{level:02}.yml")), "x").unwrap();
            deep.push("d");
            std::fs::create_dir(&deep).unwrap();
        }
        let found = find(&[folder.path().to_owned()], &["yml"]).unwrap();
        assert_eq!(found.len(), MAX_DEPTH + 1, "{found:?}");

        let path = folder.path().join("large");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(MAX_FILE + 1).unwrap();
        let error = read(std::slice::from_ref(&path)).unwrap_err();
        let expected = format!("cannot read {}: larger than 64 MiB", path.display());
        assert_eq!(crate::causes(&error), expected);
        std::fs::write(&path, b"a\xffb").unwrap();
        assert_eq!(read(&[path]).unwrap()[0].1, "a\u{fffd}b");
    }
}
