//! Pages by scroll, by `search_after` and by `from`, newest and oldest first.

use super::*;

fn numbers(answer: &Value) -> Vec<u64> {
    let number = |hit: &Value| hit["_source"]["own"]["list"][0]["a"].as_u64().unwrap();
    answer["hits"]["hits"].as_array().unwrap().iter().map(number).collect()
}

impl Door {
    /// All that a scroll gives; `between` is done after its first page.
    async fn scrolled(&self, sort: &Value, between: impl AsyncFn()) -> Vec<u64> {
        let body = json!({"query": {"match_all": {}}, "size": 5, "sort": sort});
        let (status, mut answer) = self.ask("POST", "/_search?scroll=1m", &body).await;
        assert_eq!(status, 200, "{answer}");
        let mut found = Vec::new();
        while !numbers(&answer).is_empty() {
            found.extend(numbers(&answer));
            assert_eq!(answer["hits"]["total"]["value"], 12);
            if found.len() == 5 {
                between().await;
            }
            let next = json!({"scroll_id": answer["_scroll_id"], "scroll": "1m"});
            answer = self.ask("POST", "/_search/scroll", &next).await.1;
        }
        let id = json!({"scroll_id": [answer["_scroll_id"]]});
        let (_, freed) = self.ask("DELETE", "/_search/scroll", &id).await;
        assert_eq!(freed, json!({"succeeded": true, "num_freed": 1}));
        found
    }

    /// All that pages behind each other give.
    async fn paged(&self, sort: &Value) -> Vec<u64> {
        let mut body = json!({"size": 5, "sort": sort});
        let mut found = Vec::new();
        loop {
            let answer = self.search(body.clone()).await;
            let Some(last) = answer["hits"]["hits"].as_array().unwrap().last() else { break };
            body["search_after"] = last["sort"].clone();
            found.extend(numbers(&answer));
        }
        found
    }

    /// A further event, newer than all.
    async fn newer(&self) {
        let shipper = self.site.program(&[Scope::Ingest]);
        let event = json!({"@timestamp": "2026-11-22T14:30:00Z", "own": {"list": [{"a": 99}]}});
        let body = format!("{}\n{event}\n", json!({"index": {"_index": "app"}}));
        self.site.ask(&shipper, "POST", "/_bulk", &body).await;
        assert_eq!(self.site.find("own.list.a:99").await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_on_in_either_order() {
    let newest: Vec<u64> = (0..12).rev().collect();
    let oldest: Vec<u64> = (0..12).collect();
    for (sort, expected) in [
        (json!(["_doc"]), &newest),
        (json!("_doc"), &newest),
        (json!([{"@timestamp": {"order": "desc"}}]), &newest),
        (
            json!({"timestamp": {"order": "desc", "unmapped_type": "boolean"}, "_doc": "desc"}),
            &newest,
        ),
        (json!([{"@timestamp": "asc"}, {"_shard_doc": "asc"}]), &oldest),
        (json!("@timestamp"), &oldest),
        (
            json!(["_score", {"@timestamp": {"order": "asc", "format": "strict_date_optional_time"}}]),
            &oldest,
        ),
    ] {
        let door = Door::open().await;
        assert_eq!(door.paged(&sort).await, *expected, "{sort}");
        // What comes meanwhile is no part of a scroll.
        let scrolled = door.scrolled(&sort, async || door.newer().await).await;
        assert_eq!(scrolled, *expected, "{sort}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_begin_anywhere_and_ids_are_checked() {
    let door = Door::open().await;
    for id in ["", "x", "////", "AAAA"] {
        let (status, _) = door.ask("POST", "/_search/scroll", &json!({"scroll_id": id})).await;
        assert!([400, 404].contains(&status), "{id}");
    }
    assert_eq!(numbers(&door.search(json!({"size": 3, "from": 10})).await), [1, 0]);
    let moment = json!([1_795_356_003_003_i64]);
    let behind = door.search(json!({"size": 1, "search_after": moment})).await;
    assert_eq!(numbers(&behind), [2], "behind all of that moment");
    let sort = json!([{"@timestamp": "asc"}]);
    let behind = door.search(json!({"size": 2, "sort": sort, "search_after": moment})).await;
    assert_eq!(numbers(&behind), [4, 5], "behind all of that moment");
    let (_, answer) =
        door.ask("GET", "/_search?sort=@timestamp:asc&size=2&from=1", &Value::Null).await;
    assert_eq!(numbers(&answer), [1, 2]);
    let none = json!({"query": {"match_none": {}}, "size": 5, "sort": sort});
    let (status, answer) = door.ask("POST", "/_search?scroll=1m", &none).await;
    assert_eq!((status, numbers(&answer).len()), (200, 0));
    let next = json!({"scroll_id": answer["_scroll_id"]});
    assert_eq!(door.ask("POST", "/_search/scroll", &next).await.0, 200);
}
