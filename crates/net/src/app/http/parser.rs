//! The state machine of both directions.

mod ahead;
mod pair;

use super::super::detect::begins_http;
use super::super::{AppConfig, AppParser, Record, Switch, TxList};
use super::events::{EventNames, is_known_scheme, too_long};
use super::files::Shape;
use super::framing::{body_of, headers_of, request_framing, response_framing, set_host};
use super::{Http, Request, headers::Headers, line, progress, upgrade, uri};
use crate::flow::{Direction, PerDirection};

/// Bytes kept of one line.
const MAX_LINE: usize = 64 << 10;

/// What is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Before or in a first line.
    #[default]
    Line,
    Headers,
    /// That many bytes of body are left.
    Length(u64),
    ChunkSize,
    /// That many bytes of chunk are left.
    Chunk(u64),
    /// The line end after a chunk.
    ChunkEnd,
    Trailers,
    /// Body until the end of the stream.
    ToEnd,
    /// Not HTTP any more: CONNECT, upgrade, or lost.
    Ignore,
    /// Bytes were missing: what follows is a message or not to be understood.
    Lost,
}

/// One direction.
#[derive(Debug, Default)]
struct Side {
    state: State,
    /// A line that is not complete.
    partial: Vec<u8>,
    /// A header line that may go on in the next one.
    field: Vec<u8>,
    /// Transaction being read.
    tx: Option<u64>,
    /// A first line that is none: dropped when the next one is, else the beginning of a body.
    doubtful: Vec<u8>,
    /// What the body is.
    shape: Shape,
    /// The headers were ended by a line of blanks: a line end that follows still belongs to them.
    blank_end: bool,
    /// Stray CRs after a header: whether they end the headers is seen from what follows.
    stray: bool,
    /// Bytes that are waited with until it is clear what they belong to.
    held: Vec<u8>,
    /// The body of a message that should have none: there is one unless the next message follows.
    unlikely: bool,
}

/// Parser of one flow.
#[derive(Debug, Default)]
pub struct Parser {
    sides: PerDirection<Side>,
    config: AppConfig,
    /// What the flow speaks from now on.
    switch: Option<Switch>,
    /// The first bytes were seen: transactions before them are of another protocol, or of the proxy.
    begun: bool,
    /// Next transaction to get a response.
    next_response: u64,
}

/// What a line gave.
enum Line {
    Whole(Vec<u8>),
    More,
    TooLong,
}

impl Parser {
    /// With the limits of `config`.
    #[must_use]
    pub fn new(config: &AppConfig) -> Self {
        Self { config: *config, ..Self::default() }
    }

    /// Reads from the front of `data`; true while there is more to do with it.
    fn step(&mut self, dir: Direction, data: &mut &[u8], txs: &mut TxList) -> bool {
        if self.look_ahead(dir, data, txs) {
            return !data.is_empty();
        }
        match self.sides.get(dir).state {
            State::Line | State::Headers | State::ChunkSize | State::ChunkEnd | State::Trailers => {
                match self.line(dir, data) {
                    Line::Whole(line) => self.on_line(dir, &line, txs),
                    Line::More => return false,
                    Line::TooLong => {
                        self.cut_first_line(dir, txs);
                        if let Some(tx) = self.sides.get(dir).tx.and_then(|id| txs.get_mut(id)) {
                            tx.event(dir, too_long(dir));
                        }
                        self.sides.get_mut(dir).state = State::Ignore;
                    }
                }
            }
            State::Length(left) => {
                let n = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
                let taken = take(data, n);
                self.body(dir, taken, txs);
                let left = left.saturating_sub(u64::try_from(n).unwrap_or(u64::MAX));
                self.sides.get_mut(dir).state = State::Length(left);
                if left == 0 {
                    self.complete(dir, txs);
                }
            }
            State::Chunk(left) => {
                let n = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
                let taken = take(data, n);
                self.body(dir, taken, txs);
                let left = left.saturating_sub(u64::try_from(n).unwrap_or(u64::MAX));
                self.sides.get_mut(dir).state =
                    if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
            }
            State::ToEnd => {
                let taken = std::mem::take(data);
                self.body(dir, taken, txs);
            }
            State::Lost => return self.find_again(dir, data, txs),
            State::Ignore => {
                let rest = std::mem::take(data);
                if let Some(switch) = &mut self.switch {
                    switch.rest.get_mut(dir).extend_from_slice(rest);
                }
            }
        }
        !data.is_empty()
    }

