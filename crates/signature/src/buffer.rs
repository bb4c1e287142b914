//! The inspection buffers of the rule language: names, directions, protocols.
//!
//! One table; everything else (keywords, hooks, fast-pattern priority) is derived from it.

use crate::{AppProto, Direction};

/// A buffer that rules inspect, named by its sticky-buffer keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Buffer {
    /// `payload`: Raw stream or packet payload (no sticky buffer).
    Payload,
    /// `http.method`: Request method.
    HttpMethod,
    /// `http.uri`: Normalised request URI.
    HttpUri,
    /// `http.uri.raw`: Request URI as sent.
    HttpUriRaw,
    /// `http.request_line`: Request line without line end.
    HttpRequestLine,
    /// `http.protocol`: Protocol field of the request or response line.
    HttpProtocol,
    /// `http.host`: Host name, lowercased, without port.
    HttpHost,
    /// `http.host.raw`: Host as sent, with port.
    HttpHostRaw,
    /// `http.user_agent`: User-Agent value.
    HttpUserAgent,
    /// `http.referer`: Referer value.
    HttpReferer,
    /// `http.accept`: Accept value.
    HttpAccept,
    /// `http.accept_lang`: Accept-Language value.
    HttpAcceptLang,
    /// `http.accept_enc`: Accept-Encoding value.
    HttpAcceptEnc,
    /// `http.connection`: Connection value.
    HttpConnection,
    /// `http.content_type`: Content-Type value.
    HttpContentType,
    /// `http.content_len`: Content-Length value.
    HttpContentLen,
    /// `http.cookie`: Cookie value (request), Set-Cookie value (response).
    HttpCookie,
    /// `http.header`: Normalised headers without cookies, `Name: value\r\n` each.
    HttpHeader,
    /// `http.header.raw`: Headers as sent, from the first header to the empty line.
    HttpHeaderRaw,
    /// `http.header_names`: Names: `\r\nHost\r\nAccept\r\n\r\n`.
    HttpHeaderNames,
    /// `http.start`: First line and headers.
    HttpStart,
    /// `http.request_header`: Each request header as `Name: value`.
    HttpRequestHeader,
    /// `http.request_body`: Request body.
    HttpRequestBody,
    /// `http.stat_code`: Status code.
    HttpStatCode,
    /// `http.stat_msg`: Status message.
    HttpStatMsg,
    /// `http.response_line`: Response line without line end.
    HttpResponseLine,
    /// `http.location`: Location value.
    HttpLocation,
    /// `http.server`: Server value.
    HttpServer,
    /// `http.response_header`: Each response header as `Name: value`.
    HttpResponseHeader,
    /// `http.response_body`: Response body, content encodings undone.
    HttpResponseBody,
    /// `file.data`: Content of files in transfer.
    FileData,
    /// `file.name`: Name of the file.
    FileName,
    /// `dns.query`: Names asked for, dotted, as sent.
    DnsQuery,
    /// `dns.queries.rrname`: Names in the question section.
    DnsQueriesRrname,
    /// `dns.answers.rrname`: Names in the answer section.
    DnsAnswersRrname,
    /// `tls.sni`: Server name of the client hello.
    TlsSni,
    /// `tls.cert_subject`: Subject of the server certificate.
    TlsCertSubject,
    /// `tls.cert_issuer`: Issuer of the server certificate.
    TlsCertIssuer,
    /// `tls.cert_serial`: Serial number `0A:1B:..`.
    TlsCertSerial,
    /// `tls.cert_fingerprint`: SHA-1 `0a:1b:..`.
    TlsCertFingerprint,
    /// `tls.certs`: Certificates in DER.
    TlsCerts,
    /// `tls.subjectaltname`: Subject alternative names.
    TlsSubjectAltName,
    /// `tls.alpn`: Protocols offered or chosen.
    TlsAlpn,
    /// `ja3.hash`: MD5 of the JA3 string, lowercase hex.
    Ja3Hash,
    /// `ja3.string`: JA3 string.
    Ja3String,
    /// `ja3s.hash`: MD5 of the JA3S string, lowercase hex.
    Ja3sHash,
    /// `ja3s.string`: JA3S string.
    Ja3sString,
    /// `ja4.hash`: JA4 fingerprint.
    Ja4Hash,
    /// `ssh.proto`: Protocol version of the banner.
    SshProto,
    /// `ssh.software`: Software of the banner.
    SshSoftware,
    /// `smtp.helo`: HELO or EHLO argument.
    SmtpHelo,
    /// `smtp.mail_from`: Sender of the envelope.
    SmtpMailFrom,
    /// `smtp.rcpt_to`: Recipients of the envelope.
    SmtpRcptTo,
    /// `smb.named_pipe`: Named pipe.
    SmbNamedPipe,
    /// `smb.share`: Share name.
    SmbShare,
    /// `tcp.hdr`: TCP header.
    TcpHdr,
    /// `udp.hdr`: UDP header.
    UdpHdr,
    /// `ipv4.hdr`: IPv4 header.
    Ipv4Hdr,
    /// `ipv6.hdr`: IPv6 header.
    Ipv6Hdr,
    /// `icmpv4.hdr`: ICMPv4 header.
    Icmpv4Hdr,
    /// `icmpv6.hdr`: ICMPv6 header.
    Icmpv6Hdr,
    /// `ether.hdr`: Ethernet header.
    EtherHdr,
    /// `igmp.hdr`: IGMP message.
    IgmpHdr,
    /// `sctp.hdr`: SCTP common header.
    SctpHdr,
    /// `sctp.chunk_data`: User data of the first DATA chunk.
    SctpChunkData,
}

