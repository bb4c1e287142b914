//! The frames of one block (`linux/if_packet.h`: `tpacket_block_desc`, `tpacket3_hdr`).
//!
//! Offsets and lengths are the kernel's; they are checked all the same, so that a mistake costs a
//! frame that is counted and not the process.

use crate::Frame;

/// Bytes of a frame's header.
const HEADER: usize = size_of::<libc::tpacket3_hdr>();
/// Bytes of a VLAN tag.
pub(super) const TAG: usize = 4;
/// Destination and source before the tag.
const ADDRESSES: usize = 12;

/// What the frames of an interface look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Link type, by pcap's numbers.
    pub(crate) link: u16,
    /// Frames begin with Ethernet addresses, behind which the kernel has taken the tag out.
    pub(crate) ethernet: bool,
}

/// Where a frame's header stands in its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(usize);

/// A walk over the frames of a block.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    next: usize,
    left: u32,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

fn size_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32_at(bytes, at)?).ok()
}

impl Walk {
    /// From a block's first frame.
    pub(crate) fn begin(block: &[u8]) -> Self {
        let left = u32_at(block, 12).unwrap_or(0);
        Self { next: size_at(block, 16).unwrap_or(usize::MAX), left }
    }

    /// The next frame; `None` when there is none, or when it is not within the block.
    pub(crate) fn next(&mut self, block: &[u8]) -> Option<Place> {
        if self.left == 0 {
            return None;
        }
        let place = self.next;
        let header = block.get(place..)?;
        if header.len() < HEADER || span(header).is_none() {
            return None;
        }
        let step = size_at(header, 0)?;
        // The last frame has no next one. A step of nothing would never end.
        self.next = if step < HEADER { usize::MAX } else { place.saturating_add(step) };
        self.left -= 1;
        Some(Place(place))
    }

    /// Frames that were promised and cannot be read.
    pub(crate) fn missing(&self) -> u64 {
        u64::from(self.left)
    }
}

/// Begin and end of a frame's bytes, from its header on.
fn span(header: &[u8]) -> Option<(usize, usize)> {
    let start = usize::from(u16_at(header, 24)?);
    let end = start.checked_add(size_at(header, 12)?)?;
    (start >= HEADER && end <= header.len()).then_some((start, end))
}

/// A frame whose bytes are as they are to be given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    begin: usize,
    end: usize,
    ts: i64,
    wire_len: u32,
    checksums_pending: bool,
}

/// Puts the VLAN tag of the frame at a place that a walk over this block has given back where it was.
pub(crate) fn prepare(block: &mut [u8], place: Place, layout: Layout) -> Option<Ready> {
    let header = block.get_mut(place.0..)?;
    let (mut start, end) = span(header)?;
    let (seconds, nanos) = (u32_at(header, 4)?, u32_at(header, 8)?);
    let (mut wire_len, status) = (u32_at(header, 16)?, u32_at(header, 20)?);
    let (tci, tpid) = (u32_at(header, 32)?, u16_at(header, 36)?);
    let tagged = status & libc::TP_STATUS_VLAN_VALID != 0;
    if tagged && layout.ethernet && end - start >= ADDRESSES && start >= HEADER + TAG {
        let known = status & libc::TP_STATUS_VLAN_TPID_VALID != 0 && tpid != 0;
        let tpid = if known { tpid } else { 0x8100 };
        header.copy_within(start..start + ADDRESSES, start - TAG);
        start -= TAG;
        let [high, low] = tpid.to_be_bytes();
        let [_, _, tci_high, tci_low] = tci.to_be_bytes();
        let tag = header.get_mut(start + ADDRESSES..)?.first_chunk_mut::<TAG>()?;
        *tag = [high, low, tci_high, tci_low];
        wire_len = wire_len.saturating_add(4);
    }
    Some(Ready {
        begin: place.0 + start,
        end: place.0 + end,
        ts: i64::from(seconds) * 1_000_000 + i64::from(nanos / 1_000),
        wire_len,
        checksums_pending: status & libc::TP_STATUS_CSUMNOTREADY != 0,
    })
}

/// A frame of this block that was prepared.
pub(crate) fn frame(block: &[u8], ready: Ready, layout: Layout) -> Frame<'_> {
    Frame {
        ts: ready.ts,
        interface: 0,
        bytes: block.get(ready.begin..ready.end).unwrap_or_default(),
        wire_len: ready.wire_len,
        link: layout.link,
        checksums_pending: ready.checksums_pending,
    }
}

