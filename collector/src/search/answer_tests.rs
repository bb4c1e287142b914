//! Paging, bounds and what is said of them, over a store that is a list.

use super::*;
use crate::search::{Cursor, FieldSeen, Hit, Matcher, PartitionFailure, ValueSeen};
use crate::store::{
    Append, AppendOutcome, BoxFuture, Figures, RetentionPolicy, RetentionReport, SourceKey,
    StoreError,
};
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};

const START: i64 = 1_795_000_000_000_000;

/// Events, newest first, and how often they were asked for.
#[derive(Debug, Default)]
struct List {
    hits: Vec<Hit>,
    asked: AtomicU64,
    failures: Vec<PartitionFailure>,
    partial: bool,
    cancels: Option<Cancel>,
}

fn now() -> Timestamp {
    Timestamp::from_micros(START)
}

/// `count` events, two of each microsecond.
fn list(count: i64) -> List {
    let hit = |n: i64| {
        let fields = json!({ "n": n, "kind": if n % 3 == 0 { "a" } else { "b" },
            "timestamp": Timestamp::from_micros(START - n / 2).to_string() });
        let serde_json::Value::Object(document) = fields else { panic!("an object") };
        let tie = u64::try_from(count - n).unwrap();
        Hit { id: n.to_string(), cursor: Cursor { time: START - n / 2, tie }, document }
    };
    List { hits: (0..count).map(hit).collect(), ..List::default() }
}

impl Store for List {
    fn append(&self, _: Append) -> BoxFuture<'_, Result<AppendOutcome, StoreError>> {
        Box::pin(async { Err(StoreError::Stopped) })
    }

    fn covered(&self, _: SourceKey, _: u64) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async { Err(StoreError::Stopped) })
    }

    fn search(
        &self,
        request: &SearchRequest,
        cancel: &Cancel,
    ) -> Result<SearchResponse, SearchError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if cancel.is_cancelled() {
            return Err(SearchError::Cancelled);
        }
        if !request.aggregations.is_empty() {
            return Err(SearchError::Ungroupable { field: "of a list".into() });
        }
        if let Some(cancel) = &self.cancels {
            cancel.cancel();
        }
        let matcher = Matcher::new(&request.query, now())?.within(
            request.from.as_deref(),
            request.to.as_deref(),
            now(),
        )?;
        let matching: Vec<&Hit> =
            self.hits.iter().filter(|hit| matcher.matches(&hit.document)).collect();
        let place = |cursor| request.order.place(cursor);
        let behind =
            |hit: &&&Hit| request.after.is_none_or(|after| place(hit.cursor) < place(after));
        let mut rest: Vec<Hit> =
            matching.iter().filter(behind).map(|hit| (**hit).clone()).collect();
        rest.sort_by_key(|hit| std::cmp::Reverse(place(hit.cursor)));
        let hits: Vec<Hit> = rest.iter().take(request.limit).cloned().collect();
        Ok(SearchResponse {
            total: matching.len() as u64,
            next: hits.last().filter(|_| hits.len() < rest.len()).map(|hit| hit.cursor),
            hits,
            partial: self.partial,
            failures: self.failures.clone(),
            partitions: 1,
            ..SearchResponse::default()
        })
    }

    fn fields(&self) -> Result<Vec<FieldSeen>, SearchError> {
        Ok(Vec::new())
    }

    fn values(&self, _: &str, _: &str, _: usize) -> Result<Vec<ValueSeen>, SearchError> {
        Ok(Vec::new())
    }

    fn retain(&self, _: &RetentionPolicy) -> Result<RetentionReport, StoreError> {
        Err(StoreError::Stopped)
    }

    fn holding(&self, _: &[&str]) -> Result<Vec<crate::store::Holding>, StoreError> {
        Err(StoreError::Stopped)
    }

    fn redact(
        &self,
        _: crate::redaction::Order,
    ) -> Result<crate::redaction::Tombstone, StoreError> {
        Err(StoreError::Stopped)
    }

    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn storage(&self) -> crate::store::StorageFigures {
        crate::store::StorageFigures::default()
    }

    fn figures(&self) -> Figures {
        Figures::default()
    }
}

fn ask(store: &List, query: &str, limit: usize) -> Answer {
    let request = SearchRequest { query: query.into(), limit, ..SearchRequest::default() };
    answer(store, &request, &Cancel::new(), now())
        .unwrap_or_else(|error| panic!("{query}: {error}"))
}

fn rows(answer: &Answer) -> String {
    let table = answer.table.as_ref().unwrap();
    let rows: Vec<String> = table.rows.iter().map(|row| json!(row).to_string()).collect();
    rows.join(" ")
}

