//! Which protocol the first bytes of a direction belong to. Content decides, not the port.

use super::{AppContext, Ports, Protocol, dcerpc, dhcp, dns, ldap, ntp, quic, smb, tftp};
use crate::cursor::Cursor;
use crate::flow::Direction;

/// Transport below an application protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Bytes in order.
    Tcp,
    /// Datagrams.
    Udp,
}

/// What a look at the first bytes says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// This protocol.
    Is(Protocol),
    /// This protocol, but these bytes were sent by the server.
    Reversed(Protocol),
    /// Could be something: more bytes are needed.
    More,
    /// Nothing known.
    No,
}

/// Looks at the first bytes of a direction.
#[must_use]
pub fn probe(dir: Direction, bytes: &[u8], cx: &AppContext<'_>) -> Probe {
    match cx.transport {
        Transport::Tcp => tcp(dir, bytes, cx),
        Transport::Udp => udp(dir, bytes, cx),
    }
}

const METHODS: &[&[u8]] = &[
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"PUT ",
    b"OPTIONS ",
    b"DELETE ",
    b"CONNECT ",
    b"TRACE ",
    b"PATCH ",
    b"PROPFIND ",
    b"PROPPATCH ",
    b"MKCOL ",
    b"COPY ",
    b"MOVE ",
    b"LOCK ",
    b"UNLOCK ",
    b"SEARCH ",
    b"REPORT ",
    b"CHECKOUT ",
    b"MERGE ",
    b"BDELETE ",
    b"BPROPFIND ",
    b"SUBSCRIBE ",
    b"NOTIFY ",
    b"M-SEARCH ",
    b"RPC_IN_DATA ",
    b"RPC_OUT_DATA ",
    b"BITS_POST ",
    b"CCM_POST ",
    b"SMS_POST ",
    b"VERSION-CONTROL ",
    b"UNCHECKOUT ",
    b"UPDATE ",
    b"LABEL ",
    b"MKACTIVITY ",
    b"BASELINE-CONTROL ",
    b"ACL ",
    b"MKWORKSPACE ",
];

/// More bytes than any of them has.
const LONGEST_METHOD: usize = 24;

/// Whether bytes begin a message of HTTP; `None` when more of them are needed.
pub(super) fn begins_http(dir: Direction, bytes: &[u8]) -> Option<bool> {
    let starts: &[&[u8]] = match dir {
        Direction::ToServer => METHODS,
        Direction::ToClient => &[b"HTTP/"],
    };
    let mut answer = Some(false);
    for start in starts {
        match prefix(bytes, start, false) {
            Fit::Yes => return Some(true),
            Fit::Maybe => answer = None,
            Fit::No => {}
        }
    }
    answer
}

fn tcp(dir: Direction, bytes: &[u8], cx: &AppContext<'_>) -> Probe {
    let mut more = false;
    // Servers forgive empty lines before a request (RFC 9112 section 2.2).
    let line = trim_start(bytes);
    match prefix(bytes, b"PRI * HTTP/2.0", false) {
        Fit::Yes => return Probe::Is(Protocol::Http2),
        Fit::Maybe => more = true,
        Fit::No => {}
    }
    match dir {
        Direction::ToServer => {
            // A tab separates as well as a space, for most servers.
            let head = line.get(..LONGEST_METHOD).unwrap_or(line);
            let spaced: Vec<u8> =
                head.iter().map(|b| if *b == b'\t' { b' ' } else { *b }).collect();
            for method in METHODS {
                match prefix(&spaced, method, true) {
                    Fit::Yes => return Probe::Is(Protocol::Http),
                    Fit::Maybe => more = true,
                    Fit::No => {}
                }
            }
            match prefix(bytes, b"HTTP/", false) {
                Fit::Yes => return Probe::Reversed(Protocol::Http),
                Fit::Maybe => more = true,
                Fit::No => {}
            }
        }
        Direction::ToClient => match prefix(line, b"HTTP/", false) {
            Fit::Yes => return Probe::Is(Protocol::Http),
            Fit::Maybe => more = true,
            Fit::No => {}
        },
    }
    match tls(bytes) {
        Fit::Yes => return Probe::Is(Protocol::Tls),
        Fit::Maybe => more = true,
        Fit::No => {}
    }
    match prefix(bytes, b"SSH-", false) {
        Fit::Yes => return Probe::Is(Protocol::Ssh),
        Fit::Maybe => more = true,
        Fit::No => {}
    }
    if let Some(protocol) = banner(dir, bytes) {
        return Probe::Is(protocol);
    }
    match windows(dir, bytes, cx) {
        Probe::No => {}
        Probe::More => more = true,
        found => return found,
    }
    if let Some(protocol) = binary(bytes) {
        return Probe::Is(protocol);
    }
    if let Some(sender) = ldap::looks_like(bytes) {
        return match (dir, sender) {
            (Direction::ToServer, Direction::ToClient) => Probe::Reversed(Protocol::Ldap),
            _ => Probe::Is(Protocol::Ldap),
        };
    }
    match kerberos(bytes, cx) {
        Fit::Yes => return Probe::Is(Protocol::Krb5),
        Fit::Maybe => more = true,
        Fit::No => {}
    }
    match dns_over_tcp(bytes, cx) {
        Probe::No => {}
        Probe::More => more = true,
        found => return found,
    }
    if more { Probe::More } else { Probe::No }
}

