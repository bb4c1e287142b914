//! Transactions as the signature engine sees them: a borrowed view, nothing copied that is there.

use std::cell::OnceCell;

use net::app::dns::Message;
use net::app::http::{Body, Headers, Http, progress};
use net::app::tls::Tls;
use net::app::{Record, Transaction};
use signature::{AppProto, Buffer, Inspect, Number, View};

/// A body that is still growing is first inspected at these sizes, and again each time it has grown
/// by [`STEP`]: request, response.
const FIRST_LOOK: [usize; 2] = [32 << 10, 40 << 10];
/// How much more of a body makes another look worth it.
const STEP: usize = 16 << 10;

/// The signature engine's word for a direction.
pub(crate) fn direction(dir: net::Direction) -> signature::Direction {
    match dir {
        net::Direction::ToServer => signature::Direction::ToServer,
        net::Direction::ToClient => signature::Direction::ToClient,
    }
}

/// Our word for a direction.
pub(crate) fn our_direction(dir: signature::Direction) -> net::Direction {
    match dir {
        signature::Direction::ToServer => net::Direction::ToServer,
        signature::Direction::ToClient => net::Direction::ToClient,
    }
}

/// A transaction under inspection.
pub(crate) struct TxView<'a> {
    tx: &'a Transaction,
    protocol: AppProto,
    /// Raw stream around it, per direction.
    payload: [&'a [u8]; 2],
    names: [OnceCell<Vec<u8>>; 2],
    start: [OnceCell<Vec<u8>>; 2],
    lines: [OnceCell<Vec<Vec<u8>>>; 2],
}

