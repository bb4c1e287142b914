//! Conditions on fields as data: what an exception made from an alert says, without Sigma's syntax in between.
//!
//! A [`Condition`] is a field, a way to compare and literal values; [`Conditions`] holds many named lists of
//! them, compiled by the engine that evaluates rules, and tells which lists hold for an event. Which rule a
//! list is about, until when and why is the caller's. Values come from events, so from outside: they are taken
//! literally, and their number and size are bounded.

use serde::{Deserialize, Serialize};
use serde_yaml_ng::{Mapping, Value};

use crate::{
    RuleError, evaluate::Scratch, exception, load::Options, load::RuleSet, record::Record,
};

/// Most conditions of one list.
const MAX_CONDITIONS: usize = 32;
/// Most values of one condition.
const MAX_VALUES: usize = 64;
/// Longest name of a field, bytes.
const MAX_FIELD: usize = 256;
/// Longest value, bytes.
const MAX_VALUE: usize = 8 << 10;

/// How a field's value is compared; letters of both cases are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// It is one of the values.
    #[default]
    Is,
    /// It contains one of them.
    Contains,
    /// It begins with one of them.
    StartsWith,
    /// It ends with one of them.
    EndsWith,
    /// It is an address in one of the networks.
    Cidr,
}

impl How {
    /// The modifier in Sigma's syntax; none for equality.
    const fn modifier(self) -> &'static str {
        match self {
            Self::Is => "",
            Self::Contains => "|contains",
            Self::StartsWith => "|startswith",
            Self::EndsWith => "|endswith",
            Self::Cidr => "|cidr",
        }
    }
}

/// What must hold of one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Field, by its EVE or ECS name or as the event has it.
    pub field: String,
    /// How it is compared.
    #[serde(default)]
    pub how: How,
    /// Values, literally; one of them must fit.
    pub values: Vec<String>,
}

fn wrong(what: String) -> RuleError {
    RuleError::Exception { what }
}

impl Condition {
    /// Whether it can be evaluated.
    ///
    /// # Errors
    /// [`RuleError::Exception`] that names the field and what is wrong.
    fn check(&self) -> Result<(), RuleError> {
        let field = &self.field;
        let odd = |c: char| c == '|' || c.is_control();
        if field.trim().is_empty() || field.len() > MAX_FIELD || field.contains(odd) {
            let shown: String = field.chars().take(40).collect();
            return Err(wrong(format!("{shown:?} is no name of a field")));
        }
        if self.values.is_empty() || self.values.len() > MAX_VALUES {
            return Err(wrong(format!("{field}: between 1 and {MAX_VALUES} values are wanted")));
        }
        if self.values.iter().any(|value| value.len() > MAX_VALUE) {
            return Err(wrong(format!("{field}: a value is longer than {MAX_VALUE} bytes")));
        }
        if self.how != How::Is && self.values.iter().any(String::is_empty) {
            return Err(wrong(format!("{field}: an empty value would fit everything")));
        }
        Ok(())
    }

    fn entry(&self) -> Mapping {
        let value = |text: &String| match self.how {
            How::Cidr => Value::String(text.clone()),
            _ => Value::String(literal(text)),
        };
        let mut map = Mapping::new();
        let values = self.values.iter().map(value).collect();
        map.insert(
            format!("{}{}", self.field, self.how.modifier()).into(),
            Value::Sequence(values),
        );
        map
    }
}

/// A text as Sigma writes one that means itself: wildcards and backslashes escaped.
fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The conditions in Sigma's detection syntax, as the file of an exception has them.
///
/// # Errors
/// [`RuleError::Exception`] when there is none or one of them is not whole.
fn detection(conditions: &[Condition]) -> Result<Value, RuleError> {
    if conditions.is_empty() {
        return Err(wrong("without a condition it would silence the whole rule".to_owned()));
    }
    if conditions.len() > MAX_CONDITIONS {
        return Err(wrong(format!("more than {MAX_CONDITIONS} conditions")));
    }
    let mut map = Mapping::new();
    let mut names = Vec::new();
    for (at, condition) in conditions.iter().enumerate() {
        condition.check()?;
        let name = format!("c{at}");
        map.insert(name.clone().into(), condition.entry().into());
        names.push(name);
    }
    map.insert("condition".into(), names.join(" and ").into());
    Ok(map.into())
}

/// The conditions as a text in Sigma's detection syntax, to be put into a file (rules/FORMAT.md).
///
/// # Errors
/// [`RuleError::Exception`] when one of them is not whole.
pub fn detection_text(conditions: &[Condition]) -> Result<String, RuleError> {
    serde_yaml_ng::to_string(&detection(conditions)?)
        .map_err(|error| RuleError::Yaml { reason: error.to_string() })
}

/// Named lists of conditions, compiled. Belongs to one thread.
#[derive(Debug, Default)]
pub struct Conditions {
    rules: RuleSet,
    scratch: Scratch,
}

