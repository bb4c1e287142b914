//! What goes is what is too old or too much of its class, oldest first; what is foretold comes true.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::store::ClassPolicy;

const GIB: u64 = 1 << 30;

fn now() -> Timestamp {
    "2026-11-22T15:00:00Z".parse().unwrap()
}

fn one(name: &str, gigabytes: u64) -> Held {
    Held { key: PartitionKey::parse(name).unwrap(), bytes: gigabytes * GIB }
}

fn limits(days: Option<i64>, gigabytes: Option<u64>) -> Limits {
    Limits {
        older_than: days.map(|days| now().plus_seconds(-days * DAY_SECONDS)),
        max_bytes: gigabytes.map(|gigabytes| gigabytes * GIB),
    }
}

fn policy(default: Limits, classes: &[(&str, Limits)]) -> RetentionPolicy {
    let class = |(name, limits): &(&str, Limits)| ClassPolicy {
        name: ClassName::new(name).unwrap(),
        limits: *limits,
    };
    RetentionPolicy {
        older_than: default.older_than,
        max_bytes: default.max_bytes,
        classes: classes.iter().map(class).collect(),
    }
}

fn going(held: &[Held], policy: &RetentionPolicy) -> Vec<String> {
    let name = |(at, reason): (usize, Reason)| format!("{} {}", held[at].key, reason.as_str());
    due(held, policy).into_iter().map(name).collect()
}

#[test]
fn each_class_has_limits_of_its_own() {
    let held = [
        one("2026-11-10", 1),
        one("2026-11-10_flows", 1),
        one("2026-11-10_alerts", 1),
        one("2026-11-20", 1),
        one("2026-11-21_flows", 4),
        one("2026-11-22_flows", 4),
        one("2026-11-22_flows.1", 4),
    ];
    let classes = [("flows", limits(Some(7), Some(8))), ("alerts", limits(Some(365), None))];
    let with = policy(limits(Some(90), Some(100)), &classes);
    assert_eq!(going(&held, &with), ["2026-11-10_flows age", "2026-11-21_flows size"]);
    // Classes that are no longer configured are kept as the default class is, with it.
    let without = policy(limits(Some(90), Some(9)), &[]);
    assert_eq!(
        going(&held, &without),
        [
            "2026-11-10 size",
            "2026-11-10_alerts size",
            "2026-11-10_flows size",
            "2026-11-20 size",
            "2026-11-21_flows size"
        ]
    );
    assert_eq!(going(&held, &RetentionPolicy::default()), [""; 0]);
}

#[test]
fn the_newest_of_a_class_stays_however_large_and_no_other() {
    let held = [one("2026-11-21", 5), one("2026-11-21.1", 5), one("2026-11-21_a", 5)];
    let with = policy(limits(None, Some(0)), &[("a", limits(None, Some(0)))]);
    assert_eq!(going(&held, &with), ["2026-11-21 size"]);
    // But age takes it.
    let with = policy(limits(Some(0), Some(0)), &[("a", limits(None, Some(0)))]);
    assert_eq!(going(&held, &with), ["2026-11-21 age", "2026-11-21.1 age"]);
}

