//! What people write who come from other search languages: recognised to be refused with the way it
//! is written here, so that it does not pass for words that nobody meant.

use super::{ParseError, Parser};
use crate::search::value::field;

/// Comparisons of other languages, longest first.
const OPERATORS: [&str; 6] = ["==", "!=", "=~", "!~", "=", "~"];

impl Parser {
    fn begins(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(n, c)| self.peek_at(n) == Some(c))
    }

    /// The comparison of another language that stands here alone or before its value.
    pub(super) fn foreign_operator(&self) -> Option<&'static str> {
        OPERATORS.into_iter().find(|operator| {
            self.begins(operator)
                && self.peek_at(operator.len()).is_none_or(|c| c.is_whitespace() || c == '"')
        })
    }

    /// Takes `_exists_:field` where Lucene's language is read.
    pub(super) fn lucene_exists(&mut self) -> Option<String> {
        const WORD: &str = "_exists_:";
        if !self.lucene || !self.begins(WORD) {
            return None;
        }
        let rest = self.rest().get(WORD.len()..)?;
        let stop = |c: &char| c.is_whitespace() || "()\"[]{}<>=*?:|".contains(*c);
        let length = rest.iter().position(stop).unwrap_or(rest.len());
        // A backslash takes the next character as it is.
        let name: String = rest.get(..length)?.iter().filter(|c| **c != '\\').collect();
        let ends = rest.get(length).is_none_or(|c| c.is_whitespace() || *c == ')');
        if name.is_empty() || !ends {
            return None;
        }
        self.step(WORD.len().saturating_add(length));
        Some(name)
    }

    /// Refuses `field=value`, `_exists_:field` and their like at this place.
    pub(super) fn refuse_foreign(&self) -> Result<(), ParseError> {
        if let Some(operator) = self.foreign_operator() {
            let what = format!("{operator} is no operator");
            return Err(self.wrong(what, written(operator, "field", "value")));
        }
        let stop = |c: &char| c.is_whitespace() || "()|\"".contains(*c);
        let word: String = self.rest().iter().take_while(|c| !stop(c)).collect();
        if let Some(name) =
            word.strip_prefix("_exists_:").or_else(|| word.strip_prefix("_missing_:"))
        {
            let not = if word.starts_with("_m") { "NOT " } else { "" };
            let what = "existence is written with a star".to_owned();
            return Err(self.wrong(what, format!("write {not}{name}:*")));
        }
        let Some(at) = word.find(['=', '!', '~']) else { return Ok(()) };
        let Some((name, rest)) = word.split_at_checked(at) else { return Ok(()) };
        let operator = OPERATORS.into_iter().find(|operator| rest.starts_with(operator));
        let Some(operator) = operator else { return Ok(()) };
        let value = rest.strip_prefix(operator).unwrap_or("");
        let quoted = value.is_empty() && self.peek_at(word.chars().count()) == Some('"');
        // Other text may well hold such characters: `id=1` is found as it is written.
        let tests = name.contains([':', '<', '>', '\\']);
        if name.is_empty() || tests || !(quoted || field(name).is_some()) {
            return Ok(());
        }
        let value = if quoted {
            "\"...\""
        } else if value.is_empty() {
            "value"
        } else {
            value
        };
        let column = self.column().saturating_add(name.chars().count());
        let hint = written(operator, name, value).into();
        Err(ParseError { column, what: format!("{operator} is no operator"), hint })
    }
}

fn written(operator: &str, name: &str, value: &str) -> String {
    match operator {
        "!=" => format!("write NOT {name}:{value}"),
        "=~" | "~" => format!("write {name}:/regular expression/, which must fit the whole value"),
        "!~" => format!("write NOT {name}:/regular expression/"),
        _ => format!("write {name}:{value}"),
    }
}
