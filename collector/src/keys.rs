//! The collector's master key: 32 bytes that seal the keyring ([`crate::keyring`]) and nothing else.
//!
//! It comes from a file, the environment, a systemd credential or a command ([`source`]). What is
//! derived from it (HKDF-SHA256 with the use as info) seals the keyring and tells one master key
//! from another; collectors made before there was a keyring took all their keys this way.

mod command;
pub mod source;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

pub use source::MasterSource;

/// 32 secret bytes.
pub type KeyBytes = Zeroizing<[u8; 32]>;

/// Why the master key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("cannot use the key file {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file does not hold 32 bytes.
    #[error("key file {} is damaged: {found} bytes instead of 32; restore it from a backup", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Bytes found.
        found: usize,
    },
    /// Others may read the file.
    #[error("key file {} can be read by others; run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// Which.
        path: PathBuf,
    },
    /// The place holds no 32 bytes.
    #[error(
        "the master key from {place} is no key: 32 bytes, or them as hex or base64, are wanted"
    )]
    Form {
        /// Where it was looked for.
        place: String,
    },
    /// An environment variable is not set.
    #[error("environment variable {name} with the master key is not set")]
    Unset {
        /// Which.
        name: String,
    },
    /// There is no such credential of the service.
    #[error(
        "credential {name} is not there: name it in the unit with LoadCredentialEncrypted={name}"
    )]
    Credential {
        /// Which.
        name: String,
    },
    /// The command that gives the key did not.
    #[error("the command {command} gave no master key: {problem}")]
    Command {
        /// Its program.
        command: String,
        /// What went wrong, with what it said.
        problem: String,
    },
    /// The system gives no random numbers or the derivation failed.
    #[error("key derivation failed")]
    Crypto,
}

/// The master key.
#[derive(Clone)]
pub struct MasterKey(KeyBytes);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("MasterKey(..)")
    }
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

/// `N` random bytes from the system.
///
/// # Errors
/// [`KeyError::Crypto`].
pub fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| KeyError::Crypto)?;
    Ok(bytes)
}

impl MasterKey {
    /// Makes a new key file.
    ///
    /// # Errors
    /// [`KeyError::Io`], also when the file exists.
    pub fn create(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Io { path: path.to_owned(), source };
        let bytes = Zeroizing::new(random::<32>()?);
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(&*bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        Ok(Self(bytes))
    }

    /// Reads the key file.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Io { path: path.to_owned(), source };
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed { path: path.to_owned() });
        }
        let bytes = Zeroizing::new(fs::read(path).map_err(failed)?);
        let found = bytes.len();
        let key = <[u8; 32]>::try_from(bytes.as_slice())
            .map_err(|_| KeyError::Damaged { path: path.to_owned(), found })?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// Takes 32 secret bytes.
    #[must_use]
    pub const fn new(bytes: KeyBytes) -> Self {
        Self(bytes)
    }

    /// What tells it from others; says nothing about the key.
    ///
    /// # Errors
    /// [`KeyError::Crypto`].
    pub fn id(&self) -> Result<[u8; 8], KeyError> {
        let derived = self.derive("identity of the master key")?;
        Ok(derived.first_chunk().copied().unwrap_or_default())
    }

    /// The key for one use, such as `store` or `state`.
    ///
    /// # Errors
    /// [`KeyError::Crypto`].
    pub fn derive(&self, usage: &str) -> Result<KeyBytes, KeyError> {
        let mut out = Zeroizing::new([0; 32]);
        let salt = Salt::new(HKDF_SHA256, b"pikett collector");
        let key = salt.extract(&*self.0);
        key.expand(&[usage.as_bytes()], Length)
            .and_then(|okm| okm.fill(&mut *out))
            .map_err(|_| KeyError::Crypto)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn created_privately_read_back_and_derived_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let made = MasterKey::create(&path).unwrap();
        let read = MasterKey::load(&path).unwrap();
        assert_eq!(*made.derive("store").unwrap(), *read.derive("store").unwrap());
        assert_ne!(*made.derive("store").unwrap(), *made.derive("state").unwrap());
        assert!(MasterKey::create(&path).is_err(), "never overwritten");
        assert_eq!(format!("{made:?}"), "MasterKey(..)");
    }

    #[test]
    fn exposed_or_damaged_keys_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        MasterKey::create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(MasterKey::load(&path), Err(KeyError::Exposed { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short").unwrap();
        assert!(matches!(MasterKey::load(&path), Err(KeyError::Damaged { found: 5, .. })));
    }

    #[test]
    fn derived_keys_are_stable_over_versions() {
        // Changing these would make every store and state unreadable: HKDF-SHA256 of 32 zero bytes.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        MasterKey::create(&path).unwrap();
        fs::write(&path, [0; 32]).unwrap();
        let key = MasterKey::load(&path).unwrap();
        let shown = |usage: &str| {
            let key = key.derive(usage).unwrap();
            key.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        // extract = HMAC(salt "pikett collector", key); expand = HMAC(extract, usage || 0x01).
        let hmac = |key: &[u8], data: &[u8]| {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
            aws_lc_rs::hmac::sign(&key, data).as_ref().to_vec()
        };
        let extracted = hmac(b"pikett collector", &[0; 32]);
        for usage in ["store", "state", "page links", "memory"] {
            let expanded = hmac(&extracted, &[usage.as_bytes(), &[1]].concat());
            let expected: String = expanded.iter().take(8).map(|b| format!("{b:02x}")).collect();
            assert_eq!(shown(usage), expected, "{usage}");
        }
    }

    #[test]
    fn every_way_a_key_file_can_be_wrong_has_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let words = || MasterKey::load(&path).unwrap_err().to_string();
        assert!(words().starts_with("cannot use the key file "), "missing");
        MasterKey::create(&path).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(words().contains("can be read by others; run: chmod 600 "), "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        MasterKey::load(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for length in [0, 31, 33, 1_000] {
            fs::write(&path, vec![7; length]).unwrap();
            assert!(words().contains(&format!("{length} bytes instead of 32")), "{length}");
        }
        assert!(MasterKey::create(&folder.path().join("no/such/key")).is_err());
    }
}
