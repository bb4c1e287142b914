//! The frame layer of a connection: frames in any pieces, header blocks over several frames.

use std::collections::BTreeMap;

use super::super::http::Request;
use super::super::{AppConfig, AppParser, Protocol, Record, TxList};
use super::frame::{self, Frame, Head, Kind, flags, kind};
use super::hpack::{Decoder, Problem};
use super::{Field, Http2, stream};
use crate::cursor::Cursor;
use crate::flow::{Direction, PerDirection};

/// What a client sends first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame header.
const HEAD: usize = 9;
/// Longest frame that is not DATA and still read.
const MAX_CONTROL: u32 = 64 << 10;
/// Bytes of one header block over all its frames.
const MAX_BLOCK: usize = 128 << 10;
/// Streams remembered.
const MAX_STREAMS: usize = 4096;
/// Frames kept per direction of a transaction.
const MAX_FRAMES: usize = 256;
/// Longest frame before a setting says otherwise (RFC 9113 section 4.2).
const DEFAULT_FRAME: u32 = 16_384;

use super::super::http::progress;

/// A frame whose content is taken as it comes.
#[derive(Clone, Copy, Debug)]
struct Open {
    head: Head,
    /// Bytes of content still to come.
    left: u32,
    /// Bytes of padding after it.
    padding: u32,
    /// The length of the padding comes first.
    wants_length: bool,
    /// Of no interest.
    skipped: bool,
}

/// A header block that is not complete.
#[derive(Debug)]
struct Block {
    stream: u32,
    ends_stream: bool,
    /// Of a promised stream.
    promised: bool,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Side {
    /// A frame header or a frame that is not complete.
    partial: Vec<u8>,
    open: Option<Open>,
    block: Option<Block>,
    decoder: Decoder,
    /// Longest frame the other side takes.
    max_frame: u32,
    /// Bytes are missing where frames cannot be told apart any more.
    lost: bool,
    /// Frames may begin: the preface, if any, was read.
    begun: bool,
}

impl Default for Side {
    fn default() -> Self {
        Self {
            partial: Vec::new(),
            open: None,
            block: None,
            decoder: Decoder::default(),
            max_frame: DEFAULT_FRAME,
            lost: false,
            begun: false,
        }
    }
}

/// Parser of one connection.
#[derive(Debug, Default)]
pub struct Parser {
    config: AppConfig,
    sides: PerDirection<Side>,
    /// Transaction of each stream.
    streams: BTreeMap<u32, u64>,
    /// Fields and settings of the request that asked for the upgrade: stream 1 (RFC 7540 section 3.2).
    upgrade: Option<(Vec<Field>, Option<Vec<u8>>)>,
    renamed: Option<Protocol>,
    is_doh: bool,
}

impl Parser {
    /// With the limits of `config`.
    #[must_use]
    pub fn new(config: &AppConfig) -> Self {
        Self { config: *config, ..Self::default() }
    }

    /// After an upgrade from HTTP/1: the request becomes stream 1.
    #[must_use]
    pub fn upgraded(config: &AppConfig, request: &Request) -> Self {
        let mut fields =
            vec![header(b":method", &request.method), header(b":path", &request.uri_raw)];
        for (name, value) in request.headers.iter() {
            let host = name.eq_ignore_ascii_case(b"host");
            fields.push(header(if host { b":authority" } else { name }, value));
        }
        let settings = request.headers.get("http2-settings").map(<[u8]>::to_vec);
        Self { config: *config, upgrade: Some((fields, settings)), ..Self::default() }
    }

