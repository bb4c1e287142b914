//! OTLP as its exporters send it, over HTTP in both encodings and over gRPC.

use expect_test::{Expect, expect};
use serde_json::Value;

use super::message::{
    Any, AnyValue, KeyValue, List, LogRecord, Map, Resource, ResourceLogs, Scope, ScopeLogs,
};
use super::*;
use crate::auth::token::Scope as TokenScope;
use crate::testing::{Answer, Site, Who};
use event::Timestamp;

const NOW: Timestamp = Timestamp::from_seconds(1_000);

fn any(value: Any) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn text(text: &str) -> Any {
    Any::Text(text.to_owned())
}

fn pair(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: any(value) }
}

fn export(resource: Vec<KeyValue>, records: Vec<LogRecord>) -> Export {
    let scope = Some(Scope { name: "lib".into(), version: String::new() });
    Export {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource { attributes: resource }),
            scope_logs: vec![ScopeLogs { scope, log_records: records }],
        }],
    }
}

fn shown(export: Export) -> String {
    let (events, _) = record::events(export, NOW).unwrap();
    let one = |event: &event::Event| {
        format!("{} {} {}\n", event.time, event.kind, Value::Object(event.fields.clone()))
    };
    events.iter().map(one).collect()
}

fn check(record: LogRecord, expected: &Expect) {
    let resource = vec![pair("service.name", text("shop")), pair("host.name", text("web1"))];
    expected.assert_eq(&shown(export(resource, vec![record])));
}

