//! Queries whose value is text to be taken apart: `match` and its kin, and text in a language.

use event::FieldType;
use serde_json::Value;

use super::super::Wrong;
use super::super::read::{Keys, texts};
use super::{Reader, field, literal, word_list};
use crate::search::Node;
use crate::search::ast::{Expr, Scalar, Test};
use crate::search::parse::parse_lucene;
use crate::search::plan::{FieldRef, Leaf, plan};
use crate::search::wildcard::{Part, Wildcard};
use event::Timestamp;

/// `match`: any word, or with `operator` `and` every word; other types than text as a whole.
pub(super) fn matches(
    reader: &mut Reader,
    name: &str,
    (text, mut keys): (&str, Keys),
) -> Result<Node, Wrong> {
    let every = operator(&mut keys, "operator")?;
    keys.flag("lenient")?;
    keys.finish()?;
    one(reader, name, text, every)
}

/// One field of `match` or `multi_match`.
fn one(reader: &mut Reader, name: &str, text: &str, every: bool) -> Result<Node, Wrong> {
    if FieldRef::new(&field(name)).kind() != Some(FieldType::Text) {
        return reader.test(name, Test::Is(literal(text)));
    }
    let list = word_list(text);
    let tests = list.iter().map(|word| reader.test(name, Test::Is(literal(word))));
    Ok(joined(tests.collect::<Result<_, _>>()?, every))
}

/// Any or every part; nothing of none, as a text without words finds nothing.
fn joined(parts: Vec<Node>, every: bool) -> Node {
    match parts.len() {
        0 => Node::Nothing,
        _ if every => Node::And(parts),
        _ => Node::Or(parts),
    }
}

/// `match_phrase` and `match_phrase_prefix`.
pub(super) fn phrase(
    reader: &mut Reader,
    name: &str,
    field_: &str,
    (text, mut keys): (&str, Keys),
) -> Result<Node, Wrong> {
    if keys.number("slop")?.is_some_and(|slop| slop > 0) {
        return Err(Wrong::argument(format!("[{}] supports [slop] only as 0", keys.at())));
    }
    keys.number("max_expansions")?;
    keys.finish()?;
    if name == "match_phrase" {
        return one_phrase(reader, field_, text);
    }
    begun_phrase(reader, field_, text)
}

fn one_phrase(reader: &mut Reader, name: &str, text: &str) -> Result<Node, Wrong> {
    let is_text = FieldRef::new(&field(name)).kind() == Some(FieldType::Text);
    if is_text && word_list(text).is_empty() {
        return Ok(Node::Nothing);
    }
    reader.test(name, Test::Is(literal(text)))
}

/// Most words of a phrase whose last word is only begun.
const MAX_WORDS: usize = 64;

/// A phrase whose last word may be only the beginning of one.
fn begun_phrase(reader: &mut Reader, name: &str, text: &str) -> Result<Node, Wrong> {
    let is_text = FieldRef::new(&field(name)).kind() == Some(FieldType::Text);
    let begun = if is_text {
        match word_list(text).as_slice() {
            [] => return Ok(Node::Nothing),
            [word] => word.clone(),
            many => {
                reader.leaf()?;
                if many.len() > MAX_WORDS {
                    return Err(Wrong::argument("[match_phrase_prefix] has too many words"));
                }
                let leaf = Leaf::WordsBegun(FieldRef::new(&field(name)), many.to_vec());
                return Ok(Node::Leaf(leaf));
            }
        }
    } else {
        text.to_owned()
    };
    let parts = begun.chars().map(Part::Char).chain([Part::Many]).collect();
    let parts =
        Wildcard::new(parts).ok_or_else(|| Wrong::argument("[match_phrase_prefix] is too long"))?;
    reader.test(name, Test::Is(Scalar { parts, quoted: false }))
}

/// Whether every part must hold.
fn operator(keys: &mut Keys, key: &str) -> Result<bool, Wrong> {
    match keys.text(key)?.map(|text| text.to_ascii_lowercase()).as_deref() {
        None | Some("or") => Ok(false),
        Some("and") => Ok(true),
        Some(_) => Err(Wrong::parsing(format!("[{}.{key}] must be and or or", keys.at()))),
    }
}

