//! A flat multipart body cut into its parts as it streams by: forms (RFC 7578), byte ranges.

use super::feed::{self, Feed};
use super::header::{Collector, PartHeader};
use super::{Events, note};

/// What a [`Splitter`] gives out.
#[derive(Debug)]
pub enum Piece<'a> {
    /// A part begins; what its header says.
    Begin(&'a PartHeader),
    /// Bytes of the part's content, as sent: no encoding is undone.
    Data(&'a [u8]),
    /// The part ends. One that is cut off by the end of the body ends too.
    End,
}

#[derive(Debug)]
enum Place {
    /// Before the first part and after the last.
    Between,
    Header(Collector),
    /// Within content; the end of the last line belongs to a boundary, should one follow.
    Content(&'static [u8]),
}

/// Bytes kept of the value of a header field of a part.
const MAX_VALUE: usize = 2000;

/// Cuts one body. Parts are given out as they come; nothing of them is kept but an unfinished line.
#[derive(Debug)]
pub struct Splitter {
    boundary: Vec<u8>,
    feed: Feed,
    place: Place,
    events: Events,
}

impl Splitter {
    /// For a body with that boundary.
    #[must_use]
    pub fn new(boundary: &[u8]) -> Self {
        Self {
            boundary: boundary.to_vec(),
            feed: Feed::default(),
            place: Place::Between,
            events: Events::new(),
        }
    }

    /// For a body of that `Content-Type`; `None` when it is no multipart.
    #[must_use]
    pub fn of(content_type: &[u8]) -> Option<Self> {
        let mut fields = Collector::new(MAX_VALUE);
        let mut line = b"Content-Type: ".to_vec();
        line.extend_from_slice(content_type);
        fields.line(&line, &mut Events::new());
        let part = fields.part(&mut Events::new());
        let fits = part.media.starts_with(b"multipart/") && !part.boundary.is_empty();
        fits.then(|| Self::new(&part.boundary))
    }

    /// Takes in the next bytes of the body.
    pub fn data(&mut self, bytes: &[u8], mut out: impl FnMut(Piece<'_>)) {
        let mut feed = std::mem::take(&mut self.feed);
        let mut input = bytes;
        while let Some(piece) = feed.next(&mut input) {
            self.piece(piece, &mut out);
        }
        self.feed = feed;
    }

    /// The body ends here.
    pub fn end(&mut self, mut out: impl FnMut(Piece<'_>)) {
        let mut feed = std::mem::take(&mut self.feed);
        if let Some(piece) = feed.rest() {
            self.piece(piece, &mut out);
        }
        if let Place::Content(newline) = std::mem::replace(&mut self.place, Place::Between) {
            if !newline.is_empty() {
                out(Piece::Data(newline));
            }
            out(Piece::End);
        }
    }

    /// What was wrong so far, by names without a protocol (`mime_long_filename`).
    #[must_use]
    pub fn events(&self) -> &[&'static str] {
        &self.events
    }

    fn piece(&mut self, piece: feed::Piece<'_>, out: &mut impl FnMut(Piece<'_>)) {
        if piece.fresh
            && let Some(last) = self.is_boundary(piece.text)
        {
            if let Place::Content(_) = self.place {
                out(Piece::End);
            }
            self.place =
                if last { Place::Between } else { Place::Header(Collector::new(MAX_VALUE)) };
            return;
        }
        match &mut self.place {
            Place::Between => {}
            Place::Header(fields) if piece.text.is_empty() && piece.fresh => {
                let part = fields.part(&mut self.events);
                self.place = Place::Content(b"");
                out(Piece::Begin(&part));
            }
            Place::Header(fields) => {
                if piece.fresh && !fields.line(piece.text, &mut self.events) {
                    note(&mut self.events, "mime_malformed_msg");
                }
            }
            Place::Content(newline) => {
                let before = std::mem::replace(newline, piece.end);
                for bytes in [before, piece.text] {
                    if !bytes.is_empty() {
                        out(Piece::Data(bytes));
                    }
                }
            }
        }
    }

    /// Whether a line is the boundary, and if so whether it is the last one.
    fn is_boundary(&self, line: &[u8]) -> Option<bool> {
        let rest = line.strip_prefix(b"--")?.strip_prefix(self.boundary.as_slice())?;
        Some(rest.starts_with(b"--"))
    }
}