#[test]
fn pages_are_joined_without_losing_or_repeating_an_event() {
    let store = list(12_001);
    let answer = ask(&store, "* | stats count() dc(n) min(n) max(n) by kind", 1);
    assert_eq!(rows(&answer), r#"["a",4001,4001,0,12000] ["b",8000,8000,1,11999]"#);
    assert_eq!((answer.found.total, answer.found.partial), (12_001, false));
    assert_eq!(store.asked.load(Ordering::Relaxed), 3);
    let answer = ask(&store, "kind:a | sort n | head 2 | fields n", 1);
    assert_eq!(rows(&answer), "[0] [3]");
}

#[test]
fn nothing_is_read_that_cannot_matter() {
    let store = list(12_001);
    let answer = ask(&store, "* | head 3 | stats count()", 50);
    assert_eq!((rows(&answer), store.asked.load(Ordering::Relaxed)), ("[3]".into(), 1));
    let store = list(12_001);
    let answer = ask(&store, "kind:b | fields n", 3);
    assert_eq!((rows(&answer), store.asked.load(Ordering::Relaxed)), ("[1] [2] [4]".into(), 1));
    assert!(!answer.found.partial, "{:?}", answer.missing);
    let answer = ask(&store, "kind:b | fields - kind", 2);
    let found: Vec<bool> =
        answer.found.hits.iter().map(|hit| hit.document.contains_key("kind")).collect();
    assert_eq!((found, answer.table), (vec![false, false], None));
}

#[test]
fn an_order_by_time_is_the_stores() {
    let check = |query: &str, order: HitOrder, expected: (&str, u64, bool)| {
        let store = list(12_001);
        let request =
            SearchRequest { query: query.into(), order, limit: 3, ..SearchRequest::default() };
        let answer = answer(&store, &request, &Cancel::new(), now()).unwrap();
        let found = match &answer.table {
            Some(_) => rows(&answer),
            None => {
                json!(answer.found.hits.iter().map(|hit| &hit.id).collect::<Vec<_>>()).to_string()
            }
        };
        let asked = store.asked.load(Ordering::Relaxed);
        assert_eq!((found.as_str(), asked, answer.more), expected, "{query}");
    };
    let newest = HitOrder::Newest;
    check("* | sort timestamp", newest, (r#"["12000","11999","11998"]"#, 1, true));
    check("* | sort -@timestamp", HitOrder::Oldest, (r#"["0","1","2"]"#, 1, true));
    check("n:<2 | sort timestamp", newest, (r#"["1","0"]"#, 1, false));
    check("* | sort timestamp | head 2 | fields n", newest, ("[12000] [11999]", 1, false));
    check("* | head 2 | fields n", HitOrder::Oldest, ("[12000] [11999]", 1, false));
    // Pages of events that stages look at go the same way.
    let pages = "* | sort timestamp | dedup kind | stats max(n)";
    check(pages, newest, ("[12000]", 3, false));
    // Another order needs all of them, and keeps so many.
    check("* | sort timestamp, n | head 2 | fields n", newest, ("[12000] [11998]", 3, false));
    check("* | sort n", newest, (r#"["0","1","2"]"#, 3, true));
}

#[test]
fn what_is_missing_is_said() {
    let check = |store: &List, query: &str, budget_ms: u64| {
        let request = SearchRequest { query: query.into(), budget_ms, ..SearchRequest::default() };
        let answer = answer(store, &request, &Cancel::new(), now()).unwrap();
        assert_eq!(answer.found.partial, !answer.missing.is_empty());
        let each = answer
            .missing
            .iter()
            .map(|one| format!("{:?} {:?}: {}", one.reason, one.count, one.words));
        each.collect::<Vec<_>>().join("\n")
    };
    let mut store = list(12_001);
    assert_eq!(check(&store, "*", 10_000), "");
    let over = check(&store, "* | stats dc(n)", 0);
    assert!(over.starts_with("Time Some(7001)") && over.contains("newest 5000 of 12001"), "{over}");
    let over = check(&store, "* | sort timestamp | stats dc(n)", 0);
    assert!(over.contains("oldest 5000 of 12001"), "{over}");
    let groups = check(&store, "* | stats count() by n", 10_000);
    assert!(groups.starts_with("Groups Some(2001)"), "{groups}");
    store.failures.push(PartitionFailure { partition: "p".into(), reason: "damaged".into() });
    let failed = check(&store, "* | stats count()", 10_000);
    assert!(failed.starts_with("Partitions Some(1)"), "{failed}");
    store.partial = true;
    let both = check(&store, "*", 10_000);
    assert!(both.contains("Time None") && both.contains("Partitions Some(1)"), "{both}");
}

#[test]
fn the_caller_can_go_away_between_pages() {
    let cancel = Cancel::new();
    let store = List { cancels: Some(cancel.clone()), ..list(12_001) };
    let request = SearchRequest { query: "* | stats dc(n)".into(), ..SearchRequest::default() };
    let gone = answer(&store, &request, &cancel, now());
    assert!(matches!(gone, Err(SearchError::Cancelled)), "{gone:?}");
    assert_eq!(store.asked.load(Ordering::Relaxed), 2);
}

#[test]
fn wrong_stages_and_times_are_refused_before_the_store_is_asked() {
    let store = list(1);
    for (query, from) in [("* | stats", None), ("* | head", Some("yesterday"))] {
        let request = SearchRequest {
            query: query.into(),
            from: from.map(str::to_owned),
            ..SearchRequest::default()
        };
        assert!(answer(&store, &request, &Cancel::new(), now()).is_err());
    }
    assert_eq!(store.asked.load(Ordering::Relaxed), 0);
}
