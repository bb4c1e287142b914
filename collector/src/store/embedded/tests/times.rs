//! Time: borders of days, wrong clocks, ranges, retention to the second, pages of hits.

use super::*;
use crate::search::Cursor;

const DAY: i64 = 86_400;

fn at(seq: u64, micros: i64) -> Document {
    document(&source("a"), seq, &Timestamp::from_micros(micros).to_string(), json!({"n": seq}))
}

fn total(store: &Embedded, from: Option<String>, to: Option<String>) -> u64 {
    let request = SearchRequest { from, to, limit: 0, ..SearchRequest::default() };
    store.search(&request, &Cancel::new()).unwrap().total
}

#[test]
fn the_borders_of_a_day_and_of_a_range() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let midnight = "2026-11-22T00:00:00Z".parse::<Timestamp>().unwrap().micros();
    append(&store, &source("a"), vec![at(1, midnight - 1), at(2, midnight), at(3, midnight + 1)]);
    store.flush().unwrap();
    assert_eq!(store.figures().partitions, 2);
    let text = |micros| Timestamp::from_micros(micros).to_string();
    for (from, to, expected) in [
        (None, None, 3),
        (Some(midnight), None, 2),
        (None, Some(midnight), 1),
        (Some(midnight), Some(midnight + 1), 1),
        (Some(midnight - 1), Some(midnight + 2), 3),
        (Some(midnight), Some(midnight), 0),
        (Some(midnight + 1), Some(midnight - 1), 0),
        (Some(midnight + 2), None, 0),
    ] {
        assert_eq!(total(&store, from.map(text), to.map(text)), expected, "{from:?} {to:?}");
    }
    let named = |text: &str| Some(text.to_owned());
    assert_eq!(total(&store, named("2026-11-22"), None), 2, "a day means its start");
    assert_eq!(total(&store, None, named("2026-11-22")), 1);
    assert_eq!(total(&store, named("now-1d/d"), named("now/d")), 1);
    assert_eq!(total(&store, named("2026-11-22T01:00:00+01:00"), None), 2, "other time zones");
    assert_eq!(total(&store, named("2026-11-21T19:00:00-05:00"), None), 2);
}

#[test]
fn events_of_wrong_clocks_are_kept_apart_and_found() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let now = now().micros();
    let far = [now - 400 * DAY * 1_000_000, now + 400 * DAY * 1_000_000, now];
    let documents = (1..).zip(far).map(|(seq, micros)| at(seq, micros)).collect();
    append(&store, &source("a"), documents);
    append(
        &store,
        &source("a"),
        vec![
            document(&source("a"), 10, "0001-01-01T00:00:00Z", json!({})),
            document(&source("a"), 11, "2250-12-31T23:59:59Z", json!({})),
        ],
    );
    store.flush().unwrap();
    let names: Vec<String> =
        store.index.partitions.all().iter().map(|p| p.key.to_string()).collect();
    assert_eq!(names, ["past@2026-11-22", "2026-11-22", "future@2026-11-22"]);
    assert_eq!(total(&store, None, None), 5);
    let text = |micros| Some(Timestamp::from_micros(micros).to_string());
    assert_eq!(total(&store, text(far[0]), text(far[0] + 1)), 1);
    assert_eq!(total(&store, text(now + DAY * 1_000_000), None), 2);
    // They age by the day they came in, not by the one they claim.
    let policy = |older: i64| RetentionPolicy {
        older_than: Some(Timestamp::from_micros(older)),
        ..RetentionPolicy::default()
    };
    assert_eq!(store.retain(&policy(now)).unwrap().dropped.len(), 0);
    assert_eq!(store.retain(&policy(now + 2 * DAY * 1_000_000)).unwrap().dropped.len(), 3);
}

#[test]
fn retention_by_age_is_exact_and_counts() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let midnight = "2026-11-20T00:00:00Z".parse::<Timestamp>().unwrap();
    append(&store, &source("a"), vec![at(1, midnight.micros() - 1), at(2, midnight.micros())]);
    store.flush().unwrap();
    let retain = |older_than: Timestamp| {
        let policy = RetentionPolicy { older_than: Some(older_than), ..RetentionPolicy::default() };
        store.retain(&policy).unwrap().dropped
    };
    assert_eq!(retain(Timestamp::from_micros(midnight.micros() - 1)), [], "its last second counts");
    let dropped = retain(midnight);
    assert_eq!((dropped.len(), dropped[0].partition.as_str()), (1, "2026-11-19"));
    assert_eq!((dropped[0].documents, dropped[0].reason.as_str()), (1, "age"));
    assert!(dropped[0].bytes > 0);
    assert_eq!(retain(midnight), [], "once");
    assert_eq!(set(&store, "*").len(), 1);
    assert_eq!(store.figures().retention_dropped, 1);
}

#[test]
fn retention_by_size_drops_the_oldest_until_it_fits_and_keeps_the_newest() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for day in 0..4 {
        append(
            &store,
            &source("a"),
            vec![at(day + 1, now().micros() - day as i64 * DAY * 1_000_000)],
        );
    }
    store.flush().unwrap();
    let bytes = store.figures().index_bytes;
    let retain = |max_bytes| {
        let policy = RetentionPolicy { max_bytes: Some(max_bytes), ..RetentionPolicy::default() };
        let dropped = store.retain(&policy).unwrap().dropped;
        dropped.into_iter().map(|one| (one.partition, one.reason)).collect::<Vec<_>>()
    };
    assert_eq!(retain(bytes), [], "exactly as much as allowed");
    assert_eq!(retain(bytes - 1), [("2026-11-19".to_owned(), "size".to_owned())]);
    assert_eq!(retain(0).len(), 2, "all but the newest");
    assert_eq!(retain(0), []);
    assert_eq!(set(&store, "*").len(), 1);
    let nothing = RetentionPolicy::default();
    assert_eq!(store.retain(&nothing).unwrap().dropped, []);
}

