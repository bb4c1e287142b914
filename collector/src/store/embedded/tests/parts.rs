//! Classes of data and parts of a day: kept apart, found together, each event once through crashes,
//! repairs and changes of the configuration.

use super::*;
use crate::store::class::{Class, ClassName, Selector};
use crate::store::{ClassPolicy, Limits};

fn class(name: &str, event_type: &str) -> Class {
    let select = Selector { event_type: vec![event_type.to_owned()], ..Selector::default() };
    Class { name: ClassName::new(name).unwrap(), select }
}

fn open_with(directory: &Path, classes: &[Class], part_documents: u64) -> Embedded {
    let config = Config { classes: classes.to_vec(), part_documents, ..config(directory) };
    Embedded::open(config).unwrap()
}

/// Events of today, of three kinds in turn.
fn mixed(range: RangeInclusive<u64>) -> Vec<Document> {
    let kinds = ["flow", "alert", "log"];
    let make = |seq: u64| {
        let time = now().plus_seconds(-i64::try_from(seq).unwrap()).to_string();
        let kind = kinds[usize::try_from(seq % 3).unwrap()];
        document(&source("a"), seq, &time, json!({"n": seq, "event_type": kind}))
    };
    range.map(make).collect()
}

fn names(store: &Embedded) -> Vec<(String, u64)> {
    let all = store.index.partitions.all();
    all.iter().map(|one| (one.key.to_string(), one.documents())).collect()
}

fn named(list: &[(&str, u64)]) -> Vec<(String, u64)> {
    list.iter().map(|(name, documents)| ((*name).to_owned(), *documents)).collect()
}

#[test]
fn classes_lie_apart_are_found_together_and_go_by_themselves() {
    let directory = tempfile::tempdir().unwrap();
    let classes = [class("flows", "flow"), class("alerts", "alert")];
    let store = open_with(directory.path(), &classes, 1_000);
    append(&store, &source("a"), mixed(1..=30));
    assert_eq!(set(&store, "*").len(), 30);
    assert_eq!(
        names(&store),
        named(&[("2026-11-22", 10), ("2026-11-22_alerts", 10), ("2026-11-22_flows", 10)])
    );
    let figures = store.figures();
    let documents: Vec<_> =
        figures.classes.iter().map(|(name, one)| (name.as_str(), one.documents)).collect();
    assert_eq!(documents, [("alerts", 10), ("default", 10), ("flows", 10)]);
    let bytes: u64 = figures.classes.values().map(|one| one.bytes).sum();
    assert_eq!((bytes > 0, bytes), (true, figures.index_bytes));
    let limits = Limits { older_than: Some(now().plus_seconds(86_400)), max_bytes: None };
    let policy = RetentionPolicy {
        classes: vec![ClassPolicy { name: classes[0].name, limits }],
        ..RetentionPolicy::default()
    };
    let dropped = store.retain(&policy).unwrap().dropped;
    let dropped: Vec<_> =
        dropped.iter().map(|one| (one.partition.as_str(), one.documents)).collect();
    assert_eq!(dropped, [("2026-11-22_flows", 10)]);
    assert_eq!(set(&store, "event_type:flow").len(), 0);
    assert_eq!(set(&store, "*").len(), 20);
    let gone = store.vault.keyring.get(&crate::vault::partition_key("2026-11-22_flows"));
    assert!(gone.is_err() && store.vault.was_deleted("2026-11-22_flows"));
}

#[test]
fn changed_classes_hold_for_what_comes_and_leave_the_rest_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    // An older store without classes; killed with events that are not indexed yet.
    let store = open(directory.path());
    append(&store, &source("a"), mixed(1..=9));
    drop(store);
    let store = open_with(directory.path(), &[class("flows", "flow")], 1_000);
    append(&store, &source("a"), mixed(10..=18));
    drop(store);
    let store = open_with(directory.path(), &[class("network", "flow")], 1_000);
    append(&store, &source("a"), mixed(19..=27));
    assert_eq!(set(&store, "*").len(), 27);
    let expected = named(&[("2026-11-22", 21), ("2026-11-22_flows", 3), ("2026-11-22_network", 3)]);
    assert_eq!(names(&store), expected);
    drop(store);
    // The position is gone: everything is read again, and goes where it went.
    std::fs::remove_file(directory.path().join("index.position")).unwrap();
    let store = open_with(directory.path(), &[], 1_000);
    assert_eq!(set(&store, "*").len(), 27);
    assert_eq!(names(&store), expected);
    store.close();
    // So does what a lost partition is made of again.
    std::fs::remove_dir_all(directory.path().join("index/2026-11-22_flows/")).unwrap();
    std::fs::create_dir(directory.path().join("index/2026-11-22_flows/")).unwrap();
    let store = open_with(directory.path(), &[], 1_000);
    assert_eq!(set(&store, "*").len(), 27);
    assert_eq!(names(&store), expected);
}