enum Fit {
    Yes,
    Maybe,
    No,
}

fn prefix(bytes: &[u8], wanted: &[u8], fold: bool) -> Fit {
    let n = bytes.len().min(wanted.len());
    let (Some(a), Some(b)) = (bytes.get(..n), wanted.get(..n)) else { return Fit::No };
    let same = if fold { a.eq_ignore_ascii_case(b) } else { a == b };
    match (same, n == wanted.len()) {
        (true, true) => Fit::Yes,
        (true, false) => Fit::Maybe,
        _ => Fit::No,
    }
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let blank = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    bytes.get(blank..).unwrap_or_default()
}

/// A handshake or alert record of SSL 3 to TLS 1.3, or an SSL 2 client hello.
fn tls(bytes: &[u8]) -> Fit {
    match bytes {
        [0x16, 0x03, 0..=4, _, _, 1 | 2 | 11 | 12, ..]
        | [0x15, 0x03, 0..=4, 0, 2, ..]
        | [0x80..=0x8f, _, 1, 0 | 3, 0..=3, 0, _, 0, ..] => Fit::Yes,
        [0x16] | [0x16, 0x03] => Fit::Maybe,
        [0x16, 0x03, 0..=4, rest @ ..] if rest.len() <= 2 => Fit::Maybe,
        _ => Fit::No,
    }
}

/// Protocols whose first line says what they are.
fn banner(dir: Direction, bytes: &[u8]) -> Option<Protocol> {
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let has = |needle: &[u8]| memchr::memmem::find(line, needle).is_some();
    match dir {
        Direction::ToClient => {
            if bytes.starts_with(b"220") {
                let upper = line.to_ascii_uppercase();
                if memchr::memmem::find(&upper, b"FTP").is_some() {
                    return Some(Protocol::Ftp);
                }
                if memchr::memmem::find(&upper, b"SMTP").is_some() {
                    return Some(Protocol::Smtp);
                }
            }
            if bytes.starts_with(b"+OK ") || bytes.starts_with(b"+OK\r") {
                return Some(Protocol::Pop3);
            }
            if bytes.starts_with(b"* OK ") {
                return Some(Protocol::Imap);
            }
            if bytes.starts_with(b"SIP/2.0 ") {
                return Some(Protocol::Sip);
            }
            bytes.starts_with(b"RFB 00").then_some(Protocol::Rfb)
        }
        Direction::ToServer => {
            let starts = |word: &[u8]| {
                line.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
            };
            if starts(b"EHLO") || starts(b"HELO") {
                Some(Protocol::Smtp)
            } else if starts(b"USER ") || starts(b"PASS ") || starts(b"PORT ") || starts(b"FEAT\r")
            {
                Some(Protocol::Ftp)
            } else if starts(b"CAPA\r") || starts(b"APOP ") {
                Some(Protocol::Pop3)
            } else if has(b" SIP/2.0\r") || starts(b"SIP/2.0 ") {
                Some(Protocol::Sip)
            } else {
                bytes.starts_with(b"RFB 00").then_some(Protocol::Rfb)
            }
        }
    }
}

