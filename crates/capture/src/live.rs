//! Frames from a network interface.
//!
//! Two ways give the same frames: on Linux `ring` reads the kernel's own ring without a copy;
//! `libpcap` works on every system and stands in where the ring cannot be had. Reads never block:
//! [`Live::wait`] polls with a timeout of our own, so that timers run while nothing comes. Several
//! workers share an interface by `PACKET_FANOUT`: the kernel gives both directions of a flow to the
//! same one.

mod fanout;
mod libpcap;
#[cfg(target_os = "linux")]
mod ring;
mod socket;

#[cfg(test)]
mod tests;

pub use self::fanout::Share;
use crate::Burst;

#[cfg(any(test, feature = "fuzzing"))]
#[cfg(target_os = "linux")]
pub(crate) use ring::block::fuzz_block;

/// How frames come from the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// The ring where there is one, else libpcap.
    #[default]
    Auto,
    /// The kernel's ring, or nothing.
    Ring,
    /// libpcap.
    Libpcap,
}

impl Method {
    /// Its name in settings and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Ring => "ring",
            Self::Libpcap => "libpcap",
        }
    }
}

/// How an interface is read.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// Interface name.
    pub interface: String,
    /// How frames come.
    pub method: Method,
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
    /// What workers of a group share by.
    pub share: Share,
}

impl LiveOptions {
    /// Everything from one interface.
    #[must_use]
    pub fn new(interface: &str) -> Self {
        Self {
            interface: interface.to_owned(),
            method: Method::Auto,
            filter: String::new(),
            snaplen: 262_144,
            buffer: 64 << 20,
            promiscuous: true,
            fanout_group: None,
            share: Share::Flows,
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
    /// The kernel refused a ring, or what it needs.
    #[error("cannot {action} for the capture ring on {interface}")]
    Ring {
        /// The interface.
        interface: String,
        /// What was refused.
        action: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
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
    /// Packets that passed the filter, those that were dropped then included.
    pub received: u64,
    /// Packets dropped because the buffer was full.
    pub dropped: u64,
    /// Packets dropped by interface or driver before any filter; the same number for every worker of
    /// a group, as it is the interface's.
    pub interface_dropped: u64,
}

/// An interface being read by one worker.
#[derive(Debug)]
pub struct Live {
    source: Source,
    fallback: Option<LiveError>,
}

#[derive(Debug)]
enum Source {
    #[cfg(target_os = "linux")]
    Ring(ring::Ring),
    Libpcap(libpcap::Handle),
}

impl Live {
    /// Opens an interface.
    ///
    /// # Errors
    /// [`LiveError`] when it does not exist, is not permitted, or the filter is wrong.
    pub fn open(options: &LiveOptions) -> Result<Self, LiveError> {
        let mut fallback = None;
        #[cfg(target_os = "linux")]
        if options.method != Method::Libpcap {
            match ring::Ring::open(options) {
                Ok(ring) => return Ok(Self { source: Source::Ring(ring), fallback }),
                Err(error) if options.method == Method::Ring => return Err(error),
                Err(error) => fallback = Some(error),
            }
        }
        let handle = libpcap::Handle::open(options)?;
        Ok(Self { source: Source::Libpcap(handle), fallback })
    }

    /// How frames come: never [`Method::Auto`].
    #[must_use]
    pub fn method(&self) -> Method {
        match &self.source {
            #[cfg(target_os = "linux")]
            Source::Ring(_) => Method::Ring,
            Source::Libpcap(_) => Method::Libpcap,
        }
    }

    /// Why there is no ring, when one was wanted.
    #[must_use]
    pub fn fallback(&self) -> Option<&LiveError> {
        self.fallback.as_ref()
    }

    /// Waits until there are packets or the time is over.
    ///
    /// # Errors
    /// [`LiveError::Wait`] when the interface is down or gone.
    pub fn wait(&mut self, milliseconds: i32) -> Result<bool, LiveError> {
        match &mut self.source {
            #[cfg(target_os = "linux")]
            Source::Ring(ring) => ring.wait(milliseconds),
            Source::Libpcap(handle) => handle.wait(milliseconds),
        }
    }

    /// The next packets, `most` or [`crate::MAX_BURST`] at most; none when there are none now.
    ///
    /// # Errors
    /// [`LiveError::Pcap`] when the interface is gone.
    pub fn next_burst(&mut self, most: usize) -> Result<Burst<'_>, LiveError> {
        match &mut self.source {
            #[cfg(target_os = "linux")]
            Source::Ring(ring) => Ok(ring.next_burst(most)),
            Source::Libpcap(_) if most == 0 => Ok(Burst::new()),
            Source::Libpcap(handle) => Ok(handle.next_frame()?.into_iter().collect()),
        }
    }

    /// The kernel's counters.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn stats(&mut self) -> Result<LiveStats, LiveError> {
        match &mut self.source {
            #[cfg(target_os = "linux")]
            Source::Ring(ring) => ring.stats(),
            Source::Libpcap(handle) => handle.stats(),
        }
    }
}
