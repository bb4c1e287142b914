//! The `_bulk` protocol as shippers rely on it: answers line by line, packing, repeated sending.

use super::*;
use crate::auth::token::Scope;
use axum::body::Body;
use axum::http::StatusCode;
use event::Kind;

const NOW: Timestamp = Timestamp::from_seconds(1_000);

fn lines(body: &str) -> (Vec<String>, Vec<Event>) {
    let (items, events) = parse(body.as_bytes(), ("s", Some("logs")), NOW).unwrap();
    let shown = items.into_iter().enumerate().map(|item| show(item).to_string());
    (shown.collect(), events)
}

#[test]
fn documents_become_events() {
    let (items, events) = lines(concat!(
        "{\"index\":{}}\n{\"message\":\"hi\",\"@timestamp\":\"2026-11-22T15:04:05Z\"}\n",
        "{\"create\":{\"_index\":\"eve\",\"_id\":\"7\"}}\r\n{\"event_type\":\"dns\",\"src_ip\":\"10.0.0.1\"}\n",
    ));
    assert_eq!(events.len(), 2);
    assert_eq!((&events[0].kind, &events[1].kind), (&Kind::Log, &Kind::Dns));
    assert_eq!(events[0].time.to_string(), "2026-11-22T15:04:05.000000+0000");
    assert_eq!((events[1].time, &events[1].fields["elastic"]["index"]), (NOW, &json!("eve")));
    assert!(items[1].contains("\"_id\":\"7\"") && items[1].contains("\"status\":201"));
}

#[test]
fn one_bad_line_does_not_stop_the_others() {
    let (items, events) = lines(concat!(
        "{\"index\":{}}\n{broken\n{\"index\":{}}\n[1]\n{\"delete\":{\"_id\":\"1\"}}\n",
        "{\"update\":{\"_id\":\"1\"}}\n{\"doc\":{}}\n{\"index\":{}}\n{\"a\":1}\n",
    ));
    assert_eq!((items.len(), events.len()), (5, 1));
    assert_eq!(items.iter().filter(|item| item.contains("\"status\":400")).count(), 4);
}

#[test]
fn bodies_that_are_none_are_refused_with_the_line() {
    for (body, words) in [
        ("garbage\n{}\n", "line 1: expected value"),
        ("{\"index\":{}}\n", "the last action has no document"),
        ("{\"a\":{},\"b\":{}}\n{}\n", "line 1: an action is expected"),
        ("\n\n{\"steal\":{}}\n{}\n", "line 3: unknown action \"steal\""),
    ] {
        let Err(failure) = parse(body.as_bytes(), ("s", None), NOW) else { panic!("{body}") };
        assert!(failure.to_string().starts_with(words), "{failure}");
    }
}

#[test]
fn a_shipper_cannot_forge_detections_or_audit() {
    let (_, events) =
        lines("{\"index\":{}}\n{\"event_type\":\"audit\",\"detection\":{\"engine\":\"sigma\"}}\n");
    assert_eq!(events[0].kind, Kind::Log);
    assert!(!events[0].fields.contains_key("detection"));
}

use crate::testing::{Site, Who};
use crate::web::elastic::ids::MOST;
use axum::http::Request as HttpRequest;
use std::sync::atomic::Ordering;

struct Shipper {
    site: Site,
    who: Who,
}

impl Shipper {
    fn new() -> Self {
        let site = Site::new();
        let who = site.program(&[Scope::Ingest]);
        Self { site, who }
    }

    async fn post(&self, body: &str) -> (StatusCode, Value) {
        self.site.ask(&self.who, "POST", "/_bulk", body).await
    }

