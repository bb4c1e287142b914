//! Files that are gone, cut, emptied, swapped or cannot be written: what the log has is found
//! again, what is lost is told, nothing is found twice and nothing crashes.

use super::warm::until;
use super::*;
use crate::keys::{MasterKey, MasterSource};
use std::os::unix::fs::symlink;

/// A closed store with 30 documents on each of two days, and what it must find.
pub(super) fn closed(directory: &Path) -> BTreeSet<String> {
    let source = source("a");
    let store = open(directory);
    append(&store, &source, batch(&source, 1..=30));
    let yesterday = |seq| document(&source, seq, "2026-11-20T10:00:00Z", json!({"n": seq}));
    append(&store, &source, (31..=60).map(yesterday).collect());
    let expected = set(&store, "*");
    assert_eq!(expected.len(), 60);
    store.close();
    expected
}

/// What the store finds after `harm`; checks that further appends are taken and found.
fn after(directory: &Path, harm: impl FnOnce(&Path)) -> (BTreeSet<String>, Figures) {
    harm(directory);
    let store = open(directory);
    // Some damage is met only when a search needs that file; it is repaired from then on.
    find(&store, "\"event number7\" OR n:* OR number*");
    let found = set(&store, "*");
    let source = source("b");
    append(&store, &source, batch(&source, 1..=3));
    store.flush().unwrap();
    let all = find(&store, "n:*");
    assert_eq!((all.total, all.failures), (found.len() as u64 + 3, Vec::new()));
    let figures = store.figures();
    store.close();
    (found, figures)
}

#[test]
fn index_files_that_are_gone_cut_or_emptied_are_made_again_from_the_log() {
    for suffix in [".store", ".idx", ".fast", ".term", ".pos", ".fieldnorm", "meta.json"] {
        for harm in ["gone", "empty", "half"] {
            let directory = tempfile::tempdir().unwrap();
            let expected = closed(directory.path());
            let (found, figures) = after(directory.path(), |path| {
                let target = files(path, "index", suffix).pop().unwrap();
                let bytes = std::fs::read(&target).unwrap();
                match harm {
                    "gone" => std::fs::remove_file(&target).unwrap(),
                    "empty" => std::fs::write(&target, b"").unwrap(),
                    _ => std::fs::write(&target, &bytes[..bytes.len() / 2]).unwrap(),
                }
            });
            assert_eq!(found, expected, "{suffix} {harm}: {:?}", figures.problems);
            assert!(figures.index_quarantined > 0, "{suffix} {harm}");
            assert!(figures.repaired >= 30, "{suffix} {harm}: {figures:?}");
            assert!(!figures.problems.is_empty(), "{suffix} {harm}: it is told");
        }
    }
}

#[test]
fn files_swapped_between_partitions_do_not_open() {
    let directory = tempfile::tempdir().unwrap();
    let expected = closed(directory.path());
    let (found, figures) = after(directory.path(), |path| {
        let metas = files(path, "index", "meta.json");
        let (one, two) = (std::fs::read(&metas[0]).unwrap(), std::fs::read(&metas[1]).unwrap());
        std::fs::write(&metas[0], two).unwrap();
        std::fs::write(&metas[1], one).unwrap();
    });
    assert_eq!(found, expected);
    assert_eq!((figures.index_quarantined, figures.repaired), (2, 60));
    let days = figures.set_aside.iter().map(|one| (one.partition.as_str(), one.span, one.count));
    let day = |first: &str| {
        let first: Timestamp = first.parse().unwrap();
        Some((first, Timestamp::from_micros(first.plus_seconds(86_400).micros() - 1)))
    };
    let expected = [
        ("2026-11-20", day("2026-11-20T00:00:00Z"), 1),
        ("2026-11-22", day("2026-11-22T00:00:00Z"), 1),
    ];
    assert_eq!(days.collect::<Vec<_>>(), expected, "windows of other days are whole");
}

