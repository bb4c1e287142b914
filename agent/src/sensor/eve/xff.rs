//! The client behind a proxy, as a header of HTTP requests tells it, for alert records.

use std::net::{IpAddr, SocketAddr};

use net::app::{Record, Transaction, TxList};

/// Where an address from a header goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Beside the addresses of the flow.
    #[default]
    Extra,
    /// In the place of the client's address.
    Overwrite,
}

/// Settings.
#[derive(Clone, Debug)]
pub(crate) struct Xff {
    pub(crate) enabled: bool,
    pub(crate) mode: Mode,
    /// The proxy stands before the servers: it has put the last address in, else the first one counts.
    pub(crate) reverse: bool,
    /// Name of the header.
    pub(crate) header: String,
}

impl Default for Xff {
    fn default() -> Self {
        let header = "X-Forwarded-For".to_owned();
        Self { enabled: false, mode: Mode::Extra, reverse: true, header }
    }
}

impl Xff {
    /// The client that the request of an alert came from: of its transaction, else of the newest one
    /// that tells.
    pub(crate) fn client(&self, tx: Option<&Transaction>, all: &TxList) -> Option<IpAddr> {
        if !self.enabled {
            return None;
        }
        match tx {
            Some(tx) => self.of(tx),
            None => all.iter().filter_map(|tx| self.of(tx)).last(),
        }
    }

    fn of(&self, tx: &Transaction) -> Option<IpAddr> {
        let Record::Http(http) = &tx.record else { return None };
        self.address(http.request.headers.get(&self.header)?)
    }

    fn address(&self, value: &[u8]) -> Option<IpAddr> {
        let text = std::str::from_utf8(value).ok()?;
        let mut list = text.split(',');
        let one = if self.reverse { list.next_back() } else { list.next() }?.trim();
        let with_port = || one.parse::<SocketAddr>().ok().map(|place| place.ip());
        one.trim_matches(['[', ']']).parse().ok().or_else(with_port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_counts_is_at_one_end_of_the_list() {
        for (value, reverse, forward) in [
            ("10.1.1.1", Some("10.1.1.1"), Some("10.1.1.1")),
            ("10.1.1.1, 10.2.2.2,10.3.3.3", Some("10.3.3.3"), Some("10.1.1.1")),
            ("10.1.1.1:80,[2001:db8::1]:443", Some("2001:db8::1"), Some("10.1.1.1")),
            ("2001:db8::2 , [2001:db8::1]", Some("2001:db8::1"), Some("2001:db8::2")),
            ("unknown,10.1.1.1", Some("10.1.1.1"), None),
            ("10.1.1.1,", None, Some("10.1.1.1")),
            ("", None, None),
            ("\u{e4}", None, None),
        ] {
            for (reverse, wanted) in [(true, reverse), (false, forward)] {
                let xff = Xff { reverse, ..Xff::default() };
                let found = xff.address(value.as_bytes()).map(|address| address.to_string());
                assert_eq!(found.as_deref(), wanted, "{value} {reverse}");
            }
        }
    }
}
