//! The newest and the oldest hits of any query, over blocks, segments and partitions, whatever the order of arrival:
//! the same pages, counts and histograms as by sorting everything.

use super::*;
use crate::search::aggregate::TimeBucket;
use crate::search::{Cursor, HitOrder};

/// What of the events is asked.
fn queries() -> impl Strategy<Value = (&'static str, fn(u64) -> bool)> {
    let all: fn(u64) -> bool = |_| true;
    let third: fn(u64) -> bool = |seq| seq.is_multiple_of(3);
    let rare: fn(u64) -> bool = |seq| seq.is_multiple_of(97);
    let both: fn(u64) -> bool = |seq| seq.is_multiple_of(3) && seq > 50;
    let none: fn(u64) -> bool = |_| false;
    prop_oneof![
        Just(("", all)),
        Just(("process.name:third", third)),
        Just(("process.title:rare", rare)),
        Just(("process.name:third n:>50", both)),
        Just(("process.name:nothing", none)),
    ]
}

#[derive(Debug)]
struct Made {
    store: Embedded,
    _directory: tempfile::TempDir,
    /// Seconds before now, by sequence from 1.
    ages: Vec<i64>,
}

fn made(ages: Vec<i64>, flush_every: usize) -> Made {
    let directory = tempfile::tempdir().unwrap();
    let (store, source) = (open(directory.path()), source("a"));
    for (number, part) in ages.chunks(flush_every).enumerate() {
        let first = number * flush_every;
        let documents = part.iter().enumerate().map(|(at, age)| {
            let seq = u64::try_from(first + at + 1).unwrap();
            let name = if seq.is_multiple_of(3) { "third" } else { "other" };
            let title = if seq.is_multiple_of(97) { "rare" } else { "usual" };
            let fields = json!({"n": seq, "process": {"name": name, "title": title}});
            document(&source, seq, &now().plus_seconds(-age).to_string(), fields)
        });
        append(&store, &source, documents.collect());
        store.flush().unwrap();
    }
    Made { store, _directory: directory, ages }
}

impl Made {
    /// Sequences that match, newest first; of one time the larger sequence first.
    fn expected(&self, matches: fn(u64) -> bool, range: (i64, i64)) -> Vec<u64> {
        let mut found: Vec<(i64, u64)> = (1..)
            .zip(&self.ages)
            .filter(|(seq, age)| matches(*seq) && (range.0..=range.1).contains(*age))
            .map(|(seq, age)| (-age, seq))
            .collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.into_iter().map(|(_, seq)| seq).collect()
    }

    fn page(&self, request: &SearchRequest) -> (Vec<u64>, SearchResponse) {
        let response = self.store.search(request, &Cancel::new()).unwrap();
        let seqs = response.hits.iter().map(|hit| hit.document["n"].as_u64().unwrap()).collect();
        (seqs, response)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn pages_are_those_of_sorting_everything(
        ages in prop_oneof![
            // Nearly in order, as events arrive, over a day's border; or in no order at all.
            prop::collection::vec(0..40_i64, 1..400)
                .prop_map(|jitter| (0..).zip(jitter).map(|(at, late)| (500 - at) * 240 + late * 60).collect()),
            prop::collection::vec(0..200_000_i64, 1..400),
        ],
        flush_every in 20..400_usize,
        (query, matches) in queries(),
        limit in 1..60_usize,
        order in prop_oneof![Just(HitOrder::Newest), Just(HitOrder::Oldest)],
        range in prop_oneof![
            Just((i64::MIN, i64::MAX)),
            (0..100_000_i64, 0..100_000_i64).prop_map(|(from, more)| (from, from + more)),
        ],
    ) {
        let made = made(ages, flush_every);
        let mut expected = made.expected(matches, range);
        if order == HitOrder::Oldest {
            expected.reverse();
        }
        let timed = range.1 < i64::MAX;
        let time = |age: i64| timed.then(|| now().plus_seconds(-age).to_string());
        let mut request = SearchRequest {
            query: query.to_owned(),
            from: time(range.1),
            // Exclusive.
            to: time(range.0.saturating_sub(1)),
            limit,
            order,
            aggregations: vec![Aggregation::Histogram { interval_seconds: Some(3600) }],
            ..SearchRequest::default()
        };
        let (_, response) = made.page(&request);
        let mut hours = std::collections::BTreeMap::<i64, u64>::new();
        for seq in &expected {
            let age = made.ages[usize::try_from(*seq).unwrap() - 1];
            let time = now().plus_seconds(-age).micros();
            *hours.entry(time.div_euclid(3_600_000_000)).or_default() += 1;
        }
        let Aggregated::Histogram { buckets, .. } = &response.aggregations[0] else { panic!() };
        let filled = |bucket: &&TimeBucket| bucket.count > 0;
        let found: Vec<(i64, u64)> = buckets
            .iter()
            .filter(filled)
            .map(|bucket| (bucket.start.micros().div_euclid(3_600_000_000), bucket.count))
            .collect();
        prop_assert_eq!(found, hours.into_iter().collect::<Vec<_>>());
        request.aggregations.clear();
        let mut found = Vec::new();
        loop {
            let (page, response) = made.page(&request);
            prop_assert_eq!(response.total, expected.len() as u64);
            prop_assert!(page.len() <= limit);
            found.extend(page);
            let next: Option<Cursor> = response.next;
            match next {
                Some(cursor) if found.len() <= expected.len() => request.after = Some(cursor),
                _ => break,
            }
        }
        prop_assert_eq!(found, expected);
    }
}
