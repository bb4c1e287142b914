//! Where values go and what they are made from: the notation of templates and of `[map]`.
//!
//! A target is `name[:type]...` in a template (`%{src_ip:ip}`, `%{src_ip|source.domain:host}`), a source is
//! `name[+name]...[:type]...` on the right side of a map. Names that begin with `@` are seen by maps and
//! conditions and are not kept; `@timestamp` is the time of the record, `@text` goes on to patterns or room.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::Context;
use super::convert::{self, Convert};
use super::raw::Values;
use super::template::Shape;
use crate::parse::entry::{self, Entry, Path};
use crate::parse::times;

/// Tables of a file by name.
pub(super) type Tables = BTreeMap<String, Arc<BTreeMap<String, Value>>>;

/// Most parts of a name between its dots.
const MAX_PARTS: usize = 16;

/// Where a value goes.
#[derive(Debug)]
pub(super) enum Place {
    /// Nowhere.
    Nowhere,
    /// The time of the record.
    Time,
    /// To patterns or room.
    Text,
    /// Into maps and conditions alone, by its name.
    Hidden,
    /// A field.
    Field(Path),
}

impl Place {
    fn named(name: &str) -> Self {
        match name {
            "_" | "*" => Self::Nowhere,
            "@timestamp" => Self::Time,
            "@text" => Self::Text,
            hidden if hidden.starts_with('@') => Self::Hidden,
            field => Self::Field(entry::path(field)),
        }
    }
}

/// A field of a template.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: Box<str>,
    pub(super) place: Place,
    pub(super) shape: Shape,
    steps: Vec<Convert>,
    /// Where the text goes when it is not of its type.
    other: Option<Path>,
    /// Whether a text that is not of its type is not matched at all.
    must: bool,
}

impl Target {
    /// Reads `name[|other][:shape][:type]...`.
    pub(super) fn new(spec: &str, tables: &Tables) -> Result<Self, String> {
        let mut parts = spec.split(':');
        let names = parts.next().unwrap_or_default();
        let (name, other) = names.split_once('|').map_or((names, None), |(a, b)| (a, Some(b)));
        if !is_name(name) || !other.is_none_or(is_name) {
            return Err(format!("{names:?} is no name of a field"));
        }
        let mut shape = (name == "*").then_some(Shape::Rest);
        let mut steps = Vec::new();
        for part in parts {
            match shape_named(part) {
                Some(found) if shape.is_none() => shape = Some(found),
                _ => {}
            }
            match part {
                "word" | "token" | "stamp" | "text" | "rest" | "quoted" | "blanks" | "number" => {}
                "host" => steps.push(Convert::Ip),
                name => steps.push(step(name, tables)?),
            }
        }
        let checks = |step: &Convert| {
            matches!(
                step,
                Convert::Ip | Convert::Integer | Convert::Port | Convert::Float | Convert::Time
            )
        };
        let must = other.is_none() && steps.first().is_some_and(checks);
        Ok(Self {
            name: name.into(),
            place: Place::named(name),
            shape: shape.unwrap_or(Shape::Word),
            steps,
            other: other.map(entry::path),
            must,
        })
    }

    /// Value of a captured text; `Err` when the text is not matched by it after all.
    pub(super) fn value<'t>(
        &'t self,
        text: &str,
        cx: Context<'_>,
    ) -> Result<Option<Out<'t>>, NoMatch> {
        let path = match &self.place {
            Place::Nowhere | Place::Text | Place::Hidden => return Ok(None),
            Place::Time => {
                let time = times::read(text, cx.zone, cx.now).ok_or(NoMatch)?;
                return Ok(Some(Out::Time(time)));
            }
            Place::Field(path) => path,
        };
        if self.steps.is_empty() {
            return Ok(entry::text(text).map(|value| Out::Field(path, value)));
        }
        match (convert::apply(&self.steps, Cow::Borrowed(text), cx), &self.other) {
            (Some(value), _) => Ok(Some(Out::Field(path, value))),
            (None, Some(other)) => Ok(entry::text(text).map(|value| Out::Field(other, value))),
            (None, None) if self.must => Err(NoMatch),
            (None, None) => Ok(None),
        }
    }
}

/// A text that has the shape of a pattern and not the types of its fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoMatch;

/// A value on its way.
#[derive(Debug)]
pub(super) enum Out<'t> {
    /// The time of the record.
    Time(event::Timestamp),
    /// A field.
    Field(&'t Path, Value),
}

impl Out<'_> {
    pub(super) fn put(self, entry: &mut Entry) {
        match self {
            Self::Time(time) => entry.time = time,
            Self::Field(path, value) => entry.put(path, value),
        }
    }
}

fn shape_named(name: &str) -> Option<Shape> {
    Some(match name {
        "word" | "host" => Shape::Word,
        "token" => Shape::Token,
        "text" | "time" => Shape::Text,
        "rest" => Shape::Rest,
        "ip" => Shape::Ip,
        "int" | "port" => Shape::Integer,
        "float" | "number" => Shape::Number,
        "quoted" => Shape::Quoted,
        "stamp" => Shape::Stamp,
        "blanks" => Shape::Blanks,
        _ => return None,
    })
}

