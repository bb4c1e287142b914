//! The inspection buffers of the rule language: names, directions, protocols.
//!
//! One table; everything else (keywords, hooks, fast-pattern priority) is derived from it. A new buffer
//! is a line in its protocol's part of the table and an arm in the sensor's view of that protocol.

use crate::AppProto::{
    Dcerpc, Dns, Doh2, Ftp, FtpData, Http, Http2, Krb5, Nfs, Quic, Sip, Smb, Smtp, Snmp, Ssh, Tls,
    Websocket,
};
use crate::{AppProto, Direction};

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

/// How a buffer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Once in a transaction, whole.
    Single,
    /// Several instances in one transaction.
    Multi,
    /// Once, inspected in windows while it grows.
    Window,
    /// Several instances, each inspected in windows.
    Windows,
}

/// One row of the table.
#[derive(Debug)]
struct Row {
    buffer: Buffer,
    name: &'static str,
    /// The name before sticky buffers, or empty.
    alias: &'static str,
    sides: Sides,
    protocols: &'static [AppProto],
    kind: Kind,
}

const NONE: &[AppProto] = &[];
const HTTP: &[AppProto] = &[Http, Http2, Doh2];
const HTTP2: &[AppProto] = &[Http2, Doh2];
const WEBSOCKET: &[AppProto] = &[Websocket];
const DNS: &[AppProto] = &[Dns, Doh2];
const MDNS: &[AppProto] = &[AppProto::Mdns];
const LLMNR: &[AppProto] = &[AppProto::Llmnr];
const TLS: &[AppProto] = &[Tls];
const JA: &[AppProto] = &[Tls, Quic];
const SSH: &[AppProto] = &[Ssh];
const SMTP: &[AppProto] = &[Smtp];
const FTP: &[AppProto] = &[Ftp];
const SMB: &[AppProto] = &[Smb];
const DCERPC: &[AppProto] = &[Dcerpc, Smb];
const SNMP: &[AppProto] = &[Snmp];
const KRB5: &[AppProto] = &[Krb5];
const SIP: &[AppProto] = &[Sip];
const QUIC: &[AppProto] = &[Quic];
const LDAP: &[AppProto] = &[AppProto::Ldap];
const NTP: &[AppProto] = &[AppProto::Ntp];
const RFB: &[AppProto] = &[AppProto::Rfb];
const FRAMES: &[AppProto] = &[
    Http,
    Http2,
    Doh2,
    Dns,
    AppProto::Mdns,
    AppProto::Llmnr,
    Smtp,
    Dcerpc,
    Ssh,
    Tls,
    Websocket,
    Smb,
    Sip,
    AppProto::Ldap,
];
const FILES: &[AppProto] = &[Http, Http2, Doh2, Smtp, Ftp, FtpData, Smb, Nfs];

macro_rules! buffers {
    ($($variant:ident: $name:literal $(| $alias:literal)?, $sides:ident, $protocols:ident, $kind:ident; $doc:literal)+) => {
        /// A buffer that rules inspect, named by its sticky-buffer keyword.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Buffer {
            $(#[doc = concat!("`", $name, "`: ", $doc)] $variant,)+
        }

        /// The table, in the order in which a transaction fills its buffers.
        const TABLE: &[Row] = &[$(Row {
            buffer: Buffer::$variant,
            name: $name,
            alias: concat!("" $(, $alias)?),
            sides: Sides::$sides,
            protocols: $protocols,
            kind: Kind::$kind,
        },)+];
    };
}

