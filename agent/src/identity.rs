//! What an enrolled agent keeps in its data folder, and how it gets it.
//!
//! `identity/` holds the certificate, its key, the collectors' authority, the spool key and the
//! name; readable by the agent's user only.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use link::enrol::{EnrolError, Enrolled, Token};
use link::spool::SpoolKey;
use serde::{Deserialize, Serialize};
use service::Secret;

use crate::filestore::FileKey;
use crate::memory::MemoryKey;

/// Who this agent is and whom it trusts.
#[derive(Debug)]
pub struct Identity {
    /// Identity given by the collector.
    pub agent: String,
    /// Certificate, PEM.
    pub certificate: String,
    /// Private key, PEM.
    pub key: Secret,
    /// Authority of the collectors, PEM.
    pub authority: String,
    /// Collectors as told at enrolment.
    pub collectors: Vec<String>,
    /// Key of the spool.
    pub spool_key: SpoolKey,
    /// Key of what detectors remember, derived from the same secret.
    pub memory_key: MemoryKey,
    /// Key of files in transit that are kept, likewise.
    pub(crate) file_key: FileKey,
}

/// Why the identity cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is none yet.
    #[error("this host is not enrolled: run `pikett-agent enroll --collector URL --token T` (no {})", path.display())]
    NotEnrolled {
        /// File that is missing.
        path: PathBuf,
    },
    /// There is one already.
    #[error("this host is enrolled already as {agent}; remove {} to enrol it anew", path.display())]
    Enrolled {
        /// As whom.
        agent: String,
        /// The identity's folder.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} is damaged; remove the folder and enrol again", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// `--collector` is not understood.
    #[error("{url:?} is not https://HOST[:PORT]")]
    Url {
        /// As given.
        url: String,
    },
    /// The collector and this host did not agree.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
}

#[derive(Serialize, Deserialize)]
struct About {
    agent: String,
    collectors: Vec<String>,
}

/// Port of the link when the address names none.
const PORT: u16 = 8444;

impl IdentityError {
    /// Whether the disk did not give a file, which may be whole.
    fn is_refused_read(&self) -> bool {
        let damage = [io::ErrorKind::NotFound, io::ErrorKind::InvalidData];
        matches!(self, Self::Io { source, .. } if !damage.contains(&source.kind()))
    }
}

fn folder(data: &Path) -> PathBuf {
    data.join("identity")
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> IdentityError {
    let path = path.to_owned();
    move |source| IdentityError::Io { path, source }
}

impl Identity {
    /// Reads the identity from the data folder.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn load(data: &Path) -> Result<Self, IdentityError> {
        let folder = folder(data);
        let about_path = folder.join("about.json");
        if !about_path.try_exists().map_err(failed(&about_path))? {
            return Err(IdentityError::NotEnrolled { path: about_path });
        }
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(failed(&path))
        };
        let about: About = serde_json::from_str(&read("about.json")?)
            .map_err(|_| IdentityError::Damaged { path: about_path })?;
        let key_path = folder.join("spool.key");
        let spool_key = fs::read(&key_path).map_err(failed(&key_path))?;
        let spool_key: [u8; 32] =
            spool_key.try_into().map_err(|_| IdentityError::Damaged { path: key_path.clone() })?;
        let (Some(memory_key), Some(file_key)) =
            (MemoryKey::derive(&spool_key), FileKey::derive(&spool_key))
        else {
            return Err(IdentityError::Damaged { path: key_path });
        };
        Ok(Self {
            agent: about.agent,
            collectors: about.collectors,
            certificate: read("agent.pem")?,
            key: Secret::new(read("agent.key")?),
            authority: read("authority.pem")?,
            spool_key: SpoolKey::new(spool_key),
            memory_key,
            file_key,
        })
    }

    fn keep(data: &Path, enrolled: &Enrolled) -> Result<(), IdentityError> {
        let folder = folder(data);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&folder).map_err(failed(&folder))?;
        let mut spool_key = [0_u8; 32];
        aws_lc_rs::rand::fill(&mut spool_key)
            .map_err(|error| failed(&folder)(io::Error::other(error)))?;
        let about =
            About { agent: enrolled.agent.clone(), collectors: enrolled.collectors.clone() };
        let about = serde_json::to_vec_pretty(&about)
            .map_err(|error| failed(&folder)(io::Error::other(error)))?;
        // The name comes last: an identity without it does not count as one.
        let files: [(&str, &[u8]); 5] = [
            ("spool.key", &spool_key),
            ("agent.key", enrolled.key.expose().as_bytes()),
            ("agent.pem", enrolled.certificate.as_bytes()),
            ("authority.pem", enrolled.authority.as_bytes()),
            ("about.json", &about),
        ];
        for (name, content) in files {
            let path = folder.join(name);
            write_private(&path, content).map_err(failed(&path))?;
        }
        Ok(())
    }
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Host and port of a collector's address: `https://HOST[:PORT]` or `HOST[:PORT]`.
fn address(url: &str) -> Result<(String, u16), IdentityError> {
    let wrong = || IdentityError::Url { url: url.to_owned() };
    let bare = url.strip_prefix("https://").unwrap_or(url).trim_end_matches('/');
    if bare.is_empty() || bare.contains(['/', '@', '?', ' ']) {
        return Err(wrong());
    }
    match bare.rsplit_once(':') {
        Some(("", _)) => Err(wrong()),
        Some((host, port)) if !port.ends_with(']') => {
            Ok((host.to_owned(), port.parse().map_err(|_| wrong())?))
        }
        _ => Ok((bare.to_owned(), PORT)),
    }
}

