//! Who may do what: users, sessions, tokens, roles.
//!
//! Passwords are argon2id; sessions and tokens are random and kept only as SHA-256. Everything a
//! request needs to be allowed ends here, and only here argon2 is named.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use event::Timestamp;
use serde::{Deserialize, Serialize};
use service::{Clock, Secret};
use sha2::{Digest, Sha256};

use crate::keys;
use crate::state::{Record, State, StateError};

pub mod enrolment;
mod password;
#[cfg(test)]
mod tests;
pub mod token;

pub use password::{PasswordProblem, check_policy};

/// Seconds a session lasts without use.
const SESSION_IDLE: i64 = 12 * 3600;
/// Seconds a session lasts at most.
const SESSION_MOST: i64 = 7 * 24 * 3600;
/// Failed logins in a row before an account waits.
const FREE_FAILURES: u32 = 5;
/// Longest wait of an account, seconds.
const LONGEST_LOCK: i64 = 900;

/// What a user may do; each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look at events, alerts and agents.
    Viewer,
    /// Acknowledge and close alerts.
    Responder,
    /// Everything an analyst needs: tokens of their own, saved searches.
    Analyst,
    /// Users, agents, schedules.
    Admin,
}

/// A person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// Login name, lower case.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Mail address for pages; empty when none.
    #[serde(default)]
    pub mail: String,
    /// argon2id hash in PHC form.
    password: String,
    /// Whether the password must be changed before anything else.
    pub must_change: bool,
    /// Failed logins since the last success.
    #[serde(default)]
    failures: u32,
    /// No login before this time.
    #[serde(default)]
    locked_until: Timestamp,
    /// When it was made.
    pub created: Timestamp,
    /// Last login.
    #[serde(default)]
    pub last_login: Option<Timestamp>,
}

impl Record for User {
    const KIND: &'static str = "user";
    fn id(&self) -> &str {
        &self.name
    }
}

/// A login that has not ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// SHA-256 of the cookie, hexadecimal.
    hash: String,
    /// Whose it is.
    pub user: String,
    /// Value that every changing request must repeat in a header.
    pub csrf: String,
    /// When it began.
    pub created: Timestamp,
    /// Last use, to the minute.
    pub used: Timestamp,
    /// Address it began from.
    pub address: String,
    /// Browser it began with.
    pub agent: String,
}

impl Record for Session {
    const KIND: &'static str = "session";
    fn id(&self) -> &str {
        &self.hash
    }
}

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Name or password is wrong; which, is not told.
    #[error("name or password is wrong")]
    Credentials,
    /// Too many failures; wait.
    #[error("too many failed logins; try again in {seconds} s")]
    Locked {
        /// Seconds to wait.
        seconds: i64,
    },
    /// The new password does not do.
    #[error(transparent)]
    Password(#[from] PasswordProblem),
    /// There is such a user already.
    #[error("user {name:?} exists already")]
    Exists {
        /// Name.
        name: String,
    },
    /// There is no such user.
    #[error("no user {name:?}")]
    Unknown {
        /// Name.
        name: String,
    },
    /// Names are 1 to 64 characters of `a-z 0-9 . _ -`.
    #[error("user names are 1 to 64 of a-z, 0-9, '.', '_' and '-'")]
    Name,
    /// The last administrator stays.
    #[error("the last administrator cannot be removed or demoted")]
    LastAdmin,
    /// State could not be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// No random numbers or no hash.
    #[error("cryptography failed")]
    Crypto,
}

/// SHA-256 as hexadecimal.
#[must_use]
pub fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 32 random bytes as text.
pub(crate) fn secret_text() -> Result<String, AuthError> {
    let bytes = keys::random::<32>().map_err(|_| AuthError::Crypto)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[derive(Default)]
struct Known {
    users: BTreeMap<String, User>,
    sessions: BTreeMap<String, Session>,
}

/// Users and sessions. Cheap to clone.
#[derive(Clone)]
pub struct Auth {
    state: Arc<State>,
    clock: Clock,
    known: Arc<RwLock<Known>>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Auth(..)")
    }
}

