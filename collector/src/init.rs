//! Makes a new collector: keys, authority, certificate, state, first administrator.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use event::Timestamp;
use link::pki::{Authority, Identity};
use service::{Clock, Secret};

use crate::auth::{Auth, Role};
use crate::keys::{MasterKey, MasterSource};
use crate::oncall::Schedule;
use crate::state::State;
use crate::vault::{self, names};

/// Paths within the data folder.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The layout below `data`.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self(data.to_owned())
    }

    /// Master key.
    #[must_use]
    pub fn master_key(&self) -> PathBuf {
        self.0.join("keys/master.key")
    }

    /// Key of the authority.
    #[must_use]
    pub fn authority_key(&self) -> PathBuf {
        self.0.join("keys/authority.key")
    }

    /// Key of the server.
    #[must_use]
    pub fn server_key(&self) -> PathBuf {
        self.0.join("keys/server.key")
    }

    /// Certificate of the authority; may be given to anybody.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.0.join("authority.pem")
    }

    /// Certificate of the server with its chain.
    #[must_use]
    pub fn server(&self) -> PathBuf {
        self.0.join("server.pem")
    }

    /// State database.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.0.join("state.db")
    }

    /// Events.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        self.0.join("events")
    }

    /// Reads the authority.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    pub fn load_authority(&self) -> Result<Authority> {
        let key = Secret::new(read(&self.authority_key())?);
        Authority::load(&read(&self.authority())?, &key).context("the authority is damaged")
    }

    /// Reads the server's certificate and key.
    ///
    /// # Errors
    /// When a file is missing.
    pub fn load_server(&self) -> Result<Identity> {
        Ok(Identity { chain: read(&self.server())?, key: Secret::new(read(&self.server_key())?) })
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| {
        format!(
            "cannot read {}; was the collector made with `pikett-collector init`?",
            path.display()
        )
    })
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// What a new collector shows once.
pub struct Made {
    /// Name of the administrator.
    pub admin: String,
    /// First password, to be changed at the first login.
    pub password: Secret,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Made(..)")
    }
}

/// Makes a collector in `data`, reachable under `names` (hosts and addresses, for its certificate).
///
/// # Errors
/// When there is one already, or the disk refuses.
pub fn init(data: &Path, names: &[String], mail: &str, clock: &Clock) -> Result<Made> {
    let folder = Folder::new(data);
    let key = folder.master_key();
    if key.try_exists().with_context(|| format!("cannot look for {}", key.display()))? {
        bail!("{} holds a collector already", data.display());
    }
    let keys = data.join("keys");
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&keys);
    made.with_context(|| format!("cannot make {}", keys.display()))?;
    let now = clock.now_micros();
    let (authority, key) = Authority::create("Pikett local authority", now / 1_000_000)?;
    write(&folder.authority_key(), key.expose(), 0o600)?;
    write(&folder.authority(), authority.certificate(), 0o644)?;
    let server = authority.server(names, now / 1_000_000)?;
    write(&folder.server_key(), server.key.expose(), 0o600)?;
    write(&folder.server(), &server.chain, 0o644)?;
    // The master key comes last: without it the folder does not count as a collector.
    MasterKey::create(&folder.master_key())?;
    let source = MasterSource::File(folder.master_key());
    let keyring = vault::keyring(data, &source, clock.clone())?;
    let state = Arc::new(State::open(&folder.state(), &keyring.get(names::STATE)?)?);
    let auth = Auth::load(Arc::clone(&state), clock.clone())?;
    let password = auth.add_user("admin", Role::Admin, mail)?;
    if !mail.is_empty() {
        state.put(&Schedule::first("admin", Timestamp::from_micros(now)))?;
    }
    Ok(Made { admin: "admin".to_owned(), password })
}

#[cfg(test)]
mod tests;