/// `multi_match`: the same text in several fields; without fields, or in `*`, in any.
pub(super) fn multi_match(reader: &mut Reader, body: Value) -> Result<Node, Wrong> {
    let mut keys = Keys::of("multi_match", body)?;
    let text = keys.scalar("query")?;
    let text = keys.must("query", text)?;
    let fields = names(&mut keys, "fields")?;
    let every = operator(&mut keys, "operator")?;
    let how = keys.text("type")?.unwrap_or_default();
    keys.weight()?;
    keys.flag("lenient")?;
    keys.float("tie_breaker")?;
    keys.finish()?;
    let phrase = match how.as_str() {
        "" | "best_fields" | "most_fields" => false,
        "phrase" => true,
        other => {
            let other: String = other.chars().take(64).collect();
            let words = "supports [type] only as best_fields, most_fields or phrase";
            return Err(Wrong::argument(format!("[multi_match] {words}, not {other}")));
        }
    };
    if fields.is_empty() {
        if phrase {
            return reader.bare(literal(&text));
        }
        let list = word_list(&text);
        let tests = list.iter().map(|word| reader.bare(literal(word)));
        return Ok(joined(tests.collect::<Result<_, _>>()?, every));
    }
    let mut any = Vec::new();
    for name in fields {
        any.push(if phrase {
            one_phrase(reader, &name, &text)?
        } else {
            one(reader, &name, &text, every)?
        });
    }
    Ok(Node::Or(any))
}

/// Names of fields without their weights; none when all are meant.
fn names(keys: &mut Keys, key: &str) -> Result<Vec<String>, Wrong> {
    let Some(list) = keys.take(key) else { return Ok(Vec::new()) };
    let list = texts(key, list, false)?;
    let bare = |name: String| {
        name.split_once('^').map_or_else(|| name.clone(), |(name, _)| name.to_owned())
    };
    let list: Vec<String> = list.into_iter().map(bare).collect();
    if list.iter().any(|name| name == "*") {
        return Ok(Vec::new());
    }
    match list.iter().find(|name| name.contains('*')) {
        None => Ok(list),
        Some(name) => Err(Wrong::argument(format!("[{key}] supports names and *, not [{name}]"))),
    }
}

/// `query_string` and `simple_query_string`: text in our own language, which has what Lucene's has
/// but its operators without words (`~`, `^`). Of terms side by side one is enough unless
/// `default_operator` says otherwise.
pub(super) fn query_string(reader: &mut Reader, name: &str, body: Value) -> Result<Node, Wrong> {
    let mut keys = Keys::of(name, body)?;
    let text = keys.scalar("query")?;
    let text = keys.must("query", text)?;
    let mut fields = names(&mut keys, "fields")?;
    if let Some(one) = keys.text("default_field")?.filter(|one| one != "*") {
        fields.push(one);
    }
    let every = operator(&mut keys, "default_operator")?;
    keys.flag("analyze_wildcard")?;
    keys.flag("lenient")?;
    keys.only_flag("allow_leading_wildcard", true)?;
    keys.weight()?;
    keys.finish()?;
    reader.leaf()?;
    plain(&text, (&fields, every), reader.now)
}

/// Text in a query language; terms without a field are looked for in these, in any when none are named.
pub(super) fn plain(
    text: &str,
    (fields, every): (&[String], bool),
    now: Timestamp,
) -> Result<Node, Wrong> {
    let wrong = |error: &dyn std::fmt::Display| Wrong::parsing(format!("[query] {error}"));
    let expr = parse_lucene(text, !every).map_err(|error| wrong(&error))?;
    plan(&placed(expr, fields), now).map_err(|error| wrong(&error))
}

fn placed(expr: Expr, fields: &[String]) -> Expr {
    let all = |parts: Vec<Expr>| parts.into_iter().map(|part| placed(part, fields)).collect();
    match expr {
        Expr::And(parts) => Expr::And(all(parts)),
        Expr::Or(parts) => Expr::Or(all(parts)),
        Expr::Not(part) => Expr::Not(Box::new(placed(*part, fields))),
        Expr::Field { name, test, column } => Expr::Field { name: field(&name), test, column },
        Expr::Bare { term, column } if !fields.is_empty() => {
            let one = |name: &String| Expr::Field {
                name: field(name),
                test: Test::Is(term.clone()),
                column,
            };
            Expr::Or(fields.iter().map(one).collect())
        }
        Expr::BareRegex { pattern, column } if !fields.is_empty() => {
            let one = |name: &String| Expr::Field {
                name: field(name),
                test: Test::Regex(pattern.clone()),
                column,
            };
            Expr::Or(fields.iter().map(one).collect())
        }
        other => other,
    }
}
