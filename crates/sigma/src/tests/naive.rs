//! A slow evaluator of its own beside the real one: it walks the generated rule, not the compiled one,
//! and compares characters one by one. Events hold what breaks engines: null, lists, empty texts.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{matched, sound};

/// One character of a pattern.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token {
    Char(char),
    One,
    Many,
}

#[derive(Clone, Debug)]
enum Wanted {
    Text(Vec<Token>),
    Number(i64),
    Null,
    Bool(bool),
}

#[derive(Clone, Debug)]
struct Item {
    field: &'static str,
    modifiers: &'static str,
    values: Vec<Wanted>,
}

#[derive(Clone, Debug)]
enum Condition {
    Name(usize),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

fn glob(pattern: &[Token], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, left) => left.is_none(),
        (Some((Token::Many, rest)), _) => (0..=text.len()).any(|skip| glob(rest, &text[skip..])),
        (Some((Token::One, rest)), Some((_, text))) => glob(rest, text),
        (Some((Token::Char(wanted), rest)), Some((found, text))) => {
            wanted == found && glob(rest, text)
        }
        (Some(_), None) => false,
    }
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Whether one value of the event is what one value of the rule asks for.
fn one(wanted: &Wanted, modifiers: &str, found: &Value) -> bool {
    let has = |name: &str| modifiers.split('|').any(|one| one == name);
    if has("gt") || has("lte") {
        let Wanted::Number(wanted) = wanted else { panic!("a number") };
        let order =
            |found: f64| if has("gt") { found > *wanted as f64 } else { found <= *wanted as f64 };
        return as_number(found).is_some_and(order);
    }
    let pattern = match wanted {
        Wanted::Null => return found.is_null(),
        Wanted::Number(wanted) if !has("contains") && !has("startswith") && !has("endswith") => {
            return as_number(found).is_some_and(|found| found == *wanted as f64);
        }
        Wanted::Number(wanted) => wanted.to_string().chars().map(Token::Char).collect(),
        Wanted::Bool(wanted) => wanted.to_string().chars().map(Token::Char).collect(),
        Wanted::Text(tokens) => tokens.clone(),
    };
    let mut pattern = pattern;
    if has("contains") || has("endswith") {
        pattern.insert(0, Token::Many);
    }
    if has("contains") || has("startswith") {
        pattern.push(Token::Many);
    }
    let fold = |char: char| if has("cased") { char } else { char.to_ascii_lowercase() };
    let pattern: Vec<Token> = pattern
        .into_iter()
        .map(|token| if let Token::Char(char) = token { Token::Char(fold(char)) } else { token })
        .collect();
    as_text(found).is_some_and(|text| glob(&pattern, &text.chars().map(fold).collect::<Vec<_>>()))
}

/// The values of a field: a list stands for its elements.
fn values(event: &Value, field: &str) -> Option<Vec<Value>> {
    let found = field.split('.').try_fold(event, |at, name| at.get(name))?;
    Some(match found {
        Value::Array(items) => items.clone(),
        other => vec![other.clone()],
    })
}

fn item(item: &Item, event: &Value) -> bool {
    let has = |name: &str| item.modifiers.split('|').any(|one| one == name);
    let found = values(event, item.field);
    if has("exists") {
        let [Wanted::Bool(wanted)] = item.values[..] else { panic!("one truth value") };
        return found.is_some() == wanted;
    }
    let exists = found.is_some();
    let found = found.unwrap_or_default();
    let holds = |wanted: &Wanted| match wanted {
        // Absent, or nothing but null; an empty list is there and holds nothing.
        Wanted::Null if found.is_empty() => !exists,
        Wanted::Null => found.iter().all(Value::is_null),
        _ => found.iter().any(|value| one(wanted, item.modifiers, value)),
    };
    if has("neq") {
        return found.iter().any(|value| as_text(value).is_some())
            && !item.values.iter().any(holds);
    }
    if has("all") { item.values.iter().all(holds) } else { item.values.iter().any(holds) }
}

fn condition(condition: &Condition, selections: &[Vec<Item>], event: &Value) -> bool {
    match condition {
        Condition::Name(at) => selections[*at].iter().all(|one| item(one, event)),
        Condition::Not(part) => !self::condition(part, selections, event),
        Condition::And(parts) => parts.iter().all(|part| self::condition(part, selections, event)),
        Condition::Or(parts) => parts.iter().any(|part| self::condition(part, selections, event)),
    }
}

/// As a rule author writes it: `not` before `and` before `or`, parentheses only where they are needed.
fn print_condition(condition: &Condition, strength: u8) -> String {
    let join = |parts: &[Condition], word: &str, own: u8| {
        let parts: Vec<String> = parts.iter().map(|part| print_condition(part, own + 1)).collect();
        (parts.join(word), own)
    };
    let (text, own) = match condition {
        Condition::Name(at) => (format!("sel{at}"), 9),
        Condition::Not(part) => (format!("not {}", print_condition(part, 3)), 2),
        Condition::And(parts) => join(parts, " and ", 1),
        Condition::Or(parts) => join(parts, " or ", 0),
    };
    if own < strength { format!("({text})") } else { text }
}