#[test]
fn a_lost_index_is_made_again_from_the_log() {
    for gone in [&["index"][..], &["index", "index.position"], &["index.position"]] {
        let directory = tempfile::tempdir().unwrap();
        let expected = closed(directory.path());
        let (found, _) = after(directory.path(), |path| {
            for name in gone {
                let path = path.join(name);
                if path.is_dir() {
                    std::fs::remove_dir_all(path).unwrap();
                } else {
                    std::fs::remove_file(path).unwrap();
                }
            }
        });
        // With its position kept, a store cannot know of partitions that are gone without a trace.
        if gone == ["index"] {
            assert!(found.is_empty());
        } else {
            assert_eq!(found, expected, "{gone:?}");
        }
    }
}

#[test]
fn damage_that_the_log_cannot_repair_is_told_and_the_rest_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let source = source("a");
    let tight = || Config { keep_log_bytes: 0, ..config(directory.path()) };
    let store = Embedded::open(tight()).unwrap();
    for day in 18..=21_u64 {
        let time = format!("2026-11-{day}T10:00:00Z");
        let text = "x".repeat(400);
        let one =
            |seq| document(&source, seq, &time, json!({"n": seq, "pad": format!("{text}{seq}")}));
        append(&store, &source, (day * 1_000..day * 1_000 + 400).map(one).collect());
        store.flush().unwrap();
    }
    store.close();
    let target = files(directory.path(), "index/2026-11-18", ".store").pop().unwrap();
    std::fs::remove_file(target).unwrap();
    std::fs::remove_dir_all(directory.path().join("log")).unwrap();
    let store = Embedded::open(tight()).unwrap();
    let request = SearchRequest { limit: 0, ..SearchRequest::default() };
    store.flush().unwrap();
    assert_eq!(store.search(&request, &Cancel::new()).unwrap().total, 1_200);
    let problem = store.figures().problems.remove(0);
    assert!(
        problem.what.contains("2026-11-18") || problem.path.contains("2026-11-18"),
        "{problem:?}"
    );
    assert!(problem.advice.contains("restore the rest from a backup"), "{problem:?}");
}

#[test]
fn the_wrong_master_key_or_no_keyring_harms_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let at = || Config::new(data.join("events"), vault(data), Arc::new(now));
    let source = source("a");
    let store = Embedded::open(at()).unwrap();
    append(&store, &source, batch(&source, 1..=30));
    let expected = set(&store, "*");
    store.close();
    let bytes = || -> Vec<Vec<u8>> {
        files(data, "", "").iter().map(|file| std::fs::read(file).unwrap()).collect()
    };
    let other = data.join("other.key");
    MasterKey::create(&other).unwrap();
    let refused = |key: &Path| {
        let before = bytes();
        let source = MasterSource::File(key.to_owned());
        let error = Vault::open(data, &source, service::Clock::system());
        assert_eq!(bytes(), before, "nothing was written");
        error.unwrap_err().to_string()
    };
    let error = refused(&other);
    assert!(error.contains("keyring is sealed with another master key"), "{error}");
    let (ring, kept) = (data.join("vault"), data.join("kept"));
    std::fs::rename(&ring, &kept).unwrap();
    for key in [data.join("master-3.key"), other] {
        let error = refused(&key);
        assert!(error.contains("keyring is missing although there is data: restore"), "{error}");
    }
    std::fs::rename(&kept, &ring).unwrap();
    assert_eq!(set(&Embedded::open(at()).unwrap(), "*"), expected);
}

#[test]
fn a_lost_or_damaged_deduplication_state_is_made_again_from_the_log() {
    for harm in ["gone", "cut", "flipped"] {
        let directory = tempfile::tempdir().unwrap();
        let expected = closed(directory.path());
        let path = directory.path().join("log/dedup.state");
        let mut bytes = std::fs::read(&path).unwrap();
        match harm {
            "gone" => std::fs::remove_file(&path).unwrap(),
            "cut" => std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap(),
            _ => {
                bytes[60] ^= 1;
                std::fs::write(&path, bytes).unwrap();
            }
        }
        let store = open(directory.path());
        let source = source("a");
        let again = append(&store, &source, batch(&source, 1..=30));
        assert_eq!(again, AppendOutcome::Duplicate { range: 1..=30 }, "{harm}");
        assert_eq!(set(&store, "*"), expected, "{harm}");
        let told = store.figures().problems.iter().any(|p| p.what.contains("deduplication state"));
        assert_eq!(told, harm != "gone", "{harm}");
    }
}