/// SMB and DCERPC, whose messages also say who sent them.
fn windows(dir: Direction, bytes: &[u8], cx: &AppContext<'_>) -> Probe {
    let told = |protocol, by_server: bool| match (dir, by_server) {
        (Direction::ToServer, true) => Probe::Reversed(protocol),
        _ => Probe::Is(protocol),
    };
    let (client, server) = cx.ports;
    match bytes {
        // An encrypted message says nothing of its direction; the ports do.
        [0, _, _, _, 0xfd, b'S', b'M', b'B', ..] => {
            told(Protocol::Smb, matches!(client, 139 | 445) && !matches!(server, 139 | 445))
        }
        [0, _, _, _, 0xfc..=0xff, b'S', b'M', b'B', ..] => {
            smb::looks_like(bytes).map_or(Probe::No, |response| told(Protocol::Smb, response))
        }
        // A session request (RFC 1002 section 4.3.2): two names of 34 bytes; or its answer.
        [0x81, 0, 0, 0x44, 0x20, ..] | [0x82, 0, 0, 0] => Probe::Is(Protocol::Smb),
        [5, 0 | 1, ..] if dcerpc::looks_like(bytes, Transport::Tcp) => {
            let by_server = matches!(bytes.get(2), Some(2 | 3 | 12 | 13 | 15));
            told(Protocol::Dcerpc, by_server)
        }
        [0] | [0, ..] if bytes.len() < 8 && is_cut_smb(bytes) => Probe::More,
        [5] | [5, 0 | 1] => Probe::More,
        [5, 0 | 1, kind, ..] if bytes.len() < 10 && *kind <= dcerpc::kind::LAST => Probe::More,
        _ => Probe::No,
    }
}

/// Whether what is there of the mark of SMB is right.
fn is_cut_smb(bytes: &[u8]) -> bool {
    match bytes.get(4..).unwrap_or_default() {
        [] => bytes.len() >= 4 || bytes == [0],
        [0xfc..=0xff, name @ ..] => b"SMB".starts_with(name),
        _ => false,
    }
}

/// Protocols with magic numbers.
fn binary(bytes: &[u8]) -> Option<Protocol> {
    match bytes {
        [3, 0, _, _, _, 0xe0 | 0xd0, 0, 0, ..] => Some(Protocol::Rdp),
        [0x10, _, 0, 4, b'M', b'Q', b'T', b'T', ..]
        | [0x10, _, 0, 6, b'M', b'Q', b'I', b's', ..] => Some(Protocol::Mqtt),
        _ => None,
    }
}

/// A length, then an application tag of Kerberos (RFC 4120 section 5.10) and its length. On the port of
/// Kerberos part of that is worth the wait, and short messages will do.
fn kerberos(bytes: &[u8], cx: &AppContext<'_>) -> Fit {
    let registered = cx.ports.0 == 88 || cx.ports.1 == 88;
    match bytes {
        [0, 0, _, _, 0x6a..=0x6f | 0x7e, 0x81 | 0x82, ..] => Fit::Yes,
        [0, 0, _, _, message @ ..] if registered && is_short_kerberos(message) => Fit::Yes,
        [0, 0, _, _, 0x6a..=0x6f | 0x7e]
        | [0, 0, _, _, 0x6a..=0x6f | 0x7e, 0..=0x7f]
        | [0]
        | [0, 0]
        | [0, 0, _]
        | [0, 0, _, _]
            if registered =>
        {
            Fit::Maybe
        }
        _ => Fit::No,
    }
}

/// A message of less than 128 bytes, such as an error without text.
fn is_short_kerberos(message: &[u8]) -> bool {
    matches!(message, [0x6a..=0x6f | 0x7e, 0..=0x7f, 0x30, ..])
}

fn dns_over_tcp(bytes: &[u8], cx: &AppContext<'_>) -> Probe {
    // LLMNR falls back to TCP on its own port (RFC 4795 section 2.4).
    let (client, server) = cx.ports;
    let llmnr = client == 5355 || server == 5355;
    let registered = cx.config.ports.is_home(&[53, 5355], cx.ports);
    if !cx.config.ports.allow(&[53, 5355], cx.ports) {
        return Probe::No;
    }
    let mut c = Cursor::new(bytes);
    let Some(length) = c.u16() else { return if registered { Probe::More } else { Probe::No } };
    if length < 12 {
        return Probe::No;
    }
    match (dns::looks_like(c.rest(), true), registered) {
        (dns::Likeness::Query | dns::Likeness::Response, _)
            if registered || usize::from(length) <= c.remaining() =>
        {
            Probe::Is(if llmnr { Protocol::Llmnr } else { Protocol::Dns })
        }
        (dns::Likeness::Short, true) => Probe::More,
        _ => Probe::No,
    }
}