fn step(name: &str, tables: &Tables) -> Result<Convert, String> {
    if let Some(table) = tables.get(name) {
        return Ok(Convert::Table(Arc::clone(table)));
    }
    Convert::named(name).ok_or_else(|| {
        let known: Vec<&str> = convert::names().collect();
        format!("{name:?} is no table and no type; types are {}", known.join(", "))
    })
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    matches!(name, "_" | "*")
        || (!name.is_empty()
            && name.split('.').count() <= MAX_PARTS
            && name.split('.').all(|part| !part.is_empty())
            && name.strip_prefix('@').unwrap_or(name).bytes().all(plain))
}

/// A field and what it is made from.
#[derive(Debug)]
pub(super) struct Rule {
    place: Place,
    /// The first that gives a value counts.
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    /// For each part, the names it may have.
    parts: Vec<Vec<Box<str>>>,
    steps: Vec<Convert>,
}

impl Rule {
    pub(super) fn value(&self, values: Values<'_, '_>, cx: Context<'_>) -> Option<Out<'_>> {
        self.sources.iter().find_map(|source| match &self.place {
            Place::Time => {
                let text = source.text(values)?;
                times::read(&text, cx.zone, cx.now).map(Out::Time)
            }
            Place::Field(path) => Some(Out::Field(path, source.value(values, cx)?)),
            Place::Nowhere | Place::Text | Place::Hidden => None,
        })
    }
}

impl Source {
    fn text<'v>(&self, values: Values<'v, '_>) -> Option<Cow<'v, str>> {
        let mut found =
            self.parts.iter().filter_map(|names| names.iter().find_map(|name| values.text(name)));
        let first = found.next()?;
        if self.parts.len() == 1 {
            return Some(first);
        }
        Some(Cow::Owned(found.fold(first.into_owned(), |all, part| format!("{all} {part}"))))
    }

    fn value(&self, values: Values<'_, '_>, cx: Context<'_>) -> Option<Value> {
        if self.steps.is_empty()
            && let [names] = self.parts.as_slice()
        {
            return names.iter().find_map(|name| values.value(name));
        }
        convert::apply(&self.steps, self.text(values)?, cx)
    }
}

/// Reads a `[map]` table, in which dotted keys are nested tables.
pub(super) fn rules(
    table: &Map<String, Value>,
    under: &[String],
    tables: &Tables,
) -> Result<Vec<Rule>, Vec<(String, String)>> {
    let (mut rules, mut errors) = (Vec::new(), Vec::new());
    for (name, value) in leaves(table) {
        let specs: Option<Vec<&str>> = match value {
            Value::String(spec) => Some(vec![spec]),
            Value::Array(specs) => specs.iter().map(Value::as_str).collect(),
            _ => None,
        };
        let sources = match specs {
            None => Err("is neither a text nor a list of texts".to_owned()),
            Some(specs) => specs.into_iter().map(|spec| source(spec, under, tables)).collect(),
        };
        match sources {
            Ok(sources) if is_name(&name) => {
                rules.push(Rule { place: Place::named(&name), sources });
            }
            Ok(_) => errors.push((name, "is no name of a field".to_owned())),
            Err(error) => errors.push((name, error)),
        }
    }
    if errors.is_empty() { Ok(rules) } else { Err(errors) }
}

fn source(spec: &str, under: &[String], tables: &Tables) -> Result<Source, String> {
    let mut parts = spec.split(':');
    let names = parts.next().unwrap_or_default();
    if names.split('+').any(|name| name.trim().is_empty()) {
        return Err(format!("{spec:?} names no field"));
    }
    let parts_of = names.split('+').map(|name| below(name.trim(), under)).collect();
    let steps = parts.map(|name| step(name, tables)).collect::<Result<_, _>>()?;
    Ok(Source { parts: parts_of, steps })
}

/// The names a raw field may have: below each of the prefixes.
pub(super) fn below(name: &str, under: &[String]) -> Vec<Box<str>> {
    if under.is_empty() || name.starts_with('@') {
        return vec![name.into()];
    }
    let join = |prefix: &String| {
        if prefix.is_empty() { name.into() } else { format!("{prefix}.{name}").into() }
    };
    under.iter().map(join).collect()
}

/// Constant fields, in which dotted keys are nested tables.
pub(super) fn constants(table: &Map<String, Value>) -> Vec<(Path, Value)> {
    leaves(table).into_iter().map(|(name, value)| (entry::path(&name), value.clone())).collect()
}

/// Dotted names and values that are no tables.
pub(super) fn leaves(table: &Map<String, Value>) -> Vec<(String, &Value)> {
    let mut out = Vec::new();
    for (name, value) in table {
        match value {
            Value::Object(inner) => {
                let below = leaves(inner).into_iter();
                out.extend(below.map(|(rest, value)| (format!("{name}.{rest}"), value)));
            }
            value => out.push((name.clone(), value)),
        }
    }
    out
}
