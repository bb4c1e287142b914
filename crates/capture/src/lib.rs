//! Frames from capture files and network interfaces.
//!
//! Two sources give the same [`Frame`]: [`FileReader`] reads pcap and pcapng (also gzip or zstd
//! compressed), [`Live`] reads an interface, through the kernel's ring on Linux and through libpcap
//! elsewhere. Nothing is decoded here. The only crate in which unsafe code is allowed, and only in
//! [`live`].

pub mod file;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod live;

#[cfg(test)]
mod tests;

pub use file::{FileError, FileReader};
pub use live::{Live, LiveError, LiveOptions, LiveStats, Method, Share};

/// Most frames that a source gives at once.
pub const MAX_BURST: usize = 16;

/// Frames that a source gives at once, in order.
pub type Burst<'a> = smallvec::SmallVec<[Frame<'a>; MAX_BURST]>;

/// One captured frame, borrowed from its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Microseconds since the epoch.
    pub ts: i64,
    /// Index of the interface: within the file for pcapng, otherwise 0.
    pub interface: u32,
    /// Captured bytes.
    pub bytes: &'a [u8],
    /// Length on the wire; the captured bytes may be fewer.
    pub wire_len: u32,
    /// Link type, by pcap's `LINKTYPE_` numbers.
    pub link: u16,
    /// Checksums of this frame were left to the network card that sends it: they are not there yet
    /// and not to be verified. False where the source does not tell.
    pub checksums_pending: bool,
}
