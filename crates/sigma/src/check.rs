//! What the Sigma parser would pass over in silence, refused before it is asked.
//!
//! Looks at the YAML of one document: size, depth, and every part that would have no effect on the
//! evaluation. Meaning is not looked at here.

use serde_yaml_ng::Value;

use crate::RuleError;

/// Most bytes of one file of rules.
pub(crate) const MAX_BYTES: usize = 4 << 20;
/// Most values of one document, anchors resolved.
const MAX_NODES: usize = 200_000;
/// Deepest nesting of one document.
const MAX_DEPTH: usize = 32;

/// Splits a file at its document markers. A file with collection actions stays in one piece.
pub(crate) fn documents(text: &str) -> Vec<&str> {
    if text.lines().any(|line| line.starts_with("action:")) {
        return vec![text];
    }
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        let marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.chars().next().is_none_or(|next| next.is_whitespace()));
        if marker {
            parts.extend(text.get(start..at));
            start = at + 3;
        }
        at += line.len();
    }
    parts.extend(text.get(start..));
    parts.retain(|part| {
        part.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    });
    parts
}

/// The identity of a document that may not be sound, for reports.
pub(crate) fn identity(document: &Value) -> String {
    ["id", "name", "title"]
        .into_iter()
        .find_map(|key| document.get(key)?.as_str())
        .unwrap_or_default()
        .to_owned()
}

/// Reads the YAML documents of a text.
pub(crate) fn read(text: &str) -> Result<Vec<Value>, RuleError> {
    use serde::Deserialize;
    let mut documents = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        let value = Value::deserialize(document)
            .map_err(|error| RuleError::Yaml { reason: error.to_string() })?;
        let mut nodes = 0;
        measure(&value, 0, &mut nodes)?;
        documents.push(value);
    }
    Ok(documents)
}

fn measure(value: &Value, depth: usize, nodes: &mut usize) -> Result<(), RuleError> {
    *nodes += 1;
    if depth > MAX_DEPTH {
        return Err(RuleError::Yaml { reason: format!("deeper than {MAX_DEPTH} levels") });
    }
    if *nodes > MAX_NODES {
        return Err(RuleError::Yaml { reason: format!("more than {MAX_NODES} values") });
    }
    match value {
        Value::Sequence(items) => items.iter().try_for_each(|item| measure(item, depth + 1, nodes)),
        Value::Mapping(map) => map.iter().try_for_each(|(key, value)| {
            measure(key, depth + 1, nodes)?;
            measure(value, depth + 1, nodes)
        }),
        Value::Tagged(_) => Err(ignored("a YAML tag")),
        _ => Ok(()),
    }
}

fn ignored(part: impl Into<String>) -> RuleError {
    RuleError::Ignored { part: part.into() }
}

/// Refuses a document of which a part would be ignored.
pub(crate) fn check(document: &Value) -> Result<(), RuleError> {
    if let Some(source) = document.get("logsource") {
        keys(source, "logsource", &["category", "product", "service", "definition"])?;
        let map = source.as_mapping().into_iter().flatten();
        for (key, value) in map {
            if !value.is_string() && key.as_str() != Some("definition") {
                return Err(ignored(format!("logsource.{} that is no text", shown(key))));
            }
        }
    }
    if let Some(version) = document.get("sigma-version")
        && !matches!(version, Value::Number(number) if number.as_f64().is_some_and(|v| v < 3.0))
        && !version.as_str().is_some_and(|text| text.starts_with(['1', '2']))
    {
        return Err(ignored(format!("sigma-version {}", shown(version))));
    }
    let kinds = ["detection", "filter", "correlation"];
    if kinds.iter().filter(|kind| document.get(**kind).is_some()).count() > 1 {
        return Err(ignored("one of detection, filter and correlation"));
    }
    if let Some(detection) = document.get("detection") {
        section(detection, &["condition", "timeframe"])?;
    }
    if let Some(filter) = document.get("filter") {
        texts(filter.get("rules"), "filter.rules")?;
        section(filter, &["condition", "timeframe", "rules"])?;
    }
    document.get("correlation").map_or(Ok(()), correlation)
}

fn shown(value: &Value) -> String {
    serde_yaml_ng::to_string(value).unwrap_or_default().trim().chars().take(60).collect()
}

fn keys(value: &Value, place: &str, known: &[&str]) -> Result<(), RuleError> {
    for (key, _) in value.as_mapping().into_iter().flatten() {
        if !key.as_str().is_some_and(|key| known.contains(&key)) {
            return Err(ignored(format!("{place}.{}", shown(key))));
        }
    }
    Ok(())
}

fn texts(value: Option<&Value>, place: &str) -> Result<(), RuleError> {
    let sound = match value {
        None | Some(Value::String(_)) => true,
        Some(Value::Sequence(items)) => items.iter().all(Value::is_string),
        Some(_) => false,
    };
    if sound { Ok(()) } else { Err(ignored(format!("{place} that is no text"))) }
}

/// A detection or filter section: named detections beside its own keys.
fn section(value: &Value, own: &[&str]) -> Result<(), RuleError> {
    for (key, detection) in value.as_mapping().into_iter().flatten() {
        let name = key.as_str().ok_or_else(|| ignored(format!("key {}", shown(key))))?;
        if !own.contains(&name) {
            named(detection, name)?;
        }
    }
    Ok(())
}

fn named(value: &Value, name: &str) -> Result<(), RuleError> {
    match value {
        Value::Sequence(items) => {
            if items.is_empty() {
                return Err(ignored(format!("the empty list {name:?}")));
            }
            items.iter().try_for_each(|item| named(item, name))
        }
        Value::Mapping(map) => map.iter().try_for_each(|(key, value)| {
            let field = key
                .as_str()
                .ok_or_else(|| ignored(format!("the key {} of {name:?}", shown(key))))?;
            let scalar = |value: &Value| !value.is_mapping() && !value.is_sequence();
            let sound = match value {
                Value::Sequence(items) => items.iter().all(scalar),
                Value::Mapping(_) => false,
                _ => true,
            };
            if sound { Ok(()) } else { Err(ignored(format!("the nested value of {field:?}"))) }
        }),
        _ => Ok(()),
    }
}

fn correlation(value: &Value) -> Result<(), RuleError> {
    keys(
        value,
        "correlation",
        &["type", "rules", "group-by", "timespan", "timeframe", "condition", "aliases", "generate"],
    )?;
    texts(value.get("rules"), "correlation.rules")?;
    texts(value.get("group-by"), "correlation.group-by")?;
    if let Some(condition) = value.get("condition").filter(|condition| condition.is_mapping()) {
        let orders = ["lt", "lte", "gt", "gte", "eq", "neq"];
        let known = [&orders[..], &["field", "percentile"]].concat();
        keys(condition, "correlation.condition", &known)?;
        texts(condition.get("field"), "correlation.condition.field")?;
        for order in orders.into_iter().chain(["percentile"]) {
            if condition.get(order).is_some_and(|limit| limit.as_u64().is_none()) {
                return Err(ignored(format!("{order} that is no natural number")));
            }
        }
    }
    for (alias, names) in value.get("aliases").and_then(Value::as_mapping).into_iter().flatten() {
        let sound = alias.is_string()
            && names.as_mapping().is_some_and(|map| {
                map.iter().all(|(rule, field)| rule.is_string() && field.is_string())
            });
        if !sound {
            return Err(ignored(format!("the alias {}", shown(alias))));
        }
    }
    Ok(())
}
