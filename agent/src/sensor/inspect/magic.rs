//! Types of files told by their first bytes: those that have an unmistakable beginning.
//!
//! Descriptions begin as `file(1)` writes them. A rule that asks for a description that is not here, or for
//! more of one than its beginning, is refused when it is loaded.

/// Bytes that tell the type.
const ENOUGH: usize = 16;

/// Beginnings and what they are.
const TYPES: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "PNG image data"),
    (b"\xff\xd8\xff", "JPEG image data"),
    (b"GIF87a", "GIF image data, version 87a"),
    (b"GIF89a", "GIF image data, version 89a"),
    (b"%PDF-", "PDF document"),
    (b"\x7fELF", "ELF"),
    (b"\x1f\x8b\x08", "gzip compressed data"),
    (b"BZh", "bzip2 compressed data"),
    (b"7z\xbc\xaf\x27\x1c", "7-zip archive data"),
    (b"Rar!\x1a\x07", "RAR archive data"),
    (b"\xfd7zXZ\0", "XZ compressed data"),
    (b"{\\rtf", "Rich Text Format data"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Composite Document File V2 Document"),
];

/// Every description there is.
pub(crate) const DESCRIPTIONS: &[&str] = &[
    "PNG image data",
    "JPEG image data",
    "GIF image data, version 87a",
    "GIF image data, version 89a",
    "PDF document",
    "ELF",
    "gzip compressed data",
    "bzip2 compressed data",
    "7-zip archive data",
    "RAR archive data",
    "XZ compressed data",
    "Rich Text Format data",
    "Composite Document File V2 Document",
];

/// What a file is that begins so; empty when it is none of these, `None` while it is not known.
pub(super) fn of(head: &[u8], complete: bool) -> Option<&'static str> {
    let known = TYPES.iter().find(|(begin, _)| head.starts_with(begin)).map(|(_, name)| *name);
    known.or_else(|| (complete || head.len() >= ENOUGH).then_some(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_tell_types() {
        for (head, complete, expected) in [
            (&b"%PDF-1.7"[..], false, Some("PDF document")),
            (b"%PD", false, None),
            (b"%PD", true, Some("")),
            (b"0123456789abcdef", false, Some("")),
        ] {
            assert_eq!(of(head, complete), expected);
        }
        let names: Vec<&str> = TYPES.iter().map(|(_, name)| *name).collect();
        assert_eq!(names, DESCRIPTIONS);
    }
}
