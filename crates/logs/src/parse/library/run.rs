//! One parser over one record: head, patterns, room, then maps and conditions.
//!
//! Nothing is written before it is sure that the record is the parser's: a pattern that fails leaves no trace.

use std::borrow::Cow;

use event::Object;
use serde_json::{Map, Value};

use super::Context;
use super::compile::Compiled;
use super::file::Room;
use super::map::{NoMatch, Out, Place, Target};
use super::raw::{MAX_PAIRS, Names, Pairs, Values, scalar};
use super::template::{Captures, Template};
use crate::parse::entry::{self, Entry};
use crate::parse::{cef, kv, separated};

/// What is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input<'a> {
    /// A text.
    Text(&'a str),
    /// The object that the entry holds.
    Object,
    /// Structured data: an object of objects of texts.
    Data(&'a Value),
}

/// Reads a record; the number of the pattern that fitted, when there are such. `None`: it is not this parser's.
pub(super) fn read(
    parser: &Compiled,
    input: Input<'_>,
    cx: Context<'_>,
    out: &mut Entry,
) -> Option<Option<usize>> {
    match input {
        Input::Text(text) => read_text(parser, text, cx, out),
        Input::Object => {
            finish(parser, Captured::default(), &Vec::new(), cx, out);
            Some(None)
        }
        Input::Data(data) if parser.room == Room::Data => {
            let (pairs, cut) = data_pairs(data);
            if !needed(parser, &pairs, out) {
                return None;
            }
            flag_cut(cut, out);
            finish(parser, Captured::default(), &pairs, cx, out);
            Some(None)
        }
        Input::Data(_) => None,
    }
}

/// What templates found in a text.
#[derive(Debug, Default)]
struct Captured<'p, 't> {
    /// Target and text.
    texts: Vec<(&'p Target, Cow<'t, str>)>,
    values: Vec<Out<'p>>,
    /// Constants of the pattern, those of the parser among them.
    set: Option<&'p Object>,
}

impl<'p, 't> Captured<'p, 't> {
    /// Takes captures over when all are of their types.
    fn take(
        &mut self,
        targets: &'p [Target],
        captures: &mut Captures<'t>,
        parser: &Compiled,
        cx: Context<'_>,
    ) -> Result<(), NoMatch> {
        let (texts, values) = (self.texts.len(), self.values.len());
        self.values.reserve(captures.len());
        if parser.reads_texts {
            self.texts.reserve(captures.len());
        }
        for (target, text) in captures.drain(..) {
            let Some(target) = targets.get(target) else { continue };
            let absent = parser.absent.iter().any(|absent| **absent == *text);
            match if absent { Ok(None) } else { target.value(&text, cx) } {
                Ok(value) => self.values.extend(value),
                Err(NoMatch) => {
                    self.texts.truncate(texts);
                    self.values.truncate(values);
                    return Err(NoMatch);
                }
            }
            if parser.reads_texts {
                self.texts.push((target, text));
            }
        }
        Ok(())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().find(|(target, _)| *target.name == *name).map(|(_, text)| &**text)
    }
}

fn read_text(
    parser: &Compiled,
    text: &str,
    cx: Context<'_>,
    out: &mut Entry,
) -> Option<Option<usize>> {
    let mut captured = Captured::default();
    // One for all that is tried: it is made when something is captured.
    let mut captures = Captures::new();
    let mut rest = text;
    if let Some(head) = &parser.head {
        let end = head.begins(text, &mut captures)?;
        captured.take(&head.targets, &mut captures, parser, cx).ok()?;
        rest = text.get(end..)?;
        if let Some((_, handed)) = handed(&captured) {
            let Cow::Borrowed(handed) = handed else { return None };
            rest = handed;
        }
    }
    let mut number = None;
    if !parser.patterns.is_empty() {
        let case = parser.switch.as_deref().map(|name| captured.text(name).unwrap_or_default());
        let candidates = parser.choice.of(case, rest);
        number = candidates.iter().copied().find(|number| {
            let Some(pattern) = parser.patterns.get(*number) else { return false };
            let fits = pattern.shape.matches(rest, &mut captures)
                && captured.take(pattern.shape.targets(), &mut captures, parser, cx).is_ok();
            if fits {
                captured.set = Some(&pattern.set);
            }
            fits
        });
        number?;
    }
    let pairs = if parser.room == Room::Text {
        Pairs::new()
    } else {
        let from = match handed(&captured) {
            Some((_, text)) => Some(text.clone()),
            None => parser.patterns.is_empty().then_some(Cow::Borrowed(rest)),
        };
        let (pairs, cut) = match from {
            None => (Pairs::new(), false),
            Some(Cow::Borrowed(text)) => room(parser, text, cx)?,
            Some(Cow::Owned(_)) => return None,
        };
        if !needed(parser, &pairs, out) {
            return None;
        }
        flag_cut(cut, out);
        pairs
    };
    finish(parser, captured, &pairs, cx, out);
    Some(number)
}

/// Whether raw fields are those of the parser.
fn needed(parser: &Compiled, pairs: &Pairs<'_>, out: &Entry) -> bool {
    if parser.needs.is_empty() {
        return true;
    }
    let mut names = Names::new(&parser.absent);
    for (name, text) in pairs {
        names.add(name, text);
    }
    let values = Values { names: &names, object: &out.fields };
    parser.needs.iter().all(|test| test.holds_for(values))
}

/// The last capture that is handed on.
fn handed<'c, 'p, 't>(captured: &'c Captured<'p, 't>) -> Option<&'c (&'p Target, Cow<'t, str>)> {
    captured.texts.iter().rev().find(|(target, _)| matches!(target.place, Place::Text))
}

