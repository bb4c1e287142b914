//! Redactions as administrators ask for them.

use super::*;

async fn ask(site: &Site, who: &Who, body: Value) -> (StatusCode, Value) {
    site.ask(who, "POST", "/api/v1/redactions", &body.to_string()).await
}

/// A site with four events, of which two hold a secret.
async fn filled() -> Site {
    let site = Site::new();
    let shipper = site.program(&[Scope::Ingest]);
    let line = |text: &str| {
        format!("{{\"create\":{{}}}}\n{{\"message\":\"{text}\",\"kind\":\"{text}\"}}\n")
    };
    let body: String =
        ["plain", "secret", "plain", "secret"].iter().map(|text| line(text)).collect();
    site.ask(&shipper, "POST", "/_bulk", &body).await;
    assert_eq!(site.find("message:secret").await.len(), 2);
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_first_is_what_is_taken() {
    let site = filled().await;
    let admin = site.person(Role::Admin);
    let mut body = json!({"query": "message:secret", "reason": "a password was logged"});
    let (status, shown) = ask(&site, &admin, body.clone()).await;
    assert_eq!(
        (status, &shown["done"], &shown["events"]),
        (StatusCode::OK, &json!(false), &json!(2))
    );
    assert_eq!(site.find("message:secret").await.len(), 2);
    assert_eq!(shown["shown"][0]["document"]["message"], "secret");
    let partitions = shown["partitions"].as_array().unwrap();
    assert_eq!((partitions.len(), &partitions[0]["events"]), (1, &json!(2)), "{shown}");
    assert!(partitions[0]["bytes"].as_u64().unwrap() > 0, "{shown}");
    body["confirm"] = "0123".into();
    assert_eq!(ask(&site, &admin, body.clone()).await.0, StatusCode::CONFLICT);
    body["confirm"] = shown["confirm"].clone();
    let (status, done) = ask(&site, &admin, body.clone()).await;
    assert_eq!((status, &done["done"], &done["events"]), (StatusCode::OK, &json!(true), &json!(2)));
    assert_eq!(site.find("message:secret").await.len(), 0);
    assert_eq!(site.find("message:plain").await.len(), 2);
    assert_eq!(ask(&site, &admin, body).await.0, StatusCode::NOT_FOUND);
    let (alerts, _) = site.app.alerts.list(|alert| alert.rule_id == "pikett-redaction", 10);
    assert!(alerts[0].explanation.contains("a password was logged"), "{alerts:?}");
    let (_, found) = site.ask(&admin, "POST", "/api/v1/search", "{}").await;
    let reasons = found["completeness"]["reasons"].as_array().unwrap();
    let told = reasons.iter().find(|reason| reason["kind"] == "redacted").unwrap();
    assert_eq!(told["count"], 2);
    let earlier = json!({"to": "2020-01-01T00:00:00Z"}).to_string();
    let (_, found) = site.ask(&admin, "POST", "/api/v1/search", &earlier).await;
    assert!(!found["completeness"].to_string().contains("redacted"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_go_by_either_name_and_tombstones_are_listed() {
    let site = filled().await;
    let admin = site.person(Role::Admin);
    let mut body =
        json!({"query": "message:secret", "fields": ["message"], "reason": "not ours to keep"});
    let (_, shown) = ask(&site, &admin, body.clone()).await;
    body["confirm"] = shown["confirm"].clone();
    // The same word does not confirm that they go whole.
    let mut whole = body.clone();
    whole["fields"] = json!([]);
    assert_eq!(ask(&site, &admin, whole).await.0, StatusCode::CONFLICT);
    assert_eq!(ask(&site, &admin, body).await.0, StatusCode::OK);
    assert_eq!(site.find("message:secret").await.len(), 0);
    assert_eq!(site.find("kind:secret").await.len(), 2);
    let (status, listed) = site.ask(&admin, "GET", "/api/v1/redactions", "").await;
    let one = &listed["redactions"][0];
    assert_eq!(
        (status, &one["who"], &listed["pending"]),
        (StatusCode::OK, &json!("admin"), &json!([]))
    );
    assert_eq!(one["fields"], json!(["message"]));
    assert!(one["proof"]["signature"].is_string() && !listed.to_string().contains("t0/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_with_words() {
    let site = filled().await;
    let admin = site.person(Role::Admin);
    let why = "a reason that is long enough";
    for (body, words) in [
        (json!({"query": "", "reason": why}), "needs a query"),
        (json!({"query": "secret | head 1", "reason": why}), "without stages"),
        (json!({"query": "secret", "reason": "short"}), "10 to 1000 characters"),
        (json!({"query": "secret", "reason": why, "fields": ["event.id"]}), "cannot go by itself"),
        (json!({"query": "secret", "reason": why, "fields": ["event"]}), "cannot go by itself"),
        (json!({"query": "a:(", "reason": why}), "column"),
        (json!({"query": "secret", "reason": why, "from": "never"}), "from"),
    ] {
        let (status, answer) = ask(&site, &admin, body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(words), "{body}: {answer}");
    }
    assert_eq!(site.find("message:secret").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_begun_is_followed_to_its_tombstone() {
    let site = filled().await;
    let admin = site.person(Role::Admin);
    let mut body = json!({"query": "message:secret", "reason": "a password was logged"});
    let (_, shown) = ask(&site, &admin, body.clone()).await;
    body["confirm"] = shown["confirm"].clone();
    body["wait"] = false.into();
    let (status, begun) = ask(&site, &admin, body).await;
    assert_eq!(status, StatusCode::OK, "{begun}");
    // It may be over before it is seen to be under way.
    let id = begun["pending"]["id"].as_str().or_else(|| begun["redaction"]["id"].as_str());
    let path = format!("/api/v1/redactions/{}", id.unwrap());
    let done = loop {
        let (status, found) = site.ask(&admin, "GET", &path, "").await;
        assert_eq!(status, StatusCode::OK, "{found}");
        if found["done"] == true {
            break found;
        }
        let pending = &found["pending"];
        assert_eq!((&pending["partitions"], &pending["events"]), (&json!(1), &json!(2)));
        assert!(!found.to_string().contains("t0/"), "{found}");
    };
    let stone = &done["redaction"];
    assert_eq!((&stone["who"], stone["events"].as_array().unwrap().len()), (&json!("admin"), 2));
    assert!(stone["proof"]["signature"].is_string(), "{done}");
    let (status, _) = site.ask(&admin, "GET", "/api/v1/redactions/0123", "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    // Everybody is told, though nobody waited for its end.
    let told = || site.app.alerts.list(|alert| alert.rule_id == "pikett-redaction", 10).0;
    while told().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(site.find("message:secret").await.len(), 0);
}
