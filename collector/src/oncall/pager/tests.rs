//! Whom the pager calls when, and what becomes of each page.

use super::*;
use crate::alert::{Arrived, Verdict};
use crate::auth::Role;
use crate::testing::{START, alert_document, detection, state};
use event::Severity;
use zeroize::Zeroizing;

struct Fixture {
    _folder: tempfile::TempDir,
    state: Arc<State>,
    clock: Clock,
    alerts: Alerts,
    auth: Auth,
    pager: Pager,
    seq: u64,
}

impl Fixture {
    fn new() -> Self {
        let (folder, state) = state();
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
        let mut detection = detection("r", entity, severity);
        detection.title = "Bad\r\nBcc: thing".into();
        let document = alert_document(self.seq, detection, START);
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
        pages.sort_by_key(|page| (page.created, page.who.clone(), page.step, page.channel));
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

/// Lets every due page be delivered over the configured channels, which are none, until nothing
/// is due at this moment.
async fn deliver_all(fixture: &Fixture) -> usize {
    let mut attempts = 0;
    loop {
        fixture.pager.tick().unwrap();
        let due = fixture.pager.due();
        if due.is_empty() {
            return attempts;
        }
        for page in due {
            attempts += 1;
            let outcome = fixture.pager.deliver(&page).await;
            fixture.pager.settle(&page.id, &outcome).unwrap();
        }
    }
}

#[tokio::test]
async fn mail_that_is_not_configured_fails_once_and_leaves_one_line() {
    let mut fixture = Fixture::new();
    let mut schedule = fixture.pager.schedule().unwrap();
    schedule.rounds = 3;
    fixture.pager.set_schedule(schedule).unwrap();
    let id = fixture.alert("e", Severity::High);
    // The steps of the first round follow at once, each page has one attempt.
    assert_eq!(deliver_all(&fixture).await, 4);
    assert_eq!(
        fixture.pages(),
        ["alice/1/1/failed x1", "alice/2/1/failed x1", "alice/3/1/failed x1", "bob/3/1/failed x1"]
    );
    assert!(fixture.pager.pages(10).iter().all(|page| page.attempts.len() == 1));
    // The next round waits: the configuration may be put right meanwhile.
    fixture.clock.advance(299 * 1_000_000);
    assert_eq!(deliver_all(&fixture).await, 0);
    fixture.clock.advance(1_000_000);
    assert_eq!(deliver_all(&fixture).await, 4);
    fixture.clock.advance(300 * 1_000_000);
    assert_eq!(deliver_all(&fixture).await, 4);
    fixture.clock.advance(300 * 1_000_000);
    assert_eq!(deliver_all(&fixture).await, 0);
    let history: Vec<String> =
        fixture.alerts.get(&id).unwrap().timeline.into_iter().map(|line| line.what).collect();
    expect_test::expect![[r#"
        opened
        page to alice by mail: mail is not configured
        page to bob by mail: mail is not configured
        nobody answered any page"#]]
    .assert_eq(&history.join("\n"));
}

#[tokio::test]
async fn addresses_that_are_none_fail_once_and_removed_people_too() {
    let mut fixture = Fixture::new();
    fixture.alert("e", Severity::High);
    fixture.seconds(0);
    let page = fixture.pager.due().remove(0);
    let address = DeliveryError::Address { address: "nonsense".into() };
    fixture.pager.settle(&page.id, &Err(address)).unwrap();
    let page = fixture.pager.pages(10).pop().unwrap();
    assert_eq!((page.status, page.attempts.len()), (PageStatus::Failed, 1));
    assert_eq!(page.attempts[0].outcome, "\"nonsense\" is no mail address");
    for (error, permanent) in [
        (DeliveryError::NotConfigured { channel: "mail" }, true),
        (DeliveryError::Address { address: String::new() }, true),
        (DeliveryError::Failed { reason: "550 no such person".into() }, false),
    ] {
        assert_eq!(error.is_permanent(), permanent, "{error}");
    }
}

#[test]
fn one_channel_that_works_holds_the_step() {
    let mut fixture = Fixture::new();
    let mut schedule = fixture.pager.schedule().unwrap();
    schedule.steps[0].channels = vec![Channel::Mail, Channel::Webhook];
    fixture.pager.set_schedule(schedule).unwrap();
    fixture.alert("e", Severity::High);
    fixture.seconds(0);
    for page in fixture.pager.due() {
        let missing = Err(DeliveryError::NotConfigured { channel: "mail" });
        let outcome = if page.channel == Channel::Mail { missing } else { Ok(()) };
        fixture.pager.settle(&page.id, &outcome).unwrap();
    }
    fixture.seconds(299);
    assert_eq!(fixture.pages(), ["alice/1/1/failed x1", "alice/1/1/sent x1"]);
    fixture.seconds(1);
    assert_eq!(fixture.pages().len(), 3, "the next step comes at its time");
}

#[test]
fn a_late_failure_of_an_old_step_does_not_hurry_the_present_one() {
    let mut fixture = Fixture::new();
    fixture.alert("e", Severity::High);
    fixture.seconds(0);
    let first = fixture.pager.due().remove(0);
    fixture.seconds(300);
    assert_eq!(fixture.pages().len(), 2);
    let missing = Err(DeliveryError::NotConfigured { channel: "mail" });
    fixture.pager.settle(&first.id, &missing).unwrap();
    fixture.seconds(1);
    assert_eq!(fixture.pages().len(), 2);
}

#[test]
fn reopening_calls_again_from_the_first_step_even_between_two_looks() {
    let mut fixture = Fixture::new();
    let id = fixture.alert("e", Severity::High);
    for _ in 0..6 {
        fixture.seconds(300);
    }
    assert_eq!(fixture.pages().len(), 4, "all steps are through");
    // Both happen before the pager looks again.
    fixture.alerts.act(&id, Action::Close(Verdict::Benign), "alice", "").unwrap();
    fixture.alerts.act(&id, Action::Reopen, "bob", "").unwrap();
    fixture.seconds(1);
    let pages = fixture.pages();
    assert_eq!((pages.len(), pages.last().unwrap().as_str()), (5, "alice/1/1/pending x1"));
    fixture.alerts.act(&id, Action::Acknowledge, "bob", "").unwrap();
    fixture.seconds(1);
    fixture.alerts.act(&id, Action::Reopen, "bob", "off duty").unwrap();
    fixture.seconds(1);
    assert_eq!(fixture.pages().len(), 6, "so does giving it back");
}

#[test]
fn steps_come_exactly_when_they_are_due() {
    let mut fixture = Fixture::new();
    fixture.alert("e", Severity::High);
    for (advance, expected) in [(0, 1), (299, 1), (1, 2), (299, 2), (1, 4), (299, 4), (10_000, 4)] {
        fixture.seconds(advance);
        assert_eq!(fixture.pages().len(), expected, "after {advance} s more");
    }
}

#[test]
fn a_clock_that_jumps_neither_floods_nor_stops_the_escalation() {
    let mut fixture = Fixture::new();
    fixture.alert("e", Severity::High);
    fixture.seconds(0);
    fixture.seconds(-3_600);
    assert_eq!(fixture.pages().len(), 1, "set back: nothing is due, nothing is repeated");
    fixture.seconds(3_900);
    assert_eq!(fixture.pages().len(), 2);
    fixture.seconds(86_400);
    assert_eq!(fixture.pages().len(), 4, "set forward a day: one step, not all of them");
}

#[test]
fn severity_below_the_schedule_calls_nobody_until_it_rises() {
    let mut fixture = Fixture::new();
    fixture.alert("e", Severity::Medium);
    fixture.seconds(10);
    assert!(fixture.pages().is_empty());
    fixture.alert("e", Severity::High);
    fixture.seconds(1);
    assert_eq!(fixture.pages().len(), 1);
}

#[test]
fn five_alerts_are_five_pages_and_six_are_one() {
    for (alerts, pages) in [(1, 1), (5, 5), (6, 1)] {
        let mut fixture = Fixture::new();
        for n in 0..alerts {
            fixture.alert(&format!("e{n}"), Severity::High);
        }
        fixture.seconds(0);
        assert_eq!(fixture.pages().len(), pages, "{alerts} alerts");
    }
}

#[test]
fn a_page_acknowledges_what_is_still_open_and_leaves_the_rest() {
    let mut fixture = Fixture::new();
    let ids: Vec<String> =
        (0..6).map(|n| fixture.alert(&format!("e{n}"), Severity::High)).collect();
    fixture.seconds(0);
    fixture.alerts.act(&ids[0], Action::Close(Verdict::Benign), "bob", "").unwrap();
    fixture.alerts.act(&ids[1], Action::Acknowledge, "bob", "").unwrap();
    let page = fixture.pager.pages(1).remove(0);
    let token = Signer::new(&Zeroizing::new([2; 32])).sign(&page.id, "alice", fixture.pager.now());
    fixture.pager.acknowledge(&token).unwrap().unwrap();
    let owners: Vec<_> = ids.iter().map(|id| fixture.alerts.get(id).unwrap().owner).collect();
    assert_eq!(owners[0], None, "closed stays closed");
    assert_eq!(owners[1].as_deref(), Some("bob"), "taken stays taken");
    assert!(owners[2..].iter().all(|owner| owner.as_deref() == Some("alice")));
    // Pressing the button twice is no error.
    assert!(fixture.pager.acknowledge(&token).unwrap().is_some());
    fixture.seconds(10_000);
    assert_eq!(fixture.pages().len(), 1, "nobody is called any more");
}