    /// Reads from the front of `rest`; true while there is more to do with it.
    fn step(&mut self, dir: Direction, rest: &mut &[u8], txs: &mut TxList) -> bool {
        if self.sides.get(dir).open.is_some() {
            self.content(dir, rest, txs);
            return !rest.is_empty();
        }
        let begun = self.sides.get(dir).begun;
        if !begun && dir == Direction::ToServer {
            return self.preface(rest, txs);
        }
        let side = self.sides.get_mut(dir);
        if !fill(&mut side.partial, rest, HEAD) {
            return false;
        }
        let mut c = Cursor::new(&side.partial);
        let Some(head) = Head::read(&mut c) else { return false };
        let skipped = head.kind != kind::DATA && head.length > MAX_CONTROL;
        if head.kind == kind::DATA || skipped {
            side.partial.clear();
            let wants_length = head.has(flags::PADDED) && head.kind == kind::DATA;
            side.open = Some(Open { head, left: head.length, padding: 0, wants_length, skipped });
            self.opened(dir, head, txs);
            return true;
        }
        let length = usize::try_from(head.length).unwrap_or(usize::MAX);
        if !fill(&mut side.partial, rest, HEAD.saturating_add(length)) {
            return false;
        }
        let whole = std::mem::take(&mut side.partial);
        self.frame(dir, head, whole.get(HEAD..).unwrap_or_default(), txs);
        // Its room serves the next frame.
        let side = self.sides.get_mut(dir);
        side.partial = whole;
        side.partial.clear();
        !rest.is_empty()
    }

    fn preface(&mut self, rest: &mut &[u8], txs: &mut TxList) -> bool {
        let side = &mut self.sides.to_server;
        let enough = fill(&mut side.partial, rest, PREFACE.len());
        let same = PREFACE.starts_with(&side.partial);
        if same && !enough {
            return false;
        }
        side.begun = true;
        let seen = std::mem::take(&mut side.partial);
        if same {
            return !rest.is_empty();
        }
        // Frames at once, as some clients do after an upgrade.
        let id = self.of_connection(Direction::ToServer, None, txs);
        if let Some(tx) = txs.get_mut(id) {
            tx.event(Direction::ToServer, "invalid_client_magic");
        }
        let mut seen = seen.as_slice();
        while self.step(Direction::ToServer, &mut seen, txs) {}
        !rest.is_empty()
    }

    /// A frame begins whose content is taken as it comes.
    fn opened(&mut self, dir: Direction, head: Head, txs: &mut TxList) {
        let wrong = if head.kind != kind::DATA {
            "invalid_frame_length"
        } else if head.stream == 0 {
            "data_stream_zero"
        } else if head.length > self.sides.get(dir).max_frame {
            "long_frame_data"
        } else {
            ""
        };
        if head.stream == 0 {
            let id = self.of_connection(dir, None, txs);
            if let Some(tx) = txs.get_mut(id) {
                tx.event(dir, wrong);
            }
            if let Some(open) = &mut self.sides.get_mut(dir).open {
                open.skipped = true;
            }
            return;
        }
        let id = self.of_stream(dir, head, txs);
        if let Some(tx) = txs.get_mut(id).filter(|_| !wrong.is_empty()) {
            tx.event(dir, wrong);
        }
        if head.length == 0 {
            self.closed_frame(dir, head, txs);
        }
    }

    /// Content of an open frame.
    fn content(&mut self, dir: Direction, rest: &mut &[u8], txs: &mut TxList) {
        let Some(mut open) = self.sides.get(dir).open else { return };
        if open.wants_length {
            let Some((pad, tail)) = rest.split_first() else { return };
            *rest = tail;
            open.wants_length = false;
            open.left = open.left.saturating_sub(1);
            open.padding = u32::from(*pad).min(open.left);
            if u32::from(*pad) > open.left {
                self.wrong(dir, open.head.stream, "invalid_frame_data", txs);
            }
            open.left = open.left.saturating_sub(open.padding);
        }
        let bytes = take(rest, &mut open.left);
        take(rest, &mut open.padding);
        self.sides.get_mut(dir).open = Some(open);
        if !open.skipped
            && !bytes.is_empty()
            && let Some(tx) = self.streams.get(&open.head.stream).and_then(|id| txs.get_mut(*id))
        {
            stream::data(tx, dir, bytes, &self.config);
            tx.touch(dir);
        }
        if open.left == 0 && open.padding == 0 {
            self.closed_frame(dir, open.head, txs);
        }
    }

    /// All of an open frame was seen.
    fn closed_frame(&mut self, dir: Direction, head: Head, txs: &mut TxList) {
        self.sides.get_mut(dir).open = None;
        if head.kind == kind::DATA && head.has(flags::END_STREAM) {
            self.end_stream(dir, head.stream, txs);
        }
    }

