use super::*;
use crate::alert::{Arrived, Verdict};
use crate::auth::Role;
use event::{AgentId, Detection, Document, Engine, Entity, Object, Origin, Severity};
use zeroize::Zeroizing;

const START: i64 = 1_795_359_845_000_000;

struct Fixture {
    _folder: tempfile::TempDir,
    state: Arc<State>,
    clock: Clock,
    alerts: Alerts,
    auth: Auth,
    pager: Pager,
    seq: u64,
}

fn document(seq: u64, entity: &str, severity: Severity) -> Document {
    let detection = Detection {
        engine: Engine::Sigma,
        rule_id: "r".into(),
        rule_rev: String::new(),
        title: "Bad\r\nBcc: thing".into(),
        severity,
        category: String::new(),
        entity: Entity { field: "src_ip".into(), value: entity.into() },
        explanation: "because".into(),
        advice: String::new(),
        evidence: Vec::new(),
        attack: Vec::new(),
        rule_text: String::new(),
    };
    let time = Timestamp::from_micros(START);
    let mut event = detection.into_event(time, time, Object::new());
    event.seq = seq;
    let origin = Origin {
        agent: AgentId::new("a").unwrap(),
        host: "web1".into(),
        version: String::new(),
        zone: String::new(),
        region: String::new(),
    };
    event.into_document(&origin, 7)
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = Zeroizing::new([1; 32]);
        let state = Arc::new(State::open(&folder.path().join("state.db"), &key).unwrap());
        let clock = Clock::manual(START);
        let alerts = Alerts::load(Arc::clone(&state), clock.clone()).unwrap();
        let auth = Auth::load(Arc::clone(&state), clock.clone()).unwrap();
        for name in ["alice", "bob"] {
            auth.add_user(name, Role::Analyst, &format!("{name}@example.com")).unwrap();
        }
        let pager = Self::load(&state, &clock, &alerts, &auth);
        let mut schedule = Schedule::first("alice", Timestamp::from_micros(START));
        schedule.members.push("bob".into());
        schedule.rounds = 1;
        pager.set_schedule(schedule).unwrap();
        Self { _folder: folder, state, clock, alerts, auth, pager, seq: 0 }
    }

    fn load(state: &Arc<State>, clock: &Clock, alerts: &Alerts, auth: &Auth) -> Pager {
        Pager::load(Parts {
            state: Arc::clone(state),
            clock: clock.clone(),
            alerts: alerts.clone(),
            auth: auth.clone(),
            channels: Channels::default(),
            signer: Signer::new(&Zeroizing::new([2; 32])),
            telemetry: Telemetry::new(),
            console: "https://c/".into(),
        })
        .unwrap()
    }

    fn alert(&mut self, entity: &str, severity: Severity) -> String {
        self.seq += 1;
        let document = document(self.seq, entity, severity);
        let documents = vec![&document];
        let arrived = Arrived { agent: "a", boot: 7, last_seq: self.seq, documents };
        self.alerts.record(&arrived).unwrap();
        self.alerts.list(|alert| alert.entity.value == entity, 1).0[0].id.clone()
    }

    fn seconds(&self, seconds: i64) {
        self.clock.advance(seconds * 1_000_000);
        self.pager.tick().unwrap();
    }

    /// `who/step/round/status xalerts` of all pages, oldest first.
    fn pages(&self) -> Vec<String> {
        let mut pages = self.pager.pages(1_000);
        pages.reverse();
        pages.sort_by_key(|page| (page.created, page.who.clone()));
        let show = |page: &Page| {
            let status = format!("{:?}", page.status).to_lowercase();
            format!("{}/{}/{}/{status} x{}", page.who, page.step, page.round, page.alerts.len())
        };
        pages.iter().map(show).collect()
    }

    fn failed() -> Result<(), DeliveryError> {
        Err(DeliveryError::Failed { reason: "no route".into() })
    }
}

#[test]
fn pages_go_on_until_somebody_acknowledges() {
    let mut fixture = Fixture::new();
    let id = fixture.alert("e", Severity::High);
    fixture.seconds(0);
    assert_eq!(fixture.pages(), ["alice/1/1/pending x1"]);
    fixture.seconds(299);
    assert_eq!(fixture.pages().len(), 1);
    fixture.seconds(1);
    assert_eq!(fixture.pages().len(), 2);
    fixture.alerts.act(&id, Action::Acknowledge, "alice", "").unwrap();
    fixture.seconds(10_000);
    assert_eq!(fixture.pages().len(), 2);
    fixture.alerts.act(&id, Action::Close(Verdict::Benign), "alice", "").unwrap();
    fixture.alerts.act(&id, Action::Reopen, "alice", "").unwrap();
    fixture.seconds(0);
    assert_eq!(fixture.pages().len(), 3, "a reopened alert calls again");
}

