//! The life of an alert: which action fits which state, what reopening means, and that random
//! operations keep what must always hold, also over a restart.

use super::*;
use proptest::prelude::*;

const VERDICTS: [Verdict; 3] = [Verdict::TruePositive, Verdict::Benign, Verdict::FalsePositive];

fn opened(alerts: &Alerts, seq: u64) -> String {
    record(alerts, &[document(seq, "r", "e", Severity::High, START)]);
    all(alerts).iter().find(|one| one.status == Status::Open).unwrap().id.clone()
}

#[test]
fn every_action_in_every_state() {
    let close = Action::Close(Verdict::Benign);
    let refused = |state: &str| Err(format!("the alert is {state} already"));
    for (before, action, expected) in [
        (&[][..], Action::Acknowledge, Ok(Status::Acknowledged)),
        (&[], close, Ok(Status::Closed)),
        (&[], Action::Reopen, refused("open")),
        (&[Action::Acknowledge], Action::Acknowledge, refused("acknowledged")),
        (&[Action::Acknowledge], close, Ok(Status::Closed)),
        (&[Action::Acknowledge], Action::Reopen, Ok(Status::Open)),
        (&[close], Action::Acknowledge, refused("closed")),
        (&[close], close, refused("closed")),
        (&[close], Action::Reopen, Ok(Status::Open)),
    ] {
        let (_folder, _state, _clock, alerts) = fixture();
        let id = opened(&alerts, 1);
        for step in before {
            alerts.act(&id, *step, "alice", "").unwrap();
        }
        let before_timeline = alerts.get(&id).unwrap().timeline.len();
        let outcome = alerts.act(&id, action, "bob", "").map(|alert| alert.status);
        let outcome = outcome.map_err(|error| error.to_string());
        assert_eq!(outcome, expected, "{before:?} then {action:?}");
        let written = alerts.get(&id).unwrap().timeline.len() - before_timeline;
        assert_eq!(written, usize::from(expected.is_ok()), "{before:?} then {action:?}");
    }
}

