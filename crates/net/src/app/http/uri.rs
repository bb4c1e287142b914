//! Request targets: splitting and normalising.
//!
//! The normalised form is what the `http.uri` keyword matches: path with escapes decoded,
//! backslashes turned, separators compressed and dot segments removed (RFC 3986 section 5.2.4),
//! then the query with escapes decoded.

/// Scheme and authority of an absolute target, and the rest.
pub(super) fn split(target: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let Some(at) = memchr::memmem::find(target, b"://") else { return (None, target) };
    let scheme = target.get(..at).unwrap_or_default();
    if scheme.is_empty() || !scheme.iter().all(u8::is_ascii_alphanumeric) {
        return (None, target);
    }
    let rest = target.get(at.saturating_add(3)..).unwrap_or_default();
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end).unwrap_or((rest, &[]));
    // User and password are not part of the host.
    let host = memchr::memrchr(b'@', authority)
        .and_then(|at| authority.get(at.saturating_add(1)..))
        .unwrap_or(authority);
    (Some(host), rest)
}

/// Path and query as a server would understand them.
#[must_use]
pub fn normalise(target: &[u8]) -> Vec<u8> {
    let (_, rest) = split(target);
    let end = rest.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(rest.len());
    let (path, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
    let mut out = Vec::with_capacity(rest.len());
    decode(path, true, &mut out);
    remove_dot_segments(&mut out);
    let (query, fragment) = match memchr::memchr(b'#', tail) {
        Some(at) => tail.split_at_checked(at).unwrap_or((tail, &[])),
        None => (tail, &[][..]),
    };
    decode(query, false, &mut out);
    out.extend_from_slice(fragment);
    out
}

/// Decodes escapes; in a path also turns backslashes and drops repeated separators.
fn decode(bytes: &[u8], is_path: bool, out: &mut Vec<u8>) {
    let begin = out.len();
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        let (mut byte, after) = match rest {
            [b'%', b'u' | b'U', a, b, c, d, after @ ..] => match four(*a, *b, *c, *d) {
                Some(byte) => (byte, after),
                None => (b'%', tail),
            },
            [b'%', a, b, after @ ..] => match two(*a, *b) {
                Some(byte) => (byte, after),
                None => (b'%', tail),
            },
            _ => (*first, tail),
        };
        rest = after;
        if is_path {
            if byte == b'\\' {
                byte = b'/';
            }
            if byte == b'/' && out.len() > begin && out.last() == Some(&b'/') {
                continue;
            }
        }
        out.push(byte);
    }
}

fn two(a: u8, b: u8) -> Option<u8> {
    let (a, b) = (char::from(a).to_digit(16)?, char::from(b).to_digit(16)?);
    u8::try_from(a << 4 | b).ok()
}

/// `%uXXXX`: the low byte of Latin-1 and full-width forms, `?` for what has no such byte.
fn four(a: u8, b: u8, c: u8, d: u8) -> Option<u8> {
    let (high, low) = (two(a, b)?, two(c, d)?);
    Some(match high {
        0 => low,
        0xff if (0x01..=0x5e).contains(&low) => low.saturating_add(0x20),
        _ => b'?',
    })
}

fn remove_dot_segments(path: &mut Vec<u8>) {
    if !path.windows(2).any(|w| w == b"/." || w == b"./") && path.first() != Some(&b'.') {
        return;
    }
    let absolute = path.first() == Some(&b'/');
    let mut kept: Vec<&[u8]> = Vec::new();
    let segments: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
    let last = segments.len().saturating_sub(1);
    for (n, segment) in segments.iter().enumerate() {
        match *segment {
            b"." if n == last => kept.push(b""),
            b"." => {}
            b".." => {
                if kept.len() > usize::from(absolute) {
                    kept.pop();
                }
                if n == last {
                    kept.push(b"");
                }
            }
            segment => kept.push(segment),
        }
    }
    let joined = kept.join(&b'/');
    *path = joined;
}
