//! Searches as real clients send them: Grafana's shapes, the clients' helpers, hostile bodies.

use axum::http::StatusCode;
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::request::{Asked, Parameters};
use crate::auth::token::Scope;
use crate::testing::{START, Site, Who};
use event::Timestamp;

mod grafana;
mod paging;
mod zones;

/// A site with events that a shipper sent to two indices, and a reader.
struct Door {
    site: Site,
    reader: Who,
}

impl Door {
    async fn open() -> Self {
        let site = Site::new();
        let shipper = site.program(&[Scope::Ingest]);
        let mut body = String::new();
        for n in 0..12 {
            let index = if n % 3 == 0 { "app" } else { "auth-2026" };
            let event = json!({
                "@timestamp": format!("2026-11-22T14:00:{n:02}.{n:03}Z"), "event_type": "log",
                "message": format!("Failed password for user{} number {n}", n % 2),
                "source": {"ip": format!("10.0.0.{}", n % 4)}, "destination": {"port": 22 + n % 2},
                "host": {"name": format!("web{}", n % 2)}, "flow": {"alerted": n % 2 == 0},
                "own": {"list": [{"a": n, "b": "x"}, {"a": 7}], "name": "n"},
            });
            body += &format!("{}\n{event}\n", json!({"index": {"_index": index}}));
        }
        let (status, answer) = site.ask(&shipper, "POST", "/_bulk", &body).await;
        assert_eq!((status, &answer["errors"]), (StatusCode::OK, &json!(false)), "{answer}");
        assert_eq!(site.find("*").await.len(), 12);
        let reader = site.program(&[Scope::Read]);
        Self { site, reader }
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = self.site.ask(&self.reader, method, path, &body).await;
        (status.as_u16(), answer)
    }

