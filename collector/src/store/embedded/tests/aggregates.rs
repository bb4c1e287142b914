//! Aggregations: the index answers as counting by hand does; limits and refusals say what is wrong.

use super::*;
use crate::search::SearchError;
use crate::search::aggregate::{Filter, Metric, Named, Order, OrderBy, Range};
use crate::search::calendar::{Unit, Zone};

mod model;

const DAY_MS: u64 = 86_400_000;

/// Events of three days with every type of field, several values and values that do not fit.
fn events() -> Vec<Document> {
    let source = source("a");
    let noon = "2026-11-21T00:00:00Z".parse::<Timestamp>().unwrap().micros();
    (1..=60_u64)
        .map(|seq| {
            let step = i64::try_from(seq).unwrap();
            // On the borders of spans, one microsecond before and after.
            let time = noon + step * 3_600_000_000 + [0, -1, 1][usize::try_from(seq % 3).unwrap()];
            let mut fields = json!({
                "src_ip": format!("10.0.0.{}", seq % 4), "dest_port": [440 + seq % 3, 440 + seq % 3],
                "event_type": (["dns", "tls", "http"][usize::try_from(seq % 3).unwrap()]),
                "flow": {"alerted": seq % 2 == 0, "age": (seq % 5) as f64 / 2.0,
                    "start": Timestamp::from_micros(time - 1_500_000).to_string()},
                "alert": {"signature": format!("Rule {}", seq % 2)},
                "own": {"tag": ["x", format!("t{}", seq % 5)], "n": seq % 7, "big": -step * 1000},
            });
            if seq % 6 == 0 {
                fields["src_ip"] = json!("not an address");
                fields["own"]["n"] = json!("seven");
            }
            if seq % 10 == 0 {
                let object = fields.as_object_mut().unwrap();
                object.remove("event_type");
                object.remove("flow");
            }
            document(&source, seq, &Timestamp::from_micros(time).to_string(), fields)
        })
        .collect()
}

fn filled(directory: &Path) -> (Embedded, Vec<Document>) {
    let store = open(directory);
    let documents = events();
    for part in documents.chunks(25) {
        append(&store, &source("a"), part.to_vec());
        store.flush().unwrap();
    }
    (store, documents)
}

fn ask(
    store: &Embedded,
    query: &str,
    list: Vec<Aggregation>,
) -> Result<SearchResponse, SearchError> {
    let request = SearchRequest {
        query: query.into(),
        limit: 0,
        aggregations: list,
        ..SearchRequest::default()
    };
    store.search(&request, &Cancel::new())
}

/// An aggregation as the search API takes it.
fn read(json: Value) -> Aggregation {
    serde_json::from_value(json).unwrap()
}