/// In which direction a buffer exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// Requests only.
    ToServer,
    /// Responses only.
    ToClient,
    /// Both, each with its own content.
    Both,
    /// Of each packet, not of a transaction.
    Packet,
}

/// One row of the table.
#[derive(Debug)]
struct Row {
    buffer: Buffer,
    name: &'static str,
    alias: &'static str,
    sides: Sides,
    protocols: &'static [AppProto],
    multi: bool,
    windowed: bool,
}

const fn row(
    buffer: Buffer,
    names: (&'static str, &'static str),
    sides: Sides,
    protocols: &'static [AppProto],
    kind: (bool, bool),
) -> Row {
    Row { buffer, name: names.0, alias: names.1, sides, protocols, multi: kind.0, windowed: kind.1 }
}

const HTTP: &[AppProto] = &[AppProto::Http];
const DNS: &[AppProto] = &[AppProto::Dns];
const TLS: &[AppProto] = &[AppProto::Tls];
const JA: &[AppProto] = &[AppProto::Tls, AppProto::Quic];
const SSH: &[AppProto] = &[AppProto::Ssh];
const SMTP: &[AppProto] = &[AppProto::Smtp];
const SMB: &[AppProto] = &[AppProto::Smb];
const FILES: &[AppProto] = &[
    AppProto::Http,
    AppProto::Smtp,
    AppProto::Ftp,
    AppProto::FtpData,
    AppProto::Smb,
    AppProto::Nfs,
];

