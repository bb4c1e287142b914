//! An interface through libpcap: every system, every kind of interface.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use pcap::{Active, BpfProgram, Capture};

use super::fanout::{self, Group};
use super::{LiveError, LiveOptions, LiveStats, socket};
use crate::Frame;

/// An interface opened through libpcap.
pub(super) struct Handle {
    capture: Capture<Active>,
    interface: String,
    link: u16,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("interface", &self.interface).finish_non_exhaustive()
    }
}

fn failed(options: &LiveOptions) -> impl Fn(pcap::Error) -> LiveError {
    |source| LiveError::Pcap { interface: options.interface.clone(), source }
}

/// A filter as the kernel runs it. Compiled for the interface itself, so that it finds VLAN tags where
/// the kernel keeps them.
pub(super) fn compile(options: &LiveOptions) -> Result<BpfProgram, LiveError> {
    let inactive = Capture::from_device(options.interface.as_str()).map_err(failed(options))?;
    let inactive = inactive.snaplen(options.snaplen).buffer_size(1 << 16).promisc(false);
    let active = inactive.open().map_err(failed(options))?;
    active.compile(&options.filter, true).map_err(failed(options))
}

impl Handle {
    pub(super) fn open(options: &LiveOptions) -> Result<Self, LiveError> {
        let mut capture = Capture::from_device(options.interface.as_str())
            .map_err(failed(options))?
            .promisc(options.promiscuous)
            .snaplen(options.snaplen)
            .buffer_size(options.buffer)
            // Immediate mode costs twenty times the CPU: one wakeup per packet.
            .immediate_mode(false)
            .timeout(20)
            .open()
            .and_then(Capture::setnonblock)
            .map_err(failed(options))?;
        if !options.filter.is_empty() {
            capture.filter(&options.filter, true).map_err(failed(options))?;
        }
        let link = u16::try_from(capture.get_datalink().0).unwrap_or(u16::MAX);
        let handle = Self { capture, interface: options.interface.clone(), link };
        if let Some(number) = options.fanout_group {
            let group = Group { number, share: options.share, once: false };
            fanout::join(handle.descriptor(), group, &handle.interface)?;
        }
        Ok(handle)
    }

    #[expect(unsafe_code, reason = "libpcap gives its descriptor as a number")]
    fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as `self`, which the result borrows.
        unsafe { BorrowedFd::borrow_raw(self.capture.as_raw_fd()) }
    }

    pub(super) fn wait(&self, milliseconds: i32) -> Result<bool, LiveError> {
        let waited = socket::poll(self.descriptor(), milliseconds);
        waited
            .map(|events| events != 0)
            .map_err(|source| LiveError::Wait { interface: self.interface.clone(), source })
    }

    pub(super) fn next_frame(&mut self) -> Result<Option<Frame<'_>>, LiveError> {
        let link = self.link;
        match self.capture.next_packet() {
            Ok(packet) => {
                let seconds = packet.header.ts.tv_sec.saturating_mul(1_000_000);
                Ok(Some(Frame {
                    ts: seconds.saturating_add(packet.header.ts.tv_usec),
                    interface: 0,
                    bytes: packet.data,
                    wire_len: packet.header.len,
                    link,
                    checksums_pending: false,
                }))
            }
            Err(pcap::Error::TimeoutExpired | pcap::Error::NoMorePackets) => Ok(None),
            Err(source) => Err(LiveError::Pcap { interface: self.interface.clone(), source }),
        }
    }

    pub(super) fn stats(&mut self) -> Result<LiveStats, LiveError> {
        match self.capture.stats() {
            Ok(stat) => Ok(LiveStats {
                received: u64::from(stat.received),
                dropped: u64::from(stat.dropped),
                interface_dropped: u64::from(stat.if_dropped),
            }),
            Err(source) => Err(LiveError::Pcap { interface: self.interface.clone(), source }),
        }
    }
}
