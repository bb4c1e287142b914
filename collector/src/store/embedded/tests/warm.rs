//! The warm folder: what is over moves there and is found there, whatever is killed, full or not mounted.

use super::*;
use crate::store::index::PartitionKey;
use crate::store::index::mover::Warm;
use crate::store::index::partition::{MARK, MOVING};
use crate::store::retention::HotPolicy;

struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn warm(&self) -> PathBuf {
        self.folder.path().join("warm")
    }

    /// Opens the store; what is over moves soon, or never.
    fn open(&self, moves: bool) -> Embedded {
        let hot = HotPolicy { max_bytes: None, days: Some(if moves { 0 } else { 9_999 }) };
        let warm = Warm { folder: self.warm(), hot, every: Duration::from_millis(5) };
        std::fs::create_dir_all(self.data()).unwrap();
        Embedded::open(Config { warm: Some(warm), ..config(&self.data()) }).unwrap()
    }

    /// The names in the hot folder and in the warm one.
    fn names(&self) -> (Vec<String>, Vec<String>) {
        let list = |folder: PathBuf| -> Vec<String> {
            let Ok(items) = std::fs::read_dir(folder) else { return Vec::new() };
            let names = items.map(|item| item.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = names.filter(|name| name != MARK).collect();
            names.sort();
            names
        };
        (list(self.data().join("index")), list(self.warm()))
    }
}

/// One event a day for some days back.
fn days(first: u64, count: u64) -> Vec<Document> {
    let event = |seq: u64| {
        let age = i64::try_from(seq - first).unwrap() * 86_400;
        let time = now().plus_seconds(-age).to_string();
        document(&source("a"), seq, &time, json!({"n": seq}))
    };
    (first..first + count).map(event).collect()
}

/// Waits, without end, until something holds: the test itself is what ends it.
pub(super) fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        std::thread::yield_now();
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn what_is_over_moves_and_is_found_dropped_and_written_beside() {
    let site = Site::new();
    let store = site.open(true);
    append(&store, &source("a"), days(1, 4));
    store.flush().unwrap();
    until(|| store.figures().warm.moved == 3);
    let (hot, warm) = site.names();
    assert_eq!(hot, ["2026-11-22"]);
    assert_eq!(warm, ["2026-11-19", "2026-11-20", "2026-11-21"]);
    assert_eq!(set(&store, "*").len(), 4);
    let figures = store.figures();
    assert_eq!((figures.warm.partitions, figures.warm.failed, figures.warm.missing), (3, 0, 0));
    assert!(figures.warm.bytes > 0 && figures.problems.is_empty(), "{:?}", figures.problems);
    // What comes late for a day that has moved lies in a next part of it, and moves too.
    append(&store, &source("a"), days(11, 4));
    store.flush().unwrap();
    until(|| store.figures().warm.moved == 6);
    assert_eq!(set(&store, "*").len(), 8);
    let (hot, warm) = site.names();
    assert_eq!((hot.len(), warm.len(), warm[1].as_str()), (1, 6, "2026-11-19.1"));
    drop(store);
    let store = site.open(false);
    assert_eq!(set(&store, "*").len(), 8, "each once after a crash");
    let policy = RetentionPolicy {
        older_than: Some("2026-11-21T00:00:00Z".parse().unwrap()),
        ..RetentionPolicy::default()
    };
    assert_eq!(store.retain(&policy).unwrap().dropped.len(), 4);
    assert_eq!(site.names().1, ["2026-11-21", "2026-11-21.1"]);
    assert_eq!(set(&store, "*").len(), 4);
    assert!(store.figures().problems.is_empty());
}

#[test]
fn moves_that_were_cut_short_are_ended_or_forgotten() {
    let site = Site::new();
    let store = site.open(false);
    append(&store, &source("a"), days(1, 3));
    store.flush().unwrap();
    store.close();
    let copy = |name: &str, target: PathBuf| {
        std::fs::create_dir_all(&target).unwrap();
        for file in std::fs::read_dir(site.data().join("index").join(name)).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), target.join(file.file_name())).unwrap();
        }
    };
    // Killed in the middle of a copy, and between the end of a copy and the removal of the original.
    copy("2026-11-21", site.warm().join(format!("{MOVING}2026-11-21")));
    copy("2026-11-20", site.warm().join("2026-11-20"));
    std::fs::write(site.warm().join(MARK), "").unwrap();
    let store = site.open(false);
    assert_eq!(set(&store, "*").len(), 3);
    let (hot, warm) = site.names();
    assert_eq!(
        (hot, warm),
        (vec!["2026-11-21".into(), "2026-11-22".into()], vec!["2026-11-20".to_owned()])
    );
    assert!(store.figures().problems.is_empty());
    store.close();
    // A copy that is not the same is left alone and told.
    let older = site.folder.path().join("older");
    copy("2026-11-22", older.clone());
    let store = site.open(false);
    append(&store, &source("a"), days(11, 1));
    store.flush().unwrap();
    store.close();
    std::fs::rename(&older, site.warm().join("2026-11-22")).unwrap();
    let store = site.open(false);
    assert_eq!(set(&store, "*").len(), 4);
    let problems = store.figures().problems;
    assert_eq!(problems.len(), 1);
    assert!(problems[0].what.contains("with another content"), "{problems:?}");
    assert!(site.warm().join("2026-11-22").exists());
}

