//! What rules see of HTTP/1.

use std::cell::OnceCell;

use net::app::http::{Body, Headers, Http, progress};
use signature::{Buffer, View};

use super::{TxView, non_empty};

/// A body that is still growing is first inspected at these sizes, and again each time it has grown
/// by [`STEP`]: request, response.
const FIRST_LOOK: [usize; 2] = [32 << 10, 40 << 10];
/// How much more of a body makes another look worth it.
const STEP: usize = 16 << 10;

/// Buffers that are put together when first asked for, per direction.
#[derive(Default)]
pub(super) struct Cache {
    names: [OnceCell<Vec<u8>>; 2],
    start: [OnceCell<Vec<u8>>; 2],
    lines: [OnceCell<Vec<Vec<u8>>>; 2],
}

impl<'a> TxView<'a> {
    pub(super) fn http(
        &self,
        http: &'a Http,
        buffer: Buffer,
        dir: net::Direction,
        at: u32,
    ) -> View<'_> {
        let side = Side::of(http, dir, self.tx.progress(dir));
        match (dir, buffer) {
            (_, Buffer::FileData) => self.file(http, dir, at),
            (_, Buffer::FileName) => self.file_name(http, dir, at),
            (_, Buffer::HttpRequestHeader | Buffer::HttpResponseHeader) => {
                self.header_line(side.headers, side.progress, dir, at)
            }
            _ if at > 0 => View::Absent,
            (net::Direction::ToServer, _) => self.request(http, buffer, &side),
            (net::Direction::ToClient, _) => self.response(http, buffer, &side),
        }
    }

    fn request(&self, http: &'a Http, buffer: Buffer, side: &Side<'a>) -> View<'_> {
        let request = &http.request;
        match buffer {
            Buffer::HttpMethod => side.line(&request.method),
            Buffer::HttpUri => side.line(&request.uri),
            Buffer::HttpUriRaw => side.line(&request.uri_raw),
            Buffer::HttpRequestLine => side.line(&request.line),
            Buffer::HttpProtocol => side.line(&request.protocol),
            Buffer::HttpHost => side.known(&request.host),
            Buffer::HttpHostRaw => side.known(&request.host_raw),
            Buffer::HttpUserAgent => side.header("user-agent"),
            Buffer::HttpReferer => side.header("referer"),
            Buffer::HttpAccept => side.header("accept"),
            Buffer::HttpAcceptLang => side.header("accept-language"),
            Buffer::HttpAcceptEnc => side.header("accept-encoding"),
            Buffer::HttpCookie => side.header("cookie"),
            Buffer::HttpRequestBody => body(side, &request.body, FIRST_LOOK[0]),
            _ => self.either(buffer, side, &request.line, 0),
        }
    }

    fn response(&self, http: &'a Http, buffer: Buffer, side: &Side<'a>) -> View<'_> {
        let response = &http.response;
        match buffer {
            Buffer::HttpProtocol => side.line(&response.protocol),
            Buffer::HttpStatCode => side.line(&response.status),
            Buffer::HttpStatMsg => side.line(&response.message),
            Buffer::HttpResponseLine => side.line(&response.line),
            Buffer::HttpLocation => side.header("location"),
            Buffer::HttpServer => side.header("server"),
            Buffer::HttpCookie => side.header("set-cookie"),
            Buffer::HttpResponseBody => body(side, &response.body, FIRST_LOOK[1]),
            _ => self.either(buffer, side, &response.line, 1),
        }
    }

    /// Buffers that exist in both directions.
    fn either(&self, buffer: Buffer, side: &Side<'a>, line: &[u8], at: usize) -> View<'_> {
        match buffer {
            Buffer::HttpConnection => side.header("connection"),
            Buffer::HttpContentType => side.header("content-type"),
            Buffer::HttpContentLen => side.header("content-length"),
            Buffer::HttpHeader => side.known(side.headers.block()),
            Buffer::HttpHeaderRaw => side.known(side.headers.raw()),
            Buffer::HttpHeaderNames if side.has_headers() => {
                let names =
                    self.cache.names.get(at).map(|cell| cell.get_or_init(|| side.headers.names()));
                non_empty(names.map_or(&[], Vec::as_slice))
            }
            Buffer::HttpStart if side.has_headers() => {
                let start =
                    self.cache.start.get(at).map(|cell| {
                        cell.get_or_init(|| [line, b"\r\n", side.headers.raw()].concat())
                    });
                non_empty(start.map_or(&[], Vec::as_slice))
            }
            Buffer::HttpHeaderNames | Buffer::HttpStart => View::Pending,
            _ => View::Absent,
        }
    }

    fn header_line(&self, headers: &Headers, reached: u8, dir: net::Direction, n: u32) -> View<'_> {
        if reached < progress::BODY {
            return View::Pending;
        }
        let lines = self.cache.lines.get(dir.index()).map(|cell| {
            cell.get_or_init(|| {
                headers.iter().map(|(name, value)| [name, b": ", value].concat()).collect()
            })
        });
        let index = usize::try_from(n).unwrap_or(usize::MAX);
        match lines.and_then(|lines| lines.get(index)) {
            Some(line) => View::whole(line),
            None => View::Absent,
        }
    }

    /// True when the body is a form with files in it.
    fn has_parts(&self, dir: net::Direction) -> bool {
        self.tx.files.iter().any(|file| file.dir == dir && file.is_kept())
    }

    fn file(&self, http: &'a Http, dir: net::Direction, at: u32) -> View<'_> {
        if self.has_parts(dir) {
            return super::file::buffer(self.tx, Buffer::FileData, dir, at);
        }
        if at > 0 {
            return View::Absent;
        }
        let side = Side::of(http, dir, self.tx.progress(dir));
        let (content, first) = match dir {
            net::Direction::ToServer => (&http.request.body, FIRST_LOOK[0]),
            net::Direction::ToClient => (&http.response.body, FIRST_LOOK[1]),
        };
        body(&side, content, first)
    }

    fn file_name(&self, http: &'a Http, dir: net::Direction, at: u32) -> View<'_> {
        if self.has_parts(dir) {
            return super::file::buffer(self.tx, Buffer::FileName, dir, at);
        }
        let side = Side::of(http, dir, self.tx.progress(dir));
        let content = match dir {
            net::Direction::ToServer => &http.request.body,
            net::Direction::ToClient => &http.response.body,
        };
        if at > 0 {
            return View::Absent;
        }
        if content.data().is_empty() {
            return if side.is_complete() { View::Absent } else { View::Pending };
        }
        non_empty(http.file_name(dir))
    }
}

/// One direction of an HTTP transaction.
struct Side<'a> {
    headers: &'a Headers,
    progress: u8,
}