    /// A whole frame that is not DATA.
    fn frame(&mut self, dir: Direction, head: Head, body: &[u8], txs: &mut TxList) {
        let continues = self.sides.get(dir).block.is_some();
        if continues && head.kind != kind::CONTINUATION {
            // Nothing may stand between the parts of a block (RFC 9113 section 6.10).
            self.sides.get_mut(dir).block = None;
            self.wrong(dir, head.stream, "invalid_frame_data", txs);
        }
        match head.kind {
            kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION => {
                self.header_frame(dir, head, body, txs);
            }
            _ => self.plain_frame(dir, head, body, txs),
        }
    }

    fn plain_frame(&mut self, dir: Direction, head: Head, body: &[u8], txs: &mut TxList) {
        let read = frame::read(head, body);
        let wrong = read.is_none();
        let number = head.kind;
        let said = read.unwrap_or(Kind::Other);
        if let Kind::Settings(settings) = &said {
            for (name, value) in settings {
                // What one side announces limits the other.
                if *name == 5 {
                    self.sides.get_mut(dir.reverse()).max_frame = (*value).max(DEFAULT_FRAME);
                }
            }
        }
        let frame = Frame { number, kind: said };
        let resets = head.kind == kind::RST_STREAM;
        let id = if head.stream == 0 {
            self.of_connection(dir, Some(frame), txs)
        } else {
            let id = self.of_stream(dir, head, txs);
            push_frame(id, dir, frame, txs);
            id
        };
        let Some(tx) = txs.get_mut(id) else { return };
        if wrong {
            tx.event(dir, "invalid_frame_length");
        }
        if number > kind::CONTINUATION || head.reserved {
            tx.event(dir, "invalid_frame_header");
        }
        tx.touch(dir);
        if resets {
            for side in [dir, dir.reverse()] {
                stream::end(tx, side);
                tx.reach(side, progress::COMPLETE);
            }
        }
    }

    fn header_frame(&mut self, dir: Direction, head: Head, body: &[u8], txs: &mut TxList) {
        let fragment = match head.kind {
            kind::CONTINUATION => self.continuation(dir, head, body, txs),
            _ => self.first_fragment(dir, head, body, txs),
        };
        if fragment.is_none() {
            return self.wrong(dir, head.stream, "invalid_frame_data", txs);
        }
        if head.has(flags::END_HEADERS)
            && let Some(block) = self.sides.get_mut(dir).block.take()
        {
            self.block(dir, &block, txs);
        }
    }

    fn first_fragment(
        &mut self,
        dir: Direction,
        head: Head,
        body: &[u8],
        txs: &mut TxList,
    ) -> Option<()> {
        let mut c = Cursor::new(frame::unpadded(head, body)?);
        let promised = head.kind == kind::PUSH_PROMISE;
        let mut said = Kind::Other;
        if promised {
            c.u32()?;
        } else if head.has(flags::PRIORITY) {
            c.u32()?;
            said = Kind::Priority(c.u8()?);
        }
        if head.stream == 0 {
            return None;
        }
        let id = self.of_stream(dir, head, txs);
        push_frame(id, dir, Frame { number: head.kind, kind: said }, txs);
        self.sides.get_mut(dir).block = Some(Block {
            stream: head.stream,
            ends_stream: head.has(flags::END_STREAM) && !promised,
            promised,
            bytes: c.rest().to_vec(),
        });
        Some(())
    }

    fn continuation(
        &mut self,
        dir: Direction,
        head: Head,
        body: &[u8],
        txs: &mut TxList,
    ) -> Option<()> {
        let block = self.sides.get_mut(dir).block.as_mut()?;
        if block.stream != head.stream {
            return None;
        }
        let fits = block.bytes.len().saturating_add(body.len()) <= MAX_BLOCK;
        if fits {
            block.bytes.extend_from_slice(body);
        }
        if let Some(id) = self.streams.get(&head.stream).copied() {
            push_frame(id, dir, Frame { number: head.kind, kind: Kind::Other }, txs);
        }
        if !fits {
            self.wrong(dir, head.stream, "reassembly_limit_reached", txs);
        }
        Some(())
    }