/// Raw fields of a text, and whether some were left out; `None` when it is not of the room's form.
fn room<'a>(parser: &Compiled, text: &'a str, cx: Context<'_>) -> Option<(Pairs<'a>, bool)> {
    match parser.room {
        Room::Kv => kv::read(text, &parser.pairs.between, &parser.pairs.equals),
        Room::Cef => cef::read(text),
        Room::Leef => cef::read_leef(text),
        Room::Csv => separated::read(text, &parser.columns, cx.columns),
        Room::Text | Room::Json | Room::Data => None,
    }
}

fn flag_cut(cut: bool, out: &mut Entry) {
    if cut {
        out.flag("too_many_fields");
    }
}

/// Parameters of all elements of structured data.
fn data_pairs(data: &Value) -> (Pairs<'_>, bool) {
    let elements = data.as_object().into_iter().flatten();
    let parameters = elements.filter_map(|(_, element)| element.as_object()).flatten();
    let mut pairs: Pairs<'_> = parameters
        .filter_map(|(name, value)| Some((Cow::Borrowed(name.as_str()), scalar(value)?)))
        .take(MAX_PAIRS + 1)
        .collect();
    let cut = pairs.len() > MAX_PAIRS;
    pairs.truncate(MAX_PAIRS);
    (pairs, cut)
}

/// Writes everything: raw fields, constants, captures, then what maps and conditions make.
fn finish(
    parser: &Compiled,
    captured: Captured<'_, '_>,
    pairs: &Pairs<'_>,
    cx: Context<'_>,
    out: &mut Entry,
) {
    out.make_room();
    if let Some(keep) = &parser.keep
        && !pairs.is_empty()
    {
        out.put(keep, kept(pairs, parser));
    }
    for (name, value) in captured.set.unwrap_or(&parser.set) {
        out.merge(name, value);
    }
    for value in captured.values {
        value.put(out);
    }
    if parser.map.is_empty() && parser.parts.is_empty() && parser.when.is_empty() {
        return;
    }
    let mut names = Names::new(&parser.absent);
    for (target, text) in &captured.texts {
        names.add(&target.name, text);
    }
    for (name, text) in pairs {
        names.add(name, text);
    }
    let apply = |rules: &[super::map::Rule], out: &mut Entry| {
        let values = Values { names: &names, object: &out.fields };
        #[expect(
            clippy::needless_collect,
            reason = "all are made before one is put: they read what others replace"
        )]
        let made: Vec<_> = rules.iter().filter_map(|rule| rule.value(values, cx)).collect();
        made.into_iter().for_each(|value| value.put(out));
    };
    apply(&parser.map, out);
    for part in &parser.parts {
        let values = Values { names: &names, object: &out.fields };
        let Some(text) = part.names.iter().find_map(|name| values.text(name)) else { continue };
        let made = part.templates.iter().find_map(|template| apart(template, &text, parser, cx));
        made.into_iter().flatten().for_each(|value| value.put(out));
    }
    for when in &parser.when {
        let values = Values { names: &names, object: &out.fields };
        if when.tests.iter().all(|test| test.holds_for(values)) {
            for (path, value) in &when.set {
                out.put(path, value.clone());
            }
            apply(&when.map, out);
        }
    }
}

/// A field taken apart by a template; `None` when it has not that shape.
fn apart<'p>(
    template: &'p Template,
    text: &str,
    parser: &Compiled,
    cx: Context<'_>,
) -> Option<Vec<Out<'p>>> {
    let mut captures = Captures::new();
    if !template.matches(text, &mut captures) {
        return None;
    }
    let mut captured = Captured::default();
    captured.take(&template.targets, &mut captures, parser, cx).ok()?;
    Some(captured.values)
}

/// All raw fields as one object; names with dots would look like nested ones.
fn kept(pairs: &Pairs<'_>, parser: &Compiled) -> Value {
    let mut all = Map::with_capacity(pairs.len());
    for (name, text) in pairs {
        let absent = parser.absent.iter().any(|absent| **absent == **text);
        let visible = !absent && !name.is_empty() && !name.starts_with('@');
        if let Some(value) = entry::text(text).filter(|_| visible) {
            let name = if name.contains('.') { name.replace('.', "_") } else { name.to_string() };
            all.entry(name).or_insert(value);
        }
    }
    Value::Object(all)
}
