//! Path patterns: `*` and `?` within one component.

use std::path::{Path, PathBuf};

/// Most paths one pattern may stand for.
const MAX_PATHS: usize = 8192;

/// The existing paths that match, sorted. A pattern without wildcards stands for itself if it exists.
pub(super) fn expand(pattern: &str) -> Vec<PathBuf> {
    let root = if pattern.starts_with('/') { "/" } else { "." };
    let mut paths = vec![PathBuf::from(root)];
    for component in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for base in &paths {
            if component.contains(['*', '?']) {
                next.extend(children(base, component));
            } else {
                let path = base.join(component);
                if path.exists() {
                    next.push(path);
                }
            }
            next.truncate(MAX_PATHS);
        }
        paths = next;
    }
    paths.sort();
    paths
}

fn children(base: &Path, pattern: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(base) else { return Vec::new() };
    let matching = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        let hidden = name.as_encoded_bytes().first() == Some(&b'.');
        (!hidden || pattern.starts_with('.'))
            && matches(pattern.as_bytes(), name.as_encoded_bytes())
    });
    matching.map(|entry| entry.path()).collect()
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
            let found = expand(&format!("{base}/{pattern}"));
            let strip = |p: PathBuf| p.strip_prefix(folder.path()).unwrap().display().to_string();
            found.into_iter().map(strip).collect::<Vec<_>>()
        };
        assert_eq!(names("*/*.log"), ["a/x.log", "b/y.log"]);
        assert_eq!(names("b/z.txt"), ["b/z.txt"]);
        assert_eq!(names("c/*.log"), [""; 0]);
        assert_eq!(names("b/.*"), ["b/.hidden.log"]);
    }
}
