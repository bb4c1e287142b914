//! Tokens of programs: shippers, scripts, monitoring. Kept as SHA-256, shown once.
//!
//! They are known by heart. An unknown one that has the form of ours is looked for again when another
//! process, such as `pikett-collector token`, has written to the state: so it works at once, and whoever
//! guesses tokens makes nobody read them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use event::{AgentId, Timestamp};
use serde::{Deserialize, Serialize};
use service::{Clock, Secret};

use super::{AuthError, secret_text, sha256};
use crate::state::{Record, State, StateError};

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Send events.
    Ingest,
    /// Search events, read alerts and agents.
    Read,
    /// Acknowledge and close alerts.
    Respond,
    /// Make and end exceptions.
    Tune,
    /// Scrape metrics.
    Metrics,
}

/// A token of a program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Token {
    /// Name; also the agent identity of the events it sends.
    pub name: String,
    hash: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created: Timestamp,
    /// By whom.
    pub by: String,
    /// When it stops to work; never when absent.
    #[serde(default)]
    pub expires: Option<Timestamp>,
}

impl Record for Token {
    const KIND: &'static str = "token";
    fn id(&self) -> &str {
        &self.name
    }
}

/// All tokens. Cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    state: Arc<State>,
    clock: Clock,
    by_hash: Arc<RwLock<BTreeMap<String, Token>>>,
    /// [`State::written_elsewhere`] when they were read.
    read_at: Arc<Mutex<i64>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Tokens(..)")
    }
}

/// All tokens of the state, by their hash.
fn read(state: &State) -> Result<BTreeMap<String, Token>, StateError> {
    let tokens = state.list::<Token>()?.into_iter();
    Ok(tokens.map(|token| (token.hash.clone(), token)).collect())
}

/// Every token begins so, which lets scanners find leaked ones.
const PREFIX: &str = "pkt_";

impl Tokens {
    /// Reads the tokens from the state.
    ///
    /// # Errors
    /// [`AuthError::State`].
    pub fn load(state: Arc<State>, clock: Clock) -> Result<Self, AuthError> {
        // First: what is written between is read twice rather than never.
        let read_at = Arc::new(Mutex::new(state.written_elsewhere()?));
        let by_hash = Arc::new(RwLock::new(read(&state)?));
        Ok(Self { state, clock, by_hash, read_at })
    }

    /// Reads the tokens again when another process has written to the state.
    fn refresh(&self) -> Result<(), StateError> {
        // Held until they are read, so that nobody else misses them meanwhile.
        let mut read_at = self.read_at.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.state.written_elsewhere()?;
        if *read_at != written {
            let mut known = self.by_hash.write().unwrap_or_else(PoisonError::into_inner);
            *known = read(&self.state)?;
            *read_at = written;
        }
        Ok(())
    }

    /// Makes a token; its text is returned once.
    ///
    /// # Errors
    /// [`AuthError::Name`] when the name is no agent identity, [`AuthError::Exists`].
    pub fn create(
        &self,
        name: &str,
        scopes: Vec<Scope>,
        by: &str,
        expires: Option<Timestamp>,
    ) -> Result<Secret, AuthError> {
        AgentId::new(name).map_err(|_| AuthError::Name)?;
        if self.state.get::<Token>(name)?.is_some() {
            return Err(AuthError::Exists { name: name.to_owned() });
        }
        let text = format!("{PREFIX}{}", secret_text()?);
        let token = Token {
            name: name.to_owned(),
            hash: sha256(&text),
            scopes,
            created: Timestamp::from_micros(self.clock.now_micros()),
            by: by.to_owned(),
            expires,
        };
        self.state.put(&token)?;
        let mut known = self.by_hash.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(token.hash.clone(), token);
        Ok(Secret::new(text))
    }

    /// The token with this text, if it is still good.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<Token> {
        let hash = sha256(text);
        let now = Timestamp::from_micros(self.clock.now_micros());
        let token = self.known(&hash).or_else(|| {
            if !text.starts_with(PREFIX) {
                return None;
            }
            if let Err(error) = self.refresh() {
                tracing::error!(error = service::causes(&error), "tokens could not be read again");
            }
            self.known(&hash)
        })?;
        token.expires.is_none_or(|until| until > now).then_some(token)
    }

    fn known(&self, hash: &str) -> Option<Token> {
        self.by_hash.read().unwrap_or_else(PoisonError::into_inner).get(hash).cloned()
    }

    /// All tokens, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Token> {
        let known = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = known.values().cloned().collect();
        all.sort_by(|left, right| left.name.cmp(&right.name));
        all
    }

    /// Removes a token by name; true when it was there.
    ///
    /// # Errors
    /// [`AuthError::State`].
    pub fn remove(&self, name: &str) -> Result<bool, AuthError> {
        let removed = self.state.remove::<Token>(name)?;
        let mut known = self.by_hash.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, token| token.name != name);
        Ok(removed)
    }
}
