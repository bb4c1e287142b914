//! What could stand at the place where somebody types: fields, values, operators, stages, functions.
//!
//! Looks at the text before the place alone, which need not be a whole query. Names and values come
//! from whoever asks.

use std::collections::BTreeMap;

use event::Timestamp;
use serde::Serialize;

use super::parse::MAX_QUERY;
use super::parse::stages::{FUNCTIONS, STAGES};
use super::pipe::check::Shape;
use super::pipe::{self};
use super::value::field;
use super::{FieldSeen, ValueSeen};

/// Most suggestions.
pub const MAX_ITEMS: usize = 20;

/// What a suggestion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A field.
    Field,
    /// A value of a field.
    Value,
    /// A word between terms.
    Operator,
    /// A stage behind `|`.
    Stage,
    /// A function of `stats` and `timechart`.
    Function,
    /// A column of the table so far.
    Column,
}

/// One suggestion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What to write.
    pub text: String,
    /// What it is.
    pub kind: Kind,
    /// What it holds or how it is written.
    pub detail: String,
    /// Events that have it, about, where that is known.
    pub events: Option<u64>,
}

/// Suggestions for a place in a text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Completion {
    /// First character that a suggestion replaces, from 0.
    pub from: usize,
    /// The place, from 0: the character behind the replaced ones.
    pub to: usize,
    /// The likeliest first.
    pub items: Vec<Item>,
}

/// Where values of a field come from: its name, the beginning of the value, how many.
pub type Values<'a> = &'a dyn Fn(&str, &str, usize) -> Vec<ValueSeen>;

/// Suggests what could stand at `place`, in characters from 0.
#[must_use]
pub fn complete(text: &str, place: usize, seen: &[FieldSeen], values: Values<'_>) -> Completion {
    if text.len() > MAX_QUERY {
        return Completion::default();
    }
    let before: Vec<char> = text.chars().take(place).collect();
    let pipe = last_pipe(&before);
    let items = match pipe {
        None => in_query(&before, seen, values),
        Some(at) => in_stage(&before, at, seen),
    };
    let (word, mut items) = items;
    items.truncate(MAX_ITEMS);
    Completion { from: before.len().saturating_sub(word), to: before.len(), items }
}

/// The place of the last `|` that begins a stage.
fn last_pipe(before: &[char]) -> Option<usize> {
    let (mut found, mut quoted, mut at) = (None, false, 0_usize);
    while let Some(c) = before.get(at) {
        match c {
            '\\' => at = at.saturating_add(1),
            '"' => quoted = !quoted,
            '|' if !quoted && before.get(at.saturating_add(1)) == Some(&'|') => {
                at = at.saturating_add(1);
            }
            '|' if !quoted => found = Some(at),
            _ => {}
        }
        at = at.saturating_add(1);
    }
    found
}

/// The end of `before` that `belongs` says belongs together.
fn tail(before: &[char], belongs: impl Fn(char) -> bool) -> String {
    let length = before.iter().rev().take_while(|c| belongs(**c)).count();
    before.get(before.len().saturating_sub(length)..).unwrap_or(&[]).iter().collect()
}

type Found = (usize, Vec<Item>);

fn in_query(before: &[char], seen: &[FieldSeen], values: Values<'_>) -> Found {
    let word = tail(before, |c| !c.is_whitespace() && !matches!(c, '(' | ')' | ','));
    let word = word.trim_start_matches(['-', '!']);
    let named = word.split_once(':').filter(|(name, _)| !name.contains('"'));
    if let Some((name, begun)) = named.filter(|(name, _)| !name.is_empty()) {
        let prefix = begun.strip_prefix('"').unwrap_or(begun);
        return (begun.chars().count(), of_field(name, prefix, values));
    }
    if let Some(name) = listed(before) {
        let prefix = word.strip_prefix('"').unwrap_or(word);
        return (word.chars().count(), of_field(&name, prefix, values));
    }
    let mut items = Vec::new();
    if !word.is_empty() && "ANDORNOTIN".contains(word) {
        for (operator, detail) in [
            ("AND", "both terms; the same as a blank"),
            ("OR", "either term"),
            ("NOT", "not the next term"),
            ("IN", "field IN (a, b)"),
        ] {
            if operator.starts_with(word) {
                let (text, detail) = (operator.to_owned(), detail.to_owned());
                items.push(Item { text, kind: Kind::Operator, detail, events: None });
            }
        }
    }
    items.extend(names(word, seen, ":"));
    (word.chars().count(), items)
}

