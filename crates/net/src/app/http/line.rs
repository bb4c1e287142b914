//! First lines and header lines.

/// A request line's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a [u8],
    pub(super) uri: &'a [u8],
    pub(super) protocol: &'a [u8],
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | 0x0b | 0x0c)
}

pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

pub(super) fn trim_start(bytes: &[u8]) -> &[u8] {
    let n = bytes.iter().take_while(|b| is_blank(**b) || matches!(b, b'\r' | 0)).count();
    bytes.get(n..).unwrap_or_default()
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    let n = bytes.iter().rev().take_while(|b| is_blank(**b) || matches!(b, b'\r' | b'\n')).count();
    bytes.get(..bytes.len().saturating_sub(n)).unwrap_or_default()
}

/// A field name without the control bytes that parsers skip around it.
fn trim_name(bytes: &[u8]) -> &[u8] {
    let bytes = trim(bytes);
    let n = bytes.iter().rev().take_while(|b| **b <= b' ').count();
    bytes.get(..bytes.len().saturating_sub(n)).unwrap_or_default()
}

/// Without the line end: LF, and what CRs are before it.
pub(super) fn chomp(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let n = line.iter().rev().take_while(|b| **b == b'\r').count();
    line.get(..line.len().saturating_sub(n)).unwrap_or_default()
}

/// Where a line of a response ends, the line end included: at an LF, or at CRs that no LF follows, which
/// many clients take for a line end. `None` when that is still to come.
pub(super) fn response_end(data: &[u8]) -> Option<usize> {
    let at = memchr::memchr2(b'\r', b'\n', data)?;
    let rest = data.get(at..)?;
    let returns = rest.iter().take_while(|b| **b == b'\r').count();
    let after = match rest.get(returns)? {
        b'\n' => returns.saturating_add(1),
        _ => returns,
    };
    Some(at.saturating_add(after))
}

/// A folded line that is a field of its own to clients which do not know folding.
pub(super) fn is_field(text: &[u8]) -> bool {
    let text = trim(text);
    let Some((name, _)) = memchr::memchr(b':', text).and_then(|at| text.split_at_checked(at))
    else {
        return false;
    };
    name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

/// Method, target, protocol. The target may hold spaces: only a last word that begins with `HTTP`
/// is the protocol.
pub(super) fn request(line: &[u8]) -> RequestLine<'_> {
    let line = trim(line);
    let end = line.iter().position(|b| is_blank(*b)).unwrap_or(line.len());
    let (method, rest) = line.split_at_checked(end).unwrap_or((line, &[]));
    let rest = trim_start(rest);
    if let Some(space) = rest.iter().rposition(|b| is_blank(*b)) {
        let (uri, protocol) = rest.split_at_checked(space).unwrap_or((rest, &[]));
        let protocol = trim(protocol);
        if protocol.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"HTTP")) {
            return RequestLine { method, uri: trim_end(uri), protocol };
        }
    }
    RequestLine { method, uri: rest, protocol: &[] }
}

/// Protocol, status code, message.
pub(super) fn response(line: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let line = trim(line);
    let end = line.iter().position(|b| is_blank(*b)).unwrap_or(line.len());
    let (protocol, rest) = line.split_at_checked(end).unwrap_or((line, &[]));
    let rest = trim_start(rest);
    let end = rest.iter().position(|b| is_blank(*b)).unwrap_or(rest.len());
    let (status, message) = rest.split_at_checked(end).unwrap_or((rest, &[]));
    (protocol, status, trim_start(message))
}

/// Name and value; a line without a colon is a value without a name.
pub(super) fn header(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b':', line).and_then(|at| line.split_at_checked(at)) {
        Some((name, value)) => (trim_name(name), trim(value.get(1..).unwrap_or_default())),
        None => (&[], trim(line)),
    }
}

/// A chunk size (RFC 9112 section 7.1); what follows the digits is ignored.
pub(super) fn chunk_size(line: &[u8]) -> Option<u64> {
    let line = trim(line);
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let text = std::str::from_utf8(line.get(..digits)?).ok()?;
    if digits > 15 {
        return None;
    }
    u64::from_str_radix(text, 16).ok()
}

/// A Content-Length: a number alone, or the same one again and again; clients disagree on anything else.
pub(super) fn length(value: &[u8]) -> Option<u64> {
    let mut numbers = value.split(|b| *b == b',').map(|part| {
        let part = trim(part);
        part.iter().all(u8::is_ascii_digit).then(|| number(part)).flatten()
    });
    let first = numbers.next()??;
    Some(first)
}

/// The number at the beginning.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    let value = trim(value);
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(value.get(..digits)?).ok()?.parse().ok()
}

/// Host and port of `host:port`, `[v6]:port` or a host alone.
pub(super) fn host_port(text: &[u8]) -> (&[u8], Option<u16>) {
    let text = trim(text);
    let split = if text.starts_with(b"[") {
        memchr::memchr(b']', text).map(|at| at.saturating_add(1))
    } else {
        memchr::memchr(b':', text)
    };
    let (host, rest) = text.split_at_checked(split.unwrap_or(text.len())).unwrap_or((text, &[]));
    let port = rest.strip_prefix(b":").and_then(number).and_then(|n| u16::try_from(n).ok());
    (host, port)
}
