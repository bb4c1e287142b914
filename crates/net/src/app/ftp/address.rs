//! Addresses of data channels as commands and replies write them.

use std::net::{IpAddr, Ipv4Addr};

/// `h1,h2,h3,h4,p1,p2` anywhere in a text (RFC 959 section 4.1.2): PORT has it alone, the reply to
/// PASV somewhere in its words.
pub(super) fn host_port(text: &[u8]) -> Option<(IpAddr, u16)> {
    let mut rest = text;
    loop {
        let start = rest.iter().position(u8::is_ascii_digit)?;
        rest = rest.get(start..)?;
        let end = rest.iter().position(|b| !b.is_ascii_digit() && *b != b',' && *b != b' ');
        let (run, tail) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        if let Some(found) = six(run) {
            return Some(found);
        }
        rest = tail;
        if rest.is_empty() {
            return None;
        }
    }
}

fn six(run: &[u8]) -> Option<(IpAddr, u16)> {
    let text = std::str::from_utf8(run).ok()?;
    let mut numbers = [0u8; 6];
    let mut fields = text.trim().split(',');
    for number in &mut numbers {
        *number = fields.next()?.trim().parse().ok()?;
    }
    if fields.next().is_some() {
        return None;
    }
    let [a, b, c, d, high, low] = numbers;
    Some((Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low])))
}

/// `|family|address|port|` of EPRT, with any delimiter (RFC 2428 section 2).
pub(super) fn extended(argument: &[u8]) -> Option<(IpAddr, u16)> {
    let text = std::str::from_utf8(argument.trim_ascii()).ok()?;
    let delimiter = text.chars().next()?;
    let mut fields = text.split(delimiter).skip(1);
    let family = fields.next()?;
    let address: IpAddr = fields.next()?.parse().ok()?;
    let port = fields.next()?.parse().ok()?;
    let fits = match family {
        "1" => address.is_ipv4(),
        "2" => address.is_ipv6(),
        _ => false,
    };
    fits.then_some((address, port))
}

/// `(|||port|)` of the reply to EPSV, with any delimiter (RFC 2428 section 3).
pub(super) fn extended_port(text: &[u8]) -> Option<u16> {
    let open = memchr::memchr(b'(', text)?;
    let inner = text.get(open.saturating_add(1)..)?;
    let [delimiter, b, c, rest @ ..] = inner else { return None };
    if b != delimiter || c != delimiter {
        return None;
    }
    let end = memchr::memchr(*delimiter, rest)?;
    std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_ports() {
        let v4 = |text: &str, port| Some((text.parse::<IpAddr>().unwrap(), port));
        for (text, expected) in [
            ("192,168,0,13,234,10", v4("192.168.0.13", 59914)),
            ("227 Entering Passive Mode (2,2,2,2,185,13).", v4("2.2.2.2", 47373)),
            ("227 at 10, 0, 0, 1, 0, 21", v4("10.0.0.1", 21)),
            ("1,2,3,4,5", None),
            ("1,2,3,4,5,6,7", None),
            ("256,2,3,4,5,6", None),
            ("no numbers", None),
            ("1 2 3", None),
            ("", None),
        ] {
            assert_eq!(host_port(text.as_bytes()), expected, "{text}");
        }
        for (text, expected) in [
            ("|1|132.235.1.2|6275|", v4("132.235.1.2", 6275)),
            ("!2!1080::8:800:200c:417a!5282!", v4("1080::8:800:200c:417a", 5282)),
            ("|2|132.235.1.2|6275|", None),
            ("|1|132.235.1.2|65536|", None),
            ("|1|", None),
            ("", None),
        ] {
            assert_eq!(extended(text.as_bytes()), expected, "{text}");
        }
        for (text, expected) in [
            ("229 Entering Extended Passive Mode (|||58612|)", Some(58612)),
            ("229 (!!!1!)", Some(1)),
            ("229 (|||99999|)", None),
            ("229 (||1|)", None),
            ("229 (", None),
        ] {
            assert_eq!(extended_port(text.as_bytes()), expected, "{text}");
        }
    }
}