/// Any bytes as a block.
///
/// # Panics
/// When a frame is outside of its block, or when there are more than were promised.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn fuzz_block(data: &[u8]) {
    let mut block = data.to_vec();
    let (mut walk, promised) = (Walk::begin(&block), u32_at(&block, 12).unwrap_or(0));
    let (length, mut frames) = (block.len(), 0_u64);
    while let Some(place) = walk.next(&block) {
        let layout = Layout { link: 1, ethernet: frames.is_multiple_of(2) };
        let frame = prepare(&mut block, place, layout).map(|ready| frame(&block, ready, layout));
        assert!(frame.is_some_and(|frame| frame.bytes.len() < length && frame.ts >= 0));
        frames += 1;
    }
    assert_eq!(frames + walk.missing(), u64::from(promised), "each frame is given or missing");
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETHERNET: Layout = Layout { link: 1, ethernet: true };

    /// A block with these frames as the kernel writes them: bytes, status, tag and its protocol.
    fn block(frames: &[(&[u8], u32, u32, u16)]) -> Vec<u8> {
        let mut block = vec![0; 48];
        block[12..16].copy_from_slice(&u32::try_from(frames.len()).unwrap().to_ne_bytes());
        block[16..20].copy_from_slice(&48_u32.to_ne_bytes());
        for (number, (bytes, status, tci, tpid)) in frames.iter().enumerate() {
            let mac = HEADER + 20 + TAG + 2;
            let length = u32::try_from(bytes.len()).unwrap();
            let size = (mac + bytes.len()).next_multiple_of(16);
            let next = if number + 1 == frames.len() { 0 } else { u32::try_from(size).unwrap() };
            let mut header = vec![0; size];
            for (at, value) in [
                (0, next),
                (4, 1_000),
                (8, 7_999),
                (12, length),
                (16, length + 100),
                (20, *status),
                (32, *tci),
            ] {
                header[at..at + 4].copy_from_slice(&value.to_ne_bytes());
            }
            header[24..26].copy_from_slice(&u16::try_from(mac).unwrap().to_ne_bytes());
            header[36..38].copy_from_slice(&tpid.to_ne_bytes());
            header[mac..mac + bytes.len()].copy_from_slice(bytes);
            block.extend(header);
        }
        block
    }

    #[test]
    fn frames_come_in_order_with_tags_and_the_state_of_their_checksums() {
        let (plain, other) = (&b"aaaaaabbbbbb\x08\0rest"[..], &b"ccccccdddddd\x86\xddx"[..]);
        let valid = libc::TP_STATUS_VLAN_VALID;
        let known = valid | libc::TP_STATUS_VLAN_TPID_VALID;
        let mut block = block(&[
            (plain, libc::TP_STATUS_CSUMNOTREADY, 0, 0),
            (plain, valid, 0x6005, 0),
            (other, known, 7, 0x88a8),
            (b"short", valid, 7, 0),
        ]);
        let mut walk = Walk::begin(&block);
        let mut found = Vec::new();
        while let Some(place) = walk.next(&block) {
            let ready = prepare(&mut block, place, ETHERNET).unwrap();
            let frame = frame(&block, ready, ETHERNET);
            assert_eq!((frame.ts, frame.link, frame.interface), (1_000_000_007, 1, 0));
            found.push((frame.bytes.to_vec(), frame.wire_len, frame.checksums_pending));
        }
        let wire = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap() + 100;
        let tagged = b"aaaaaabbbbbb\x81\0\x60\x05\x08\0rest";
        let outer = b"ccccccdddddd\x88\xa8\0\x07\x86\xddx";
        let expected = [
            (plain.to_vec(), wire(plain), true),
            (tagged.to_vec(), wire(tagged), false),
            (outer.to_vec(), wire(outer), false),
            (b"short".to_vec(), wire(b"short"), false),
        ];
        assert_eq!((found.as_slice(), walk.missing()), (&expected[..], 0));
    }

    #[test]
    fn a_tag_is_not_put_where_there_are_no_addresses() {
        let mut block = block(&[(b"\x45\0\0\x14 raw IP packet", libc::TP_STATUS_VLAN_VALID, 1, 0)]);
        let place = Walk::begin(&block).next(&block).unwrap();
        let raw = Layout { link: 101, ethernet: false };
        let ready = prepare(&mut block, place, raw).unwrap();
        assert_eq!(frame(&block, ready, raw).bytes[0], 0x45);
    }

    #[test]
    fn what_is_promised_and_not_there_is_counted() {
        let whole = block(&[(b"one", 0, 0, 0), (b"two", 0, 0, 0), (b"three", 0, 0, 0)]);
        for end in 0..whole.len() {
            fuzz_block(&whole[..end]);
            for byte in [0, 1, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[end] = byte;
                fuzz_block(&damaged);
            }
        }
        let mut cut = whole;
        cut.truncate(48 + 80 + 40);
        let mut walk = Walk::begin(&cut);
        assert!(walk.next(&cut).is_some());
        assert!(walk.next(&cut).is_none());
        assert_eq!(walk.missing(), 2);
    }
}