/// Enrols this host and keeps the identity; the name given by the collector.
///
/// # Errors
/// [`IdentityError`].
pub async fn enrol(
    data: &Path,
    url: &str,
    token: &str,
    host: &str,
) -> Result<String, IdentityError> {
    match Identity::load(data) {
        Ok(known) => {
            return Err(IdentityError::Enrolled { agent: known.agent, path: folder(data) });
        }
        // What the disk does not give now may be whole: a new identity would cost the spool its key.
        Err(refused) if refused.is_refused_read() => return Err(refused),
        Err(_) => {}
    }
    let (name, port) = address(url)?;
    let token: Token = token.parse()?;
    let mut enrolled = link::enrol::enrol((&name, port), token, host).await?;
    if enrolled.collectors.is_empty() {
        enrolled.collectors.push(format!("{name}:{port}"));
    }
    Identity::keep(data, &enrolled)?;
    Ok(enrolled.agent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn enrolled() -> Enrolled {
        Enrolled {
            agent: "web-1".into(),
            certificate: "CERT".into(),
            key: Secret::new("KEY".into()),
            authority: "CA".into(),
            collectors: vec!["c:8444".into()],
        }
    }

    #[test]
    fn kept_privately_and_read_back() {
        let data = tempfile::tempdir().unwrap();
        let error = Identity::load(data.path()).unwrap_err().to_string();
        assert!(error.contains("pikett-agent enroll"), "{error}");
        Identity::keep(data.path(), &enrolled()).unwrap();
        let identity = Identity::load(data.path()).unwrap();
        assert_eq!((identity.agent.as_str(), identity.key.expose()), ("web-1", "KEY"));
        for entry in fs::read_dir(folder(data.path())).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
        fs::write(folder(data.path()).join("spool.key"), "short").unwrap();
        assert!(matches!(Identity::load(data.path()), Err(IdentityError::Damaged { .. })));
    }

    #[tokio::test]
    async fn a_second_enrolment_and_bad_tokens_are_refused() {
        let data = tempfile::tempdir().unwrap();
        let error = enrol(data.path(), "https://c", "nonsense", "h").await.unwrap_err();
        assert!(error.to_string().contains("enrolment token is malformed"), "{error}");
        Identity::keep(data.path(), &enrolled()).unwrap();
        let error = enrol(data.path(), "https://c", "x", "h").await.unwrap_err();
        assert!(error.to_string().starts_with("this host is enrolled already as web-1"), "{error}");
        // A folder can be looked at and not read, as a file on a bad sector.
        let key = folder(data.path()).join("spool.key");
        fs::remove_file(&key).unwrap();
        fs::create_dir(&key).unwrap();
        let error = enrol(data.path(), "https://c", "x", "h").await.unwrap_err().to_string();
        assert!(error.starts_with("cannot use ") && error.contains("spool.key"), "{error}");
        let nowhere = data.path().join("file");
        fs::write(&nowhere, "").unwrap();
        assert!(matches!(Identity::load(&nowhere), Err(IdentityError::Io { .. })));
    }

    #[test]
    fn addresses() {
        let check = |url: &str, host: &str, port| {
            assert_eq!(address(url).unwrap(), (host.to_owned(), port), "{url}");
        };
        check("https://c.example:9000/", "c.example", 9000);
        check("c.example", "c.example", PORT);
        check("https://[::1]", "[::1]", PORT);
        check("[::1]:1", "[::1]", 1);
        for url in ["", "https://", "c:port", "https://a/b", "u@c", ":1x"] {
            assert!(address(url).is_err(), "{url}");
        }
    }

    #[test]
    fn each_missing_or_broken_file_is_named() {
        for (name, content, expected) in [
            (
                "about.json",
                None,
                "this host is not enrolled: run `pikett-agent enroll --collector URL --token T` (no @/about.json)",
            ),
            (
                "about.json",
                Some(&b"{"[..]),
                "@/about.json is damaged; remove the folder and enrol again",
            ),
            (
                "about.json",
                Some(b"{\"agent\":7,\"collectors\":[]}"),
                "@/about.json is damaged; remove the folder and enrol again",
            ),
            ("about.json", Some(b"\xff"), "cannot use @/about.json"),
            ("spool.key", None, "cannot use @/spool.key"),
            (
                "spool.key",
                Some(&[7; 33]),
                "@/spool.key is damaged; remove the folder and enrol again",
            ),
            ("spool.key", Some(b""), "@/spool.key is damaged; remove the folder and enrol again"),
            ("agent.key", None, "cannot use @/agent.key"),
            ("agent.pem", None, "cannot use @/agent.pem"),
            ("authority.pem", Some(b"\xff\xfe"), "cannot use @/authority.pem"),
        ] {
            let data = tempfile::tempdir().unwrap();
            Identity::keep(data.path(), &enrolled()).unwrap();
            let path = folder(data.path()).join(name);
            match content {
                None => fs::remove_file(&path).unwrap(),
                Some(bytes) => fs::write(&path, bytes).unwrap(),
            }
            let error = Identity::load(data.path()).unwrap_err().to_string();
            let place = folder(data.path()).display().to_string();
            assert_eq!(error.replace(&place, "@"), expected, "{name}");
        }
    }

    #[test]
    fn secrets_of_an_identity_cannot_be_printed() {
        let data = tempfile::tempdir().unwrap();
        Identity::keep(data.path(), &enrolled()).unwrap();
        let shown = format!("{:?}", Identity::load(data.path()).unwrap());
        assert!(!shown.contains("\"KEY\""), "{shown}");
        assert!(
            shown.contains("SpoolKey(..)") && shown.contains("MemoryKey(Derived(..))"),
            "{shown}"
        );
    }
}
