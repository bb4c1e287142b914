//! One-time tokens with which a host becomes an agent.

use std::sync::{Arc, Mutex, PoisonError};

use event::Timestamp;
use serde::{Deserialize, Serialize};
use service::{Clock, Secret};
use subtle::ConstantTimeEq;

use super::{AuthError, secret_text, sha256};
use crate::state::{Record, State};

/// Longest life of a token, seconds.
pub const LONGEST: i64 = 7 * 24 * 3600;

/// A right to enrol one host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Enrolment {
    /// Names it; no secret.
    pub id: String,
    hash: String,
    /// When it stops to work.
    pub expires: Timestamp,
    /// By whom it was made.
    pub by: String,
}

impl Record for Enrolment {
    const KIND: &'static str = "enrolment";
    fn id(&self) -> &str {
        &self.id
    }
}

/// All tokens that are neither used nor expired.
#[derive(Debug)]
pub struct Enrolments {
    state: Arc<State>,
    clock: Clock,
    /// Held while a token is taken, so that none can be used twice.
    taking: Mutex<()>,
}

impl Enrolments {
    /// Tokens kept in `state`.
    #[must_use]
    pub const fn new(state: Arc<State>, clock: Clock) -> Self {
        Self { state, clock, taking: Mutex::new(()) }
    }

    /// Makes a token that lasts `seconds` (at most a week): its identity and, once, its secret.
    ///
    /// # Errors
    /// [`AuthError::State`], [`AuthError::Crypto`].
    pub fn create(&self, seconds: i64, by: &str) -> Result<(Enrolment, Secret), AuthError> {
        let secret = secret_text()?;
        let id: String = sha256(&secret_text()?).chars().take(8).collect();
        let now = Timestamp::from_micros(self.clock.now_micros());
        let expires = now.plus_seconds(seconds.clamp(1, LONGEST));
        let enrolment = Enrolment { id, hash: sha256(&secret), expires, by: by.to_owned() };
        self.state.put(&enrolment)?;
        Ok((enrolment, Secret::new(secret)))
    }

    /// Uses a token up. False when it is unknown, used, expired or the secret is wrong.
    ///
    /// # Errors
    /// [`AuthError::State`].
    pub fn take(&self, id: &str, secret: &str) -> Result<bool, AuthError> {
        let _taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = self.state.get::<Enrolment>(id)? else { return Ok(false) };
        let now = Timestamp::from_micros(self.clock.now_micros());
        let right = bool::from(known.hash.as_bytes().ct_eq(sha256(secret).as_bytes()));
        if known.expires <= now {
            self.state.remove::<Enrolment>(id)?;
            return Ok(false);
        }
        Ok(right && self.state.remove::<Enrolment>(id)?)
    }
}
