//! What an administrator on this machine may do without the console: the right to read the keys
//! is the right to do this. Also while the collector runs: it looks for a token that it does not know
//! when the state was written to beside it, and enrolment tokens are looked up when they are used.

use std::sync::Arc;

use anyhow::{Context, Result};
use link::enrol::Token;
use service::{Clock, Secret};

use crate::auth::enrolment::Enrolments;
use crate::auth::token::{Scope, Tokens};
use crate::config::Config;
use crate::init::Folder;
use crate::state::State;
use crate::vault::{self, names};

fn state(config: &Config) -> Result<Arc<State>> {
    let folder = Folder::new(&config.data);
    let keyring = vault::keyring(&config.data, &config.master(), Clock::system())?;
    Ok(Arc::new(State::open(&folder.state(), &keyring.get(names::STATE)?)?))
}

/// A one-time enrolment token.
///
/// # Errors
/// When keys or state cannot be read.
pub fn enrolment_token(config: &Config, minutes: i64) -> Result<Secret> {
    let enrolments = Enrolments::new(state(config)?, Clock::system());
    let (one, secret) = enrolments.create(minutes.saturating_mul(60), "local")?;
    let authority = Folder::new(&config.data).load_authority()?;
    let authority = link::pki::fingerprint(authority.certificate())?;
    Ok(Secret::new(Token { id: one.id, secret, authority }.reveal()))
}

/// A token for a program.
///
/// # Errors
/// When a scope is unknown, the name is taken, or keys or state cannot be read.
pub fn token(config: &Config, name: &str, scopes: &[String]) -> Result<Secret> {
    let scope = |name: &String| {
        serde_json::from_value::<Scope>(serde_json::Value::String(name.clone()))
            .with_context(|| format!("{name:?} is no scope: ingest, read, respond, tune, metrics"))
    };
    let scopes: Vec<Scope> = scopes.iter().map(scope).collect::<Result<_>>()?;
    let tokens = Tokens::load(state(config)?, Clock::system())?;
    Ok(tokens.create(name, scopes, "local", None)?)
}
