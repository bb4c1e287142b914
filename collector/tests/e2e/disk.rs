//! The collector's disk: full, and damaged.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sink::Sink;
use crate::system::{Options, System};

/// A small file system of our own, gone when dropped.
pub(crate) struct Disk(tempfile::TempDir);

impl Disk {
    /// Mounts it; `None`, said aloud, where that is not permitted.
    pub(crate) fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &size, "pikett-test"]).arg(folder.path());
        if command.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        println!("skipped: a file system of our own cannot be mounted here (needs root)");
        None
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Mounts it again, `ro` or `rw`; nothing may be open for writing.
    pub(crate) fn remount(&self, how: &str) {
        let mut command = Command::new("mount");
        command.args(["-o", &format!("remount,{how}")]).arg(self.path());
        assert!(command.status().unwrap().success(), "remount,{how}");
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.path().join("ballast")).unwrap();
        for size in [1 << 20, 1 << 12] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.0.path().join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_told_searches_go_on_and_nothing_acknowledged_is_lost() {
    let Some(disk) = Disk::mount(96) else { return };
    let sink = Sink::start();
    let data = Some(disk.0.path().join("c"));
    let collector = format!("[retention]\nkeep_free_megabytes = 8\n{}", sink.config());
    let options = Options { data, collector, ..Options::default() };
    let Some(mut system) = System::start(options) else { return };
    system.write(500);
    system.settle();
    disk.fill();
    system.wait("it refuses", |system| system.log("agent").contains("disk is full"));
    system.write(2_000);
    system.wait("somebody is told", |_| {
        sink.mails().iter().any(|mail| mail.to_lowercase().contains("disk"))
    });
    assert!(system.count() >= Some(500), "searches go on");
    assert!(system.count() < Some(2_500), "nothing more is taken");
    disk.free();
    system.settle();
    assert!(system.lives("collector") && system.lives("agent"));
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn a_damaged_index_is_made_again_from_the_log_or_told_with_its_place() {
    let Some(mut system) = System::start(Options::default()) else { return };
    system.write(3_000);
    system.settle();
    system.stop("collector");
    // Every data file of the index gets one wrong byte; the durable log is whole.
    let mut found = Vec::new();
    files(&system.at("c"), &mut found);
    found.retain(|path| {
        let inside = path.components().any(|part| part.as_os_str() == "index");
        inside && path.metadata().unwrap().len() > 256
    });
    assert!(!found.is_empty(), "no index files");
    for path in &found {
        let mut content = std::fs::read(path).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 0xff;
        std::fs::write(path, content).unwrap();
    }
    system.run("collector");
    system.wait("the damage alarms", |system| {
        system.count().is_some()
            && system.alerts().iter().any(|alert| alert.to_string().contains("store-problem"))
    });
    system.write(100);
    system.settle();
}
