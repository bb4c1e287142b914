//! The rotation, also over the change of summer time, and the limits of a schedule.

use super::*;

fn schedule(members: &[&str]) -> Schedule {
    let mut schedule = Schedule::first("x", Timestamp::from_seconds(1_000));
    schedule.members = members.iter().map(|name| (*name).to_owned()).collect();
    schedule
}

#[test]
fn the_week_changes_at_the_hour_it_began() {
    let team = schedule(&["a", "b", "c"]);
    let at = |seconds| team.on_call(Timestamp::from_seconds(seconds), 0).unwrap();
    assert_eq!((at(1_000), at(1_000 + WEEK - 1), at(1_000 + WEEK)), ("a", "a", "b"));
    assert_eq!((at(1_000 + 3 * WEEK), at(999)), ("a", "c"));
    assert_eq!(team.on_call(Timestamp::from_seconds(1_000), 1), Some("b"));
    assert_eq!(team.handover(Timestamp::from_seconds(1_001)).seconds(), 1_000 + WEEK);
    assert_eq!(team.people(Target::Everyone, Timestamp::EPOCH).len(), 3);
}

#[test]
fn bad_schedules_are_refused_by_name() {
    assert_eq!(schedule(&["a"]).check(), Ok(()));
    assert_eq!(schedule(&[]).check(), Err(ScheduleProblem::NoMembers));
    let mut one = schedule(&["a"]);
    one.steps[0].wait_seconds = 1;
    assert_eq!(one.check(), Err(ScheduleProblem::Bounds));
    one.steps.clear();
    assert_eq!(one.check(), Err(ScheduleProblem::NoSteps));
    assert_eq!(schedule(&[]).on_call(Timestamp::EPOCH, 0), None);
}

#[test]
fn the_handover_keeps_to_utc_over_the_change_of_summer_time() {
    // Handover on Mondays at 07:00 UTC: 09:00 in Zürich in summer, 08:00 in winter. The clocks
    // there change on 2026-03-29 and 2026-10-25 at 01:00 UTC.
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let mut team = schedule(&["a", "b"]);
    team.start = time("2026-03-23T07:00:00Z");
    for (now, expected, handover) in [
        ("2026-03-23T06:59:59Z", "b", "2026-03-23T07:00:00.000000+0000"),
        ("2026-03-23T07:00:00Z", "a", "2026-03-30T07:00:00.000000+0000"),
        ("2026-03-29T00:59:59Z", "a", "2026-03-30T07:00:00.000000+0000"),
        ("2026-03-29T03:30:00+02:00", "a", "2026-03-30T07:00:00.000000+0000"),
        ("2026-03-30T08:59:59+02:00", "a", "2026-03-30T07:00:00.000000+0000"),
        ("2026-03-30T09:00:00+02:00", "b", "2026-04-06T07:00:00.000000+0000"),
        ("2026-10-25T02:30:00+02:00", "a", "2026-10-26T07:00:00.000000+0000"),
        ("2026-10-25T02:30:00+01:00", "a", "2026-10-26T07:00:00.000000+0000"),
        ("2026-10-26T08:00:00+01:00", "b", "2026-11-02T07:00:00.000000+0000"),
    ] {
        assert_eq!(team.on_call(time(now), 0), Some(expected), "{now}");
        assert_eq!(team.handover(time(now)).to_string(), handover, "{now}");
    }
}

#[test]
fn limits_of_a_schedule_on_both_sides() {
    let check = |change: &dyn Fn(&mut Schedule)| {
        let mut one = schedule(&["a"]);
        change(&mut one);
        one.check()
    };
    for (wait, good) in [(9, false), (10, true), (86_400, true), (86_401, false), (-1, false)] {
        let outcome = check(&|one| one.steps[0].wait_seconds = wait);
        assert_eq!(outcome.is_ok(), good, "{wait} s");
    }
    for (rounds, good) in [(0, false), (1, true), (100, true), (101, false)] {
        assert_eq!(check(&|one| one.rounds = rounds).is_ok(), good, "{rounds} rounds");
    }
    for (steps, good) in [(1, true), (20, true), (21, false)] {
        let outcome = check(&|one| one.steps = vec![one.steps[0].clone(); steps]);
        assert_eq!(outcome.is_ok(), good, "{steps} steps");
    }
    for (members, good) in [(200, true), (201, false)] {
        let outcome = check(&|one| one.members = vec!["a".into(); members]);
        assert_eq!(outcome.is_ok(), good, "{members} members");
    }
    assert_eq!(check(&|one| one.steps[1].channels.clear()), Err(ScheduleProblem::NoSteps));
}

#[test]
fn targets_of_a_step() {
    let team = schedule(&["a", "b", "c"]);
    let second_week = Timestamp::from_seconds(1_000 + WEEK);
    for (target, expected) in
        [(Target::OnCall, &["b"][..]), (Target::Next, &["c"]), (Target::Everyone, &["a", "b", "c"])]
    {
        assert_eq!(team.people(target, second_week), expected);
    }
    let alone = schedule(&["a"]);
    assert_eq!(alone.people(Target::Next, second_week), ["a"]);
    assert!(schedule(&[]).people(Target::OnCall, second_week).is_empty());
}

proptest::proptest! {
    /// At any time exactly one member is on call, each for a week in turn, until the handover.
    #[test]
    fn the_rotation_is_fair(count in 1..8_usize, now in -4_000_000_000_i64..8_000_000_000) {
        let names: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        let team = schedule(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let at = |seconds: i64| team.on_call(Timestamp::from_seconds(seconds), 0).unwrap();
        let handover = team.handover(Timestamp::from_seconds(now)).seconds();
        proptest::prop_assert!(handover > now && handover - now <= WEEK);
        proptest::prop_assert_eq!(at(handover - 1), at(now));
        let next = team.on_call(Timestamp::from_seconds(now), 1).unwrap();
        proptest::prop_assert_eq!(at(handover), next);
        let turn: std::collections::BTreeSet<&str> =
            (0..count as i64).map(|week| at(now + week * WEEK)).collect();
        proptest::prop_assert_eq!(turn.len(), count);
    }
}
