//! From a YAML document to a [`Rule`].

use std::sync::Arc;

use event::{Severity, Technique};
use ipnet::IpNet;
use serde_yaml_ng::Value;

use super::keys::{self, Fault, Keys, wrong};
use super::{
    Baseline, Check, Condition, GroupKey, Measure, Model, Options, Rule, Source, Status, Step,
};
use crate::error::{Problem, RuleError};
use crate::filter::{Filter, NumberOp, Op, Scalar, Test, TextOp};

/// Longest rule file read, bytes.
const MAX_TEXT: usize = 1 << 20;
/// Deepest nesting of `not` and `any`.
const MAX_DEPTH: u8 = 8;
/// Defaults and ceilings of the memory of a rule.
const ENTITIES: (usize, usize) = (20_000, 10_000_000);
const MEMORY: (usize, usize) = (32 << 20, 4 << 30);
/// Most steps of a sequence, most conditions of a window, most group keys.
const MAX_PARTS: usize = 8;

/// Reads all documents of a source.
pub(super) fn source(
    source: &Source,
    options: &Options,
    rules: &mut Vec<Arc<Rule>>,
    errors: &mut Vec<RuleError>,
) {
    let mut reject = |file: String, (key, problem): Fault| {
        let key = if key.is_empty() { "rule".to_owned() } else { key };
        errors.push(RuleError { file, key, problem });
    };
    if source.text.len() > MAX_TEXT {
        let problem = Problem::Conflict { reason: "a rule file has at most 1 MiB" };
        reject(source.name.clone(), (String::new(), problem));
        return;
    }
    let documents = split(&source.text);
    for (number, document) in documents.iter().enumerate() {
        let file = match documents.len() {
            1 => source.name.clone(),
            _ => format!("{}#{}", source.name, number.saturating_add(1)),
        };
        match rule(document, options) {
            Ok(rule) if rules.iter().any(|known| known.id == rule.id) => {
                let problem = Problem::Conflict { reason: "another rule has this id" };
                reject(file, ("id".into(), problem));
            }
            Ok(rule) => rules.push(Arc::new(rule)),
            Err(fault) => reject(file, fault),
        }
    }
}

/// The documents of a text, without those that are only comments.
fn split(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line.trim_end() == "---" {
            documents.push(String::new());
        } else if let Some(last) = documents.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    let says = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    documents.retain(|document| document.lines().any(says));
    documents
}

fn rule(text: &str, options: &Options) -> Result<Rule, Fault> {
    let yaml =
        |error: serde_yaml_ng::Error| (String::new(), Problem::Yaml { reason: error.to_string() });
    let value: Value = serde_yaml_ng::from_str(text).map_err(yaml)?;
    let mut keys = Keys::of(&value, "")?;
    let select = filter(keys.need("select")?, "select", options, 0)?;
    let (group_by, entity) = grouping(&mut keys)?;
    let timespan = need(keys.period("timespan")?, "timespan")?;
    let check = check(&mut keys, options, timespan)?;
    let rule = Rule {
        title: need(keys.text("title")?, "title")?,
        id: id(&mut keys)?,
        status: status(&mut keys)?,
        level: level(&mut keys)?,
        description: keys.text("description")?.unwrap_or_default(),
        advice: keys.text("advice")?.unwrap_or_default(),
        falsepositives: keys.texts("falsepositives")?,
        modified: keys.text("modified")?.unwrap_or_default(),
        attack: attack(&mut keys)?,
        contributors: contributors(&mut keys, &check)?,
        refractory: keys.period("refractory")?.unwrap_or_else(|| timespan.max(600_000_000)),
        max_entities: capped(&mut keys, "max-entities", ENTITIES)?,
        memory_bytes: capped(&mut keys, "memory-bytes", MEMORY)?,
        text: text.to_owned(),
        select,
        group_by,
        entity,
        timespan,
        check,
    };
    keys.finish()?;
    Ok(rule)
}

fn need<T>(value: Option<T>, key: &str) -> Result<T, Fault> {
    value.ok_or_else(|| (key.to_owned(), Problem::Missing))
}

fn conflict<T>(key: &str, reason: &'static str) -> Result<T, Fault> {
    Err((key.to_owned(), Problem::Conflict { reason }))
}

fn id(keys: &mut Keys<'_>) -> Result<String, Fault> {
    let value = keys.need("id")?;
    let text = keys::text(value, "id")?.to_ascii_lowercase();
    let fits = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    if fits { Ok(text) } else { Err(wrong("id", value, "a UUID")) }
}

fn status(keys: &mut Keys<'_>) -> Result<Status, Fault> {
    let Some(value) = keys.get("status") else { return Ok(Status::default()) };
    match value.as_str() {
        Some("stable") => Ok(Status::Stable),
        Some("test") => Ok(Status::Test),
        Some("experimental") => Ok(Status::Experimental),
        _ => Err(wrong("status", value, "stable, test or experimental")),
    }
}