impl<'a> Side<'a> {
    fn of(http: &'a Http, dir: net::Direction, progress: u8) -> Self {
        let headers = match dir {
            net::Direction::ToServer => &http.request.headers,
            net::Direction::ToClient => &http.response.headers,
        };
        Self { headers, progress }
    }

    fn has_headers(&self) -> bool {
        self.progress >= progress::BODY
    }

    fn is_complete(&self) -> bool {
        self.progress >= progress::COMPLETE
    }

    /// Part of the first line.
    fn line<'b>(&self, bytes: &'b [u8]) -> View<'b> {
        if self.progress < progress::LINE { View::Pending } else { non_empty(bytes) }
    }

    /// Something that is known once the headers are.
    fn known<'b>(&self, bytes: &'b [u8]) -> View<'b> {
        if self.has_headers() { non_empty(bytes) } else { View::Pending }
    }

    fn header(&self, name: &str) -> View<'a> {
        if !self.has_headers() {
            return View::Pending;
        }
        self.headers.get(name).map_or(View::Absent, View::whole)
    }
}

/// A body: whole at its end, before that in steps.
fn body<'a>(side: &Side<'_>, body: &'a Body, first: usize) -> View<'a> {
    let bytes = body.data();
    if side.is_complete() || body.is_truncated() {
        return non_empty(bytes);
    }
    if bytes.len() < first {
        return View::Pending;
    }
    let steps = bytes.len().saturating_sub(first).checked_div(STEP).unwrap_or(0);
    let end = first.saturating_add(steps.saturating_mul(STEP));
    View::Data { bytes: bytes.get(..end).unwrap_or(bytes), offset: 0, last: false }
}

/// Size of the file in one direction of a complete message.
pub(super) fn file_size(http: &Http, dir: net::Direction) -> Option<u64> {
    let body = match dir {
        net::Direction::ToServer => &http.request.body,
        net::Direction::ToClient => &http.response.body,
    };
    (body.decoded_len() > 0).then(|| body.decoded_len())
}