#[test]
fn low_alerts_call_nobody_until_they_get_worse() {
    let mut fixture = Fixture::new();
    fixture.alert("e", Severity::Medium);
    fixture.seconds(1);
    assert!(fixture.pages().is_empty());
    fixture.alert("e", Severity::High);
    fixture.seconds(1);
    assert_eq!(fixture.pages().len(), 1);
    fixture.alert("e", Severity::Critical);
    fixture.seconds(1);
    assert_eq!(fixture.pages().len(), 2, "critical begins anew");
}

#[test]
fn the_last_step_calls_everybody_and_then_it_is_said_that_nobody_answered() {
    let mut fixture = Fixture::new();
    let id = fixture.alert("e", Severity::High);
    for _ in 0..6 {
        fixture.seconds(300);
    }
    assert_eq!(
        fixture.pages(),
        [
            "alice/1/1/pending x1",
            "alice/2/1/pending x1",
            "alice/3/1/pending x1",
            "bob/3/1/pending x1"
        ]
    );
    let alert = fixture.alerts.get(&id).unwrap();
    assert_eq!(alert.timeline.last().unwrap().what, "nobody answered any page");
}

#[test]
fn a_flood_of_alerts_is_one_page() {
    let mut fixture = Fixture::new();
    for n in 0..40 {
        fixture.alert(&format!("e{n}"), Severity::High);
    }
    fixture.seconds(0);
    assert_eq!(fixture.pages(), ["alice/1/1/pending x40"]);
}

#[test]
fn failed_deliveries_are_retried_then_the_next_step_is_due() {
    let mut fixture = Fixture::new();
    let id = fixture.alert("e", Severity::High);
    fixture.seconds(0);
    for wait in RETRIES {
        let due = fixture.pager.due();
        assert_eq!(due.len(), 1);
        assert!(fixture.pager.due().is_empty(), "not twice at once");
        fixture.pager.settle(&due[0].id, &Fixture::failed()).unwrap();
        assert!(fixture.pager.due().is_empty());
        fixture.clock.advance(wait * 1_000_000);
    }
    let last = fixture.pager.due().remove(0);
    fixture.pager.settle(&last.id, &Fixture::failed()).unwrap();
    fixture.seconds(0);
    assert_eq!(fixture.pages(), ["alice/1/1/failed x1", "alice/2/1/pending x1"]);
    let alert = fixture.alerts.get(&id).unwrap();
    assert_eq!(alert.timeline.last().unwrap().what, "page to alice by mail: no route");
    let page = fixture.pager.pages(10).pop().unwrap();
    assert_eq!(page.attempts.len(), RETRIES.len() + 1);
}

#[test]
fn a_restart_forgets_no_page_and_repeats_none() {
    let mut fixture = Fixture::new();
    fixture.alert("e", Severity::High);
    fixture.seconds(0);
    let again = Fixture::load(&fixture.state, &fixture.clock, &fixture.alerts, &fixture.auth);
    again.tick().unwrap();
    assert_eq!(again.pages(10).len(), 1);
    assert_eq!(again.due().len(), 1, "a pending page is tried again");
}

#[test]
fn the_link_acknowledges_for_its_person() {
    let mut fixture = Fixture::new();
    let id = fixture.alert("e", Severity::High);
    fixture.seconds(0);
    let page = fixture.pager.pages(1).remove(0);
    let signer = Signer::new(&Zeroizing::new([2; 32]));
    let token = signer.sign(&page.id, "alice", fixture.pager.now());
    assert!(fixture.pager.acknowledge(&token.replace('.', "")).unwrap().is_none());
    assert!(fixture.pager.page_of(&token).is_some());
    let done = fixture.pager.acknowledge(&token).unwrap().unwrap();
    assert_eq!(done.acknowledged.unwrap().0, "alice");
    let alert = fixture.alerts.get(&id).unwrap();
    assert_eq!((alert.status, alert.owner.as_deref()), (Status::Acknowledged, Some("alice")));
    assert_eq!(alert.timeline.last().unwrap().what, "acknowledged: by mail link");
}

#[tokio::test]
async fn a_missing_channel_is_a_failed_attempt_that_says_so() {
    let mut fixture = Fixture::new();
    fixture.alert("e", Severity::High);
    fixture.seconds(0);
    let page = fixture.pager.due().remove(0);
    let error = fixture.pager.deliver(&page).await.unwrap_err();
    assert_eq!(error.to_string(), "mail is not configured");
}

#[test]
fn schedules_of_strangers_are_refused() {
    let fixture = Fixture::new();
    let schedule = Schedule::first("mallory", Timestamp::EPOCH);
    let error = fixture.pager.set_schedule(schedule).unwrap_err();
    assert_eq!(error.to_string(), "\"mallory\" is no user with a mail address");
}