fn level(keys: &mut Keys<'_>) -> Result<Severity, Fault> {
    let value = keys.need("level")?;
    value
        .as_str()
        .and_then(Severity::from_name)
        .ok_or_else(|| wrong("level", value, "informational, low, medium, high or critical"))
}

fn attack(keys: &mut Keys<'_>) -> Result<Vec<Technique>, Fault> {
    let tags = keys.texts("tags")?;
    let technique = |tag: &String| {
        let name = tag.strip_prefix("attack.")?;
        let is_id = |mark: u8| {
            let mut bytes = name.bytes();
            bytes.next() == Some(mark) && bytes.next().is_some_and(|b| b.is_ascii_digit())
        };
        Some(Technique(if is_id(b't') { name.to_ascii_uppercase() } else { name.to_owned() }))
    };
    Ok(tags.iter().filter_map(technique).collect())
}

fn capped(
    keys: &mut Keys<'_>,
    key: &'static str,
    (default, most): (usize, usize),
) -> Result<usize, Fault> {
    match keys.whole(key)? {
        Some(value) if value > most => conflict(key, "above the most a rule may have"),
        given => Ok(given.unwrap_or(default)),
    }
}

fn name(text: &str) -> String {
    event::canonical(text).to_owned()
}

fn grouping(keys: &mut Keys<'_>) -> Result<(Vec<GroupKey>, usize), Fault> {
    let written = keys.texts("group-by")?;
    if written.len() > MAX_PARTS {
        return conflict("group-by", "at most 8 keys");
    }
    let mut group_by = Vec::new();
    for text in &written {
        group_by.push(match text.split_once('|') {
            None => GroupKey::Field(name(text)),
            Some((field, "registered-domain")) => GroupKey::RegisteredDomain(name(field)),
            Some((field, "net")) => GroupKey::Net(name(field)),
            Some(_) => return conflict("group-by", "knows |registered-domain and |net only"),
        });
    }
    let Some(entity) = keys.text("entity")? else { return Ok((group_by, 0)) };
    let wanted = name(&entity);
    match group_by.iter().position(|key| key.name() == wanted || key.field() == wanted) {
        Some(at) => Ok((group_by, at)),
        None => conflict("entity", "is not in group-by"),
    }
}

fn contributors(keys: &mut Keys<'_>, check: &Check) -> Result<Option<String>, Fault> {
    if let Some(field) = keys.text("contributors")? {
        return Ok(Some(name(&field)));
    }
    let of_measure = |measure: &Measure| match measure {
        Measure::Distinct(field) | Measure::Bits(field) => Some(field.clone()),
        Measure::Count | Measure::Sum(_) => None,
    };
    Ok(match check {
        Check::Window(conditions) => conditions.iter().find_map(|condition| match condition {
            Condition::Threshold { measure, .. } | Condition::Rate { measure, .. } => {
                of_measure(measure)
            }
            Condition::Ratio { .. } => None,
        }),
        Check::Baseline(baseline) => of_measure(&baseline.measure),
        Check::Sequence(_) | Check::New { .. } => None,
    })
}

fn check(keys: &mut Keys<'_>, options: &Options, timespan: i64) -> Result<Check, Fault> {
    let mut window = Vec::new();
    if let Some(value) = keys.get("threshold") {
        for (part, path) in parts(value, "threshold") {
            window.push(threshold(part, &path)?);
        }
    }
    if let Some(value) = keys.get("rate") {
        window.push(rate(value)?);
    }
    if let Some(value) = keys.get("ratio") {
        window.push(ratio(value, options)?);
    }
    let sequence = keys.get("sequence").map(|value| sequence(value, options)).transpose()?;
    let baseline = keys.get("baseline").map(|value| baseline(value, timespan)).transpose()?;
    let new = keys.get("new").map(new).transpose()?;
    let window = (!window.is_empty()).then_some(Check::Window(window));
    let mut found = [window, sequence, baseline, new].into_iter().flatten();
    match (found.next(), found.next()) {
        (Some(Check::Window(conditions)), None) if conditions.len() > MAX_PARTS => {
            conflict("threshold", "at most 8 conditions")
        }
        (Some(check), None) => Ok(check),
        (None, _) => conflict("", "needs threshold, ratio, rate, sequence, baseline or new"),
        (Some(_), Some(_)) => conflict(
            "",
            "threshold, ratio and rate go together; sequence, baseline and new stand alone",
        ),
    }
}

/// The items of a list with their paths, or the one value.
fn parts<'a>(value: &'a Value, path: &str) -> Vec<(&'a Value, String)> {
    match value {
        Value::Sequence(items) => {
            items.iter().enumerate().map(|(at, item)| (item, format!("{path}[{at}]"))).collect()
        }
        one => vec![(one, path.to_owned())],
    }
}

