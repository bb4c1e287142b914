//! Disks that refuse: reads that fail at the start and while the daemons run, a file system that is read-only.
//! Nothing that was acknowledged is lost, nothing is made anew or put aside because it could not be read, people are
//! told which file and what to do, and all is well when the disk is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::disk::Disk;
use crate::system::{Options, System};

/// Reading of files.
const READS: &str = "read,pread64,readv,preadv";
/// Whatever changes something on a disk but `write`, which speaks to people and sockets too.
const CHANGES: &str = "fdatasync,fsync,pwrite64,pwritev,rename,unlink,unlinkat,mkdir,ftruncate";

/// Whether `strace` is here and may trace.
fn traces() -> bool {
    let mut command = Command::new("strace");
    command.args(["-qq", "-o", "/dev/null", "true"]).stderr(Stdio::null());
    let traces = command.status().is_ok_and(|status| status.success());
    if !traces {
        println!("skipped: strace is not installed or may not trace here");
    }
    traces
}

fn strace(paths: &[PathBuf], fault: &str) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={fault}")]);
    paths.iter().for_each(|path| {
        command.arg("-P").arg(path);
    });
    command
}

/// A fault of the disk under a process that runs, until it is dropped.
struct Fault(Child);

impl Fault {
    fn begin(system: &System, name: &str, paths: &[PathBuf], fault: &str) -> Self {
        let pid = system.pid(name);
        let child = strace(paths, fault).arg("-p").arg(pid.to_string()).spawn().unwrap();
        let traced = || {
            let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
            threads.flatten().all(|thread| {
                let status = std::fs::read_to_string(thread.path().join("status"));
                status.is_ok_and(|status| !status.contains("TracerPid:\t0\n"))
            })
        };
        system.wait("the process is traced", |_| traced());
        Self(child)
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        let _gone = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _waited = self.0.wait();
    }
}

/// Starts a daemon on a disk with a fault and waits until it has given up.
fn refused(system: &System, name: &str, path: &Path, fault: &str) -> Output {
    let (program, config) = system.program(name);
    let mut command = strace(&[path.to_owned()], fault);
    // Not for ever, should it start after all.
    command.args(["timeout", "60"]).arg(program).args(["run", "--config"]).arg(config);
    command.output().unwrap()
}

/// Every file below, with what it holds.
fn content(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            content(&path, found);
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
}

fn snapshot(system: &System) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    ["a", "c"].iter().for_each(|folder| content(&system.at(folder), &mut found));
    found
}

/// The newest file of a folder whose name ends so.
fn newest(folder: &Path, ending: &str) -> PathBuf {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.to_str().unwrap().ends_with(ending)).max().unwrap()
}

/// Bytes in the agent's spool.
fn spooled(system: &System) -> u64 {
    let files = std::fs::read_dir(system.at("a/spool")).unwrap().flatten();
    files.map(|file| file.metadata().map_or(0, |meta| meta.len())).sum()
}

#[test]
fn what_cannot_be_read_at_the_start_is_told_and_left_as_it_is() {
    if !traces() {
        return;
    }
    let Some(mut system) = System::start(Options::default()) else { return };
    system.write(300);
    system.settle();
    // What the agent takes while the collector is away stays in its spool.
    system.stop("collector");
    system.write_bulky(300);
    system.wait("it is spooled", |system| spooled(system) > 300 << 8);
    system.kill("agent");
    let files = [
        ("collector", system.at("c/state.db")),
        ("collector", system.at("c/vault/keyring")),
        ("collector", system.at("c/vault/keyring.copy")),
        ("collector", system.at("c/vault/checkpoint")),
        ("collector", system.at("c/keys/master.key")),
        ("collector", system.at("c/events/log/dedup.state")),
        ("collector", newest(&system.at("c/events/log"), ".log")),
        ("agent", system.at("a/identity/spool.key")),
        ("agent", system.at("a/identity/about.json")),
        ("agent", system.at("a/positions.json")),
        ("agent", newest(&system.at("a/spool"), ".spool")),
    ];
    let before = snapshot(&system);
    for (index, (name, path)) in files.iter().enumerate() {
        let calls = if index % 3 == 0 { "openat" } else { READS };
        let output = refused(&system, name, path, &format!("{calls}:error=EIO"));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{name} {}: {told}", path.display());
        assert!(told.contains(path.to_str().unwrap()), "{}: {told}", path.display());
        assert!(told.contains("the disk fails"), "{}: {told}", path.display());
        let after = snapshot(&system);
        let changed = |path: &&PathBuf| before.get(*path) != after.get(*path);
        let changed: Vec<_> = before.keys().chain(after.keys()).filter(changed).collect();
        assert!(changed.is_empty(), "{}: {changed:?}", path.display());
    }
    system.run("collector");
    system.run("agent");
    system.settle();
}

