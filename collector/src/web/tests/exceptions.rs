//! From an alert to an exception, as people and programs do it.

use super::*;
use crate::alert::{Action, Verdict};
use crate::testing::{START, origin};
use event::{Detection, Engine, Entity, Severity, Timestamp};
use expect_test::expect;

const RULE: &str = "title: Root logs in\nid: root\nlogsource: {product: linux, service: sshd}\ndetection:\n  s:\n    event.outcome: success\n    user.name|endswith: oot\n  condition: s\n";

/// A detection of `rule` by an agent: second, host, user.
fn event(rule: &str, seq: u64, (host, user): (&str, &str)) -> event::Event {
    let time =
        Timestamp::from_micros(START - 3_600_000_000).plus_seconds(i64::try_from(seq).unwrap());
    let Value::Object(context) = json!({
        "user": {"name": user}, "host": {"name": host}, "event": {"outcome": "success"},
        "process": {"name": "sshd"}, "src_ip": "192.0.2.7", "src_port": 1000 + seq,
    }) else {
        panic!("an object")
    };
    let detection = Detection {
        engine: Engine::Sigma,
        entity: Entity { field: "src_ip".into(), value: "192.0.2.7".into() },
        rule_text: RULE.into(),
        ..crate::testing::detection(rule, "", Severity::High)
    };
    event::Event { seq, ..detection.into_event(time, time, context) }
}

async fn take(site: &Site, events: Vec<event::Event>) {
    site.app.pipeline.take(&origin("a"), 1, events).await.unwrap();
    let store = Arc::clone(site.app.pipeline.store());
    tokio::task::spawn_blocking(move || store.flush()).await.unwrap().unwrap();
}

fn alert(site: &Site, rule: &str) -> String {
    site.app.alerts.list(|alert| alert.rule_id == rule, 1).0.remove(0).id
}

fn draft(conditions: Value) -> Value {
    let mut draft = json!({"engine": "sigma", "rule_id": "root"});
    draft["conditions"] = conditions;
    draft
}

