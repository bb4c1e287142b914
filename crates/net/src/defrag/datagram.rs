//! One incomplete datagram: its pieces, without overlaps, and how they become a packet again.

use std::collections::BTreeMap;

use super::PIECE_OVERHEAD;
use crate::decode::{Fragment, Ip, Packet};
use crate::policy::OsPolicy;

/// A complete datagram.
#[derive(Clone, Debug)]
pub struct Whole {
    /// Link headers, IP header, payload.
    pub bytes: Vec<u8>,
    /// Where the IP header begins.
    pub ip_at: usize,
}

/// Bytes that no other piece has.
#[derive(Debug)]
struct Piece {
    bytes: Box<[u8]>,
    /// Where the fragment they came with began and ended.
    came: (u64, u64),
}

/// The headers of the first fragment.
#[derive(Debug)]
struct Head {
    bytes: Box<[u8]>,
    ip_at: usize,
    is_v4: bool,
    /// Place of the byte that names the header after those, counted from the IP header.
    next_at: usize,
    next_header: u8,
}

/// All pieces of one datagram so far.
#[derive(Debug)]
pub(super) struct Datagram {
    /// Tells it from earlier datagrams of the same key.
    pub(super) serial: u64,
    /// Memory it is charged for.
    pub(super) bytes: usize,
    policy: OsPolicy,
    pieces: BTreeMap<u64, Piece>,
    /// Known once the last fragment was seen.
    total: Option<u64>,
    head: Option<Head>,
}

impl Datagram {
    pub(super) fn new(serial: u64, policy: OsPolicy) -> Self {
        Self { serial, bytes: 0, policy, pieces: BTreeMap::new(), total: None, head: None }
    }

    /// Adds a fragment; true when some of it was there already.
    pub(super) fn add(&mut self, packet: &Packet<'_>, fragment: Fragment, end: u32) -> bool {
        let came = (u64::from(fragment.offset), u64::from(end));
        if !fragment.more && self.total.is_none() {
            self.total = Some(came.1);
        }
        if fragment.offset == 0 && self.head.is_none() {
            self.head = head(packet, fragment);
            self.bytes = self.bytes.saturating_add(self.head.as_ref().map_or(0, |h| h.bytes.len()));
        }
        let overlap = self.clear(came);
        let (mut at, mut data) = (came.0, packet.payload);
        while !data.is_empty() {
            let kept = self.covering(at);
            if let Some(until) = kept {
                let n = usize::try_from(until.saturating_sub(at)).unwrap_or(usize::MAX);
                data = data.get(n..).unwrap_or_default();
                at = until;
                continue;
            }
            let room = match self.pieces.range(at..).next() {
                Some((start, _)) => usize::try_from(start.saturating_sub(at)).unwrap_or(usize::MAX),
                None => usize::MAX,
            };
            let (now, rest) = data.split_at(room.min(data.len()));
            self.insert(at, now, came);
            at = at.saturating_add(length(now));
            data = rest;
        }
        overlap
    }

    /// Takes away what a new fragment replaces; true when there was anything in its place.
    fn clear(&mut self, new: (u64, u64)) -> bool {
        let first = self.pieces.range(..new.0).next_back().map_or(new.0, |(start, _)| *start);
        let touched: Vec<u64> = self
            .pieces
            .range(first..new.1)
            .filter(|(start, piece)| start.saturating_add(length(&piece.bytes)) > new.0)
            .map(|(start, _)| *start)
            .collect();
        for start in &touched {
            let Some(piece) = self.pieces.get(start) else { continue };
            if self.policy.fragment_replaces(piece.came, new) {
                self.cut(*start, new);
            }
        }
        !touched.is_empty()
    }

