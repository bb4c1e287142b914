//! Which partitions are due to be dropped, and how long data lasts at the rate at which it comes now.
//!
//! Pure: partitions come as names and sizes, the time from the caller. The index drops what is due
//! ([`super::index`]); the same rules tell beforehand what will go next.

use std::collections::BTreeMap;
use std::path::Path;

use event::Timestamp;
use serde::Serialize;

use super::StoreError;
use super::class::ClassName;
use super::figures::{Limits, RetentionPolicy};
use super::index::partition::{PartitionKey, Span};

/// Whole days before today that the present rate is taken from.
const RATE_DAYS: i64 = 7;
const DAY_SECONDS: i64 = 86_400;
/// Days further ahead than which nothing is foretold.
const FAR: i64 = 36_500;

/// A partition and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub key: PartitionKey,
    /// Bytes on disk.
    pub bytes: u64,
}

/// Why a partition is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Its newest possible event is too old.
    Age,
    /// The class takes too much room.
    Size,
}

impl Reason {
    /// As it is noted with the deletion.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Size => "size",
        }
    }
}

/// Indices of the partitions that are due, each with the reason; of each class oldest first. Those of a class
/// that is not configured count among the default class. The newest of a class is never dropped for size.
#[must_use]
pub fn due(held: &[Held], policy: &RetentionPolicy) -> Vec<(usize, Reason)> {
    let mut out = Vec::new();
    for (class, indices) in by_class(held, policy) {
        let limits = policy.limits(class);
        let mut kept = Vec::new();
        for (at, one) in indices {
            match limits.older_than {
                Some(oldest) if one.key.ends() <= oldest => out.push((at, Reason::Age)),
                _ => kept.push((at, one.bytes)),
            }
        }
        let Some(most) = limits.max_bytes else { continue };
        let mut total = kept.iter().fold(0_u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
        let droppable = kept.len().saturating_sub(1);
        for (at, bytes) in kept.into_iter().take(droppable) {
            if total <= most {
                break;
            }
            out.push((at, Reason::Size));
            total = total.saturating_sub(bytes);
        }
    }
    out
}

/// What may stay in the hot folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HotPolicy {
    /// At most so many bytes.
    pub max_bytes: Option<u64>,
    /// At most so many days.
    pub days: Option<i64>,
}

/// Time behind the end of a day after which its partitions are closed: what is late has mostly come.
const LATE_SECONDS: i64 = 3_600;

/// The partitions to be moved out of the hot folder, oldest first: of those whose day is over, or that have a later
/// part, those that are too old, and further ones while all of it is too much.
#[must_use]
pub fn movable(hot: &[Held], policy: &HotPolicy, now: Timestamp) -> Vec<PartitionKey> {
    let mut closed: Vec<&Held> = hot
        .iter()
        .filter(|one| {
            let later = |other: &Held| other.key.first() == one.key.first() && other.key > one.key;
            one.key.ends().plus_seconds(LATE_SECONDS) <= now || hot.iter().any(later)
        })
        .collect();
    closed.sort_by_key(|one| one.key);
    let mut total = hot.iter().fold(0_u64, |sum, one| sum.saturating_add(one.bytes));
    let mut out = Vec::new();
    for one in closed {
        let age = |days: i64| one.key.ends() <= now.plus_seconds(-days.saturating_mul(DAY_SECONDS));
        if policy.days.is_some_and(age) || policy.max_bytes.is_some_and(|most| total > most) {
            out.push(one.key);
            total = total.saturating_sub(one.bytes);
        }
    }
    out
}

/// The partition that moves to the warm folder next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextMove {
    /// Its name.
    pub partition: String,
    /// Bytes it takes.
    pub bytes: u64,
    /// The day on which it moves; not known when size alone decides.
    pub on: Option<String>,
    /// Why.
    pub reason: Reason,
}

