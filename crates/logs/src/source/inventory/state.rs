//! What was there at the last look, and what has changed since. Reads nothing.

use std::collections::BTreeMap;

use event::Object;
use serde::{Deserialize, Serialize};

/// Most facts of one kind; what is beyond is counted.
pub(super) const MAX_FACTS: usize = 16_384;

/// What a fact is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Process,
    User,
    Group,
    Listener,
}

/// What has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is there.
    Present,
    /// It was not there before.
    Came,
    /// It is another than before.
    Changed,
    /// It is there no more.
    Went,
}

impl Kind {
    /// Its name in `event.dataset`.
    pub(super) const fn dataset(self) -> &'static str {
        match self {
            Self::Process => "inventory.process",
            Self::User => "inventory.user",
            Self::Group => "inventory.group",
            Self::Listener => "inventory.listener",
        }
    }

    /// Name of a change of it in `event.action`.
    pub(super) const fn action(self, change: Change) -> &'static str {
        match (self, change) {
            (Self::Process, Change::Present) => "process_present",
            (Self::Process, Change::Came) => "process_started",
            (Self::Process, Change::Changed) => "process_changed",
            (Self::Process, Change::Went) => "process_stopped",
            (Self::User, Change::Present) => "user_present",
            (Self::User, Change::Came) => "user_added",
            (Self::User, Change::Changed) => "user_changed",
            (Self::User, Change::Went) => "user_removed",
            (Self::Group, Change::Present) => "group_present",
            (Self::Group, Change::Came) => "group_added",
            (Self::Group, Change::Changed) => "group_changed",
            (Self::Group, Change::Went) => "group_removed",
            (Self::Listener, Change::Present) => "listener_present",
            (Self::Listener, Change::Came) => "listener_opened",
            (Self::Listener, Change::Changed) => "listener_changed",
            (Self::Listener, Change::Went) => "listener_closed",
        }
    }
}

/// Facts of one kind by what tells them apart, with their fields.
pub(super) type Facts = BTreeMap<String, Object>;

/// What a look found: kinds that could not be read are missing.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    /// When the machine was started, seconds since the epoch; processes and sockets do not outlive it.
    pub(super) boot: u64,
    pub(super) found: BTreeMap<Kind, Facts>,
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct News {
    pub(super) kind: Kind,
    pub(super) change: Change,
    pub(super) fields: Object,
    /// What the fields that differ were before.
    pub(super) before: Object,
}

/// What is remembered between two looks, also over a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    boot: u64,
    /// When everything was told last, microseconds since the epoch.
    told: Option<i64>,
    known: BTreeMap<Kind, Facts>,
}

impl State {
    /// Takes a look at `now`; everything is told when that is `every` microseconds ago, changes else.
    pub(super) fn take(&mut self, look: Look, now: i64, every: i64) -> Vec<News> {
        let mut news = Vec::new();
        let rebooted = self.boot != look.boot;
        self.boot = look.boot;
        // A clock that was set back tells everything again rather than nothing for long.
        let due = self.told.is_none_or(|told| !(0..every).contains(&now.saturating_sub(told)));
        for (kind, found) in look.found {
            let before = self.known.insert(kind, found.clone());
            let outlives = matches!(kind, Kind::User | Kind::Group);
            if let (Some(before), true) = (before, outlives || !rebooted) {
                changes(kind, &before, &found, &mut news);
            }
            if due {
                let change = Change::Present;
                let present = |fields| News { kind, change, fields, before: Object::new() };
                news.extend(found.into_values().map(present));
            }
        }
        if due {
            self.told = Some(now);
        }
        news
    }
}

fn changes(kind: Kind, before: &Facts, found: &Facts, news: &mut Vec<News>) {
    for (_, fields) in before.iter().filter(|(key, _)| !found.contains_key(*key)) {
        let (fields, before) = (fields.clone(), Object::new());
        news.push(News { kind, change: Change::Went, fields, before });
    }
    for (key, fields) in found {
        let fields = fields.clone();
        match before.get(key) {
            None => news.push(News { kind, change: Change::Came, fields, before: Object::new() }),
            Some(old) if *old != fields => {
                let mut before = old.clone();
                before.retain(|name, value| fields.get(name) != Some(value));
                news.push(News { kind, change: Change::Changed, fields, before });
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use serde_json::json;

    fn look(boot: u64, facts: &[(Kind, &str, &str)]) -> Look {
        let mut look = Look { boot, ..Look::default() };
        for (kind, key, value) in facts {
            let fields = json!({"name": key, "value": value});
            let known = look.found.entry(*kind).or_default();
            if !key.is_empty() {
                known.insert((*key).to_owned(), fields.as_object().unwrap().clone());
            }
        }
        look
    }

    fn check(state: &mut State, look: Look, now: i64, expected: &Expect) {
        let lines = state.take(look, now, 100).into_iter().map(|news| {
            let before = serde_json::to_string(&news.before).unwrap();
            format!("{} {} {before}\n", news.kind.action(news.change), news.fields["name"])
        });
        expected.assert_eq(&lines.collect::<String>());
    }

    #[test]
    fn changes_are_told_and_everything_now_and_then() {
        let mut state = State::default();
        let first = look(1, &[(Kind::User, "root", "0"), (Kind::Process, "1", "init")]);
        check(
            &mut state,
            first.clone(),
            0,
            &expect![[r#"
            process_present "1" {}
            user_present "root" {}
        "#]],
        );
        check(&mut state, first, 10, &expect![[""]]);
        let second = look(
            1,
            &[(Kind::User, "root", "0"), (Kind::User, "toor", "0"), (Kind::Process, "2", "x")],
        );
        check(
            &mut state,
            second,
            20,
            &expect![[r#"
            process_stopped "1" {}
            process_started "2" {}
            user_added "toor" {}
        "#]],
        );
        // Users could not be read: nothing is told of them.
        check(
            &mut state,
            look(1, &[(Kind::Process, "2", "y")]),
            30,
            &expect![[r#"
            process_changed "2" {"value":"x"}
        "#]],
        );
        // Kept over a restart of the program; after one of the machine processes are others.
        let kept = serde_json::to_vec(&state).unwrap();
        let mut state: State = serde_json::from_slice(&kept).unwrap();
        let third = look(2, &[(Kind::User, "root", "7"), (Kind::Process, "9", "z")]);
        check(
            &mut state,
            third.clone(),
            40,
            &expect![[r#"
            user_removed "toor" {}
            user_changed "root" {"value":"0"}
        "#]],
        );
        check(
            &mut state,
            third.clone(),
            100,
            &expect![[r#"
            process_present "9" {}
            user_present "root" {}
        "#]],
        );
        // A clock that was set back.
        check(
            &mut state,
            third,
            50,
            &expect![[r#"
            process_present "9" {}
            user_present "root" {}
        "#]],
        );
    }
}
