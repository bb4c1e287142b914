//! What an administrator on this machine may do without the console: the right to read the keys
//! is the right to do this. Also while the collector runs: it looks for a token that it does not know
//! when the state was written to beside it, and enrolment tokens are looked up when they are used.

use std::sync::Arc;

use anyhow::{Context, Result};
use link::enrol::Token;
use service::{Clock, Secret};

use crate::audit::{Act, By};
use crate::auth::enrolment::Enrolments;
use crate::auth::token::{Scope, Tokens};
use crate::config::Config;
use crate::init::Folder;
use crate::keyring::Keyring;
use crate::state::State;
use crate::vault::{self, names};

fn keyring(config: &Config) -> Result<Keyring> {
    Ok(vault::keyring(&config.data, &config.master(), Clock::system())?)
}

/// Keeps what a command did in the audit log; before it is done when that must not be done unseen.
///
/// # Errors
/// When it cannot be kept.
pub(crate) fn note(
    config: &Config,
    keyring: &Keyring,
    action: &str,
    about: &[(&str, String)],
) -> Result<()> {
    let about = about.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect();
    let who = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_default();
    let act = Act {
        by: By::Command,
        who,
        action: format!("pikett-collector {action}"),
        outcome: "done".to_owned(),
        about,
        ..Act::default()
    };
    vault::note_beside(&config.data, keyring, act).context("the audit log cannot be written")
}

fn state(config: &Config, keyring: &Keyring) -> Result<Arc<State>> {
    let folder = Folder::new(&config.data);
    Ok(Arc::new(State::open(&folder.state(), &keyring.get(names::STATE)?)?))
}

/// A one-time enrolment token.
///
/// # Errors
/// When keys or state cannot be read.
pub fn enrolment_token(config: &Config, minutes: i64) -> Result<Secret> {
    let keyring = keyring(config)?;
    note(config, &keyring, "enrolment-token", &[("minutes", minutes.to_string())])?;
    let enrolments = Enrolments::new(state(config, &keyring)?, Clock::system());
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
    let keyring = keyring(config)?;
    let about = [("name", name.to_owned()), ("scopes", format!("{scopes:?}"))];
    note(config, &keyring, "token", &about)?;
    let tokens = Tokens::load(state(config, &keyring)?, Clock::system())?;
    Ok(tokens.create(name, scopes, "local", None)?)
}
