//! `fileinfo` objects: files in transit.

use net::Direction;
use net::app::file::{File, FileState};
use net::app::http::{Body, Http};

use super::fields::Fields;

/// The body that is a file in one direction of a transaction, when there is one.
pub(crate) fn body_of(http: &Http, dir: Direction) -> Option<&Body> {
    let (body, headers) = match dir {
        Direction::ToServer => (&http.request.body, &http.request.headers),
        Direction::ToClient => (&http.response.body, &http.response.headers),
    };
    if body.data().is_empty() {
        return None;
    }
    let content_type = headers.get("content-type").unwrap_or_default();
    // The parts of a form are files, not the whole.
    (dir == Direction::ToClient || !content_type.starts_with(b"multipart/")).then_some(body)
}

/// A body as a file.
pub(crate) fn of_http<F: Fields>(out: &mut F, name: &[u8], body: &Body, tx_id: u64) {
    if !name.is_empty() {
        out.bytes("filename", name);
    }
    out.boolean("gaps", body.has_gap());
    let whole = !body.is_truncated() && !body.has_gap();
    out.text("state", if whole { "CLOSED" } else { "TRUNCATED" });
    out.boolean("stored", false);
    out.number("size", u64::try_from(body.data().len()).unwrap_or(u64::MAX));
    out.number("tx_id", tx_id);
}

/// A file of a transaction.
pub(crate) fn of<F: Fields>(out: &mut F, file: &File, tx_id: u64) {
    if !file.name.is_empty() {
        out.bytes("filename", &file.name);
    }
    out.boolean("gaps", file.has_gaps());
    let state = match file.state() {
        FileState::Closed => "CLOSED",
        FileState::Truncated => "TRUNCATED",
        FileState::Open => "UNKNOWN",
    };
    out.text("state", state);
    let digests = file.digests();
    if let Some(md5) = digests.md5 {
        out.text("md5", &hex(&md5));
    }
    if let Some(sha1) = digests.sha1 {
        out.text("sha1", &hex(&sha1));
    }
    if let Some(sha256) = digests.sha256 {
        out.text("sha256", &hex(&sha256));
    }
    out.boolean("stored", false);
    out.number("size", file.size());
    out.number("tx_id", tx_id);
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(nibble), 16));
        }
        text
    })
}

/// The name of the file in one direction: that of its disposition, else the path.
pub(crate) fn name(http: &Http, dir: Direction) -> &[u8] {
    let headers = match dir {
        Direction::ToServer => &http.request.headers,
        Direction::ToClient => &http.response.headers,
    };
    let named = headers.get("content-disposition").and_then(disposition_name);
    named.unwrap_or_else(|| path(&http.request.uri))
}

fn path(uri: &[u8]) -> &[u8] {
    let end = uri.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(uri.len());
    uri.get(..end).unwrap_or(uri)
}

/// `filename="..."` of a Content-Disposition (RFC 6266).
fn disposition_name(value: &[u8]) -> Option<&[u8]> {
    let at = value.windows(9).position(|w| w.eq_ignore_ascii_case(b"filename="))?;
    let rest = value.get(at.saturating_add(9)..)?;
    if let Some(quoted) = rest.strip_prefix(b"\"") {
        let end = quoted.iter().position(|b| *b == b'"')?;
        return quoted.get(..end);
    }
    let end = rest.iter().position(|b| *b == b';').unwrap_or(rest.len());
    rest.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_attachments() {
        let name =
            |v: &'static str| disposition_name(v.as_bytes()).map(|n| n.escape_ascii().to_string());
        assert_eq!(name("attachment; filename=\"a b.exe\"; x=1").unwrap(), "a b.exe");
        assert_eq!(name("attachment; FileName=x.zip").unwrap(), "x.zip");
        assert_eq!(name("inline"), None);
        assert_eq!(path(b"/a/b?c=/d"), b"/a/b");
    }
}