    async fn search(&self, body: Value) -> Value {
        let (status, answer) = self.ask("POST", "/_search", &body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// The numbers of the events a query finds, oldest first.
    async fn numbers(&self, query: Value) -> String {
        let answer = self.search(json!({"query": query, "size": 100})).await;
        let number = |hit: &Value| hit["_source"]["own"]["list"][0]["a"].to_string();
        let hits = answer["hits"]["hits"].as_array().unwrap();
        let mut numbers: Vec<String> = hits.iter().map(number).collect();
        numbers.reverse();
        numbers.join(" ")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_supported_query_finds_what_it_should() {
    let door = Door::open().await;
    let all = "0 1 2 3 4 5 6 7 8 9 10 11";
    for (query, expected) in [
        (json!({"match_all": {"boost": 2}}), all),
        (json!({"match_none": {}}), ""),
        (json!({"term": {"source.ip": "10.0.0.3"}}), "3 7 11"),
        (json!({"term": {"host.name.keyword": {"value": "web1"}}}), "1 3 5 7 9 11"),
        (json!({"term": {"dest_port": 23}}), "1 3 5 7 9 11"),
        (json!({"term": {"flow.alerted": true}}), "0 2 4 6 8 10"),
        (json!({"term": {"_index": "app"}}), "0 3 6 9"),
        (json!({"terms": {"own.list.a": [1, "2", 5.0]}}), "1 2 5"),
        (json!({"terms": {"source.ip": []}}), ""),
        (json!({"exists": {"field": "own.name"}}), all),
        (json!({"exists": {"field": "own.none"}}), ""),
        (json!({"prefix": {"host.name": "web"}}), all),
        (json!({"wildcard": {"host.name": {"value": "w?b1*"}}}), "1 3 5 7 9 11"),
        (
            json!({"wildcard": {"message": {"wildcard": "USER1", "case_insensitive": true}}}),
            "1 3 5 7 9 11",
        ),
        (json!({"match": {"message": "user1 nothing"}}), "1 3 5 7 9 11"),
        (json!({"match": {"message": {"query": "user1 11", "operator": "AND"}}}), "11"),
        (json!({"match": {"message": "..."}}), ""),
        (json!({"regexp": {"host.name": "web[1-3]"}}), "1 3 5 7 9 11"),
        (json!({"regexp": {"host.name": "eb1"}}), ""),
        (
            json!({"regexp": {"host.name": {"value": "WEB1", "case_insensitive": true}}}),
            "1 3 5 7 9 11",
        ),
        (json!({"query_string": {"query": "/web1/", "fields": ["host.name"]}}), "1 3 5 7 9 11"),
        (json!({"query_string": {"query": "/web1/", "fields": ["message"]}}), ""),
        (json!({"match_phrase": {"message": "number 10"}}), "10"),
        (json!({"match_phrase": {"message": {"query": "10 number"}}}), ""),
        (json!({"match_phrase_prefix": {"message": "fail"}}), all),
        (
            json!({"multi_match": {"query": "web1 user0", "fields": ["message^3", "host.name"]}}),
            "0 2 4 6 8 10",
        ),
        (json!({"multi_match": {"query": "number 3", "type": "phrase"}}), "3"),
        (json!({"query_string": {"query": "host.name:web1 AND NOT source.ip:10.0.0.3"}}), "1 5 9"),
        (
            json!({"query_string": {"query": "web1", "default_field": "host.name", "analyze_wildcard": true}}),
            "1 3 5 7 9 11",
        ),
        (json!({"query_string": {"query": "own.name:*", "fields": ["*"]}}), all),
        (json!({"simple_query_string": {"query": "\"number 4\""}}), "4"),
        (json!({"range": {"own.list.a": {"gt": 8, "lt": 10}}}), "9"),
        (json!({"range": {"source.ip": {"gte": "10.0.0.2", "lte": "10.0.0.2"}}}), "2 6 10"),
        (
            json!({"range": {"@timestamp": {"gte": 1_795_356_004_004_i64, "lt": "1795356006006", "format": "epoch_millis"}}}),
            "4 5",
        ),
        (
            json!({"range": {"@timestamp": {"gt": "2026-11-22T14:00:09.009Z", "lte": "2026-11-22"}}}),
            "10 11",
        ),
        (json!({"range": {"timestamp": {"gte": "now/d", "lte": "now/d"}}}), all),
        (json!({"range": {"timestamp": {"gt": "now/d"}}}), ""),
        (json!({"range": {"timestamp": {"lt": "now-1h"}}}), all),
    ] {
        assert_eq!(door.numbers(query.clone()).await, expected, "{query}");
    }
    let answer = door.search(json!({"size": 1})).await;
    let id = answer["hits"]["hits"][0]["_id"].clone();
    assert_eq!(door.numbers(json!({"ids": {"values": [id]}})).await, "11");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_of_queries_find_what_they_should() {
    let door = Door::open().await;
    let all = "0 1 2 3 4 5 6 7 8 9 10 11";
    for (query, expected) in [
        (
            json!({"bool": {"filter": {"term": {"host.name": "web1"}}, "must_not": [{"term": {"source.ip": "10.0.0.3"}}]}}),
            "1 5 9",
        ),
        (
            json!({"bool": {"should": [{"term": {"own.list.a": 1}}, {"term": {"own.list.a": 2}}]}}),
            "1 2",
        ),
        (json!({"bool": {"must": {"match_all": {}}, "should": {"match_none": {}}}}), all),
        (
            json!({"bool": {"should": [{"term": {"own.list.a": 1}}, {"term": {"own.list.a": 7}}], "minimum_should_match": "100%"}}),
            "1",
        ),
        (json!({"bool": {}}), all),
        (json!({"constant_score": {"filter": {"term": {"own.list.a": 3}}}}), "3"),
        (
            json!({"dis_max": {"queries": [{"term": {"own.list.a": 3}}, {"term": {"own.list.a": 4}}]}}),
            "3 4",
        ),
    ] {
        assert_eq!(door.numbers(query.clone()).await, expected, "{query}");
    }
}

/// What is said about a body that cannot be answered.
fn refused(body: &Value) -> String {
    let now = Timestamp::from_micros(START);
    match Asked::read("", body.clone(), Parameters::new(), now) {
        Ok(_) => "fine".to_owned(),
        Err(wrong) => format!("{} {}: {}", wrong.status, wrong.kind, wrong.reason),
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let bodies = [
        json!([]),
        json!({"querry": {}}),
        json!({"size": -1}),
        json!({"size": 9_000, "from": 1_001}),
        json!({"sort": [{"host.name": "asc"}]}),
        json!({"sort": [{"@timestamp": "up"}]}),
        json!({"search_after": ["x"]}),
        json!({"explain": true}),
        json!({"script_fields": {"a": {}}}),
        json!({"collapse": {"field": "a"}}),
        json!({"timeout": "soon"}),
    ];
    let queries = [
        json!({}),
        json!({"term": {}, "match": {}}),
        json!({"regexp": {"a": "~b"}}),
        json!({"no_such": {}}),
        json!({"term": {"a": {"value": 1, "case_insensitive": true}}}),
        json!({"term": {"a": [1]}}),
        json!({"terms": {"a": 1}}),
        json!({"range": {"src_ip": {"gte": "x"}}}),
        json!({"range": {"src_port": {"gte": 1, "gt": 2}}}),
        json!({"range": {"@timestamp": {"gte": "soon"}}}),
        json!({"range": {"@timestamp": {"gte": 1, "time_zone": "Mars/Olympus"}}}),
        json!({"range": {"@timestamp": {"gte": 1, "format": "basic_week_date"}}}),
        json!({"match": {"message": {"query": "a", "fuzziness": 2}}}),
        json!({"match_phrase": {"message": {"query": "a", "slop": 2}}}),
        json!({"query_string": {"query": "a:("}}),
        json!({"query_string": {"query": "a b", "default_operator": "XOR"}}),
        json!({"query_string": {"query": "_exists_:"}}),
        json!({"bool": {"should": [], "minimum_should_match": "x"}}),
        json!({"bool": {"mast": {}}}),
        json!({"nested": {"path": "a", "query": {}}}),
    ];
    let queries = queries.into_iter().map(|query| json!({"query": query}));
    let said: String =
        bodies.into_iter().chain(queries).map(|body| refused(&body) + "\n").collect();
    expect![[r#"
        400 parsing_exception: [request] must be an object, not a list
        400 parsing_exception: [request] does not support [querry]
        400 parsing_exception: [request.size] must be a whole number, not a number
        400 illegal_argument_exception: Result window is too large, from + size must be less than or equal to: [10000] but was [10001]
        400 illegal_argument_exception: cannot sort by [host.name] [asc]: hits are sorted by @timestamp, asc or desc, only
        400 illegal_argument_exception: cannot sort by [@timestamp] [up]: hits are sorted by @timestamp, asc or desc, only
        400 parsing_exception: [search_after] must be the [sort] of a hit
        400 parsing_exception: [request] supports [explain] only as false
        400 parsing_exception: [script_fields] does not support [a]
        400 parsing_exception: [request] does not support [collapse]
        400 parsing_exception: [timeout] must be a width of time such as 10s
        400 parsing_exception: [query] needs exactly one key, has 0
        400 parsing_exception: [query] needs exactly one key, has 2
        400 parsing_exception: [regexp.a] [~] is not supported; escape it to mean the character
        400 parsing_exception: unknown query [no_such]
        400 parsing_exception: [term.a] supports [case_insensitive] only as false
        400 parsing_exception: [term.a.value] must be a text or a number, not a list
        400 parsing_exception: [terms.a] must be a list, not a number
        400 parsing_exception: src_ip: "x" is no address; write 10.0.0.1, 10.0.0.0/8, 10.0.*, fe80::/10 or [10.0.0.1 TO 10.0.0.9]
        400 parsing_exception: [range.src_port] has two bounds on one side
        400 parsing_exception: [range.@timestamp] not a time: "soon"; write 2026-11-22T15:04:05Z, 2026-11-22, now, now-15m or now-1d/d (units s m h d w)
        400 parsing_exception: [range.@timestamp.time_zone] not a time zone: "Mars/Olympus"; write UTC, +02:00 or a name such as Europe/Zurich
        400 parsing_exception: [range.@timestamp] does not support the format [basic_week_date]
        400 parsing_exception: [match.message] does not support [fuzziness]
        400 illegal_argument_exception: [match_phrase.message] supports [slop] only as 0
        400 parsing_exception: [query] column 4: a has no value; write field:value, field:* or field:"some text"
        400 parsing_exception: [query_string.default_operator] must be and or or
        400 parsing_exception: [query] column 1: existence is written with a star; write :*
        400 parsing_exception: [minimum_should_match] cannot be [x]
        400 parsing_exception: [bool] does not support [mast]
        400 illegal_argument_exception: [nested] queries are not supported
    "#]].assert_eq(&said);
}

#[test]
fn aggregations_that_are_not_supported_are_refused_by_name() {
    let all = [
        json!({"x": {"terms": {"field": "a", "include": "b"}}}),
        json!({"x": {"terms": {"size": 1}}}),
        json!({"x": {"terms": {"field": "a", "order": {"_count": "up"}}}}),
        json!({"x": {"geohash_grid": {"field": "a"}}}),
        json!({"x": {"avg": {"field": "a"}, "aggs": {"y": {"avg": {"field": "a"}}}}}),
        json!({"x": {"date_histogram": {"field": "@timestamp", "calendar_interval": "2M"}}}),
        json!({"x": {"date_histogram": {"field": "@timestamp"}}}),
        json!({"x": {"histogram": {"field": "a", "interval": "wide"}}}),
        json!({"x": {"percentiles": {"field": "a", "percents": ["x"]}}}),
        json!({"x": {"filters": {"filters": {"a": {"no": {}}}}}}),
        json!({"x": {}}),
    ];
    let said = all.into_iter().map(|aggs| refused(&json!({"aggs": aggs})) + "\n");
    expect![[r#"
        400 parsing_exception: [aggs.x.terms] does not support [include]
        400 parsing_exception: [aggs.x.terms] needs [field]
        400 parsing_exception: [aggs.x.terms.order._count] must be asc or desc
        400 illegal_argument_exception: [aggs.x.geohash_grid]: aggregation [geohash_grid] is not supported
        400 parsing_exception: [aggs.x] cannot have aggregations below it
        400 illegal_argument_exception: [aggs.x.date_histogram] supports widths of ms, s, m, h, d and w, and 1d, 1w, 1M, 1q and 1y of the calendar, not [2M]
        400 parsing_exception: [aggs.x.date_histogram] needs one of [fixed_interval] and [calendar_interval]
        400 parsing_exception: [aggs.x.histogram.interval] must be a number, not a text
        400 parsing_exception: [aggs.x.percentiles.percents] must be numbers
        400 parsing_exception: [aggs.x.filters.filters] unknown query [no]
        400 parsing_exception: [aggs.x] needs exactly one key, has 0
    "#]].assert_eq(&said.collect::<String>());
}

#[test]
fn hostile_bodies_end_with_an_error() {
    let deep = |levels: usize, one: &dyn Fn(Value) -> Value, end: Value| {
        (0..levels).fold(end, |inner, _| one(inner))
    };
    let not = |inner: Value| json!({"bool": {"must_not": inner}});
    let all = json!({"match_all": {}});
    assert_eq!(refused(&json!({"query": deep(31, &not, all.clone())})), "fine");
    assert!(refused(&json!({"query": deep(40, &not, all)})).contains("deeper than 32"));
    let below = |inner: Value| json!({"x": {"terms": {"field": "a"}, "aggs": inner}});
    let avg = json!({"x": {"avg": {"field": "a"}}});
    assert!(refused(&json!({"aggs": deep(40, &below, avg)})).contains("deeper than 16"));
    let long: Vec<u32> = (0..10_001).collect();
    assert!(refused(&json!({"query": {"terms": {"a": long}}})).contains("more than 10000 tests"));
    let many = json!({"fields": vec!["a"; 201]});
    assert!(refused(&many).contains("more than 200"));
    let star = "*a".repeat(300);
    assert!(refused(&json!({"query": {"wildcard": {"host.name": star}}})).contains("255"));
    let name = "x".repeat(10_000);
    assert!(refused(&json!({"query": {name: {}}})).len() < 200);
    for number in [json!(1e308), json!("1e999"), json!(-1), json!(u64::MAX)] {
        let body = json!({"query": {"range": {"@timestamp": {"gte": number}}}});
        let said = refused(&body);
        assert!(said == "fine" || said.starts_with("400 "), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_show_what_was_asked_of_them() {
    let door = Door::open().await;
    let check = |answer: Value, expected: Expect| {
        let mut hit = answer["hits"]["hits"][0].clone();
        hit.as_object_mut().unwrap().shift_remove("_id");
        expected.assert_eq(&hit.to_string());
    };
    let one = |more: Value| {
        let mut body = json!({"size": 1, "query": {"term": {"own.list.a": 3}}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    check(
        door.search(one(json!({"_source": false}))).await,
        expect![[r#"{"_index":"app","_score":null}"#]],
    );
    check(
        door.search(one(json!({"_source": ["source.ip", "own.list.b"]}))).await,
        expect![[
            r#"{"_index":"app","_score":null,"_source":{"source":{"ip":"10.0.0.3"},"own":{"list":[{"b":"x"}]}}}"#
        ]],
    );
    check(
        door.search(one(
            json!({"_source": {"includes": ["o*", "@timestamp"], "excludes": "*.list"}}),
        ))
        .await,
        expect![[
            r#"{"_index":"app","_score":null,"_source":{"timestamp":"2026-11-22T14:00:03.003000+0000","own":{"name":"n"},"@timestamp":"2026-11-22T14:00:03.003Z"}}"#
        ]],
    );
    check(
        door.search(one(json!({"_source": false, "docvalue_fields": ["source.ip", {"field": "@timestamp", "format": "epoch_millis"}],
            "fields": [{"field": "timestamp", "format": "strict_date_optional_time_nanos"}, "own.*", "none"], "sort": "_score"})))
        .await,
        expect![[r#"{"_index":"app","_score":null,"fields":{"timestamp":["2026-11-22T14:00:03.003000000Z"],"own.list.a":[3,7],"own.list.b":["x"],"own.name":["n"],"source.ip":["10.0.0.3"],"@timestamp":["1795356003003"]},"sort":[1795356003003,"18353168865317355524"]}"#]],
    );
    let (_, answer) = door
        .ask(
            "GET",
            "/_search?q=own.list.a:3&size=1&_source_includes=message&track_total_hits=false",
            &Value::Null,
        )
        .await;
    assert_eq!(answer["hits"]["total"], Value::Null);
    check(
        answer,
        expect![[
            r#"{"_index":"app","_score":null,"_source":{"message":"Failed password for user1 number 3"}}"#
        ]],
    );
    let (_, answer) =
        door.ask("GET", "/_search?size=1&rest_total_hits_as_int=true&filter_path=hits.total,hits.hits._source.message", &Value::Null).await;
    expect![[r#"{"hits":{"total":12,"hits":[{"_source":{"message":"Failed password for user1 number 11"}}]}}"#]].assert_eq(&answer.to_string());
    let (status, answer) = door.ask("GET", "/_search?no_such=1", &Value::Null).await;
    assert_eq!((status, &answer["error"]["type"]), (400, &json!("illegal_argument_exception")));
}

#[tokio::test(flavor = "multi_thread")]
async fn indices_counts_fields_and_what_clients_ask_of_the_server() {
    let door = Door::open().await;
    for (path, expected) in [
        ("/_count", 12),
        ("/app/_count", 4),
        ("/app,none/_count", 4),
        ("/auth-*/_count", 8),
        ("/_all/_count", 12),
        ("/pik*/_count", 12),
        ("/*,-app/_count", 8),
        ("/none/_count", 0),
        ("/pikett/_count?q=host.name:web1", 6),
    ] {
        let (status, answer) = door.ask("GET", path, &Value::Null).await;
        assert_eq!((status, &answer["count"]), (200, &json!(expected)), "{path} {answer}");
    }
    let (status, answer) = door.ask("POST", "/_count", &json!({"size": 1})).await;
    assert_eq!(status, 400, "{answer}");
    let (_, answer) =
        door.ask("GET", "/_cat/indices?format=json&h=index,docs.count", &Value::Null).await;
    expect![[r#"[{"index":"pikett","docs.count":"12"},{"index":"auth-2026","docs.count":"8"},{"index":"app","docs.count":"4"}]"#]].assert_eq(&answer.to_string());
    let (_, answer) =
        door.ask("POST", "/app/_field_caps?fields=source.i*,message", &json!({})).await;
    expect![[r#"{"indices":["pikett"],"fields":{"message":{"text":{"type":"text","metadata_field":false,"searchable":true,"aggregatable":false}},"source.ip":{"ip":{"type":"ip","metadata_field":false,"searchable":true,"aggregatable":true}}}}"#]].assert_eq(&answer.to_string());
    let (_, answer) = door.ask("GET", "/_mapping", &Value::Null).await;
    let properties = &answer["pikett"]["mappings"]["properties"];
    assert_eq!(properties["source"]["properties"]["ip"], json!({"type": "ip"}));
    assert_eq!(properties["@timestamp"]["type"], "date");
    for path in [
        "/_cluster/health?wait_for_status=yellow",
        "/_cluster/settings",
        "/_nodes/http",
        "/_license",
        "/",
        "/app",
        "/pikett",
    ] {
        assert_eq!(door.ask("GET", path, &Value::Null).await.0, 200, "{path}");
    }
    for path in ["/none", "/_index_template/logs", "/_ilm/policy/logs", "/_ingest/pipeline/x"] {
        let (status, answer) = door.ask("GET", path, &Value::Null).await;
        assert_eq!((status, &answer["status"]), (404, &json!(404)), "{path}");
    }
    assert_eq!(door.ask("PUT", "/app", &Value::Null).await.0, 403, "reading is not sending");
    let shipper = door.site.program(&[Scope::Ingest]);
    for path in ["/new", "/_index_template/logs", "/_template/logs", "/_ilm/policy/p"] {
        let (status, answer) = door.site.ask(&shipper, "PUT", path, "{}").await;
        assert_eq!((status.as_u16(), &answer["acknowledged"]), (200, &json!(true)), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aggregations_answer_in_the_forms_clients_read() {
    let door = Door::open().await;
    let check =
        |answer: Value, expected: Expect| expected.assert_eq(&answer["aggregations"].to_string());
    let ask = |aggs: Value| door.search(json!({"size": 0, "aggs": aggs}));
    check(
        ask(json!({"hosts": {"terms": {"field": "host.name.keyword", "order": {"ports.value": "desc"}},
            "aggs": {"ports": {"max": {"field": "destination.port"}}, "first": {"min": {"field": "@timestamp"}}}}})).await,
        expect![[r#"{"hosts":{"doc_count_error_upper_bound":0,"sum_other_doc_count":0,"buckets":[{"key":"web1","doc_count":6,"first":{"value":1795356001001.0,"value_as_string":"2026-11-22T14:00:01.001Z"},"ports":{"value":23.0}},{"key":"web0","doc_count":6,"first":{"value":1795356000000.0,"value_as_string":"2026-11-22T14:00:00.000Z"},"ports":{"value":22.0}}]}}"#]],
    );
    check(
        ask(json!({"p": {"terms": {"field": "dest_port", "size": 1, "order": [{"_key": "asc"}]}}, "b": {"terms": {"field": "flow.alerted"}}})).await,
        expect![[r#"{"b":{"doc_count_error_upper_bound":0,"sum_other_doc_count":0,"buckets":[{"key":0,"key_as_string":"false","doc_count":6},{"key":1,"key_as_string":"true","doc_count":6}]},"p":{"doc_count_error_upper_bound":0,"sum_other_doc_count":6,"buckets":[{"key":22,"doc_count":6}]}}"#]],
    );
    check(
        ask(json!({"r": {"range": {"field": "own.list.a", "ranges": [{"to": 3}, {"key": "rest", "from": 10}]}},
            "d": {"date_range": {"field": "@timestamp", "keyed": true, "ranges": [{"key": "x", "from": "2026-11-22", "to": "now"}]}}})).await,
        expect![[r#"{"d":{"buckets":{"x":{"from":1795305600000.0,"from_as_string":"2026-11-22T00:00:00.000Z","to":1795359845000.0,"to_as_string":"2026-11-22T15:04:05.000Z","doc_count":12}}},"r":{"buckets":[{"key":"*-3","to":3.0,"doc_count":3},{"key":"rest","from":10.0,"doc_count":2}]}}"#]],
    );
    check(
        ask(json!({"f": {"filters": {"filters": {"one": {"term": {"host.name": "web1"}}, "two": {"match_none": {}}}}},
            "a": {"filters": {"filters": [{"match_all": {}}]}}, "s": {"filter": {"term": {"own.list.a": 3}}, "aggregations": {"n": {"value_count": {"field": "message"}}}},
            "m": {"missing": {"field": "own.none"}}})).await,
        expect![[r#"{"a":{"buckets":[{"doc_count":12}]},"f":{"buckets":{"one":{"doc_count":6},"two":{"doc_count":0}}},"m":{"doc_count":12},"s":{"doc_count":1,"n":{"value":1.0}}}"#]],
    );
    check(
        ask(json!({"st": {"stats": {"field": "dest_port"}}, "c": {"cardinality": {"field": "source.ip"}},
            "pk": {"percentiles": {"field": "dest_port", "percents": [0]}}, "pl": {"percentiles": {"field": "dest_port", "percents": [100], "keyed": false}},
            "h": {"histogram": {"field": "dest_port", "interval": 2}}})).await,
        expect![[r#"{"c":{"value":4.0,"relative_standard_error":0.023},"h":{"buckets":[{"key":22.0,"doc_count":12}]},"pk":{"values":{"0.0":22.0}},"pl":{"values":[{"key":100.0,"value":23.0}]},"st":{"count":12,"min":22.0,"max":23.0,"avg":22.5,"sum":270.0}}"#]],
    );
    check(
        ask(json!({"e": {"extended_stats": {"field": "dest_port", "sigma": 3}}, "n": {"extended_stats": {"field": "own.none"}}})).await,
        expect![[r#"{"e":{"count":12,"min":22.0,"max":23.0,"avg":22.5,"sum":270.0,"sum_of_squares":6078.0,"variance":0.2500000000000003,"variance_population":0.2500000000000003,"variance_sampling":0.27272727272727304,"std_deviation":0.5000000000000002,"std_deviation_population":0.5000000000000002,"std_deviation_sampling":0.5222329678670938,"std_deviation_bounds":{"upper":24.0,"lower":21.0,"upper_population":24.0,"lower_population":21.0,"upper_sampling":24.06669890360128,"lower_sampling":20.93330109639872}},"n":{"count":0,"min":null,"max":null,"avg":null,"sum":0.0,"sum_of_squares":null,"variance":null,"variance_population":null,"variance_sampling":null,"std_deviation":null,"std_deviation_population":null,"std_deviation_sampling":null,"std_deviation_bounds":{"upper":null,"lower":null,"upper_population":null,"lower_population":null,"upper_sampling":null,"lower_sampling":null}}}"#]],
    );
    check(
        ask(json!({"w": {"date_histogram": {"field": "@timestamp", "calendar_interval": "week"}},
            "s": {"date_histogram": {"field": "@timestamp", "fixed_interval": "6s", "offset": "+1s", "format": "epoch_second"}}})).await,
        expect![[r#"{"s":{"buckets":[{"key_as_string":"1795355995","key":1795355995000,"doc_count":1},{"key_as_string":"1795356001","key":1795356001000,"doc_count":6},{"key_as_string":"1795356007","key":1795356007000,"doc_count":5}]},"w":{"buckets":[{"key_as_string":"2026-11-16T00:00:00.000Z","key":1794787200000,"doc_count":12}]}}"#]],
    );
}

#[test]
fn bodies_of_all_kinds_end() {
    let seeds = [
        r#"{"query":{"bool":{"must":[{"term":{"a":1}},{"range":{"@timestamp":{"gte":"now-1d/d"}}}]}},"aggs":{"x":{"terms":{"field":"a"}}}}"#,
        r#"{"size":"5","sort":["_doc"],"search_after":[1.5,"7"],"_source":{"includes":["a.*"]},"fields":["*"]}"#,
    ];
    for seed in seeds {
        super::fuzz_elastic(seed.as_bytes());
        for at in 0..seed.len() {
            for with in ["", "null", "{}", "[]", "\"\"", "1e400", "-1"] {
                let mut body = seed.as_bytes().to_vec();
                body.splice(at..(at + 1).min(seed.len()), with.bytes());
                super::fuzz_elastic(&body);
            }
        }
    }
}