/// What moves next of the hot folder, and when.
#[must_use]
pub fn next_move(hot: &[Held], policy: &HotPolicy, now: Timestamp) -> Option<NextMove> {
    let due = movable(hot, policy, now).into_iter().next();
    let oldest = hot.iter().map(|one| one.key).min();
    let next = hot.iter().find(|one| Some(one.key) == due.or(oldest))?;
    let wait = policy.days.map(|days| days.saturating_mul(DAY_SECONDS).max(LATE_SECONDS));
    let by_age = wait.map(|wait| day_of(next.key.ends().plus_seconds(wait)));
    let today = day_of(now);
    let (on, reason) = match (due, by_age) {
        (Some(_), Some(day)) if day <= today => (Some(today), Reason::Age),
        (Some(_), _) => (Some(today), Reason::Size),
        (None, Some(day)) => (Some(day.max(today)), Reason::Age),
        (None, None) => (None, Reason::Size),
    };
    let partition = next.key.to_string();
    Some(NextMove { partition, bytes: next.bytes, on: on.map(day_name), reason })
}

/// Partitions with their indices, oldest first, by the class whose limits hold for them.
fn by_class<'a>(
    held: &'a [Held],
    policy: &RetentionPolicy,
) -> BTreeMap<ClassName, Vec<(usize, &'a Held)>> {
    let mut out: BTreeMap<ClassName, Vec<(usize, &Held)>> = BTreeMap::new();
    for (at, one) in held.iter().enumerate() {
        out.entry(policy.governs(one.key.class)).or_default().push((at, one));
    }
    for all in out.values_mut() {
        all.sort_by_key(|(_, one)| one.key);
    }
    out
}

/// How a class stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outlook {
    /// Name of the class; `default` for what no class picks.
    pub class: String,
    /// Partitions it has.
    pub partitions: usize,
    /// Bytes they take.
    pub bytes: u64,
    /// Days that have partitions.
    pub days: usize,
    /// The oldest day, when there is one.
    pub oldest: Option<String>,
    /// Bytes a day at present: the mean of up to seven whole days before today; `None` before there are any.
    pub bytes_a_day: Option<u64>,
    /// Days the configuration keeps it.
    pub keep_days: Option<i64>,
    /// Bytes the configuration lets it take.
    pub keep_bytes: Option<u64>,
    /// Days it lasts at the present rate, by whichever limit comes first.
    pub lasts_days: Option<i64>,
    /// The limit that comes first.
    pub limited_by: Option<Reason>,
    /// What goes next.
    pub next: Option<Next>,
}

/// The partition that goes next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Next {
    /// Its name.
    pub partition: String,
    /// Bytes it takes.
    pub bytes: u64,
    /// The day on which it goes, at the present rate.
    pub on: String,
    /// Why.
    pub reason: Reason,
}

/// How each class stands and what of it goes next, the default class first.
#[must_use]
pub fn outlook(held: &[Held], policy: &RetentionPolicy, now: Timestamp) -> Vec<Outlook> {
    let mut all = by_class(held, policy);
    let mut names = vec![ClassName::DEFAULT];
    names.extend(policy.classes.iter().map(|class| class.name));
    let mut one = |class| {
        let held = all.remove(&class).unwrap_or_default();
        let held: Vec<Held> = held.into_iter().map(|(_, one)| *one).collect();
        of_class(class, &held, policy.limits(class), now)
    };
    names.into_iter().map(&mut one).collect()
}

fn of_class(class: ClassName, held: &[Held], limits: Limits, now: Timestamp) -> Outlook {
    let bytes = held.iter().fold(0_u64, |sum, one| sum.saturating_add(one.bytes));
    let mut days: Vec<i64> = held.iter().map(|one| one.key.day).collect();
    days.dedup();
    let rate = rate(held, day_of(now));
    let keep_days = limits
        .older_than
        .map(|oldest| now.micros_since(oldest).div_euclid(1_000_000) / DAY_SECONDS);
    let by_size = limits.max_bytes.zip(rate).map(|(most, rate)| days_in(most, rate));
    let lasts = match (keep_days, by_size) {
        (Some(age), Some(size)) if size < age => Some((size, Reason::Size)),
        (Some(age), _) => Some((age, Reason::Age)),
        (None, size) => size.map(|size| (size, Reason::Size)),
    };
    Outlook {
        class: class.shown().to_owned(),
        partitions: held.len(),
        bytes,
        days: days.len(),
        oldest: held.first().map(|one| day_name(one.key.day)),
        bytes_a_day: rate,
        keep_days,
        keep_bytes: limits.max_bytes,
        lasts_days: lasts.map(|(days, _)| days),
        limited_by: lasts.map(|(_, reason)| reason),
        next: next(held, (bytes, rate), (keep_days, limits.max_bytes), day_of(now)),
    }
}