#[test]
fn a_reopened_alert_begins_anew_and_remembers_in_its_timeline_only() {
    let (_folder, state, clock, alerts) = fixture();
    let id = opened(&alerts, 1);
    alerts.act(&id, Action::Acknowledge, "alice", "").unwrap();
    alerts.act(&id, Action::Close(Verdict::FalsePositive), "alice", "ours").unwrap();
    let again = alerts.act(&id, Action::Reopen, "bob", "not ours after all").unwrap();
    assert_eq!((again.status, again.owner, again.verdict), (Status::Open, None, None));
    assert_eq!((again.reopened, again.count), (1, 1));
    alerts.act(&id, Action::Acknowledge, "carol", "").unwrap();
    let back = alerts.act(&id, Action::Reopen, "carol", "shift ends").unwrap();
    assert_eq!((back.status, back.owner, back.reopened), (Status::Open, None, 2));
    let reloaded = Alerts::load(state, clock).unwrap().get(&id).unwrap();
    let history: Vec<String> =
        reloaded.timeline.iter().map(|line| format!("{}: {}", line.who, line.what)).collect();
    expect_test::expect![[r#"
        pikett: opened
        alice: acknowledged
        alice: closed as false positive: ours
        bob: reopened: not ours after all
        carol: acknowledged
        carol: given back: shift ends"#]]
    .assert_eq(&history.join("\n"));
}

#[test]
fn the_newest_open_alert_of_a_group_is_joined_whatever_is_reopened() {
    let (_folder, state, clock, alerts) = fixture();
    let old = opened(&alerts, 1);
    alerts.act(&old, Action::Close(Verdict::Benign), "alice", "").unwrap();
    clock.advance(1_000_000);
    let new = opened(&alerts, 2);
    assert_ne!(old, new);
    alerts.act(&old, Action::Reopen, "alice", "").unwrap();
    let counts =
        |alerts: &Alerts| (alerts.get(&old).unwrap().count, alerts.get(&new).unwrap().count);
    record(&alerts, &[document(3, "r", "e", Severity::High, START)]);
    assert_eq!(counts(&alerts), (1, 2), "reopening does not draw detections to the older one");
    let alerts = Alerts::load(state, clock).unwrap();
    record(&alerts, &[document(4, "r", "e", Severity::High, START)]);
    assert_eq!(counts(&alerts), (1, 3), "nor does a restart");
    alerts.act(&new, Action::Close(Verdict::Benign), "alice", "").unwrap();
    record(&alerts, &[document(5, "r", "e", Severity::High, START)]);
    assert_eq!(counts(&alerts), (2, 3), "the older one stands in when the newer is closed");
}

#[test]
fn what_goes_wrong_again_and_again_is_told_once_per_opening() {
    let (_folder, _state, _clock, alerts) = fixture();
    let id = opened(&alerts, 1);
    let lines = || {
        let alert = alerts.get(&id).unwrap();
        alert.timeline.iter().filter(|line| line.what.contains("not configured")).count()
    };
    for _ in 0..5 {
        alerts.note_once(&id, "page to alice by mail: mail is not configured").unwrap();
    }
    alerts.note_once(&id, "page to bob by mail: mail is not configured").unwrap();
    assert_eq!(lines(), 2);
    alerts.act(&id, Action::Close(Verdict::Benign), "alice", "").unwrap();
    alerts.act(&id, Action::Reopen, "alice", "").unwrap();
    alerts.note_once(&id, "page to alice by mail: mail is not configured").unwrap();
    assert_eq!(lines(), 3, "after reopening it is told again");
    assert!(alerts.note_once("nope", "x").is_err());
}

#[test]
fn joining_ends_exactly_after_the_window() {
    for (gap, expected) in [(WINDOW * 1_000_000 - 1, 1), (WINDOW * 1_000_000, 2)] {
        let (_folder, _state, _clock, alerts) = fixture();
        record(&alerts, &[document(1, "r", "e", Severity::Low, START)]);
        record(&alerts, &[document(2, "r", "e", Severity::Low, START + gap)]);
        assert_eq!(all(&alerts).len(), expected, "{gap}");
    }
}

#[test]
fn late_detections_join_and_move_the_beginning_back() {
    let (_folder, _state, _clock, alerts) = fixture();
    record(&alerts, &[document(1, "r", "e", Severity::Low, START)]);
    record(&alerts, &[document(2, "r", "e", Severity::Low, START - 30 * 86_400_000_000)]);
    let found = all(&alerts);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].first.micros(), START - 30 * 86_400_000_000);
    assert_eq!(found[0].last.micros(), START);
}

#[test]
fn history_and_evidence_are_bounded_and_keep_both_ends() {
    let (_folder, _state, _clock, alerts) = fixture();
    let id = opened(&alerts, 1);
    for n in 0..MAX_TIMELINE * 2 {
        alerts.note(&id, "alice", &format!("remark {n}")).unwrap();
    }
    let alert = alerts.get(&id).unwrap();
    assert_eq!(alert.timeline.len(), MAX_TIMELINE);
    assert_eq!(alert.timeline[0].what, "opened");
    assert_eq!(alert.timeline[MAX_TIMELINE - 1].what, format!("remark {}", MAX_TIMELINE * 2 - 1));
    for seq in 2..200 {
        record(&alerts, &[document(seq, "r", "e", Severity::High, START)]);
    }
    let evidence = alerts.get(&id).unwrap().evidence;
    assert_eq!(evidence.len(), MAX_EVIDENCE);
    assert!(evidence.contains(&"a/0/1".to_owned()) && evidence.contains(&"a/0/199".to_owned()));
    assert!(matches!(alerts.note("nope", "a", "b"), Err(AlertError::Unknown { .. })));
}

#[test]
fn boots_have_watermarks_of_their_own_and_old_ones_leave() {
    let (_folder, state, _clock, alerts) = fixture();
    for boot in 0..40_u64 {
        let mut detection = detection("r", "e", Severity::Low);
        detection.explanation = format!("boot {boot}");
        let mut event =
            detection.into_event(Timestamp::EPOCH, Timestamp::EPOCH, event::Object::new());
        event.seq = 5;
        let document = event.into_document(&crate::testing::origin("a"), boot);
        let arrived = || Arrived { agent: "a", boot, last_seq: 5, documents: vec![&document] };
        assert_eq!(alerts.record(&arrived()).unwrap(), 1, "sequence 5 of boot {boot} is new");
        assert_eq!(alerts.record(&arrived()).unwrap(), 0);
    }
    let marks = state.get::<Watermarks>("a").unwrap().unwrap();
    assert_eq!(marks.boots.len(), MAX_BOOTS);
    assert_eq!(marks.boots.last(), Some(&(39, 5)));
}

