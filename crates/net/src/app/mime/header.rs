//! Header fields of messages and parts, and the parameters of their values (RFC 2045, 2183, 2231).

use super::decode::{Encoding, hex};
use super::{Events, LONG_BOUNDARY, LONG_HEADER_NAME, MAX_FILE_NAME, MAX_HEADERS, note};

/// One header field, its lines joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Name as sent.
    pub name: Vec<u8>,
    /// Value without surrounding white space; the line breaks of a folded one are gone.
    pub value: Vec<u8>,
}

/// What the header of a part says about its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartHeader {
    /// Media type in lower case, without parameters; empty when it is not told.
    pub media: Vec<u8>,
    /// Boundary of a multipart.
    pub boundary: Vec<u8>,
    /// `name` of the disposition (a form field).
    pub field: Vec<u8>,
    /// File name of the disposition, else of the content type; at most 255 bytes.
    pub file_name: Vec<u8>,
    /// The disposition says that it is an attachment.
    pub attachment: bool,
    pub(super) encoding: Encoding,
}

/// Collects header fields line by line.
#[derive(Debug, Default)]
pub(super) struct Collector {
    pub(super) fields: Vec<Header>,
    /// Bytes of values kept.
    limit: usize,
}

impl Collector {
    pub(super) fn new(limit: usize) -> Self {
        Self { fields: Vec::new(), limit }
    }

    /// Takes in a line that is not empty. False when it is no header field.
    pub(super) fn line(&mut self, line: &[u8], events: &mut Events) -> bool {
        if let [b' ' | b'\t', rest @ ..] = line {
            let Some(last) = self.fields.last_mut() else { return true };
            extend(&mut last.value, rest.trim_ascii_end(), self.limit, events);
            return true;
        }
        let Some(colon) = memchr::memchr(b':', line) else { return false };
        let (name, rest) = line.split_at_checked(colon).unwrap_or((line, &[]));
        if name.len() > LONG_HEADER_NAME {
            note(events, "mime_long_header_name");
        }
        let name = name.get(..LONG_HEADER_NAME.saturating_mul(4)).unwrap_or(name).trim_ascii();
        if self.fields.len() >= MAX_HEADERS {
            note(events, "mime_malformed_msg");
            return true;
        }
        let mut field = Header { name: name.to_vec(), value: Vec::new() };
        let value = rest.get(1..).unwrap_or_default().trim_ascii();
        extend(&mut field.value, value, self.limit, events);
        self.fields.push(field);
        true
    }

    /// What they say about the content.
    pub(super) fn part(&self, events: &mut Events) -> PartHeader {
        let mut part = PartHeader::default();
        let mut type_name = Vec::new();
        for field in &self.fields {
            if field.name.eq_ignore_ascii_case(b"content-type") {
                part.media = head(&field.value);
                part.boundary = parameter(&field.value, "boundary").unwrap_or_default();
                type_name = parameter(&field.value, "name").unwrap_or_default();
            } else if field.name.eq_ignore_ascii_case(b"content-disposition") {
                part.attachment = head(&field.value) == b"attachment";
                part.field = parameter(&field.value, "name").unwrap_or_default();
                part.file_name = parameter(&field.value, "filename").unwrap_or_default();
            } else if field.name.eq_ignore_ascii_case(b"content-transfer-encoding") {
                part.encoding = Encoding::named(&field.value);
            }
        }
        if part.file_name.is_empty() {
            part.file_name = type_name;
        }
        if part.file_name.len() > MAX_FILE_NAME {
            note(events, "mime_long_filename");
            part.file_name.truncate(MAX_FILE_NAME);
        }
        if part.boundary.len() > LONG_BOUNDARY {
            note(events, "mime_long_boundary");
        }
        part
    }
}

fn extend(value: &mut Vec<u8>, more: &[u8], limit: usize, events: &mut Events) {
    let room = limit.saturating_sub(value.len());
    if more.len() > room {
        note(events, "mime_long_header_value");
    }
    value.extend_from_slice(more.get(..room).unwrap_or(more));
}

/// A value up to its parameters, in lower case.
fn head(value: &[u8]) -> Vec<u8> {
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    value.get(..end).unwrap_or(value).trim_ascii().to_ascii_lowercase()
}

/// Pieces of a parameter that is sent in several (RFC 2231 section 3).
const MAX_PIECES: usize = 64;