    /// Leaves of a piece what lies before and after `hole`.
    fn cut(&mut self, start: u64, hole: (u64, u64)) {
        let Some(piece) = self.pieces.remove(&start) else { return };
        let cost = piece.bytes.len().saturating_add(PIECE_OVERHEAD);
        self.bytes = self.bytes.saturating_sub(cost);
        let before = usize::try_from(hole.0.saturating_sub(start)).unwrap_or(usize::MAX);
        if let Some(bytes) = piece.bytes.get(..before.min(piece.bytes.len())) {
            self.insert(start, bytes, piece.came);
        }
        let after = usize::try_from(hole.1.saturating_sub(start)).unwrap_or(usize::MAX);
        if let Some(bytes) = piece.bytes.get(after..) {
            self.insert(hole.1, bytes, piece.came);
        }
    }

    fn insert(&mut self, at: u64, bytes: &[u8], came: (u64, u64)) {
        if bytes.is_empty() {
            return;
        }
        self.bytes = self.bytes.saturating_add(bytes.len()).saturating_add(PIECE_OVERHEAD);
        self.pieces.insert(at, Piece { bytes: bytes.into(), came });
    }

    /// End of the piece that has the byte at `at`.
    fn covering(&self, at: u64) -> Option<u64> {
        let (start, piece) = self.pieces.range(..=at).next_back()?;
        let end = start.saturating_add(length(&piece.bytes));
        (end > at).then_some(end)
    }

    pub(super) fn is_complete(&self) -> bool {
        let (Some(total), Some(_)) = (self.total, &self.head) else { return false };
        let mut at = 0u64;
        for (start, piece) in &self.pieces {
            if *start != at {
                break;
            }
            at = at.saturating_add(length(&piece.bytes));
        }
        at >= total
    }

    /// Headers and payload as one packet without fragmentation.
    pub(super) fn join(self) -> Option<Whole> {
        let total = usize::try_from(self.total?).ok()?;
        let head = self.head?;
        let (ip_at, header) = (head.ip_at, head.bytes.len());
        let mut bytes = head.bytes.into_vec();
        for piece in self.pieces.values() {
            bytes.extend_from_slice(&piece.bytes);
        }
        bytes.truncate(header.saturating_add(total));
        let ip = bytes.get_mut(ip_at..)?;
        let length = if head.is_v4 { ip.len() } else { ip.len().saturating_sub(40) };
        let place = if head.is_v4 { 2 } else { 4 };
        ip.get_mut(place..)?
            .first_chunk_mut::<2>()
            .map(|slot| *slot = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes())?;
        if head.is_v4 {
            // No flags, no offset, and the checksum of that.
            ip.get_mut(6..)?.first_chunk_mut::<2>().map(|slot| *slot = [0; 2])?;
            header_checksum(ip.get_mut(..header.saturating_sub(ip_at))?);
        } else {
            *ip.get_mut(head.next_at)? = head.next_header;
        }
        Some(Whole { bytes, ip_at })
    }
}

fn head(packet: &Packet<'_>, fragment: Fragment) -> Option<Head> {
    let is_v4 = match packet.ip {
        Ip::V4(_) => true,
        Ip::V6(_) => false,
        Ip::None => return None,
    };
    let headers = packet.ip_header.len();
    // The bytes of a packet contain its headers, so that the distance of the two is where IP begins.
    let ip_at = packet.ip_header.as_ptr().addr().checked_sub(packet.bytes.as_ptr().addr())?;
    let bytes = packet.bytes.get(..ip_at.checked_add(headers)?)?;
    let (next_at, next_header) = (usize::from(fragment.next_at), fragment.next_header);
    Some(Head { bytes: bytes.into(), ip_at, is_v4, next_at, next_header })
}

/// RFC 791 section 3.1.
fn header_checksum(header: &mut [u8]) {
    let Some(place) = header.get_mut(10..12) else { return };
    place.fill(0);
    let mut sum = header
        .chunks_exact(2)
        .filter_map(|pair| <[u8; 2]>::try_from(pair).ok())
        .fold(0u32, |sum, pair| sum.saturating_add(u32::from(u16::from_be_bytes(pair))));
    while sum >> 16 != 0 {
        sum = (sum & 0xffff).saturating_add(sum >> 16);
    }
    let value = !u16::try_from(sum).unwrap_or(0);
    if let Some(place) = header.get_mut(10..12) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