#[derive(Clone, Debug)]
enum Step {
    Detect { entity: u8, severity: usize, later: i64 },
    Act { which: usize, action: Action },
    Wait(i64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let action = prop_oneof![
        Just(Action::Acknowledge),
        (0..3_usize).prop_map(|n| Action::Close(VERDICTS[n])),
        Just(Action::Reopen),
    ];
    prop_oneof![
        4 => (0..3_u8, 0..5_usize, -90_000..90_000_i64)
            .prop_map(|(entity, severity, later)| Step::Detect { entity, severity, later }),
        4 => (0..8_usize, action).prop_map(|(which, action)| Step::Act { which, action }),
        1 => (0..100_000_i64).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ]
}

/// What must hold of every alert at any time.
fn sound(alert: &Alert) -> Result<(), TestCaseError> {
    match alert.status {
        Status::Open => prop_assert!(alert.owner.is_none() && alert.verdict.is_none()),
        Status::Acknowledged => prop_assert!(alert.owner.is_some() && alert.verdict.is_none()),
        Status::Closed => prop_assert!(alert.verdict.is_some()),
    }
    prop_assert!(alert.first <= alert.last && alert.count > 0);
    prop_assert!(alert.evidence.len() <= MAX_EVIDENCE && alert.timeline.len() <= MAX_TIMELINE);
    prop_assert_eq!(&alert.timeline[0].what, "opened");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_operations_keep_what_must_hold(steps in proptest::collection::vec(step(), 1..40)) {
        let (_folder, state, clock, mut alerts) = fixture();
        let (mut seq, mut detected) = (0, 0);
        for step in steps {
            let before: BTreeMap<String, Alert> =
                all(&alerts).into_iter().map(|alert| (alert.id.clone(), alert)).collect();
            match step {
                Step::Detect { entity, severity, later } => {
                    seq += 1;
                    detected += 1;
                    let severity = Severity::ALL[severity % Severity::ALL.len()];
                    let time = clock.now_micros() + later * 1_000_000;
                    record(&alerts, &[document(seq, "r", &entity.to_string(), severity, time)]);
                    let changed: Vec<Alert> = all(&alerts)
                        .into_iter()
                        .filter(|alert| before.get(&alert.id) != Some(alert))
                        .collect();
                    prop_assert_eq!(changed.len(), 1, "a detection touches one alert");
                    prop_assert!(changed[0].status != Status::Closed);
                    prop_assert!(changed[0].severity >= severity);
                    let old = before.get(&changed[0].id).map_or(0, |alert| alert.count);
                    prop_assert_eq!(changed[0].count, old + 1);
                }
                Step::Act { which, action } => {
                    let Some(id) = before.keys().nth(which).cloned() else { continue };
                    let fits = match (action, before[&id].status) {
                        (Action::Acknowledge, status) => status == Status::Open,
                        (Action::Close(_), status) => status != Status::Closed,
                        (Action::Reopen, status) => status != Status::Open,
                    };
                    let done = alerts.act(&id, action, "alice", "").is_ok();
                    prop_assert_eq!(done, fits, "{:?} on {:?}", action, before[&id].status);
                    if !done {
                        prop_assert_eq!(alerts.get(&id), before.get(&id).cloned());
                    }
                }
                Step::Wait(seconds) => clock.advance(seconds * 1_000_000),
                Step::Restart => {
                    alerts = Alerts::load(Arc::clone(&state), clock.clone()).unwrap();
                    let after: BTreeMap<String, Alert> =
                        all(&alerts).into_iter().map(|alert| (alert.id.clone(), alert)).collect();
                    prop_assert_eq!(&after, &before, "a restart changes nothing");
                }
            }
            let now = all(&alerts);
            now.iter().try_for_each(sound)?;
            prop_assert_eq!(now.iter().map(|alert| alert.count).sum::<u64>(), detected);
        }
    }
}
