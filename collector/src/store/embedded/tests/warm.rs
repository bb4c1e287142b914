//! The warm folder: what is over moves there and is found there, whatever is killed, full or not mounted.

use super::*;
use crate::redaction::{Order, Rewritten, Target};
use crate::store::index::PartitionKey;
use crate::store::index::partition::{MARK, MOVING};
use crate::store::index::write::mover::Warm;
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

/// A store with an event on each of three days, two of which have moved.
fn moved(site: &Site) -> Embedded {
    let store = site.open(true);
    append(&store, &source("a"), days(1, 3));
    store.flush().unwrap();
    until(|| store.figures().warm.moved == 2);
    store
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
    let store = moved(&site);
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
    let told = figures.warm.away.unwrap();
    assert_eq!((told.folder, told.days.len()), (site.warm().display().to_string(), 2));
    assert_eq!(figures.problems, [], "nothing is damaged");
    assert_eq!(site.names().1, [""; 0]);
    // Mounted again: found again, by the store that runs.
    std::fs::remove_dir(site.warm()).unwrap();
    std::fs::rename(&away, site.warm()).unwrap();
    until(|| store.figures().warm.away.is_none());
    assert_eq!(set(&store, "*").len(), 6, "all of it, each once");
    assert_eq!(find(&store, "*").failures, []);
    until(|| store.figures().warm.moved == 2);
    store.close();
    let store = site.open(false);
    assert_eq!(set(&store, "*").len(), 6, "and after a start");
    assert!(store.figures().problems.is_empty(), "{:?}", store.figures().problems);
}

#[test]
fn a_warm_folder_that_goes_and_comes_back_while_the_store_runs() {
    let site = Site::new();
    let store = moved(&site);
    let away = site.folder.path().join("away");
    for round in 0..3_u64 {
        std::fs::rename(site.warm(), &away).unwrap();
        // A search may meet it before it is looked for: that is no damage either.
        store.index.suspect(PartitionKey::parse("2026-11-21").unwrap());
        until(|| store.figures().warm.away.is_some());
        let found = find(&store, "*");
        assert_eq!((found.failures.len(), found.total), (2, 1 + round));
        let words = "the warm folder, in which it lies, is not there";
        assert!(found.failures.iter().all(|one| one.reason == words), "{:?}", found.failures);
        // Its folder is not made anew where it was, retention drops nothing, and writing goes on.
        append(&store, &source("a"), days(20 + round, 1));
        store.flush().unwrap();
        let policy = RetentionPolicy { older_than: Some(now()), ..RetentionPolicy::default() };
        assert_eq!(store.retain(&policy).unwrap().dropped, []);
        assert!(!site.warm().exists());
        std::fs::rename(&away, site.warm()).unwrap();
        until(|| store.figures().warm.away.is_none());
        assert_eq!(set(&store, "*").len() as u64, 4 + round);
        assert_eq!(find(&store, "*").failures, []);
    }
    assert!(store.figures().problems.is_empty(), "{:?}", store.figures().problems);
    assert!(!site.warm().join("quarantine").exists() && !site.data().join("quarantine").exists());
}

#[test]
fn what_was_begun_in_a_warm_folder_that_went_away_leaves_nothing_and_harms_nothing() {
    let site = Site::new();
    let store = moved(&site);
    store.close();
    // Killed while a partition was copied under a fresh key.
    let half = site.warm().join(".fresh-2026-11-21");
    std::fs::create_dir(&half).unwrap();
    let keyring = |store: &Embedded| store.vault.keyring.clone();
    let store = site.open(false);
    keyring(&store).ensure("fresh/2026-11-21").unwrap();
    store.close();
    std::fs::create_dir_all(&half).unwrap();
    let list = site.warm().join("2026-11-20/meta.json");
    std::fs::copy(list, half.join("meta.json")).unwrap();
    let away = site.folder.path().join("away");
    std::fs::rename(site.warm(), &away).unwrap();
    let store = site.open(false);
    let left = keyring(&store).list().into_iter().any(|key| key.name.starts_with("fresh/"));
    assert!(!left, "no key is kept for ever");
    std::fs::rename(&away, site.warm()).unwrap();
    until(|| store.figures().warm.away.is_none());
    assert_eq!(set(&store, "*").len(), 3);
    assert!(!half.exists());
    assert!(store.figures().problems.is_empty(), "{:?}", store.figures().problems);
    assert!(!site.warm().join("quarantine").exists());
}

#[test]
fn a_redaction_waits_for_the_warm_folder() {
    let site = Site::new();
    let store = moved(&site);
    let event = find(&store, "n:2").hits.remove(0);
    let order = Order {
        id: "0123".to_owned(),
        who: "alice".to_owned(),
        events: vec![Target { id: event.id.clone(), time: event.cursor.time }],
        ..Order::default()
    };
    let [holding] = <[_; 1]>::try_from(store.holding(&[&event.id]).unwrap()).unwrap();
    assert_eq!((holding.partition.as_str(), holding.events), ("2026-11-21", 1));
    let before = store.index.partitions.get(PartitionKey::parse("2026-11-21").unwrap()).unwrap();
    let part = Rewritten { before: before.directory.head(), after: None };
    drop((before, store));
    let away = site.folder.path().join("away");
    std::fs::rename(site.warm(), &away).unwrap();
    let store = site.open(false);
    // Noted before it went away, and nothing was done yet.
    let partitions = [("2026-11-21".to_owned(), part)].into();
    store.vault.begin_redaction(&Order { partitions, ..order.clone() }).unwrap();
    append(&store, &source("a"), days(11, 1));
    store.flush().unwrap();
    assert_eq!(store.vault.keyring.orders().len(), 1, "it is not taken for done");
    assert_eq!(find(&store, "n:11").total, 1, "and holds nothing up");
    let refused = store.redact(Order { id: "4567".to_owned(), ..order }).unwrap_err();
    assert!(refused.to_string().contains("mount it first"), "{refused}");
    std::fs::rename(&away, site.warm()).unwrap();
    until(|| store.vault.keyring.orders().is_empty());
    assert_eq!(find(&store, "n:2").total, 0);
    assert_eq!(set(&store, "*").len(), 3);
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