#[test]
fn a_spool_that_cannot_be_read_for_a_while_is_shipped_afterwards() {
    if !traces() {
        return;
    }
    let options = Options { cable: true, ..Options::default() };
    let Some(mut system) = System::start(options) else { return };
    system.write(100);
    system.settle();
    system.proxy.as_ref().unwrap().cut();
    system.write_bulky(2_000);
    system.wait("it is spooled", |system| spooled(system) > 2_000 << 8);
    let spool = newest(&system.at("a/spool"), ".spool");
    let fault = format!("{READS},openat:error=EIO");
    let fault = Fault::begin(&system, "agent", std::slice::from_ref(&spool), &fault);
    system.proxy.as_ref().unwrap().mend();
    let told = format!("cannot read {}", spool.display());
    system.wait("it is told", |system| system.log("agent").contains(&told));
    assert!(spool.exists() && system.lives("agent"));
    drop(fault);
    system.settle();
    let agent = system.agent();
    let books = agent["agent"]["books"].as_array().unwrap();
    assert!(
        books.iter().all(|book| book["skipped"].as_object().is_none_or(serde_json::Map::is_empty))
    );
}

#[test]
fn a_collector_whose_files_cannot_be_read_for_a_while_loses_nothing() {
    if !traces() {
        return;
    }
    let Some(mut system) = System::start(Options::default()) else { return };
    system.write(300);
    system.settle();
    let data = system.at("c");
    let at = |name: &str| data.join(name);
    let state = [at("state.db"), at("state.db-wal"), at("state.db-shm")];
    let keys = [at("vault/keyring"), at("vault/keyring.copy"), at("keys/master.key")];
    let (fault, part) = (format!("{READS},openat:error=EIO"), 1_000);
    for paths in [&state[..], &keys[..]] {
        let fault = Fault::begin(&system, "collector", paths, &fault);
        system.write(part);
        // Taken or waiting at the agent: both are well, as long as searches are answered.
        std::thread::sleep(Duration::from_millis(500));
        assert!(system.count() >= Some(300), "searches go on");
        drop(fault);
        system.settle();
    }
    assert!(system.lives("collector"));
    assert!(!at("events/quarantine").exists(), "nothing is put aside");
    // What was told stands on the disk, and the state can be opened again.
    system.stop("collector");
    system.run("collector");
    system.settle();
}

#[test]
fn a_disk_that_becomes_read_only_is_told_and_nothing_acknowledged_is_lost() {
    if !traces() {
        return;
    }
    let Some(mut system) = System::start(Options::default()) else { return };
    system.write(300);
    system.settle();
    let fault = Fault::begin(&system, "collector", &[], &format!("{CHANGES}:error=EROFS"));
    system.write(500);
    system.wait("it is told", |system| system.log("collector").contains("Read-only file system"));
    assert!(system.count() >= Some(300), "searches go on");
    drop(fault);
    system.settle();
    assert!(system.lives("collector") && system.lives("agent"));
}

#[test]
fn a_data_folder_that_is_mounted_read_only_is_refused_by_name_and_works_again_afterwards() {
    let Some(disk) = Disk::mount(256) else { return };
    let options = Options { data: Some(disk.path().join("c")), ..Options::default() };
    let Some(mut system) = System::start(options) else { return };
    system.write(300);
    system.settle();
    system.stop("collector");
    disk.remount("ro");
    let (program, config) = system.program("collector");
    let mut command = Command::new("timeout");
    let output = command.arg("60").arg(program).args(["run", "--config"]).arg(config).output();
    let output = output.unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains(disk.path().to_str().unwrap()), "{told}");
    assert!(told.contains("the file system is read-only"), "{told}");
    system.write(300);
    disk.remount("rw");
    system.run("collector");
    system.settle();
}
