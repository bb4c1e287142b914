//! Who sends: what is configured for some senders, and counters of each. The number of senders that are
//! counted on their own is bounded; all further ones are counted together.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use event::{PeerReport, Timestamp, set};
use ipnet::IpNet;
use serde_json::Value;

use super::SyslogError;
use crate::config::SyslogConfig;
use crate::parse::{Parser, Zone};
use crate::source::Item;

/// Most senders counted on their own.
const MAX_PEERS: usize = 1024;
/// Most senders in a report: those that sent the most.
const REPORTED: usize = 32;
/// Name of all others together.
const OTHERS: &str = "others";

fn zone(name: Option<&str>) -> Result<Option<Zone>, SyslogError> {
    let unknown = |name: &str| SyslogError::Zone { name: name.to_owned() };
    name.map(|name| Zone::named(name).ok_or_else(|| unknown(name))).transpose()
}

fn network(text: &str) -> Result<IpNet, SyslogError> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| SyslogError::Network { text: text.to_owned() })
}

/// The senders of one listener.
#[derive(Debug)]
pub(super) struct Peers {
    usual: Parser,
    special: Vec<(Vec<IpNet>, Parser)>,
    counters: Arc<PeerCounters>,
}

impl Peers {
    /// As configured.
    ///
    /// # Errors
    /// [`SyslogError::Zone`], [`SyslogError::Network`].
    pub(super) fn new(config: &SyslogConfig) -> Result<Self, SyslogError> {
        let usual = zone(config.time_zone.as_deref())?.unwrap_or_else(Zone::utc);
        let special = config.peer.iter().map(|peer| {
            let networks = peer.networks.iter().map(|text| network(text));
            let zone = zone(peer.time_zone.as_deref())?.unwrap_or_else(|| usual.clone());
            let parser = config.parsers.parser(peer.format.unwrap_or(config.format), zone);
            Ok((networks.collect::<Result<_, _>>()?, parser))
        });
        Ok(Self {
            special: special.collect::<Result<_, _>>()?,
            usual: config.parsers.parser(config.format, usual),
            counters: Arc::default(),
        })
    }

    pub(super) const fn counters(&self) -> &Arc<PeerCounters> {
        &self.counters
    }

    /// The event of a message, of which `cut` bytes were cut off, and whether it was understood.
    pub(super) fn item(
        &self,
        bytes: &[u8],
        cut: u64,
        peer: SocketAddr,
        now: Timestamp,
    ) -> (Item, bool) {
        let address = peer.ip().to_canonical();
        let special = self
            .special
            .iter()
            .find(|(networks, _)| networks.iter().any(|network| network.contains(&address)));
        let parser = special.map_or(&self.usual, |(_, parser)| parser);
        let (mut event, parsed) = parser.event(bytes, now);
        set(&mut event.fields, "log.source.address", Value::String(address.to_string()));
        if cut > 0 {
            set(&mut event.fields, "log.truncated_bytes", Value::from(cut));
        }
        self.counters.count(address, bytes.len(), parsed, now);
        (Item::new(event), parsed)
    }
}

#[derive(Debug, Default)]
struct Counts {
    messages: u64,
    bytes: u64,
    unparsed: u64,
    last: Timestamp,
}

/// Counters of senders.
#[derive(Debug, Default)]
pub(crate) struct PeerCounters {
    peers: Mutex<(BTreeMap<IpAddr, Counts>, Counts)>,
}

impl PeerCounters {
    fn count(&self, address: IpAddr, bytes: usize, parsed: bool, now: Timestamp) {
        let mut locked = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let (peers, others) = &mut *locked;
        let known = peers.len() < MAX_PEERS || peers.contains_key(&address);
        let counts = if known { peers.entry(address).or_default() } else { others };
        counts.messages = counts.messages.saturating_add(1);
        counts.bytes = counts.bytes.saturating_add(u64::try_from(bytes).unwrap_or(0));
        counts.unparsed = counts.unparsed.saturating_add(u64::from(!parsed));
        counts.last = now;
    }

    /// Those that sent the most, and how many there are.
    pub(crate) fn report(&self) -> (Vec<PeerReport>, u64) {
        let locked = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let (peers, others) = &*locked;
        let report = |address: String, counts: &Counts| PeerReport {
            address,
            messages: counts.messages,
            bytes: counts.bytes,
            unparsed: counts.unparsed,
            last_seen: counts.last,
        };
        let mut all: Vec<PeerReport> =
            peers.iter().map(|(address, counts)| report(address.to_string(), counts)).collect();
        if others.messages > 0 {
            all.push(report(OTHERS.to_owned(), others));
        }
        all.sort_by_key(|peer| std::cmp::Reverse(peer.messages));
        all.truncate(REPORTED);
        (all, u64::try_from(peers.len()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Format, SyslogPeer, Transport};

    #[test]
    fn senders_have_zones_and_formats_of_their_own() {
        let mut config = SyslogConfig::new("127.0.0.1:0", Transport::Udp);
        config.time_zone = Some("Europe/Zurich".into());
        let peer = |networks: &[&str], time_zone: Option<&str>, format| SyslogPeer {
            networks: networks.iter().map(|text| (*text).to_owned()).collect(),
            time_zone: time_zone.map(str::to_owned),
            format,
        };
        config.peer = vec![
            peer(&["10.0.0.0/8", "2001:db8::/32"], Some("America/New_York"), None),
            peer(&["192.0.2.7"], None, Some(Format::Plain)),
        ];
        let peers = Peers::new(&config).unwrap();
        let now = "2026-11-30T12:00:00Z".parse().unwrap();
        let hour = |address: &str| {
            let line = b"<13>Nov 22 15:04:05 h a: x";
            let peer = SocketAddr::new(address.parse().unwrap(), 514);
            peers.item(line, 0, peer, now).0.events[0].time.to_string()
        };
        assert!(hour("10.1.2.3").contains("T20:04:05"), "{}", hour("10.1.2.3"));
        assert!(hour("2001:db8::1").contains("T20:04:05"));
        assert!(hour("::ffff:10.1.2.3").contains("T20:04:05"));
        assert!(hour("192.0.2.8").contains("T14:04:05"));
        assert!(hour("192.0.2.7").contains("T12:00:00"), "plain text has no time");
        config.peer = vec![peer(&["10.0.0.0/40"], None, None)];
        let error = Peers::new(&config).unwrap_err().to_string();
        assert_eq!(error, "\"10.0.0.0/40\" is no network");
        config.peer = vec![peer(&[], Some("Mars/Base"), None)];
        assert_eq!(Peers::new(&config).unwrap_err().to_string(), "unknown time zone \"Mars/Base\"");
    }

    #[test]
    fn counted_senders_are_bounded() {
        let counters = PeerCounters::default();
        for n in 0..3_000_u32 {
            let address = IpAddr::from(n.to_be_bytes());
            counters.count(address, 10, n > 0, Timestamp::from_seconds(i64::from(n)));
        }
        counters.count(IpAddr::from([0, 0, 0, 0]), 5, true, Timestamp::from_seconds(7));
        let (reports, known) = counters.report();
        assert_eq!((reports.len(), known), (REPORTED, 1024));
        assert_eq!((reports[0].address.as_str(), reports[0].messages), (OTHERS, 1976));
        let first = &reports[1];
        assert_eq!(first.address, "0.0.0.0");
        assert_eq!((first.messages, first.bytes, first.unparsed), (2, 15, 1));
        assert_eq!(first.last_seen, Timestamp::from_seconds(7));
    }
}