#[test]
fn answers_as_the_api_gives_them() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = filled(directory.path());
    let check = |json: Value, expected: expect_test::Expect| {
        let found = ask(&store, "", vec![read(json)]).unwrap();
        expected.assert_eq(&serde_json::to_string(&found.aggregations[0]).unwrap());
    };
    check(
        json!({"type": "terms", "field": "network.protocol", "size": 5}),
        expect_test::expect![[r#"{"type":"terms","field":"app_proto","buckets":[],"other":0}"#]],
    );
    check(
        json!({"type": "terms", "field": "event_type", "size": 2, "missing": "none", "order": {"by": "value"},
            "aggregations": {"ports": {"type": "metric", "field": "destination.port", "metric": "max"},
                "who": {"type": "terms", "field": "source.ip", "size": 1}}}),
        expect_test::expect![[
            r#"{"type":"terms","field":"event_type","buckets":[{"value":"tls","count":18,"aggregations":{"ports":{"type":"value","field":"dest_port","value":441.0},"who":{"type":"terms","field":"src_ip","buckets":[{"value":"10.0.0.1","count":5}],"other":13}}},{"value":"none","count":6,"aggregations":{"ports":{"type":"value","field":"dest_port","value":442.0},"who":{"type":"terms","field":"src_ip","buckets":[{"value":"10.0.0.0","count":2}],"other":2}}}],"other":36}"#
        ]],
    );
    check(
        json!({"type": "date_histogram", "interval_ms": DAY_MS, "offset_ms": 3_600_000,
            "aggregations": {"alerted": {"type": "terms", "field": "flow.alerted", "size": 2}}}),
        expect_test::expect![[
            r#"{"type":"date_histogram","field":"timestamp","interval_ms":86400000,"buckets":[{"start":"2026-11-20T01:00:00.000000+0000","count":1,"aggregations":{"alerted":{"type":"terms","field":"flow.alerted","buckets":[{"value":"false","kind":"bool","count":1}],"other":0}}},{"start":"2026-11-21T01:00:00.000000+0000","count":24,"aggregations":{"alerted":{"type":"terms","field":"flow.alerted","buckets":[{"value":"false","kind":"bool","count":12},{"value":"true","kind":"bool","count":10}],"other":0}}},{"start":"2026-11-22T01:00:00.000000+0000","count":24,"aggregations":{"alerted":{"type":"terms","field":"flow.alerted","buckets":[{"value":"false","kind":"bool","count":12},{"value":"true","kind":"bool","count":10}],"other":0}}},{"start":"2026-11-23T01:00:00.000000+0000","count":11,"aggregations":{"alerted":{"type":"terms","field":"flow.alerted","buckets":[{"value":"false","kind":"bool","count":5},{"value":"true","kind":"bool","count":4}],"other":0}}}]}"#
        ]],
    );
    check(
        json!({"type": "ranges", "field": "src_ip", "ranges": [{"to": "10.0.0.2"}, {"name": "rest", "from": "10.0.0.2"}]}),
        expect_test::expect![[
            r#"{"type":"ranges","field":"src_ip","buckets":[{"name":"*-10.0.0.2","count":25},{"name":"rest","count":25}]}"#
        ]],
    );
    check(
        json!({"type": "filters", "filters": [{"name": "a", "query": "flow.age:>1"}, {"name": "b"}],
            "aggregations": {"first": {"type": "metric", "field": "timestamp", "metric": "min"}}}),
        expect_test::expect![[
            r#"{"type":"filters","buckets":[{"name":"a","count":24,"aggregations":{"first":{"type":"value","field":"timestamp","value":1795230000000.0,"time":"2026-11-21T03:00:00.000000+0000"}}},{"name":"b","count":60,"aggregations":{"first":{"type":"value","field":"timestamp","value":1795222799999.999,"time":"2026-11-21T00:59:59.999999+0000"}}}]}"#
        ]],
    );
    check(
        json!({"type": "metric", "field": "own.big", "metric": "stats"}),
        expect_test::expect![[
            r#"{"type":"stats","field":"own.big","count":60,"sum":-1830000.0,"min":-60000.0,"max":-1000.0,"average":-30500.0}"#
        ]],
    );
    check(
        json!({"type": "metric", "field": "own.big", "metric": {"percentiles": [0, 50, 100]}}),
        expect_test::expect![[
            r#"{"type":"percentiles","field":"own.big","values":[{"percent":0.0,"value":-60000.0},{"percent":50.0,"value":-31266.265576532838},{"percent":100.0,"value":-1000.0}]}"#
        ]],
    );
    check(
        json!({"type": "number_histogram", "field": "flow.age", "interval": 0.75, "bounds": [0, 3]}),
        expect_test::expect![[
            r#"{"type":"number_histogram","field":"flow.age","interval":0.75,"buckets":[{"start":0.0,"count":18},{"start":0.75,"count":12},{"start":1.5,"count":24},{"start":2.25,"count":0},{"start":3.0,"count":0}]}"#
        ]],
    );
}

#[test]
fn what_cannot_be_answered_is_refused_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = filled(directory.path());
    let check = |json: Value, expected: &str| {
        let error = ask(&store, "", vec![read(json)]).unwrap_err().to_string();
        assert_eq!(error, expected);
    };
    let terms = |more: Value| {
        let mut all = json!({"type": "terms", "field": "event_type", "size": 5});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let below = |json: Value| terms(json!({"aggregations": {"x": json}}));
    check(
        terms(json!({"field": "message"})),
        "cannot group by message; group by a keyword, number, address or short text field",
    );
    check(
        terms(json!({"field": "@timestamp"})),
        "cannot group by timestamp; group by a keyword, number, address or short text field",
    );
    check(terms(json!({"size": 10_001})), "number of values is 10001, at most 10000 is allowed");
    check(terms(json!({"min_count": 0})), "aggregation 0: min_count of values must be at least 1");
    check(
        terms(json!({"order": {"by": {"metric": "x"}}})),
        "aggregation 0: order needs the name of a sum, average, min, max or distinct below it",
    );
    check(
        below(json!({"type": "histogram"})),
        "aggregation 0.x: histogram stands at the first level only; use date_histogram",
    );
    check(
        below(json!({"type": "metric", "field": "host.name", "metric": "sum"})),
        "aggregation 0.x: sum needs numbers, host.name has none",
    );
    check(
        below(json!({"type": "metric", "field": "src_ip", "metric": "max"})),
        "aggregation 0.x: max needs numbers or times, src_ip has none",
    );
    check(
        below(json!({"type": "metric", "field": "own.n", "metric": {"percentiles": [101]}})),
        "aggregation 0.x: percentiles lie between 0 and 100",
    );
    check(
        json!({"type": "date_histogram", "field": "src_ip", "interval_ms": 5}),
        "aggregation 0: needs a field of times",
    );
    check(
        json!({"type": "date_histogram", "interval_ms": 0}),
        "aggregation 0: interval_ms must be from 1 to 100 years",
    );
    check(
        json!({"type": "date_histogram", "interval_ms": 5, "offset_ms": -5}),
        "aggregation 0: offset_ms must be shorter than interval_ms",
    );
    check(
        json!({"type": "date_histogram", "interval_ms": 5, "bounds": [2, 1]}),
        "aggregation 0: bounds must be two numbers, the first not above the second",
    );
    check(
        json!({"type": "date_histogram", "interval_ms": 5, "bounds": [1, 2], "min_count": 1}),
        "aggregation 0: bounds list empty buckets, so min_count must be 0",
    );
    check(
        json!({"type": "number_histogram", "field": "own.n", "interval": 0.0}),
        "aggregation 0: interval must be above 0",
    );
    check(
        json!({"type": "ranges", "field": "message", "ranges": [{}]}),
        "aggregation 0: needs a field with an order",
    );
    check(json!({"type": "filters", "filters": []}), "aggregation 0: has no filters");
    let unknown: Result<Aggregation, _> = serde_json::from_value(terms(json!({"no_such": 1})));
    assert!(unknown.unwrap_err().to_string().contains("no_such"));
}

#[test]
fn ranges_that_cannot_be_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = filled(directory.path());
    let check = |json: Value, expected: &str| {
        assert_eq!(ask(&store, "", vec![read(json)]).unwrap_err().to_string(), expected);
    };
    check(
        json!({"type": "ranges", "field": "src_ip", "ranges": []}),
        "aggregation 0: has no ranges",
    );
    check(
        json!({"type": "ranges", "field": "src_ip", "ranges": [{"from": "x"}]}),
        "column 1: src_ip: \"x\" is no address; write 10.0.0.1, 10.0.0.0/8, 10.0.*, fe80::/10 or [10.0.0.1 TO 10.0.0.9]",
    );
}