/// Bytes a day over the whole days before today.
fn rate(held: &[Held], today: i64) -> Option<u64> {
    let from = today.saturating_sub(RATE_DAYS);
    let recent =
        held.iter().filter(|one| one.key.span == Span::Day && (from..today).contains(&one.key.day));
    let (mut first, mut bytes) = (None, 0_u64);
    for one in recent {
        first = first.or(Some(one.key.day));
        bytes = bytes.saturating_add(one.bytes);
    }
    let days = u64::try_from(today.saturating_sub(first?)).unwrap_or(1).max(1);
    Some(bytes / days)
}

/// Whole days in which so many bytes come.
fn days_in(bytes: u64, rate: u64) -> i64 {
    i64::try_from(bytes.checked_div(rate).unwrap_or(u64::MAX)).unwrap_or(FAR).min(FAR)
}

fn next(
    held: &[Held],
    (bytes, rate): (u64, Option<u64>),
    (keep_days, keep_bytes): (Option<i64>, Option<u64>),
    today: i64,
) -> Option<Next> {
    let oldest = held.first()?;
    let by_age = keep_days.map(|days| oldest.key.day.saturating_add(1).saturating_add(days));
    let by_size = keep_bytes.filter(|_| held.len() > 1).and_then(|most| {
        let left = most.saturating_sub(bytes);
        let wait = if bytes > most { 0 } else { days_in(left, rate?) };
        Some(today.saturating_add(wait)).filter(|_| wait < FAR)
    });
    let (day, reason) = match (by_age, by_size) {
        (Some(age), Some(size)) if size < age => (size, Reason::Size),
        (Some(age), _) => (age, Reason::Age),
        (None, size) => (size?, Reason::Size),
    };
    Some(Next {
        partition: oldest.key.to_string(),
        bytes: oldest.bytes,
        on: day_name(day.max(today)),
        reason,
    })
}

fn day_of(time: Timestamp) -> i64 {
    time.seconds().div_euclid(DAY_SECONDS)
}

fn day_name(day: i64) -> String {
    Timestamp::from_micros(day.saturating_mul(DAY_SECONDS).saturating_mul(1_000_000)).day()
}

/// The partitions below a folder, oldest first, by their names alone: also while a collector has them open.
///
/// # Errors
/// [`StoreError::Io`]. A folder that is not there has none.
pub fn held(folder: &Path) -> Result<Vec<Held>, StoreError> {
    let failed = |source| StoreError::io("list", folder, source);
    let items = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        items => items.map_err(failed)?,
    };
    let mut out = Vec::new();
    for item in items {
        let item = item.map_err(failed)?;
        let Some(key) = item.file_name().to_str().and_then(PartitionKey::parse) else { continue };
        let files = std::fs::read_dir(item.path()).into_iter().flatten();
        let sizes = files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len()));
        out.push(Held { key, bytes: sizes.fold(0, u64::saturating_add) });
    }
    out.sort_by_key(|one| one.key);
    Ok(out)
}

impl Outlook {
    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
        let rate = self
            .bytes_a_day
            .map_or_else(|| "rate not known yet".to_owned(), |rate| format!("{} a day", mib(rate)));
        let lasts = match (self.lasts_days, self.limited_by) {
            (Some(days), Some(reason)) => format!("lasts {days} days (by {})", reason.as_str()),
            _ => "is kept for ever".to_owned(),
        };
        let next = self.next.as_ref().map_or_else(String::new, |next| {
            let Next { partition, bytes, on, reason } = next;
            format!("; next to go: {partition} ({}) on {on} by {}", mib(*bytes), reason.as_str())
        });
        format!(
            "{}: {} in {} partitions of {} days, {rate}, {lasts}{next}",
            self.class,
            mib(self.bytes),
            self.partitions,
            self.days
        )
    }
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