impl<'a> TxView<'a> {
    pub(crate) fn new(tx: &'a Transaction, protocol: AppProto, payload: [&'a [u8]; 2]) -> Self {
        let (names, start, lines) = Default::default();
        Self { tx, protocol, payload, names, start, lines }
    }

    fn http(&self, http: &'a Http, buffer: Buffer, dir: net::Direction, at: u32) -> View<'_> {
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
                    self.names.get(at).map(|cell| cell.get_or_init(|| side.headers.names()));
                non_empty(names.map_or(&[], Vec::as_slice))
            }
            Buffer::HttpStart if side.has_headers() => {
                let start = self
                    .start
                    .get(at)
                    .map(|cell| cell.get_or_init(|| [line, b"\r\n", side.headers.raw()].concat()));
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
        let lines = self.lines.get(dir.index()).map(|cell| {
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

    fn file(&self, http: &'a Http, dir: net::Direction, at: u32) -> View<'_> {
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
        non_empty(super::eve::file::name(http, dir))
    }
}

fn non_empty(bytes: &[u8]) -> View<'_> {
    if bytes.is_empty() { View::Absent } else { View::whole(bytes) }
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

fn dns(message: &Message, buffer: Buffer, at: u32) -> View<'_> {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let name = match buffer {
        Buffer::DnsQuery | Buffer::DnsQueriesRrname => message.queries.get(at).map(|q| &q.name),
        Buffer::DnsAnswersRrname => message.answers.get(at).map(|a| &a.name),
        _ => None,
    };
    name.map_or(View::Absent, |name| View::whole(name))
}

fn tls(tls: &Tls, buffer: Buffer, at: u32, dir: signature::Direction) -> View<'_> {
    let index = usize::try_from(at).unwrap_or(usize::MAX);
    let to_server = dir == signature::Direction::ToServer;
    let multi = matches!(buffer, Buffer::TlsCerts | Buffer::TlsSubjectAltName | Buffer::TlsAlpn);
    if at > 0 && !multi {
        return View::Absent;
    }
    let missing = if tls.encrypted { View::Absent } else { View::Pending };
    match buffer {
        Buffer::TlsSni | Buffer::Ja3Hash | Buffer::Ja3String | Buffer::Ja4Hash => {
            let Some(client) = &tls.client else { return missing };
            match buffer {
                Buffer::TlsSni => client.sni.as_deref().map_or(View::Absent, View::whole),
                Buffer::Ja3Hash => non_empty(client.ja3_hash.as_bytes()),
                Buffer::Ja3String => non_empty(client.ja3.as_bytes()),
                _ => non_empty(client.ja4.as_bytes()),
            }
        }
        Buffer::Ja3sHash | Buffer::Ja3sString => {
            let Some(server) = &tls.server else { return missing };
            let ja3s = if buffer == Buffer::Ja3sHash { &server.ja3s_hash } else { &server.ja3s };
            non_empty(ja3s.as_bytes())
        }
        Buffer::TlsAlpn if to_server => {
            let Some(client) = &tls.client else { return missing };
            client.alpn.get(index).map_or(View::Absent, |name| View::whole(name))
        }
        Buffer::TlsAlpn => {
            let Some(server) = &tls.server else { return missing };
            server.alpn.as_deref().filter(|_| at == 0).map_or(View::Absent, View::whole)
        }
        Buffer::TlsCerts => {
            let chain = if to_server { &tls.client_certificates } else { &tls.certificates };
            if chain.is_empty() {
                return missing;
            }
            chain.get(index).map_or(View::Absent, |der| View::whole(der))
        }
        _ => {
            let certificate = if to_server { &tls.client_certificate } else { &tls.certificate };
            let Some(certificate) = certificate else { return missing };
            match buffer {
                Buffer::TlsCertSubject => non_empty(certificate.subject.as_bytes()),
                Buffer::TlsCertIssuer => non_empty(certificate.issuer.as_bytes()),
                Buffer::TlsCertSerial => non_empty(certificate.serial.as_bytes()),
                Buffer::TlsCertFingerprint => non_empty(certificate.fingerprint.as_bytes()),
                Buffer::TlsSubjectAltName => certificate
                    .names
                    .get(index)
                    .map_or(View::Absent, |name| View::whole(name.as_bytes())),
                _ => View::Absent,
            }
        }
    }
}

impl Inspect for TxView<'_> {
    fn protocol(&self) -> AppProto {
        self.protocol
    }

    fn id(&self) -> u64 {
        self.tx.id
    }

    fn buffer(&self, buffer: Buffer, dir: signature::Direction, instance: u32) -> View<'_> {
        if buffer == Buffer::Payload {
            let raw = self.payload.get(dir.index()).copied().unwrap_or_default();
            let last = self.is_complete(dir);
            return match (instance, raw.is_empty()) {
                (0, false) => View::Data { bytes: raw, offset: 0, last },
                (0, true) if !last => View::Pending,
                _ => View::Absent,
            };
        }
        match &self.tx.record {
            Record::Http(http) => self.http(http, buffer, our_direction(dir), instance),
            Record::Dns(message) => dns(message, buffer, instance),
            Record::Tls(session) => tls(session, buffer, instance, dir),
        }
    }

    fn number(&self, number: Number, dir: signature::Direction) -> Option<u64> {
        match (&self.tx.record, number) {
            (Record::Tls(session), Number::TlsVersion) => {
                session.server.as_ref()?;
                Some(u64::from(session.version()))
            }
            (Record::Dns(message), Number::DnsOpcode) => Some(u64::from(message.opcode())),
            (Record::Dns(message), Number::DnsRcode) => Some(u64::from(message.rcode())),
            (Record::Dns(message), Number::DnsRrtype) => {
                Some(u64::from(message.queries.first()?.kind))
            }
            (Record::Http(http), Number::FileSize) if self.is_complete(dir) => {
                let body = match dir {
                    signature::Direction::ToServer => &http.request.body,
                    signature::Direction::ToClient => &http.response.body,
                };
                (body.decoded_len() > 0).then(|| body.decoded_len())
            }
            _ => None,
        }
    }

    fn has_event(&self, name: &str) -> bool {
        let name = name.split_once('.').map_or(name, |(_, name)| name);
        self.tx.events.iter().any(|event| event.name == name)
    }

    fn is_complete(&self, dir: signature::Direction) -> bool {
        match &self.tx.record {
            Record::Tls(session) if session.encrypted => true,
            _ => self.tx.is_complete(our_direction(dir)),
        }
    }
}