fn print(selections: &[Vec<Item>], wanted: &Condition) -> String {
    let mut out = "title: t\nid: t\ndetection:\n".to_owned();
    for (at, items) in selections.iter().enumerate() {
        out.push_str(&format!("  sel{at}:\n"));
        for item in items {
            let values: Vec<String> = item.values.iter().map(print_value).collect();
            out.push_str(&format!(
                "    {}{}: [{}]\n",
                item.field,
                item.modifiers,
                values.join(", ")
            ));
        }
    }
    out + &format!("  condition: {}\n", print_condition(wanted, 0))
}

fn print_value(value: &Wanted) -> String {
    match value {
        Wanted::Number(number) => number.to_string(),
        Wanted::Null => "null".to_owned(),
        Wanted::Bool(truth) => truth.to_string(),
        Wanted::Text(tokens) => {
            let text: String = tokens
                .iter()
                .map(|token| match token {
                    Token::Many => "*".to_owned(),
                    Token::One => "?".to_owned(),
                    Token::Char(char @ ('*' | '?')) => format!("\\{char}"),
                    Token::Char(char) => char.to_string(),
                })
                .collect();
            format!("'{text}'")
        }
    }
}

fn tokens() -> impl Strategy<Value = Vec<Token>> {
    let token = prop_oneof![
        6 => prop::sample::select(vec!['a', 'b', 'A', '1', '-', '*', '?']).prop_map(Token::Char),
        1 => Just(Token::One),
        1 => Just(Token::Many),
    ];
    prop::collection::vec(token, 0..4)
}

fn items() -> impl Strategy<Value = Item> {
    let field = || prop::sample::select(vec!["f", "g", "h.i"]);
    let text = || tokens().prop_map(Wanted::Text);
    let number = || (-2..12_i64).prop_map(Wanted::Number);
    let many = |value: BoxedStrategy<Wanted>| prop::collection::vec(value, 1..4);
    let any = prop_oneof![
        4 => text(), 2 => number(), 1 => Just(Wanted::Null), 1 => any::<bool>().prop_map(Wanted::Bool),
    ];
    let plain = many(any.boxed()).prop_map(|values| ("", values));
    let parts = prop::sample::select(vec![
        "|contains",
        "|startswith",
        "|endswith",
        "|contains|all",
        "|endswith|all",
        "|cased",
        "|contains|cased",
        "|all",
        "|neq",
        "|contains|neq",
    ]);
    let texts = (parts, many(prop_oneof![3 => text(), 1 => number()].boxed()));
    let orders = (prop::sample::select(vec!["|gt", "|lte"]), number());
    let kinds = prop_oneof![
        3 => plain,
        5 => texts,
        1 => orders.prop_map(|(order, number)| (order, vec![number])),
        1 => proptest::bool::ANY.prop_map(|truth| ("|exists", vec![Wanted::Bool(truth)])),
    ];
    (field(), kinds).prop_map(|(field, (modifiers, values))| Item { field, modifiers, values })
}

fn conditions() -> impl Strategy<Value = Condition> {
    (0..3_usize).prop_map(Condition::Name).prop_recursive(4, 12, 3, |inner| {
        let parts = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            inner.clone().prop_map(|part| Condition::Not(Box::new(part))),
            parts().prop_map(Condition::And),
            parts().prop_map(Condition::Or),
        ]
    })
}

fn events() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        5 => "[abAB1*?-]{0,4}".prop_map(Value::from),
        2 => (-2..12_i64).prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
    ];
    let value = prop_oneof![4 => scalar.clone(), 1 => prop::collection::vec(scalar, 0..3).prop_map(Value::from)];
    let field = || prop::option::of(value.clone());
    (field(), field(), field()).prop_map(|(f, g, i)| {
        let mut event = json!({});
        for (name, value) in [("f", f), ("g", g), ("h", i.map(|i| json!({ "i": i })))] {
            if let Some(value) = value {
                event[name] = value;
            }
        }
        event
    })
}

proptest! {
    #![proptest_config(super::cases(400))]

    #[test]
    fn the_compiled_rule_means_what_is_written(
        selections in prop::collection::vec(prop::collection::vec(items(), 1..3), 3),
        wanted in conditions(),
        event in prop::collection::vec(events(), 4),
    ) {
        // A key may stand once in a mapping.
        let mut selections = selections;
        for items in &mut selections {
            let mut seen = std::collections::HashSet::new();
            items.retain(|item| seen.insert((item.field, item.modifiers)));
        }
        let rule = print(&selections, &wanted);
        let set = sound(&rule);
        for event in event {
            let expected = condition(&wanted, &selections, &event);
            prop_assert_eq!(matched(&set, event.clone()).len() == 1, expected, "{}\n{}", rule, event);
        }
    }
}