    /// The next line with its line end.
    fn line(&mut self, dir: Direction, data: &mut &[u8]) -> Line {
        let side = self.sides.get_mut(dir);
        let is_head = matches!(side.state, State::Line | State::Headers | State::Trailers);
        let end = match dir {
            Direction::ToClient if is_head => {
                if side.partial.ends_with(b"\r") && !matches!(data.first(), Some(b'\r' | b'\n')) {
                    return Line::Whole(std::mem::take(&mut side.partial));
                }
                line::response_end(data)
            }
            _ => memchr::memchr(b'\n', data).map(|at| at.saturating_add(1)),
        };
        let taken = take(data, end.unwrap_or(data.len()));
        let room = MAX_LINE.saturating_sub(side.partial.len());
        if taken.len() > room {
            side.partial.extend_from_slice(taken.get(..room).unwrap_or_default());
            return Line::TooLong;
        }
        side.partial.extend_from_slice(taken);
        if end.is_none() {
            return Line::More;
        }
        Line::Whole(std::mem::take(&mut side.partial))
    }

    /// A first line that is too long still says that there was a message, and how it began.
    fn cut_first_line(&mut self, dir: Direction, txs: &mut TxList) {
        let begun = std::mem::take(&mut self.sides.get_mut(dir).partial);
        if self.sides.get(dir).state == State::Line {
            self.on_line(dir, &begun, txs);
        }
    }

    fn on_line(&mut self, dir: Direction, line: &[u8], txs: &mut TxList) {
        match (self.sides.get(dir).state, dir) {
            (State::Line, Direction::ToServer) => self.request_line(line, txs),
            (State::Line, Direction::ToClient) => self.response_line(line, txs),
            (State::Headers | State::Trailers, _) => self.header_line(dir, line, txs),
            (State::ChunkSize, _) => self.chunk_size(dir, line, txs),
            (State::ChunkEnd, _) => {
                self.sides.get_mut(dir).state = State::ChunkSize;
                // Some servers leave the line end out: then this is the next size already.
                if !line::chomp(line).is_empty() {
                    self.chunk_size(dir, line, txs);
                }
            }
            _ => {}
        }
    }

    fn request_line(&mut self, raw: &[u8], txs: &mut TxList) {
        let text = line::chomp(raw);
        if line::trim(text).is_empty() {
            return;
        }
        let parts = line::request(text);
        let (authority, _) = uri::split(parts.uri);
        let mut request = Request {
            line: text.to_vec(),
            method: parts.method.to_vec(),
            uri_raw: parts.uri.to_vec(),
            uri: uri::normalise(parts.uri),
            protocol: parts.protocol.to_vec(),
            ..Request::default()
        };
        let is_connect = parts.method == b"CONNECT";
        // A path is no name to connect to.
        let named = Some(parts.uri).filter(|uri| is_connect && !uri.starts_with(b"/"));
        if let Some(authority) = authority.or(named) {
            set_host(&mut request, authority);
        }
        request.body.set_limit(self.config.request_body_limit);
        let is_old = parts.protocol.is_empty();
        let mut http = Http { request, ..Http::default() };
        http.response.body.set_limit(self.config.response_body_limit);
        let id = txs.push(Record::Http(Box::new(http)));
        self.sides.to_server.tx = Some(id);
        let Some(tx) = txs.get_mut(id) else { return };
        tx.reach(Direction::ToServer, progress::LINE);
        if is_old {
            tx.event(Direction::ToServer, "request_line_missing_protocol");
        }
        self.sides.to_server.state = State::Headers;
    }

