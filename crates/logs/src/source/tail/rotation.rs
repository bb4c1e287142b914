//! Names of rotated files: which names a file may have had before, or may get.

use std::path::Path;

use super::packed::Packing;

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Whether `path` is named as a copy of `original` is: its name with something that a rotation appends,
/// or puts before the ending.
pub(super) fn is_copy_of(path: &Path, original: &Path) -> bool {
    let (own, original) = (unpacked(path), name(original));
    let rest = own.strip_prefix(original).unwrap_or_default();
    !original.is_empty() && (is_mark(rest) || (own != original && base(path) == original))
}

/// Whether both may be names of one log before and after rotations and compression.
pub(super) fn is_related(path: &Path, original: &Path) -> bool {
    let (own, other) = (base(path), base(original));
    !own.is_empty() && own == other
}

/// Whether a file has the name of one that was rotated.
pub(super) fn is_rotated(path: &Path) -> bool {
    base(path) != name(path)
}

/// The name without the ending of a compression.
fn unpacked(path: &Path) -> &str {
    let name = name(path);
    match Packing::of(path) {
        Some(_) => name.rsplit_once('.').map_or(name, |(before, _)| before),
        None => name,
    }
}

/// What a rotation appends: `.1`, `-20261130`, `_2026-11-30T12:00:00Z`, `.old`.
fn is_mark(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(['.', '-', '_']) else { return text == "~" };
    let word = matches!(rest, "old" | "bak" | "save" | "copy" | "prev");
    word || (rest.starts_with(|c: char| c.is_ascii_digit())
        && rest.chars().all(|c| c.is_ascii_digit() || ".-_:TZ".contains(c)))
}

/// The name that a log has before any rotation: `app.log` for `app.log.2.gz` and `app-20261130.log`.
fn base(path: &Path) -> String {
    let name = unpacked(path);
    let stripped = |text: &str| {
        let mark =
            text.char_indices().find(|(at, _)| *at > 0 && text.get(*at..).is_some_and(is_mark));
        mark.and_then(|(at, _)| text.get(..at)).unwrap_or(text).to_owned()
    };
    let whole = stripped(name);
    match whole.rsplit_once('.') {
        Some((stem, ending)) if whole == name => format!("{}.{ending}", stripped(stem)),
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (path, original, copy, related) in [
            ("app.log.1", "app.log", true, true),
            ("app.log.2.gz", "app.log", true, true),
            ("app.log-20261130", "app.log", true, true),
            ("app.log_2026-11-30T12:00:00Z.zst", "app.log", true, true),
            ("app-20261130.log.xz", "app.log", true, true),
            ("app-20261130.log", "app-20261129.log", false, true),
            ("app.log.old", "app.log", true, true),
            ("app.log~", "app.log", true, true),
            ("app.log.3.gz", "app.log.2", false, true),
            ("app.log", "app.log", false, true),
            ("app.log.gz", "app.log", false, true),
            ("application.log", "app.log", false, false),
            ("app.log.worker", "app.log", false, false),
            ("other.log.1", "app.log", false, false),
            ("node-1.log", "node-2.log", false, true),
            (".1", "", false, false),
        ] {
            let (path, original) = (Path::new(path), Path::new(original));
            assert_eq!(is_copy_of(path, original), copy, "{path:?} {original:?}");
            assert_eq!(is_related(path, original), related, "{path:?} {original:?}");
        }
        assert!(is_rotated(Path::new("/x/app.log.1")) && is_rotated(Path::new("app-20261130.log")));
        assert!(!is_rotated(Path::new("/x/app.log")) && !is_rotated(Path::new("app")));
    }
}
