//! Files a replay writes, and what it measures of itself.

use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::Value;
use signature::RuleSet;

use super::direct::{ALIGNMENT, DirectFile};
use crate::sensor::eve::fields::Line;
use crate::sensor::report::Output;

/// Bytes of records written at once.
const ENOUGH: usize = 1 << 18;

/// A file of records, one JSON object a line.
#[derive(Debug)]
pub(super) struct RecordFile {
    path: PathBuf,
    file: DirectFile,
    /// Lines that are not written yet.
    lines: Line,
    alerts: u64,
    newest: i64,
    /// The first thing that went wrong; reported at the end.
    failed: Option<io::Error>,
}

impl RecordFile {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let (path, file) = (path.to_owned(), DirectFile::create(path)?);
        let lines = Line::with_capacity(ENOUGH + (1 << 16));
        Ok(Self { path, file, lines, alerts: 0, newest: 0, failed: None })
    }

    /// Alert records so far.
    pub(super) fn alerts(&self) -> u64 {
        self.alerts
    }

    /// Time of the newest record, microseconds since the epoch.
    pub(super) fn newest(&self) -> i64 {
        self.newest
    }

    pub(super) fn write(&mut self, record: &Value) -> io::Result<()> {
        self.flush()?;
        self.file.write_rest(format!("{record}\n").as_bytes())
    }

    /// Writes what makes whole blocks.
    fn write_blocks(&mut self) -> io::Result<()> {
        let written = self.file.write_blocks(self.lines.lines());
        // After an error there is no more to be written: it is reported in the end.
        self.lines.forget(*written.as_ref().unwrap_or(&usize::MAX), ALIGNMENT);
        written.map(drop)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.write_blocks();
        let done = done.and_then(|()| self.file.write_rest(self.lines.lines()));
        self.lines.forget(usize::MAX, ALIGNMENT);
        done
    }

    /// The error that writing records met, if any.
    pub(super) fn check(&mut self) -> io::Result<()> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.flush(),
        }
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.check()
    }
}

impl Output for RecordFile {
    type Record = Line;

    fn begin(&mut self) -> &mut Line {
        self.lines.again()
    }

    fn end(&mut self, ts: i64, kind: &'static str) {
        self.newest = self.newest.max(ts);
        self.alerts = self.alerts.saturating_add(u64::from(kind == "alert"));
        self.lines.finish();
        if self.lines.len() >= ENOUGH
            && let Err(error) = self.write_blocks()
        {
            self.failed.get_or_insert(error);
        }
    }
}

/// Several workers' files as one at `path`; a single one is there already.
pub(super) fn join(mut parts: Vec<RecordFile>, path: &Path) -> io::Result<RecordFile> {
    if parts.len() == 1
        && let Some(only) = parts.pop()
    {
        return Ok(only);
    }
    let mut whole = RecordFile::create(path)?;
    for mut part in parts {
        part.check()?;
        whole.newest = whole.newest.max(part.newest);
        whole.alerts = whole.alerts.saturating_add(part.alerts);
        whole.file.append(&mut File::open(&part.path)?)?;
        std::fs::remove_file(&part.path)?;
    }
    Ok(whole)
}

/// Time used by this process since a moment.
#[derive(Debug)]
pub(super) struct Usage {
    begin: std::time::Instant,
    user: f64,
}

impl Usage {
    #[expect(clippy::disallowed_methods, reason = "measures the run itself, never traffic")]
    pub(super) fn begin() -> Self {
        Self { begin: std::time::Instant::now(), user: user_seconds() }
    }

    /// Wall-clock seconds since the beginning.
    pub(super) fn seconds(&self) -> f64 {
        self.begin.elapsed().as_secs_f64()
    }

    /// CPU seconds in user mode since the beginning.
    pub(super) fn user_seconds(&self) -> f64 {
        user_seconds() - self.user
    }
}

fn user_seconds() -> f64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return 0.0 };
    let time = usage.user_time();
    let micros = time.tv_sec().saturating_mul(1_000_000).saturating_add(time.tv_usec());
    std::time::Duration::from_micros(micros.unsigned_abs()).as_secs_f64()
}

/// Highest memory use of this process so far, in bytes; 0 when the system does not tell.
pub(super) fn peak_rss_bytes() -> u64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return 0 };
    usage.max_rss().unsigned_abs().saturating_mul(1024)
}

/// Writes the data sets that rules want kept, under the names they give, into the folder of the run. Names that lead
/// elsewhere are refused.
///
/// # Errors
/// When a file cannot be written or may not be.
pub(super) fn save_datasets(
    rules: &RuleSet,
    tables: &signature::Tables,
    folder: &Path,
) -> anyhow::Result<()> {
    for (name, content) in rules.datasets_to_save(tables) {
        let plain = Path::new(name).components().all(|c| matches!(c, Component::Normal(_)));
        anyhow::ensure!(plain, "data set file {name} is outside of the output folder");
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, content)
            .with_context(|| format!("cannot write data set {}", path.display()))?;
    }
    Ok(())
}
