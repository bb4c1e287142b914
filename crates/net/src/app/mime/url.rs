//! Links in text.

use super::MAX_URLS;

/// Schemes that can be looked for, in the order in which they are by default.
const KNOWN: &[(u32, &str)] = &[
    (1, "http"),
    (1 << 1, "https"),
    (1 << 2, "ftp"),
    (1 << 3, "mailto"),
    (1 << 4, "ftps"),
    (1 << 5, "sftp"),
    (1 << 6, "ssh"),
    (1 << 7, "file"),
    (1 << 8, "smb"),
    (1 << 9, "ldap"),
    (1 << 10, "telnet"),
    (1 << 11, "ws"),
    (1 << 12, "wss"),
];

/// Bytes kept of a link.
const MAX_URL: usize = 2048;
/// Bytes of a line that are searched as one.
const MAX_LINE: usize = 4096;

/// A set of schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schemes(u32);

impl Schemes {
    /// No scheme: no links are looked for.
    pub const NONE: Self = Self(0);
    /// `http` alone.
    pub const HTTP: Self = Self(1);

    /// The set of these names, or the first name that is not known.
    ///
    /// # Errors
    /// The name that is not known.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut set = 0;
        for name in names {
            let known = KNOWN.iter().find(|(_, known)| known.eq_ignore_ascii_case(name));
            set |= known.ok_or(name)?.0;
        }
        Ok(Self(set))
    }

    /// True when nothing is looked for.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Collects links from text that comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Finder {
    /// A line that has not ended.
    line: Vec<u8>,
}

impl Finder {
    /// Takes in text; a link may go on in the next piece, unless a line ends between them.
    pub(super) fn push(&mut self, text: &[u8], how: (Schemes, bool), urls: &mut Vec<Vec<u8>>) {
        for piece in text.split_inclusive(|b| *b == b'\n') {
            let ended = piece.last() == Some(&b'\n');
            if ended && self.line.is_empty() {
                search(piece, how, urls);
                continue;
            }
            self.line.extend_from_slice(piece);
            if ended || self.line.len() > MAX_LINE {
                self.flush(how, urls);
            }
        }
    }

    /// The text ends here.
    pub(super) fn flush(&mut self, how: (Schemes, bool), urls: &mut Vec<Vec<u8>>) {
        search(&self.line, how, urls);
        self.line.clear();
    }
}

/// Links of one line, scheme by scheme.
fn search(line: &[u8], (schemes, keep_scheme): (Schemes, bool), urls: &mut Vec<Vec<u8>>) {
    // Every link has `://`: most lines have none and are done with here.
    let marks = || memchr::memmem::find_iter(line, b"://");
    if marks().next().is_none() {
        return;
    }
    for (_, scheme) in KNOWN.iter().filter(|(bit, _)| schemes.0 & bit != 0) {
        for mark in marks() {
            let Some(start) = mark.checked_sub(scheme.len()) else { continue };
            let before = line.get(start..mark).unwrap_or_default();
            if !before.eq_ignore_ascii_case(scheme.as_bytes()) {
                continue;
            }
            let rest = line.get(mark.saturating_add(3)..).unwrap_or_default();
            let end = rest.iter().position(|b| !is_url_byte(*b)).unwrap_or(rest.len());
            let rest = rest.get(..end.min(MAX_URL)).unwrap_or(rest);
            if rest.is_empty() || urls.len() >= MAX_URLS {
                continue;
            }
            let mut url = Vec::new();
            if keep_scheme {
                url.extend_from_slice(scheme.as_bytes());
                url.extend_from_slice(b"://");
            }
            url.extend_from_slice(rest);
            url.make_ascii_lowercase();
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
    }
}

/// Bytes of a link (RFC 3986 section 2).
fn is_url_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pieces: &[&str], schemes: &str, keep: bool) -> Vec<String> {
        let how = (Schemes::named(schemes.split(',')).unwrap(), keep);
        let (mut finder, mut urls) = (Finder::default(), Vec::new());
        for piece in pieces {
            finder.push(piece.as_bytes(), how, &mut urls);
        }
        finder.flush(how, &mut urls);
        urls.iter().map(|url| url.escape_ascii().to_string()).collect()
    }

    #[test]
    fn links_in_text() {
        for (text, schemes, keep, expected) in [
            ("see HTTP://A.Example/X?y now", "http", false, &["a.example/x?y"][..]),
            ("see http://a/ http://b/ http://a/", "http", true, &["http://a/", "http://b/"]),
            ("<a href=\"https://x/\">", "http", false, &[]),
            ("<a href=\"https://x/\">", "http,https", true, &["https://x/"]),
            (
                "ftp://one https://two\nhttp://three",
                "http,https,ftp",
                true,
                &["https://two", "ftp://one", "http://three"],
            ),
            ("http:// nothing", "http", false, &[]),
            ("://http://", "http", false, &[]),
        ] {
            assert_eq!(find(&[text], schemes, keep), expected, "{text}");
            let cut: Vec<String> = text.chars().map(String::from).collect();
            let cut: Vec<&str> = cut.iter().map(String::as_str).collect();
            assert_eq!(find(&cut, schemes, keep), expected, "{text} in pieces");
        }
    }

    #[test]
    fn unknown_schemes_are_named_and_lines_are_bounded() {
        assert_eq!(Schemes::named(["http", "gopher9"]), Err("gopher9"));
        let mut finder = Finder::default();
        let mut urls = Vec::new();
        for _ in 0..100 {
            finder.push(&[b'a'; 1000], (Schemes::HTTP, false), &mut urls);
            assert!(finder.line.len() <= MAX_LINE + 1000);
        }
        let many: String = (0..2 * MAX_URLS).map(|n| format!("http://x/{n} ")).collect();
        finder.push(many.as_bytes(), (Schemes::HTTP, false), &mut urls);
        assert!(urls.len() <= MAX_URLS);
    }
}