/// The field whose list or group is open here: `field IN (a, ` or `field:(a OR `.
fn listed(before: &[char]) -> Option<String> {
    let open = before.iter().rposition(|c| matches!(c, '(' | ')'))?;
    (before.get(open) == Some(&'(')).then_some(())?;
    let head: String = before.get(..open)?.iter().collect();
    let head = head.trim_end();
    let name = head.strip_suffix(':').or_else(|| {
        let head = head.strip_suffix("IN")?.trim_end();
        Some(head.strip_suffix(" NOT").unwrap_or(head).trim_end())
    })?;
    let name = name.rsplit([' ', '\t', '\n', '(', '-', '!']).next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn of_field(name: &str, prefix: &str, values: Values<'_>) -> Vec<Item> {
    let plain = |value: &str| {
        let simple = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | ':' | '@');
        let word = ["AND", "OR", "NOT", "TO", "IN"].contains(&value);
        !value.is_empty() && !word && value.chars().all(simple) && !value.starts_with('-')
    };
    let item = |seen: ValueSeen| {
        let text = if plain(&seen.value) {
            seen.value
        } else {
            format!("\"{}\"", seen.value.replace('\\', "\\\\").replace('"', "\\\""))
        };
        Item { text, kind: Kind::Value, detail: String::new(), events: Some(seen.events) }
    };
    if field(name).is_some_and(|known| known.kind == event::FieldType::Bool) {
        let both = ["true", "false"].into_iter().filter(|value| value.starts_with(prefix));
        let seen = both.map(|value| ValueSeen { value: value.to_owned(), events: 0 });
        return seen.map(|seen| Item { events: None, ..item(seen) }).collect();
    }
    values(name, prefix, MAX_ITEMS).into_iter().map(item).collect()
}

/// Fields whose name begins with or holds `word`, those that begin and those of many events first.
fn names(word: &str, seen: &[FieldSeen], behind: &str) -> Vec<Item> {
    let lower = word.to_lowercase();
    let mut found: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
    for known in event::FIELDS {
        found.insert(known.name, (0, known.doc));
        if !known.alias.is_empty() {
            found.insert(known.alias, (0, known.doc));
        }
    }
    for one in seen {
        let doc = field(&one.name).map_or("", |known| known.doc);
        found.insert(&one.name, (one.events, doc));
    }
    let mut ranked: Vec<(bool, u64, &str, &str)> = found
        .into_iter()
        .filter(|(name, _)| name.to_lowercase().contains(&lower))
        .map(|(name, (events, doc))| (name.to_lowercase().starts_with(&lower), events, name, doc))
        .collect();
    ranked.sort_by(|a, b| (b.0, b.1).cmp(&(a.0, a.1)).then_with(|| a.2.cmp(b.2)));
    let item = |(_, events, name, doc): (bool, u64, &str, &str)| Item {
        text: format!("{name}{behind}"),
        kind: Kind::Field,
        detail: doc.to_owned(),
        events: (events > 0).then_some(events),
    };
    ranked.into_iter().take(MAX_ITEMS).map(item).collect()
}

fn in_stage(before: &[char], pipe: usize, seen: &[FieldSeen]) -> Found {
    let inside = before.get(pipe.saturating_add(1)..).unwrap_or(&[]);
    let inside: String = inside.iter().collect();
    let trimmed = inside.trim_start();
    let word =
        tail(before, |c| !c.is_whitespace() && !matches!(c, '(' | ')' | ',' | '|' | '-' | '+'));
    let length = word.chars().count();
    let listed = |list: &[(&str, &str)], kind, behind: &str| {
        let fits = |name: &str| name.starts_with(&word.to_lowercase());
        let found = list.iter().filter(|(name, _)| fits(name)).map(|(name, detail)| Item {
            text: format!("{name}{behind}"),
            kind,
            detail: (*detail).to_owned(),
            events: None,
        });
        found.collect::<Vec<_>>()
    };
    let Some((stage, rest)) = trimmed.split_once(char::is_whitespace) else {
        return (length, listed(STAGES, Kind::Stage, " "));
    };
    let stage = stage.to_ascii_lowercase();
    let open = rest.rfind('(').is_some_and(|open| rest.rfind(')').is_none_or(|close| close < open));
    let by = rest.split_whitespace().any(|part| part.eq_ignore_ascii_case("by"));
    if matches!(stage.as_str(), "stats" | "timechart") && !open && !by {
        let mut items = listed(FUNCTIONS, Kind::Function, "(");
        items.extend(listed(&[("by", "by field, field")], Kind::Operator, " "));
        return (length, items);
    }
    if stage == "head" {
        return (length, Vec::new());
    }
    (length, columns(before, pipe, &word).unwrap_or_else(|| names(&word, seen, "")))
}

/// Columns of the table that the stages before give, if they give one.
fn columns(before: &[char], pipe: usize, word: &str) -> Option<Vec<Item>> {
    let head: String = before.get(..pipe)?.iter().collect();
    let pipeline = pipe::compile(&head, Timestamp::EPOCH).ok()?;
    let Some(Shape::Table(columns)) = pipeline.shapes.last() else { return None };
    let fits = columns.iter().filter(|column| column.name.starts_with(word));
    let item = |column: &pipe::check::Column| Item {
        text: column.name.clone(),
        kind: Kind::Column,
        detail: String::new(),
        events: None,
    };
    Some(fits.map(item).collect())
}

#[cfg(test)]
#[path = "complete_tests.rs"]
mod tests;
