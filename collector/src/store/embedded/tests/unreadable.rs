//! A disk that does not give files for a while: nothing is moved, what is missing is told by name, and all is
//! found again when it reads again.

use super::damage::closed;
use super::*;
use std::os::unix::fs::symlink;

/// Puts a file in the way that every look at fails, as a bad disk does: a link to itself.
fn in_the_way(path: &Path) -> PathBuf {
    let aside = path.with_extension("aside");
    std::fs::rename(path, &aside).unwrap();
    symlink(path, path).unwrap();
    aside
}

fn away(path: &Path, aside: &Path) {
    std::fs::remove_file(path).unwrap();
    std::fs::rename(aside, path).unwrap();
}

/// Waits until the store has tried again.
fn settled(store: &Embedded, done: impl Fn(&Embedded) -> bool) {
    for _ in 0..2_000 {
        if done(store) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it was not tried again: {:?}", store.figures().problems);
}

#[test]
fn a_partition_that_cannot_be_read_is_missing_by_name_and_comes_back() {
    for suffix in ["meta.json", ".store", ".idx", ".fast", ".term", ".pos"] {
        let directory = tempfile::tempdir().unwrap();
        let expected = closed(directory.path());
        let path = files(&directory.path().join("index"), "2026-11-20", suffix).remove(0);
        let aside = in_the_way(&path);
        let store = open(directory.path());
        store.flush().unwrap();
        let found = find(&store, "*");
        let failed: Vec<&str> = found.failures.iter().map(|one| one.partition.as_str()).collect();
        assert_eq!((found.total, failed), (30, vec!["2026-11-20"]), "{suffix}");
        let today =
            SearchRequest { from: Some("2026-11-22T00:00:00Z".into()), ..Default::default() };
        assert_eq!(store.search(&today, &Cancel::new()).unwrap().failures, [], "{suffix}");
        let figures = store.figures();
        assert!(figures.problems[0].what.contains("2026-11-20 cannot be read now"), "{figures:?}");
        assert_eq!(figures.index_quarantined, 0);
        // Events of other days are taken and found meanwhile.
        let other = source("b");
        append(&store, &other, batch(&other, 1..=3));
        store.flush().unwrap();
        assert_eq!(find(&store, "*").total, 33, "{suffix}");
        away(&path, &aside);
        settled(&store, |store| store.figures().problems.is_empty());
        assert_eq!(find(&store, "*").failures, [], "{suffix}");
        assert!(set(&store, "*").is_superset(&expected), "{suffix}");
        assert!(!directory.path().join("quarantine").exists(), "{suffix}");
        store.close();
    }
}

#[test]
fn a_log_that_cannot_be_read_refuses_by_name_and_nothing_is_moved() {
    for name in ["log/dedup.state", "index.position", "log/00000000000000000001.log"] {
        let directory = tempfile::tempdir().unwrap();
        let expected = closed(directory.path());
        let path = directory.path().join(name);
        let aside = in_the_way(&path);
        let error = Embedded::open(config(directory.path())).unwrap_err().to_string();
        assert!(error.contains(name), "{name}: {error}");
        away(&path, &aside);
        let store = open(directory.path());
        assert_eq!((set(&store, "*"), store.figures().problems), (expected, vec![]), "{name}");
        assert!(!directory.path().join("quarantine").exists(), "{name}");
    }
}
