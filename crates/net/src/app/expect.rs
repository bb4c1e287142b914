//! Flows that one flow announces: the data channel of FTP.
//!
//! A bounded table of the engine, keyed by both addresses and the port that will be connected to. What
//! is not used ages by packet time; an announcement serves one flow.

use std::collections::VecDeque;
use std::net::IpAddr;

use hashbrown::HashMap;

use super::ftp::Transfer;

/// A flow that will come between the same two addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Port it will be connected to.
    pub port: u16,
    /// What it will be.
    pub what: What,
}

/// What an expected flow will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A data channel of FTP.
    FtpData(Transfer),
}

/// Announcements kept at once; the oldest goes when one more comes.
const MAX_EXPECTED: usize = 4096;
/// Packet time an announcement is good for, in microseconds.
const LIFETIME: i64 = 30_000_000;

/// Lower address, higher address, port.
type Key = (IpAddr, IpAddr, u16);

#[derive(Debug)]
struct Entry {
    what: What,
    /// Microseconds since the epoch.
    until: i64,
    /// Tells it from earlier ones with the same key.
    number: u64,
}

/// The announcements of one engine.
#[derive(Debug, Default)]
pub(crate) struct Expectations {
    table: HashMap<Key, Entry, foldhash::fast::RandomState>,
    /// Keys in the order in which they came.
    order: VecDeque<(Key, u64)>,
    numbered: u64,
}

fn key(a: IpAddr, b: IpAddr, port: u16) -> Key {
    (a.min(b), a.max(b), port)
}

impl Expectations {
    /// True when there is nothing to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Takes note of a flow that will come between two addresses, at packet time `ts`.
    pub(crate) fn add(&mut self, between: (IpAddr, IpAddr), expected: Expected, ts: i64) {
        while let Some((oldest, number)) = self.order.front().copied() {
            let entry = self.table.get(&oldest);
            let live = entry.is_some_and(|entry| entry.number == number && entry.until >= ts);
            if live && self.order.len() < MAX_EXPECTED {
                break;
            }
            self.order.pop_front();
            if self.table.get(&oldest).is_some_and(|entry| entry.number == number) {
                self.table.remove(&oldest);
            }
        }
        self.numbered = self.numbered.wrapping_add(1);
        let key = key(between.0, between.1, expected.port);
        let until = ts.saturating_add(LIFETIME);
        self.table.insert(key, Entry { what: expected.what, until, number: self.numbered });
        self.order.push_back((key, self.numbered));
    }

    /// What a flow to `port` between two addresses was announced as; the announcement is used up.
    pub(crate) fn take(&mut self, between: (IpAddr, IpAddr), port: u16, ts: i64) -> Option<What> {
        let entry = self.table.remove(&key(between.0, between.1, port))?;
        (entry.until >= ts).then_some(entry.what)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ftp::Command;
    use super::*;
    use crate::flow::Direction;

    fn expected(port: u16, name: &str) -> Expected {
        let dir = Direction::ToServer;
        let transfer = Transfer { command: Command::Stor, name: name.as_bytes().to_vec(), dir };
        Expected { port, what: What::FtpData(transfer) }
    }

    fn addresses() -> (IpAddr, IpAddr) {
        ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap())
    }

    #[test]
    fn an_announcement_serves_one_flow_of_either_side_in_time() {
        let (a, b) = addresses();
        let mut table = Expectations::default();
        table.add((a, b), expected(20, "x"), 0);
        table.add((a, b), expected(21, "y"), 0);
        assert_eq!(table.take((a, a), 20, 1), None);
        assert_eq!(table.take((b, a), 20, 1), Some(expected(20, "x").what));
        assert_eq!(table.take((b, a), 20, 1), None, "used up");
        assert_eq!(table.take((a, b), 21, LIFETIME + 1), None, "too late");
        assert!(table.is_empty());
        table.add((a, b), expected(22, "old"), 0);
        table.add((a, b), expected(22, "new"), 5);
        assert_eq!(table.take((a, b), 22, 6), Some(expected(22, "new").what));
    }

    #[test]
    fn the_table_is_bounded_and_ages() {
        let (a, b) = addresses();
        let mut table = Expectations::default();
        for n in 0..3 * MAX_EXPECTED {
            table.add((a, b), expected(u16::try_from(n % 60_000).unwrap(), "x"), 0);
            assert!(table.table.len() <= MAX_EXPECTED && table.order.len() <= MAX_EXPECTED);
        }
        for _ in 0..3 * MAX_EXPECTED {
            table.add((a, b), expected(7, "same"), 0);
            assert!(table.order.len() <= MAX_EXPECTED);
        }
        table.add((a, b), expected(1, "late"), 2 * LIFETIME);
        assert_eq!((table.table.len(), table.order.len()), (1, 1), "all others are too old");
    }
}
