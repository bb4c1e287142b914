//! Values that must not be printed or written.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use zeroize::Zeroize;

/// Longest secret read from a file, bytes.
const MAX_SECRET: u64 = 64 * 1024;

/// A secret text: cannot be displayed or serialised, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text as secret.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself; the caller answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(..)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Where a secret is to be found; configuration files hold this, never the secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum SecretSource {
    /// The first line of a file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// The first line of a credential of the systemd unit (`LoadCredential=`, `LoadCredentialEncrypted=`).
    Credential(String),
}

/// Reads a source as it is written on a command line: `file:PATH`, `env:NAME` or `credential:NAME`.
impl std::str::FromStr for SecretSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("credential", name)) if !name.is_empty() => Ok(Self::Credential(name.to_owned())),
            _ => {
                Err("file:PATH, env:NAME or credential:NAME is wanted, never the secret itself"
                    .into())
            }
        }
    }
}

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret file {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is larger than a secret can be, 64 KiB.
    #[error("secret file {} is larger than 64 KiB", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// The variable is not set or not UTF-8.
    #[error("environment variable {name} is not set")]
    Env {
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
    /// Found, but empty.
    #[error("secret is empty: {place}")]
    Empty {
        /// File or variable.
        place: String,
    },
}

impl SecretSource {
    /// Reads the secret.
    ///
    /// # Errors
    /// [`SecretError`], naming the file or variable.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let (text, place) = match self {
            Self::File(path) => (first_line(path)?, path.display().to_string()),
            Self::Credential(name) => {
                let missing = || SecretError::Credential { name: name.clone() };
                let plain = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|_| plain);
                let path = Path::new(&folder.ok_or_else(missing)?).join(name);
                (first_line(&path)?, name.clone())
            }
            Self::Env(name) => {
                let text =
                    std::env::var(name).map_err(|_| SecretError::Env { name: name.clone() })?;
                (text, name.clone())
            }
        };
        if text.is_empty() { Err(SecretError::Empty { place }) } else { Ok(Secret(text)) }
    }
}

fn first_line(path: &Path) -> Result<String, SecretError> {
    let failed = |source| SecretError::File { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_SECRET {
        return Err(SecretError::TooLarge { path: path.to_owned() });
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    Ok(text.lines().next().unwrap_or("").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let secret = Secret::new("hunter2".into());
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn read_takes_the_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "s3cret\nsecond line\n").unwrap();
        assert_eq!(SecretSource::File(path.clone()).read().unwrap().expose(), "s3cret");
        std::fs::write(&path, "\n").unwrap();
        let error = SecretSource::File(path).read().unwrap_err().to_string();
        assert!(error.starts_with("secret is empty: "), "{error}");
    }

    #[test]
    fn sizes_and_line_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let source = SecretSource::File(path.clone());
        let most = usize::try_from(MAX_SECRET).unwrap();
        for (text, expected) in [
            ("s\r\n".to_owned(), Some("s".to_owned())),
            (" s ".to_owned(), Some(" s ".to_owned())),
            ("x".repeat(most), Some("x".repeat(most))),
            ("x".repeat(most + 1), None),
        ] {
            std::fs::write(&path, &text).unwrap();
            let found = source.read().ok().map(|secret| secret.expose().to_owned());
            assert_eq!(found, expected, "{} bytes", text.len());
        }
        let error = source.read().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("secret file {} is larger than 64 KiB", path.display())
        );
        std::fs::write(&path, b"\xff").unwrap();
        assert!(matches!(source.read(), Err(SecretError::File { .. })));
        let folder = SecretSource::File(folder.path().into());
        assert!(matches!(folder.read(), Err(SecretError::File { .. })));
    }

    #[test]
    fn the_environment_is_a_place_too() {
        // A variable that cargo sets for every test; another cannot be set without unsafe code.
        let source = SecretSource::Env("CARGO_MANIFEST_DIR".into());
        assert_eq!(source.read().unwrap().expose(), env!("CARGO_MANIFEST_DIR"));
    }

    #[test]
    fn sources_on_a_command_line() {
        let check = |text: &str, expected: Option<SecretSource>| {
            assert_eq!(text.parse::<SecretSource>().ok(), expected, "{text}");
        };
        check("file:/k/words", Some(SecretSource::File("/k/words".into())));
        check("env:WORDS", Some(SecretSource::Env("WORDS".into())));
        check("credential:words", Some(SecretSource::Credential("words".into())));
        for text in ["", "file:", "env", "correct horse battery", "command:x"] {
            check(text, None);
        }
    }

    #[test]
    fn errors_name_the_place() {
        for name in ["", "../../etc/shadow", ".hidden", "none"] {
            let missing = SecretSource::Credential(name.into()).read().unwrap_err().to_string();
            assert!(missing.contains("LoadCredentialEncrypted"), "{missing}");
        }
        let missing = SecretSource::File("/no/such/file".into()).read().unwrap_err();
        assert_eq!(missing.to_string(), "cannot read the secret file /no/such/file");
        let unset = SecretSource::Env("PIKETT_NO_SUCH_VARIABLE".into()).read().unwrap_err();
        assert_eq!(unset.to_string(), "environment variable PIKETT_NO_SUCH_VARIABLE is not set");
    }
}
