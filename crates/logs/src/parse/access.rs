//! Access logs of nginx and Apache, common and combined form.
//!
//! `ADDRESS IDENT USER [TIME] "METHOD URL PROTOCOL" STATUS BYTES ["REFERER" "AGENT"]`. Fields keep
//! EVE's names for HTTP, so that one rule serves for packets and logs.

use event::Timestamp;

use super::Entry;

pub(super) fn read(line: &str, entry: &mut Entry) -> bool {
    parse(line, entry).is_some()
}

fn parse(line: &str, entry: &mut Entry) -> Option<()> {
    let (client, rest) = line.split_once(' ')?;
    let (_ident, rest) = rest.split_once(' ')?;
    // The user may hold blanks: the time's bracket ends it.
    let (user, rest) = rest.split_once(" [")?;
    let (time, rest) = rest.split_once("] \"")?;
    let (request, rest) = quoted(rest)?;
    let mut words = rest.trim_start().splitn(3, ' ');
    let (status, bytes) = (words.next()?, words.next()?);
    status.parse::<u16>().ok()?;
    entry.time = clf_time(time)?;
    if !entry.address("src_ip", client) {
        entry.text("source.domain", client);
    }
    entry.text("user.name", if user == "-" { "" } else { user });
    request_line(&request, entry);
    entry.number("http.status", status);
    entry.number("http.length", bytes);
    if let Some(rest) = words.next().and_then(|rest| rest.trim_start().strip_prefix('"')) {
        let (referer, rest) = quoted(rest)?;
        entry.text("http.http_refer", if referer == "-" { "" } else { &referer });
        if let Some((agent, _)) = rest.trim_start().strip_prefix('"').and_then(quoted) {
            entry.text("http.http_user_agent", if agent == "-" { "" } else { &agent });
        }
    }
    entry.text("event.module", "access");
    entry.text("event.category", "web");
    entry.text("message", line);
    Some(())
}

fn request_line(request: &str, entry: &mut Entry) {
    let (method, rest) = request.split_once(' ').unwrap_or(("", request));
    let (url, protocol) = rest.rsplit_once(" HTTP/").map_or((rest, None), |(u, v)| (u, Some(v)));
    entry.text("http.http_method", method);
    entry.text("http.url", url);
    if let Some(version) = protocol {
        entry.text("http.protocol", &format!("HTTP/{version}"));
    }
}

/// A text up to its unescaped quote, with `\"`, `\\` and `\xHH` undone, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'"' => {
                let used = text.len().checked_sub(rest.len())?;
                return Some((String::from_utf8_lossy(&out).into_owned(), text.get(used..)?));
            }
            b'\\' => {
                let (escaped, tail) = rest.split_first()?;
                rest = tail;
                if *escaped == b'x'
                    && let Some((hex, tail)) = rest.split_first_chunk::<2>()
                    && let Ok(code) = u8::from_str_radix(&String::from_utf8_lossy(hex), 16)
                {
                    out.push(code);
                    rest = tail;
                } else {
                    out.push(*escaped);
                }
            }
            other => out.push(*other),
        }
    }
    None
}

/// `22/Nov/2026:15:04:05 +0100`
fn clf_time(text: &str) -> Option<Timestamp> {
    let time = jiff::fmt::strtime::parse("%d/%b/%Y:%H:%M:%S %z", text).ok()?;
    Some(Timestamp::from_micros(time.to_timestamp().ok()?.as_microsecond()))
}
