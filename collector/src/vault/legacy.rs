//! Collectors from before there was a keyring: all their keys came from the master key by
//! derivation. They move over by one step: the same keys are put into a keyring, and everything
//! that is made from then on gets keys of its own.

use std::io;
use std::path::{Path, PathBuf};

use super::{VaultError, names, partition_key};
use crate::keys::{KeyBytes, MasterSource, random};
use crate::store::log::checkpoint::{self, Found as Check};
use crate::store::log::segment;
use crate::store::{Key, StoreError};

/// What a data folder without a keyring is.
pub(super) enum Found {
    /// New.
    Nothing,
    /// An older collector's, with these keys.
    Keys(Vec<(String, KeyBytes, bool)>),
    /// It holds data, and is no older collector's that this master key opens.
    Data,
}

/// The file that tells an older store's key.
fn check_path(data: &Path) -> PathBuf {
    data.join("events/key.check")
}

fn failed(error: StoreError) -> VaultError {
    VaultError::io("read", Path::new("the event store"), io::Error::other(error))
}

/// Names of the partitions of a store.
fn partitions(data: &Path) -> Result<Vec<String>, VaultError> {
    let folder = data.join("events/index");
    let failed = |error| VaultError::io("list", &folder, error);
    let items = match std::fs::read_dir(&folder) {
        Ok(items) => items,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for item in items {
        names.extend(item.map_err(failed)?.file_name().into_string().ok());
    }
    names.retain(|name| !name.starts_with('.'));
    Ok(names)
}

/// Looks what a data folder without a keyring is.
///
/// # Errors
/// [`VaultError`].
pub(super) fn keys(data: &Path, source: &MasterSource) -> Result<Found, VaultError> {
    let state = data.join("state.db");
    let log = data.join("events/log");
    let there = |path: &Path| {
        // A folder that cannot be looked at is not an empty one.
        path.try_exists().map_err(|error| VaultError::io("look for", path, error))
    };
    let segments = if there(&log)? { segment::list(&log).map_err(failed)? } else { Vec::new() };
    let kept = partitions(data)?;
    let events = !segments.is_empty() || !kept.is_empty();
    let check = check_path(data);
    if !events && !there(&check)? && !there(&state)? {
        return Ok(Found::Nothing);
    }
    let master = source.load()?;
    let store = master.derive("store")?;
    let opens = checkpoint::read(&check, &Key::new(*store)).map_err(failed)?;
    let older = match opens {
        Check::Content(_) => true,
        Check::Damaged => false,
        Check::Nothing => !events && crate::state::is_older(&state, &master.derive("state")?),
    };
    if !older {
        return Ok(Found::Data);
    }
    let mut keys = vec![
        (names::STORE.to_owned(), store.clone(), true),
        (names::JOURNAL.to_owned(), random::<32>()?.into(), false),
        (names::SIGNING.to_owned(), random::<32>()?.into(), false),
    ];
    for name in [names::STATE, names::MEMORY, names::LINKS] {
        keys.push((name.to_owned(), master.derive(name)?, false));
    }
    let partitions = kept.into_iter().map(|name| partition_key(&name));
    let groups = segments.into_iter().map(segment::key_name);
    let mut names: Vec<String> = partitions.chain(groups).collect();
    names.dedup();
    keys.extend(names.into_iter().map(|name| (name, store.clone(), true)));
    Ok(Found::Keys(keys))
}

/// The keyring is there: what told an older store's key goes.
///
/// # Errors
/// [`VaultError::Io`].
pub(super) fn done(data: &Path) -> Result<(), VaultError> {
    let check = check_path(data);
    match std::fs::remove_file(&check) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(VaultError::io("remove", &check, error))
        }
        _ => Ok(()),
    }
}