    /// A whole header block.
    fn block(&mut self, dir: Direction, block: &Block, txs: &mut TxList) {
        let mut fields: Vec<Field> = Vec::new();
        let outcome = self.sides.get_mut(dir).decoder.decode(&block.bytes, &mut fields);
        let Some(tx) = self.streams.get(&block.stream).and_then(|id| txs.get_mut(*id)) else {
            return;
        };
        if !block.promised {
            stream::headers(tx, dir, fields, &self.config);
        }
        match outcome.problem {
            Some(Problem::Integer) => tx.event(dir, "header_integer_overflow"),
            Some(Problem::Index | Problem::Text) => tx.event(dir, "invalid_header"),
            None => {}
        }
        if outcome.cut {
            tx.event(dir, "reassembly_limit_reached");
        }
        if !block.promised {
            tx.reach(dir, progress::BODY);
        }
        self.found_dns(block.stream, txs);
        if block.ends_stream {
            self.end_stream(dir, block.stream, txs);
        }
    }

    fn end_stream(&mut self, dir: Direction, stream: u32, txs: &mut TxList) {
        if let Some(tx) = self.streams.get(&stream).and_then(|id| txs.get_mut(*id)) {
            stream::end(tx, dir);
            tx.reach(dir, progress::COMPLETE);
        }
        self.found_dns(stream, txs);
    }

    /// DNS in a stream makes all of the flow DNS over HTTP/2.
    fn found_dns(&mut self, stream: u32, txs: &TxList) {
        let record = self.streams.get(&stream).and_then(|id| txs.get(*id)).map(|tx| &tx.record);
        if let Some(Record::Http2(http2)) = record
            && http2.has_dns()
            && !self.is_doh
        {
            self.is_doh = true;
            self.renamed = Some(Protocol::Doh2);
        }
    }

    /// A transaction for one frame of the connection, complete at once.
    fn of_connection(&mut self, dir: Direction, frame: Option<Frame>, txs: &mut TxList) -> u64 {
        let mut http2 = Http2::default();
        http2.sides.get_mut(dir).frames.extend(frame);
        let id = txs.push(Record::Http2(Box::new(http2)));
        if let Some(tx) = txs.get_mut(id) {
            tx.reach(dir, progress::COMPLETE);
            tx.close_silently(dir.reverse(), progress::COMPLETE);
        }
        id
    }

    /// The transaction of a stream.
    fn of_stream(&mut self, dir: Direction, head: Head, txs: &mut TxList) -> u64 {
        let late = matches!(
            head.kind,
            kind::RST_STREAM | kind::WINDOW_UPDATE | kind::PRIORITY | kind::CONTINUATION
        );
        let known = self.streams.get(&head.stream).copied();
        if let Some(id) = known
            && let Some(tx) = txs.get_mut(id)
        {
            let complete =
                tx.is_complete(Direction::ToServer) && tx.is_complete(Direction::ToClient);
            if complete && !late {
                tx.event(dir, "stream_id_reuse");
            }
            return id;
        }
        let http2 = stream::new(head.stream, &self.config);
        let id = txs.push(Record::Http2(Box::new(http2)));
        if self.streams.len() >= MAX_STREAMS {
            self.streams.pop_first();
            if let Some(tx) = txs.get_mut(id) {
                tx.event(dir, "too_many_streams");
            }
        }
        self.streams.insert(head.stream, id);
        if let Some(tx) = txs.get_mut(id).filter(|_| known.is_some()) {
            // The stream is over and forgotten: what is late stands alone.
            if late {
                tx.reach(dir, progress::COMPLETE);
                tx.close_silently(dir.reverse(), progress::COMPLETE);
            } else {
                tx.event(dir, "stream_id_reuse");
            }
        }
        id
    }

    fn wrong(&mut self, dir: Direction, stream: u32, name: &'static str, txs: &mut TxList) {
        let id = match self.streams.get(&stream) {
            Some(id) if txs.get(*id).is_some() => *id,
            _ => self.of_connection(dir, None, txs),
        };
        if let Some(tx) = txs.get_mut(id) {
            tx.event(dir, name);
        }
    }