#[test]
fn limits_hold() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = filled(directory.path());
    let error = |list: Vec<Aggregation>| ask(&store, "", list).unwrap_err().to_string();
    let mut deep = Aggregation::terms("event_type", 1);
    for _ in 0..8 {
        let mut outer = Aggregation::terms("event_type", 1);
        let Aggregation::Terms { aggregations, .. } = &mut outer else { panic!() };
        aggregations.insert("x".into(), deep);
        deep = outer;
    }
    assert_eq!(error(vec![deep]), "depth of aggregations is 9, at most 8 is allowed");
    let many = vec![Aggregation::terms("event_type", 1); 65];
    assert_eq!(error(many), "number of aggregations is 65, at most 64 is allowed");
    let filters = vec![Filter::default(); 64];
    let filters = Aggregation::Filters { filters, aggregations: Named::new() };
    assert_eq!(error(vec![filters]), "number of aggregations is 65, at most 64 is allowed");
    let fine = |bounds| json!({"type": "date_histogram", "interval_ms": 1, "bounds": bounds});
    assert_eq!(
        error(vec![read(fine(json!(null)))]),
        "number of histogram buckets is 212400002, at most 10000 is allowed"
    );
    let far = json!([i64::MIN, i64::MAX]);
    assert!(
        error(vec![read(fine(far))])
            .starts_with("number of histogram buckets is 18446744073709551")
    );
    let tiny = json!({"type": "number_histogram", "field": "own.big", "interval": 1e-300});
    assert_eq!(
        error(vec![read(tiny)]),
        "interval 1e-300 is too small for the values of own.big: there would be over 2^53 buckets"
    );
    let outer = json!({"type": "terms", "field": "own.big", "size": 60, "aggregations": {"x":
        {"type": "date_histogram", "interval_ms": 3_600_000, "bounds": [1_790_000_000_000_i64, 1_795_000_000_000_i64]}}});
    assert_eq!(
        error(vec![read(outer)]),
        "number of buckets of all aggregations is 40437, at most 40000 is allowed"
    );
}

