//! Times as text: what stays the same is kept, so that most times cost their microseconds alone.

use super::super::timestamp;
use super::room::six_digits;

/// The second that was written last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Days since the epoch.
    day: i64,
    /// Seconds since the epoch.
    second: i64,
    /// `"2026-01-31T23:59:59.000000+0000"` with its quotes.
    text: [u8; TIME],
}

/// Length of a time with its quotes.
pub(super) const TIME: usize = 33;

/// Where the microseconds of a time are, and the first two bytes of its zone.
pub(super) const MICROS: usize = 21;

impl Default for Clock {
    fn default() -> Self {
        Self { day: i64::MIN, second: i64::MIN, text: [b' '; TIME] }
    }
}

impl Clock {
    /// A time in microseconds since the epoch, in quotes: its text, and what has to be put at [`MICROS`]
    /// in it.
    #[inline(always)]
    pub(super) fn text(&mut self, micros: i64) -> (&[u8; TIME], [u8; 8]) {
        let second = micros.div_euclid(1_000_000);
        if self.second != second {
            self.set(second);
        }
        let micros = u32::try_from(micros.rem_euclid(1_000_000)).unwrap_or(0);
        // The two bytes that a word has beyond six digits are the first of the zone.
        let zone = u64::from(b'+') << 48 | u64::from(b'0') << 56;
        (&self.text, (six_digits(micros) | zone).to_le_bytes())
    }

    #[inline(never)]
    fn set(&mut self, second: i64) {
        let day = second.div_euclid(86_400);
        if self.day != day {
            self.set_day(day);
        }
        self.second = second;
        let second = u32::try_from(second.rem_euclid(86_400)).unwrap_or(0);
        let clock = second / 3_600 * 10_000 + second / 60 % 60 * 100 + second % 60;
        let [a, b, c, d, e, f, _, _] = six_digits(clock).to_le_bytes();
        if let Some(text) = self.text[12..].first_chunk_mut() {
            *text = [a, b, b':', c, d, b':', e, f];
        }
    }

    #[cold]
    fn set_day(&mut self, day: i64) {
        self.day = day;
        let text = timestamp(day.saturating_mul(86_400_000_000));
        let quoted = std::iter::once(&b'"').chain(text.as_bytes());
        self.text.iter_mut().zip(quoted).for_each(|(to, from)| *to = *from);
        // Whatever the year.
        self.text[TIME - 1] = b'"';
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn times_are_as_they_are_formatted(
            times in prop::collection::vec(-90_000_000_000..5_000_000_000_000_000_i64, 1..20),
            step in 0_i64..200_000_000_000,
        ) {
            let mut clock = Clock::default();
            for time in times.iter().flat_map(|time| [*time, *time + 1, *time + step]) {
                let (text, digits) = clock.text(time);
                let mut text = *text;
                text[MICROS..MICROS + 8].copy_from_slice(&digits);
                let wanted = format!("\"{}\"", timestamp(time));
                prop_assert_eq!(std::str::from_utf8(&text), Ok(wanted.as_str()));
            }
        }
    }
}
