//! The store under a process that dies, and under a disk that fails, at any system call that changes
//! something on disk.
//!
//! The test starts itself again as the process that appends, under `strace`, which kills it at the
//! n-th sync, write, rename or removal, or lets that call fail. Afterwards the store is opened here,
//! everything that was not acknowledged is sent again, as an agent does, and each event is found
//! exactly once. There are two classes of data, parts of days, a folder to which days that are over move, and
//! pauses in which what is quiet is merged. `PIKETT_CRASH_ROUNDS` sets the number of rounds (8),
//! `PIKETT_CRASH_SEED` where the choice of calls begins.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod process;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use pikett_collector::search::{Cancel, SearchRequest};
use pikett_collector::store::{AppendOutcome, Embedded, Store as _};

use process::{BATCHES, EACH, append, open};

/// System calls that change what is on disk, and about how many of each a run makes.
const CALLS: [(&str, u64); 9] = [
    ("fdatasync", 430),
    ("fsync", 430),
    ("rename", 265),
    ("unlink", 190),
    ("unlinkat", 95),
    ("pwrite64", 165),
    ("write", 1_150),
    ("openat", 1_350),
    ("mkdir", 18),
];

/// What happens at the call.
const FAULTS: [&str; 4] = ["signal=KILL", "error=EIO", "error=ENOSPC", "error=EROFS"];

/// A small generator of numbers (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)) % most
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::try_from(self.below(list.len() as u64)).unwrap()]
    }
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

/// Runs the appending process with one fault; gives what it said.
fn run(folder: &Path, fault: &str) -> String {
    start("process::appends", ("PIKETT_CRASH_FOLDER", folder), fault)
}

