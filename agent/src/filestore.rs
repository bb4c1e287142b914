//! Files in transit that an agent keeps: sealed, under a quota, the oldest going first.
//!
//! Workers write them (`sensor/store.rs`) to `files/` in the data folder, each under the SHA-256 of its
//! content. A thread of its own makes room before the quota is met, so that workers have to refuse a file only
//! when more comes at once than that leaves.

mod seal;

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use service::Shutdown;

use anyhow::Context as _;
use clap::Args as ClapArgs;

pub(crate) use self::seal::{FileKey, SealedFile};
use crate::config::{Config, FilesConfig, KeepFiles};
use crate::identity::Identity;
use crate::sensor::store::{Options, Used};

/// Most files kept, whatever their size.
const MOST: usize = 100_000;
/// How often it is looked at whether there is room.
const EVERY: Duration = Duration::from_secs(2);
/// How soon it stops.
const STEP: Duration = Duration::from_millis(100);

/// Why a kept file cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    /// The name is none.
    #[error("{name:?} is no SHA-256: 64 hexadecimal digits")]
    Name {
        /// As given.
        name: String,
    },
    /// There is none of that name.
    #[error("no file {name} is kept in {}; `pikett-agent files` lists those that are", folder.display())]
    Unknown {
        /// As given.
        name: String,
        /// Where it would be.
        folder: PathBuf,
    },
    /// A file or folder cannot be used.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> FilesError {
    let path = path.to_owned();
    move |source| FilesError::Io { path, source }
}

/// A kept file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// SHA-256 of its content, hexadecimal.
    name: String,
    /// Bytes on disk.
    size: u64,
    /// When it was complete.
    at: SystemTime,
    path: PathBuf,
}

/// The folder of kept files.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    folder: PathBuf,
    key: FileKey,
}