    /// Statuses of the items.
    async fn statuses(&self, body: &str) -> Vec<u64> {
        let (status, answer) = self.post(body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let items = answer["items"].as_array().unwrap();
        let one =
            |item: &Value| item.as_object().unwrap().values().next().unwrap()["status"].clone();
        items.iter().map(|item| one(item).as_u64().unwrap()).collect()
    }

    async fn stored(&self) -> usize {
        self.site.find("*").await.len()
    }
}

/// An action with its document.
fn put(action: &str, id: &str, message: &str) -> String {
    let head = json!({ action: { "_index": "logs", "_id": id } });
    format!("{head}\n{}\n", json!({ "message": message }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_sent_again_after_a_lost_answer_is_not_stored_twice() {
    let shipper = Shipper::new();
    let created = put("create", "1", "a") + &put("create", "2", "b");
    assert_eq!(shipper.statuses(&created).await, [201, 201]);
    assert_eq!(shipper.statuses(&created).await, [409, 409]);
    let indexed = put("index", "3", "a") + &put("index", "4", "b");
    assert_eq!(shipper.statuses(&indexed).await, [201, 201]);
    assert_eq!(shipper.statuses(&indexed).await, [200, 200]);
    assert_eq!(shipper.stored().await, 4);
    let (_, answer) = shipper.post(&created).await;
    expect_test::expect![[r#"{"create":{"_index":"logs","_id":"1","status":409,"error":{"type":"version_conflict_engine_exception","reason":"[1]: version conflict, document already exists"}}}"#]]
        .assert_eq(&answer["items"][0].to_string());
    assert_eq!(answer["errors"], true);
    let (_, answer) = shipper.post(&indexed).await;
    assert_eq!(answer["errors"], false, "a repeated index is no error");
    assert_eq!(answer["items"][0]["index"]["result"], "noop");
}

#[tokio::test(flavor = "multi_thread")]
async fn identities_and_contents_are_told_apart() {
    let shipper = Shipper::new();
    let other_index = "{\"create\":{\"_index\":\"other\",\"_id\":\"1\"}}\n{\"message\":\"a\"}\n";
    for (what, body, expected) in [
        ("first", put("create", "1", "a"), vec![201]),
        ("create with other content", put("create", "1", "b"), vec![409]),
        ("index with the same content", put("index", "1", "a"), vec![200]),
        ("index with other content is a further event", put("index", "1", "b"), vec![201]),
        ("which is then the known one", put("index", "1", "b"), vec![200]),
        ("another index", other_index.to_owned(), vec![201]),
        (
            "twice in one request",
            put("create", "2", "x") + &put("create", "2", "x"),
            vec![201, 409],
        ),
        (
            "an empty identity is none",
            put("create", "", "y") + &put("create", "", "y"),
            vec![201, 201],
        ),
        (
            "without identity nothing is compared",
            "{\"create\":{}}\n{\"m\":1}\n".repeat(2),
            vec![201, 201],
        ),
    ] {
        assert_eq!(shipper.statuses(&body).await, expected, "{what}");
    }
    assert_eq!(shipper.stored().await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_cannot_keep_each_others_events_out() {
    let shipper = Shipper::new();
    let body = put("create", "1", "a");
    assert_eq!(shipper.statuses(&body).await, [201]);
    let other = shipper.site.program(&[Scope::Ingest]);
    let (_, answer) = shipper.site.ask(&other, "POST", "/_bulk", &body).await;
    assert_eq!(answer["items"][0]["create"]["status"], 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_stored_is_not_known() {
    let shipper = Shipper::new();
    assert_eq!(shipper.statuses(&put("index", "9", "old")).await, [201]);
    shipper.site.store.full.store(true, Ordering::SeqCst);
    let body = put("create", "1", "a") + &put("index", "9", "new");
    let (status, answer) = shipper.post(&body).await;
    assert_eq!((status, &answer["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")));
    assert!(answer["message"].as_str().unwrap().contains("no space left"), "{answer}");
    shipper.site.store.full.store(false, Ordering::SeqCst);
    assert_eq!(shipper.statuses(&put("index", "9", "old")).await, [200], "still the known one");
    assert_eq!(shipper.statuses(&body).await, [201, 201], "the shipper's second attempt succeeds");
    assert_eq!(shipper.stored().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_requests_at_once_store_one_document() {
    let shipper = Shipper::new();
    let body: String = (0..50).map(|n| put("create", &n.to_string(), "x")).collect();
    let (one, two) = tokio::join!(shipper.statuses(&body), shipper.statuses(&body));
    for (one, two) in one.into_iter().zip(two) {
        let mut both = [one, two];
        both.sort_unstable();
        assert_eq!(both, [201, 409]);
    }
    assert_eq!(shipper.stored().await, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_nothing_half_done() {
    let shipper = Shipper::new();
    let body = put("create", "1", "a");
    let blocked = shipper.site.app.bulk_ids.lock().await;
    let gone = tokio::time::timeout(std::time::Duration::from_millis(200), shipper.post(&body));
    assert!(gone.await.is_err(), "the answer never came");
    drop(blocked);
    // The request goes on without its client; the repetition meets it or comes after it.
    assert_eq!(shipper.statuses(&body).await, [409]);
    assert_eq!(shipper.stored().await, 1);
}

#[test]
fn the_window_forgets_the_oldest_and_is_bounded() {
    let mut window = Window::new(100);
    let named = |n: usize| Named::new("s", "i", &n.to_string(), b"x");
    for n in 0..1_000 {
        assert_eq!(window.look(&named(n)), Known::New);
        window.put(named(n));
        for recent in n.saturating_sub(99)..=n {
            assert_eq!(window.look(&named(recent)), Known::Same, "{recent} at {n}");
        }
    }
    assert_eq!(window.look(&named(799)), Known::New, "older than two generations");
    assert_eq!(MOST, 250_000, "docs/operate.md names this number");
}

#[test]
fn parts_of_an_identity_do_not_run_together() {
    let keys =
        [("a", "b", "c"), ("ab", "", "c"), ("a", "bc", ""), ("", "a", "bc"), ("a", "b", "d")];
    for (n, one) in keys.iter().enumerate() {
        for (m, two) in keys.iter().enumerate() {
            let same =
                Named::new(one.0, one.1, one.2, b"x") == Named::new(two.0, two.1, two.2, b"x");
            assert_eq!(same, n == m, "{one:?} {two:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_shippers_send_is_taken() {
    use std::io::Write;
    let shipper = Shipper::new();
    let gzip = |body: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(body.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let plain = "{\"create\":{}}\n{\"message\":\"m\"}\n";
    let two_members = [gzip("{\"create\":{}}\n"), gzip("{\"message\":\"m\"}\n")].concat();
    let compatible = "application/vnd.elasticsearch+json; compatible-with=9";
    for (method, path, headers, body) in [
        ("POST", "/_bulk", &[][..], plain.as_bytes().to_vec()),
        ("PUT", "/_bulk", &[], plain.as_bytes().to_vec()),
        ("POST", "/logs/_bulk", &[], plain.as_bytes().to_vec()),
        ("PUT", "/logs/_bulk?pipeline=x&timeout=1m", &[], plain.as_bytes().to_vec()),
        ("POST", "/_bulk", &[("content-type", "application/x-ndjson")], plain.as_bytes().to_vec()),
        ("POST", "/_bulk", &[("content-type", compatible)], plain.as_bytes().to_vec()),
        ("POST", "/_bulk", &[("content-encoding", "gzip")], gzip(plain)),
        ("POST", "/_bulk", &[("content-encoding", "GZIP")], two_members),
        ("POST", "/_bulk", &[], plain.trim_end().as_bytes().to_vec()),
        ("POST", "/_bulk", &[], plain.replace('\n', "\r\n").into_bytes()),
        ("POST", "/_bulk", &[], format!("\n\n  {plain}\n\n").into_bytes()),
    ] {
        let mut request = shipper.who.sign(HttpRequest::builder().method(method).uri(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = shipper.site.send(request.body(Body::from(body)).unwrap()).await;
        let json = answer.json();
        assert_eq!(answer.status, StatusCode::OK, "{method} {path} {headers:?}: {json}");
        assert_eq!(json["items"][0]["create"]["status"], 201, "{method} {path} {headers:?}");
        assert_eq!(answer.header("x-elastic-product"), "Elasticsearch");
    }
    assert_eq!(shipper.stored().await, 11);
    assert_eq!(shipper.site.find("elastic.index:logs").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_media_type_asked_for_is_the_one_answered() {
    let shipper = Shipper::new();
    for (accept, expected) in [
        ("", "application/json"),
        ("application/json", "application/json"),
        ("text/html", "application/json"),
        (
            "application/vnd.elasticsearch+json; compatible-with=8",
            "application/vnd.elasticsearch+json; compatible-with=8",
        ),
    ] {
        for path in ["/_elastic", "/_cluster/health", "/"] {
            let request = shipper.who.sign(HttpRequest::get(path)).header("accept", accept);
            let answer = shipper.site.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            assert_eq!(answer.header("content-type"), expected, "{path} {accept}");
            assert_eq!(answer.header("x-elastic-product"), "Elasticsearch", "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_cannot_be_taken_say_why() {
    let shipper = Shipper::new();
    let huge = format!("{{\"index\":{{}}}}\n{{\"m\":\"{}\"}}\n", "a".repeat(64 * 1024 * 1024));
    let many = "{\"delete\":{}}\n".repeat(100_001);
    for (body, status, words) in [
        ("", 400, "the body holds no action"),
        ("\n \n", 400, "the body holds no action"),
        ("{\"index\":{}}", 400, "the last action has no document"),
        ("{\"index\":{}}\n{}\nnonsense\n{}\n", 400, "line 3: expected"),
        ("[]\n{}\n", 400, "line 1: an action is expected"),
        ("{\"index\":{},\"create\":{}}\n{}\n", 400, "line 1: an action is expected"),
        ("\u{feff}{\"index\":{}}\n{}\n", 400, "line 1: expected value"),
        (huge.as_str(), 413, "larger than 64 MiB"),
        (many.as_str(), 413, "over 100000 documents"),
    ] {
        let (got, answer) = shipper.post(body).await;
        let shown: String = body.chars().take(40).collect();
        assert_eq!(got.as_u16(), status, "{shown:?}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(words), "{shown:?}: {answer}");
    }
    assert_eq!(shipper.stored().await, 0, "a request is taken as a whole or not at all");
}

#[tokio::test(flavor = "multi_thread")]
async fn mixed_lines_are_answered_one_by_one_in_order() {
    let shipper = Shipper::new();
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    let long = "x".repeat(513);
    let body = [
        "{\"create\":{}}\n{\"message\":\"one\"}",
        "{\"index\":{}}\nnot json",
        "{\"update\":{\"_id\":\"1\"}}\n{\"doc\":{}}",
        // An identity that looks like another action must not eat the line behind it.
        "{\"delete\":{\"_id\":\"update\"}}",
        "{\"create\":{}}\n{\"message\":\"two\"}",
        "{\"index\":{}}\n[1,2]",
        "{\"index\":{}}\nnull",
        &format!("{{\"index\":{{}}}}\n{deep}"),
        &format!("{{\"index\":{{\"_id\":\"{long}\"}}}}\n{{\"m\":1}}"),
        "{\"index\":{\"_id\":7}}\n{\"message\":\"three\"}",
    ];
    let (_, answer) = shipper.post(&body.join("\n")).await;
    let shown: Vec<String> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let (action, item) = item.as_object().unwrap().iter().next().unwrap();
            let reason = item["error"]["reason"].as_str().unwrap_or_default();
            format!("{action} {} {reason}", item["status"]).trim_end().to_owned()
        })
        .collect();
    expect_test::expect![[r#"
        create 201
        index 400 document is no JSON: expected ident at line 1 column 2
        update 400 only index and create are accepted: events do not change
        delete 400 only index and create are accepted: events do not change
        create 201
        index 400 document is no JSON object
        index 400 document is no JSON object
        index 400 document is no JSON: recursion limit exceeded at line 1 column 132
        index 400 _id has 513 bytes, at most 512 are allowed
        index 201"#]]
    .assert_eq(&shown.join("\n"));
    assert_eq!(shipper.stored().await, 3);
    let metrics = shipper.site.app.telemetry.render();
    assert!(metrics.contains("pikett_bulk_refused_total{} 7"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_cannot_pose_as_something_else() {
    let shipper = Shipper::new();
    let forged = json!({
        "event.id": "other/0000000000000001/1", "agent.id": "other", "event.created": "x",
        "event": {"id": "other/0000000000000001/2", "module": "m"}, "agent": {"id": "other"},
        "detection": {"engine": "sigma", "rule_id": "r"}, "event_type": "health",
        "timestamp": "no time", "@timestamp": 5, "message": "needle",
    });
    let body = format!("{{\"create\":{{}}}}\n{forged}\n");
    assert_eq!(shipper.statuses(&body).await, [201], "and it does not block the shipper for ever");
    let found = shipper.site.find("needle").await.remove(0);
    let text = |name: &str| event::get(&found, name).and_then(Value::as_str).unwrap_or_default();
    assert!(text("event.id").starts_with("t0/"), "{found:?}");
    assert_eq!((text("agent.id"), text("event_type")), ("t0", "log"));
    assert_eq!(text("original.agent.id"), "other", "what was sent is kept beside");
    assert_eq!(text("event.module"), "m");
    assert!(!found.contains_key("detection"));
    assert_eq!(shipper.site.app.alerts.list(|_| true, 10).1, 0);
    assert_eq!(shipper.site.find("agent.id:other").await.len(), 0);
}

#[test]
fn times_and_kinds_of_documents() {
    let check = |document: Value, time: &str, kind: &str| {
        let (_, events) = lines(&format!("{{\"index\":{{}}}}\n{document}\n"));
        assert_eq!(events[0].time.to_string(), time, "{document}");
        assert_eq!(events[0].kind.as_str(), kind, "{document}");
        assert_eq!(events[0].seen, NOW);
    };
    let now = NOW.to_string();
    let noon = "2026-11-22T12:00:00.000000+0000";
    check(json!({}), &now, "log");
    check(json!({"@timestamp": "2026-11-22T12:00:00Z"}), noon, "log");
    check(json!({"@timestamp": "2026-11-22T13:00:00+01:00"}), noon, "log");
    check(json!({"timestamp": "2026-11-22T12:00:00.000000+0000"}), noon, "log");
    check(
        json!({"@timestamp": "2026-11-22T12:00:00Z", "timestamp": "2000-01-01T00:00:00Z"}),
        noon,
        "log",
    );
    check(json!({"@timestamp": "soon", "timestamp": "2026-11-22T12:00:00Z"}), noon, "log");
    let number = "2023-11-14T22:13:20.000000+0000";
    check(json!({"@timestamp": 1_700_000_000}), number, "log");
    check(json!({"@timestamp": 1_700_000_000_000_i64}), number, "log");
    check(json!({"@timestamp": "1700000000000"}), number, "log");
    check(json!({"@timestamp": [1]}), &now, "log");
    let (_, events) = lines("{\"index\":{}}\n{\"@timestamp\":\"soon\"}\n");
    assert_eq!(events[0].fields["original"]["timestamp"], "soon", "kept beside");
    check(json!({"event_type": "dns"}), &now, "dns");
    check(json!({"event_type": "own_kind"}), &now, "own_kind");
    check(json!({"event_type": 7}), &now, "log");
    check(json!({"event_type": "x".repeat(65)}), &now, "log");
    check(json!({"event_type": "audit"}), &now, "log");
}