fn measure(keys: &mut Keys<'_>) -> Result<Measure, Fault> {
    let count = keys.get("count");
    if count.is_some_and(|value| value.as_str() != Some("events")) {
        return conflict(&keys.at("count"), "counts events: write `count: events`");
    }
    let mut found: Vec<Measure> = count.map(|_| Measure::Count).into_iter().collect();
    found.extend(keys.text("distinct")?.map(|field| Measure::Distinct(name(&field))));
    found.extend(keys.text("sum")?.map(|field| Measure::Sum(name(&field))));
    found.extend(keys.text("bits")?.map(|field| Measure::Bits(name(&field))));
    match found.len() {
        1 => found.pop().ok_or_else(|| (keys.at("count"), Problem::Missing)),
        _ => conflict(&keys.at("count"), "exactly one of count, distinct, sum, bits"),
    }
}

fn limit(keys: &mut Keys<'_>) -> Result<f64, Fault> {
    let found = keys.number("gte")?;
    let path = keys.at("gte");
    match need(found, &path)? {
        limit if limit > 0.0 => Ok(limit),
        _ => conflict(&path, "must be above 0"),
    }
}

fn threshold(value: &Value, path: &str) -> Result<Condition, Fault> {
    let mut keys = Keys::of(value, path)?;
    let condition = Condition::Threshold { measure: measure(&mut keys)?, gte: limit(&mut keys)? };
    keys.finish()?;
    Ok(condition)
}

fn rate(value: &Value) -> Result<Condition, Fault> {
    let mut keys = Keys::of(value, "rate")?;
    let measure = measure(&mut keys)?;
    let per = keys.period("per")?.unwrap_or(1_000_000);
    let condition = Condition::Rate { measure, per, gte: limit(&mut keys)? };
    keys.finish()?;
    Ok(condition)
}

fn ratio(value: &Value, options: &Options) -> Result<Condition, Fault> {
    let mut keys = Keys::of(value, "ratio")?;
    let of = filter(keys.need("of")?, "ratio.of", options, 0)?;
    let to = match keys.get("to") {
        Some(value) => filter(value, "ratio.to", options, 0)?,
        None => Filter::default(),
    };
    let gte = limit(&mut keys)?;
    if gte > 1.0 {
        return conflict("ratio.gte", "a share is at most 1");
    }
    let min = keys.number("min")?.unwrap_or(1.0);
    keys.finish()?;
    Ok(Condition::Ratio { of, to, gte, min })
}

fn sequence(value: &Value, options: &Options) -> Result<Check, Fault> {
    let items = parts(value, "sequence");
    if !(2..=MAX_PARTS).contains(&items.len()) {
        return conflict("sequence", "2 to 8 steps");
    }
    let mut steps = Vec::new();
    for (item, path) in items {
        let mut keys = Keys::of(item, &path)?;
        let filter = filter(keys.need("where")?, &keys.at("where"), options, 0)?;
        let count = keys.whole("count")?.unwrap_or(1);
        let Ok(count) = u32::try_from(count) else {
            return conflict(&keys.at("count"), "too many");
        };
        keys.finish()?;
        steps.push(Step { filter, count });
    }
    Ok(Check::Sequence(steps))
}

fn new(value: &Value) -> Result<Check, Fault> {
    let mut keys = Keys::of(value, "new")?;
    let field = need(keys.text("field")?, "new.field")?;
    let warmup = keys.period("warmup")?.unwrap_or(7 * 86_400_000_000);
    let max = keys.whole("max")?.unwrap_or(128);
    if max > 4_096 {
        return conflict("new.max", "at most 4096");
    }
    keys.finish()?;
    Ok(Check::New { field: name(&field), warmup, max })
}

