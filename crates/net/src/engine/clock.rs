//! Which time it is for flows, told by packets that may not be in order of time.
//!
//! Captures that were put together from several, or written by several threads, have packets far ahead of those
//! around them. One such packet must not end every flow.

/// A packet this many microseconds ahead of the one before is not believed at once.
const LEAP: i64 = 10_000_000;
/// Packets in a row that are ahead before they are believed.
const SURE: u32 = 8;

/// The time that timers run by.
#[derive(Debug, Default)]
pub(super) struct Clock {
    now: Option<i64>,
    ahead: u32,
}

impl Clock {
    /// The time after a packet of time `ts`, in microseconds since 1970.
    pub(super) fn packet(&mut self, ts: i64) -> i64 {
        match self.now {
            Some(now) if ts > now.saturating_add(LEAP) && self.ahead < SURE => {
                self.ahead = self.ahead.saturating_add(1);
                now
            }
            _ => self.set(ts),
        }
    }

    /// It is this time for certain.
    pub(super) const fn set(&mut self, ts: i64) -> i64 {
        self.now = Some(ts);
        self.ahead = 0;
        ts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seconds: &[i64], expected: &[i64]) {
        let mut clock = Clock::default();
        let told: Vec<i64> =
            seconds.iter().map(|s| clock.packet(s * 1_000_000) / 1_000_000).collect();
        assert_eq!(told, expected, "{seconds:?}");
    }

    #[test]
    fn one_packet_ahead_moves_nothing_and_many_do() {
        check(&[100, 105, 1000, 106, 2000, 2001, 107], &[100, 105, 105, 106, 106, 106, 107]);
        check(&[0, 50, 51, 52, 53, 54, 55, 56, 57, 58], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 58]);
        check(&[100, 40, 41, 100], &[100, 40, 41, 41]);
    }

    #[test]
    fn what_is_certain_is_believed_at_once() {
        let mut clock = Clock::default();
        clock.packet(0);
        assert_eq!(clock.packet(LEAP + 1), 0);
        assert_eq!(clock.set(10 * LEAP), 10 * LEAP);
        assert_eq!(clock.packet(10 * LEAP + 1), 10 * LEAP + 1);
    }
}
