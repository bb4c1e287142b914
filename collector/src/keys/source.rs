//! Where the master key comes from: a file, the environment, a systemd credential, a command.
//!
//! Not here: making a key file and its permissions ([`super::MasterKey`]).

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{KeyError, MasterKey, command};

/// Most bytes a place may hold.
const MOST: u64 = 4096;

/// Where the master key is found. The configuration holds this, never the key. A key is 32 bytes,
/// or their 64 hexadecimal digits, or their 44 characters of base64.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum MasterSource {
    /// A file that only its owner can read.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A credential of the systemd unit (`LoadCredential=`, `LoadCredentialEncrypted=`).
    Credential(String),
    /// A program with its arguments, run without a shell: it writes the key to its standard
    /// output within 30 seconds, for example a client of a key management service.
    Command(Vec<String>),
}

impl std::fmt::Display for MasterSource {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(out, "file {}", path.display()),
            Self::Env(name) => write!(out, "environment variable {name}"),
            Self::Credential(name) => write!(out, "credential {name}"),
            Self::Command(argv) => {
                write!(out, "command {}", argv.first().map_or("", String::as_str))
            }
        }
    }
}

/// Reads a source as it is written on a command line: `file:PATH`, `env:NAME`, `credential:NAME`,
/// or `command:` and a program with its arguments, separated by blanks.
impl std::str::FromStr for MasterSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        if rest.trim().is_empty() {
            return Err("file:PATH, env:NAME, credential:NAME or command:PROGRAM is wanted".into());
        }
        match kind {
            "file" => Ok(Self::File(rest.into())),
            "env" => Ok(Self::Env(rest.to_owned())),
            "credential" => Ok(Self::Credential(rest.to_owned())),
            "command" => Ok(Self::Command(rest.split_whitespace().map(str::to_owned).collect())),
            _ => Err(format!("{kind:?} is no source: file, env, credential, command")),
        }
    }
}

impl MasterSource {
    /// Reads the key.
    ///
    /// # Errors
    /// [`KeyError`], naming the place and what to do.
    pub fn load(&self) -> Result<MasterKey, KeyError> {
        let (bytes, place) = match self {
            // A file of this program's own making holds the bytes themselves.
            Self::File(path) => return MasterKey::load(path),
            Self::Env(name) => {
                let text = std::env::var(name);
                let text = text.map_err(|_| KeyError::Unset { name: name.clone() })?;
                (Zeroizing::new(text.into_bytes()), name.clone())
            }
            Self::Credential(name) => (credential(name)?, name.clone()),
            Self::Command(argv) => (command::run(argv, command::LIMIT)?, self.to_string()),
        };
        service::key::parse(&bytes)
            .map(|key| MasterKey::new(Zeroizing::new(key)))
            .ok_or(KeyError::Form { place })
    }
}

fn credential(name: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let missing = || KeyError::Credential { name: name.to_owned() };
    let plain = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|_| plain);
    read(&Path::new(&folder.ok_or_else(missing)?).join(name)).map_err(|_| missing())
}

/// The whole of a small file.
pub(super) fn read(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    if std::fs::metadata(path)?.len() > MOST {
        return Err(std::io::Error::other("larger than any key"));
    }
    Ok(Zeroizing::new(std::fs::read(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_on_a_command_line() {
        let check = |text: &str, expected: Result<MasterSource, &str>| {
            assert_eq!(
                text.parse::<MasterSource>().map_err(|e| e.contains("wanted")),
                expected.map_err(|_| true)
            );
        };
        check("file:/k/m.key", Ok(MasterSource::File("/k/m.key".into())));
        check("env:PIKETT_KEY", Ok(MasterSource::Env("PIKETT_KEY".into())));
        check("credential:master", Ok(MasterSource::Credential("master".into())));
        let argv = vec!["/bin/kms".to_owned(), "get".to_owned()];
        check("command:/bin/kms  get", Ok(MasterSource::Command(argv)));
        check("file:", Err(""));
        check("env", Err(""));
        assert!("vault:x".parse::<MasterSource>().unwrap_err().contains("no source"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let words = |source: MasterSource| source.load().unwrap_err().to_string();
        assert_eq!(
            words(MasterSource::Env("PIKETT_NO_SUCH".into())),
            "environment variable PIKETT_NO_SUCH with the master key is not set"
        );
        // Cargo sets this one for every test; it is no key.
        let error = words(MasterSource::Env("CARGO_MANIFEST_DIR".into()));
        assert!(error.starts_with("the master key from CARGO_MANIFEST_DIR is no key"), "{error}");
        for name in ["", "../../etc/shadow", ".hidden", "none"] {
            let error = words(MasterSource::Credential(name.into()));
            assert!(error.contains("LoadCredentialEncrypted"), "{error}");
        }
    }
}
