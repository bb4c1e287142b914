//! Addresses of sockets as the kernel writes their bytes (`saddr` of SOCKADDR).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// Of IPv4 or IPv6.
    Ip(IpAddr, u16),
    /// A path, or a name that is no path with `@` before it; empty when it has none.
    Unix(String),
    /// Of another family (`AF_*`).
    Other(u16),
}

impl Address {
    /// Reads the bytes of a `sockaddr`. The family is in the order of the machine, which is little-endian wherever
    /// audit is in use but on s390x; both are tried.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (family, rest) = bytes.split_first_chunk::<2>()?;
        let family = match u16::from_le_bytes(*family) {
            big @ 256.. if big.is_multiple_of(256) => u16::from_be_bytes(*family),
            family => family,
        };
        Some(match family {
            1 => Self::Unix(unix(rest)),
            2 => {
                let (port, rest) = rest.split_first_chunk::<2>()?;
                let address = Ipv4Addr::from(*rest.first_chunk::<4>()?);
                Self::Ip(address.into(), u16::from_be_bytes(*port))
            }
            10 => {
                let (port, rest) = rest.split_first_chunk::<2>()?;
                let (_flow, rest) = rest.split_first_chunk::<4>()?;
                let address = Ipv6Addr::from(*rest.first_chunk::<16>()?);
                Self::Ip(IpAddr::V6(address).to_canonical(), u16::from_be_bytes(*port))
            }
            other => Self::Other(other),
        })
    }

    /// The name of its family.
    pub(super) const fn family(&self) -> &'static str {
        match self {
            Self::Ip(IpAddr::V4(_), _) => "ipv4",
            Self::Ip(IpAddr::V6(_), _) => "ipv6",
            Self::Unix(_) => "unix",
            Self::Other(0) => "unspec",
            Self::Other(16) => "netlink",
            Self::Other(17) => "packet",
            Self::Other(38) => "alg",
            Self::Other(40) => "vsock",
            Self::Other(_) => "other",
        }
    }
}

fn unix(bytes: &[u8]) -> String {
    let (mark, name) = match bytes.strip_prefix(b"\0") {
        Some(name) => ("@", name),
        None => ("", bytes),
    };
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    let name = String::from_utf8_lossy(name.get(..end).unwrap_or_default());
    if name.is_empty() { String::new() } else { format!("{mark}{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::auditd::record::bytes;

    #[test]
    fn addresses() {
        let read = |text: &str| Address::read(&bytes(text).unwrap());
        let ip = |text: &str, port| Some(Address::Ip(text.parse().unwrap(), port));
        assert_eq!(read("020000017F0000010000000000000000"), ip("127.0.0.1", 1));
        assert_eq!(read("0A000001000000000000000000000000000000000000000100000000"), ip("::1", 1));
        assert_eq!(
            read("0A0001BB0000000000000000000000000000FFFFC000020700000000"),
            ip("192.0.2.7", 443)
        );
        assert_eq!(read("01002F72756E2F7800D82E"), Some(Address::Unix("/run/x".into())));
        assert_eq!(read("01000078797A00"), Some(Address::Unix("@xyz".into())));
        assert_eq!(read("0100"), Some(Address::Unix(String::new())));
        assert_eq!(read("100000000000"), Some(Address::Other(16)));
        assert_eq!(read("0002000A7F000001"), ip("127.0.0.1", 10));
        assert_eq!(
            (read("0200"), read("02000001"), read("0A"), Address::read(&[])),
            (None, None, None, None)
        );
    }
}