/// The table, in the order in which a transaction fills its buffers.
const TABLE: &[Row] = &[
    row(Buffer::Payload, ("payload", ""), Sides::Both, &[], (false, false)),
    row(Buffer::HttpMethod, ("http.method", "http_method"), Sides::ToServer, HTTP, (false, false)),
    row(Buffer::HttpUri, ("http.uri", "http_uri"), Sides::ToServer, HTTP, (false, false)),
    row(
        Buffer::HttpUriRaw,
        ("http.uri.raw", "http_raw_uri"),
        Sides::ToServer,
        HTTP,
        (false, false),
    ),
    row(
        Buffer::HttpRequestLine,
        ("http.request_line", "http_request_line"),
        Sides::ToServer,
        HTTP,
        (false, false),
    ),
    row(
        Buffer::HttpProtocol,
        ("http.protocol", "http_protocol"),
        Sides::Both,
        HTTP,
        (false, false),
    ),
    row(Buffer::HttpHost, ("http.host", "http_host"), Sides::ToServer, HTTP, (false, false)),
    row(
        Buffer::HttpHostRaw,
        ("http.host.raw", "http_raw_host"),
        Sides::ToServer,
        HTTP,
        (false, false),
    ),
    row(
        Buffer::HttpUserAgent,
        ("http.user_agent", "http_user_agent"),
        Sides::ToServer,
        HTTP,
        (false, false),
    ),
    row(
        Buffer::HttpReferer,
        ("http.referer", "http_referer"),
        Sides::ToServer,
        HTTP,
        (false, false),
    ),
    row(Buffer::HttpAccept, ("http.accept", "http_accept"), Sides::ToServer, HTTP, (false, false)),
    row(
        Buffer::HttpAcceptLang,
        ("http.accept_lang", "http_accept_lang"),
        Sides::ToServer,
        HTTP,
        (false, false),
    ),
    row(
        Buffer::HttpAcceptEnc,
        ("http.accept_enc", "http_accept_enc"),
        Sides::ToServer,
        HTTP,
        (false, false),
    ),
    row(
        Buffer::HttpConnection,
        ("http.connection", "http_connection"),
        Sides::Both,
        HTTP,
        (false, false),
    ),
    row(
        Buffer::HttpContentType,
        ("http.content_type", "http_content_type"),
        Sides::Both,
        HTTP,
        (false, false),
    ),
    row(
        Buffer::HttpContentLen,
        ("http.content_len", "http_content_len"),
        Sides::Both,
        HTTP,
        (false, false),
    ),
    row(Buffer::HttpCookie, ("http.cookie", "http_cookie"), Sides::Both, HTTP, (false, false)),
    row(Buffer::HttpHeader, ("http.header", "http_header"), Sides::Both, HTTP, (false, false)),
    row(
        Buffer::HttpHeaderRaw,
        ("http.header.raw", "http_raw_header"),
        Sides::Both,
        HTTP,
        (false, false),
    ),
    row(
        Buffer::HttpHeaderNames,
        ("http.header_names", "http_header_names"),
        Sides::Both,
        HTTP,
        (false, false),
    ),
    row(Buffer::HttpStart, ("http.start", "http_start"), Sides::Both, HTTP, (false, false)),
    row(
        Buffer::HttpRequestHeader,
        ("http.request_header", ""),
        Sides::ToServer,
        HTTP,
        (true, false),
    ),
    row(
        Buffer::HttpRequestBody,
        ("http.request_body", "http_client_body"),
        Sides::ToServer,
        HTTP,
        (false, true),
    ),
    row(
        Buffer::HttpStatCode,
        ("http.stat_code", "http_stat_code"),
        Sides::ToClient,
        HTTP,
        (false, false),
    ),
    row(
        Buffer::HttpStatMsg,
        ("http.stat_msg", "http_stat_msg"),
        Sides::ToClient,
        HTTP,
        (false, false),
    ),
    row(
        Buffer::HttpResponseLine,
        ("http.response_line", "http_response_line"),
        Sides::ToClient,
        HTTP,
        (false, false),
    ),
    row(
        Buffer::HttpLocation,
        ("http.location", "http_location"),
        Sides::ToClient,
        HTTP,
        (false, false),
    ),
    row(Buffer::HttpServer, ("http.server", "http_server"), Sides::ToClient, HTTP, (false, false)),
    row(
        Buffer::HttpResponseHeader,
        ("http.response_header", ""),
        Sides::ToClient,
        HTTP,
        (true, false),
    ),
    row(
        Buffer::HttpResponseBody,
        ("http.response_body", "http_server_body"),
        Sides::ToClient,
        HTTP,
        (false, true),
    ),
    row(Buffer::FileData, ("file.data", "file_data"), Sides::Both, FILES, (true, true)),
    row(Buffer::FileName, ("file.name", "filename"), Sides::Both, FILES, (true, false)),
    row(Buffer::DnsQuery, ("dns.query", "dns_query"), Sides::ToServer, DNS, (true, false)),
    row(Buffer::DnsQueriesRrname, ("dns.queries.rrname", ""), Sides::Both, DNS, (true, false)),
    row(
        Buffer::DnsAnswersRrname,
        ("dns.answers.rrname", "dns.answer.name"),
        Sides::ToClient,
        DNS,
        (true, false),
    ),
    row(Buffer::TlsSni, ("tls.sni", "tls_sni"), Sides::ToServer, TLS, (false, false)),
    row(
        Buffer::TlsCertSubject,
        ("tls.cert_subject", "tls_cert_subject"),
        Sides::ToClient,
        TLS,
        (false, false),
    ),
    row(
        Buffer::TlsCertIssuer,
        ("tls.cert_issuer", "tls_cert_issuer"),
        Sides::ToClient,
        TLS,
        (false, false),
    ),
    row(
        Buffer::TlsCertSerial,
        ("tls.cert_serial", "tls_cert_serial"),
        Sides::ToClient,
        TLS,
        (false, false),
    ),
    row(
        Buffer::TlsCertFingerprint,
        ("tls.cert_fingerprint", "tls_cert_fingerprint"),
        Sides::ToClient,
        TLS,
        (false, false),
    ),
    row(Buffer::TlsCerts, ("tls.certs", ""), Sides::ToClient, TLS, (true, false)),
    row(Buffer::TlsSubjectAltName, ("tls.subjectaltname", ""), Sides::ToClient, TLS, (true, false)),
    row(Buffer::TlsAlpn, ("tls.alpn", ""), Sides::Both, TLS, (true, false)),
    row(Buffer::Ja3Hash, ("ja3.hash", "ja3_hash"), Sides::ToServer, JA, (false, false)),
    row(Buffer::Ja3String, ("ja3.string", "ja3_string"), Sides::ToServer, JA, (false, false)),
    row(Buffer::Ja3sHash, ("ja3s.hash", ""), Sides::ToClient, JA, (false, false)),
    row(Buffer::Ja3sString, ("ja3s.string", ""), Sides::ToClient, JA, (false, false)),
    row(Buffer::Ja4Hash, ("ja4.hash", ""), Sides::ToServer, JA, (false, false)),
    row(Buffer::SshProto, ("ssh.proto", "ssh_proto"), Sides::Both, SSH, (false, false)),
    row(Buffer::SshSoftware, ("ssh.software", "ssh_software"), Sides::Both, SSH, (false, false)),
    row(Buffer::SmtpHelo, ("smtp.helo", ""), Sides::ToServer, SMTP, (false, false)),
    row(Buffer::SmtpMailFrom, ("smtp.mail_from", ""), Sides::ToServer, SMTP, (false, false)),
    row(Buffer::SmtpRcptTo, ("smtp.rcpt_to", ""), Sides::ToServer, SMTP, (true, false)),
    row(
        Buffer::SmbNamedPipe,
        ("smb.named_pipe", "smb_named_pipe"),
        Sides::Both,
        SMB,
        (false, false),
    ),
    row(Buffer::SmbShare, ("smb.share", "smb_share"), Sides::Both, SMB, (false, false)),
    row(Buffer::TcpHdr, ("tcp.hdr", ""), Sides::Packet, &[], (false, false)),
    row(Buffer::UdpHdr, ("udp.hdr", ""), Sides::Packet, &[], (false, false)),
    row(Buffer::Ipv4Hdr, ("ipv4.hdr", ""), Sides::Packet, &[], (false, false)),
    row(Buffer::Ipv6Hdr, ("ipv6.hdr", ""), Sides::Packet, &[], (false, false)),
    row(Buffer::Icmpv4Hdr, ("icmpv4.hdr", ""), Sides::Packet, &[], (false, false)),
    row(Buffer::Icmpv6Hdr, ("icmpv6.hdr", ""), Sides::Packet, &[], (false, false)),
    row(Buffer::EtherHdr, ("ether.hdr", ""), Sides::Packet, &[], (false, false)),
    row(Buffer::IgmpHdr, ("igmp.hdr", ""), Sides::Packet, &[], (false, false)),
    row(Buffer::SctpHdr, ("sctp.hdr", ""), Sides::Packet, &[], (false, false)),
    row(Buffer::SctpChunkData, ("sctp.chunk_data", ""), Sides::Packet, &[], (false, false)),
];

