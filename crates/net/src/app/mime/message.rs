//! A message and everything within it, as its bytes stream by.

use md5::{Digest, Md5};

use super::decode::{Base64, Encoding, quoted_printable};
use super::feed::{Feed, Piece};
use super::header::{Collector, Header, PartHeader};
use super::url::Finder;
use super::{Config, LONG_ENCODED_LINE, LONG_LINE, MAX_ATTACHMENTS, MAX_DEPTH, note};
use crate::app::file::{File, FileConfig};
use crate::flow::Direction;

/// How far a message was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nothing of it was seen.
    #[default]
    Empty,
    /// Within its header.
    Header,
    /// Within its body.
    Body,
    /// To its end.
    Done,
}

/// What is kept of a message.
#[derive(Debug, Default)]
pub struct Mail {
    /// How far it was read.
    pub status: Status,
    /// Header fields of the outermost message, in order.
    pub headers: Vec<Header>,
    /// Links in its text, in lower case.
    pub urls: Vec<Vec<u8>>,
    /// Names of its attachments.
    pub attachments: Vec<Vec<u8>>,
    /// MD5 over its body as sent; when configured.
    pub body_md5: Option<[u8; 16]>,
}

impl Mail {
    /// Values of the fields of that name, which is compared without case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let wanted = move |field: &&Header| field.name.eq_ignore_ascii_case(name.as_bytes());
        self.headers.iter().filter(wanted).map(|field| field.value.as_slice())
    }

    /// Value of the first field of that name.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        let found = self.headers.iter().find(|f| f.name.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|field| field.value.as_slice())
    }

    /// MD5 over the value of its subject.
    #[must_use]
    pub fn subject_md5(&self) -> Option<[u8; 16]> {
        self.first("subject").map(|subject| Md5::digest(subject).into())
    }

    /// True when its header was read to the end.
    #[must_use]
    pub fn has_header(&self) -> bool {
        matches!(self.status, Status::Body | Status::Done)
    }
}

/// Where what the parser finds goes.
#[derive(Debug)]
pub struct Out<'a> {
    /// The message.
    pub mail: &'a mut Mail,
    /// Its attachments.
    pub files: &'a mut Vec<File>,
    /// What is wrong with it.
    pub events: &'a mut Vec<&'static str>,
}

/// A part that is neither a multipart nor a message.
#[derive(Debug, Default)]
struct Leaf {
    encoding: Encoding,
    base64: Base64,
    /// Its place among the files.
    file: Option<usize>,
    /// Links are looked for in it.
    is_text: bool,
    /// End of the last line: belongs to a boundary, should one follow (RFC 2046 section 5.1.1).
    newline: &'static [u8],
}

#[derive(Debug)]
enum Place {
    Header(Collector),
    Body(Leaf),
    /// Before the first, or after the last part of a multipart.
    Between,
}

/// Reads one message.
#[derive(Debug)]
pub struct Parser {
    config: Config,
    files: FileConfig,
    dir: Direction,
    feed: Feed,
    /// Boundaries of the multiparts around the current place, the outermost first.
    boundaries: Vec<Vec<u8>>,
    place: Place,
    /// The header under way is that of the outermost message.
    outermost: bool,
    finder: Finder,
    md5: Option<Md5>,
    scratch: Vec<u8>,
}

impl Parser {
    /// A parser of a message that goes in a direction.
    #[must_use]
    pub fn new(dir: Direction, config: &Config, files: &FileConfig) -> Self {
        Self {
            config: *config,
            files: *files,
            dir,
            feed: Feed::default(),
            boundaries: Vec::new(),
            place: Place::Header(Collector::new(config.header_value)),
            outermost: true,
            finder: Finder::default(),
            md5: None,
            scratch: Vec::new(),
        }
    }

