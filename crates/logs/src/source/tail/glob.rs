//! Path patterns: `*` and `?` within one component, `**` for any number of folders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Most paths one pattern may stand for.
const MAX_PATHS: usize = 8192;
/// Deepest nesting that `**` goes into.
const MAX_DEPTH: usize = 16;

/// What a pattern stands for now.
#[derive(Debug, Default)]
pub(in crate::source) struct Expanded {
    /// The existing paths that match, sorted.
    pub(in crate::source) paths: Vec<PathBuf>,
    /// Folders in which a further match would appear.
    pub(in crate::source) folders: BTreeSet<PathBuf>,
}

/// Looks on the disk. A pattern without wildcards stands for itself if it exists.
pub(in crate::source) fn expand(pattern: &str) -> Expanded {
    let root = if pattern.starts_with('/') { "/" } else { "." };
    let mut paths = vec![PathBuf::from(root)];
    let mut folders = BTreeSet::new();
    let mut components = pattern.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(component) = components.next() {
        let last = components.peek().is_none();
        let mut next = Vec::new();
        for base in &paths {
            if component == "**" {
                below(base, 0, &mut next);
            } else if component.contains(['*', '?']) {
                folders.insert(base.clone());
                next.extend(children(base, component));
            } else {
                if last {
                    folders.insert(base.clone());
                }
                let path = base.join(component);
                if path.symlink_metadata().is_ok() {
                    next.push(path);
                }
            }
            next.truncate(MAX_PATHS);
        }
        paths = next;
    }
    paths.sort();
    paths.dedup();
    folders.retain(|folder| folder.is_dir());
    Expanded { paths, folders }
}

/// A folder and all folders below it; links are not followed, hidden ones are left out.
fn below(base: &Path, depth: usize, out: &mut Vec<PathBuf>) {
    if out.len() >= MAX_PATHS {
        return;
    }
    out.push(base.to_owned());
    if depth >= MAX_DEPTH {
        return;
    }
    let Ok(entries) = std::fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let hidden = entry.file_name().as_encoded_bytes().first() == Some(&b'.');
        if !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&entry.path(), depth.saturating_add(1), out);
        }
    }
}

fn children(base: &Path, pattern: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(base) else { return Vec::new() };
    let matching = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        let hidden = name.as_encoded_bytes().first() == Some(&b'.');
        (!hidden || pattern.starts_with('.'))
            && matches(pattern.as_bytes(), name.as_encoded_bytes())
    });
    matching.map(|entry| entry.path()).take(MAX_PATHS).collect()
}

/// Whether a path is one of those a pattern stands for; without `/` in it the pattern is about the name.
pub(in crate::source) fn covers(pattern: &str, path: &Path) -> bool {
    if !pattern.contains('/') {
        let name = path.file_name().unwrap_or_default();
        return matches(pattern.as_bytes(), name.as_encoded_bytes());
    }
    let text = path.as_os_str().as_encoded_bytes();
    let parts: Vec<&[u8]> = text.split(|b| *b == b'/').filter(|part| !part.is_empty()).collect();
    let wanted: Vec<&[u8]> =
        pattern.split('/').filter(|part| !part.is_empty()).map(str::as_bytes).collect();
    follows(&wanted, &parts)
}

/// Components of a path or pattern.
type Parts<'a> = &'a [&'a [u8]];

/// Components against components; `**` takes any number of them, the first way back suffices as for `*`.
fn follows(pattern: Parts<'_>, path: Parts<'_>) -> bool {
    let (mut p, mut t) = (pattern, path);
    let mut retry: Option<(Parts<'_>, Parts<'_>)> = None;
    while let Some((part, rest)) = t.split_first() {
        match p.split_first() {
            Some((&b"**", after)) => {
                retry = Some((after, t));
                p = after;
                continue;
            }
            Some((wanted, after)) if matches(wanted, part) => {
                (p, t) = (after, rest);
                continue;
            }
            _ => {}
        }
        let Some((after, at)) = retry else { return false };
        let Some((_, next)) = at.split_first() else { return false };
        retry = Some((after, next));
        (p, t) = (after, next);
    }
    p.iter().all(|part| *part == b"**")
}

/// Whether `text` matches `pattern`; linear in practice, at worst quadratic.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (pattern, text);
    let mut retry: Option<(&[u8], &[u8])> = None;
    while let Some((byte, text_rest)) = t.split_first() {
        match p.split_first() {
            Some((b'*', rest)) => {
                retry = Some((rest, t));
                p = rest;
                continue;
            }
            Some((wanted, rest)) if *wanted == b'?' || wanted == byte => {
                (p, t) = (rest, text_rest);
                continue;
            }
            _ => {}
        }
        let Some((after_star, at)) = retry else { return false };
        let Some((_, next)) = at.split_first() else { return false };
        retry = Some((after_star, next));
        (p, t) = (after_star, next);
    }
    p.iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("*.log", "a.log", true),
            ("*.log", "a.log.1", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxbxx", false),
            ("*", "", true),
            ("?", "", false),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn hostile_patterns_end() {
        assert!(!matches("*a".repeat(200).as_bytes(), "a".repeat(150).as_bytes()));
    }

    #[test]
    fn paths() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().display().to_string();
        for name in ["a/x.log", "b/y.log", "b/z.txt", "b/.hidden.log"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let names = |pattern: &str| {
            let found = expand(&format!("{base}/{pattern}")).paths;
            let strip = |p: PathBuf| p.strip_prefix(folder.path()).unwrap().display().to_string();
            found.into_iter().map(strip).collect::<Vec<_>>()
        };
        assert_eq!(names("*/*.log"), ["a/x.log", "b/y.log"]);
        assert_eq!(names("b/z.txt"), ["b/z.txt"]);
        assert_eq!(names("c/*.log"), [""; 0]);
        assert_eq!(names("b/.*"), ["b/.hidden.log"]);
        assert_eq!(names("**/*.log"), ["a/x.log", "b/y.log"]);
        std::fs::create_dir_all(folder.path().join("a/deep/er")).unwrap();
        std::fs::write(folder.path().join("a/deep/er/w.log"), "").unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("a/loop")).unwrap();
        assert_eq!(names("**/?.log"), ["a/deep/er/w.log", "a/x.log", "b/y.log"]);
        let folders = expand(&format!("{base}/**/*.log")).folders;
        assert_eq!(folders.len(), 5, "{folders:?}");
    }

    #[test]
    fn exclusions() {
        for (pattern, path, expected) in [
            ("*.gz", "/var/log/a.log.gz", true),
            ("*.gz", "/var/log.gz/a.log", false),
            ("/var/log/private/*", "/var/log/private/x", true),
            ("/var/log/private/*", "/var/log/private/x/y", false),
            ("/var/**/y", "/var/log/private/x/y", true),
            ("/var/**/private/**", "/var/log/private/x/y", true),
            ("/var/**/**/**/z", "/var/log/private/x/y", false),
            ("**/debug*", "/a/b/debug.log", true),
        ] {
            assert_eq!(covers(pattern, Path::new(path)), expected, "{pattern} {path}");
        }
    }
}
