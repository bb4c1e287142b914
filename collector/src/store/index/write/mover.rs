//! Moves partitions whose day is over to the warm folder: one thread, one partition at a time.
//!
//! The owner of writing closes a partition first, so that nothing changes it any more; then it is copied and every page of
//! the copy is opened and held against the commit; then the owner puts the copy in its place
//! ([`crate::store::index::partition`]). Whatever fails is told, and tried again at the next look. Not here: which partitions
//! ([`crate::store::retention::movable`]).

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

use super::handle::{Asker, Command, Shared};
use crate::room;
use crate::store::index::partition::{MOVING, Partition, PartitionKey};
use crate::store::index::verify::{self, Looked};
use crate::store::log::segment::sync_directory;
use crate::store::retention::{HotPolicy, movable};
use crate::store::{Now, Problem, StoreError};
use crate::vault::Head;

/// Bytes copied at once.
const WINDOW: usize = 1 << 20;

/// Where and when partitions are moved.
#[derive(Clone, Debug)]
pub struct Warm {
    /// The folder they are moved to.
    pub folder: PathBuf,
    /// What may stay.
    pub hot: HotPolicy,
    /// Time between two looks.
    pub every: Duration,
}

/// The thread; dropping it ends it, in the middle of a copy if need be.
#[derive(Debug)]
pub struct Mover {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Moving {
    warm: Warm,
    shared: Shared,
    owner: Asker,
    now: Now,
    stopped: Receiver<()>,
    /// What failed at the last look, told once.
    told: Option<String>,
}

impl Mover {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(crate) fn start(
        warm: Warm,
        shared: Shared,
        owner: Asker,
        now: Now,
    ) -> Result<Self, StoreError> {
        let (stop, stopped) = bounded(0);
        let mut moving = Moving { warm, shared, owner, now, stopped, told: None };
        let thread = std::thread::Builder::new()
            .name("index-mover".to_owned())
            .spawn(move || moving.run())
            .map_err(|source| StoreError::io("start a thread", "index".as_ref(), source))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that moves partitions panicked");
        }
    }
}

impl Moving {
    fn run(&mut self) {
        while self.stopped.recv_timeout(self.warm.every) == Err(RecvTimeoutError::Timeout) {
            self.look();
        }
    }

    fn is_over(&self) -> bool {
        self.stopped.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Moves what is to be moved now.
    fn look(&mut self) {
        if self.shared.partitions.is_away() {
            return;
        }
        let hot = self.shared.partitions.hot();
        for key in movable(&hot, &self.warm.hot, (self.now)()) {
            let moved = self.shift(key);
            if self.is_over() {
                return;
            }
            match moved {
                Ok(true) => self.told = None,
                Ok(false) => {}
                Err(error) => return self.tell(key, &error),
            }
            self.shared
                .counters
                .moved
                .fetch_add(u64::from(matches!(moved, Ok(true))), Ordering::Relaxed);
        }
    }

    fn tell(&mut self, key: PartitionKey, error: &StoreError) {
        self.shared.counters.not_moved.fetch_add(1, Ordering::Relaxed);
        let what = format!("partition {key} was not moved: {}", service::causes(error));
        if self.told.as_ref() != Some(&what) {
            self.shared.problems.push(Problem {
                path: self.warm.folder.display().to_string(),
                offset: 0,
                what: what.clone(),
                advice: "it stays where it is and is searched there; it is tried again".to_owned(),
            });
        }
        self.told = Some(what);
    }

    /// Moves a partition; false when it has changed meanwhile or the thread is to end.
    fn shift(&self, key: PartitionKey) -> Result<bool, StoreError> {
        self.owner.ask(|reply| Command::Close(key, reply))??;
        let partitions = &self.shared.partitions;
        let Some(partition) = partitions.get(key) else { return Ok(false) };
        let Some(warm) = partitions.make_warm()? else { return Ok(false) };
        let (bytes, free) = (partition.bytes(), self.free(warm)?);
        if free < bytes {
            let source = io::Error::new(
                io::ErrorKind::StorageFull,
                format!(
                    "{} MiB are wanted, {} MiB are left above what is kept free",
                    bytes >> 20,
                    free >> 20
                ),
            );
            return Err(StoreError::io("copy to", warm, source));
        }
        let target = warm.join(format!("{MOVING}{key}"));
        let copied = self.copy(&partition, &target);
        match copied {
            Ok(Some(head)) => self.owner.ask(|reply| Command::Moved(key, head, reply))?,
            Ok(None) => {
                drop(std::fs::remove_dir_all(&target));
                Ok(false)
            }
            Err(error) => {
                drop(std::fs::remove_dir_all(&target));
                // Retention has taken it meanwhile: there is nothing to move.
                if partitions.get(key).is_none() { Ok(false) } else { Err(error) }
            }
        }
    }

    /// Bytes free in the warm folder above what is kept free.
    fn free(&self, warm: &Path) -> Result<u64, StoreError> {
        room::above(warm, None).map_err(|source| StoreError::io("measure", warm, source))
    }

    /// Copies a partition's files and opens each page of the copy; gives how far it has come. `None` when the thread
    /// is to end.
    fn copy(&self, partition: &Partition, target: &Path) -> Result<Option<Head>, StoreError> {
        let failed = |source| StoreError::io("copy", &partition.path, source);
        match std::fs::remove_dir_all(target) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        std::fs::create_dir_all(target).map_err(failed)?;
        for item in std::fs::read_dir(&partition.path).map_err(failed)? {
            let item = item.map_err(failed)?;
            let name = item.file_name();
            if name.to_string_lossy().ends_with(".new") {
                continue;
            }
            if !self.copy_file(&item.path(), &target.join(name)).map_err(failed)? {
                return Ok(None);
            }
        }
        sync_directory(target)?;
        let directory =
            self.shared.partitions.directory_at(partition.key, target).map_err(failed)?;
        let mut found = Looked::default();
        let head = verify::partition(target, &directory, &mut found, &mut |_| {});
        match (head, found.findings.first()) {
            (Some(head), None) => Ok((!self.is_over()).then_some(head)),
            (_, finding) => {
                let what = finding.map_or("its list of segments does not open", |one| &one.what);
                Err(failed(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("the copy is damaged: {what}"),
                )))
            }
        }
    }

    /// Copies a file durably; false when the thread is to end.
    fn copy_file(&self, from: &Path, to: &Path) -> io::Result<bool> {
        let (mut from, mut to) = (File::open(from)?, File::create(to)?);
        let mut window = vec![0; WINDOW];
        loop {
            let count = from.read(&mut window)?;
            if count == 0 {
                to.sync_all()?;
                return Ok(true);
            }
            if self.is_over() {
                return Ok(false);
            }
            to.write_all(window.get(..count).unwrap_or_default())?;
        }
    }
}