/// The fields of [`events`] with every metric they can have.
fn metrics() -> impl Strategy<Value = Aggregation> {
    let all = |field: &'static str, list: &[Metric]| -> Vec<(String, Metric)> {
        list.iter().map(|metric| (field.to_owned(), metric.clone())).collect()
    };
    use Metric::{Average, Count, Distinct, ExtendedStats, Max, Min, Percentiles, Stats, Sum};
    let numbers =
        [Count, Sum, Average, Min, Max, Distinct, Stats, Percentiles(vec![0.0, 50.0, 99.0])];
    let squares = ["dest_port", "own.n", "no.such"].map(|name| (name.to_owned(), ExtendedStats));
    let mut list = Vec::new();
    for field in ["dest_port", "own.n", "own.big", "no.such"] {
        list.extend(all(field, &numbers));
    }
    // Whole numbers among fractions may count twice as different values.
    let [count, sum, average, min, max, _, stats, percentiles] = numbers;
    list.extend(all("flow.age", &[count, sum, average, min, max, stats, percentiles]));
    for field in ["timestamp", "event.start"] {
        list.extend(all(field, &[Count, Min, Max]));
    }
    for field in ["src_ip", "event_type", "flow.alerted", "alert.signature", "own.tag"] {
        list.extend(all(field, &[Count, Distinct]));
    }
    list.extend(all("message", &[Count]));
    list.extend(squares);
    proptest::sample::select(list).prop_map(|(field, metric)| Aggregation::Metric { field, metric })
}

fn terms_of(below: Named) -> impl Strategy<Value = Aggregation> {
    let fields = [
        "source.ip",
        "dest_port",
        "event_type",
        "flow.alerted",
        "flow.age",
        "rule.name",
        "own.tag",
        "own.n",
    ];
    let by = proptest::sample::select(vec![OrderBy::Count, OrderBy::Value]);
    let missing = proptest::option::of(proptest::sample::select(vec!["none", "dns"]));
    let parts = (
        proptest::sample::select(fields.to_vec()),
        1..6_usize,
        by,
        any::<bool>(),
        missing,
        1..4_u64,
    );
    parts.prop_map(move |(field, size, by, ascending, missing, min_count)| Aggregation::Terms {
        field: field.to_owned(),
        size,
        order: Order { by, ascending },
        missing: missing.map(str::to_owned),
        min_count,
        aggregations: below.clone(),
    })
}

fn buckets_of(below: Named) -> impl Strategy<Value = Aggregation> {
    let one = below.clone();
    let dates = (
        proptest::sample::select(vec!["timestamp", "flow.start"]),
        proptest::sample::select(vec![3_600_000, DAY_MS, 7_200_001]),
        0..2_u64,
        -5000..5000_i64,
        proptest::sample::select(vec![
            None,
            None,
            Some(Unit::Day),
            Some(Unit::Week),
            Some(Unit::Month),
        ]),
        proptest::sample::select(vec!["UTC", "Europe/Zurich", "+05:30", "America/St_Johns"]),
    );
    let dates = dates.prop_map(move |(field, interval, min_count, offset_ms, calendar, zone)| {
        Aggregation::DateHistogram {
            field: field.to_owned(),
            interval_ms: if calendar.is_some() { 0 } else { interval },
            offset_ms,
            calendar,
            time_zone: Zone::named(zone).unwrap(),
            borders: Vec::new(),
            min_count,
            bounds: (min_count == 0).then_some((
                1_763_000_000_000 + 31_536_000_000,
                1_763_700_000_000 + 31_536_000_000,
            )),
            aggregations: one.clone(),
        }
    });
    let one = below.clone();
    let numbers = (
        proptest::sample::select(vec!["dest_port", "flow.age", "own.big"]),
        proptest::sample::select(vec![0.5, 2.0, 7000.0]),
        0..2_u64,
    );
    let numbers = numbers
        .prop_filter("few buckets", |(field, interval, _)| *field != "own.big" || *interval > 10.0);
    let numbers =
        numbers.prop_map(move |(field, interval, min_count)| Aggregation::NumberHistogram {
            field: field.to_owned(),
            interval,
            offset: interval / 4.0,
            min_count,
            bounds: None,
            aggregations: one.clone(),
        });
    let one = below.clone();
    let range = |from: Option<&str>, to: Option<&str>| Range {
        name: None,
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
    };
    let ranges = proptest::sample::select(vec![
        ("src_ip", vec![range(None, Some("10.0.0.2")), range(Some("10.0.0.1"), None)]),
        ("flow.age", vec![range(Some("0.5"), Some("1.5")), range(None, None)]),
        ("timestamp", vec![range(Some("2026-11-22"), Some("2026-11-23"))]),
        ("event_type", vec![range(Some("e"), None)]),
    ]);
    let ranges = ranges.prop_map(move |(field, ranges)| Aggregation::Ranges {
        field: field.to_owned(),
        ranges,
        aggregations: one.clone(),
    });
    let filter =
        |query: &str| Filter { name: query.to_owned(), query: query.to_owned(), node: None };
    let filters = proptest::sample::subsequence(
        vec![filter("*"), filter("flow.alerted:true"), filter("tls -own.n:3"), filter("no.such:1")],
        1..4,
    );
    let filters = filters
        .prop_map(move |filters| Aggregation::Filters { filters, aggregations: below.clone() });
    prop_oneof![dates, numbers, ranges, filters]
}

