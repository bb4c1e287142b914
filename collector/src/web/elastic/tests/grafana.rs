//! What Grafana's Elasticsearch data source sends, in its documented shapes: metrics, logs, raw data.

use super::*;

const FROM: i64 = 1_795_356_000_000;
const TO: i64 = 1_795_356_012_000;

fn header() -> Value {
    json!({"search_type": "query_then_fetch", "ignore_unavailable": true, "index": "auth-2026,app"})
}

fn filter(words: Option<&str>) -> Value {
    let range =
        json!({"range": {"@timestamp": {"format": "epoch_millis", "gte": FROM, "lte": TO}}});
    match words {
        None => json!({"bool": {"filter": range}}),
        Some(words) => {
            json!({"bool": {"filter": [range, {"query_string": {"analyze_wildcard": true, "query": words}}]}})
        }
    }
}

fn histogram(interval: &str) -> Value {
    json!({"date_histogram": {"extended_bounds": {"max": TO, "min": FROM}, "field": "@timestamp",
        "fixed_interval": interval, "format": "epoch_millis", "min_doc_count": 0}})
}

async fn ask(bodies: &[Value]) -> Vec<Value> {
    asked(&Door::open().await, bodies).await
}

async fn asked(door: &Door, bodies: &[Value]) -> Vec<Value> {
    let lines: String = bodies.iter().map(|body| format!("{}\n{body}\n", header())).collect();
    let path = "/_msearch?max_concurrent_shard_requests=5";
    let (status, answer) = door.site.ask(&door.reader, "POST", path, &lines).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["responses"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_over_time_by_values() {
    let mut inner = histogram("6000ms");
    inner["aggs"] = json!({"1": {"max": {"field": "own.list.a"}}, "3": {"avg": {"field": "dest_port", "missing": null}},
        "4": {"percentiles": {"field": "dest_port", "percents": ["25", "95"]}}});
    let body = json!({"size": 0, "query": filter(None), "aggs": {"4": {"aggs": {"2": inner},
        "terms": {"field": "host.name", "order": {"_key": "desc"}, "size": 10, "min_doc_count": 1}}}});
    let answers = ask(&[body]).await;
    expect![[r#"{"4":{"doc_count_error_upper_bound":0,"sum_other_doc_count":0,"buckets":[{"key":"web1","doc_count":6,"2":{"buckets":[{"key_as_string":"1795356000000","key":1795356000000,"doc_count":3,"1":{"value":7.0},"3":{"value":23.0},"4":{"values":{"25.0":22.875222481776756,"95.0":22.875222481776756}}},{"key_as_string":"1795356006000","key":1795356006000,"doc_count":3,"1":{"value":11.0},"3":{"value":23.0},"4":{"values":{"25.0":22.875222481776756,"95.0":22.875222481776756}}},{"key_as_string":"1795356012000","key":1795356012000,"doc_count":0,"1":{"value":null},"3":{"value":null},"4":{"values":{"25.0":null,"95.0":null}}}]}},{"key":"web0","doc_count":6,"2":{"buckets":[{"key_as_string":"1795356000000","key":1795356000000,"doc_count":3,"1":{"value":7.0},"3":{"value":22.0},"4":{"values":{"25.0":21.978242872649158,"95.0":21.978242872649158}}},{"key_as_string":"1795356006000","key":1795356006000,"doc_count":3,"1":{"value":10.0},"3":{"value":22.0},"4":{"values":{"25.0":21.978242872649158,"95.0":21.978242872649158}}},{"key_as_string":"1795356012000","key":1795356012000,"doc_count":0,"1":{"value":null},"3":{"value":null},"4":{"values":{"25.0":null,"95.0":null}}}]}}]}}"#]].assert_eq(&answers[0]["aggregations"].to_string());
    assert_eq!(answers[0]["status"], 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_with_their_histogram_and_raw_data() {
    let sort = json!({"@timestamp": {"order": "desc", "unmapped_type": "boolean"}, "_doc": {"order": "desc"}});
    let fields = json!([{"field": "@timestamp", "format": "strict_date_optional_time_nanos"}]);
    let logs = json!({"docvalue_fields": ["@timestamp"], "query": filter(Some("host.name:web1")), "script_fields": {},
        "size": 2, "sort": sort, "fields": fields, "aggs": {"1": histogram("1000ms")},
        "highlight": {"pre_tags": ["@HIGHLIGHT@"], "post_tags": ["@/HIGHLIGHT@"], "fragment_size": 2_147_483_647, "fields": {"*": {}}}});
    let raw = json!({"docvalue_fields": ["@timestamp"], "query": filter(None), "script_fields": {}, "size": 500,
        "sort": sort, "fields": fields});
    let count = json!({"size": 0, "query": filter(Some("*")), "aggs": {"2": histogram("30s")}});
    let filters = json!({"size": 0, "query": filter(None), "aggs": {"2": {"filters": {"filters": {
        "web": {"query_string": {"query": "host.name:web*", "analyze_wildcard": true}}}}}}});
    let wrong =
        json!({"size": 0, "query": filter(None), "aggs": {"1": {"geohash_grid": {"field": "a"}}}});
    let answers = ask(&[logs, raw, count, filters, wrong]).await;
    assert_eq!(answers[0]["hits"]["total"], json!({"value": 6, "relation": "eq"}));
    let hit = &answers[0]["hits"]["hits"][0];
    assert_eq!(hit["fields"]["@timestamp"][0], "2026-11-22T14:00:11.011Z");
    assert_eq!(
        (&hit["sort"][0], &hit["_source"]["@timestamp"]),
        (&json!(1_795_356_011_011_i64), &json!("2026-11-22T14:00:11.011Z"))
    );
    let buckets = answers[0]["aggregations"]["1"]["buckets"].as_array().unwrap();
    assert_eq!(buckets.len(), 13, "empty ones up to both ends");
    assert_eq!(
        buckets[1],
        json!({"key_as_string": "1795356001000", "key": 1_795_356_001_000_i64, "doc_count": 1})
    );
    assert_eq!(answers[1]["hits"]["hits"].as_array().unwrap().len(), 12);
    assert_eq!(answers[2]["aggregations"]["2"]["buckets"][0]["doc_count"], 12);
    assert_eq!(answers[3]["aggregations"]["2"]["buckets"]["web"]["doc_count"], 12);
    expect![[r#"{"error":{"root_cause":[{"type":"illegal_argument_exception","reason":"[aggs.1.geohash_grid]: aggregation [geohash_grid] is not supported"}],"type":"illegal_argument_exception","reason":"[aggs.1.geohash_grid]: aggregation [geohash_grid] is not supported"},"status":400}"#]].assert_eq(&answers[4].to_string());
}

/// What a panel reads of each bucket: its count and the figures of its metrics.
fn figures(answer: &Value, names: &[&str]) -> String {
    let buckets = answer["aggregations"]["2"]["buckets"].as_array().unwrap();
    let lines = buckets.iter().map(|bucket| {
        let figures = names.iter().map(|name| format!(" {name}:{}", bucket[*name]));
        format!("{}{}\n", bucket["doc_count"], figures.collect::<String>())
    });
    lines.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_over_buckets() {
    let mut spans = histogram("3000ms");
    spans["aggs"] = json!({
        "1": {"max": {"field": "own.list.a"}},
        "3": {"derivative": {"buckets_path": "1", "unit": "1s"}},
        "4": {"cumulative_sum": {"buckets_path": "_count", "format": ""}},
        "5": {"moving_fn": {"buckets_path": "1", "window": "2", "script": "MovingFunctions.unweightedAvg(values)", "shift": 1}},
        "6": {"serial_diff": {"buckets_path": "1", "lag": 2}},
        "7": {"bucket_script": {"buckets_path": {"var1": "1", "var2": "_count"}, "script": "params.var1 / params.var2"}},
        "8": {"derivative": {"buckets_path": "5"}},
        "9": {"percentiles": {"field": "own.list.a", "percents": ["50"]}},
        "10": {"bucket_script": {"buckets_path": {"p": "9[50.0]"}, "script": {"inline": "params.p > 0 ? 1 : 0"}}},
    });
    let body = json!({"size": 0, "query": filter(None), "aggs": {"2": spans}});
    let answers = ask(&[body]).await;
    expect![[r#"
        3 1:{"value":7.0} 3:null 4:{"value":3.0} 5:{"value":7.0} 6:null 7:{"value":2.3333333333333335} 8:null 10:{"value":1.0}
        3 1:{"value":7.0} 3:{"value":0.0,"normalized_value":0.0} 4:{"value":6.0} 5:{"value":7.0} 6:null 7:{"value":2.3333333333333335} 8:{"value":0.0} 10:{"value":1.0}
        3 1:{"value":8.0} 3:{"value":1.0,"normalized_value":0.3333333333333333} 4:{"value":9.0} 5:{"value":7.5} 6:{"value":1.0} 7:{"value":2.6666666666666665} 8:{"value":0.5} 10:{"value":1.0}
        3 1:{"value":11.0} 3:{"value":3.0,"normalized_value":1.0} 4:{"value":12.0} 5:{"value":9.5} 6:{"value":4.0} 7:{"value":3.6666666666666665} 8:{"value":2.0} 10:{"value":1.0}
        0 1:{"value":null} 3:null 4:{"value":12.0} 5:null 6:null 7:null 8:null 10:null
    "#]].assert_eq(&figures(&answers[0], &["1", "3", "4", "5", "6", "7", "8", "10"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn arithmetic_below_values_and_nothing_else() {
    let terms = |below: Value| {
        json!({"size": 0, "query": filter(None), "aggs": {"2": {"aggs": below,
            "terms": {"field": "host.name", "order": {"1": "asc"}, "size": 500}}}})
    };
    let one = json!({"1": {"sum": {"field": "dest_port"}},
        "3": {"bucket_script": {"buckets_path": {"a": "1", "n": "_count"}, "script": "params.a / params.n"}}});
    let serial =
        json!({"1": {"sum": {"field": "dest_port"}}, "3": {"derivative": {"buckets_path": "1"}}});
    let answers = ask(&[terms(one), terms(serial)]).await;
    expect![[r#"
        6 1:{"value":132.0} 3:{"value":22.0}
        6 1:{"value":138.0} 3:{"value":23.0}
    "#]]
    .assert_eq(&figures(&answers[0], &["1", "3"]));
    expect![[
        r#""[aggs.2.3] must have a histogram or date_histogram with min_doc_count 0 as parent""#
    ]]
    .assert_eq(&answers[1]["error"]["reason"].to_string());
}

/// What is not answered is named, so that a panel says what it lacks.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_answered_is_refused_by_its_name() {
    let below = |body: Value| {
        let mut spans = histogram("3000ms");
        spans["aggs"] = json!({"1": {"max": {"field": "own.list.a"}}, "3": body});
        json!({"size": 0, "query": filter(None), "aggs": {"2": spans}})
    };
    let script =
        |text: &str| json!({"bucket_script": {"buckets_path": {"a": "1"}, "script": text}});
    let bodies = [
        below(json!({"moving_avg": {"buckets_path": "1", "window": 5, "model": "simple"}})),
        below(
            json!({"top_metrics": {"metrics": [{"field": "own.list.a"}], "size": "1", "sort": [{"@timestamp": "desc"}]}}),
        ),
        below(json!({"rate": {"field": "own.list.a", "unit": "second", "mode": "sum"}})),
        below(json!({"nested": {"path": "own.list"}})),
        below(json!({"avg": {"field": "own.list.a", "script": "_value * 1"}})),
        below(
            json!({"moving_fn": {"buckets_path": "1", "window": 5, "script": "MovingFunctions.holt(values, 0.3, 0.1)"}}),
        ),
        below(
            json!({"moving_fn": {"buckets_path": "1", "window": 5_000, "script": "MovingFunctions.max(values)"}}),
        ),
        below(json!({"derivative": {"buckets_path": "7"}})),
        below(json!({"derivative": {"buckets_path": "3"}})),
        below(json!({"derivative": {"buckets_path": "2>1"}})),
        below(script("Math.random() * params.a")),
        below(script("params.b")),
        json!({"size": 0, "aggs": {"3": {"derivative": {"buckets_path": "_count"}}}}),
        json!({"size": 0, "aggs": {"2": {"terms": {"field": "host.name", "order": {"1[95.0]": "desc"}},
            "aggs": {"1": {"percentiles": {"field": "dest_port", "percents": [95]}}}}}}),
        json!({"size": 0, "aggs": {"2": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1s", "min_doc_count": 1},
            "aggs": {"3": {"cumulative_sum": {"buckets_path": "_count"}}}}}}),
    ];
    let reasons: String = ask(&bodies)
        .await
        .iter()
        .map(|one| {
            format!("{} {}\n", one["status"], one["error"]["reason"].as_str().unwrap_or("none"))
        })
        .collect();
    expect![[r#"
        400 [aggs.2.3.moving_avg]: aggregation [moving_avg] is not supported
        400 [aggs.2.3.top_metrics]: aggregation [top_metrics] is not supported
        400 [aggs.2.3.rate]: aggregation [rate] is not supported
        400 [aggs.2.3.nested]: aggregation [nested] is not supported
        400 [aggs.2.3.avg] does not support [script]
        400 [aggs.2.3.moving_fn] supports [script] as MovingFunctions.max, min, sum or unweightedAvg of values
        400 [aggs.2.3.moving_fn] [window] must be from 1 to 256
        400 [aggs.2.3.derivative] no aggregation found for path [7]
        400 [aggs.2.3] needs itself
        400 [aggs.2.3.derivative] supports [buckets_path] without >, not [2>1]
        400 [aggs.2.3.bucket_script] [script] has a function other than abs, ceil, floor, max, min and sqrt at character 6
        400 [aggs.2.3.bucket_script] [script] has a name that is not in [buckets_path] at character 8
        400 [aggs.3] must stand below the histogram over whose buckets it goes
        400 aggregation 0: order needs the name of a sum, average, min, max or distinct below it
        400 [aggs.2.3] must have a histogram or date_histogram with min_doc_count 0 as parent
    "#]].assert_eq(&reasons);
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_by_number_zone_and_deviation() {
    let numbers = json!({"size": 0, "query": filter(None), "aggs": {"2": {
        "histogram": {"field": "dest_port", "interval": 1, "min_doc_count": 0},
        "aggs": {"1": {"cardinality": {"field": "source.ip", "precision_threshold": "100"}},
            "3": {"extended_stats": {"field": "own.list.a", "sigma": "2"}}}}}});
    let zone = json!({"size": 0, "query": filter(None), "aggs": {"2": {"date_histogram": {
        "calendar_interval": "1d", "time_zone": "Europe/Zurich", "field": "@timestamp", "min_doc_count": 1, "format": "epoch_millis",
        "extended_bounds": {"min": FROM, "max": TO}}}}});
    let values = json!({"size": 0, "query": filter(None), "aggs": {"2": {
        "terms": {"field": "host.name", "order": {"_count": "asc"}, "size": 1, "missing": "none", "min_doc_count": 0}}}});
    let answers = ask(&[numbers, zone, values]).await;
    let deviation =
        |at: usize| &answers[0]["aggregations"]["2"]["buckets"][at]["3"]["std_deviation"];
    expect![[r#"
        6
        6
        2.614064523559687 2.4664414311581235
        {"2":{"buckets":[{"key_as_string":"1795302000000","key":1795302000000,"doc_count":12}]}}null"#]].assert_eq(&format!(
        "{}{} {}\n{}{}",
        figures(&answers[0], &[]),
        deviation(0),
        deviation(1),
        answers[1]["aggregations"],
        answers[2]["aggregations"]
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_variables_and_the_lines_around_a_line() {
    let annotations = json!({"size": 10_000, "query": {"bool": {"filter": [
        {"bool": {"should": [{"range": {"@timestamp": {"from": FROM, "to": TO, "format": "epoch_millis"}}}], "minimum_should_match": 1}},
        {"query_string": {"query": "host.name:web1"}}]}}});
    let variable = json!({"size": 0, "query": filter(Some("*")), "aggs": {"1": {"terms": {
        "field": "host.name", "size": 500, "order": {"_key": "asc"}}}}});
    let sort = |order: &str| json!({"@timestamp": {"order": order, "unmapped_type": "boolean"}, "_doc": {"order": order}});
    let lines = json!({"size": 12, "query": filter(None), "sort": sort("desc")});
    let door = Door::open().await;
    let answers = asked(&door, &[annotations, variable, lines]).await;
    let number = |hit: &Value| hit["_source"]["own"]["list"][0]["a"].as_i64().unwrap();
    let hits = |answer: &Value| answer["hits"]["hits"].as_array().unwrap().clone();
    assert_eq!(hits(&answers[0]).len(), 6, "{}", answers[0]);
    let keys = answers[1]["aggregations"]["1"]["buckets"].as_array().unwrap();
    assert_eq!(keys.iter().map(|one| &one["key"]).collect::<Vec<_>>(), ["web0", "web1"]);
    let line = hits(&answers[2]).into_iter().find(|hit| number(hit) == 5).unwrap();
    let around = |order: &str| {
        json!({"size": 2, "query": filter(None), "docvalue_fields": ["@timestamp"], "script_fields": {},
            "sort": sort(order), "search_after": line["sort"], "aggs": {"1": histogram("1000ms")},
            "highlight": {"fields": {"*": {}}, "pre_tags": ["@HIGHLIGHT@"], "post_tags": ["@/HIGHLIGHT@"], "fragment_size": 2_147_483_647}})
    };
    let around = asked(&door, &[around("desc"), around("asc")]).await;
    let numbers: Vec<i64> = around.iter().flat_map(hits).map(|hit| number(&hit)).collect();
    assert_eq!(numbers, [4, 3, 6, 7], "the lines before and those after");
}

/// "Save and test", and the fields that the editor offers.
#[tokio::test(flavor = "multi_thread")]
async fn the_data_source_is_found_healthy_and_its_fields_known() {
    let door = Door::open().await;
    let (_, health) =
        door.ask("GET", "/_cluster/health?wait_for_status=yellow", &Value::Null).await;
    assert_eq!(health["status"], "green");
    let (_, identity) = door.ask("GET", "/", &Value::Null).await;
    let version = identity["version"]["number"].as_str().unwrap();
    assert!(
        version.starts_with("9.") && identity["version"]["build_flavor"] == "default",
        "{identity}"
    );
    let (status, mapping) = door.ask("GET", "/auth-2026/_mapping", &Value::Null).await;
    let properties = &mapping["auth-2026"]["mappings"]["properties"];
    assert_eq!((status, &properties["@timestamp"]["type"]), (200, &json!("date")), "{mapping}");
    assert_eq!(properties["host"]["properties"]["name"]["type"], "keyword");
    let (_, caps) = door.ask("GET", "/auth-2026/_field_caps?fields=*", &Value::Null).await;
    assert_eq!(caps["fields"]["host.name"]["keyword"]["aggregatable"], true);
}