impl Buffer {
    /// How many there are.
    pub const COUNT: usize = TABLE.len();

    fn row(self) -> &'static Row {
        // The enum and the table have the same order; a test holds them together.
        TABLE.get(self as usize).unwrap_or(&TABLE[0])
    }

    /// Name of the sticky-buffer keyword.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// By keyword name, new (`http.uri`) or old (`http_uri`).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE
            .iter()
            .skip(1)
            .find(|row| row.name == name || (!row.alias.is_empty() && row.alias == name))
            .map(|row| row.buffer)
    }

    /// Directions in which it exists.
    #[must_use]
    pub fn sides(self) -> Sides {
        self.row().sides
    }

    /// Whether it exists in that direction of a transaction.
    #[must_use]
    pub fn exists(self, direction: Direction) -> bool {
        match self.sides() {
            Sides::ToServer => direction == Direction::ToServer,
            Sides::ToClient => direction == Direction::ToClient,
            Sides::Both => true,
            Sides::Packet => false,
        }
    }

    /// Protocols whose transactions have it; empty for payload and header buffers.
    #[must_use]
    pub fn protocols(self) -> &'static [AppProto] {
        self.row().protocols
    }

    /// Several instances may exist in one transaction.
    #[must_use]
    pub fn is_multi(self) -> bool {
        self.row().multi
    }

    /// Inspected in windows while it grows (bodies, files).
    #[must_use]
    pub fn is_windowed(self) -> bool {
        self.row().windowed
    }

    /// Every buffer.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_the_order_of_the_enum() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.buffer as usize, index, "{}", row.name);
        }
    }

    #[test]
    fn names_and_aliases_lead_to_one_buffer() {
        for row in TABLE.iter().skip(1) {
            assert_eq!(Buffer::from_name(row.name), Some(row.buffer));
            if !row.alias.is_empty() {
                assert_eq!(Buffer::from_name(row.alias), Some(row.buffer));
            }
        }
        assert_eq!(Buffer::from_name(""), None);
        assert_eq!(Buffer::from_name("payload"), None);
    }
}