fn check(held: &[Held], policy: &RetentionPolicy, expected: &Expect) {
    let lines: Vec<String> = outlook(held, policy, now()).iter().map(Outlook::line).collect();
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn what_is_foretold() {
    let classes = [("flows", limits(Some(30), Some(40))), ("alerts", limits(Some(365), None))];
    let with = policy(limits(Some(90), Some(100)), &classes);
    check(
        &[],
        &with,
        &expect![[r#"
            default: 0 MiB in 0 partitions of 0 days, rate not known yet, lasts 90 days (by age)
            flows: 0 MiB in 0 partitions of 0 days, rate not known yet, lasts 30 days (by age)
            alerts: 0 MiB in 0 partitions of 0 days, rate not known yet, lasts 365 days (by age)"#]],
    );
    let held = [
        one("2026-09-01_alerts", 1),
        one("2026-11-20", 1),
        one("2026-11-20_flows", 4),
        one("2026-11-20_flows.1", 4),
        one("2026-11-21_flows", 8),
        one("2026-11-22_flows", 2),
        one("past@2026-11-22", 9),
    ];
    check(
        &held,
        &with,
        &expect![[r#"
            default: 10240 MiB in 2 partitions of 2 days, 512 MiB a day, lasts 90 days (by age); next to go: 2026-11-20 (1024 MiB) on 2027-02-19 by age
            flows: 18432 MiB in 4 partitions of 3 days, 8192 MiB a day, lasts 5 days (by size); next to go: 2026-11-20_flows (4096 MiB) on 2026-11-24 by size
            alerts: 1024 MiB in 1 partitions of 1 days, rate not known yet, lasts 365 days (by age); next to go: 2026-09-01_alerts (1024 MiB) on 2027-09-02 by age"#]],
    );
    check(
        &[one("2026-11-20", 1)],
        &RetentionPolicy::default(),
        &expect![[
            r#"default: 1024 MiB in 1 partitions of 1 days, 512 MiB a day, is kept for ever"#
        ]],
    );
    // Too much already, and too old already: today.
    let tight = policy(limits(Some(90), Some(1)), &[("flows", limits(Some(1), None))]);
    check(
        &[one("2026-11-20", 1), one("2026-11-21", 1), one("2026-11-01_flows", 1)],
        &tight,
        &expect![[r#"
            default: 2048 MiB in 2 partitions of 2 days, 1024 MiB a day, lasts 1 days (by size); next to go: 2026-11-20 (1024 MiB) on 2026-11-22 by size
            flows: 1024 MiB in 1 partitions of 1 days, rate not known yet, lasts 1 days (by age); next to go: 2026-11-01_flows (1024 MiB) on 2026-11-22 by age"#]],
    );
}

#[test]
fn what_is_over_leaves_the_hot_folder_oldest_first() {
    let hot = [
        one("2026-11-22", 5),
        one("2026-11-22_flows", 5),
        one("2026-11-22_flows.1", 5),
        one("2026-11-21", 1),
        one("2026-11-12_flows", 2),
        one("2026-11-13", 2),
    ];
    let movable = |days, gigabytes: Option<u64>, now: &str| -> Vec<String> {
        let policy = HotPolicy { max_bytes: gigabytes.map(|gigabytes| gigabytes * GIB), days };
        let found = movable(&hot, &policy, now.parse().unwrap());
        found.iter().map(ToString::to_string).collect()
    };
    let now = "2026-11-22T15:00:00Z";
    assert_eq!(movable(Some(9), None, now), ["2026-11-12_flows"]);
    assert_eq!(movable(None, Some(18), now), ["2026-11-12_flows"]);
    assert_eq!(movable(None, Some(17), now), ["2026-11-12_flows", "2026-11-13"]);
    assert_eq!(movable(None, Some(20), now), [""; 0]);
    // A part with a later one is over too; what is written to is not, however large.
    let all = ["2026-11-12_flows", "2026-11-13", "2026-11-21", "2026-11-22_flows"];
    assert_eq!(movable(None, Some(0), now), all);
    assert_eq!(movable(Some(0), None, now), all[..3], "by age only when its day is over");
    // Yesterday is over an hour after midnight.
    assert_eq!(movable(None, Some(0), "2026-11-22T00:59:59Z").len(), 3);
    assert_eq!(movable(None, None, now), [""; 0]);
}

#[test]
fn what_lies_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(held(&folder.path().join("none")).unwrap(), []);
    for name in ["2026-11-22_flows.1", "2026-11-20", ".dropped-2026-11-19", "2026-11-22"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("a"), [0; 5]).unwrap();
        std::fs::write(folder.path().join(name).join("b"), [0; 2]).unwrap();
    }
    let found = held(folder.path()).unwrap();
    let names: Vec<_> = found.iter().map(|one| (one.key.to_string(), one.bytes)).collect();
    let expected = ["2026-11-20", "2026-11-22", "2026-11-22_flows.1"].map(|n| (n.to_owned(), 7));
    assert_eq!(names, expected);
}

proptest! {
    /// After what is due has gone, nothing is due; what is left fits, or is one partition alone.
    #[test]
    fn what_is_due_is_enough_and_no_more(
        days in proptest::collection::btree_map((0..20_i64, 0..3_u32, 0..3_usize), 0..9_u64, 0..30),
        age in 0..20_i64,
        most in 0..30_u64,
    ) {
        let names = ["", "_a", "_b"];
        let held: Vec<Held> = days.iter().map(|((day, part, class), gigabytes)| {
            let date = day_name(day_of(now()) - day);
            let part = if *part > 0 { format!(".{part}") } else { String::new() };
            one(&format!("{date}{}{part}", names[*class]), *gigabytes)
        }).collect();
        let with = policy(limits(Some(age), None), &[("a", limits(None, Some(most)))]);
        let gone: Vec<(usize, Reason)> = due(&held, &with);
        let left: Vec<Held> = (0..).zip(&held)
            .filter(|(at, _)| !gone.iter().any(|(one, _)| one == at))
            .map(|(_, one)| *one).collect();
        prop_assert_eq!(due(&left, &with), vec![]);
        let of_a = |all: &[Held]| -> Vec<Held> {
            let mut all: Vec<_> = all.iter().filter(|h| h.key.class.as_str() == "a").copied().collect();
            all.sort_by_key(|one| one.key);
            all
        };
        let sum = |all: &[Held]| all.iter().map(|one| one.bytes).sum::<u64>();
        let (before, after) = (of_a(&held), of_a(&left));
        prop_assert!(sum(&after) <= most * GIB || after.len() <= 1);
        // The newest stay, and the last one that went did not fit.
        prop_assert_eq!(&before[before.len() - after.len()..], &after[..]);
        if after.len() < before.len() {
            prop_assert!(sum(&before[before.len() - after.len() - 1..]) > most * GIB);
        }
        // The class that is not configured shares the limits of the default one.
        for (at, reason) in gone {
            let by_age = held[at].key.class.as_str() != "a";
            prop_assert_eq!(reason == Reason::Age, by_age);
        }
    }
}

#[test]
fn what_moves_next_is_foretold() {
    let check = |days: Option<i64>, max_bytes: Option<u64>, expected: Expect| {
        let hot: Vec<Held> = ["2026-11-20", "2026-11-21", "2026-11-22"]
            .map(|name| Held { key: PartitionKey::parse(name).unwrap(), bytes: 100 })
            .into();
        let now: Timestamp = "2026-11-22T15:04:05Z".parse().unwrap();
        let next = next_move(&hot, &HotPolicy { max_bytes, days }, now);
        let told = next.map(|one| format!("{} {:?} {:?}", one.partition, one.on, one.reason));
        expected.assert_eq(&told.unwrap_or_default());
    };
    check(Some(7), None, expect![[r#"2026-11-20 Some("2026-11-28") Age"#]]);
    check(Some(0), None, expect![[r#"2026-11-20 Some("2026-11-22") Age"#]]);
    check(Some(7), Some(250), expect![[r#"2026-11-20 Some("2026-11-22") Size"#]]);
    check(None, Some(300), expect![[r#"2026-11-20 None Size"#]]);
    let policy = HotPolicy { max_bytes: None, days: Some(7) };
    assert_eq!(next_move(&[], &policy, Timestamp::EPOCH), None);
}
