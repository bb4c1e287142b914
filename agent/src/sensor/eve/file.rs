//! `fileinfo` objects: files in transit.

use net::Direction;
use net::app::file::{File, FileState};
use net::app::http::{Body, Http};
use serde_json::Value;

use super::{Object, text};

/// The file in one direction of a transaction, when there is one.
pub(crate) fn of_http(http: &Http, dir: Direction, tx_id: u64) -> Option<Object> {
    let (body, headers) = match dir {
        Direction::ToServer => (&http.request.body, &http.request.headers),
        Direction::ToClient => (&http.response.body, &http.response.headers),
    };
    if body.data().is_empty() {
        return None;
    }
    let content_type = headers.get("content-type").unwrap_or_default();
    if dir == Direction::ToServer && content_type.starts_with(b"multipart/") {
        // Its parts are files, not the whole.
        return None;
    }
    let mut out = Object::new();
    let name = name(http, dir);
    if !name.is_empty() {
        out.insert("filename".into(), text(name));
    }
    out.insert("gaps".into(), body.has_gap().into());
    out.insert("state".into(), state(body));
    out.insert("stored".into(), false.into());
    out.insert("size".into(), body.data().len().into());
    out.insert("tx_id".into(), tx_id.into());
    Some(out)
}

/// A file of a transaction.
pub(crate) fn of(file: &File, tx_id: u64) -> Object {
    let mut out = Object::new();
    if !file.name.is_empty() {
        out.insert("filename".into(), text(&file.name));
    }
    out.insert("gaps".into(), file.has_gaps().into());
    let state = match file.state() {
        FileState::Closed => "CLOSED",
        FileState::Truncated => "TRUNCATED",
        FileState::Open => "UNKNOWN",
    };
    out.insert("state".into(), state.into());
    let digests = file.digests();
    if let Some(md5) = digests.md5 {
        out.insert("md5".into(), hex(&md5).into());
    }
    if let Some(sha1) = digests.sha1 {
        out.insert("sha1".into(), hex(&sha1).into());
    }
    if let Some(sha256) = digests.sha256 {
        out.insert("sha256".into(), hex(&sha256).into());
    }
    out.insert("stored".into(), false.into());
    out.insert("size".into(), file.size().into());
    out.insert("tx_id".into(), tx_id.into());
    out
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

fn state(body: &Body) -> Value {
    if body.is_truncated() || body.has_gap() { "TRUNCATED".into() } else { "CLOSED".into() }
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