impl Auth {
    /// Reads users and sessions from the state.
    ///
    /// # Errors
    /// [`AuthError::State`].
    pub fn load(state: Arc<State>, clock: Clock) -> Result<Self, AuthError> {
        let users = state.list::<User>()?.into_iter().map(|user| (user.name.clone(), user));
        let sessions = state.list::<Session>()?.into_iter().map(|one| (one.hash.clone(), one));
        let known = Known { users: users.collect(), sessions: sessions.collect() };
        Ok(Self { state, clock, known: Arc::new(RwLock::new(known)) })
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.now_micros())
    }

    fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep(&self, user: User) -> Result<(), AuthError> {
        self.state.put(&user)?;
        self.change(|known| known.users.insert(user.name.clone(), user));
        Ok(())
    }

    /// All users, by name.
    #[must_use]
    pub fn users(&self) -> Vec<User> {
        self.read(|known| known.users.values().cloned().collect())
    }

    /// One user.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<User> {
        self.read(|known| known.users.get(name).cloned())
    }

    /// Adds a user with a random first password, which is returned once and must be changed.
    ///
    /// # Errors
    /// [`AuthError`].
    pub fn add_user(&self, name: &str, role: Role, mail: &str) -> Result<Secret, AuthError> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
            return Err(AuthError::Name);
        }
        if self.user(name).is_some() {
            return Err(AuthError::Exists { name: name.to_owned() });
        }
        let first: String = secret_text()?.chars().take(24).collect();
        self.keep(User {
            name: name.to_owned(),
            role,
            mail: mail.to_owned(),
            password: password::hash(&first)?,
            must_change: true,
            failures: 0,
            locked_until: Timestamp::EPOCH,
            created: self.now(),
            last_login: None,
        })?;
        Ok(Secret::new(first))
    }

    /// Changes role and mail address.
    ///
    /// # Errors
    /// [`AuthError::Unknown`], [`AuthError::LastAdmin`], [`AuthError::State`].
    pub fn change_user(&self, name: &str, role: Role, mail: &str) -> Result<(), AuthError> {
        let unknown = || AuthError::Unknown { name: name.to_owned() };
        let mut user = self.user(name).ok_or_else(unknown)?;
        if user.role == Role::Admin && role != Role::Admin && self.admins() == 1 {
            return Err(AuthError::LastAdmin);
        }
        user.role = role;
        mail.clone_into(&mut user.mail);
        self.keep(user)
    }

    /// Removes a user and ends their sessions.
    ///
    /// # Errors
    /// [`AuthError::Unknown`], [`AuthError::LastAdmin`], [`AuthError::State`].
    pub fn remove_user(&self, name: &str) -> Result<(), AuthError> {
        let user = self.user(name).ok_or_else(|| AuthError::Unknown { name: name.to_owned() })?;
        if user.role == Role::Admin && self.admins() == 1 {
            return Err(AuthError::LastAdmin);
        }
        self.end_sessions(name, None)?;
        self.state.remove::<User>(name)?;
        self.change(|known| known.users.remove(name));
        Ok(())
    }

    fn admins(&self) -> usize {
        self.read(|known| known.users.values().filter(|user| user.role == Role::Admin).count())
    }

    /// Checks a password and begins a session; the cookie's value is returned once. Takes the time
    /// of one argon2 computation in any case; call from a blocking thread.
    ///
    /// # Errors
    /// [`AuthError::Credentials`], [`AuthError::Locked`].
    pub fn login(
        &self,
        (name, secret): (&str, &Secret),
        address: &str,
        agent: &str,
    ) -> Result<(Secret, Session), AuthError> {
        let now = self.now();
        let Some(user) = self.user(name) else {
            password::waste(secret);
            return Err(AuthError::Credentials);
        };
        if user.locked_until > now {
            let seconds = user.locked_until.micros_since(now) / 1_000_000 + 1;
            return Err(AuthError::Locked { seconds });
        }
        if !password::verify(secret, &user.password) {
            self.failed(user, now)?;
            return Err(AuthError::Credentials);
        }
        self.keep(User { failures: 0, last_login: Some(now), ..user.clone() })?;
        let cookie = secret_text()?;
        let session = Session {
            hash: sha256(&cookie),
            user: user.name,
            csrf: secret_text()?,
            created: now,
            used: now,
            address: address.to_owned(),
            agent: agent.chars().take(256).collect(),
        };
        self.state.put(&session)?;
        self.change(|known| known.sessions.insert(session.hash.clone(), session.clone()));
        Ok((Secret::new(cookie), session))
    }

    fn failed(&self, mut user: User, now: Timestamp) -> Result<(), AuthError> {
        user.failures = user.failures.saturating_add(1);
        if let Some(over) = user.failures.checked_sub(FREE_FAILURES) {
            let wait = 2_i64.saturating_pow(over.min(20)).min(LONGEST_LOCK);
            user.locked_until = now.plus_seconds(wait);
        }
        self.keep(user)
    }

    /// The session and user of a cookie, if it is still good.
    #[must_use]
    pub fn session(&self, cookie: &str) -> Option<(Session, User)> {
        let now = self.now();
        let hash = sha256(cookie);
        let found = self.read(|known| {
            let session = known.sessions.get(&hash)?;
            Some((session.clone(), known.users.get(&session.user)?.clone()))
        });
        let (mut session, user) = found?;
        let over = session.used.plus_seconds(SESSION_IDLE) < now
            || session.created.plus_seconds(SESSION_MOST) < now;
        if over {
            self.end(&hash);
            return None;
        }
        if now.micros_since(session.used) > 60_000_000 {
            session.used = now;
            if let Err(error) = self.state.put(&session) {
                tracing::error!(%error, "use of a session could not be kept");
            }
            self.change(|known| known.sessions.insert(hash, session.clone()));
        }
        Some((session, user))
    }

    /// Ends the session of a cookie.
    pub fn logout(&self, cookie: &str) {
        self.end(&sha256(cookie));
    }

    fn end(&self, hash: &str) {
        self.change(|known| known.sessions.remove(hash));
        if let Err(error) = self.state.remove::<Session>(hash) {
            tracing::error!(%error, "end of a session could not be kept");
        }
    }

    /// Ends all sessions of a user but `except`.
    fn end_sessions(&self, name: &str, except: Option<&str>) -> Result<(), AuthError> {
        let ended = self.change(|known| {
            let theirs = |one: &&Session| one.user == name && Some(one.hash.as_str()) != except;
            let hashes: Vec<_> =
                known.sessions.values().filter(theirs).map(|one| one.hash.clone()).collect();
            known.sessions.retain(|hash, _| !hashes.contains(hash));
            hashes
        });
        for hash in ended {
            self.state.remove::<Session>(&hash)?;
        }
        Ok(())
    }

    /// Changes a password: the old one must be right, the new one must fit the policy. Other
    /// sessions of the user end. Call from a blocking thread.
    ///
    /// # Errors
    /// [`AuthError`].
    pub fn change_password(
        &self,
        session: &Session,
        old: &Secret,
        new: &Secret,
    ) -> Result<(), AuthError> {
        let user = self.user(&session.user).ok_or(AuthError::Credentials)?;
        if !password::verify(old, &user.password) {
            self.failed(user, self.now())?;
            return Err(AuthError::Credentials);
        }
        check_policy(new.expose(), &user.name)?;
        if old == new {
            return Err(PasswordProblem::Same.into());
        }
        let password = password::hash(new.expose())?;
        self.keep(User { password, must_change: false, failures: 0, ..user })?;
        self.end_sessions(&session.user, Some(&session.hash))
    }
}