fn baseline(value: &Value, timespan: i64) -> Result<Check, Fault> {
    let mut keys = Keys::of(value, "baseline")?;
    let season = keys.text("season")?;
    let written = keys.need("model")?;
    let model = match (written.as_str(), season.as_deref()) {
        (Some("ewma"), None) => Model::Ewma,
        (Some("quantile"), None) => Model::Quantile,
        (Some("seasonal"), Some("hour-of-day")) => Model::Seasonal { hours: 24 },
        (Some("seasonal"), Some("hour-of-week")) => Model::Seasonal { hours: 168 },
        (Some("seasonal"), _) => {
            return conflict("baseline.season", "hour-of-day or hour-of-week");
        }
        (Some("ewma" | "quantile"), Some(_)) => {
            return conflict("baseline.season", "belongs to the seasonal model");
        }
        _ => return Err(wrong("baseline.model", written, "ewma, seasonal or quantile")),
    };
    let measure = measure(&mut keys)?;
    let warmup = keys.period("warmup")?.unwrap_or_else(|| timespan.saturating_mul(48));
    let Ok(warmup) = u32::try_from((warmup / timespan).max(8)) else {
        return conflict("baseline.warmup", "too long for this timespan");
    };
    let min_scale = keys.number("min-scale")?.unwrap_or(1.0);
    let likelihood = keys.number("likelihood")?.unwrap_or(0.9999);
    if min_scale <= 0.0 {
        return conflict("baseline.min-scale", "must be above 0");
    }
    if !(0.5..1.0).contains(&likelihood) {
        return conflict("baseline.likelihood", "from 0.5 to below 1");
    }
    let direction = keys.text("direction")?;
    let (up, down) = match direction.as_deref() {
        None | Some("up") => (true, false),
        Some("down") => (false, true),
        Some("both") => (true, true),
        Some(_) => return conflict("baseline.direction", "up, down or both"),
    };
    keys.finish()?;
    Ok(Check::Baseline(Baseline { model, measure, warmup, min_scale, likelihood, up, down }))
}

/// Reads a filter; see the module `filter` for its meaning.
fn filter(value: &Value, path: &str, options: &Options, depth: u8) -> Result<Filter, Fault> {
    let Value::Mapping(map) = value else { return Err(wrong(path, value, "a mapping")) };
    if depth > MAX_DEPTH {
        return conflict(path, "nested too deep");
    }
    let mut tests = Vec::new();
    for (key, value) in map {
        let Some(key) = key.as_str() else { return Err(wrong(path, key, "a text as key")) };
        let path = format!("{path}.{key}");
        let inner = || {
            let deeper = depth.saturating_add(1);
            let read = |(v, at): (&Value, String)| filter(v, &at, options, deeper);
            parts(value, &path).into_iter().map(read).collect::<Result<Vec<_>, _>>()
        };
        tests.push(match key {
            "not" => Test::Not(inner()?),
            "any" => Test::Any(inner()?),
            _ => field_test(key, value, &path, options)?,
        });
    }
    Ok(Filter { tests })
}

fn field_test(key: &str, value: &Value, path: &str, options: &Options) -> Result<Test, Fault> {
    let (field, operator) = key.split_once('|').unwrap_or((key, ""));
    let lower = || -> Result<Vec<String>, Fault> {
        parts(value, path).into_iter().map(|(v, at)| needle(v, &at)).collect()
    };
    let flag = || value.as_bool().ok_or_else(|| wrong(path, value, "true or false"));
    let op = match operator {
        "" => Op::Equals(scalars(value, path)?),
        "contains" => Op::Text(TextOp::Contains, lower()?),
        "startswith" => Op::Text(TextOp::StartsWith, lower()?),
        "endswith" => Op::Text(TextOp::EndsWith, lower()?),
        "cidr" => Op::Cidr(nets(value, path)?),
        "gt" => Op::Number(NumberOp::Gt, keys::number(value, path)?),
        "gte" => Op::Number(NumberOp::Gte, keys::number(value, path)?),
        "lt" => Op::Number(NumberOp::Lt, keys::number(value, path)?),
        "lte" => Op::Number(NumberOp::Lte, keys::number(value, path)?),
        "exists" => Op::Exists(flag()?),
        "inside" => Op::Inside { nets: options.home.clone(), wanted: flag()? },
        _ => return Err((path.to_owned(), Problem::Unknown)),
    };
    Ok(Test::Field { name: name(field), op })
}

fn needle(value: &Value, path: &str) -> Result<String, Fault> {
    // As written: blanks count.
    match value.as_str() {
        Some("") => conflict(path, "an empty text is in everything"),
        Some(text) => Ok(text.to_ascii_lowercase()),
        None => Ok(keys::text(value, path)?.to_ascii_lowercase()),
    }
}

fn scalars(value: &Value, path: &str) -> Result<Vec<Scalar>, Fault> {
    let mut out = Vec::new();
    for (item, at) in parts(value, path) {
        let text = match item.as_str() {
            Some(text) => text.to_ascii_lowercase(),
            None => keys::text(item, &at)?,
        };
        out.push(Scalar { text, number: item.as_f64() });
    }
    if out.is_empty() { conflict(path, "an empty list never holds") } else { Ok(out) }
}

fn nets(value: &Value, path: &str) -> Result<Vec<IpNet>, Fault> {
    let mut out = Vec::new();
    for (item, at) in parts(value, path) {
        let text = keys::text(item, &at)?;
        let net =
            text.parse::<IpNet>().or_else(|_| text.parse().map(|ip: std::net::IpAddr| ip.into()));
        out.push(net.map_err(|_| wrong(&at, item, "a network such as 10.0.0.0/8"))?);
    }
    Ok(out)
}
