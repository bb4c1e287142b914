//! What is stored comes back as it was, groupings count right, and the books of the store balance.

use super::*;
use crate::search::value::MAX_VALUES;

/// Any JSON a sender may come up with.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300_f64).prop_map(Value::from),
        ".{0,30}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(".{0,12}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn documents_come_back_as_they_were(values in proptest::collection::vec(json_value(), 1..8)) {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let source = source("a");
        let documents: Vec<Document> = (1..)
            .zip(values)
            .map(|(seq, value)| document(&source, seq, NOW, json!({ "own": value })))
            .collect();
        append(&store, &source, documents.clone());
        store.flush().unwrap();
        let mut found: Vec<Document> = find(&store, "").hits.into_iter().map(|hit| hit.document).collect();
        found.sort_by_key(|d| d["event"]["id"].as_str().unwrap().parse::<EventId>().unwrap().seq);
        prop_assert_eq!(&found, &documents);
        let figures = store.figures();
        prop_assert_eq!((figures.intake.residue(), figures.index.residue()), (0, 0));
        // The same after a crash, read back from the log.
        drop(store);
        std::fs::remove_dir_all(directory.path().join("index")).unwrap();
        std::fs::remove_file(directory.path().join("index.position")).unwrap();
        let store = open(directory.path());
        store.flush().unwrap();
        let again = find(&store, "").hits.len();
        prop_assert_eq!(again, documents.len());
    }

    #[test]
    fn groupings_agree_with_counting(picks in proptest::collection::vec((0..6_u8, 0..3_u8), 1..60), size in 1..8_usize) {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let source = source("a");
        let mut expected = std::collections::BTreeMap::new();
        let documents = (1..)
            .zip(&picks)
            .map(|(seq, (user, day))| {
                let name = format!("user{user}");
                *expected.entry(name.clone()).or_insert(0_u64) += 1;
                let time = now().plus_seconds(-86_400 * i64::from(*day)).to_string();
                document(&source, seq, &time, json!({ "user": { "name": name } }))
            })
            .collect();
        append(&store, &source, documents);
        store.flush().unwrap();
        let request = SearchRequest {
            limit: 0,
            aggregations: vec![Aggregation::terms("user.name", size)],
            ..SearchRequest::default()
        };
        let found = store.search(&request, &Cancel::new()).unwrap();
        let Aggregated::Terms { buckets, other, .. } = &found.aggregations[0] else { panic!("terms") };
        prop_assert_eq!(buckets.len(), expected.len().min(size));
        prop_assert!(buckets.windows(2).all(|pair| pair[0].count >= pair[1].count));
        for TermBucket { value, count, .. } in buckets {
            prop_assert_eq!(Some(count), expected.get(value));
        }
        let listed: u64 = buckets.iter().map(|bucket| bucket.count).sum();
        prop_assert_eq!(listed + other, picks.len() as u64);
        let least = buckets.iter().map(|bucket| bucket.count).min().unwrap_or(0);
        let named: BTreeSet<&String> = buckets.iter().map(|bucket| &bucket.value).collect();
        prop_assert!(expected.iter().all(|(name, count)| named.contains(name) || *count <= least));
    }
}

#[test]
fn values_beyond_the_limit_are_kept_but_not_searchable_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let source = source("a");
    // timestamp and event.id are values too.
    let fits = usize::try_from(MAX_VALUES).unwrap() - 2;
    let many = |count: usize| {
        let fields: serde_json::Map<String, Value> =
            (0..count).map(|n| (format!("k{n:05}"), json!(n))).collect();
        Value::Object(fields)
    };
    append(&store, &source, vec![document(&source, 1, NOW, many(fits))]);
    store.flush().unwrap();
    assert_eq!(store.figures().values_capped, 0);
    append(&store, &source, vec![document(&source, 2, NOW, many(fits + 5))]);
    store.flush().unwrap();
    let figures = store.figures();
    assert!((5..=7).contains(&figures.values_capped), "{}", figures.values_capped);
    assert_eq!(find(&store, "k00001:1").total, 2);
    let whole = find(&store, "*").hits;
    assert!(whole.iter().any(|hit| hit.document.contains_key(&format!("k{:05}", fits + 4))));
}

#[test]
fn names_that_are_no_fields_are_kept_and_harm_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let source = source("a");
    let long = "n".repeat(300);
    let fields = json!({
        "": 1, ".": 2, "a..b": 3, "back\\slash": 4, "tab\t": 5, "\u{0}": 6, long: 7,
        "good": "needle", "deep": (0..60).fold(json!(1), |inner, _| json!({ "d": inner })),
    });
    append(&store, &source, vec![document(&source, 1, NOW, fields.clone())]);
    assert_eq!(ids(&store, "needle").len(), 1);
    let found = find(&store, "good:needle").hits.remove(0).document;
    for (name, value) in fields.as_object().unwrap() {
        assert_eq!(found.get(name), Some(value), "{name:?}");
    }
    assert!(store.figures().values_capped > 0);
}

#[test]
fn what_is_covered_is_what_was_appended() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mine = source("a");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let covered = |store: &Embedded, last| {
        runtime.block_on(Store::covered(store, mine.clone(), last)).unwrap()
    };
    assert_eq!(covered(&store, 100), 0);
    append(&store, &mine, batch(&mine, 1..=10));
    append(&store, &mine, batch(&mine, 21..=30));
    assert_eq!((covered(&store, 100), covered(&store, 25), covered(&store, 15)), (20, 15, 10));
    let other = SourceKey { boot: 2, ..mine.clone() };
    assert_eq!(runtime.block_on(Store::covered(&store, other, 100)).unwrap(), 0);
    drop(store);
    let store = open(directory.path());
    assert_eq!(covered(&store, 100), 20, "also after a crash");
}

#[test]
fn long_words_and_keywords_are_cut_alike_in_documents_and_queries() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let source = source("a");
    let (long, longer) = ("k".repeat(5_000), "k".repeat(6_000));
    let fields = json!({ "own": long, "message": format!("{} tail", "w".repeat(300)) });
    append(&store, &source, vec![document(&source, 1, NOW, fields)]);
    store.flush().unwrap();
    for (query, expected) in [
        (format!("own:{long}"), 1),
        (format!("own:{longer}"), 1),
        (format!("own:{}", "k".repeat(4_095)), 0),
        (format!("message:{}", "w".repeat(300)), 1),
        (format!("message:{}", "w".repeat(128)), 1),
        (format!("message:{}", "w".repeat(127)), 0),
        ("message:tail".to_owned(), 1),
    ] {
        assert_eq!(find(&store, &query).total, expected, "{} bytes", query.len());
    }
}
