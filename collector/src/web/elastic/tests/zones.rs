//! Spans of time by calendar and zone, texts in Lucene's language, what fields there are.

use super::*;

impl Door {
    /// Starts and counts of a histogram over time.
    async fn spans(&self, how: Value) -> String {
        let mut body = json!({"field": "@timestamp"});
        body.as_object_mut().unwrap().extend(how.as_object().unwrap().clone());
        let answer = self.search(json!({"size": 0, "aggs": {"t": {"date_histogram": body}}})).await;
        let buckets = answer["aggregations"]["t"]["buckets"].as_array().unwrap().clone();
        let one = |bucket: &Value| {
            format!("{} {}", bucket["key_as_string"].as_str().unwrap(), bucket["doc_count"])
        };
        buckets.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_times_find_what_they_should() {
    let door = Door::open().await;
    let all = "0 1 2 3 4 5 6 7 8 9 10 11";
    for (query, expected) in [
        (json!({"match_phrase_prefix": {"message": "user1 numb"}}), "1 3 5 7 9 11"),
        (
            json!({"match_phrase_prefix": {"message": {"query": "user1 NUMBER 1", "max_expansions": 5}}}),
            "1 11",
        ),
        (json!({"match_phrase_prefix": {"message": "numb user1"}}), ""),
        (
            json!({"bool": {"must_not": {"match_phrase_prefix": {"message": "number 1"}}}}),
            "0 2 3 4 5 6 7 8 9",
        ),
        (json!({"query_string": {"query": "_exists_:own.name AND own.list.a:3"}}), "3"),
        (json!({"query_string": {"query": "NOT _exists_:own.name"}}), ""),
        (json!({"query_string": {"query": "own.list.a:3 own.list.a:4"}}), "3 4"),
        (
            json!({"query_string": {"query": "own.list.a:3 host.name:web1", "default_operator": "and"}}),
            "3",
        ),
        (
            json!({"query_string": {"query": "own.list.a:3 host.name:web1 -source.ip:10.0.0.1"}}),
            "3 7 11",
        ),
        (json!({"query_string": {"query": "own.list.a:3 own.list.a:4 AND host.name:web1"}}), "3"),
        (json!({"query_string": {"query": "(own.list.a:3 own.list.a:4) AND host.name:web1"}}), "3"),
        (json!({"query_string": {"query": "-host.name:web1 -own.list.a:4"}}), "0 2 6 8 10"),
        (
            json!({"simple_query_string": {"query": "user1 11", "fields": ["message"], "default_operator": "AND"}}),
            "11",
        ),
        (
            json!({"range": {"@timestamp": {"gte": "2026-11-22T15:00:10", "time_zone": "+01:00"}}}),
            "10 11",
        ),
        (
            json!({"range": {"@timestamp": {"lt": "2026-11-22T09:00:01", "time_zone": "America/New_York"}}}),
            "0",
        ),
        (json!({"range": {"@timestamp": {"lte": "2026-11-21", "time_zone": "-12:00"}}}), ""),
        (json!({"range": {"@timestamp": {"gte": "2026-11-23", "time_zone": "+14:00"}}}), all),
    ] {
        assert_eq!(door.numbers(query.clone()).await, expected, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn histograms_by_calendar_and_zone() {
    let door = Door::open().await;
    let shipper = door.site.program(&[Scope::Ingest]);
    // Around the hour that comes twice in Zurich, and years before.
    let mut body = String::new();
    for time in [
        "2026-10-24T23:30:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:30:00Z",
        "2025-12-31T23:30:00Z",
    ] {
        body +=
            &format!("{}\n{}\n", json!({"index": {}}), json!({"@timestamp": time, "old": true}));
    }
    door.site.ask(&shipper, "POST", "/_bulk", &body).await;
    assert_eq!(door.site.find("old:true").await.len(), 4);
    for (how, expected) in [
        (
            json!({"calendar_interval": "year", "time_zone": "Europe/Zurich"}),
            "2026-01-01T00:00:00.000+01:00 16",
        ),
        (
            json!({"calendar_interval": "1y"}),
            "2025-01-01T00:00:00.000Z 1, 2026-01-01T00:00:00.000Z 15",
        ),
        (
            json!({"calendar_interval": "quarter", "min_doc_count": 1}),
            "2025-10-01T00:00:00.000Z 1, 2026-10-01T00:00:00.000Z 15",
        ),
        (
            json!({"calendar_interval": "month", "time_zone": "+01:00", "min_doc_count": 1}),
            "2026-01-01T00:00:00.000+01:00 1, 2026-10-01T00:00:00.000+01:00 3, 2026-11-01T00:00:00.000+01:00 12",
        ),
        (
            json!({"calendar_interval": "day", "time_zone": "America/New_York", "min_doc_count": 1, "offset": "+6h"}),
            "2025-12-31T06:00:00.000-05:00 1, 2026-10-24T06:00:00.000-04:00 3, 2026-11-22T06:00:00.000-05:00 12",
        ),
        (
            json!({"fixed_interval": "1d", "time_zone": "Asia/Kolkata", "format": "epoch_second", "min_doc_count": 2}),
            "1792866600 3, 1795285800 12",
        ),
    ] {
        assert_eq!(door.spans(how.clone()).await, expected, "{how}");
    }
    let answer = door.search(json!({
        "size": 0,
        "query": {"range": {"@timestamp": {"gte": "2026-10-25", "lte": "2026-10-25", "time_zone": "Europe/Zurich"}}},
        "aggs": {"t": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1h", "time_zone": "Europe/Zurich"}}},
    })).await;
    expect![[r#"{"t":{"buckets":[{"key_as_string":"2026-10-25T01:00:00.000+02:00","key":1792882800000,"doc_count":1},{"key_as_string":"2026-10-25T02:00:00.000+02:00","key":1792886400000,"doc_count":1},{"key_as_string":"2026-10-25T02:00:00.000+01:00","key":1792890000000,"doc_count":1}]}}"#]]
        .assert_eq(&answer["aggregations"].to_string());
    // A second over years is too many.
    let many = json!({"size": 0, "aggs": {"t": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1s", "time_zone": "Europe/Zurich"}}}});
    let (status, answer) = door.ask("POST", "/_search", &many).await;
    assert_eq!(
        (status, &answer["error"]["type"]),
        (400, &json!("illegal_argument_exception")),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_are_those_that_events_have() {
    let door = Door::open().await;
    let (_, answer) = door.ask("GET", "/_field_caps?fields=*", &Value::Null).await;
    let fields = answer["fields"].as_object().unwrap();
    let kinds = |name: &str| {
        fields
            .get(name)
            .map(|one| one.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" "))
    };
    for (name, expected) in [
        ("own.name", Some("keyword")),
        ("own.list.a", Some("double")),
        ("source.ip", Some("ip")),
        ("src_ip", Some("ip")),
        ("flow.alerted", Some("boolean")),
        ("message", Some("text")),
        ("@timestamp", Some("date")),
        ("dns.rrname", None),
    ] {
        assert_eq!(kinds(name).as_deref(), expected, "{name}");
    }
    let (_, answer) = door.ask("GET", "/_mapping", &Value::Null).await;
    let properties = &answer["pikett"]["mappings"]["properties"];
    assert_eq!(
        properties["own"]["properties"]["list"]["properties"]["b"],
        json!({"type": "keyword"})
    );
    assert_eq!(properties["dns"], Value::Null);
    // Who only sends is told nothing of what others have sent.
    let shipper = door.site.program(&[Scope::Ingest]);
    let (status, answer) = door.site.ask(&shipper, "GET", "/app", "").await;
    assert_eq!((status.as_u16(), &answer["app"]["mappings"]["properties"]), (200, &json!({})));
    let (_, answer) = door.ask("GET", "/app", &Value::Null).await;
    assert_eq!(answer["app"]["mappings"]["properties"]["@timestamp"]["type"], "date");
}
