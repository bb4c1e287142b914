//! The client against servers that answer well, badly, or not at all.

use super::*;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

/// A client for plain HTTP on this machine; what TLS adds is tested where the certificates are made.
fn client(url: &str) -> Client {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .build()
        .new_agent();
    let pass = Pass::Token(Secret::new("pkt_t".into()));
    Client { url: url.trim_end_matches('/').to_owned(), pass, agent }
}

/// A server for one request: gives `answer` and tells what it was asked.
fn serve(answer: String) -> (Client, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let told = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut text, mut buffer) = (String::new(), [0; 4096]);
        loop {
            let length = stream.read(&mut buffer).unwrap();
            text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
            let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                let head = head.to_lowercase();
                let length = head.split("content-length: ").nth(1);
                let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
                body.len() >= length.unwrap_or(0)
            });
            if whole || length == 0 {
                break;
            }
        }
        stream.write_all(answer.as_bytes()).unwrap();
        text
    });
    (client(&url), told)
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn an_authority_without_certificate_is_refused() {
    for text in ["", "garbage", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"] {
        let error = Client::new("https://x", text, Secret::new("t".into())).unwrap_err();
        assert_eq!(error.to_string(), "no certificate in the authority file");
    }
}

#[test]
fn requests_carry_the_token_and_the_body() {
    let (client, told) = serve(answer("200 OK", "{\"a\":1}"));
    assert_eq!(client.get::<Value>("/api/v1/x?y=1").unwrap(), json!({"a": 1}));
    let told = told.join().unwrap();
    assert!(told.starts_with("GET /api/v1/x?y=1 HTTP/1.1\r\n"), "{told}");
    assert!(told.to_lowercase().contains("authorization: bearer pkt_t\r\n"), "{told}");
    let (client, told) = serve(answer("200 OK", "null"));
    client.post::<_, Value>("/api/v1/search", &json!({"query": "é"})).unwrap();
    let told = told.join().unwrap();
    assert!(told.starts_with("POST /api/v1/search "), "{told}");
    let (head, body) = told.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("application/json"), "{head}");
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), json!({"query": "é"}));
}

#[test]
fn refusals_are_told_in_the_collectors_words() {
    for (status, code) in [
        ("400 Bad Request", ErrorCode::BadRequest),
        ("401 Unauthorized", ErrorCode::Unauthenticated),
        ("409 Conflict", ErrorCode::Conflict),
        ("503 Service Unavailable", ErrorCode::Unavailable),
    ] {
        let body = serde_json::to_string(&ErrorBody { code, message: "in words".into() }).unwrap();
        let (client, _told) = serve(answer(status, &body));
        match client.get::<Value>("/") {
            Err(ClientError::Refused { code: got, message }) => {
                assert_eq!((got, message.as_str()), (code, "in words"));
            }
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[test]
fn answers_that_are_none_say_what_came() {
    for (given, words) in [
        (answer("502 Bad Gateway", "<html>proxy</html>"), "status 502"),
        (answer("200 OK", "<html>"), "expected value"),
        (answer("200 OK", ""), "EOF while parsing"),
        (answer("302 Found", ""), "status 302"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_owned(), ""),
    ] {
        let (client, _told) = serve(given.clone());
        let Err(ClientError::Answer { url, reason }) = client.get::<Value>("/") else {
            panic!("{given}")
        };
        assert!(
            url.starts_with("http://127.0.0.1:") && reason.contains(words),
            "{given}: {reason}"
        );
    }
}

#[test]
fn nobody_there_is_unreachable_and_names_the_address() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = client(&format!("http://127.0.0.1:{port}"));
    let errors = [
        client.get::<Value>("/").unwrap_err(),
        client.post::<_, Value>("/", &1).unwrap_err(),
        client.stream("/", &mut |_| true).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
        assert!(error.to_string().starts_with(&format!("cannot reach http://127.0.0.1:{port}: ")));
    }
}

#[test]
fn streams_give_the_data_of_each_event_until_told_to_stop() {
    let events =
        "data: one\n\n: keep-alive\n\nevent: lost\ndata: 5\n\ndata: {\"a\": \"data: x\"}\n\n";
    let read = |most: usize| {
        let (client, _told) = serve(answer("200 OK", events));
        let mut seen = Vec::new();
        let each = &mut |data: &str| {
            seen.push(data.to_owned());
            seen.len() < most
        };
        client.stream("/api/v1/tail", each).unwrap();
        seen
    };
    assert_eq!(read(10), ["one", "5", "{\"a\": \"data: x\"}"]);
    assert_eq!(read(1), ["one"]);
    let body = "{\"code\":\"forbidden\",\"message\":\"no\"}";
    let (client, _told) = serve(answer("403 Forbidden", body));
    let error = client.stream("/", &mut |_| panic!("no event")).unwrap_err();
    assert!(matches!(error, ClientError::Refused { code: ErrorCode::Forbidden, .. }));
}

#[test]
fn the_token_is_not_shown() {
    assert!(!format!("{:?}", client("http://x")).contains("pkt_t"));
}

/// An answer with a session in it.
fn session(cookie: &str) -> String {
    let body = json!({"user": "alice", "role": "admin", "csrf": "c5rf", "must_change": false});
    let body = body.to_string();
    format!(
        "HTTP/1.1 200 OK\r\n{cookie}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn people_sign_in_and_every_request_carries_their_session() {
    let set = "Set-Cookie: __Host-pikett=s3cret; Path=/; Secure; HttpOnly\r\n";
    let (outside, told) = serve(session(set));
    let password = Secret::new("correct horse".into());
    let inside = outside.signed_in("alice", &password).unwrap();
    let told = told.join().unwrap();
    assert!(told.starts_with("POST /api/v1/login "), "{told}");
    let (_, body) = told.split_once("\r\n\r\n").unwrap();
    let given = json!({"name": "alice", "password": "correct horse"});
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), given);
    assert!(!format!("{inside:?}").contains("s3cret"), "{inside:?}");
    let (next, told) = serve(answer("200 OK", "{}"));
    Client { url: next.url, ..inside }.sign_out().unwrap();
    let told = told.join().unwrap();
    assert!(told.starts_with("POST /api/v1/logout "), "{told}");
    let head = told.to_lowercase();
    assert!(head.contains("cookie: __host-pikett=s3cret\r\n"), "{told}");
    assert!(head.contains("x-csrf-token: c5rf\r\n"), "{told}");
}

#[test]
fn a_login_that_fails_begins_nothing() {
    let password = Secret::new("wrong".into());
    let body = json!({"code": "unauthenticated", "message": "name or password is wrong"});
    let (client, _told) = serve(answer("401 Unauthorized", &body.to_string()));
    let refused = client.signed_in("alice", &password).unwrap_err();
    assert!(matches!(refused, ClientError::Refused { .. }), "{refused}");
    let (client, _told) = serve(session(""));
    let refused = client.signed_in("alice", &password).unwrap_err();
    assert!(refused.to_string().contains("without a cookie"), "{refused}");
}
