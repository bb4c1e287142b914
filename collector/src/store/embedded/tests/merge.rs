//! What is quiet is merged: few segments, every event once, nothing for `verify` to find, and damage that a
//! merge meets is dealt with.

use super::*;

fn quick(directory: &Path) -> Embedded {
    let config = config(directory);
    let commit_every = Duration::from_millis(2);
    Embedded::open(Config { quiet: Duration::from_millis(100), commit_every, ..config }).unwrap()
}

/// One segment for each of `count` events.
fn filled(directory: &Path, count: u64) -> (Embedded, SourceKey) {
    let (store, source) = (open(directory), source("a"));
    for seq in 1..=count {
        append(&store, &source, batch(&source, seq..=seq));
        store.flush().unwrap();
    }
    (store, source)
}

fn until(store: &Embedded, done: impl Fn(&Figures) -> bool) -> Figures {
    for _ in 0..3_000 {
        let figures = store.figures();
        if done(&figures) {
            return figures;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not in time: {:?}", store.figures());
}

#[test]
fn a_quiet_partition_gets_few_segments() {
    let directory = tempfile::tempdir().unwrap();
    let (store, source) = filled(directory.path(), 12);
    assert!(store.figures().segments >= 12);
    store.close();
    let store = quick(directory.path());
    let figures = until(&store, |figures| figures.merges > 0 && figures.segments == 1);
    assert_eq!((figures.documents, figures.problems), (12, vec![]));
    assert_eq!(set(&store, "*").len(), 12);
    // It is written to again, also after a crash.
    append(&store, &source, batch(&source, 13..=14));
    assert_eq!(set(&store, "*").len(), 14);
    drop(store);
    let store = open(directory.path());
    assert_eq!((set(&store, "*").len(), store.figures().problems), (14, vec![]));
    store.close();
    let vault = vault(directory.path());
    let root = directory.path().join("index");
    let looked = crate::store::index::verify::verify(&root, &vault.keyring, &mut |_| {}).unwrap();
    assert_eq!(looked.findings, []);
}

#[test]
fn damage_that_a_merge_meets_is_repaired_from_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let (store, source) = filled(directory.path(), 11);
    // More than a page that does not become smaller: opening looks at the last page alone.
    let noise = |from: u64| {
        let words = (from..from + 1_000).map(|n| format!("{:x}", n.wrapping_pow(9) ^ n << 40));
        words.collect::<Vec<String>>().join(" ")
    };
    let text: Vec<String> = (1..=9).map(|n| noise(n * 1_000)).collect();
    let fields = json!({"n": 12, "message": "event number12", "own": text});
    append(&store, &source, vec![document(&source, 12, NOW, fields)]);
    store.flush().unwrap();
    store.close();
    let size = |path: &PathBuf| std::fs::metadata(path).unwrap().len();
    let file = files(directory.path(), "index", ".store").into_iter().max_by_key(size).unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    assert!(bytes.len() > 2 * crate::store::index::files::sealed::PAGE, "{}", bytes.len());
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let store = quick(directory.path());
    let figures = until(&store, |figures| figures.repaired > 0 && figures.merges_failed > 0);
    assert_eq!((figures.index_quarantined, figures.merges_failed), (1, 1));
    let words: Vec<&str> = figures.problems.iter().map(|one| one.what.as_str()).collect();
    assert!(words.iter().any(|words| words.contains("were not merged")), "{words:?}");
    assert_eq!(set(&store, "*").len(), 12);
}