#[test]
fn a_day_that_grows_too_large_goes_on_in_parts() {
    let directory = tempfile::tempdir().unwrap();
    let flows = [class("flows", "flow")];
    let store = open_with(directory.path(), &flows, 10);
    for first in (1..=60).step_by(15) {
        append(&store, &source("a"), mixed(first..=first + 14));
        store.flush().unwrap();
    }
    let expected = named(&[
        ("2026-11-22", 10),
        ("2026-11-22.1", 10),
        ("2026-11-22.2", 10),
        ("2026-11-22.3", 10),
        ("2026-11-22_flows", 10),
        ("2026-11-22_flows.1", 10),
    ]);
    assert_eq!(names(&store), expected);
    assert_eq!(set(&store, "*").len(), 60);
    let found = find(&store, "*");
    assert!(found.hits.windows(2).all(|pair| pair[0].cursor > pair[1].cursor), "newest first");
    drop(store);
    std::fs::remove_file(directory.path().join("index.position")).unwrap();
    let store = open_with(directory.path(), &flows, 10);
    assert_eq!(set(&store, "*").len(), 60, "each once, although all is read again");
    // Late events go to the latest part.
    append(&store, &source("a"), mixed(61..=62));
    store.flush().unwrap();
    assert_eq!(names(&store).get(4), Some(&("2026-11-22.4".to_owned(), 2)));
    // The oldest parts go first, the newest stays.
    let policy = RetentionPolicy { max_bytes: Some(0), ..RetentionPolicy::default() };
    let dropped = store.retain(&policy).unwrap().dropped;
    assert_eq!(dropped.len(), 6);
    assert_eq!(names(&store), named(&[("2026-11-22_flows.1", 10)]));
}

#[test]
fn a_damaged_part_is_made_again_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_with(directory.path(), &[], 20);
    for first in (1..=60).step_by(20) {
        append(&store, &source("a"), mixed(first..=first + 19));
        store.flush().unwrap();
    }
    let expected = names(&store);
    assert_eq!(expected.len(), 3);
    store.close();
    let target = files(directory.path(), "index/2026-11-22.1", ".store").pop().unwrap();
    let mut bytes = std::fs::read(&target).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&target, bytes).unwrap();
    let store = open_with(directory.path(), &[], 20);
    assert_eq!(set(&store, "*").len(), 60);
    assert_eq!(names(&store), expected);
}

#[test]
fn a_lost_note_of_where_events_went_doubles_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_with(directory.path(), &[class("flows", "flow")], 10);
    for first in (1..=60).step_by(15) {
        append(&store, &source("a"), mixed(first..=first + 14));
        store.flush().unwrap();
    }
    drop(store);
    for name in ["index.position", "index.routing"] {
        std::fs::remove_file(directory.path().join(name)).unwrap();
    }
    // Under other classes too, which would send the past elsewhere.
    let store = open_with(directory.path(), &[class("alerts", "alert")], 1_000);
    append(&store, &source("a"), mixed(61..=63));
    assert_eq!(set(&store, "*").len(), 63);
    let problems = store.figures().problems;
    assert!(problems.iter().any(|one| one.path.ends_with("index.routing")), "{problems:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]
    /// Whatever comes, in whatever order, with kills and changed limits and classes between: each event once,
    /// newest first, and pages agree with the whole.
    #[test]
    fn each_event_once_whatever_the_parts(
        rounds in proptest::collection::vec((1..25_u64, 4..15_u64, 0..3_usize, any::<bool>()), 1..5),
        limit in 7..40_usize,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let lists = [vec![], vec![class("flows", "flow")], vec![class("a", "alert"), class("flows", "log")]];
        let mut next = 1;
        for (count, part, list, close) in rounds {
            let store = open_with(directory.path(), &lists[list], part);
            for _ in 0..2 {
                append(&store, &source("a"), mixed(next..=next + count - 1));
                store.flush().unwrap();
                next += count;
            }
            append(&store, &source("a"), mixed(next..=next));
            next += 1;
            if close { store.close() } else { drop(store) }
        }
        let store = open_with(directory.path(), &lists[1], 5);
        prop_assert_eq!(set(&store, "*").len() as u64, next - 1);
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let request = SearchRequest { limit, after, ..SearchRequest::default() };
            let found = store.search(&request, &Cancel::new()).unwrap();
            prop_assert_eq!(found.total, next - 1);
            seen.extend(found.hits.into_iter().map(|hit| hit.cursor));
            after = found.next;
            if after.is_none() { break }
        }
        prop_assert_eq!(seen.len() as u64, next - 1);
        prop_assert!(seen.windows(2).all(|pair| pair[0] > pair[1]));
    }
}
