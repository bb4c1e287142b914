//! HTTP as strangers speak it: wrong methods and media types, broken and oversize bodies, hostile
//! text on its way out, headers of every answer.

use super::*;
use event::Severity;

fn request(who: &Who, method: &str, path: &str) -> axum::http::request::Builder {
    who.sign(HttpRequest::builder().method(method).uri(path))
}

/// What every answer must carry.
fn guarded(answer: &crate::testing::Answer, what: &str) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("strict-transport-security", "max-age=31536000"),
    ] {
        assert_eq!(answer.header(name), value, "{what}");
    }
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{what}");
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_every_route_is_guarded_also_errors() {
    let site = Site::new();
    let admin = site.person(Role::Admin);
    for route in ROUTES {
        let (path, body) = example(route);
        for who in [&Who::Nobody, &admin] {
            // A logout would end the session the others need.
            if route.path == "/api/v1/logout" {
                continue;
            }
            let sent = request(who, route.method, &path).header("content-type", "application/json");
            let answer = site.send(sent.body(Body::from(body.clone())).unwrap()).await;
            guarded(&answer, &format!("{route:?}"));
            assert!(!answer.status.is_server_error(), "{route:?}: {}", answer.json());
            if path.starts_with("/api/") {
                assert_eq!(answer.header("cache-control"), "no-store", "{route:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_a_path_does_not_know_are_refused_and_change_nothing() {
    let site = Site::new();
    let admin = site.person(Role::Admin);
    let known: std::collections::BTreeSet<(String, &str)> =
        ROUTES.iter().map(|route| (example(route).0, route.method)).collect();
    for route in ROUTES.iter().filter(|route| route.path.starts_with("/api/")) {
        let (path, _) = example(route);
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
            // DELETE of a user shares its route with PUT.
            let shared = method == "DELETE" && path == "/api/v1/users/nope";
            // /users/add also fits the pattern /users/{name}.
            let nested = ["/api/v1/users/add", "/api/v1/tokens/add"].contains(&path.as_str());
            if known.contains(&(path.clone(), method)) || shared || nested {
                continue;
            }
            let (status, _) = site.ask(&admin, method, &path, "").await;
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        }
    }
    assert_eq!(site.app.auth.users().len(), 1);
}

/// Routes with a JSON body, as path and a body that would be taken.
fn bodies() -> Vec<(&'static str, String, String)> {
    ROUTES
        .iter()
        .filter(|route| route.path != "/_bulk" && route.path != "/{index}/_bulk")
        .filter_map(|route| {
            let (path, body) = example(route);
            (!body.is_empty()).then_some((route.method, path, body))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_must_be_json_and_say_so() {
    let site = Site::new();
    let admin = site.person(Role::Admin);
    let forms = bodies();
    assert!(forms.len() >= 8);
    for (method, path, body) in &forms {
        for media in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
        {
            let sent = request(&admin, method, path).header("content-type", media);
            let answer = site.send(sent.body(Body::from(body.clone())).unwrap()).await;
            assert_eq!(
                answer.status,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{method} {path} {media:?}"
            );
        }
        for broken in ["", "{", "null", "[{}]", "\"text\"", "{\"no_such_key\": 1}", "\u{0}"] {
            // An empty search finds everything, so an unknown key is what is wrong with it.
            let (status, _) = site.ask(&admin, method, path, broken).await;
            assert!(
                [StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY].contains(&status),
                "{method} {path} {broken:?}: {status}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_larger_than_a_mebibyte_are_refused_before_they_are_read() {
    let site = Site::new();
    let admin = site.person(Role::Admin);
    let huge = format!("{{\"query\": \"{}\"}}", "a".repeat(1024 * 1024));
    for (method, path, _) in bodies() {
        let (status, _) = site.ask(&admin, method, &path, &huge).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_json_does_not_exhaust_the_stack() {
    let site = Site::new();
    let admin = site.person(Role::Admin);
    let deep = format!("{{\"query\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let (status, _) = site.ask(&admin, "POST", "/api/v1/search", &deep).await;
    assert!(status.is_client_error(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_that_ask_too_much_are_the_callers_fault() {
    let site = Site::new();
    let reader = site.program(&[Scope::Read]);
    for (request, words) in [
        (json!({"limit": 10_001}), "limit is 10001, at most 10000 is allowed"),
        (json!({"query": "a:("}), "column 4"),
        (json!({"query": "src_ip:x"}), "\"x\" is no address"),
        (json!({"from": "yesterday"}), "from: not a time"),
        (json!({"to": "tomorrow"}), "to: not a time"),
        (
            json!({"aggregations": [{"type": "terms", "field": "message", "size": 5}]}),
            "cannot group by message",
        ),
        (
            json!({"aggregations": vec![json!({"type": "histogram"}); 65]}),
            "number of aggregations is 65",
        ),
        (
            json!({"aggregations": [{"type": "terms", "field": "src_ip", "size": 10_001}]}),
            "number of values is 10001",
        ),
    ] {
        let (status, answer) =
            site.ask(&reader, "POST", "/api/v1/search", &request.to_string()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{request}: {answer}");
        assert_eq!(answer["code"], "bad_request");
        assert!(answer["message"].as_str().unwrap().contains(words), "{request}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_log_lines_come_out_as_they_went_in_and_only_as_data() {
    let site = Site::new();
    let shipper = site.program(&[Scope::Ingest]);
    let reader = site.program(&[Scope::Read]);
    let hostile = [
        "<script>alert(1)</script>",
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "=cmd|' /C calc'!A0",
        "\u{202e}gpj.exe",
        "line\nbreak\r\nand \"quotes\" \\ end",
        "data: forged\n\nevent: lost\n",
    ];
    let mut body = String::new();
    for text in hostile {
        body.push_str("{\"create\":{}}\n");
        body.push_str(&json!({ "message": format!("needle {text}") }).to_string());
        body.push('\n');
    }
    let (status, _) = site.ask(&shipper, "POST", "/_bulk", &body).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(site.find("needle").await.len(), hostile.len());
    let sent =
        request(&reader, "POST", "/api/v1/search").header("content-type", "application/json");
    let answer = site.send(sent.body(Body::from("{\"query\":\"needle\"}")).unwrap()).await;
    assert_eq!(answer.header("content-type"), "application/json");
    let text = String::from_utf8(answer.bytes.clone()).unwrap();
    assert!(!text.contains(['\u{1b}', '\u{7}', '\n', '\r']), "controls are escaped in JSON");
    let found: std::collections::BTreeSet<String> = answer.json()["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["document"]["message"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(found, hostile.iter().map(|text| format!("needle {text}")).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_behind_a_link_shows_hostile_alerts_as_text() {
    let site = Site::new();
    site.person(Role::Admin);
    let mut detection =
        crate::testing::detection("r", "<img src=x onerror=alert(1)>", Severity::High);
    detection.title = "<script>alert('t')</script>".into();
    detection.explanation = "\"><b>bold</b>".into();
    site.app.pipeline.raise(detection).await.unwrap();
    site.app.pager.set_schedule(Schedule::first("admin", site.app.now())).unwrap();
    site.app.pager.tick().unwrap();
    let page = site.app.pager.pages(1).remove(0);
    let signer = crate::oncall::link::Signer::new(&zeroize::Zeroizing::new([2; 32]));
    let token = signer.sign(&page.id, "admin", site.app.now());
    for method in ["GET", "POST"] {
        let sent = request(&Who::Nobody, method, &format!("/ack/{token}"));
        let answer = site.send(sent.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        let text = String::from_utf8(answer.bytes).unwrap();
        for part in ["<script", "<img", "<b>bold"] {
            assert!(!text.contains(part), "{text}");
        }
        assert!(text.contains("&lt;script&gt;alert(&#39;t&#39;)"), "{text}");
        let acknowledged = site.app.alerts.get(&page.alerts[0]).unwrap().owner.is_some();
        assert_eq!(acknowledged, method == "POST", "looking at a link changes nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_others_forged_and_old_ones_open_nothing() {
    let site = Site::new();
    site.person(Role::Admin);
    let detection = crate::testing::detection("r", "10.0.0.1", Severity::High);
    site.app.pipeline.raise(detection).await.unwrap();
    site.app.pager.set_schedule(Schedule::first("admin", site.app.now())).unwrap();
    site.app.pager.tick().unwrap();
    let page = site.app.pager.pages(1).remove(0);
    let key = |byte| crate::oncall::link::Signer::new(&zeroize::Zeroizing::new([byte; 32]));
    let now = site.app.now();
    for token in [
        key(2).sign(&page.id, "mallory", now),
        key(3).sign(&page.id, "admin", now),
        key(2).sign("other", "admin", now),
        key(2).sign(&page.id, "admin", now.plus_seconds(-24 * 3600)),
        "..".to_owned(),
        "%00".to_owned(),
    ] {
        for method in ["GET", "POST"] {
            let (status, _) = site.ask(&Who::Nobody, method, &format!("/ack/{token}"), "").await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{method} {token}");
        }
    }
    assert_eq!(site.app.alerts.get(&page.alerts[0]).unwrap().owner, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_are_bound_and_end_with_the_session() {
    let site = Site::new();
    site.person(Role::Viewer);
    let body = json!({"name": "viewer", "password": PASSWORD}).to_string();
    let sent =
        request(&Who::Nobody, "POST", "/api/v1/login").header("content-type", "application/json");
    let answer = site.send(sent.body(Body::from(body)).unwrap()).await;
    let set = answer.header("set-cookie").to_owned();
    for part in ["__Host-pikett=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Domain"), "{set}");
    let cookie = set.split(['=', ';']).nth(1).unwrap().to_owned();
    let csrf = answer.json()["csrf"].as_str().unwrap().to_owned();
    let who = Who::Person { cookie: cookie.clone(), csrf };
    assert_eq!(site.ask(&who, "GET", "/api/v1/alerts", "").await.0, StatusCode::OK);
    let sent = request(&who, "POST", "/api/v1/logout");
    let answer = site.send(sent.body(Body::empty()).unwrap()).await;
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(site.ask(&who, "GET", "/api/v1/alerts", "").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_a_password_ends_in_a_wait_that_names_its_length() {
    let site = Site::new();
    site.person(Role::Viewer);
    let attempt = |password: &str| json!({"name": "viewer", "password": password}).to_string();
    for _ in 0..5 {
        let (status, answer) =
            site.ask(&Who::Nobody, "POST", "/api/v1/login", &attempt("wrong")).await;
        assert_eq!(
            (status, &answer["code"]),
            (StatusCode::UNAUTHORIZED, &json!("unauthenticated"))
        );
        assert_eq!(answer["message"], "name or password is wrong");
    }
    let (status, answer) =
        site.ask(&Who::Nobody, "POST", "/api/v1/login", &attempt(PASSWORD)).await;
    assert_eq!((status, &answer["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("too_many")));
    site.app.clock.advance(2_000_000);
    let (status, _) = site.ask(&Who::Nobody, "POST", "/api/v1/login", &attempt(PASSWORD)).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_taken_in_every_form_clients_send_them() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let site = Site::new();
    let Who::Program(token) = site.program(&[Scope::Read]) else { panic!("a program") };
    let basic = STANDARD.encode(format!("anybody:{token}"));
    let wrong = STANDARD.encode("anybody:pkt_wrong");
    for (header, expected) in [
        (format!("Bearer {token}"), StatusCode::OK),
        (format!("bearer  {token} "), StatusCode::OK),
        (format!("Basic {basic}"), StatusCode::OK),
        (format!("ApiKey {basic}"), StatusCode::OK),
        (format!("ApiKey {token}"), StatusCode::OK),
        (format!("Basic {wrong}"), StatusCode::UNAUTHORIZED),
        ("Basic !!!".to_owned(), StatusCode::UNAUTHORIZED),
        (format!("Digest {token}"), StatusCode::UNAUTHORIZED),
        (token.clone(), StatusCode::UNAUTHORIZED),
        ("Bearer ".to_owned(), StatusCode::UNAUTHORIZED),
    ] {
        let sent = HttpRequest::get("/api/v1/alerts").header("authorization", &header);
        let answer = site.send(sent.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, expected, "{header}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn administration_by_the_api_has_its_rules() {
    let site = Site::new();
    let admin = site.person(Role::Admin);
    let add = |name: &str, role: &str, mail: &str| {
        json!({"name": name, "role": role, "mail": mail}).to_string()
    };
    for (method, path, body, code, words) in [
        ("POST", "/api/v1/users/add", add("Bad Name", "viewer", ""), 400, "user names are"),
        ("POST", "/api/v1/users/add", add("bob", "root", ""), 400, "role is viewer"),
        (
            "POST",
            "/api/v1/users/add",
            add("bob", "viewer", "no address"),
            400,
            "mail is no address",
        ),
        ("POST", "/api/v1/users/add", add("bob", "viewer", "b@x\r\nBcc: y"), 400, "no address"),
        ("POST", "/api/v1/users/add", add("admin", "viewer", ""), 409, "exists already"),
        ("PUT", "/api/v1/users/admin", add("", "viewer", ""), 409, "last administrator"),
        ("DELETE", "/api/v1/users/admin", String::new(), 409, "last administrator"),
        ("PUT", "/api/v1/users/nobody", add("", "viewer", ""), 404, "no user"),
        (
            "POST",
            "/api/v1/tokens/add",
            json!({"name": "a b", "scopes": ["read"]}).to_string(),
            400,
            "",
        ),
        (
            "POST",
            "/api/v1/tokens/add",
            json!({"name": "t", "scopes": []}).to_string(),
            400,
            "at least one",
        ),
        (
            "POST",
            "/api/v1/tokens/add",
            json!({"name": "t", "scopes": ["all"]}).to_string(),
            400,
            "scopes are",
        ),
        ("POST", "/api/v1/agents/nope", json!({"revoked": true}).to_string(), 404, "no such agent"),
        (
            "POST",
            "/api/v1/alerts/nope/action",
            json!({"action": "acknowledge"}).to_string(),
            404,
            "no alert",
        ),
        (
            "POST",
            "/api/v1/alerts/nope/action",
            json!({"action": "close"}).to_string(),
            400,
            "verdict is",
        ),
        (
            "POST",
            "/api/v1/alerts/nope/action",
            json!({"action": "steal"}).to_string(),
            400,
            "action is",
        ),
        (
            "POST",
            "/api/v1/alerts/nope/action",
            json!({"action": "reopen", "verdict": "benign"}).to_string(),
            400,
            "action is",
        ),
        ("GET", "/api/v1/alerts?status=weird", String::new(), 400, "status is"),
        ("GET", "/api/v1/alerts?severity=weird", String::new(), 400, "no such severity"),
        ("GET", "/api/v1/tail?query=(", String::new(), 400, "column"),
    ] {
        let (status, answer) = site.ask(&admin, method, path, &body).await;
        assert_eq!(status.as_u16(), code, "{method} {path} {body}: {answer}");
        let message = answer["message"].as_str().unwrap_or_default();
        assert!(message.contains(words), "{method} {path} {body}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_tokens_are_made_listed_and_end() {
    let site = Site::new();
    let admin = site.person(Role::Admin);
    for (method, path) in [("GET", "/api/v1/alerts/nope"), ("DELETE", "/api/v1/tokens/nope")] {
        assert_eq!(site.ask(&admin, method, path, "").await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let add = json!({"name": "bob", "role": "analyst", "mail": "b@example.com"}).to_string();
    let (status, made) = site.ask(&admin, "POST", "/api/v1/users/add", &add).await;
    assert_eq!((status, made["secret"].as_str().unwrap().len()), (StatusCode::OK, 24));
    let (_, users) = site.ask(&admin, "GET", "/api/v1/users", "").await;
    assert_eq!(users.as_array().unwrap().len(), 2);
    assert!(!users.to_string().contains("argon2"), "no hash leaves the house");
    let token = json!({"name": "short", "scopes": ["read"], "days": 1}).to_string();
    let (_, made) = site.ask(&admin, "POST", "/api/v1/tokens/add", &token).await;
    let program = Who::Program(made["secret"].as_str().unwrap().to_owned());
    assert_eq!(site.ask(&program, "GET", "/api/v1/alerts", "").await.0, StatusCode::OK);
    let (_, list) = site.ask(&admin, "GET", "/api/v1/tokens", "").await;
    assert_eq!(list[0]["name"], "short");
    assert!(list[0].get("hash").is_none(), "{list}");
    site.app.clock.advance(86_400_000_000);
    assert_eq!(site.ask(&program, "GET", "/api/v1/alerts", "").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_filtered_counted_and_acted_upon() {
    let site = Site::new();
    let admin = site.person(Role::Admin);
    for (rule, severity) in
        [("Low", Severity::Low), ("Mid", Severity::Medium), ("Top", Severity::Critical)]
    {
        let detection = crate::testing::detection(rule, "10.0.0.1", severity);
        site.app.pipeline.raise(detection).await.unwrap();
    }
    let list = async |query: &str| {
        let (status, answer) =
            site.ask(&admin, "GET", &format!("/api/v1/alerts?{query}"), "").await;
        assert_eq!(status, StatusCode::OK, "{query}: {answer}");
        (answer["total"].as_u64().unwrap(), answer["alerts"].as_array().unwrap().len())
    };
    assert_eq!(list("").await, (3, 3));
    assert_eq!(list("limit=1").await, (3, 1));
    assert_eq!(list("limit=0").await, (3, 0));
    assert_eq!(list("severity=medium").await, (2, 2));
    assert_eq!(list("severity=").await, (3, 3));
    assert_eq!(list("text=TOP").await, (1, 1));
    assert_eq!(list("text=10.0.0").await, (3, 3));
    assert_eq!(list("status=closed").await, (0, 0));
    let (_, answer) = site.ask(&admin, "GET", "/api/v1/alerts?text=top", "").await;
    let id = answer["alerts"][0]["id"].as_str().unwrap().to_owned();
    let act = async |body: Value| {
        let path = format!("/api/v1/alerts/{id}/action");
        let (status, answer) = site.ask(&admin, "POST", &path, &body.to_string()).await;
        (status.as_u16(), answer["owner"].clone(), answer["status"].clone())
    };
    assert_eq!(
        act(json!({"action": "acknowledge"})).await,
        (200, json!("admin"), json!("acknowledged"))
    );
    assert_eq!(act(json!({"action": "acknowledge"})).await.0, 409);
    let close = json!({"action": "close", "verdict": "benign", "note": "x".repeat(3_000)});
    assert_eq!(act(close).await, (200, json!("admin"), json!("closed")));
    assert_eq!(list("status=closed").await, (1, 1));
    assert_eq!(list("status=live").await, (2, 2));
    assert_eq!(act(json!({"action": "reopen"})).await, (200, Value::Null, json!("open")));
    assert_eq!(list("status=all").await, (3, 3));
    let longest =
        site.app.alerts.get(&id).unwrap().timeline.into_iter().map(|line| line.what.len());
    assert!(longest.max().unwrap() < 2_100, "a remark is cut");
}
