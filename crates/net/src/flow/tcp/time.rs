//! Timestamps: protection against wrapped sequence numbers (RFC 7323 section 5).

use super::{OsPolicy, Seg, TcpTrack, known, tcp_flags};

/// Timestamps are not comparable after that long a silence (RFC 7323 section 5.5).
const MONTH_LIKE: i64 = 24 * 86_400;

fn stamp(seg: &Seg<'_>) -> Option<u32> {
    let value = seg.tcp.option(8)?;
    value.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

/// An answer may echo an earlier SYN, sent at most that many ticks before the newest one.
const EARLIER_SYN: u32 = 120_000;

fn echo(seg: &Seg<'_>) -> Option<u32> {
    let value = seg.tcp.option(8)?;
    value.last_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

impl TcpTrack {
    /// False when the answer to a SYN echoes a timestamp that the SYN did not have: the client
    /// would not take it.
    pub(super) fn echo_is_plausible(&self, seg: &Seg<'_>) -> bool {
        let sent = self.sender(seg.dir.reverse()).stamp;
        match echo(seg) {
            Some(echo) if echo != 0 && sent != 0 => sent.wrapping_sub(echo) <= EARLIER_SYN,
            _ => true,
        }
    }

    /// False for a timestamp that is older than one seen before.
    pub(super) fn stamp_is_plausible(&self, seg: &Seg<'_>) -> bool {
        if !self.knows(known::TIMESTAMPS) {
            return true;
        }
        let sender = self.sender(seg.dir);
        let Some(stamp) = stamp(seg) else { return true };
        if sender.stamp == 0 {
            return true;
        }
        // Some systems take a timestamp of zero for none.
        let zero_is_none =
            matches!(seg.rules.receiver, OsPolicy::OldLinux | OsPolicy::Windows | OsPolicy::Vista);
        if stamp == 0 && zero_is_none {
            return true;
        }
        // Linux lets it lie one behind.
        let slack = u32::from(seg.rules.receiver == OsPolicy::Linux);
        let ahead = stamp.wrapping_sub(sender.stamp).wrapping_add(slack) < 0x8000_0000;
        let silence = seg.rules.seconds.saturating_sub(i64::from(sender.stamp_at));
        // After a long silence it is the sequence number that says whether the segment is the next one.
        if silence > MONTH_LIKE { seg.tcp.seq == self.next(seg.dir) } else { ahead }
    }

    /// Remembers the newest timestamp; a SYN and its answer agree on using them.
    pub(super) fn note_stamp(&mut self, seg: &Seg<'_>) {
        if seg.tcp.options.is_empty() {
            return;
        }
        let Some(value) = stamp(seg) else { return };
        let syn = seg.has(tcp_flags::SYN);
        if syn && seg.has(tcp_flags::ACK) && self.sender(seg.dir.reverse()).stamp != 0 {
            self.learn(known::TIMESTAMPS);
        }
        if !syn && self.knows(known::MIDSTREAM) {
            self.learn(known::TIMESTAMPS);
        }
        let sender = self.sender_mut(seg.dir);
        let newer = value.wrapping_sub(sender.stamp) < 0x8000_0000;
        if sender.stamp == 0 || newer {
            sender.stamp = value;
            sender.stamp_at = i32::try_from(seg.rules.seconds).unwrap_or(i32::MAX);
        }
    }
}