fn is_name(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl Files {
    /// Those of an agent.
    pub(crate) fn new(data: &Path, key: FileKey) -> Self {
        Self { folder: data.join("files"), key }
    }

    /// All that are kept, the oldest first; at most [`MOST`] and those of a moment more.
    ///
    /// # Errors
    /// [`FilesError::Io`].
    pub(crate) fn list(&self) -> Result<Vec<Kept>, FilesError> {
        let mut all = Vec::new();
        let folders = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(all),
            folders => folders.map_err(failed(&self.folder))?,
        };
        let is_one = |entry: &fs::DirEntry| entry.file_name() != "tmp" && entry.path().is_dir();
        for folder in folders.flatten().filter(is_one) {
            let path = folder.path();
            for entry in fs::read_dir(&path).map_err(failed(&path))?.flatten() {
                let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
                // One that was removed meanwhile is none.
                let Ok(about) = entry.metadata() else { continue };
                if is_name(&name) && about.is_file() {
                    let at = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                    all.push(Kept { name, size: about.len(), at, path: entry.path() });
                }
            }
        }
        all.sort_unstable_by(|a, b| (a.at, &a.name).cmp(&(b.at, &b.name)));
        Ok(all)
    }

    /// Writes the content of a kept file to a new one, readable by its owner only: the number of bytes.
    ///
    /// # Errors
    /// [`FilesError`]; then there is no new file.
    pub(crate) fn export(&self, name: &str, to: &Path) -> Result<u64, FilesError> {
        let name = name.to_ascii_lowercase();
        if !is_name(&name) {
            return Err(FilesError::Name { name });
        }
        let path = self.folder.join(name.get(..2).unwrap_or_default()).join(&name);
        let sealed = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(FilesError::Unknown { name, folder: self.folder.clone() });
            }
            sealed => sealed.map_err(failed(&path))?,
        };
        let out = File::options().write(true).create_new(true).mode(0o600).open(to);
        let out = out.map_err(failed(to))?;
        seal::open(io::BufReader::new(sealed), &self.key, out).map_err(|error| {
            drop(fs::remove_file(to));
            failed(&path)(error)
        })
    }

    /// What workers are told: nothing to keep, or where and how.
    ///
    /// # Errors
    /// [`FilesError::Io`] when the folder cannot be used.
    pub(crate) fn options(&self, config: &FilesConfig) -> Result<Options, FilesError> {
        if config.keep == KeepFiles::None {
            return Ok(Options::default());
        }
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.folder).map_err(failed(&self.folder))?;
        // What was under way when the agent stopped.
        let left = self.folder.join("tmp");
        match fs::remove_dir_all(&left) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&left)(error));
            }
            _ => {}
        }
        let (used, all) = (Used::default(), self.list()?);
        used.set(all.iter().map(|kept| kept.size).sum());
        used.set_files(all.len());
        Ok(Options {
            enabled: true,
            all: config.keep == KeepFiles::All,
            per_file: config.per_file_megabytes.saturating_mul(1 << 20),
            quota: config.megabytes.saturating_mul(1 << 20),
            folder: self.folder.clone(),
            seal: Some(self.key.clone()),
            used,
            ..Options::default()
        })
    }

    /// Starts the thread that makes room.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn start(self, options: Options, shutdown: Shutdown) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("files".to_owned()).spawn(move || {
            while !shutdown.is_triggered() {
                if let Err(error) = self.make_room(&options, MOST) {
                    tracing::error!(%error, "no room for files in transit can be made");
                }
                let mut waited = Duration::ZERO;
                while waited < EVERY && !shutdown.is_triggered() {
                    std::thread::sleep(STEP);
                    waited = waited.saturating_add(STEP);
                }
            }
        })
    }

    /// Removes the oldest when nine tenths of the quota, or of the most files, are used: until it is eight tenths.
    fn make_room(&self, options: &Options, most: usize) -> Result<(), FilesError> {
        let tenths_of_quota = |tenths| options.quota / 10 * tenths;
        let tenths_of_files = |tenths| most * tenths / 10;
        if options.used.get() <= tenths_of_quota(9) && options.used.files() <= tenths_of_files(9) {
            return Ok(());
        }
        let all = self.list()?;
        let (mut bytes, mut files) = (all.iter().map(|kept| kept.size).sum::<u64>(), all.len());
        let mut removed = 0_u64;
        for kept in &all {
            if bytes <= tenths_of_quota(8) && files <= tenths_of_files(8) {
                break;
            }
            match fs::remove_file(&kept.path) {
                // Somebody else has removed it: there is room.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed(&kept.path)(error));
                }
                _ => {}
            }
            bytes = bytes.saturating_sub(kept.size);
            files = files.saturating_sub(1);
            removed = removed.saturating_add(1);
        }
        options.used.set(bytes);
        options.used.set_files(files);
        tracing::info!(removed, bytes, files, "the oldest files in transit made room");
        Ok(())
    }
}

/// `pikett-agent files`.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// Configuration file of the agent.
    #[arg(long)]
    config: PathBuf,
    /// SHA-256 of a file to be written out; all are listed when absent.
    #[arg(long, requires = "to", value_name = "SHA256")]
    export: Option<String>,
    /// Where to; a new file.
    #[arg(long, requires = "export")]
    to: Option<PathBuf>,
}

/// Lists the kept files, the oldest first, or writes one out: what is to be told.
///
/// # Errors
/// When the configuration, the identity or a file cannot be read, or there is no such file.
pub fn run(args: &Args) -> anyhow::Result<String> {
    let config: Config = service::config::load(&args.config)?;
    let identity = Identity::load(&config.data)?;
    let files = Files::new(&config.data, identity.file_key);
    if let (Some(name), Some(to)) = (&args.export, &args.to) {
        let size = files.export(name, to)?;
        return Ok(format!("{size} bytes written to {}; they may be hostile", to.display()));
    }
    let mut lines = String::from("complete                 bytes  SHA-256");
    for Kept { name, size, at, .. } in files.list()? {
        let at = jiff::Timestamp::try_from(at).context("a file has no usable time")?;
        // Writing to a string cannot fail.
        write!(lines, "\n{at:.0}  {size:>12}  {name}").unwrap_or_default();
    }
    Ok(lines)
}

#[cfg(test)]
mod tests;