#[test]
fn events_that_come_late_for_a_dropped_day_open_it_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let old = now().micros() - 5 * DAY * 1_000_000;
    append(&store, &source("a"), vec![at(1, old)]);
    store.flush().unwrap();
    let policy = RetentionPolicy { older_than: Some(now()), ..RetentionPolicy::default() };
    assert_eq!(store.retain(&policy).unwrap().dropped.len(), 1);
    append(&store, &source("a"), vec![at(2, old)]);
    assert_eq!(set(&store, "*").len(), 1, "the new one only");
    drop(store);
    assert_eq!(set(&open(directory.path()), "*").len(), 1, "also after a crash");
}

/// All hits of a query, page by page.
fn pages(store: &Embedded, limit: usize, mut between: impl FnMut(usize)) -> Vec<(Cursor, String)> {
    let (mut all, mut after, mut page) = (Vec::new(), None, 0);
    loop {
        let request = SearchRequest { limit, after, ..SearchRequest::default() };
        let found = store.search(&request, &Cancel::new()).unwrap();
        assert!(found.hits.len() <= limit);
        all.extend(found.hits.into_iter().map(|hit| (hit.cursor, hit.id)));
        between(page);
        page += 1;
        after = found.next;
        if after.is_none() {
            return all;
        }
    }
}

#[test]
fn pages_show_every_hit_once_in_order_also_while_new_ones_come() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    // Many of one moment, over two days and several commits.
    for first in [1, 41, 81] {
        let documents = (first..first + 40)
            .map(|seq| at(seq, now().micros() - (seq as i64 % 3) * 12 * 3600 * 1_000_000))
            .collect();
        append(&store, &source("a"), documents);
        store.flush().unwrap();
    }
    for limit in [1, 7, 40, 119, 120, 121] {
        let all = pages(&store, limit, |_| {});
        let ids: BTreeSet<&String> = all.iter().map(|(_, id)| id).collect();
        assert_eq!((all.len(), ids.len()), (120, 120), "limit {limit}");
        assert!(all.windows(2).all(|pair| pair[0].0 > pair[1].0), "newest first, limit {limit}");
    }
    let mut seq = 1_000;
    let all = pages(&store, 30, |_| {
        // Newer than every page to come: they must not push a hit out of sight.
        append(&store, &source("a"), vec![at(seq, now().micros() + 1)]);
        store.flush().unwrap();
        seq += 1;
    });
    let ids: BTreeSet<&String> = all.iter().map(|(_, id)| id).collect();
    assert_eq!((all.len(), ids.len()), (120, 120));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    /// Any range over any times finds what a look at each document finds; histograms add up.
    #[test]
    fn ranges_and_histograms_agree_with_counting(
        offsets in proptest::collection::vec(-40 * DAY..4 * DAY, 1..40),
        ranges in proptest::collection::vec((-45 * DAY..5 * DAY, 0..50 * DAY), 6),
        interval in 1..200_000_u64,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let time = |offset: i64| now().plus_seconds(offset);
        let documents =
            (1..).zip(&offsets).map(|(seq, offset)| at(seq, time(*offset).micros())).collect();
        append(&store, &source("a"), documents);
        store.flush().unwrap();
        for (from, width) in ranges {
            let inside: Vec<i64> =
                offsets.iter().copied().filter(|o| (from..from + width).contains(o)).collect();
            let request = SearchRequest {
                from: Some(time(from).to_string()),
                to: Some(time(from + width).to_string()),
                limit: 0,
                aggregations: vec![Aggregation::Histogram { interval_seconds: Some(interval) }],
                ..SearchRequest::default()
            };
            let found = store.search(&request, &Cancel::new());
            let span = inside.iter().max().zip(inside.iter().min()).map_or(0, |(a, b)| a - b);
            if span / interval as i64 >= 9_999 {
                // Around the limit either answer is right; above it only the refusal.
                prop_assert!(found.is_err() || span / (interval as i64) < 10_001);
                continue;
            }
            let found = found.unwrap();
            prop_assert_eq!(found.total, inside.len() as u64);
            let Aggregated::Histogram { buckets, interval_seconds } = &found.aggregations[0] else {
                panic!("a histogram")
            };
            prop_assert_eq!(*interval_seconds, interval);
            let mut expected = std::collections::BTreeMap::new();
            for offset in &inside {
                let start = time(*offset).seconds().div_euclid(interval as i64) * interval as i64;
                *expected.entry(start).or_insert(0_u64) += 1;
            }
            let given: std::collections::BTreeMap<i64, u64> = buckets
                .iter()
                .filter(|bucket| bucket.count > 0)
                .map(|bucket| (bucket.start.seconds(), bucket.count))
                .collect();
            prop_assert_eq!(given, expected);
            let steps = buckets.windows(2).all(|pair| {
                pair[1].start.seconds() - pair[0].start.seconds() == interval as i64
            });
            prop_assert!(steps, "empty buckets are listed too");
        }
    }
}
