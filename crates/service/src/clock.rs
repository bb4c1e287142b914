//! The only place that reads the machine's clocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Wall clock and monotonic clock of a daemon, or a hand-driven one in tests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    System { started: std::time::Instant },
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clocks.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock everything else asks")]
    pub fn system() -> Self {
        Self { source: Source::System { started: std::time::Instant::now() } }
    }

    /// A clock that stands at `micros` since the epoch until [`Clock::advance`].
    #[must_use]
    pub fn manual(micros: i64) -> Self {
        Self { source: Source::Manual(Arc::new(AtomicI64::new(micros))) }
    }

    /// Wall clock, microseconds since the Unix epoch. May jump.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock everything else asks")]
    pub fn now_micros(&self) -> i64 {
        match &self.source {
            Source::System { .. } => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                since.map_or(0, |time| i64::try_from(time.as_micros()).unwrap_or(i64::MAX))
            }
            Source::Manual(micros) => micros.load(Ordering::SeqCst),
        }
    }

    /// Time since some fixed point of this process; never goes back.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        match &self.source {
            Source::System { started } => started.elapsed(),
            Source::Manual(micros) => {
                let micros = micros.load(Ordering::SeqCst);
                Duration::from_micros(u64::try_from(micros).unwrap_or(0))
            }
        }
    }

    /// Moves a manual clock by `micros`; a system clock is not touched.
    pub fn advance(&self, micros: i64) {
        if let Source::Manual(at) = &self.source {
            at.fetch_add(micros, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_only_when_told() {
        let clock = Clock::manual(5_000_000);
        let same = clock.clone();
        assert_eq!(clock.now_micros(), 5_000_000);
        same.advance(1);
        assert_eq!(clock.now_micros(), 5_000_001);
        assert_eq!(clock.monotonic(), Duration::from_micros(5_000_001));
    }

    #[test]
    fn a_manual_clock_goes_back_and_stands_before_the_epoch() {
        let clock = Clock::manual(0);
        clock.advance(-1);
        assert_eq!((clock.now_micros(), clock.monotonic()), (-1, Duration::ZERO));
        clock.advance(3);
        assert_eq!(clock.now_micros(), 2);
        let system = Clock::system();
        let before = system.now_micros();
        system.advance(i64::MAX / 2);
        assert!(system.now_micros() < before + 3_600_000_000, "a system clock is not moved");
    }

    #[test]
    fn system_clock_is_after_2025() {
        assert!(Clock::system().now_micros() > 1_735_689_600_000_000);
    }
}
