//! Holds a TOML document against a JSON schema and lists every difference.
//!
//! Understands the part of JSON Schema that `schemars` derives for configuration types: objects,
//! arrays, scalars, enumerations, `$ref`, `anyOf`/`oneOf`, `null` for optional values. What it does
//! not understand it leaves to the type's own deserialiser, which runs afterwards.

use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Problem, line_of};

/// Every difference between the document and the schema.
pub(super) fn check(schema: &schemars::Schema, text: &str, table: &DeTable<'_>) -> Vec<Problem> {
    let root = schema.as_value();
    let mut checker = Checker { root, text, problems: Vec::new() };
    checker.table(root, table, 0..0, "");
    checker.problems
}

struct Checker<'a> {
    root: &'a Value,
    text: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn report(&mut self, span: &Range<usize>, key: &str, message: String) {
        let line = line_of(self.text, span.start);
        self.problems.push(Problem { line, key: key.to_owned(), message });
    }

    /// Follows `$ref` to its definition.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let Some(name) = schema.get("$ref").and_then(Value::as_str) else { return schema };
        let pointer = name.strip_prefix('#').unwrap_or(name);
        self.root.pointer(pointer).unwrap_or(schema)
    }

    fn table(&mut self, schema: &'a Value, table: &DeTable<'_>, span: Range<usize>, at: &str) {
        let empty = serde_json::Map::new();
        let known = schema.get("properties").and_then(Value::as_object);
        let rest = schema.get("additionalProperties");
        let known_or_empty = known.unwrap_or(&empty);
        for (name, value) in table {
            let key = join(at, name.get_ref());
            match known.and_then(|known| known.get(name.get_ref().as_ref())) {
                Some(inner) => self.value(inner, value, &key),
                None => match rest {
                    Some(Value::Bool(false)) => {
                        let hint = nearest(name.get_ref(), known_or_empty.keys());
                        self.report(&name.span(), &key, format!("unknown key{hint}"));
                    }
                    Some(inner @ Value::Object(_)) => self.value(inner, value, &key),
                    _ => {}
                },
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !table.contains_key(name) {
                self.report(&span, &join(at, name), "is required and missing".to_owned());
            }
        }
    }

    fn value(&mut self, schema: &'a Value, value: &Spanned<DeValue<'_>>, at: &str) {
        let schema = self.resolve(schema);
        let choices = ["anyOf", "oneOf"].iter().find_map(|name| schema.get(*name));
        if let Some(choices) = choices.and_then(Value::as_array) {
            return self.choice(choices, value, at);
        }
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
            && let Some(text) = value.get_ref().as_str()
            && !allowed.iter().any(|one| one.as_str() == Some(text))
        {
            let names: Vec<_> = allowed.iter().filter_map(Value::as_str).collect();
            let message = format!("{text:?} is not one of {}", names.join(", "));
            return self.report(&value.span(), at, message);
        }
        if !fits(schema, value.get_ref()) {
            let message =
                format!("expected {}, found {}", expected(schema), value.get_ref().type_str());
            return self.report(&value.span(), at, message);
        }
        match value.get_ref() {
            DeValue::Table(table) => self.table(schema, table, value.span(), at),
            DeValue::Array(items) => {
                if let Some(inner) = schema.get("items") {
                    for (index, item) in items.iter().enumerate() {
                        self.value(inner, item, &format!("{at}[{index}]"));
                    }
                }
            }
            DeValue::Integer(_) | DeValue::Float(_) => self.bounds(schema, value, at),
            DeValue::String(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
        }
    }

    /// Takes the choice that fits best: none wrong, else the one of the same type.
    fn choice(&mut self, choices: &'a [Value], value: &Spanned<DeValue<'_>>, at: &str) {
        let names = names(choices);
        if let Some(text) = value.get_ref().as_str()
            && !names.is_empty()
            && !names.contains(&text)
            && !choices.iter().any(|choice| takes_any_text(self.resolve(choice)))
        {
            let message = format!("{text:?} is not one of {}", names.join(", "));
            return self.report(&value.span(), at, message);
        }
        let mut best: Option<Vec<Problem>> = None;
        for choice in choices {
            if choice.get("type").and_then(Value::as_str) == Some("null") {
                continue;
            }
            let mut inner = Checker { root: self.root, text: self.text, problems: Vec::new() };
            if let Some(constant) = choice.get("const").and_then(Value::as_str) {
                if value.get_ref().as_str() == Some(constant) {
                    return;
                }
                continue;
            }
            inner.value(choice, value, at);
            if best.as_ref().is_none_or(|best| inner.problems.len() < best.len()) {
                best = Some(inner.problems);
            }
        }
        match best {
            Some(problems) => self.problems.extend(problems),
            None => {
                let message = format!("is not one of {}", names.join(", "));
                self.report(&value.span(), at, message);
            }
        }
    }

    fn bounds(&mut self, schema: &Value, value: &Spanned<DeValue<'_>>, at: &str) {
        let number = match value.get_ref() {
            DeValue::Integer(number) => number.as_str().replace('_', "").parse::<f64>().ok(),
            DeValue::Float(number) => number.as_str().replace('_', "").parse::<f64>().ok(),
            _ => None,
        };
        let Some(number) = number else { return };
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        if let Some(least) = bound("minimum").filter(|least| number < *least) {
            self.report(&value.span(), at, format!("must be at least {least}"));
        }
        if let Some(most) = bound("maximum").filter(|most| number > *most) {
            self.report(&value.span(), at, format!("must be at most {most}"));
        }
    }
}

/// The words that choices name, whether one by one or in lists.
fn names(choices: &[Value]) -> Vec<&str> {
    let words = choices.iter().flat_map(|choice| {
        let listed = choice.get("enum").and_then(Value::as_array);
        choice.get("const").into_iter().chain(listed.into_iter().flatten())
    });
    words.filter_map(Value::as_str).collect()
}

/// Whether a schema takes texts that it does not name.
fn takes_any_text(schema: &Value) -> bool {
    let named = ["const", "enum"].iter().any(|name| schema.get(*name).is_some());
    let types = type_names(schema);
    !named && (types.is_empty() || types.contains(&"string"))
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

fn type_names(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn fits(schema: &Value, value: &DeValue<'_>) -> bool {
    let names = type_names(schema);
    names.is_empty()
        || names.iter().any(|name| match *name {
            "string" => matches!(value, DeValue::String(_) | DeValue::Datetime(_)),
            "integer" => matches!(value, DeValue::Integer(_)),
            "number" => matches!(value, DeValue::Integer(_) | DeValue::Float(_)),
            "boolean" => matches!(value, DeValue::Boolean(_)),
            "array" => matches!(value, DeValue::Array(_)),
            "object" => matches!(value, DeValue::Table(_)),
            _ => false,
        })
}

fn expected(schema: &Value) -> String {
    let names = type_names(schema).into_iter().filter(|name| *name != "null");
    names.map(|name| if name == "object" { "table" } else { name }).collect::<Vec<_>>().join(" or ")
}

/// `, did you mean "x"?` when a known name is close enough.
fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k String>) -> String {
    let best = known.map(|other| (distance(name, other), other)).min();
    match best {
        Some((distance, other)) if distance <= name.len().max(3) / 3 => {
            format!(", did you mean {other:?}?")
        }
        _ => String::new(),
    }
}

/// Levenshtein distance in bytes.
pub(super) fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, a) in left.bytes().enumerate() {
        let mut diagonal = index;
        let mut last = index + 1;
        let mut next = vec![last];
        for (b, above) in right.bytes().zip(row.iter().skip(1)) {
            let cost = diagonal + usize::from(a != b);
            diagonal = *above;
            last = cost.min(*above + 1).min(last + 1);
            next.push(last);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