    /// Takes in the next bytes.
    pub fn data(&mut self, bytes: &[u8], out: &mut Out<'_>) {
        if out.mail.status == Status::Empty {
            out.mail.status = Status::Header;
        }
        let mut feed = std::mem::take(&mut self.feed);
        let mut input = bytes;
        while let Some(piece) = feed.next(&mut input) {
            self.piece(piece, out);
        }
        self.feed = feed;
    }

    /// Bytes that were sent at the beginning of a line, and do not belong to the message.
    pub fn left_out(&mut self, bytes: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
    }

    /// That many bytes are missing.
    pub fn gap(&mut self, missing: u64, out: &mut Out<'_>) {
        self.feed.lose();
        if let Place::Body(Leaf { file: Some(at), .. }) = &self.place
            && let Some(file) = out.files.get_mut(*at)
        {
            file.gap(missing);
        }
    }

    /// The message ends here.
    pub fn end(&mut self, out: &mut Out<'_>) {
        let mut feed = std::mem::take(&mut self.feed);
        if let Some(piece) = feed.rest() {
            self.piece(piece, out);
        }
        if let Place::Header(_) = &self.place {
            self.header_done(out);
        }
        self.leaf_done(out);
        out.mail.body_md5 = self.md5.take().map(|md5| md5.finalize().into());
        out.mail.status = Status::Done;
    }

    fn piece(&mut self, piece: Piece<'_>, out: &mut Out<'_>) {
        if piece.text.len() > LONG_LINE {
            note(out.events, "mime_long_line");
        }
        if let Some(md5) = &mut self.md5 {
            md5.update(piece.text);
            md5.update(piece.end);
        }
        if piece.fresh && self.boundary(piece.text, out) {
            return;
        }
        match &mut self.place {
            Place::Header(_) if piece.text.is_empty() && piece.fresh => self.header_done(out),
            Place::Header(fields) => {
                if piece.fresh && !fields.line(piece.text, out.events) {
                    note(out.events, "mime_malformed_msg");
                }
            }
            Place::Body(_) => self.body(piece, out),
            Place::Between => {}
        }
    }

    /// Looks whether a line is a boundary of one of the multiparts around; it then ends all within.
    fn boundary(&mut self, line: &[u8], out: &mut Out<'_>) -> bool {
        let Some(rest) = line.strip_prefix(b"--") else { return false };
        let Some((level, last)) = which(&self.boundaries, rest) else { return false };
        if let Place::Header(_) = &self.place {
            self.header_done(out);
        }
        self.leaf_done(out);
        self.boundaries.truncate(if last { level } else { level.saturating_add(1) });
        self.place = if last {
            Place::Between
        } else {
            Place::Header(Collector::new(self.config.header_value))
        };
        true
    }

    fn header_done(&mut self, out: &mut Out<'_>) {
        let place = std::mem::replace(&mut self.place, Place::Between);
        let Place::Header(fields) = place else { return };
        let part = fields.part(out.events);
        if std::mem::take(&mut self.outermost) {
            out.mail.headers = fields.fields;
            out.mail.status = Status::Body;
            self.md5 = self.config.body_md5.then(Md5::new);
        }
        if part.media.starts_with(b"multipart/") && !part.boundary.is_empty() {
            if self.boundaries.len() >= MAX_DEPTH {
                note(out.events, "mime_malformed_msg");
            } else {
                self.boundaries.push(part.boundary);
            }
            return;
        }
        self.place = if part.media == b"message/rfc822" {
            // It may not be encoded (RFC 2046 section 5.2.1), whatever its header says.
            Place::Header(Collector::new(self.config.header_value))
        } else {
            Place::Body(self.leaf(&part, out))
        };
    }

