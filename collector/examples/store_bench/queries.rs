//! CPU time of queries over an index that is there and warm.

use std::path::Path;

use anyhow::Result;
use pikett_collector::search::{Aggregation, Cancel, SearchRequest};
use pikett_collector::store::index::schema::Fields;
use pikett_collector::store::{Embedded, Store as _};
use serde_json::{Value, json};
use tantivy::aggregation::agg_req::Aggregations;
use tantivy::aggregation::{AggContextParams, AggregationCollector};
use tantivy::collector::{Count, TopDocs};
use tantivy::query::{AllQuery, Query, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::{DateTime, Order, Searcher, TantivyDocument, Term};

use super::{Mode, bare, store, thread_millis};

/// Most hits fetched.
const LIMIT: usize = 50;

/// One query in both languages.
struct Case {
    name: &'static str,
    /// A field and its value; everything without.
    term: Option<(&'static str, &'static str)>,
    /// Number of hits wanted.
    limit: usize,
    grouping: Option<Grouping>,
}

#[derive(Clone, Copy)]
enum Grouping {
    /// Events in 60 seconds.
    Histogram,
    /// Most frequent values.
    Terms(&'static str),
}

const CASES: [Case; 7] = [
    Case { name: "newest 50 of all", term: None, limit: LIMIT, grouping: None },
    Case {
        name: "newest 50 of a common term",
        term: Some(("event_type", "flow")),
        limit: LIMIT,
        grouping: None,
    },
    Case {
        name: "newest 50 of a rare term",
        term: Some(("event.id", "bench/1/77777")),
        limit: LIMIT,
        grouping: None,
    },
    Case {
        name: "count of a common term",
        term: Some(("event_type", "dns")),
        limit: 0,
        grouping: None,
    },
    Case { name: "histogram of all", term: None, limit: 0, grouping: Some(Grouping::Histogram) },
    Case {
        name: "histogram of a common term",
        term: Some(("event_type", "flow")),
        limit: 0,
        grouping: Some(Grouping::Histogram),
    },
    Case {
        name: "terms of source.ip",
        term: None,
        limit: 0,
        grouping: Some(Grouping::Terms("source.ip")),
    },
];

pub(crate) fn run(mode: Mode, directory: &Path, repeats: usize) -> Result<()> {
    let mut out = serde_json::Map::new();
    if mode == Mode::Store {
        let store = store(directory)?;
        for case in &CASES {
            out.insert(case.name.to_owned(), median(repeats, || ask(&store, case))?);
        }
        store.close();
    } else {
        let index = bare::open(mode, directory)?;
        let (fields, searcher) = (Fields::of(&index.schema())?, index.reader()?.searcher());
        for case in &CASES {
            out.insert(case.name.to_owned(), median(repeats, || plain(&searcher, &fields, case))?);
        }
    }
    println!("{}", Value::Object(out));
    Ok(())
}

/// Runs once to warm up, then gives the median CPU time and the number of hits.
fn median(repeats: usize, mut run: impl FnMut() -> Result<u64>) -> Result<Value> {
    let hits = run()?;
    let mut times = Vec::new();
    for _ in 0..repeats.max(1) {
        let before = thread_millis()?;
        run()?;
        times.push(thread_millis()? - before);
    }
    times.sort_by(f64::total_cmp);
    Ok(json!({"cpu_ms": times.get(times.len() / 2), "hits": hits}))
}

fn ask(store: &Embedded, case: &Case) -> Result<u64> {
    let aggregations = match case.grouping {
        None => Vec::new(),
        Some(Grouping::Histogram) => {
            vec![Aggregation::Histogram { interval_seconds: Some(60) }]
        }
        Some(Grouping::Terms(field)) => {
            let terms = json!({"type": "terms", "field": field, "size": 10});
            vec![serde_json::from_value(terms)?]
        }
    };
    let query = case.term.map_or_else(String::new, |(field, value)| format!("{field}:\"{value}\""));
    let request =
        SearchRequest { query, limit: case.limit, aggregations, ..SearchRequest::default() };
    Ok(store.search(&request, &Cancel::default())?.total)
}

fn plain(searcher: &Searcher, fields: &Fields, case: &Case) -> Result<u64> {
    let query: Box<dyn Query> = match case.term {
        None => Box::new(AllQuery),
        Some((field, value)) => {
            let field = event::canonical(field);
            let known = fields.known.get(field).copied();
            let field = known.ok_or_else(|| anyhow::anyhow!("no field {field}"))?;
            Box::new(TermQuery::new(Term::from_field_text(field, value), IndexRecordOption::Basic))
        }
    };
    match case.grouping {
        None if case.limit == 0 => Ok(u64::try_from(searcher.search(&*query, &Count)?)?),
        None => {
            let newest = TopDocs::with_limit(case.limit)
                .order_by_fast_field::<DateTime>("timestamp", Order::Desc);
            let (hits, count) = searcher.search(&*query, &(newest, Count))?;
            for (_, address) in hits {
                let _document: TantivyDocument = searcher.doc(address)?;
            }
            Ok(u64::try_from(count)?)
        }
        Some(grouping) => {
            let request = match grouping {
                Grouping::Histogram => {
                    json!({"a": {"date_histogram": {"field": "timestamp", "fixed_interval": "60s"}}})
                }
                Grouping::Terms(field) => {
                    json!({"a": {"terms": {"field": event::canonical(field), "size": 10}}})
                }
            };
            let request: Aggregations = serde_json::from_value(request)?;
            let collector = AggregationCollector::from_aggs(request, AggContextParams::default());
            let (_groups, count) = searcher.search(&*query, &(collector, Count))?;
            Ok(u64::try_from(count)?)
        }
    }
}