    fn response_line(&mut self, raw: &[u8], txs: &mut TxList) {
        let text = line::trim_start(line::chomp(raw));
        if line::trim(text).is_empty() {
            return;
        }
        let id = self.response_tx(txs);
        self.sides.to_client.tx = Some(id);
        let looks_right = text.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"HTTP"));
        let Some(tx) = txs.get_mut(id) else { return };
        tx.reach(Direction::ToClient, progress::LINE);
        if !looks_right {
            tx.event(Direction::ToClient, "invalid_response_line");
            let side = &mut self.sides.to_client;
            if side.doubtful.is_empty() {
                // Clients skip one such line when a response follows.
                side.doubtful = raw.to_vec();
                return;
            }
            return self.no_response(raw, txs);
        }
        self.sides.to_client.doubtful.clear();
        let Some(tx) = txs.get_mut(id) else { return };
        if let Record::Http(http) = &mut tx.record {
            let (protocol, status, message) = line::response(text);
            let response = &mut http.response;
            response.line = text.to_vec();
            response.protocol = protocol.to_vec();
            response.status = status.to_vec();
            response.message = message.to_vec();
        }
        self.sides.to_client.state = State::Headers;
    }

    /// HTTP/0.9, or something else: all of it is body.
    fn no_response(&mut self, raw: &[u8], txs: &mut TxList) {
        self.sides.to_client.state = State::ToEnd;
        let first = std::mem::take(&mut self.sides.to_client.doubtful);
        self.body(Direction::ToClient, &first, txs);
        self.body(Direction::ToClient, raw, txs);
    }

    fn header_line(&mut self, dir: Direction, raw: &[u8], txs: &mut TxList) {
        let trailing = self.sides.get(dir).state == State::Trailers;
        let Some(id) = self.sides.get(dir).tx else { return };
        let Some(tx) = txs.get_mut(id) else { return };
        let Record::Http(http) = &mut tx.record else { return };
        let headers = headers_of(http, dir);
        let raw_fits = headers.push_raw(raw);
        let names = EventNames::of(dir);
        let side = self.sides.get_mut(dir);
        let text = line::chomp(raw);
        // Blanks and a bare line feed end the headers for most clients.
        let blank = !text.is_empty() && raw.trim_ascii().is_empty();
        if text.is_empty() && !matches!(raw, b"\r\n" | b"\n" | b"") {
            side.stray = true;
            return;
        }
        let field = &mut side.field;
        let ends = text.is_empty() || blank && !raw.ends_with(b"\r\n");
        let folded = text.first().is_some_and(|b| matches!(b, b' ' | b'\t' | 0));
        if !ends && folded && !line::is_field(text) {
            // A folded line (RFC 9112 section 5.2), even within a name.
            if field.is_empty() {
                tx.event(dir, names.folding);
            } else if field.len() < MAX_LINE {
                field.push(b' ');
                field.extend_from_slice(line::trim(text));
            } else {
                tx.event(dir, too_long(dir));
            }
            if !raw_fits {
                tx.event(dir, "too_many_headers");
            }
            return;
        }
        if !field.is_empty() {
            let (name, value) = line::header(field);
            let added = headers.add(name, value);
            field.clear();
            let too_many = added.too_many || !raw_fits;
            for (happened, name) in [
                (added.repeated, names.repeated),
                (added.ambiguous, names.lengths),
                (too_many, "too_many_headers"),
            ] {
                if happened {
                    tx.event(dir, name);
                }
            }
        }
        if ends && blank {
            self.sides.get_mut(dir).blank_end = true;
        }
        if !ends {
            let text = if folded { line::trim(text) } else { text };
            self.sides.get_mut(dir).field.extend_from_slice(text);
            tx.reach(dir, progress::HEADERS);
        } else if trailing {
            self.complete(dir, txs);
        } else {
            self.headers_complete(dir, id, txs);
        }
    }

    fn headers_complete(&mut self, dir: Direction, id: u64, txs: &mut TxList) {
        let Some(tx) = txs.get_mut(id) else { return };
        let Record::Http(http) = &mut tx.record else { return };
        let skip: &[u8] = match dir {
            Direction::ToServer => b"cookie",
            Direction::ToClient => b"set-cookie",
        };
        headers_of(http, dir).complete(skip);
        match dir {
            Direction::ToServer => {
                let (state, all) = request_framing(http, self.config.decompress_layers);
                let authorization = http.request.headers.get("authorization");
                let unrecognized = authorization.is_some_and(|value| !is_known_scheme(value));
                tx.reach(dir, progress::BODY);
                if unrecognized {
                    tx.event(dir, "request_auth_unrecognized");
                }
                if !all {
                    tx.event(dir, "too_many_encoding_layers");
                }
                self.sides.to_server.state = state;
                if state == State::Length(0) {
                    self.complete(dir, txs);
                }
            }
            Direction::ToClient => {
                let layers = self.config.decompress_layers;
                http.response.body.allow_lzma(self.config.lzma);
                let (state, interim, all) = response_framing(http, layers);
                let code = http.response.status_code().unwrap_or(0);
                self.sides.to_client.unlikely = matches!(code, 100..200 | 204 | 304);
                if interim {
                    // 100 Continue: the real response follows for the same request.
                    http.response.headers = Headers::default();
                    self.sides.to_client.state = State::Line;
                    return;
                }
                let tunnel = state == State::Ignore;
                if tunnel {
                    self.switch = upgrade::after(http, &self.config);
                }
                tx.reach(dir, progress::BODY);
                if !all {
                    tx.event(dir, "too_many_encoding_layers");
                }
                self.sides.to_client.state = state;
                if tunnel {
                    tx.reach(Direction::ToClient, progress::COMPLETE);
                    tx.reach(Direction::ToServer, progress::COMPLETE);
                    self.sides.to_server.state = State::Ignore;
                } else if state == State::Length(0) {
                    self.complete(dir, txs);
                }
            }
        }
    }

    fn chunk_size(&mut self, dir: Direction, raw: &[u8], txs: &mut TxList) {
        let text = line::chomp(raw);
        if line::trim(text).is_empty() {
            return;
        }
        match line::chunk_size(text) {
            Some(0) => self.sides.get_mut(dir).state = State::Trailers,
            Some(n) => self.sides.get_mut(dir).state = State::Chunk(n),
            None => {
                let name = match dir {
                    Direction::ToServer => "invalid_request_chunk_len",
                    Direction::ToClient => "invalid_response_chunk_len",
                };
                if let Some(tx) = self.sides.get(dir).tx.and_then(|id| txs.get_mut(id)) {
                    tx.event(dir, name);
                }
                // Browsers take the rest as it is; so does the body from here on.
                self.sides.get_mut(dir).state = State::ToEnd;
                self.body(dir, raw, txs);
            }
        }
    }

    fn body(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        if bytes.is_empty() {
            return;
        }
        let Some(tx) = self.sides.get(dir).tx.and_then(|id| txs.get_mut(id)) else { return };
        let Record::Http(http) = &mut tx.record else { return };
        let body = body_of(http, dir);
        let from = body.data().len();
        let good = body.add(bytes);
        if !good {
            tx.event(dir, "gzip_decompression_failed");
        }
        self.sides.get_mut(dir).shape.grow(tx, dir, from, &self.config.files);
        tx.reach(dir, progress::BODY);
    }

    /// Goes on where bytes were missing when a message begins there; true when it does.
    fn find_again(&mut self, dir: Direction, data: &mut &[u8], txs: &mut TxList) -> bool {
        let side = self.sides.get_mut(dir);
        side.held.extend_from_slice(std::mem::take(data));
        match begins_http(dir, &side.held) {
            None => {}
            Some(false) => {
                side.held.clear();
                side.state = State::Ignore;
            }
            Some(true) => {
                let held = std::mem::take(&mut side.held);
                self.complete(dir, txs);
                self.data(dir, &held, txs);
            }
        }
        false
    }

    /// The message of a direction is complete.
    fn complete(&mut self, dir: Direction, txs: &mut TxList) {
        let side = self.sides.get_mut(dir);
        side.state = State::Line;
        side.blank_end = false;
        side.unlikely = false;
        if let Some(tx) = side.tx.take().and_then(|id| txs.get_mut(id)) {
            if let Record::Http(http) = &mut tx.record {
                let body = body_of(http, dir);
                let from = body.data().len();
                if !body.finish() {
                    tx.event(dir, "gzip_decompression_failed");
                }
                side.shape.grow(tx, dir, from, &self.config.files);
            }
            side.shape.end(tx, dir, &self.config.files);
            tx.reach(dir, progress::COMPLETE);
        }
    }
}