fn udp(dir: Direction, bytes: &[u8], cx: &AppContext<'_>) -> Probe {
    let port = |p: u16| cx.config.ports.is_home(&[p], cx.ports);
    // What was asked of a group is answered from an address that nobody has spoken to.
    let group = |p: u16| Ports::Registered.is_home(&[p], cx.ports);
    let by_port = if port(53) {
        Some(Protocol::Dns)
    } else if group(5353) {
        Some(Protocol::Mdns)
    } else if group(5355) {
        Some(Protocol::Llmnr)
    } else {
        None
    };
    // On its own port a damaged message is DNS too; elsewhere all of it has to be right.
    let likeness = dns::looks_like(bytes, by_port.is_some());
    let dns = by_port.or_else(|| (cx.config.ports == Ports::Any).then_some(Protocol::Dns));
    match (likeness, dns) {
        (dns::Likeness::Query, Some(dns)) => return Probe::Is(dns),
        (dns::Likeness::Response, Some(Protocol::Mdns)) => return Probe::Is(Protocol::Mdns),
        (dns::Likeness::Response, Some(dns)) => {
            return match dir {
                Direction::ToClient => Probe::Is(dns),
                Direction::ToServer => Probe::Reversed(dns),
            };
        }
        _ => {}
    }
    let told = |protocol, by_server: bool| match (dir, by_server) {
        (Direction::ToServer, true) => Probe::Reversed(protocol),
        _ => Probe::Is(protocol),
    };
    match bytes {
        // On its own port any message of NTP will do, elsewhere one of the usual length.
        [_, 0..=16, ..] if port(123) || bytes.len() == 48 => match ntp::parse(bytes) {
            Some(message) => told(Protocol::Ntp, ntp::is_answer(&message)),
            None => Probe::No,
        },
        [1 | 2, 1, 6, ..] => match dhcp::looks_like(bytes) {
            Some(reply) => told(Protocol::Dhcp, reply),
            None => Probe::No,
        },
        [4, ..] if dcerpc::looks_like(bytes, Transport::Udp) => Probe::Is(Protocol::Dcerpc),
        [0x30, ..] if cx.config.ports.allow(&[161, 162], cx.ports) && snmp(bytes) => {
            Probe::Is(Protocol::Snmp)
        }
        [0x30, ..] => match ldap::looks_like(bytes) {
            Some(sender) => told(Protocol::Ldap, sender == Direction::ToClient),
            None => Probe::No,
        },
        [0x6a..=0x6f | 0x7e, 0x81 | 0x82, ..] if port(88) => Probe::Is(Protocol::Krb5),
        _ if port(88) && is_short_kerberos(bytes) => Probe::Is(Protocol::Krb5),
        [0xc0..=0xff, ..] | [0x09..=0x3d, ..] if quic::looks_like(bytes) => {
            Probe::Is(Protocol::Quic)
        }
        [b'd', b'1', b':', ..] => Probe::Is(Protocol::BittorrentDht),
        [0, 1 | 2, ..] if port(69) && tftp::parse(bytes).is_some() => Probe::Is(Protocol::Tftp),
        _ if first_line_is_sip(bytes) => Probe::Is(Protocol::Sip),
        _ => Probe::No,
    }
}

/// A request or status line of SIP (RFC 3261 sections 7.1 and 7.2).
fn first_line_is_sip(bytes: &[u8]) -> bool {
    let head = bytes.get(..1024).unwrap_or(bytes);
    let line = head.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.starts_with(b"SIP/2.0 ") || line.ends_with(b" SIP/2.0")
}

/// Sequence, integer version 0, 1 or 3.
fn snmp(bytes: &[u8]) -> bool {
    let mut c = Cursor::new(bytes);
    c.skip(1);
    match c.u8() {
        Some(0x81) => c.skip(1),
        Some(0x82) => c.skip(2),
        Some(0..=0x7f) => Some(()),
        _ => None,
    };
    matches!(c.rest(), [2, 1, 0 | 1, 4, ..] | [2, 1, 3, 0x30, ..])
}