/// A parameter of a header value: `name=value`, `name="value"`, `name*=charset'language'value`, or the
/// pieces `name*0=`, `name*1*=` and so on joined in the order of their numbers.
pub(super) fn parameter(value: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut plain = None;
    let mut extended = None;
    let mut pieces: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut rest = value;
    while let Some(at) = memchr::memchr2(b';', b'"', rest) {
        let (found, tail) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        if tail.first() == Some(&b'"') {
            // A quoted string outside of a parameter: passed over, it may hold anything.
            let _ = found;
            rest = quoted(tail).1;
            continue;
        }
        let tail = tail.get(1..).unwrap_or_default().trim_ascii_start();
        let Some(equals) = tail.iter().position(|b| matches!(b, b'=' | b';')) else { break };
        let (key, tail) = tail.split_at_checked(equals).unwrap_or((tail, &[]));
        rest = tail;
        if tail.first() != Some(&b'=') {
            continue;
        }
        let tail = tail.get(1..).unwrap_or_default().trim_ascii_start();
        let (content, tail) = if tail.first() == Some(&b'"') { quoted(tail) } else { token(tail) };
        rest = tail;
        let Some(suffix) = strip(key.trim_ascii_end(), name) else { continue };
        match suffix {
            [] => {
                plain.get_or_insert(content);
            }
            [b'*'] => {
                extended.get_or_insert_with(|| percent(charset_off(&content)));
            }
            [b'*', number @ ..] => {
                let (number, encoded) =
                    number.strip_suffix(b"*").map_or((number, false), |number| (number, true));
                let number = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
                let Some(number) = number.filter(|_| pieces.len() < MAX_PIECES) else { continue };
                let content = match (encoded, number) {
                    (true, 0) => percent(charset_off(&content)),
                    (true, _) => percent(&content),
                    (false, _) => content,
                };
                pieces.push((number, content));
            }
            _ => {}
        }
    }
    if !pieces.is_empty() {
        pieces.sort_by_key(|(number, _)| *number);
        return Some(pieces.into_iter().flat_map(|(_, content)| content).collect());
    }
    extended.or(plain)
}

/// What follows the name in a key, whatever its case.
fn strip<'a>(key: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (head, rest) = key.split_at_checked(name.len())?;
    head.eq_ignore_ascii_case(name.as_bytes()).then_some(rest)
}

/// A quoted string with its escapes undone, and what follows it. One without end goes to the end.
fn quoted(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut out = Vec::new();
    let mut rest = text.get(1..).unwrap_or_default();
    loop {
        match rest {
            [] => return (out, rest),
            [b'"', tail @ ..] => return (out, tail),
            [b'\\', escaped @ (b'"' | b'\\'), tail @ ..] => {
                out.push(*escaped);
                rest = tail;
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
}

fn token(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let end = memchr::memchr(b';', text).unwrap_or(text.len());
    let (token, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    (token.trim_ascii_end().to_vec(), rest)
}

/// The value of an extended parameter without `charset'language'`.
fn charset_off(value: &[u8]) -> &[u8] {
    let mut quotes = memchr::memchr_iter(b'\'', value);
    let (_, second) = (quotes.next(), quotes.next());
    second.and_then(|at| value.get(at.saturating_add(1)..)).unwrap_or(value)
}

fn percent(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [byte, tail @ ..] = rest {
        match rest {
            [b'%', high, low, tail @ ..] if hex(*high).is_some() && hex(*low).is_some() => {
                out.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                rest = tail;
            }
            _ => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_in_all_their_forms() {
        for (value, name, expected) in [
            (r#"text/plain; name=a.txt"#, "name", Some("a.txt")),
            (r#"text/plain; NAME="a b.txt" ; x=y"#, "name", Some("a b.txt")),
            (r#"text/plain; name="a\"b;c.txt""#, "name", Some("a\"b;c.txt")),
            (r#"text/plain; x="; name=wrong"; name=right"#, "name", Some("right")),
            (r#"attachment; filename*=UTF-8'en'a%20b.txt"#, "filename", Some("a b.txt")),
            (
                r#"a; filename*0="one "; filename*1="two"; filename*2=".txt""#,
                "filename",
                Some("one two.txt"),
            ),
            (r#"a; filename*1="two"; filename*0*=utf-8''%41"#, "filename", Some("Atwo")),
            (r#"a; filename=plain; filename*=''better"#, "filename", Some("better")),
            (r#"a; filename="no end"#, "filename", Some("no end")),
            (r#"a; filename"#, "filename", None),
            (r#"a; filenamex=1; y"#, "filename", None),
            (r#"multipart/mixed;boundary=b"#, "boundary", Some("b")),
            ("", "x", None),
            (";;;=;", "x", None),
        ] {
            let found = parameter(value.as_bytes(), name);
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{value}");
        }
    }

    #[test]
    fn fields_are_joined_and_bounded() {
        let (mut fields, mut events) = (Collector::new(16), Events::new());
        assert!(fields.line(b"Received: from a", &mut events));
        assert!(fields.line(b"\tby b", &mut events));
        assert!(fields.line(b"X-Empty:", &mut events));
        assert!(!fields.line(b"no colon", &mut events));
        assert!(events.is_empty());
        assert!(fields.line(b"Long: 0123456789abcdefg", &mut events));
        assert_eq!(events, ["mime_long_header_value"]);
        let values: Vec<&[u8]> = fields.fields.iter().map(|f| f.value.as_slice()).collect();
        assert_eq!(values, [&b"from aby b"[..], b"", b"0123456789abcdef"]);
        for _ in 0..2 * MAX_HEADERS {
            fields.line(b"A: b", &mut events);
        }
        assert_eq!(fields.fields.len(), MAX_HEADERS);
    }
}