#[test]
fn a_full_disk_under_the_log_refuses_and_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let source = source("a");
    let large = |seq: u64| {
        let random = |n: u64| (seq * 1_000 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let text: String = (0..500).map(|n| format!("{:016x}", random(n))).collect();
        document(&source, seq, NOW, json!({ "pad": text }))
    };
    let one = |seq: u64| Append {
        source: source.clone(),
        first_seq: seq,
        last_seq: seq,
        documents: Arc::new(vec![large(seq)]),
    };
    store.append_blocking(&one(1)).unwrap();
    // The next segments are written out onto a device that is always full.
    for number in 2..6 {
        let fresh = directory.path().join(format!("log/{number:020}.new"));
        symlink("/dev/full", fresh).unwrap();
    }
    let mut seq = 2;
    let error = loop {
        match store.append_blocking(&one(seq)) {
            Ok(_) => seq += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, StoreError::Full { .. }), "{error}");
    assert!(error.to_string().contains("free some or lower the retention"), "{error}");
    let stored = seq - 1;
    assert_eq!(set(&store, "*").len() as u64, stored, "searching goes on");
    // A failed attempt removed its file, and with it the full device; now there is room.
    for number in 2..6 {
        drop(std::fs::remove_file(directory.path().join(format!("log/{number:020}.new"))));
    }
    store.append_blocking(&one(seq)).unwrap();
    assert_eq!(set(&store, "*").len() as u64, stored + 1);
    let intake = store.figures().intake;
    assert_eq!((intake.residue(), intake.processed), (0, stored + 1));
    assert!(intake.shed.values().sum::<u64>() >= 1, "{intake:?}");
    store.close();
    assert_eq!(set(&open(directory.path()), "*").len() as u64, stored + 1);
}

#[test]
fn a_full_disk_under_the_index_keeps_the_log_and_finds_all_later() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let source = source("a");
    append(&store, &source, batch(&source, 1..=5));
    store.flush().unwrap();
    let fresh = directory.path().join("index.new");
    drop(std::fs::remove_file(&fresh));
    symlink("/dev/full", &fresh).unwrap();
    append(&store, &source, batch(&source, 6..=10));
    // The commit that comes by itself fails, and so does each that is asked for afterwards.
    until(|| !store.figures().problems.is_empty());
    let error = store.flush().unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    let problem = store.figures().problems.pop().unwrap();
    assert!(problem.advice.contains("tried again"), "{problem:?}");
    append(&store, &source, batch(&source, 11..=12));
    std::fs::remove_file(&fresh).unwrap();
    assert_eq!(set(&store, "*").len(), 12, "each once");
    store.close();
    assert_eq!(set(&open(directory.path()), "*").len(), 12);
}

#[test]
fn a_second_process_is_refused_and_a_stale_lock_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let error = Embedded::open(config(directory.path())).unwrap_err().to_string();
    assert!(error.ends_with("is in use by another process"), "{error}");
    drop(store);
    assert!(directory.path().join("lock").exists());
    drop(open(directory.path()));
}

#[test]
fn strange_files_in_the_folders_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let expected = closed(directory.path());
    let strange = [
        "log/x.log",
        "log/notes.txt",
        "index/lost+found",
        "index/2026-13-45",
        "index/.dropped-2026-01-01",
    ];
    for name in strange {
        let path = directory.path().join(name);
        if name.starts_with("index") {
            std::fs::create_dir(path).unwrap();
        } else {
            std::fs::write(path, b"mine").unwrap();
        }
    }
    let store = open(directory.path());
    assert_eq!(set(&store, "*"), expected);
    assert_eq!(store.figures().problems, []);
    let left: Vec<bool> = strange.iter().map(|name| directory.path().join(name).exists()).collect();
    assert_eq!(left, [true, true, true, true, false], "half a dropped partition is finished off");
}
