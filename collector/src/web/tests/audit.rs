//! What is kept of requests, end to end.

use super::*;

/// Records, newest first, as `who: action outcome`.
async fn kept(site: &Site, admin: &Who, text: &str) -> Vec<String> {
    let path = format!("/api/v1/audit?limit=100&text={text}");
    let (status, answer) = site.ask(admin, "GET", &path, "").await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let word = |one: &Value| {
        let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}: {} {}", text("by"), text("who"), text("action"), text("outcome"))
    };
    answer["records"].as_array().unwrap().iter().map(word).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_and_programs_do_is_kept_without_secrets() {
    let site = Site::new();
    let admin = site.person(Role::Admin);
    let wrong = json!({"name": "admin", "password": "guess-work"}).to_string();
    site.ask(&Who::Nobody, "POST", "/api/v1/login", &wrong).await;
    let token = json!({"name": "shipper", "scopes": ["read"]}).to_string();
    let (_, made) = site.ask(&admin, "POST", "/api/v1/tokens/add", &token).await;
    let secret = made["secret"].as_str().unwrap().to_owned();
    let program = Who::Program(secret.clone());
    let query = json!({"query": "user.name:bob"}).to_string();
    site.ask(&program, "POST", "/api/v1/search", &query).await;
    site.ask(&program, "GET", "/api/v1/export?query=ip%3A1", "").await;
    site.ask(&program, "POST", "/api/v1/tokens/add", &token).await;
    site.ask(&program, "GET", "/api/v1/fields", "").await;
    site.ask(&admin, "DELETE", "/api/v1/tokens/shipper", "").await;
    // Refused ones are kept beside what answers them.
    for _ in 0..200 {
        if !kept(&site, &admin, "403").await.is_empty() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let mut all = kept(&site, &admin, "").await;
    all.retain(|one| !one.contains("/api/v1/audit"));
    all.reverse();
    all.sort_by_key(|one| one.ends_with("403"));
    let expected = [
        "nobody : POST /api/v1/login 401",
        "person admin: POST /api/v1/tokens/add 200",
        "program shipper: POST /api/v1/search asked",
        "program shipper: GET /api/v1/export asked",
        "person admin: DELETE /api/v1/tokens/{name} 200",
        "program shipper: POST /api/v1/tokens/add 403",
    ];
    assert_eq!(all, expected);
    let (_, answer) = site.ask(&admin, "GET", "/api/v1/audit", "").await;
    let text = answer.to_string();
    assert!(!text.contains(&secret) && !text.contains("guess-work"));
    assert!(text.contains("user.name:bob") && text.contains("ip%3A1"), "{text}");
    assert_eq!(kept(&site, &admin, "USER.name:BOB").await.len(), 2);
    let (status, checked) = site.ask(&admin, "POST", "/api/v1/audit/check", "").await;
    assert_eq!((status, &checked["findings"]), (StatusCode::OK, &json!([])));
    let (_, answer) = site.ask(&admin, "GET", "/api/v1/audit?limit=1", "").await;
    assert_eq!(answer["checked"]["upto"], checked["upto"]);
    assert_eq!(answer["records"][0]["action"], "GET /api/v1/audit");
    assert_eq!(answer["next"], answer["records"][0]["number"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_while_nothing_can_be_kept() {
    let site = Site::new();
    let admin = site.person(Role::Admin);
    let audits = site.app.vault.audit.folder().to_owned();
    let aside = audits.with_extension("aside");
    drop(std::fs::rename(&audits, &aside));
    std::fs::write(&audits, "in the way").unwrap();
    let token = |name: &str| json!({"name": name, "scopes": ["read"]}).to_string();
    // The first one finds out.
    site.ask(&admin, "POST", "/api/v1/search", "{}").await;
    let (status, answer) = site.ask(&admin, "POST", "/api/v1/tokens/add", &token("a")).await;
    assert_eq!((status, &answer["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")));
    assert!(site.app.tokens.list().is_empty());
    let (status, _) = site.ask(&admin, "POST", "/api/v1/search", "{}").await;
    assert_eq!(status, StatusCode::OK, "questions are answered");
    std::fs::remove_file(&audits).unwrap();
    let (status, _) = site.ask(&admin, "POST", "/api/v1/tokens/add", &token("a")).await;
    assert_eq!(status, StatusCode::OK);
    let all = kept(&site, &admin, "").await;
    assert!(all.iter().any(|one| one.contains("records are kept again")), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_records_are_taken_over_once() {
    let site = Site::new();
    for n in 0..3 {
        let mut fields = event::Object::new();
        for (name, value) in
            [("event.action", json!("exception-made")), ("user.name", json!(format!("u{n}")))]
        {
            event::set(&mut fields, name, value);
        }
        site.app.pipeline.audit(fields).await.unwrap();
    }
    let (store, vault) = (Arc::clone(&site.store), Arc::clone(&site.app.vault));
    let now = site.app.now();
    let take = move || crate::audit::older::take_over(&vault.audit, store.as_ref(), now).unwrap();
    assert_eq!(tokio::task::spawn_blocking(take.clone()).await.unwrap(), 3);
    assert_eq!(tokio::task::spawn_blocking(take).await.unwrap(), 0);
    let admin = site.person(Role::Admin);
    let all = kept(&site, &admin, "").await;
    let expected = ["collector : audit log begun done", "person u2: exception-made done"];
    assert_eq!(all[1..3], expected);
}