#[test]
fn a_text_is_read_and_attributes_win() {
    let record = LogRecord {
        observed_time_unix_nano: 1_795_359_845_000_001_000,
        severity_number: 17,
        body: any(text(
            "{\"msg\":\"boom\",\"host\":{\"name\":\"forged\"},\"a\":1,\"event_type\":\"alert\"}",
        )),
        attributes: vec![
            pair("exception.type", text("IOError")),
            pair("k8s.pod.name", text("shop-0")),
            pair("a", Any::Double(f64::NAN)),
            pair("", text("no name")),
        ],
        trace_id: vec![1; 16],
        ..LogRecord::default()
    };
    check(
        record,
        &expect![[r#"
            2026-11-22T15:04:05.000001+0000 log {"msg":"boom","host":{"name":"web1"},"a":"NaN","original_event_type":"alert","message":"boom","event":{"module":"json","original":"{\"msg\":\"boom\",\"host\":{\"name\":\"forged\"},\"a\":1,\"event_type\":\"alert\"}","severity":17},"service":{"name":"shop"},"otel":{"scope":{"name":"lib"},"nameless_attributes":1},"error":{"type":"IOError"},"kubernetes":{"pod":{"name":"shop-0"}},"log":{"level":"error"},"trace":{"id":"01010101010101010101010101010101"}}
        "#]],
    );
}

#[test]
fn a_map_gives_fields_and_other_bodies_a_message() {
    let inner = Map { values: vec![pair("ip", text("192.0.2.1")), pair("n", Any::Int(-5))] };
    let record = LogRecord {
        time_unix_nano: 1_795_359_845_000_000_000,
        severity_text: "WARN".into(),
        body: any(Any::Map(Map { values: vec![pair("source", Any::Map(inner))] })),
        event_name: "user.login".into(),
        ..LogRecord::default()
    };
    check(
        record,
        &expect![[r#"
            2026-11-22T15:04:05.000000+0000 log {"source":{"ip":"192.0.2.1","n":-5},"service":{"name":"shop"},"host":{"name":"web1"},"otel":{"scope":{"name":"lib"}},"log":{"level":"warn"},"event":{"action":"user.login"}}
        "#]],
    );
    let list =
        List { values: vec![AnyValue { value: Some(Any::Bool(true)) }, AnyValue { value: None }] };
    check(
        LogRecord { body: any(Any::List(list)), ..LogRecord::default() },
        &expect![[r#"
            1970-01-01T00:16:40.000000+0000 log {"message":"[true,null]","service":{"name":"shop"},"host":{"name":"web1"},"otel":{"scope":{"name":"lib"}}}
        "#]],
    );
    check(
        LogRecord::default(),
        &expect![[r#"
            1970-01-01T00:16:40.000000+0000 log {"service":{"name":"shop"},"host":{"name":"web1"},"otel":{"scope":{"name":"lib"}}}
        "#]],
    );
}

#[test]
fn too_much_is_dropped_by_count_or_refused() {
    let many = (0..300).map(|n| pair(&format!("a{n}"), Any::Int(n))).collect();
    let record = LogRecord { attributes: many, ..LogRecord::default() };
    let (events, left_out) = record::events(export(Vec::new(), vec![record]), NOW).unwrap();
    assert_eq!(events[0].fields["otel"]["dropped_attributes"], 44);
    assert_eq!(left_out.too_many, 44);
    // A large resource in front of many small records would become a copy for each.
    let heavy = vec![pair("x", text(&"y".repeat(1_000_000)))];
    let error = record::events(export(heavy, vec![LogRecord::default(); 300]), NOW).unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooLarge);
    let dots = format!("a{}", ".b".repeat(20));
    let record = LogRecord { attributes: vec![pair(&dots, Any::Int(1))], ..LogRecord::default() };
    let (events, _) = record::events(export(Vec::new(), vec![record]), NOW).unwrap();
    assert_eq!(events[0].fields[&dots], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_without_name_or_value_are_counted_by_event_and_in_all() {
    let valueless = |key: &str| KeyValue { key: key.to_owned(), value: None };
    let record = || LogRecord {
        attributes: vec![valueless("a"), pair("", Any::Int(1)), pair("b", Any::Int(2))],
        body: any(Any::Map(Map { values: vec![valueless("c")] })),
        ..LogRecord::default()
    };
    let resource = vec![valueless("r"), pair("", Any::Int(1)), valueless("s")];
    let export = export(resource, vec![record(), record()]);
    let (events, left_out) = record::events(export.clone(), NOW).unwrap();
    for event in &events {
        let told = event.fields["otel"].clone();
        assert_eq!(told["valueless_attributes"], 4, "two of its own, two of its resource: {told}");
        assert_eq!(told["nameless_attributes"], 2);
    }
    // Those of the resource are left out once, however many records have it.
    assert_eq!((left_out.valueless, left_out.nameless, left_out.too_many), (6, 3, 0));
    let site = Site::new();
    let Who::Program(token) = site.program(&[TokenScope::Ingest]) else { panic!() };
    let request = axum::http::Request::post("/v1/logs")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", PROTOBUF)
        .body(axum::body::Body::from(export.encode_to_vec()))
        .unwrap();
    assert_eq!(site.send(request).await.status, StatusCode::OK);
    let metrics = site.app.telemetry.render();
    let wanted = "reason=\"attribute without a value\"";
    let line = metrics.lines().find(|line| line.contains(wanted)).unwrap();
    assert!(line.contains("way=\"otlp\"") && line.ends_with(" 6"), "{line}");
}

#[test]
fn json_is_what_protobuf_is() {
    let body = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}],"droppedAttributesCount":0},
        "scopeLogs":[{"scope":{"name":"lib"},"logRecords":[{"timeUnixNano":"1795359845000000000","observedTimeUnixNano":7,"severityNumber":9,
        "severityText":null,"body":{"kvlistValue":{"values":[{"key":"n","value":{"intValue":"-5"}},{"key":"l","value":{"arrayValue":{"values":[{"boolValue":true},{"doubleValue":0.5}]}}},
        {"key":"b","value":{"bytesValue":"AQI="}}]}},"attributes":null,"traceId":"0102ff0000000000000000000000000a","unknown":{"x":[1]}}]}],"schemaUrl":"x"}]}"#;
    let list = List {
        values: [Any::Bool(true), Any::Double(0.5)].map(|one| AnyValue { value: Some(one) }).into(),
    };
    let values = vec![
        pair("n", Any::Int(-5)),
        pair("l", Any::List(list)),
        pair("b", Any::Bytes(vec![1, 2])),
    ];
    let record = LogRecord {
        time_unix_nano: 1_795_359_845_000_000_000,
        observed_time_unix_nano: 7,
        severity_number: 9,
        body: any(Any::Map(Map { values })),
        trace_id: [&[1, 2, 255][..], &[0; 12], &[10]].concat(),
        ..LogRecord::default()
    };
    assert_eq!(
        json::read(body.as_bytes()).unwrap(),
        export(vec![pair("service.name", text("shop"))], vec![record])
    );
}

#[test]
fn what_is_no_otlp_is_refused_with_the_place() {
    for body in ["", "[1]", "{\"resourceLogs\":7}", "{\"resourceLogs\":[{]}"] {
        let error = decode(Bytes::copy_from_slice(body.as_bytes()), true).unwrap_err();
        assert!(error.to_string().contains("line 1 column"), "{error}");
    }
    let (open, close) = ("{\"arrayValue\":{\"values\":[".repeat(900), "]}}".repeat(900));
    let deep = format!(
        "{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"body\":{open}{close}}}]}}]}}]}}"
    );
    let error = decode(deep.into(), true).unwrap_err().to_string();
    assert!(error.contains("recursion limit"), "{error}");
    let mut nested = AnyValue { value: Some(Any::Bool(true)) };
    for _ in 0..200 {
        nested = AnyValue { value: Some(Any::List(List { values: vec![nested] })) };
    }
    let record = LogRecord { body: Some(nested), ..LogRecord::default() };
    let bytes = export(Vec::new(), vec![record]).encode_to_vec();
    let error = decode(bytes.into(), false).unwrap_err().to_string();
    assert!(error.contains("recursion"), "{error}");
    assert!(decode(Bytes::from_static(b"\x0a\xff\xff\xff\xff\x0f"), false).is_err());
}

/// Sends bytes to a path.
async fn send(
    site: &Site,
    who: &Who,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Answer {
    let mut request = who.sign(axum::http::Request::post(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    site.send(request.body(axum::body::Body::from(body)).unwrap()).await
}

fn one(message: &str) -> Vec<u8> {
    let record = LogRecord { body: any(text(message)), ..LogRecord::default() };
    export(Vec::new(), vec![record]).encode_to_vec()
}

fn packed(plain: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = flate2::read::GzEncoder::new(plain, flate2::Compression::fast());
    std::io::Read::read_to_end(&mut encoder, &mut bytes).unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_in_both_encodings() {
    let site = Site::new();
    let who = site.program(&[TokenScope::Ingest]);
    let media = [("content-type", PROTOBUF)];
    let answer = send(&site, &who, "/v1/logs", &media, one("first")).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, PROTOBUF));
    assert!(answer.bytes.is_empty(), "an empty message");
    let bytes = packed(&one("second"));
    let answer =
        send(&site, &who, "/v1/logs", &[media[0], ("content-encoding", "gzip")], bytes).await;
    assert_eq!(answer.status, StatusCode::OK);
    let json =
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"third"}}]}]}]}"#;
    let (status, answer) = site.ask(&who, "POST", "/v1/logs", json).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({})));
    assert_eq!(site.find("message:(first OR second OR third)").await.len(), 3);
    let (status, answer) = site.ask(&who, "POST", "/v1/logs", "{").await;
    assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!(3)));
    let answer = send(&site, &who, "/v1/logs", &media, b"\xff".to_vec()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let refused = Status::decode(&answer.bytes[..]).unwrap();
    assert!(refused.code == 3 && refused.message.contains("protobuf"), "{refused:?}");
    site.store.full.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = send(&site, &who, "/v1/logs", &media, one("later")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "to be sent again");
}

/// A message in gRPC's framing.
fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag][..], &length, message].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn over_grpc() {
    const PATH: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    let site = Site::new();
    let who = site.program(&[TokenScope::Ingest]);
    let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
    let answer = send(&site, &who, PATH, &grpc, framed(0, &one("over gRPC"))).await;
    assert_eq!((answer.status, answer.bytes), (StatusCode::OK, framed(0, b"")));
    let bytes = packed(&one("packed"));
    let headers = [grpc[0], grpc[1], ("grpc-encoding", "gzip")];
    let answer = send(&site, &who, PATH, &headers, framed(1, &bytes)).await;
    assert_eq!((answer.status, answer.bytes), (StatusCode::OK, framed(0, b"")));
    assert_eq!(site.find("message:gRPC OR message:packed").await.len(), 2);
    let answer = send(&site, &who, PATH, &grpc, framed(0, b"\xff")).await;
    assert_eq!(answer.header("grpc-status"), "13", "{:?}", answer.headers);
    site.store.full.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = send(&site, &who, PATH, &grpc, framed(0, &one("later"))).await;
    assert_eq!(answer.header("grpc-status"), "14", "unavailable, to be sent again");
    let answer = send(&site, &Who::Nobody, PATH, &grpc, framed(0, b"")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}