    /// Stream 1 is the request that asked for the upgrade, and its settings those of the client.
    fn begin_upgraded(&mut self, fields: Vec<Field>, settings: Option<Vec<u8>>, txs: &mut TxList) {
        use base64::Engine as _;
        let settings = settings.map(|value| {
            base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(value.trim_ascii())
        });
        let (length, stream) = (0, 0);
        let head = Head { length, kind: kind::SETTINGS, flags: 0, stream, reserved: false };
        let read = settings.map(|bytes| bytes.ok().and_then(|bytes| frame::read(head, &bytes)));
        if let Some(read) = read {
            let wrong = read.is_none();
            let frame = read.map(|kind| Frame { number: kind::SETTINGS, kind });
            let id = self.of_connection(Direction::ToServer, frame, txs);
            if let Some(tx) = txs.get_mut(id).filter(|_| wrong) {
                tx.event(Direction::ToServer, "invalid_http1_settings");
            }
        }
        let head = Head { length, kind: kind::HEADERS, flags: 0, stream: 1, reserved: false };
        let id = self.of_stream(Direction::ToServer, head, txs);
        push_frame(id, Direction::ToServer, Frame { number: 1, kind: Kind::Other }, txs);
        if let Some(tx) = txs.get_mut(id) {
            stream::headers(tx, Direction::ToServer, fields, &self.config);
            tx.reach(Direction::ToServer, progress::COMPLETE);
            // Rules have seen the request as HTTP/1.
            tx.told_already(Direction::ToServer);
        }
    }
}

fn header(name: &[u8], value: &[u8]) -> Field {
    Field::Header { name: name.to_vec(), value: value.to_vec() }
}

/// Adds a frame to its transaction.
fn push_frame(id: u64, dir: Direction, frame: Frame, txs: &mut TxList) {
    if let Some(tx) = txs.get_mut(id)
        && let Record::Http2(http2) = &mut tx.record
    {
        let frames = &mut http2.sides.get_mut(dir).frames;
        if frames.len() < MAX_FRAMES {
            frames.push(frame);
        }
        tx.touch(dir);
    }
}

/// Takes from the front of `rest` until `partial` has `wanted` bytes; true when it has.
fn fill(partial: &mut Vec<u8>, rest: &mut &[u8], wanted: usize) -> bool {
    let missing = wanted.saturating_sub(partial.len()).min(rest.len());
    let (head, tail) = rest.split_at_checked(missing).unwrap_or((rest, &[]));
    partial.extend_from_slice(head);
    *rest = tail;
    partial.len() >= wanted
}

/// At most `left` bytes from the front of `rest`.
fn take<'a>(rest: &mut &'a [u8], left: &mut u32) -> &'a [u8] {
    let n = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
    let (head, tail) = rest.split_at_checked(n).unwrap_or((rest, &[]));
    *rest = tail;
    *left = left.saturating_sub(u32::try_from(n).unwrap_or(u32::MAX));
    head
}

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        if let Some((fields, settings)) = self.upgrade.take() {
            self.begin_upgraded(fields, settings, txs);
        }
        if self.sides.get(dir).lost {
            return;
        }
        let mut rest = bytes;
        // Each step takes at least one byte or opens or closes a frame.
        while self.step(dir, &mut rest, txs) {}
    }

    fn gap(&mut self, dir: Direction, missing: u64, txs: &mut TxList) {
        let side = self.sides.get_mut(dir);
        let Some(open) = side.open.as_mut().filter(|open| !open.wants_length) else {
            side.lost = true;
            side.partial = Vec::new();
            return;
        };
        let left = u64::from(open.left).saturating_add(u64::from(open.padding));
        if missing > left {
            side.lost = true;
            return;
        }
        let content = missing.min(u64::from(open.left));
        open.left = open.left.saturating_sub(u32::try_from(content).unwrap_or(u32::MAX));
        let padding = missing.saturating_sub(content);
        open.padding = open.padding.saturating_sub(u32::try_from(padding).unwrap_or(u32::MAX));
        let open = *open;
        if let Some(tx) = self.streams.get(&open.head.stream).and_then(|id| txs.get_mut(*id)) {
            stream::gap(tx, dir, content);
        }
        if open.left == 0 && open.padding == 0 {
            self.closed_frame(dir, open.head, txs);
        }
    }

    fn end(&mut self, _dir: Direction, _txs: &mut TxList) {}

    fn renamed(&mut self) -> Option<Protocol> {
        self.renamed.take()
    }
}
