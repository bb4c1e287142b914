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
    let door = Door::open().await;
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
