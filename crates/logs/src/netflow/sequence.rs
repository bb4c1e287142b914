//! Sequence numbers of exporters: what they say never arrived.

use std::collections::HashMap;

use super::Header;

/// A gap that is larger is no loss: the exporter was started again or sends out of order.
const MAX_GAP: u32 = 1 << 20;

/// What each exporter is to send next.
#[derive(Debug)]
pub(super) struct Sequences {
    next: HashMap<(std::net::IpAddr, u16, u32), u32>,
    most: usize,
}

impl Sequences {
    /// Of at most `most` exporters; with more all are learned anew.
    pub(super) fn new(most: usize) -> Self {
        Self { next: HashMap::new(), most }
    }

    /// How many are missing before a datagram that begins at `sequence` and has `count`.
    pub(super) fn lost(&mut self, header: &Header, sequence: u32, count: u32) -> u64 {
        let key = (header.exporter.ip(), header.version, header.domain);
        if self.next.len() >= self.most && !self.next.contains_key(&key) {
            self.next.clear();
        }
        let before = self.next.insert(key, sequence.wrapping_add(count));
        let gap = before.map_or(0, |next| sequence.wrapping_sub(next));
        if gap > MAX_GAP { 0 } else { gap.into() }
    }

    /// Nothing is known of this exporter's numbers any more.
    pub(super) fn forget(&mut self, header: &Header) {
        self.next.remove(&(header.exporter.ip(), header.version, header.domain));
    }
}
