//! Tokens of programs: shippers, scripts, monitoring. Kept as SHA-256, shown once.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use event::{AgentId, Timestamp};
use serde::{Deserialize, Serialize};
use service::{Clock, Secret};

use super::{AuthError, secret_text, sha256};
use crate::state::{Record, State};

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
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Tokens(..)")
    }
}

/// Every token begins so, which lets scanners find leaked ones.
const PREFIX: &str = "pkt_";

impl Tokens {
    /// Reads the tokens from the state.
    ///
    /// # Errors
    /// [`AuthError::State`].
    pub fn load(state: Arc<State>, clock: Clock) -> Result<Self, AuthError> {
        let tokens = state.list::<Token>()?.into_iter().map(|token| (token.hash.clone(), token));
        let by_hash = Arc::new(RwLock::new(tokens.collect()));
        Ok(Self { state, clock, by_hash })
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
        let known = self.by_hash.read().unwrap_or_else(PoisonError::into_inner);
        let now = Timestamp::from_micros(self.clock.now_micros());
        let token = known.get(&sha256(text))?;
        token.expires.is_none_or(|until| until > now).then(|| token.clone())
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