impl Conditions {
    /// Compiles lists, each with a name of its own. A list holds when all its conditions do.
    ///
    /// # Errors
    /// [`RuleError`] of the first one that is not whole, or whose name is there already.
    pub fn new<'a>(
        lists: impl Iterator<Item = (&'a str, &'a [Condition])>,
    ) -> Result<Self, RuleError> {
        let mut parsed = Vec::new();
        for (name, conditions) in lists {
            let rule = exception::condition((name, name), (None, None), &detection(conditions)?)?;
            parsed.push((rule, name.to_owned()));
        }
        let (rules, report) = RuleSet::of_parsed(parsed, &Options::default());
        match report.rejected.into_iter().next() {
            Some(one) => Err(wrong(one.reason)),
            None => Ok(Self { rules, scratch: Scratch::new() }),
        }
    }

    /// Places of the lists that hold for an event, ascending, in the order they were given.
    pub fn holding(&mut self, record: &Record<'_>) -> Vec<usize> {
        if self.rules.is_empty() {
            return Vec::new();
        }
        let found = self.rules.evaluate_all(record, &mut self.scratch);
        found.iter().map(|index| index.0 as usize).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::tests::object;

    fn one(field: &str, how: How, values: &[&str]) -> Condition {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Condition { field: field.into(), how, values }
    }

    fn holds(conditions: &[Condition], event: serde_json::Value) -> bool {
        let event = object(event);
        let mut all = Conditions::new(std::iter::once(("x", conditions))).unwrap();
        !all.holding(&Record::new(&event)).is_empty()
    }

    #[test]
    fn each_way_to_compare() {
        for (how, value, fits, not) in [
            (How::Is, "Root", "root", "roots"),
            (How::Contains, "a*b", "xa*bx", "aXb"),
            (How::StartsWith, "C:\\W", "c:\\windows", "d:\\windows"),
            (How::EndsWith, "?.exe", "a?.exe", "ab.exe"),
            (How::Cidr, "10.0.0.0/8", "10.1.2.3", "11.1.2.3"),
            (How::Is, "22", "22", "222"),
        ] {
            let conditions = [one("f", how, &[value])];
            assert!(holds(&conditions, json!({"f": fits})), "{how:?} {value}");
            assert!(!holds(&conditions, json!({"f": not})), "{how:?} {value}");
            assert!(!holds(&conditions, json!({"g": fits})), "absent");
        }
        assert!(holds(&[one("dest_port", How::Is, &["22"])], json!({"dest_port": 22})), "a number");
        assert!(
            holds(&[one("src_ip", How::Is, &["10.0.0.1"])], json!({"source": {"ip": "10.0.0.1"}})),
            "by either name"
        );
    }

    #[test]
    fn all_conditions_must_hold_and_one_value_of_each() {
        let list = [one("f", How::Is, &["a", "b"]), one("f", How::Contains, &["b"])];
        assert!(holds(&list, json!({"f": "b"})));
        assert!(!holds(&list, json!({"f": "a"})));
    }

    #[test]
    fn lists_are_told_by_their_place() {
        let lists = ["x", "y", "z"].map(|value| [one("f", How::Contains, &[value])]);
        let named = lists.iter().enumerate().map(|(at, list)| (["0", "1", "2"][at], &list[..]));
        let mut all = Conditions::new(named).unwrap();
        let event = object(json!({"f": "z and x"}));
        assert_eq!(all.holding(&Record::new(&event)), [0, 2]);
        assert_eq!(Conditions::default().holding(&Record::new(&event)), [0_usize; 0]);
    }

    #[test]
    fn what_is_not_whole_is_refused_by_name() {
        let many = vec!["v"; MAX_VALUES + 1];
        let long = "v".repeat(MAX_VALUE + 1);
        for (list, words) in [
            (vec![], "would silence the whole rule"),
            (vec![one("f", How::Is, &["a"]); MAX_CONDITIONS + 1], "more than 32 conditions"),
            (vec![one("", How::Is, &["a"])], "\"\" is no name of a field"),
            (vec![one("f|re", How::Is, &["a"])], "\"f|re\" is no name of a field"),
            (vec![one("a\nb", How::Is, &["a"])], "is no name of a field"),
            (vec![one("f", How::Is, &[])], "f: between 1 and 64 values"),
            (vec![one("f", How::Is, &many)], "f: between 1 and 64 values"),
            (vec![one("f", How::Is, &[&long])], "f: a value is longer than"),
            (vec![one("f", How::EndsWith, &[""])], "f: an empty value would fit everything"),
            (vec![one("f", How::Cidr, &["10.0.0.0/99"])], "not a network"),
        ] {
            let refused = Conditions::new(std::iter::once(("x", &list[..]))).unwrap_err();
            assert!(refused.to_string().contains(words), "{refused}");
        }
        let list = [one("f", How::Is, &["a"])];
        let twice = Conditions::new([("x", &list[..]), ("x", &list[..])].into_iter()).unwrap_err();
        assert!(twice.to_string().contains("another rule has the identity"), "{twice}");
    }

    proptest! {
        #![proptest_config(crate::tests::cases(64))]

        /// Whatever an event holds, a condition made from it fits it, and no other value.
        #[test]
        fn values_mean_themselves(value in "[ab*?\\\\%'\": #-]{1,8}", other in "[ab*?\\\\]{1,8}") {
            let list = [one("f", How::Is, &[&value])];
            prop_assert!(holds(&list, json!({"f": &value})), "{value:?}");
            prop_assert_eq!(holds(&list, json!({"f": &other})), value.eq_ignore_ascii_case(&other));
            let inside = [one("f", How::Contains, &[&other])];
            prop_assert_eq!(holds(&inside, json!({"f": &value})), value.contains(&other));
        }
    }
}
