//! How much one program may ask, and how much is worked on at a time.
//!
//! Requests of a token are paid from a bucket that fills by time; what is too much is refused with the
//! time to wait. Ingest is not limited here: it waits for the disk. Searches wait for a place; exports
//! are refused when too many run, because they last.

use std::sync::{Arc, Mutex, PoisonError};

use api::ErrorCode;
use hashbrown::HashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Failure;

/// Requests a second that a token may keep up.
const RATE: i64 = 20;
/// Requests that a token may send at once.
const BURST: i64 = 100;
/// Searches worked on at a time.
const SEARCHES: usize = 8;
/// Exports worked on at a time.
const EXPORTS: usize = 4;
/// Tokens remembered; idle ones are forgotten first.
const MAX_BUCKETS: usize = 10_000;
const SECOND: i64 = 1_000_000;
/// What one request costs, microseconds of filling.
const COST: i64 = SECOND / RATE;

/// Limits of all requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Limits {
    /// When the bucket of each token will be full again, microseconds of the monotonic clock.
    full_at: Arc<Mutex<HashMap<String, i64>>>,
    searches: Arc<Semaphore>,
    exports: Arc<Semaphore>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            full_at: Arc::default(),
            searches: Arc::new(Semaphore::new(SEARCHES)),
            exports: Arc::new(Semaphore::new(EXPORTS)),
        }
    }
}

impl Limits {
    /// Lets a token send one more request at `now`, microseconds of the monotonic clock.
    ///
    /// # Errors
    /// [`ErrorCode::TooMany`] with the seconds to wait.
    pub(super) fn request(&self, token: &str, now: i64) -> Result<(), Failure> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() >= MAX_BUCKETS {
            full_at.retain(|_, full| *full > now);
        }
        let full = full_at.get(token).copied().unwrap_or(now).max(now);
        let debt = full.saturating_sub(now).saturating_add(COST);
        let over = debt.saturating_sub(BURST.saturating_mul(COST));
        if over > 0 {
            let seconds =
                u32::try_from(over.div_euclid(SECOND).saturating_add(1)).unwrap_or(u32::MAX);
            let words =
                format!("this token sends more than {RATE} requests a second; wait {seconds} s");
            return Err(Failure::new(ErrorCode::TooMany, words).retry_after(seconds));
        }
        full_at.insert(token.to_owned(), full.saturating_add(COST));
        Ok(())
    }

    /// Waits for a place to search.
    ///
    /// # Errors
    /// When the collector stops.
    pub(super) async fn search(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.searches)
            .acquire_owned()
            .await
            .map_err(|_| Failure::new(ErrorCode::Unavailable, "the collector stops"))
    }

    /// Takes a place to export.
    ///
    /// # Errors
    /// [`ErrorCode::TooMany`] when too many run.
    pub(super) fn export(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.exports).try_acquire_owned().map_err(|_| {
            let words = format!("{EXPORTS} exports run already; wait for one to end");
            Failure::new(ErrorCode::TooMany, words).retry_after(30)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_the_rate_is_kept_up() {
        let limits = Limits::default();
        let mut now = 0;
        for _ in 0..BURST {
            limits.request("a", now).unwrap();
        }
        let refused = limits.request("a", now).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::TooMany);
        // Another token has a bucket of its own.
        limits.request("b", now).unwrap();
        for _ in 0..100 {
            now += COST;
            limits.request("a", now).unwrap();
            assert!(limits.request("a", now).is_err());
        }
        // Time makes no more than one bucket full.
        now += 1_000 * SECOND;
        let let_through = (0..2 * BURST).filter(|_| limits.request("a", now).is_ok()).count();
        assert_eq!(i64::try_from(let_through).unwrap(), BURST);
    }

    #[test]
    fn idle_tokens_are_forgotten() {
        let limits = Limits::default();
        (0..MAX_BUCKETS).for_each(|n| limits.request(&n.to_string(), 0).unwrap());
        limits.request("late", SECOND).unwrap();
        assert_eq!(limits.full_at.lock().unwrap().len(), 1);
    }

    #[test]
    fn few_exports_run_at_a_time() {
        let limits = Limits::default();
        let running: Vec<_> = (0..EXPORTS).map(|_| limits.export().unwrap()).collect();
        assert_eq!(limits.export().unwrap_err().code(), ErrorCode::TooMany);
        drop(running);
        assert!(limits.export().is_ok());
    }
}
