//! The inventory of a host: its processes, users, groups and listening sockets, as events when they change and all of
//! them now and then.
//!
//! It is a comparison of two looks: what came and went between them is not seen (the audit system sees it). What was
//! there at the last look is kept by whoever runs this, so that a change during a stop is told after it. It is kept
//! after the events are on their way: after a kill a change may be told twice, never not at all.

use std::time::Duration;

use event::{Event, Kind as EventKind, Object, Timestamp, set};
use serde_json::Value;
use service::Clock;

use super::{Intake, Item, Stopped};
use crate::config::InventoryConfig;

mod facts;
mod state;

use facts::Problems;
use state::{Change, Kind, News, State};

/// Longest time in which a stop is not seen.
const STEP: Duration = Duration::from_millis(200);
/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

/// Looks until `intake` stops, beginning with what was `kept`; gives what is to be kept to `keep` when that has changed.
/// Blocks.
pub fn run(
    config: &InventoryConfig,
    kept: Option<&[u8]>,
    mut keep: impl FnMut(&[u8]),
    intake: &Intake,
    clock: &Clock,
) {
    let mut state: State = match kept.map(serde_json::from_slice) {
        Some(Ok(state)) => state,
        Some(Err(error)) => {
            tracing::error!(%error, "what is known of this host is learned anew");
            State::default()
        }
        None => State::default(),
    };
    while !intake.is_stopping() {
        let before = state.clone();
        if pass(config, &mut state, intake, clock).is_err() {
            return;
        }
        if before != state {
            match serde_json::to_vec(&state) {
                Ok(bytes) => keep(&bytes),
                Err(error) => tracing::error!(%error, "what is known of this host is not kept"),
            }
        }
        let until = clock.monotonic().saturating_add(Duration::from_secs(config.every_seconds));
        while clock.monotonic() < until && !intake.is_stopping() {
            std::thread::sleep(STEP);
        }
    }
}

/// One look, and what is to be told after it.
fn pass(
    config: &InventoryConfig,
    state: &mut State,
    intake: &Intake,
    clock: &Clock,
) -> Result<(), Stopped> {
    let mut problems = Problems::default();
    let look = facts::look(config, &mut problems);
    for problem in &problems.errors {
        intake.source().count_error();
        tracing::warn!(problem, "inventory is not complete");
    }
    intake.source().set_further("left_out", problems.left_out);
    let now = Timestamp::from_micros(clock.now_micros());
    let every = i64::try_from(config.snapshot_hours).unwrap_or(24).saturating_mul(HOUR);
    for news in state.take(look, now.micros(), every) {
        let event = told(news, now);
        let bytes =
            event::get(&event.fields, "message").and_then(Value::as_str).map_or(0, str::len);
        intake.wait(Item::new(event), true, bytes)?;
    }
    Ok(())
}

/// The event of a fact.
fn told(news: News, now: Timestamp) -> Event {
    let News { kind, change, mut fields, before } = news;
    let action = kind.action(change);
    let message = format!("{} {}", action.replace('_', " "), name(kind, &fields));
    set(&mut fields, "event.module", "inventory".into());
    set(&mut fields, "event.dataset", kind.dataset().into());
    set(&mut fields, "event.action", action.into());
    let state = if change == Change::Present { "state" } else { "event" };
    set(&mut fields, "event.kind", state.into());
    if !before.is_empty() {
        set(&mut fields, "inventory.before", Value::Object(before));
    }
    set(&mut fields, "message", message.into());
    Event { seq: 0, time: now, seen: now, kind: EventKind::Log, fields }
}

/// What a fact is about, for people.
fn name(kind: Kind, fields: &Object) -> String {
    let get = |name: &str| match event::get(fields, name) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    match kind {
        Kind::Process => {
            let line = [get("process.command_line"), get("process.name")];
            let line = line.into_iter().find(|line| !line.is_empty()).unwrap_or_default();
            format!("{} ({})", line, get("process.pid"))
        }
        Kind::User => format!("{} (uid {})", get("user.name"), get("user.id")),
        Kind::Group => format!("{} (gid {})", get("group.name"), get("group.id")),
        Kind::Listener => {
            let (transport, ip) = (get("network.transport"), get("server.ip"));
            format!("{transport} {ip} port {} {}", get("server.port"), get("process.name"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Counters;
    use std::sync::Arc;

    #[test]
    fn a_listener_that_opens_is_told_once_and_over_a_restart() {
        let (queue, items) = crossbeam_channel::bounded(50_000);
        let clock = Clock::manual(1_000_000);
        let intake = Intake::new(queue, Arc::new(Counters::default()), service::Shutdown::new());
        let config = InventoryConfig { processes: false, ..InventoryConfig::default() };
        let mut state = State::default();
        pass(&config, &mut state, &intake, &clock).unwrap();
        let present: Vec<Item> = items.try_iter().collect();
        let action =
            |item: &Item| item.events[0].fields["event"]["action"].as_str().unwrap().to_owned();
        assert!(present.iter().all(|item| action(item).ends_with("_present")));
        assert!(present.iter().all(|item| item.events[0].fields["event"]["kind"] == "state"));
        let kept = serde_json::to_vec(&state).unwrap();

        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let ours = |item: &Item| {
            event::get(&item.events[0].fields, "server.port").is_some_and(|one| *one == port)
        };
        let mut state: State = serde_json::from_slice(&kept).unwrap();
        pass(&config, &mut state, &intake, &clock).unwrap();
        let mut found: Vec<String> =
            items.try_iter().filter(ours).map(|item| action(&item)).collect();
        pass(&config, &mut state, &intake, &clock).unwrap();
        found.extend(items.try_iter().filter(ours).map(|item| action(&item)));
        drop(socket);
        pass(&config, &mut state, &intake, &clock).unwrap();
        found.extend(items.try_iter().filter(ours).map(|item| action(&item)));
        assert_eq!(found, ["listener_opened", "listener_closed"]);
    }
}