impl AppParser for Parser {
    fn data(&mut self, dir: Direction, bytes: &[u8], txs: &mut TxList) {
        if !std::mem::replace(&mut self.begun, true) {
            self.next_response = txs.created();
        }
        let mut data = bytes;
        // Each step takes at least one byte or changes the state to one that does.
        while self.step(dir, &mut data, txs) {}
    }

    fn gap(&mut self, dir: Direction, missing: u64, txs: &mut TxList) {
        let side = self.sides.get_mut(dir);
        let body = side.tx.and_then(|id| txs.get_mut(id));
        match (side.state, body) {
            (State::Length(left), Some(tx)) if left >= missing => {
                side.state = State::Length(left.saturating_sub(missing));
                side.shape.gap(tx, dir);
                if let Record::Http(http) = &mut tx.record {
                    body_of(http, dir).mark_gap(missing);
                }
                if left == missing {
                    self.complete(dir, txs);
                }
            }
            (State::Chunk(left), Some(tx)) if left >= missing => {
                let left = left.saturating_sub(missing);
                side.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
                side.shape.gap(tx, dir);
                if let Record::Http(http) = &mut tx.record {
                    body_of(http, dir).mark_gap(missing);
                }
            }
            (State::ToEnd, Some(tx)) => {
                side.shape.gap(tx, dir);
                if let Record::Http(http) = &mut tx.record {
                    body_of(http, dir).mark_gap(missing);
                }
            }
            (State::Ignore, _) => {}
            // The place of the next message is unknown, unless it is here.
            (state, tx) => {
                if let Some(tx) = tx
                    && !matches!(state, State::Line | State::Headers)
                {
                    side.shape.gap(tx, dir);
                    if let Record::Http(http) = &mut tx.record {
                        body_of(http, dir).mark_gap(missing);
                    }
                }
                let old = std::mem::take(side);
                side.state = State::Lost;
                (side.tx, side.shape, side.doubtful) = (old.tx, old.shape, old.doubtful);
            }
        }
    }

    fn end(&mut self, dir: Direction, txs: &mut TxList) {
        let side = self.sides.get_mut(dir);
        let partial = std::mem::take(&mut side.partial);
        if side.state == State::Lost {
            side.state = State::Ignore;
        }
        if !partial.is_empty() && side.state != State::Ignore {
            // A last line without its end still says something.
            self.on_line(dir, &partial, txs);
        }
        self.nothing_follows(dir, txs);
        if dir == Direction::ToClient && !self.sides.to_client.doubtful.is_empty() {
            self.no_response(&[], txs);
        }
        if self.sides.get(dir).tx.is_some() && self.sides.get(dir).state != State::Ignore {
            if self.sides.get(dir).state == State::Headers {
                // As if the empty line had come: what there is of the headers counts.
                self.header_line(dir, b"", txs);
            }
            self.complete(dir, txs);
        }
        self.sides.get_mut(dir).state = State::Ignore;
    }

    fn switch(&mut self) -> Option<Switch> {
        self.switch.take()
    }
}

fn take<'a>(data: &mut &'a [u8], n: usize) -> &'a [u8] {
    let (head, tail) = data.split_at_checked(n).unwrap_or((data, &[]));
    *data = tail;
    head
}
