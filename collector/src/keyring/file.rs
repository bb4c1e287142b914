//! The keyring as it lies on disk: two copies of one content, sealed under the master key.
//!
//! Layout: magic (8), identity of the master key (8), salt (32), nonce (12), sealed JSON. The
//! identity tells another master key from damage. A copy is replaced by writing beside it and
//! renaming; what it held before is overwritten, so that a destroyed key does not stay behind.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{Aad, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::KeyringError;
use crate::keys::{KeyBytes, KeyError, MasterKey, random};
use crate::store::key::{Key, SALT};

const MAGIC: [u8; 8] = *b"PKTRING\x01";
const HEAD: usize = 16;
/// Most bytes of a keyring: far more than keys of ten years of partitions take.
const MOST: u64 = 64 << 20;

/// One key.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    #[serde(serialize_with = "show", deserialize_with = "hide")]
    pub(super) secret: KeyBytes,
    /// When it was made, microseconds.
    pub(super) made: i64,
    /// Whether other entries have the same key: it came from a store that had one for all.
    #[serde(default)]
    pub(super) shared: bool,
}

fn show<S: Serializer>(secret: &KeyBytes, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&Zeroizing::new(STANDARD.encode(secret.as_slice())))
}

fn hide<'de, D: Deserializer<'de>>(from: D) -> Result<KeyBytes, D::Error> {
    let text = Zeroizing::new(String::deserialize(from)?);
    let bytes = STANDARD.decode(text.as_bytes()).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| serde::de::Error::custom("a key is no base64"))?;
    let bytes = <[u8; 32]>::try_from(bytes.as_slice());
    bytes.map(Zeroizing::new).map_err(|_| serde::de::Error::custom("a key has not 32 bytes"))
}

/// Everything in a keyring.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Content {
    /// Counts changes.
    pub(super) generation: u64,
    pub(super) keys: BTreeMap<String, Entry>,
    /// Deletions whose keys are destroyed and whose record is not in the journal for sure.
    #[serde(default)]
    pub(super) pending: Vec<super::Deletion>,
    /// Redactions that are begun and not done.
    #[serde(default)]
    pub(super) orders: Vec<crate::redaction::Order>,
    /// Since when everything is to be sealed anew, microseconds; `None` when that is done.
    #[serde(default)]
    pub(super) reseal: Option<i64>,
}

/// What one copy turned out to be.
pub(super) enum Found {
    Nothing,
    Content(Box<Content>),
    /// Sealed with the master key of this identity.
    OtherKey([u8; 8]),
    Damaged,
}

/// The second copy.
pub(super) fn copy_of(path: &Path) -> PathBuf {
    path.with_extension("copy")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key(master: &MasterKey, salt: &[u8; SALT]) -> Result<aws_lc_rs::aead::LessSafeKey, KeyError> {
    let key = Key::new(*master.derive("keyring")?);
    key.derive(salt, "pikett keyring 1", "").map_err(|_| KeyError::Crypto)
}

/// Reads one copy.
pub(super) fn read(path: &Path, master: &MasterKey) -> Result<Found, KeyringError> {
    let failed = |source| KeyringError::io("read", path, source);
    let bytes = match std::fs::metadata(path) {
        Ok(meta) if meta.len() > MOST => return Ok(Found::Damaged),
        Ok(_) => std::fs::read(path).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(failed(error)),
    };
    open(&bytes, master)
}

/// Opens the bytes of a copy.
pub(super) fn open(bytes: &[u8], master: &MasterKey) -> Result<Found, KeyringError> {
    let parts = bytes.split_first_chunk::<HEAD>().and_then(|(head, rest)| {
        let (salt, rest) = rest.split_first_chunk::<SALT>()?;
        let (nonce, sealed) = rest.split_first_chunk::<12>()?;
        Some((head, salt, nonce, Zeroizing::new(sealed.to_vec())))
    });
    let Some((head, salt, nonce, mut sealed)) = parts else { return Ok(Found::Damaged) };
    let (magic, id) = head.split_at(8);
    if magic != MAGIC {
        return Ok(Found::Damaged);
    }
    if id != master.id()? {
        return Ok(Found::OtherKey(id.try_into().unwrap_or_default()));
    }
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let Ok(plain) = key(master, salt)?.open_in_place(nonce, Aad::from(*head), &mut sealed) else {
        return Ok(Found::Damaged);
    };
    let content = serde_json::from_slice(plain);
    Ok(content.map_or(Found::Damaged, |content| Found::Content(Box::new(content))))
}

pub(super) fn seal(content: &Content, master: &MasterKey) -> Result<Vec<u8>, KeyringError> {
    let crypto = |_| KeyringError::Master(KeyError::Crypto);
    let mut sealed = serde_json::to_vec(content).map_err(|_| KeyError::Crypto)?;
    let (salt, nonce) = (random::<SALT>()?, random::<12>()?);
    let mut head = [0; HEAD];
    for (slot, byte) in head.iter_mut().zip(MAGIC.into_iter().chain(master.id()?)) {
        *slot = byte;
    }
    // Sealed in place: nothing of the content stays in memory.
    key(master, &salt)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(head), &mut sealed)
        .map_err(crypto)?;
    Ok([&head[..], &salt, &nonce, &sealed].concat())
}

/// Replaces both copies; afterwards nothing of what they held before is in a file.
pub(super) fn write(
    path: &Path,
    content: &Content,
    master: &MasterKey,
) -> Result<(), KeyringError> {
    for path in [path.to_owned(), copy_of(path)] {
        let bytes = seal(content, master)?;
        replace(&path, &bytes).map_err(|source| KeyringError::io("write", &path, source))?;
    }
    Ok(())
}

/// Replaces a file as a whole, durably, and overwrites what it held.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let old = OpenOptions::new().write(true).open(path);
    std::fs::rename(&fresh, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    match old {
        Ok(old) => {
            let length = usize::try_from(old.metadata()?.len()).unwrap_or(0);
            old.write_all_at(&vec![0; length], 0)?;
            old.sync_all()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
