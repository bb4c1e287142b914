//! Frames from a network interface, through libpcap.
//!
//! Reads never block: [`Live::wait`] polls with a timeout of our own, because libpcap's read timeout
//! on Linux only starts with the first packet. Several workers share an interface by
//! `PACKET_FANOUT`: the kernel gives both directions of a flow to the same one.

#[cfg(test)]
mod tests;

use std::os::fd::AsRawFd as _;

use pcap::{Active, Capture};

use crate::Frame;

/// How an interface is read.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// Interface name.
    pub interface: String,
    /// Filter in pcap's language; empty for everything.
    pub filter: String,
    /// Bytes kept per packet.
    pub snaplen: i32,
    /// Bytes of kernel buffer.
    pub buffer: i32,
    /// See packets for others.
    pub promiscuous: bool,
    /// Share the interface with the other workers of this group; `None` for one worker.
    pub fanout_group: Option<u16>,
}

impl LiveOptions {
    /// Everything from one interface.
    #[must_use]
    pub fn new(interface: &str) -> Self {
        Self {
            interface: interface.to_owned(),
            filter: String::new(),
            snaplen: 262_144,
            buffer: 64 << 20,
            promiscuous: true,
            fanout_group: None,
        }
    }
}

/// Why an interface cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// libpcap refused.
    #[error("cannot capture on {interface}")]
    Pcap {
        /// The interface.
        interface: String,
        /// Why.
        #[source]
        source: pcap::Error,
    },
    /// The kernel refused to share the interface.
    #[error("cannot join fanout group {group} on {interface}")]
    Fanout {
        /// The interface.
        interface: String,
        /// The group.
        group: u16,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Waiting failed.
    #[error("cannot wait for packets on {interface}")]
    Wait {
        /// The interface.
        interface: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Counters of the kernel since the interface was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveStats {
    /// Packets that passed the filter.
    pub received: u64,
    /// Packets dropped because the buffer was full.
    pub dropped: u64,
    /// Packets dropped by interface or driver.
    pub interface_dropped: u64,
}

/// An interface being read by one worker.
pub struct Live {
    handle: Capture<Active>,
    interface: String,
    link: u16,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("interface", &self.interface).finish_non_exhaustive()
    }
}

impl Live {
    /// Opens an interface.
    ///
    /// # Errors
    /// [`LiveError`] when it does not exist, is not permitted, or the filter is wrong.
    pub fn open(options: &LiveOptions) -> Result<Self, LiveError> {
        let failed = |source| LiveError::Pcap { interface: options.interface.clone(), source };
        let mut handle = Capture::from_device(options.interface.as_str())
            .map_err(failed)?
            .promisc(options.promiscuous)
            .snaplen(options.snaplen)
            .buffer_size(options.buffer)
            // Immediate mode costs twenty times the CPU: one wakeup per packet.
            .immediate_mode(false)
            .timeout(20)
            .open()
            .and_then(Capture::setnonblock)
            .map_err(failed)?;
        if !options.filter.is_empty() {
            handle.filter(&options.filter, true).map_err(failed)?;
        }
        let link = u16::try_from(handle.get_datalink().0).unwrap_or(u16::MAX);
        let live = Self { handle, interface: options.interface.clone(), link };
        if let Some(group) = options.fanout_group {
            live.join_fanout(group)?;
        }
        Ok(live)
    }

    #[expect(unsafe_code, reason = "libpcap has no call for PACKET_FANOUT")]
    fn join_fanout(&self, group: u16) -> Result<(), LiveError> {
        // By flow hash, fragments joined first so that they follow their flow.
        let mode = libc::PACKET_FANOUT_HASH | libc::PACKET_FANOUT_FLAG_DEFRAG;
        let value: libc::c_uint = mode << 16 | u32::from(group);
        let size = libc::socklen_t::try_from(size_of_val(&value)).unwrap_or(4);
        // SAFETY: the descriptor is open as long as `self`; the option is read from `value`, which
        // lives across the call, and `size` is its size.
        let result = unsafe {
            libc::setsockopt(
                self.handle.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_FANOUT,
                std::ptr::from_ref(&value).cast(),
                size,
            )
        };
        if result == 0 {
            return Ok(());
        }
        Err(LiveError::Fanout {
            interface: self.interface.clone(),
            group,
            source: std::io::Error::last_os_error(),
        })
    }

    /// Waits until there are packets or the time is over.
    ///
    /// # Errors
    /// [`LiveError::Wait`] when the descriptor cannot be polled.
    #[expect(unsafe_code, reason = "libpcap's own timeout does not run without packets")]
    pub fn wait(&self, milliseconds: i32) -> Result<bool, LiveError> {
        let mut poll =
            libc::pollfd { fd: self.handle.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid pollfd that lives across the call.
        let ready = unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
        if ready >= 0 {
            return Ok(ready > 0);
        }
        let source = std::io::Error::last_os_error();
        if source.kind() == std::io::ErrorKind::Interrupted {
            return Ok(false);
        }
        Err(LiveError::Wait { interface: self.interface.clone(), source })
    }

    /// The next packet, `None` when there is none now.
    ///
    /// # Errors
    /// [`LiveError::Pcap`] when the interface is gone.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, LiveError> {
        let link = self.link;
        match self.handle.next_packet() {
            Ok(packet) => {
                let seconds = packet.header.ts.tv_sec.saturating_mul(1_000_000);
                Ok(Some(Frame {
                    ts: seconds.saturating_add(packet.header.ts.tv_usec),
                    interface: 0,
                    bytes: packet.data,
                    wire_len: packet.header.len,
                    link,
                }))
            }
            Err(pcap::Error::TimeoutExpired | pcap::Error::NoMorePackets) => Ok(None),
            Err(source) => Err(LiveError::Pcap { interface: self.interface.clone(), source }),
        }
    }

    /// The kernel's counters.
    ///
    /// # Errors
    /// [`LiveError::Pcap`] when they cannot be read.
    pub fn stats(&mut self) -> Result<LiveStats, LiveError> {
        match self.handle.stats() {
            Ok(stat) => Ok(LiveStats {
                received: u64::from(stat.received),
                dropped: u64::from(stat.dropped),
                interface_dropped: u64::from(stat.if_dropped),
            }),
            Err(source) => Err(LiveError::Pcap { interface: self.interface.clone(), source }),
        }
    }
}
