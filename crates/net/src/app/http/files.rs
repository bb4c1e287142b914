//! Bodies as files in transit: the whole body, or the parts of a form that have a file name.
//!
//! A body that is a file of its own is kept by [`super::Body`] already: its [`File`] only counts and hashes.

use super::super::file::{File, FileConfig};
use super::super::mime::{Piece, Splitter};
use super::super::{Record, Transaction};
use super::{Headers, Http};
use crate::flow::Direction;

/// What the body being read is.
#[derive(Debug, Default)]
pub(super) enum Shape {
    #[default]
    Unknown,
    Whole,
    /// Its parts; the newest of them is a file that is open.
    Form {
        splitter: Box<Splitter>,
        open: bool,
    },
}

impl Shape {
    fn of(http: &Http, dir: Direction) -> Self {
        if dir == Direction::ToClient {
            return Self::Whole;
        }
        match http.request.headers.get("content-type").and_then(Splitter::of) {
            Some(splitter) => Self::Form { splitter: Box::new(splitter), open: false },
            None => Self::Whole,
        }
    }

    /// Takes what the body has from `from` on into the transaction's files.
    pub(super) fn grow(
        &mut self,
        tx: &mut Transaction,
        dir: Direction,
        from: usize,
        config: &FileConfig,
    ) {
        let Transaction { record: Record::Http(http), files, .. } = tx else { return };
        let body = match dir {
            Direction::ToServer => &http.request.body,
            Direction::ToClient => &http.response.body,
        };
        let new = body.data().get(from..).unwrap_or_default();
        if matches!(self, Self::Unknown) {
            if new.is_empty() {
                return;
            }
            *self = Self::of(http, dir);
            if matches!(self, Self::Whole) {
                let config = FileConfig { keep: 0, ..*config };
                files.push(File::new(dir, http.file_name(dir), &config));
            }
        }
        match self {
            Self::Unknown => {}
            Self::Whole => {
                let Some(file) = files.iter_mut().rev().find(|file| file.dir == dir) else {
                    return;
                };
                file.append(new);
                if body.is_truncated() {
                    file.truncate();
                }
            }
            Self::Form { splitter, open } => {
                splitter.data(new, |piece| part(&piece, (files, open), dir, config));
            }
        }
    }

    /// The body has ended.
    pub(super) fn end(&mut self, tx: &mut Transaction, dir: Direction, config: &FileConfig) {
        match std::mem::take(self) {
            Self::Unknown => {}
            Self::Whole => {
                if let Some(file) = tx.files.iter_mut().rev().find(|file| file.dir == dir) {
                    file.close();
                }
            }
            Self::Form { mut splitter, mut open } => {
                let files = &mut tx.files;
                splitter.end(|piece| part(&piece, (files, &mut open), dir, config));
            }
        }
    }

    /// A part of the body was not seen.
    pub(super) fn gap(&self, tx: &mut Transaction, dir: Direction) {
        if !matches!(self, Self::Unknown)
            && let Some(file) = tx.files.iter_mut().rev().find(|file| file.dir == dir)
        {
            // The size is that of what was seen.
            file.gap(0);
        }
    }
}

fn part(
    piece: &Piece<'_>,
    state: (&mut Vec<File>, &mut bool),
    dir: Direction,
    config: &FileConfig,
) {
    let (files, open) = state;
    match piece {
        Piece::Begin(header) => {
            *open = !header.file_name.is_empty() && files.len() < config.per_transaction;
            if *open {
                files.push(File::new(dir, &header.file_name, config));
            }
        }
        Piece::Data(bytes) if *open => {
            if let Some(file) = files.last_mut() {
                file.append(bytes);
            }
        }
        Piece::Data(_) => {}
        Piece::End => {
            if std::mem::take(open)
                && let Some(file) = files.last_mut()
            {
                file.close();
            }
        }
    }
}

impl Http {
    /// The name of the file in one direction: that of its disposition, else the path.
    #[must_use]
    pub fn file_name(&self, dir: Direction) -> &[u8] {
        let headers: &Headers = match dir {
            Direction::ToServer => &self.request.headers,
            Direction::ToClient => &self.response.headers,
        };
        let named = headers.get("content-disposition").and_then(disposition_name);
        named.unwrap_or_else(|| path(&self.request.uri))
    }
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
