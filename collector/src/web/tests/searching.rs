//! Searching over the API: tables, remarks, exports, suggestions, kept searches, limits.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use std::sync::Arc;

use crate::auth::Role;
use crate::auth::token::Scope;
use crate::testing::{Site, Who};

/// A site with `count` events of three hosts.
async fn site(count: usize) -> (Site, Who) {
    let site = Site::new();
    let shipper = site.program(&[Scope::Ingest]);
    let lines: String = (0..count)
        .map(|n| {
            let event = json!({
                "host": {"name": format!("h{}", n % 3)}, "own": {"number": n},
                "message": format!("event {n} <b>"),
            });
            format!("{{\"create\":{{}}}}\n{event}\n")
        })
        .collect();
    let (status, answer) = site.ask(&shipper, "POST", "/_bulk", &lines).await;
    assert_eq!((status, &answer["errors"]), (StatusCode::OK, &json!(false)), "{answer}");
    let store = Arc::clone(site.app.pipeline.store());
    tokio::task::spawn_blocking(move || store.flush()).await.unwrap().unwrap();
    let reader = site.program(&[Scope::Read]);
    (site, reader)
}

async fn search(site: &Site, who: &Who, query: &str) -> (StatusCode, Value) {
    site.ask(who, "POST", "/api/v1/search", &json!({ "query": query }).to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_give_a_table_and_every_answer_says_how_complete_it_is() {
    let (site, reader) = site(7).await;
    let query = "event | stats count(), max(own.number) by host.name | sort -count | head 2";
    let (status, answer) = search(&site, &reader, query).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(
        answer["table"],
        json!({
            "columns": [{"name": "host.name", "role": "group"}, {"name": "count", "role": "value"},
                        {"name": "max(own.number)", "role": "value"}],
            "rows": [["h0", 3, 6], ["h1", 2, 4]],
        })
    );
    assert_eq!((&answer["total"], &answer["partial"]), (&json!(7), &json!(false)));
    assert_eq!(answer["completeness"], json!({"state": "complete", "reasons": [], "more": 0}));
    let (_, answer) = search(&site, &reader, "event").await;
    assert_eq!((answer["hits"].as_array().unwrap().len(), &answer["table"]), (7, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_is_judged_without_a_search() {
    let site = Site::new();
    let reader = site.program(&[Scope::Read]);
    let now = site.app.now();
    let id = site.app.agents.enrol::<crate::state::StateError>("web1", |_| Ok(now)).unwrap();
    let report = |seconds: i64, dropped: u64| {
        let report = json!({
            "time": now.plus_seconds(seconds), "boot": 1, "started": now, "version": "0.1.0",
            "ledgers": {"capture": {"seen": 9, "processed": 9 - dropped, "dropped": dropped}},
            "last_seq": 0, "pending": 0, "spool_bytes": 0, "acknowledged": 0, "rejected": 0, "skipped": 0,
        });
        site.app.agents.report(&id, report.to_string().as_bytes());
        site.app.ledgers.look(&site.app);
    };
    report(0, 0);
    site.app.clock.advance(600_000_000);
    report(600, 0);
    site.app.clock.advance(5_000_000);
    report(605, 4);
    let ask = async |from: i64, to: i64| {
        let time = |seconds: i64| now.plus_seconds(seconds).to_string().replace('+', "%2B");
        let path = format!("/api/v1/completeness?from={}&to={}", time(from), time(to));
        site.ask(&reader, "GET", &path, "").await
    };
    let (status, answer) = ask(0, 500).await;
    assert_eq!((status, &answer["state"]), (StatusCode::OK, &json!("complete")), "{answer}");
    let (_, answer) = ask(590, 700).await;
    assert_eq!(answer["state"], "incomplete");
    let reason = &answer["reasons"][0];
    assert_eq!(
        (&reason["kind"], &reason["subject"], &reason["count"]),
        (&json!("unseen"), &json!(id), &json!(4))
    );
    let link = reason["link"].as_str().unwrap();
    assert!(link.starts_with("#/complete?subject=web1&from=2026-"), "{link}");
    for query in ["from=soon", "since=now"] {
        let path = format!("/api/v1/completeness?{query}");
        let (status, answer) = site.ask(&reader, "GET", &path, "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_answered_with_the_place_and_a_suggestion() {
    let (site, reader) = site(1).await;
    for (query, words) in [
        ("a | stast count()", "column 5: there is no stage stast; did you mean stats"),
        ("src_ip=10.0.0.1", "column 7: = is no operator; write src_ip:10.0.0.1"),
        ("message:/a(/", "column 11: message: unclosed group"),
    ] {
        let (status, answer) = search(&site, &reader, query).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        let message = answer["message"].as_str().unwrap();
        assert!(message.starts_with(words), "{query}: {message}");
    }
    let (_, answer) = search(&site, &reader, "own.numbr:1").await;
    let words = "no event has a field own.numbr; did you mean own.number";
    assert_eq!(answer["notes"], json!([{"column": 1, "words": words}]));
    let long = json!({"query": "a", "budget_ms": 1_000_000}).to_string();
    let (status, _) = site.ask(&reader, "POST", "/api/v1/search", &long).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = site.ask(&reader, "GET", "/api/v1/tail?query=a%20%7C%20head", "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a tail has no stages");
}

async fn export(site: &Site, who: &Who, query: &str) -> (StatusCode, Vec<Value>) {
    let request = Request::get(format!("/api/v1/export?{query}"));
    let answer = site.send(who.sign(request).body(Body::empty()).unwrap()).await;
    let text = String::from_utf8(answer.bytes.clone()).unwrap();
    if answer.status == StatusCode::OK {
        assert_eq!(answer.header("content-type"), "application/x-ndjson");
    }
    (answer.status, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_gives_every_event_once_and_a_summary_last() {
    let (site, reader) = site(2_345).await;
    let (status, mut lines) = export(&site, &reader, "query=event&to=now%2B1h").await;
    assert_eq!(status, StatusCode::OK);
    let summary = lines.pop().unwrap();
    let summary = &summary["_summary"];
    assert_eq!(
        (&summary["sent"], &summary["complete"]),
        (&json!(2_345), &json!(true)),
        "{summary}"
    );
    let mut numbers: Vec<u64> =
        lines.iter().map(|line| line["own"]["number"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..2_345).collect::<Vec<u64>>());
    let (_, lines) =
        export(&site, &reader, "query=*%20%7C%20top%201%20host.name&to=now%2B1h").await;
    assert_eq!(lines[0], json!({"host.name": "h0", "count": 782, "percent": 33.35}));
    assert_eq!((lines.len(), &lines[1]["_summary"]["complete"]), (2, &json!(true)));
    let (status, lines) = export(&site, &reader, "query=a%20%7C%20nope").await;
    assert_eq!((status, &lines[0]["code"]), (StatusCode::BAD_REQUEST, &json!("bad_request")));
    let (status, _) = export(&site, &reader, "query=a&from=soon").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_and_suggestions_come_from_the_events() {
    let (site, reader) = site(9).await;
    let (_, fields) = site.ask(&reader, "GET", "/api/v1/fields", "").await;
    let field = |name: &str| {
        fields.as_array().unwrap().iter().find(|one| one["name"] == name).cloned().unwrap()
    };
    assert_eq!(
        (&field("host.name")["events"], &field("host.name")["type"]),
        (&json!(9), &json!("keyword"))
    );
    assert_eq!(
        (&field("own.number")["events"], &field("own.number")["type"]),
        (&json!(9), &json!("number"))
    );
    assert_eq!((&field("message")["events"], &field("tls.sni")["events"]), (&json!(9), &json!(0)));
    let ask = |text: &str| {
        let place = text.chars().count();
        json!({"text": text, "place": place}).to_string()
    };
    for (text, from, first) in [
        ("own.n", 0, "own.number:"),
        ("a host.name:h", 12, "h0"),
        ("message:ev", 8, "event"),
        ("a | st", 4, "stats "),
    ] {
        let (status, found) = site.ask(&reader, "POST", "/api/v1/complete", &ask(text)).await;
        assert_eq!((status, &found["from"]), (StatusCode::OK, &json!(from)), "{text}: {found}");
        assert_eq!(found["items"][0]["text"], first, "{text}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_are_kept_for_their_owner_or_for_all() {
    let site = Site::new();
    let (analyst, viewer) = (site.person(Role::Analyst), site.person(Role::Viewer));
    let save = |shared: bool| {
        let search = json!({"name": "logins", "query": "a | stats count()", "from": "now-7d", "shared": shared});
        search.to_string()
    };
    let (status, own) = site.ask(&analyst, "POST", "/api/v1/searches/save", &save(false)).await;
    assert_eq!((status, &own["owner"]), (StatusCode::OK, &json!("analyst")), "{own}");
    let (_, shared) = site.ask(&analyst, "POST", "/api/v1/searches/save", &save(true)).await;
    let count = |list: &Value| list.as_array().unwrap().len();
    let (_, seen) = site.ask(&analyst, "GET", "/api/v1/searches", "").await;
    assert_eq!(count(&seen), 2);
    for who in [&viewer, &site.program(&[Scope::Read])] {
        let (_, seen) = site.ask(who, "GET", "/api/v1/searches", "").await;
        assert_eq!((count(&seen), &seen[0]["id"]), (1, &shared["id"]));
    }
    let path = format!("/api/v1/searches/{}", own["id"].as_str().unwrap());
    assert_eq!(site.ask(&analyst, "DELETE", &path, "").await.0, StatusCode::OK);
    assert_eq!(site.ask(&analyst, "DELETE", &path, "").await.0, StatusCode::NOT_FOUND);
    let wrong = json!({"name": "x", "query": "a | nope"}).to_string();
    let (status, _) = site.ask(&analyst, "POST", "/api/v1/searches/save", &wrong).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_asks_too_much_is_told_when_to_come_again() {
    let site = Site::new();
    let (reader, other) = (site.program(&[Scope::Read]), site.program(&[Scope::Read]));
    let mut refused = None;
    for _ in 0..200 {
        let request = reader.sign(Request::get("/api/v1/searches")).body(Body::empty()).unwrap();
        let answer = site.send(request).await;
        if answer.status != StatusCode::OK {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.unwrap();
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (StatusCode::TOO_MANY_REQUESTS, "1")
    );
    assert_eq!(refused.json()["code"], "too_many");
    assert_eq!(site.ask(&other, "GET", "/api/v1/searches", "").await.0, StatusCode::OK);
    let limited = site.app.telemetry.value("pikett_requests_limited", &[("token", "t0")]);
    assert_eq!(limited, 1);
    // Shippers are not limited.
    let shipper = site.program(&[Scope::Ingest]);
    for _ in 0..150 {
        assert_eq!(site.ask(&shipper, "GET", "/_license", "").await.0, StatusCode::OK);
    }
}
