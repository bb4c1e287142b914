//! IPv4 and IPv6 datagrams from their fragments (RFC 791 section 3.2, RFC 8200 section 4.5).
//!
//! Keeps the pieces of incomplete datagrams within a memory cap and a timeout on packet time. Where
//! fragments overlap, the piece seen first wins; every overlap is an anomaly of the later packet.
//! A complete datagram comes out as one IPv4 packet or one IPv6 packet without extension headers.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use hashbrown::HashMap;

use crate::decode::{DecoderEvent, Fragment, Ip, Packet};

/// A datagram is at most this long: with its header for IPv4 (RFC 791), without it for IPv6.
const MAX_DATAGRAM: u32 = 65_535;
/// Bytes a piece is charged for beside its payload: tiny fragments must not cost more than they
/// count for.
const PIECE_OVERHEAD: usize = 64;

/// Limits of reassembly.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of fragments kept, with 64 for each piece's bookkeeping.
    pub memory: usize,
    /// Incomplete datagrams kept.
    pub datagrams: usize,
    /// Seconds until an incomplete datagram is given up.
    pub timeout: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 32 << 20, datagrams: 65_535, timeout: 60 }
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
}

#[derive(Debug)]
struct Datagram {
    /// Tells it from earlier datagrams of the same key.
    serial: u64,
    pieces: BTreeMap<u32, Box<[u8]>>,
    bytes: usize,
    /// Known once the last fragment was seen.
    total: Option<u32>,
    /// IPv4 header with options, or the 40 bytes of an IPv6 header, of the first fragment.
    header: Option<Box<[u8]>>,
    next_header: u8,
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
}

impl Defrag {
    /// Without fragments.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            table: HashMap::default(),
            ages: VecDeque::new(),
            next_serial: 0,
            memory: 0,
            stats: Stats::default(),
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Takes in a fragment; the whole datagram when this was its last missing piece.
    pub fn push(&mut self, packet: &mut Packet<'_>) -> Option<Vec<u8>> {
        let fragment = packet.fragment?;
        self.stats.fragments = self.stats.fragments.saturating_add(1);
        self.expire(packet.meta.ts);
        let is_v4 = matches!(packet.ip, Ip::V4(_));
        let length = u32::try_from(packet.payload.len()).ok()?;
        let end = fragment.offset.saturating_add(length);
        let header = if let Ip::V4(header) = &packet.ip { header.slice().len() } else { 0 };
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
        let key = key_of(packet, fragment);
        self.make_room(packet.payload.len().saturating_add(PIECE_OVERHEAD), &key);
        let (ages, next_serial) = (&mut self.ages, &mut self.next_serial);
        let datagram = self.table.entry(key).or_insert_with(|| {
            let serial = *next_serial;
            *next_serial = serial.wrapping_add(1);
            ages.push_back(Age { seen: packet.meta.ts, serial, key });
            Datagram {
                serial,
                pieces: BTreeMap::new(),
                bytes: 0,
                total: None,
                header: None,
                next_header: fragment.next_header,
            }
        });
        let before = datagram.bytes;
        let overlap = datagram.add(packet, fragment, end);
        self.memory = self.memory.saturating_add(datagram.bytes.saturating_sub(before));
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
        let whole = self.take(&key)?.join(is_v4);
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
}

fn key_of(packet: &Packet<'_>, fragment: Fragment) -> Key {
    let mut vlan = [0; 3];
    for (slot, id) in vlan.iter_mut().zip(packet.vlan.ids()) {
        *slot = *id;
    }
    Key {
        src: packet.src,
        dst: packet.dst,
        id: fragment.id,
        proto: if matches!(packet.ip, Ip::V4(_)) { packet.proto } else { 0 },
        vlan,
        vlans: packet.vlan.ids().len(),
    }
}

impl Datagram {
    /// Adds what is new of a fragment; true when some of it was there already.
    fn add(&mut self, packet: &Packet<'_>, fragment: Fragment, end: u32) -> bool {
        if !fragment.more && self.total.is_none() {
            self.total = Some(end);
        }
        if fragment.offset == 0 && self.header.is_none() {
            self.next_header = fragment.next_header;
            self.header = Some(match &packet.ip {
                Ip::V4(header) => header.slice().into(),
                Ip::V6(header) => header.slice().into(),
                Ip::None => [].into(),
            });
        }
        let (mut at, mut data) = (fragment.offset, packet.payload);
        let mut overlap = false;
        while !data.is_empty() {
            if let Some((start, piece)) = self.pieces.range(..=at).next_back() {
                let into = usize::try_from(at.saturating_sub(*start)).unwrap_or(usize::MAX);
                if let Some(seen) = piece.get(into..).filter(|s| !s.is_empty()) {
                    overlap = true;
                    let n = seen.len().min(data.len());
                    data = data.get(n..).unwrap_or_default();
                    at = at.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
                    continue;
                }
            }
            let room = match self.pieces.range(at..).next() {
                Some((start, _)) => usize::try_from(start.saturating_sub(at)).unwrap_or(usize::MAX),
                None => usize::MAX,
            };
            let (now, rest) = data.split_at(room.min(data.len()));
            self.bytes = self.bytes.saturating_add(now.len()).saturating_add(PIECE_OVERHEAD);
            self.pieces.insert(at, now.into());
            at = at.saturating_add(u32::try_from(now.len()).unwrap_or(u32::MAX));
            data = rest;
        }
        overlap
    }

    fn is_complete(&self) -> bool {
        let Some(total) = self.total else { return false };
        let mut at = 0u32;
        for (start, piece) in &self.pieces {
            if *start != at {
                break;
            }
            at = at.saturating_add(u32::try_from(piece.len()).unwrap_or(u32::MAX));
        }
        at >= total && self.header.is_some()
    }

    /// Header and payload as one packet without fragmentation.
    fn join(self, is_v4: bool) -> Option<Vec<u8>> {
        let total = usize::try_from(self.total?).ok()?;
        let mut packet = self.header?.into_vec();
        let header = packet.len();
        for piece in self.pieces.values() {
            packet.extend_from_slice(piece);
        }
        packet.truncate(header.saturating_add(total));
        let next_header = self.next_header;
        let length = if is_v4 { packet.len() } else { total };
        let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        let place = if is_v4 { 2 } else { 4 };
        *packet.get_mut(place)? = high;
        *packet.get_mut(usize::saturating_add(place, 1))? = low;
        if is_v4 {
            // No flags, no offset.
            *packet.get_mut(6)? = 0;
            *packet.get_mut(7)? = 0;
        } else {
            *packet.get_mut(6)? = next_header;
        }
        Some(packet)
    }
}
