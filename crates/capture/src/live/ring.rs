//! The kernel's ring of packets, `AF_PACKET` with `TPACKET_V3`: frames are read where the kernel has
//! put them.
//!
//! The ring is memory shared with the kernel, in blocks. A block belongs to the kernel until it is
//! full or old enough; then it belongs to us, all its frames are read, and it is given back when the
//! frames after its last one are asked for. See the kernel's `Documentation/networking/packet_mmap.rst`.

pub(super) mod block;
mod map;
mod open;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;

use self::block::{Layout, Ready, Walk};
use self::map::Map;
use super::fanout::{self, Group};
use super::{LiveError, LiveOptions, LiveStats, socket};
use crate::{Burst, MAX_BURST};

/// An interface read through a ring of its own.
#[derive(Debug)]
pub(super) struct Ring {
    socket: OwnedFd,
    map: Map,
    /// The block that is read, or the next one to come.
    block: usize,
    /// Where in the block, while it is ours.
    walk: Option<Walk>,
    layout: Layout,
    interface: String,
    stats: LiveStats,
    /// Counters of interface and driver, and what they said when this began.
    drops: Vec<(File, u64)>,
}

impl Ring {
    pub(super) fn open(options: &LiveOptions) -> Result<Self, LiveError> {
        let refused = |(action, source)| LiveError::Ring {
            interface: options.interface.clone(),
            action,
            source,
        };
        let filter = open::filter(options)?;
        let opened = open::socket(options).map_err(refused)?;
        let map = open::ring(opened.socket.as_fd(), options.buffer).map_err(refused)?;
        let ring = Self {
            socket: opened.socket,
            map,
            block: 0,
            walk: None,
            layout: opened.layout,
            interface: options.interface.clone(),
            stats: LiveStats::default(),
            drops: drops(&options.interface),
        };
        open::bind(ring.socket.as_fd(), &opened.address)
            .map_err(|source| refused(("bind the socket", source)))?;
        if let Some(number) = options.fanout_group {
            let group = Group { number, share: options.share, once: opened.once };
            fanout::join(ring.socket.as_fd(), group, &options.interface)?;
        }
        // Until here nothing passed: no worker has seen what belongs to another one of its group.
        open::attach(ring.socket.as_fd(), &filter)
            .map_err(|source| refused(("set a filter", source)))?;
        Ok(ring)
    }

    pub(super) fn wait(&mut self, milliseconds: i32) -> Result<bool, LiveError> {
        if self.walk.is_some() || self.map.is_ours(self.block) {
            return Ok(true);
        }
        let failed = |source| LiveError::Wait { interface: self.interface.clone(), source };
        let events = socket::poll(self.socket.as_fd(), milliseconds).map_err(failed)?;
        if events & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0 {
            let error = open::error(self.socket.as_fd()).map_err(failed)?;
            return Err(failed(error));
        }
        Ok(self.map.is_ours(self.block))
    }

    /// The next frames of the block at hand, `most` or [`MAX_BURST`] at most; none when there are none now.
    pub(super) fn next_burst(&mut self, most: usize) -> Burst<'_> {
        let mut ready = smallvec::SmallVec::<[Ready; MAX_BURST]>::new();
        while ready.len() < most.min(MAX_BURST) {
            let mut walk = match self.walk.take() {
                Some(walk) => walk,
                None if self.map.is_ours(self.block) => Walk::begin(self.map.block(self.block)),
                None => break,
            };
            let block = self.map.block(self.block);
            let next = walk.next(block);
            if let Some(place) = next {
                match block::prepare(block, place, self.layout) {
                    Some(frame) => ready.push(frame),
                    None => self.stats.dropped = self.stats.dropped.saturating_add(1),
                }
                self.walk = Some(walk);
                continue;
            }
            if !ready.is_empty() {
                // The block is ours as long as these are read.
                self.walk = Some(walk);
                break;
            }
            // The kernel promised frames that are not there: they are lost, and told.
            self.stats.dropped = self.stats.dropped.saturating_add(walk.missing());
            self.map.give_back(self.block);
            self.block = (self.block + 1) % self.map.blocks();
        }
        let (block, layout) = (&*self.map.block(self.block), self.layout);
        ready.into_iter().map(|ready| block::frame(block, ready, layout)).collect()
    }

    pub(super) fn stats(&mut self) -> Result<LiveStats, LiveError> {
        // The kernel begins to count anew with each call.
        let now = open::counters(self.socket.as_fd()).map_err(|source| LiveError::Ring {
            interface: self.interface.clone(),
            action: "read counters",
            source,
        })?;
        self.stats.received = self.stats.received.saturating_add(u64::from(now.tp_packets));
        self.stats.dropped = self.stats.dropped.saturating_add(u64::from(now.tp_drops));
        let since = self
            .drops
            .iter()
            .map(|(file, before)| number(file).map_or(0, |now| now.saturating_sub(*before)));
        self.stats.interface_dropped = since.sum();
        Ok(self.stats)
    }
}

/// What interface and driver count as lost before anybody saw it; none where the system does not tell.
fn drops(interface: &str) -> Vec<(File, u64)> {
    ["rx_missed_errors", "rx_fifo_errors"]
        .iter()
        .filter_map(|name| {
            let file = File::open(format!("/sys/class/net/{interface}/statistics/{name}")).ok()?;
            let before = number(&file).ok()?;
            Some((file, before))
        })
        .collect()
}

fn number(file: &File) -> io::Result<u64> {
    let mut text = [0; 32];
    let length = file.read_at(&mut text, 0)?;
    let text = std::str::from_utf8(&text[..length]).map_err(io::Error::other)?;
    text.trim().parse().map_err(io::Error::other)
}
