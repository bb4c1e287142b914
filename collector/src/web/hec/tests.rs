//! HEC as its clients rely on it: what is taken, what is refused and by which number.

use expect_test::{Expect, expect};

use super::*;
use crate::auth::token::Scope;
use crate::testing::{Site, Who};

const NOW: Timestamp = Timestamp::from_seconds(1_000);

fn check(body: &str, expected: &Expect) {
    let shown = match events_of(body.as_bytes(), NOW) {
        Ok((events, _)) => {
            let one = |event: &Event| {
                format!("{} {} {}\n", event.time, event.kind, Value::Object(event.fields.clone()))
            };
            events.iter().map(one).collect()
        }
        Err(refusal) => format!("{refusal:?}\n"),
    };
    expected.assert_eq(&shown);
}

#[test]
fn texts_objects_and_fields() {
    check(
        r#"{"time":1795359845.25,"host":"fw1","source":"/var/log/a","sourcetype":"syslog","index":"main","event":"<38>Nov 22 15:04:05 h sshd[8]: hello"}{"time":"1795359845250","event":{"a":{"b":1}},"fields":{"site":["x"],"event_type":"alert","detection":"forged"}}
        {"event":7}"#,
        &expect![[r#"
            2026-11-22T15:04:05.250000+0000 log {"log":{"syslog":{"hostname":"h","appname":"sshd","procid":"8","facility":{"code":4},"severity":{"code":6}},"flags":["header_only"]},"host":{"name":"fw1"},"process":{"name":"sshd","pid":8},"message":"hello","event":{"original":"<38>Nov 22 15:04:05 h sshd[8]: hello"},"splunk":{"source":"/var/log/a","sourcetype":"syslog","index":"main"}}
            2026-11-22T15:04:05.250000+0000 log {"a":{"b":1},"site":["x"]}
            1970-01-01T00:16:40.000000+0000 log {"log":{"flags":["unparsed"]},"message":"7","event":{"original":"7"}}
        "#]],
    );
}

#[test]
fn every_parser_that_a_source_type_names_is_there() {
    for (begin, name) in SOURCE_TYPES {
        let origin = Origin { sourcetype: Some(begin.to_owned()), ..Origin::default() };
        assert_eq!(origin.format(), Format::named(name).unwrap());
        let built_in = logs::parse::Library::built_in();
        assert!(Format::NAMES.contains(&name) || built_in.names().any(|known| known == name));
    }
}

#[test]
fn what_is_no_event_is_refused_by_number() {
    for (body, words) in [
        ("", "NoData"),
        ("  \n", "NoData"),
        ("{\"event\":1}{\"evnt\":2}", "NoEvent(1)"),
        ("{\"event\":\"\"}", "Blank(0)"),
        ("{\"event\":null}", "NoEvent(0)"),
        ("{\"event\":1}{\"event\":", "Format(1, \"EOF"),
        ("{\"event\":1}[1]", "Format(1, \"invalid"),
        ("{\"event\":1,\"fields\":[1]}", "Fields(0)"),
        ("{\"event\":1,\"fields\":{\"a\":{\"b\":1}}}", "Fields(0)"),
    ] {
        let refusal = format!("{:?}", events_of(body.as_bytes(), NOW).unwrap_err());
        assert!(refusal.starts_with(words), "{body}: {refusal}");
    }
}

#[test]
fn deep_and_odd_bodies_are_harmless() {
    let deep = format!("{{\"event\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(matches!(events_of(deep.as_bytes(), NOW), Err(Refusal::Format(0, _))));
    for time in ["1e300", "-1e300", "\"soon\"", "null", "{}", "[]"] {
        let body = format!("{{\"event\":\"x\",\"time\":{time}}}");
        assert_eq!(events_of(body.as_bytes(), NOW).unwrap().0[0].time, NOW, "{time}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_lines_are_found_and_tokens_are_asked_for() {
    let site = Site::new();
    let Who::Program(token) = site.program(&[Scope::Ingest]) else { panic!() };
    let send = async |path: &str, scheme: &str, body: &str| {
        let request = axum::http::Request::post(path)
            .header("authorization", format!("{scheme} {token}"))
            .body(axum::body::Body::from(body.to_owned()))
            .unwrap();
        let answer = site.send(request).await;
        (answer.status, answer.json())
    };
    let success = json!({ "text": "Success", "code": 0 });
    let (status, answer) = send("/services/collector/event", "Splunk", "{\"event\":\"one\"}").await;
    assert_eq!((status, &answer), (StatusCode::OK, &success));
    let path = "/services/collector/raw?host=web9&sourcetype=access_combined&time=1795359000";
    let line = "192.0.2.1 - - [22/Nov/2026:15:00:00 +0000] \"GET /x HTTP/1.1\" 200 5 \"-\" \"c\"";
    let (status, answer) = send(path, "Bearer", &format!("{line}\r\n\n{line}\n")).await;
    assert_eq!((status, &answer), (StatusCode::OK, &success));
    let (status, answer) = send("/services/collector", "Splunk", "{\"event\":\"x\"}{}").await;
    let refused = json!({
        "text": "Event field is required", "code": 12, "invalid-event-number": 1
    });
    assert_eq!((status, &answer), (StatusCode::BAD_REQUEST, &refused));
    assert_eq!(site.find("*").await.len(), 3, "a request is stored whole or not at all");
    let found = site.find("host.name:web9").await;
    assert_eq!(found.len(), 2);
    assert_eq!(found[0]["src_ip"], "192.0.2.1");
    assert_eq!(found[0]["timestamp"], "2026-11-22T14:50:00.000000+0000");
    let health = site.ask(&Who::Nobody, "GET", "/services/collector/health", "").await;
    assert_eq!((health.0, &health.1["code"]), (StatusCode::OK, &json!(17)));
    let (status, answer) = send("/services/collector/ack", "Splunk", "{}").await;
    assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!(14)));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_cut_are_named_and_counted() {
    let long = "x".repeat(1_025);
    let body = format!(
        "{{\"host\":\"{long}\",\"source\":\"{}\",\"event\":{{\"splunk\":{{\"cut\":[\"forged\"]}}}}}}{{\"index\":\"{long}\",\"event\":1}}{{\"host\":\"{long}\",\"event\":1}}",
        "y".repeat(1_024)
    );
    let (events, cuts) = events_of(body.as_bytes(), NOW).unwrap();
    assert_eq!(events[0].fields["original"]["splunk"]["cut"], json!(["forged"]));
    assert_eq!(events[0].fields["splunk"]["cut"], json!(["host.name"]));
    assert_eq!(events[0].fields["host"]["name"].as_str().unwrap().len(), 1_024);
    assert_eq!(events[0].fields["splunk"]["source"].as_str().unwrap().len(), 1_024);
    assert_eq!(cuts, BTreeMap::from([("host.name", 2), ("splunk.index", 1)]));
    let site = Site::new();
    let who = site.program(&[Scope::Ingest]);
    let (status, _) = site.ask(&who, "POST", "/services/collector/event", &body).await;
    assert_eq!(status, StatusCode::OK);
    let metrics = site.app.telemetry.render();
    let wanted = "reason=\"host.name cut at 1024 characters\"";
    let line = metrics.lines().find(|line| line.contains(wanted)).unwrap();
    assert!(line.contains("way=\"hec\"") && line.ends_with(" 2"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_as_busy() {
    let site = Site::new();
    let who = site.program(&[Scope::Ingest]);
    site.store.full.store(true, std::sync::atomic::Ordering::SeqCst);
    let (status, answer) =
        site.ask(&who, "POST", "/services/collector/event", "{\"event\":\"x\"}").await;
    assert_eq!((status, &answer["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(9)));
}
