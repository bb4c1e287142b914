//! Remarks on a query that is right as it stands but hardly meant so: names that no event has, words
//! that look like operators.

use serde::{Deserialize, Serialize};

use super::ast::Expr;
use super::suggest::nearest;
use super::value::field;

/// Most remarks on one query.
const MAX_NOTES: usize = 8;

/// A remark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Where, in characters from 1.
    pub column: usize,
    /// In words.
    pub words: String,
}

/// Names outside the dictionary that a query tests, each once, with the column of the first.
fn unknown<'a>(expr: &'a Expr, out: &mut Vec<(&'a str, usize)>) {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| unknown(part, out)),
        Expr::Not(part) => unknown(part, out),
        Expr::Field { name, column, .. } => {
            if field(name).is_none() && !out.iter().any(|(other, _)| other == name) {
                out.push((name, *column));
            }
        }
        Expr::All | Expr::Bare { .. } | Expr::BareRegex { .. } => {}
    }
}

fn lookalikes(expr: &Expr, out: &mut Vec<Note>) {
    match expr {
        Expr::And(parts) => {
            for part in parts {
                let Expr::Bare { term, column } = part else {
                    lookalikes(part, out);
                    continue;
                };
                let word = term.literal().filter(|_| !term.quoted).unwrap_or_default();
                if ["and", "or", "not"].contains(&word.as_str()) {
                    let upper = word.to_uppercase();
                    let words =
                        format!("{word:?} is searched as a word; write {upper} to combine terms");
                    out.push(Note { column: *column, words });
                }
            }
        }
        Expr::Or(parts) => parts.iter().for_each(|part| lookalikes(part, out)),
        Expr::Not(part) => lookalikes(part, out),
        _ => {}
    }
}

/// Whether remarks need the names of the fields that events have.
#[must_use]
pub fn wants_names(expr: &Expr) -> bool {
    let mut names = Vec::new();
    unknown(expr, &mut names);
    !names.is_empty()
}

/// Remarks on a query, given the names of the fields that events have.
#[must_use]
pub fn notes(expr: &Expr, seen: &[&str]) -> Vec<Note> {
    let (mut out, mut names) = (Vec::new(), Vec::new());
    lookalikes(expr, &mut out);
    unknown(expr, &mut names);
    for (name, column) in names {
        let below =
            |other: &&str| other.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        if seen.contains(&name) {
            continue;
        }
        let known = event::FIELDS.iter().flat_map(|field| [field.name, field.alias]);
        let known = known.filter(|name| !name.is_empty());
        let near = nearest(name, known.chain(seen.iter().copied()), 2);
        let words = match (near.as_slice(), seen.iter().find(|other| below(other))) {
            (_, Some(inner)) => format!(
                "no event has a value at {name}; there are values below it, such as {inner}"
            ),
            ([], None) => format!("no event has a field {name}"),
            (near, None) => {
                format!("no event has a field {name}; did you mean {}", near.join(" or "))
            }
        };
        out.push(Note { column, words });
    }
    out.truncate(MAX_NOTES);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::parse;

    #[test]
    fn names_nobody_has_and_words_nobody_means() {
        let seen = ["own.name", "own.number", "other"];
        let check = |query: &str| {
            let notes = notes(&parse(query).unwrap(), &seen);
            notes
                .iter()
                .map(|note| format!("{query} {}: {}\n", note.column, note.words))
                .collect::<String>()
        };
        let queries = [
            "src.ip:10.0.0.1",
            "a OR NOT (ownname:x usr.name:y)",
            "own:x",
            "zzzzzz:1 zzzzzz:2",
            "a and b not c",
            "src_ip:10.0.0.1 other:1 a AND \"or\"",
        ];
        expect_test::expect![[r#"
            src.ip:10.0.0.1 1: no event has a field src.ip; did you mean src_ip
            a OR NOT (ownname:x usr.name:y) 11: no event has a field ownname; did you mean own.name
            a OR NOT (ownname:x usr.name:y) 21: no event has a field usr.name; did you mean user.name
            own:x 1: no event has a value at own; there are values below it, such as own.name
            zzzzzz:1 zzzzzz:2 1: no event has a field zzzzzz
            a and b not c 3: "and" is searched as a word; write AND to combine terms
            a and b not c 9: "not" is searched as a word; write NOT to combine terms
        "#]].assert_eq(&queries.map(check).concat());
        assert!(!wants_names(&parse("src_ip:10.0.0.1 a").unwrap()));
        assert!(wants_names(&parse("NOT (a OR x:1)").unwrap()));
    }
}