buffers! {
    Payload: "payload", Both, NONE, Single; "Raw stream or packet payload (no sticky buffer)."
    HttpMethod: "http.method" | "http_method", ToServer, HTTP, Single; "Request method."
    HttpUri: "http.uri" | "http_uri", ToServer, HTTP, Single; "Normalised request URI."
    HttpUriRaw: "http.uri.raw" | "http_raw_uri", ToServer, HTTP, Single; "Request URI as sent."
    HttpRequestLine: "http.request_line" | "http_request_line", ToServer, HTTP, Single; "Request line without line end."
    HttpProtocol: "http.protocol" | "http_protocol", Both, HTTP, Single; "Protocol field of the request or response line."
    HttpHost: "http.host" | "http_host", ToServer, HTTP, Single; "Host name, lowercased, without port."
    HttpHostRaw: "http.host.raw" | "http_raw_host", ToServer, HTTP, Single; "Host as sent, with port."
    HttpUserAgent: "http.user_agent" | "http_user_agent", ToServer, HTTP, Single; "User-Agent value."
    HttpReferer: "http.referer" | "http_referer", ToServer, HTTP, Single; "Referer value."
    HttpAccept: "http.accept" | "http_accept", ToServer, HTTP, Single; "Accept value."
    HttpAcceptLang: "http.accept_lang" | "http_accept_lang", ToServer, HTTP, Single; "Accept-Language value."
    HttpAcceptEnc: "http.accept_enc" | "http_accept_enc", ToServer, HTTP, Single; "Accept-Encoding value."
    HttpConnection: "http.connection" | "http_connection", Both, HTTP, Single; "Connection value."
    HttpContentType: "http.content_type" | "http_content_type", Both, HTTP, Single; "Content-Type value."
    HttpContentLen: "http.content_len" | "http_content_len", Both, HTTP, Single; "Content-Length value."
    HttpCookie: "http.cookie" | "http_cookie", Both, HTTP, Single; "Cookie value (request), Set-Cookie value (response)."
    HttpHeader: "http.header" | "http_header", Both, HTTP, Single; "Normalised headers without cookies, `Name: value\r\n` each."
    HttpHeaderRaw: "http.header.raw" | "http_raw_header", Both, HTTP, Single; "Headers as sent, from the first header to the empty line."
    HttpHeaderNames: "http.header_names" | "http_header_names", Both, HTTP, Single; "Names: `\r\nHost\r\nAccept\r\n\r\n`."
    HttpStart: "http.start" | "http_start", Both, HTTP, Single; "First line and headers."
    HttpRequestHeader: "http.request_header", ToServer, HTTP, Multi; "Each request header as `Name: value`."
    HttpRequestBody: "http.request_body" | "http_client_body", ToServer, HTTP, Window; "Request body."
    HttpStatCode: "http.stat_code" | "http_stat_code", ToClient, HTTP, Single; "Status code."
    HttpStatMsg: "http.stat_msg" | "http_stat_msg", ToClient, HTTP, Single; "Status message."
    HttpResponseLine: "http.response_line" | "http_response_line", ToClient, HTTP, Single; "Response line without line end."
    HttpLocation: "http.location" | "http_location", ToClient, HTTP, Single; "Location value."
    HttpServer: "http.server" | "http_server", ToClient, HTTP, Single; "Server value."
    HttpResponseHeader: "http.response_header", ToClient, HTTP, Multi; "Each response header as `Name: value`."
    HttpResponseBody: "http.response_body" | "http_server_body", ToClient, HTTP, Window; "Response body, content encodings undone."
    FileData: "file.data" | "file_data", Both, FILES, Windows; "Content of files in transfer."
    FileName: "file.name" | "filename", Both, FILES, Multi; "Name of the file."
    DnsQuery: "dns.query" | "dns_query", ToServer, DNS, Multi; "Names asked for, dotted, as sent."
    DnsQueriesRrname: "dns.queries.rrname", Both, DNS, Multi; "Names in the question section."
    DnsAnswersRrname: "dns.answers.rrname" | "dns.answer.name", Both, DNS, Multi; "Names in the answer section."
    DnsAuthoritiesRrname: "dns.authorities.rrname", Both, DNS, Multi; "Names in the authority section."
    DnsAdditionalsRrname: "dns.additionals.rrname", Both, DNS, Multi; "Names in the additional section."
    DnsResponseRrname: "dns.response.rrname", ToClient, DNS, Multi; "All names of a response, those in record data included."
    MdnsQueriesRrname: "mdns.queries.rrname", Both, MDNS, Multi; "Names in the question section."
    MdnsAnswersRrname: "mdns.answers.rrname", Both, MDNS, Multi; "Names in the answer section."
    MdnsAuthoritiesRrname: "mdns.authorities.rrname", Both, MDNS, Multi; "Names in the authority section."
    MdnsAdditionalsRrname: "mdns.additionals.rrname", Both, MDNS, Multi; "Names in the additional section."
    MdnsResponseRrname: "mdns.response.rrname", ToClient, MDNS, Multi; "All names of a response, those in record data included."
    LlmnrQueriesRrname: "llmnr.queries.rrname", Both, LLMNR, Multi; "Names in the question section."
    LlmnrAnswersRrname: "llmnr.answers.rrname", Both, LLMNR, Multi; "Names in the answer section."
    LlmnrAuthoritiesRrname: "llmnr.authorities.rrname", Both, LLMNR, Multi; "Names in the authority section."
    LlmnrAdditionalsRrname: "llmnr.additionals.rrname", Both, LLMNR, Multi; "Names in the additional section."
    LlmnrResponseRrname: "llmnr.response.rrname", ToClient, LLMNR, Multi; "All names of a response, those in record data included."
    Http2HeaderName: "http2.header_name", Both, HTTP2, Multi; "Names of header fields, each."
    WebsocketPayload: "websocket.payload", Both, WEBSOCKET, Single; "Payload without mask, of a whole message in its last frame."
    TlsRandom: "tls.random", Both, TLS, Single; "Random of the hello, 32 bytes."
    TlsRandomTime: "tls.random_time", Both, TLS, Single; "Its first four bytes."
    TlsRandomBytes: "tls.random_bytes", Both, TLS, Single; "The rest of it."
    TlsSni: "tls.sni" | "tls_sni", ToServer, TLS, Single; "Server name of the client hello."
    TlsCertSubject: "tls.cert_subject" | "tls_cert_subject", Both, TLS, Single; "Subject of the certificate of the side."
    TlsCertIssuer: "tls.cert_issuer" | "tls_cert_issuer", Both, TLS, Single; "Issuer of the certificate of the side."
    TlsCertSerial: "tls.cert_serial" | "tls_cert_serial", Both, TLS, Single; "Serial number `0A:1B:..`."
    TlsCertFingerprint: "tls.cert_fingerprint" | "tls_cert_fingerprint", Both, TLS, Single; "SHA-1 `0a:1b:..`."
    TlsCerts: "tls.certs", Both, TLS, Multi; "Certificates in DER."
    TlsSubjectAltName: "tls.subjectaltname", Both, TLS, Multi; "Subject alternative names."
    TlsAlpn: "tls.alpn", Both, TLS, Multi; "Protocols offered or chosen."
    Ja3Hash: "ja3.hash" | "ja3_hash", ToServer, JA, Single; "MD5 of the JA3 string, lowercase hex."
    Ja3String: "ja3.string" | "ja3_string", ToServer, JA, Single; "JA3 string."
    Ja3sHash: "ja3s.hash", ToClient, JA, Single; "MD5 of the JA3S string, lowercase hex."
    Ja3sString: "ja3s.string", ToClient, JA, Single; "JA3S string."
    Ja4Hash: "ja4.hash", ToServer, JA, Single; "JA4 fingerprint."
    SshProto: "ssh.proto" | "ssh_proto", Both, SSH, Single; "Protocol version of the banner."
    SshSoftware: "ssh.software" | "ssh_software", Both, SSH, Single; "Software of the banner."
    SmtpHelo: "smtp.helo", ToServer, SMTP, Single; "HELO or EHLO argument."
    SmtpMailFrom: "smtp.mail_from", ToServer, SMTP, Single; "Sender of the envelope."
    SmtpRcptTo: "smtp.rcpt_to", ToServer, SMTP, Multi; "Recipients of the envelope."
    SshHassh: "ssh.hassh", ToServer, SSH, Single; "HASSH of the client, lowercase hex."
    SshHasshString: "ssh.hassh.string", ToServer, SSH, Single; "Algorithms the client offers."
    SshHasshServer: "ssh.hassh.server", ToClient, SSH, Single; "HASSH of the server, lowercase hex."
    SshHasshServerString: "ssh.hassh.server.string", ToClient, SSH, Single; "Algorithms the server offers."
    EmailFrom: "email.from", ToServer, SMTP, Single; "From field of the mail."
    EmailTo: "email.to", ToServer, SMTP, Single; "To field of the mail."
    EmailCc: "email.cc", ToServer, SMTP, Single; "Cc field of the mail."
    EmailSubject: "email.subject", ToServer, SMTP, Single; "Subject field of the mail."
    EmailDate: "email.date", ToServer, SMTP, Single; "Date field of the mail."
    EmailMessageId: "email.message_id", ToServer, SMTP, Single; "Message-ID field of the mail."
    EmailXMailer: "email.x_mailer", ToServer, SMTP, Single; "X-Mailer field of the mail."
    EmailReceived: "email.received", ToServer, SMTP, Multi; "Received fields of the mail."
    EmailUrl: "email.url", ToServer, SMTP, Multi; "Links in the text of the mail."
    EmailBodyMd5: "email.body_md5", ToServer, SMTP, Single; "MD5 of the mail's body, lowercase hex."
    FtpCommand: "ftp.command", ToServer, FTP, Single; "Name of the command."
    FtpCommandData: "ftp.command_data", ToServer, FTP, Single; "Argument of the command."
    FtpReply: "ftp.reply", ToClient, FTP, Multi; "Text of each line of the reply."
    FtpCompletionCode: "ftp.completion_code", ToClient, FTP, Multi; "Digits of each line of the reply."
    SmbNamedPipe: "smb.named_pipe" | "smb_named_pipe", ToServer, SMB, Single; "Named pipe."
    SmbShare: "smb.share" | "smb_share", Both, SMB, Single; "Share name."
    SmbNtlmsspUser: "smb.ntlmssp_user", ToServer, SMB, Single; "User of an NTLMSSP login."
    SmbNtlmsspDomain: "smb.ntlmssp_domain", ToServer, SMB, Single; "Domain of an NTLMSSP login."
    DcerpcStubData: "dcerpc.stub_data" | "dce_stub_data", Both, DCERPC, Single; "Arguments or results of a DCERPC call."
    SnmpCommunity: "snmp.community", Both, SNMP, Single; "Community of versions 1 and 2."
    SnmpUsm: "snmp.usm", Both, SNMP, Single; "User of the security model of version 3."
    SnmpTrapOid: "snmp.trap_oid", Both, SNMP, Single; "What was trapped, dotted."
    SnmpTrapAddress: "snmp.trap_address", Both, SNMP, Single; "Where a trap of version 1 came from, dotted."
    Krb5Cname: "krb5.cname" | "krb5_cname", Both, KRB5, Multi; "Components of the client's name."
    Krb5Sname: "krb5.sname" | "krb5_sname", Both, KRB5, Multi; "Components of the service's name."
    SipMethod: "sip.method", ToServer, SIP, Single; "Method."
    SipUri: "sip.uri", ToServer, SIP, Single; "URI of the request."
    SipRequestLine: "sip.request_line", ToServer, SIP, Single; "First line of a request."
    SipStatCode: "sip.stat_code", ToClient, SIP, Single; "Status code."
    SipStatMsg: "sip.stat_msg", ToClient, SIP, Single; "Reason."
    SipResponseLine: "sip.response_line", ToClient, SIP, Single; "First line of a response."
    SipProtocol: "sip.protocol", Both, SIP, Single; "Protocol and version of the first line."
    SipFrom: "sip.from", Both, SIP, Multi; "Values of From."
    SipTo: "sip.to", Both, SIP, Multi; "Values of To."
    SipVia: "sip.via", Both, SIP, Multi; "Values of Via."
    SipUserAgent: "sip.user_agent", Both, SIP, Multi; "Values of User-Agent."
    SipContentType: "sip.content_type", Both, SIP, Multi; "Values of Content-Type."
    SipContentLength: "sip.content_length", Both, SIP, Multi; "Values of Content-Length."
    QuicVersion: "quic.version", Both, QUIC, Single; "Version, four bytes."
    QuicSni: "quic.sni", ToServer, QUIC, Single; "Server name of the client hello."
    QuicUa: "quic.ua", ToServer, QUIC, Single; "What a client of Google's versions says it is."
    QuicCyuHash: "quic.cyu.hash", ToServer, QUIC, Multi; "MD5 of the CYU string, lowercase hex."
    QuicCyuString: "quic.cyu.string", ToServer, QUIC, Multi; "CYU string: version and tags of Google's versions."
    LdapRequestDn: "ldap.request.dn", ToServer, LDAP, Single; "Name of the entry a request is about."
    LdapRequestAttributeType: "ldap.request.attribute_type", ToServer, LDAP, Multi; "Types of attributes in a request."
    LdapResponsesDn: "ldap.responses.dn", ToClient, LDAP, Multi; "Names of entries in responses."
    LdapResponsesAttributeType: "ldap.responses.attribute_type", ToClient, LDAP, Multi; "Types of attributes in responses."
    LdapResponsesMessage: "ldap.responses.message", ToClient, LDAP, Multi; "What results say in words."
    Frame: "frame", Both, FRAMES, Single; "A unit that the protocol sends, of the kind that the rule names."
    NtpReferenceId: "ntp.reference_id", Both, NTP, Single; "Reference identifier, four bytes."
    RfbName: "rfb.name", ToClient, RFB, Single; "Name of the desktop."
    TcpHdr: "tcp.hdr", Packet, NONE, Single; "TCP header."
    UdpHdr: "udp.hdr", Packet, NONE, Single; "UDP header."
    Ipv4Hdr: "ipv4.hdr", Packet, NONE, Single; "IPv4 header."
    Ipv6Hdr: "ipv6.hdr", Packet, NONE, Single; "IPv6 header."
    Icmpv4Hdr: "icmpv4.hdr", Packet, NONE, Single; "ICMPv4 header."
    Icmpv6Hdr: "icmpv6.hdr", Packet, NONE, Single; "ICMPv6 header."
    EtherHdr: "ether.hdr", Packet, NONE, Single; "Ethernet header."
    IgmpHdr: "igmp.hdr", Packet, NONE, Single; "IGMP header."
    SctpHdr: "sctp.hdr", Packet, NONE, Single; "SCTP common header."
    SctpChunkData: "sctp.chunk_data", Packet, NONE, Single; "Payload of the first SCTP data chunk."
    IpSrc: "ip.src", Packet, NONE, Single; "Source address of the packet, 4 or 16 bytes."
    IpDst: "ip.dst", Packet, NONE, Single; "Destination address of the packet, 4 or 16 bytes."
}

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
        matches!(self.row().kind, Kind::Multi | Kind::Windows)
    }

    /// Inspected in windows while it grows (bodies, files).
    #[must_use]
    pub fn is_windowed(self) -> bool {
        matches!(self.row().kind, Kind::Window | Kind::Windows)
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