fn tree() -> impl Strategy<Value = Aggregation> {
    metrics().prop_recursive(3, 12, 3, |inner| {
        let below = proptest::collection::btree_map("[ab.0]{1,2}", inner, 0..3);
        below.prop_flat_map(|below| prop_oneof![terms_of(below.clone()), buckets_of(below)])
    })
}

#[test]
fn the_index_counts_as_hands_do() {
    let directory = tempfile::tempdir().unwrap();
    let (store, documents) = filled(directory.path());
    let query = proptest::sample::select(vec![
        "",
        "event_type:tls",
        "flow.alerted:true OR own.n:seven",
        "no.such:1",
    ]);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    runner
        .run(&(query, tree()), |(query, aggregation)| {
            let found = ask(&store, query, vec![aggregation.clone()]).unwrap();
            let matcher = crate::search::Matcher::new(query, now()).unwrap();
            let matching: Vec<&Document> =
                documents.iter().filter(|d| matcher.matches(d)).collect();
            let expected = model::one(&aggregation, &matching);
            model::same(&found.aggregations[0], &expected);
            Ok(())
        })
        .unwrap();
}

#[test]
fn values_are_ordered_by_figures_below_them() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = filled(directory.path());
    let check = |metric: &str, ascending: bool, expected: expect_test::Expect| {
        let found = ask(
            &store,
            "",
            vec![read(json!({"type": "terms", "field": "own.n", "size": 3,
                "order": {"by": {"metric": "b.c"}, "ascending": ascending},
                "aggregations": {"a": {"type": "metric", "field": "own.big", "metric": "min"},
                    "b.c": {"type": "metric", "field": "own.big", "metric": metric}}}))],
        )
        .unwrap();
        let Aggregated::Terms { buckets, .. } = &found.aggregations[0] else { panic!() };
        let text: Vec<String> = buckets
            .iter()
            .map(|bucket| {
                let Aggregated::Value { value, .. } = &bucket.aggregations["b.c"] else { panic!() };
                format!("{}:{}", bucket.value, value.unwrap())
            })
            .collect();
        expected.assert_eq(&text.join(" "));
    };
    check("sum", false, expect_test::expect!["5:-170000 6:-190000 0:-210000"]);
    check("average", true, expect_test::expect!["seven:-33000 3:-31875 6:-31666.666666666668"]);
    check("max", false, expect_test::expect!["1:-1000 2:-2000 3:-3000"]);
    check("distinct", true, expect_test::expect!["6:6 5:6 0:7"]);
}

#[test]
fn a_compiled_query_and_the_text_must_both_hold() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = filled(directory.path());
    let node = |text| Some(crate::search::plan::compile(text, now()).unwrap());
    for (query, more, expected) in [
        ("", None, 60),
        ("", node("event_type:tls"), 18),
        ("flow.alerted:true", node("event_type:tls"), 8),
        ("*", node("*"), 60),
    ] {
        let request =
            SearchRequest { query: query.into(), node: more, limit: 0, ..SearchRequest::default() };
        assert_eq!(store.search(&request, &Cancel::new()).unwrap().total, expected, "{query}");
    }
}
