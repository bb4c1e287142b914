//! Says when there may be something new: inotify on the folders of followed files.
//!
//! Only a doorbell: what has changed is found out by looking. Where inotify cannot be had (a network
//! file system, no watches left) the caller looks from time to time anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// Most rounds of reading events at a time; what is left rings again.
const ROUNDS: usize = 64;

/// What the bell said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rung {
    /// Paths written to.
    pub(super) written: BTreeSet<PathBuf>,
    /// Names have come or gone.
    pub(super) names: bool,
    /// Something was missed: everything may have changed.
    pub(super) all: bool,
}

/// Watches folders.
#[derive(Debug)]
pub(super) struct Bell {
    inotify: Option<Inotify>,
    folders: BTreeMap<WatchDescriptor, PathBuf>,
    refused: BTreeSet<PathBuf>,
}

impl Bell {
    pub(super) fn new() -> Self {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC);
        if let Err(error) = &inotify {
            tracing::warn!(%error, "no inotify: files are looked at from time to time");
        }
        Self { inotify: inotify.ok(), folders: BTreeMap::new(), refused: BTreeSet::new() }
    }

    /// Whether every folder it was told of is watched.
    pub(super) fn is_complete(&self) -> bool {
        self.inotify.is_some() && self.refused.is_empty()
    }

    /// Watches these folders from now on, and no others.
    pub(super) fn watch(&mut self, wanted: &BTreeSet<PathBuf>) {
        let Some(inotify) = &self.inotify else { return };
        let gone: Vec<WatchDescriptor> = self
            .folders
            .iter()
            .filter_map(|(watch, folder)| (!wanted.contains(folder)).then_some(*watch))
            .collect();
        for watch in gone {
            self.folders.remove(&watch);
            // It may have gone with its folder.
            let _gone = inotify.rm_watch(watch);
        }
        let known: BTreeSet<PathBuf> = self.folders.values().cloned().collect();
        let flags = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        let mut refused = BTreeSet::new();
        for folder in wanted.difference(&known) {
            match inotify.add_watch(folder, flags) {
                // One folder under two names has one watch.
                Ok(watch) => {
                    if let Some(other) = self.folders.insert(watch, folder.clone())
                        && other != *folder
                    {
                        refused.insert(other);
                    }
                }
                Err(error) => {
                    if !self.refused.contains(folder) {
                        let folder = folder.display();
                        tracing::warn!(%folder, %error, "folder cannot be watched");
                    }
                    refused.insert(folder.clone());
                }
            }
        }
        self.refused = refused;
    }

    /// Waits until something happens, at most so long.
    pub(super) fn wait(&mut self, timeout: Duration) -> Rung {
        let Some(inotify) = &self.inotify else {
            std::thread::sleep(timeout);
            return Rung { all: true, ..Rung::default() };
        };
        let milliseconds = u16::try_from(timeout.as_millis()).unwrap_or(u16::MAX);
        let mut ends = [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ends, PollTimeout::from(milliseconds)) {
            Ok(0) | Err(_) => Rung::default(),
            Ok(_) => self.take(),
        }
    }

    fn take(&mut self) -> Rung {
        let mut rung = Rung::default();
        let Some(inotify) = &self.inotify else { return rung };
        for _ in 0..ROUNDS {
            let Ok(events) = inotify.read_events() else { break };
            for event in events {
                if event.mask.intersects(AddWatchFlags::IN_Q_OVERFLOW) {
                    rung.all = true;
                }
                if event.mask.intersects(AddWatchFlags::IN_IGNORED) {
                    // The folder itself is gone, unless its watch was given up here.
                    rung.names |= self.folders.remove(&event.wd).is_some();
                    continue;
                }
                rung.names |= event.mask.intersects(!AddWatchFlags::IN_MODIFY);
                if let (Some(folder), Some(name)) = (self.folders.get(&event.wd), event.name) {
                    rung.written.insert(folder.join(name));
                }
            }
        }
        rung
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rings_for_writes_and_names() {
        let folder = tempfile::tempdir().unwrap();
        let (here, file) = (folder.path().to_owned(), folder.path().join("a.log"));
        std::fs::write(&file, "x").unwrap();
        let mut bell = Bell::new();
        bell.watch(&BTreeSet::from([here.clone()]));
        assert!(bell.is_complete());
        assert_eq!(bell.wait(Duration::ZERO), Rung::default());
        std::fs::write(&file, "y").unwrap();
        let rung = bell.wait(Duration::from_secs(5));
        assert!(rung.written.contains(&file) && !rung.names && !rung.all, "{rung:?}");
        std::fs::rename(&file, here.join("b.log")).unwrap();
        assert!(bell.wait(Duration::from_secs(5)).names);
        let missing = here.join("missing");
        bell.watch(&BTreeSet::from([missing.clone()]));
        assert!(!bell.is_complete(), "a folder is not there");
        std::fs::create_dir(&missing).unwrap();
        bell.watch(&BTreeSet::from([missing]));
        assert!(bell.is_complete());
        assert_eq!(bell.wait(Duration::ZERO), Rung::default(), "the other folder is not watched");
    }
}