    fn leaf(&self, part: &PartHeader, out: &mut Out<'_>) -> Leaf {
        let is_file = part.attachment || !part.file_name.is_empty();
        let is_text = part.media.is_empty() || part.media.starts_with(b"text/");
        let mut leaf = Leaf {
            encoding: part.encoding,
            is_text: is_text && !is_file && !self.config.schemes.is_empty(),
            ..Leaf::default()
        };
        if !is_file {
            return leaf;
        }
        if !part.file_name.is_empty() && out.mail.attachments.len() < MAX_ATTACHMENTS {
            out.mail.attachments.push(part.file_name.clone());
        }
        if out.files.len() < self.files.per_transaction {
            leaf.file = Some(out.files.len());
            out.files.push(File::new(self.dir, &part.file_name, &self.files));
        } else {
            note(out.events, "mime_too_many_files");
        }
        leaf
    }

    fn body(&mut self, piece: Piece<'_>, out: &mut Out<'_>) {
        let Place::Body(leaf) = &mut self.place else { return };
        if leaf.file.is_none() && !leaf.is_text {
            return;
        }
        if leaf.encoding != Encoding::Plain && piece.text.len() > LONG_ENCODED_LINE {
            note(out.events, "mime_long_enc_line");
        }
        let content = match leaf.encoding {
            Encoding::Plain => {
                let newline = std::mem::replace(&mut leaf.newline, piece.end);
                write(leaf, newline, &self.config, &mut self.finder, out);
                piece.text
            }
            Encoding::Base64 => {
                self.scratch.clear();
                if !leaf.base64.push(piece.text, &mut self.scratch) {
                    note(out.events, "mime_invalid_base64");
                }
                &self.scratch
            }
            Encoding::QuotedPrintable => {
                self.scratch.clear();
                self.scratch.extend_from_slice(leaf.newline);
                let (clean, soft) = quoted_printable(piece.text, &mut self.scratch);
                if !clean {
                    note(out.events, "mime_invalid_qp");
                }
                leaf.newline = if soft { b"" } else { piece.end };
                &self.scratch
            }
        };
        write(leaf, content, &self.config, &mut self.finder, out);
    }

    /// The part under way ends here.
    fn leaf_done(&mut self, out: &mut Out<'_>) {
        let Place::Body(mut leaf) = std::mem::replace(&mut self.place, Place::Between) else {
            return;
        };
        if leaf.encoding == Encoding::Base64 {
            self.scratch.clear();
            if !leaf.base64.flush(&mut self.scratch) {
                note(out.events, "mime_invalid_base64");
            }
            write(&leaf, &self.scratch, &self.config, &mut self.finder, out);
        }
        if leaf.is_text {
            let how = (self.config.schemes, self.config.keep_scheme);
            self.finder.flush(how, &mut out.mail.urls);
        }
        if let Some(file) = leaf.file.and_then(|at| out.files.get_mut(at)) {
            file.close();
        }
    }
}

/// Hands decoded content to whom it belongs.
fn write(leaf: &Leaf, content: &[u8], config: &Config, finder: &mut Finder, out: &mut Out<'_>) {
    if content.is_empty() {
        return;
    }
    if let Some(file) = leaf.file.and_then(|at| out.files.get_mut(at)) {
        file.append(content);
    } else if leaf.is_text {
        finder.push(content, (config.schemes, config.keep_scheme), &mut out.mail.urls);
    }
}

/// Which boundary follows the two dashes of a line, and whether it is the last of its multipart. One
/// that is there to the letter goes before one that the line only begins with.
fn which(boundaries: &[Vec<u8>], rest: &[u8]) -> Option<(usize, bool)> {
    let rest = rest.trim_ascii_end();
    let exact = boundaries.iter().enumerate().rev().find_map(|(level, boundary)| {
        match rest.strip_prefix(boundary.as_slice())? {
            b"" => Some((level, false)),
            b"--" => Some((level, true)),
            _ => None,
        }
    });
    exact.or_else(|| {
        boundaries.iter().enumerate().rev().find_map(|(level, boundary)| {
            let tail = rest.strip_prefix(boundary.as_slice())?;
            Some((level, tail.starts_with(b"--")))
        })
    })
}