#[test]
fn a_move_before_the_log_is_read_again_doubles_nothing() {
    let site = Site::new();
    let store = site.open(false);
    append(&store, &source("a"), days(1, 3));
    store.flush().unwrap();
    drop(store);
    // Killed between the commits of the partitions and the note of how far they all are.
    std::fs::remove_file(site.data().join("index.position")).unwrap();
    let hot = HotPolicy { max_bytes: None, days: Some(0) };
    let warm = Warm { folder: site.warm(), hot, every: Duration::from_millis(1) };
    let slow = Duration::from_secs(3_600);
    let slow = Config { warm: Some(warm), commit_every: slow, ..config(&site.data()) };
    let store = Embedded::open(slow).unwrap();
    until(|| store.figures().warm.moved == 2);
    assert_eq!(set(&store, "*").len(), 3);
}

#[test]
fn a_warm_folder_that_is_not_mounted_is_told_and_the_rest_is_served() {
    let site = Site::new();
    let store = site.open(true);
    append(&store, &source("a"), days(1, 3));
    store.flush().unwrap();
    until(|| store.figures().warm.moved == 2);
    store.close();
    let away = site.folder.path().join("away");
    std::fs::rename(site.warm(), &away).unwrap();
    // The mount point is there and empty.
    std::fs::create_dir(site.warm()).unwrap();
    let store = site.open(true);
    append(&store, &source("a"), days(11, 3));
    store.flush().unwrap();
    let found = find(&store, "*");
    assert_eq!(found.total, 4);
    let failed: Vec<&str> = found.failures.iter().map(|one| one.partition.as_str()).collect();
    assert_eq!(failed, ["2026-11-20", "2026-11-21"]);
    let today = SearchRequest { from: Some("2026-11-22".to_owned()), ..SearchRequest::default() };
    assert_eq!(store.search(&today, &Cancel::new()).unwrap().failures, [], "it is not asked there");
    let figures = store.figures();
    assert_eq!((figures.warm.missing, figures.warm.moved), (2, 0), "nothing is moved");
    assert!(figures.problems[0].what.starts_with("the warm folder is not there"));
    assert_eq!(figures.problems.len(), 1, "{:?}", figures.problems);
    store.close();
    assert_eq!(site.names().1, [""; 0]);
    std::fs::remove_dir(site.warm()).unwrap();
    std::fs::rename(&away, site.warm()).unwrap();
    let store = site.open(false);
    assert_eq!(set(&store, "*").len(), 6, "all of it, each once");
    assert!(store.figures().problems.is_empty(), "{:?}", store.figures().problems);
}

#[test]
fn what_cannot_be_moved_stays_and_is_told() {
    let site = Site::new();
    // A file lies where the folder should be.
    std::fs::create_dir_all(site.folder.path()).unwrap();
    std::fs::write(site.warm(), "").unwrap();
    let store = site.open(true);
    append(&store, &source("a"), days(1, 2));
    store.flush().unwrap();
    until(|| store.figures().warm.failed > 2);
    let figures = store.figures();
    assert_eq!(figures.problems.len(), 1, "told once: {:?}", figures.problems);
    assert!(figures.problems[0].what.starts_with("partition 2026-11-21 was not moved"));
    assert_eq!(set(&store, "*").len(), 2);
    std::fs::remove_file(site.warm()).unwrap();
    until(|| store.figures().warm.moved == 1);
    assert_eq!(set(&store, "*").len(), 2);
}

#[test]
fn a_damaged_partition_is_not_taken_for_a_copy() {
    let site = Site::new();
    let store = site.open(false);
    append(&store, &source("a"), days(1, 2));
    store.flush().unwrap();
    store.close();
    let target = files(&site.data(), "index/2026-11-21", ".store").pop().unwrap();
    let mut bytes = std::fs::read(&target).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&target, bytes).unwrap();
    let store = site.open(true);
    until(|| store.figures().warm.failed > 0 || store.figures().index_quarantined > 0);
    // Either its opening or the copy meets the damage; in the end it is made again and moves.
    until(|| {
        store.index.suspect(PartitionKey::parse("2026-11-21").unwrap());
        store.flush().unwrap();
        store.figures().warm.moved == 1
    });
    assert_eq!(set(&store, "*").len(), 2);
}