fn new(conditions: Value) -> Value {
    let mut new = draft(conditions);
    new["reason"] = json!("the backup logs in each night");
    new
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exception_is_proposed_from_what_an_alert_has_in_common() {
    let site = Site::new();
    let viewer = site.person(Role::Viewer);
    let events = (1..=12).map(|seq| event("root", seq, ("web1", "root")));
    let mut events: Vec<_> = events.collect();
    events.push(event("root", 13, ("web2", "boot")));
    take(&site, events).await;
    let path = format!("/api/v1/alerts/{}/exception", alert(&site, "root"));
    let (status, proposal) = site.ask(&viewer, "GET", &path, "").await;
    assert_eq!(status, StatusCode::OK, "{proposal}");
    let offers: String = proposal["offers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let tick = if one["ticked"] == json!(true) { "x" } else { " " };
            format!("[{tick}] {} {} {}\n", one["because"], one["field"], one["values"])
        })
        .collect();
    expect![[r#"
        [x] "matched" "event.outcome" ["success"]
        [x] "matched" "user.name" ["boot","root"]
        [x] "entity" "src_ip" ["192.0.2.7"]
        [x] "host" "host.name" ["web2","web1"]
        [x] "process" "process.name" ["sshd"]
    "#]]
    .assert_eq(&offers);
    assert_eq!((&proposal["days"], &proposal["looked"]), (&json!(30), &json!(13)));
    // What is proposed hides the alert it was made from, whole.
    let ticked = proposal["offers"].as_array().unwrap().iter().filter(|one| one["ticked"] == true);
    let conditions = ticked.map(|one| json!({"field": one["field"], "values": one["values"]}));
    let body = draft(Value::Array(conditions.collect())).to_string();
    let (_, seen) = site.ask(&viewer, "POST", "/api/v1/exceptions/preview", &body).await;
    assert_eq!(
        seen["words"],
        "would have suppressed 13 of 13 detections in the last 30 days; 1 of 1 alerts would not be there"
    );
    assert_eq!(seen["doubtful_count"], 1, "it is open, nobody has judged it");
}

#[tokio::test(flavor = "multi_thread")]
async fn made_tested_suppressing_counted_and_ended() {
    let site = Site::new();
    let analyst = site.person(Role::Analyst);
    take(&site, vec![event("root", 1, ("web1", "root")), event("root", 2, ("web1", "boot"))]).await;
    let id = alert(&site, "root");
    site.app.alerts.act(&id, Action::Close(Verdict::Benign), "bob", "").unwrap();
    let mut body = new(json!([{"field": "user.name", "values": ["root"]}]));
    body["alert"] = json!(id);
    let add = "/api/v1/exceptions/add";
    let (status, made) = site.ask(&analyst, "POST", add, &body.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    assert_eq!((&made["author"], &made["standing"]), (&json!("analyst"), &json!("active")));
    let own = made["id"].as_str().unwrap().to_owned();
    let noted = site.app.alerts.get(&id).unwrap().timeline.pop().unwrap();
    assert_eq!(
        noted.what,
        format!("made the exception {own} from it: the backup logs in each night")
    );
    take(&site, vec![event("root", 3, ("web1", "root")), event("root", 4, ("web1", "boot"))]).await;
    let live = site.app.alerts.list(|alert| alert.status == crate::alert::Status::Open, 10).0;
    assert_eq!((live.len(), live[0].count), (1, 1), "one of two made an alert");
    let stored = site.find(&format!("suppressed.exception:{own}")).await;
    assert_eq!(stored.len(), 1, "and the other is stored and found");
    assert_eq!(stored[0]["suppressed"]["rule_id"], json!(["root"]));
    // Sent again it is not counted again.
    take(&site, vec![event("root", 3, ("web1", "root"))]).await;
    let (_, list) = site.ask(&analyst, "GET", "/api/v1/exceptions", "").await;
    assert_eq!(list["exceptions"][0]["hits"], 1, "{list}");
    let (_, seen) = site
        .ask(
            &analyst,
            "POST",
            "/api/v1/exceptions/preview",
            &draft(body["conditions"].clone()).to_string(),
        )
        .await;
    assert_eq!((&seen["already"], &seen["thinned"]), (&json!(1), &json!(1)), "{seen}");
    let path = format!("/api/v1/exceptions/{own}/end");
    let (status, ended) =
        site.ask(&analyst, "POST", &path, &json!({"reason": "moved"}).to_string()).await;
    assert_eq!((status, &ended["standing"]), (StatusCode::OK, &json!("ended")));
    let (status, _) = site.ask(&analyst, "POST", &path, &json!({"reason": ""}).to_string()).await;
    assert_eq!(status, StatusCode::CONFLICT);
    take(&site, vec![event("root", 5, ("web1", "root"))]).await;
    assert_eq!(site.find("suppressed.exception:*").await.len(), 1);
    let audited: Vec<String> = site
        .find("event_type:audit")
        .await
        .iter()
        .map(|one| format!("{} {}", one["event"]["action"], one["user"]["name"]))
        .collect();
    assert_eq!(audited, ["\"exception-ended\" \"analyst\"", "\"exception-made\" \"analyst\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_past_true_positive_forbids_it_until_an_administrator_puts_it_aside_by_name() {
    let site = Site::new();
    take(&site, vec![event("root", 1, ("web1", "root"))]).await;
    let id = alert(&site, "root");
    site.app.alerts.act(&id, Action::Close(Verdict::TruePositive), "bob", "").unwrap();
    take(&site, vec![event("root", 2, ("web1", "boot"))]).await;
    // Older than the days that are looked back.
    site.app.clock.advance(60 * 86_400_000_000);
    let (analyst, admin) = (site.person(Role::Analyst), site.person(Role::Admin));
    let tuner = site.program(&[Scope::Tune]);
    let add = "/api/v1/exceptions/add";
    let wide = new(json!([{"field": "src_ip", "values": ["192.0.2.7"]}]));
    let (status, refused) = site.ask(&analyst, "POST", add, &wide.to_string()).await;
    assert_eq!(status, StatusCode::CONFLICT, "{refused}");
    assert!(refused["message"].as_str().unwrap().contains(&id), "{refused}");
    let mut aside = wide.clone();
    aside["put_aside"] = json!([id]);
    for who in [&analyst, &tuner] {
        let (status, _) = site.ask(who, "POST", add, &aside.to_string()).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }
    let mut other = wide.clone();
    other["put_aside"] = json!(["some other alert"]);
    let (status, _) = site.ask(&admin, "POST", add, &other.to_string()).await;
    assert_eq!(status, StatusCode::CONFLICT, "each must be named");
    assert_eq!(site.app.exceptions.list().0, []);
    let narrow = new(json!([{"field": "user.name", "values": ["boot"]}]));
    let (status, made) = site.ask(&tuner, "POST", add, &narrow.to_string()).await;
    assert_eq!((status, &made["author"]), (StatusCode::OK, &json!("token t0")), "narrowed");
    let (status, made) = site.ask(&admin, "POST", add, &aside.to_string()).await;
    assert_eq!((status, &made["overridden"]), (StatusCode::OK, &json!([id])), "{made}");
    let audited = site.find("event_type:audit AND user.name:admin").await;
    assert!(audited[0]["message"].as_str().unwrap().ends_with(&format!("true positives {id}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_said() {
    let site = Site::new();
    let analyst = site.person(Role::Analyst);
    take(&site, vec![event("root", 1, ("web1", "root"))]).await;
    let good = || new(json!([{"field": "f", "values": ["v"]}]));
    let change = |name: &str, value: Value| {
        let mut body = good();
        body[name] = value;
        body
    };
    for (body, status, words) in [
        (change("engine", json!("nope")), 400, "engine is signature"),
        (change("engine", json!("health")), 400, "has no exceptions"),
        (change("reason", json!("")), 400, "without a reason"),
        (change("days", json!(181)), 400, "between 1 and 180"),
        (change("conditions", json!([])), 400, "silence the whole rule"),
        (
            change("conditions", json!([{"field": "f", "how": "re", "values": ["v"]}])),
            400,
            "how is",
        ),
        (change("alert", json!("nope")), 404, "no such alert"),
        (change("alert", json!(alert(&site, "root"))), 200, ""),
    ] {
        let (got, answer) =
            site.ask(&analyst, "POST", "/api/v1/exceptions/add", &body.to_string()).await;
        assert_eq!(got.as_u16(), status, "{body}: {answer}");
        assert!(answer.to_string().contains(words), "{answer}");
    }
    let mut other = change("alert", json!(alert(&site, "root")));
    other["rule_id"] = json!("another");
    let (_, answer) =
        site.ask(&analyst, "POST", "/api/v1/exceptions/add", &other.to_string()).await;
    assert_eq!(answer["message"], "the alert is of another rule");
    let gone = crate::testing::detection("gone", "10.0.0.1", Severity::Low);
    site.app
        .alerts
        .record(&crate::alert::Arrived {
            agent: "x",
            boot: 1,
            last_seq: 1,
            documents: vec![&crate::testing::alert_document(1, gone, START)],
        })
        .unwrap();
    let path = format!("/api/v1/alerts/{}/exception", alert(&site, "gone"));
    let (status, answer) = site.ask(&analyst, "GET", &path, "").await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_of_other_sensors_are_excepted_by_signature_and_fields() {
    let site = Site::new();
    let analyst = site.person(Role::Analyst);
    let record = |seq: u64, url: &str| {
        let line = json!({
            "timestamp": "2026-11-22T14:00:00.000000+0000", "event_type": "alert", "flow_id": seq,
            "src_ip": "192.0.2.7", "src_port": 40_000 + seq, "dest_ip": "10.0.0.5", "dest_port": 80,
            "proto": "TCP", "app_proto": "http", "http": {"hostname": "probe.example", "url": url},
            "alert": {"action": "allowed", "gid": 1, "signature_id": 2_000_001, "rev": 3,
                "signature": "ET SCAN Probe", "category": "Scan", "severity": 2},
        });
        let now = Timestamp::from_micros(START);
        let format = logs::config::Format::named("eve").unwrap();
        let zone = logs::parse::Zone::utc();
        let (event, _) =
            logs::parse::Parser::new(format, zone).event(line.to_string().as_bytes(), now);
        event::Event { seq, ..event }
    };
    take(&site, vec![record(1, "/health"), record(2, "/health")]).await;
    let path = format!("/api/v1/alerts/{}/exception", alert(&site, "2000001"));
    let (status, proposal) = site.ask(&analyst, "GET", &path, "").await;
    assert_eq!((status, &proposal["engine"]), (StatusCode::OK, &json!("signature")), "{proposal}");
    let offers = proposal["offers"].as_array().unwrap();
    let ticked: Vec<&str> = offers
        .iter()
        .filter(|one| one["ticked"] == true)
        .map(|one| one["field"].as_str().unwrap())
        .collect();
    for field in ["src_ip", "dest_ip", "dest_port"] {
        assert!(ticked.contains(&field), "{field} of {proposal}");
    }
    assert!(offers.iter().any(|one| one["field"] == "http.url" && one["ticked"] == false));
    let body = json!({
        "engine": "signature", "rule_id": "2000001", "reason": "our own probe", "days": 7,
        "conditions": [{"field": "http.url", "how": "startswith", "values": ["/health"]},
            {"field": "src_ip", "how": "cidr", "values": ["192.0.2.0/24"]}],
    });
    let (status, made) =
        site.ask(&analyst, "POST", "/api/v1/exceptions/add", &body.to_string()).await;
    assert_eq!((status, &made["title"]), (StatusCode::OK, &json!("2000001")), "{made}");
    take(&site, vec![record(3, "/healthz"), record(4, "/admin")]).await;
    let found = site.app.alerts.list(|alert| alert.rule_id == "2000001", 10).0;
    assert_eq!((found.len(), found[0].count), (1, 3), "two of before and the other address");
    let stored = site.find("suppressed.exception:* AND alert.signature_id:2000001").await;
    assert_eq!(stored.len(), 1);
}
