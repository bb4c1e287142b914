//! IPv4 and IPv6 datagrams from their fragments (RFC 791 section 3.2, RFC 8200 section 4.5).
//!
//! Keeps the pieces of incomplete datagrams within a memory cap and a timeout on packet time. Where
//! fragments overlap, the receiver's [`OsPolicy`](crate::policy::OsPolicy) says whose bytes count; every overlap is an anomaly
//! of the later packet. A complete datagram comes out as one packet with the link and extension
//! headers that stood before the fragment header of its first piece.

mod datagram;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::IpAddr;

use hashbrown::HashMap;

use crate::decode::{DecoderEvent, Fragment, Ip, Packet};
use crate::policy::HostPolicies;
use datagram::Datagram;
pub use datagram::Whole;

/// A datagram is at most this long: with its header for IPv4 (RFC 791), without it for IPv6.
const MAX_DATAGRAM: u32 = 65_535;
/// Bytes a piece is charged for beside its payload: tiny fragments must not cost more than they
/// count for.
const PIECE_OVERHEAD: usize = 96;

/// Limits of reassembly.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of fragments kept, with 96 for each piece's bookkeeping.
    pub memory: usize,
    /// Incomplete datagrams kept.
    pub datagrams: usize,
    /// Seconds until an incomplete datagram is given up.
    pub timeout: i64,
    /// Pieces of one datagram have the same VLAN tags.
    pub vlan: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 32 << 20, datagrams: 65_535, timeout: 60, vlan: true }
    }
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Fragments taken in.
    pub fragments: u64,
    /// Datagrams completed.
    pub reassembled: u64,
    /// Datagrams given up after the timeout.
    pub timeouts: u64,
    /// Datagrams given up for a cap.
    pub shed: u64,
    /// Fragments that overlap earlier ones.
    pub overlaps: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    /// IPv6 fragments of one datagram may disagree about the next header, IPv4's may not.
    proto: u8,
    vlan: [u16; 3],
    vlans: usize,
    depth: u8,
}

/// When a datagram began.
#[derive(Clone, Copy, Debug)]
struct Age {
    seen: i64,
    serial: u64,
    key: Key,
}

/// All incomplete datagrams of one worker.
#[derive(Debug)]
pub struct Defrag {
    limits: Limits,
    table: HashMap<Key, Datagram, foldhash::fast::RandomState>,
    /// Keys by age; may name datagrams that are complete by now.
    ages: VecDeque<Age>,
    next_serial: u64,
    memory: usize,
    stats: Stats,
    hosts: HostPolicies,
}

impl Defrag {
    /// Without fragments.
    #[must_use]
    pub fn new(limits: Limits, hosts: HostPolicies) -> Self {
        Self {
            limits,
            table: HashMap::default(),
            ages: VecDeque::new(),
            next_serial: 0,
            memory: 0,
            stats: Stats::default(),
            hosts,
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Takes in a fragment; the whole datagram when this was its last missing piece.
    pub fn push(&mut self, packet: &mut Packet<'_>) -> Option<Whole> {
        let fragment = packet.fragment?;
        self.stats.fragments = self.stats.fragments.saturating_add(1);
        self.expire(packet.meta.ts);
        let is_v4 = matches!(packet.ip, Ip::V4(_));
        let length = u32::try_from(packet.payload.len()).ok()?;
        let end = fragment.offset.saturating_add(length);
        let header = if is_v4 { packet.ip_header.len() } else { 0 };
        let longest = MAX_DATAGRAM.saturating_sub(u32::try_from(header).unwrap_or(0));
        if end > longest {
            packet.note(if is_v4 {
                DecoderEvent::Ipv4FragPktTooLarge
            } else {
                DecoderEvent::Ipv6FragPktTooLarge
            });
            return None;
        }
        if length == 0 || (fragment.more && length % 8 != 0 && !is_v4) {
            packet.note(if is_v4 {
                DecoderEvent::Ipv4FragIgnored
            } else {
                DecoderEvent::Ipv6FragIgnored
            });
            return None;
        }
        let key = self.key_of(packet, fragment);
        self.make_room(packet.payload.len().saturating_add(PIECE_OVERHEAD), &key);
        let (ages, next_serial, hosts) = (&mut self.ages, &mut self.next_serial, &self.hosts);
        let datagram = self.table.entry(key).or_insert_with(|| {
            let serial = *next_serial;
            *next_serial = serial.wrapping_add(1);
            ages.push_back(Age { seen: packet.meta.ts, serial, key });
            Datagram::new(serial, hosts.of(packet.dst))
        });
        let before = datagram.bytes;
        let overlap = datagram.add(packet, fragment, end);
        // Replaced pieces may have made it smaller.
        self.memory = self.memory.saturating_sub(before).saturating_add(datagram.bytes);
        if overlap {
            self.stats.overlaps = self.stats.overlaps.saturating_add(1);
            packet.note(if is_v4 {
                DecoderEvent::Ipv4FragOverlap
            } else {
                DecoderEvent::Ipv6FragOverlap
            });
        }
        if !datagram.is_complete() {
            return None;
        }
        let whole = self.take(&key)?.join();
        self.stats.reassembled = self.stats.reassembled.saturating_add(1);
        whole
    }

    /// Gives up datagrams older than the timeout.
    fn expire(&mut self, now: i64) {
        let oldest = now.saturating_sub(self.limits.timeout.saturating_mul(1_000_000));
        while let Some(age) = self.ages.front().copied() {
            if age.seen >= oldest {
                return;
            }
            self.ages.pop_front();
            if self.is_live(&age) {
                self.take(&age.key);
                self.stats.timeouts = self.stats.timeouts.saturating_add(1);
            }
        }
    }

    /// Gives up the oldest datagrams until `more` bytes fit.
    fn make_room(&mut self, more: usize, keep: &Key) {
        while self.memory.saturating_add(more) > self.limits.memory
            || (self.table.len() >= self.limits.datagrams && !self.table.contains_key(keep))
        {
            let Some(age) = self.ages.pop_front() else { return };
            if self.is_live(&age) {
                self.take(&age.key);
                self.stats.shed = self.stats.shed.saturating_add(1);
            }
        }
        // Completed datagrams leave their age behind; do not let those pile up.
        if self.ages.len() > self.limits.datagrams.saturating_mul(2) {
            let table = &self.table;
            self.ages.retain(|a| table.get(&a.key).is_some_and(|d| d.serial == a.serial));
        }
    }

    fn is_live(&self, age: &Age) -> bool {
        self.table.get(&age.key).is_some_and(|d| d.serial == age.serial)
    }

    fn take(&mut self, key: &Key) -> Option<Datagram> {
        let datagram = self.table.remove(key)?;
        self.memory = self.memory.saturating_sub(datagram.bytes);
        Some(datagram)
    }

    fn key_of(&self, packet: &Packet<'_>, fragment: Fragment) -> Key {
        let tags = if self.limits.vlan { packet.vlan.ids() } else { &[] };
        let mut vlan = [0; 3];
        for (slot, id) in vlan.iter_mut().zip(tags) {
            *slot = *id;
        }
        Key {
            src: packet.src,
            dst: packet.dst,
            id: fragment.id,
            proto: if matches!(packet.ip, Ip::V4(_)) { packet.proto } else { 0 },
            vlan,
            vlans: tags.len(),
            depth: packet.depth,
        }
    }
}