/// Runs a part of this test in a process of its own with one fault; gives what it said.
fn start(part: &str, (setting, folder): (&str, &Path), fault: &str) -> String {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", fault]);
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", part, "--nocapture", "--test-threads=1"]);
    command.env(setting, folder);
    let done = command.stderr(Stdio::piped()).output().unwrap();
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Batches that were acknowledged.
fn acknowledged(said: &str) -> Vec<u64> {
    // The first one stands behind what the test runner says.
    let number = |line: &str| line.split_once("acknowledged ")?.1.parse().ok();
    said.lines().filter_map(number).collect()
}

/// Every event of the store by its sequence, and how often it is found.
fn found(store: &Embedded) -> BTreeMap<u64, u32> {
    let mut out = BTreeMap::new();
    let mut request = SearchRequest { limit: 1_000, ..SearchRequest::default() };
    loop {
        let response = store.search(&request, &Cancel::new()).unwrap();
        assert!(response.failures.is_empty(), "{:?}", response.failures);
        for hit in &response.hits {
            let seq = hit.id.rsplit('/').next().unwrap().parse().unwrap();
            *out.entry(seq).or_default() += 1;
        }
        match response.next {
            Some(cursor) => request.after = Some(cursor),
            None => return out,
        }
    }
}

fn round(random: &mut Random) -> String {
    let (call, most) = random.of(&CALLS);
    let (fault, when) = (random.of(&FAULTS), random.below(most) + 1);
    // A bad disk goes on to fail for a while; a process dies once.
    let until = if fault.starts_with("error") && random.below(2) == 0 { "+" } else { "" };
    // Opening for reading must work for the process to start at all.
    let when = if call == "openat" { when + 150 } else { when };
    let spec = format!("inject={call}:{fault}:when={when}{until}");
    let folder = tempfile::tempdir().unwrap();
    let said = run(folder.path(), &spec);
    let acknowledged = acknowledged(&said);
    let store = open(folder.path());
    let store = store.unwrap_or_else(|error| panic!("{spec}: {error:#}\n{said}"));
    for batch in 1..=BATCHES {
        let outcome = append(&store, batch).unwrap();
        let known = matches!(outcome, AppendOutcome::Duplicate { .. });
        assert!(known || !acknowledged.contains(&batch), "{spec}: batch {batch} was acknowledged");
    }
    store.flush().unwrap();
    let found = found(&store);
    // What retention took is either there whole or gone whole; it was asked for once.
    let dropped = process::dropped();
    // A redaction is not begun, or carried out whole, also when it was cut short.
    let redacted = process::redacted();
    let left = found.keys().filter(|seq| redacted.contains(seq)).count() as u64;
    let done = said.contains("redaction Ok");
    assert!(left == 0 || (left == EACH && !done), "{spec}: {left} are left\n{said}");
    for seq in (1..=BATCHES * EACH).filter(|seq| left > 0 || !redacted.contains(seq)) {
        let times = found.get(&seq).copied().unwrap_or(0);
        let allowed = if dropped.contains(&seq) { 0..=1 } else { 1..=1 };
        assert!(allowed.contains(&times), "{spec}: event {seq} is found {times} times\n{said}");
    }
    store.close();
    if fault.starts_with("error") {
        // A process whose output fails too cannot tell; every other one ends by itself.
        let ended = said.contains("done") || said.contains("refused to open");
        assert!(ended || call == "write", "{spec}: it did not end\n{said}");
        let told = said.contains("refused") || acknowledged.len() as u64 == BATCHES;
        assert!(told || !ended, "{spec}: an error was not told\n{said}");
    }
    format!("{spec}: {} acknowledged", acknowledged.len())
}

/// Calls that read, and about how many of each looking for everything takes.
const READS: [(&str, u64); 3] = [("pread64", 700), ("read", 120), ("openat", 260)];

/// One round of looking while reading fails: whatever is not found is told, nothing is moved or given up, and
/// all is found when the disk reads again.
fn reading(random: &mut Random, whole: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    copy(whole, folder.path());
    let (call, most) = random.of(&READS);
    let when = random.below(most) + 1;
    let when = if call == "openat" { when + 150 } else { when };
    let until = ["", "+", "..+3"][usize::try_from(random.below(3)).unwrap()];
    let until = if until == "..+3" { format!("..{}", when + 20) } else { until.to_owned() };
    let spec = format!("inject={call}:error=EIO:when={when}{until}");
    let said = start("process::reads", ("PIKETT_CRASH_READS", folder.path()), &spec);
    // The test runner itself may fail to start, or to read its own files.
    let all = BATCHES * EACH;
    let found = said.lines().filter_map(|line| line.strip_prefix("found ")?.split_once(" of "));
    for (total, query) in found {
        let total: u64 = total.parse().unwrap();
        let whole = query != "*" || total >= all;
        assert!(
            whole || said.contains("told: "),
            "{spec}: {total} of {all} and nothing told\n{said}"
        );
    }
    assert!(
        !folder.path().join("store/quarantine").exists(),
        "{spec}: something was moved\n{said}"
    );
    let store = open(folder.path()).unwrap_or_else(|error| panic!("{spec}: {error:#}\n{said}"));
    store.flush().unwrap();
    let found = self::found(&store);
    for seq in 1..=all {
        assert_eq!(found.get(&seq), Some(&1), "{spec}: event {seq}\n{said}");
    }
    let problems = store.figures().problems;
    assert!(problems.is_empty(), "{spec}: {problems:?}\n{said}");
    store.close();
    let told = said.matches("told: ").count();
    format!("{spec}: {told} told")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let (path, item) = (item.as_ref().unwrap().path(), item.as_ref().unwrap());
        let target = to.join(item.file_name());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, target).unwrap();
        }
    }
}

#[test]
fn a_disk_that_does_not_read_for_a_while_loses_nothing() {
    let probe = tempfile::tempdir().unwrap();
    process::fill(probe.path());
    let tried = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    let part = ("PIKETT_CRASH_READS", probe.path());
    if tried.is_err() || !start("process::reads", part, "trace=none").contains("done") {
        println!("skipped: strace is not installed or may not trace here");
        return;
    }
    let whole = tempfile::tempdir().unwrap();
    process::fill(whole.path());
    let mut random = Random(setting("PIKETT_CRASH_SEED", 1));
    for _ in 0..setting("PIKETT_CRASH_ROUNDS", 8) {
        println!("{}", reading(&mut random, whole.path()));
    }
}

#[test]
fn acknowledged_events_are_found_once_whatever_call_is_the_last_or_fails() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        println!("skipped: strace is not installed");
        return;
    }
    let probe = tempfile::tempdir().unwrap();
    if acknowledged(&run(probe.path(), "trace=none")).len() as u64 != BATCHES {
        println!("skipped: strace may not trace here");
        return;
    }
    let mut random = Random(setting("PIKETT_CRASH_SEED", 1));
    for _ in 0..setting("PIKETT_CRASH_ROUNDS", 8) {
        println!("{}", round(&mut random));
    }
}
