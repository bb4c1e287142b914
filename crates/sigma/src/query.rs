//! From rules to a query of the collector's search language that finds every event they can match.
//!
//! The query is a superset: it holds what an index of words can tell, whole words and beginnings of words
//! of the texts a rule asks for, and numbers and networks of known fields. What it finds is to be evaluated
//! again. Whatever it cannot tell (the inside of words, negations, other expressions) it leaves out, down to
//! `*` for everything. Knows the language, not the store.

use std::fmt::Write as _;

use event::FieldType;

use crate::{
    expression::{ANY_FIELD, Expression, Predicate},
    load::{Rule, RuleSet},
    pattern::{Pattern, Piece},
    test::{Order, Test, lower},
};

/// Most terms of a query; the language allows 512.
const MAX_TERMS: usize = 400;
/// Most bytes of a query; the language allows 16,384.
const MAX_BYTES: usize = 12_000;
/// Longest word that is indexed whole, characters.
const MAX_WORD: usize = 128;
/// Shortest beginning of a word that is asked for: shorter ones find almost everything.
const MIN_START: usize = 3;

/// What must hold of an event: a tree of terms of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Needed {
    Anything,
    Term(String),
    All(Vec<Self>),
    Any(Vec<Self>),
}

impl RuleSet {
    /// A query that finds every event one of the rules can match; `*` when it would have to be longer or
    /// deeper than the language allows.
    #[must_use]
    pub fn query(&self) -> String {
        let rules = self.rules.iter().map(|rule| self.of_rule(rule));
        let needed = any(rules.collect());
        let mut text = String::new();
        if needed.terms() <= MAX_TERMS && needed.depth() < 24 {
            needed.write(&mut text);
        }
        if text.is_empty() || text.len() > MAX_BYTES { "*".to_owned() } else { text }
    }

    fn of_rule(&self, rule: &Rule) -> Needed {
        // Records of Windows come in many shapes, and fields have other names in each.
        let named = rule.source.product.as_deref().is_some_and(|product| product != "windows");
        self.needed(&rule.expression, named)
    }

    fn needed(&self, expression: &Expression, named: bool) -> Needed {
        let each = |parts: &[Expression]| parts.iter().map(|one| self.needed(one, named)).collect();
        match expression {
            Expression::Is(id) => match self.predicates.get(*id as usize) {
                Some(predicate) => self.of_predicate(predicate, named),
                None => Needed::Anything,
            },
            Expression::All(parts) => all(each(parts)),
            Expression::AtLeast(0, _) | Expression::Not(_) => Needed::Anything,
            Expression::Any(parts) | Expression::AtLeast(_, parts) => any(each(parts)),
        }
    }

    fn of_predicate(&self, predicate: &Predicate, named: bool) -> Needed {
        match &predicate.test {
            Test::Text { pattern, .. } => of_pattern(pattern),
            Test::Regex { regex, flags } if !flags.ignore_case => {
                of_literal(&crate::index::required(regex.as_str()), (false, false))
            }
            Test::Number(number) if named => {
                self.of_fields(predicate, FieldType::Number, |name| format!("{name}:{number}"))
            }
            Test::Compare(order, number) if named => {
                let sign = match order {
                    Order::Greater => ">",
                    Order::GreaterOrEqual => ">=",
                    Order::Less => "<",
                    Order::LessOrEqual => "<=",
                };
                self.of_fields(predicate, FieldType::Number, |name| {
                    format!("{name}:{sign}{number}")
                })
            }
            Test::Cidr(network) if named => {
                self.of_fields(predicate, FieldType::Ip, |name| format!("{name}:{network}"))
            }
            _ => Needed::Anything,
        }
    }

    /// A term for each name of the field, when all of them have this type in the dictionary.
    fn of_fields(
        &self,
        predicate: &Predicate,
        kind: FieldType,
        term: impl Fn(&str) -> String,
    ) -> Needed {
        if predicate.field == ANY_FIELD {
            return Needed::Anything;
        }
        let names = self.fields.get(predicate.field as usize).map_or(&[][..], Vec::as_slice);
        // The name the rule gives is a name of Sigma's taxonomy more often than one of ours.
        let known = names.iter().filter_map(|name| event::by_name(name));
        let mut known: Vec<_> = known.filter(|field| field.kind == kind).collect();
        known.dedup_by_key(|field| field.name);
        let all_known =
            names.iter().all(|name| event::by_name(name).is_some_and(|f| f.kind == kind));
        if known.is_empty() || !all_known {
            return Needed::Anything;
        }
        any(known.into_iter().map(|field| Needed::Term(term(field.name))).collect())
    }
}

fn of_pattern(pattern: &Pattern) -> Needed {
    match pattern {
        Pattern::Any => Needed::Anything,
        Pattern::Exact(text) => of_literal(&lower(text), (true, true)),
        Pattern::Prefix(text) => of_literal(&lower(text), (true, false)),
        Pattern::Suffix(text) => of_literal(&lower(text), (false, true)),
        Pattern::Contains(text) => of_literal(&lower(text), (false, false)),
        Pattern::Pieces(pieces) => {
            let last = pieces.len().saturating_sub(1);
            let texts = pieces.iter().enumerate().map(|(at, piece)| match piece {
                Piece::Literal(text) => of_literal(&lower(text), (at == 0, at == last)),
                Piece::One | Piece::Many | Piece::Dash => Needed::Anything,
            });
            all(texts.collect())
        }
    }
}

/// Words that a value with this text in it has; `start` and `end` say whether the value begins and ends
/// with it.
fn of_literal(text: &str, (start, end): (bool, bool)) -> Needed {
    // Numbers, times, addresses and truth values are not indexed as words.
    let numeric = |c: char| c.is_ascii_hexdigit() || "+-.:/tzx ".contains(c);
    if text.chars().all(numeric) || "true".contains(text) || "false".contains(text) {
        return Needed::Anything;
    }
    let mut found = Vec::new();
    let mut rest = text;
    let mut before = start.then_some(' ');
    while !rest.is_empty() {
        let length = rest.find(|c: char| !in_word(c)).unwrap_or(rest.len());
        let (run, tail) = rest.split_at_checked(length).unwrap_or((rest, ""));
        let next = tail.chars().next().or_else(|| end.then_some(' '));
        let begins = before.is_some_and(|c| c.is_ascii() && !in_word(c));
        let ends = next.is_some_and(|c| c.is_ascii() && !in_word(c));
        if begins && run.is_ascii() && run.len() < MAX_WORD {
            if ends && !run.is_empty() {
                found.push(Needed::Term(format!("\"{run}\"")));
            } else if !ends && run.len() >= MIN_START {
                found.push(Needed::Term(format!("{run}*")));
            }
        }
        before = tail.chars().next();
        let skip = before.map_or(0, char::len_utf8);
        rest = tail.get(skip..).unwrap_or_default();
    }
    all(found)
}

/// What the index of words takes for a part of a word.
fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || !c.is_ascii()
}

fn all(parts: Vec<Needed>) -> Needed {
    let mut some: Vec<Needed> = Vec::new();
    for part in parts {
        match part {
            Needed::Anything => {}
            Needed::All(inner) => some.extend(inner),
            other => some.push(other),
        }
    }
    // The parts that say most come first; the others are left out when there are too many.
    some.sort_by_key(Needed::terms);
    some.dedup();
    let mut terms = 0;
    some.retain(|part| {
        let fits = terms + part.terms() <= MAX_TERMS / 4;
        terms += if fits { part.terms() } else { 0 };
        fits
    });
    match some.len() {
        0 => Needed::Anything,
        1 => some.remove(0),
        _ => Needed::All(some),
    }
}

fn any(parts: Vec<Needed>) -> Needed {
    let mut some: Vec<Needed> = Vec::new();
    for part in parts {
        match part {
            Needed::Anything => return Needed::Anything,
            Needed::Any(inner) => some.extend(inner),
            other if some.contains(&other) => {}
            other => some.push(other),
        }
    }
    match some.len() {
        0 => Needed::Anything,
        1 => some.remove(0),
        _ => Needed::Any(some),
    }
}

impl Needed {
    fn terms(&self) -> usize {
        match self {
            Self::Anything => 0,
            Self::Term(_) => 1,
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::terms).sum(),
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Anything | Self::Term(_) => 1,
            Self::All(parts) | Self::Any(parts) => {
                1 + parts.iter().map(Self::depth).max().unwrap_or_default()
            }
        }
    }

    fn write(&self, out: &mut String) {
        let mut join = |parts: &[Self], word: &str| {
            for (at, part) in parts.iter().enumerate() {
                if at > 0 {
                    // Writing to a string cannot fail.
                    let _infallible = write!(out, " {word} ");
                }
                let group = matches!(part, Self::All(_) | Self::Any(_));
                out.push_str(if group { "(" } else { "" });
                part.write(out);
                out.push_str(if group { ")" } else { "" });
            }
        };
        match self {
            Self::Anything => {}
            Self::Term(term) => out.push_str(term),
            Self::All(parts) => join(parts, "AND"),
            Self::Any(parts) => join(parts, "OR"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{rule, sound};

    fn check(detection: &str, expected: &str) {
        assert_eq!(sound(&rule(detection)).query(), expected, "{detection}");
    }

    #[test]
    fn texts_become_the_words_an_index_knows() {
        check("f: root", "\"root\"");
        check("f|contains: '/etc/shadow'", "\"etc\" AND shadow*");
        check("f|contains: ' -encodedcommand '", "\"encodedcommand\"");
        check("f|endswith: '\\cmd.exe'", "\"cmd\" AND \"exe\"");
        check("f|startswith: 'curl/8'", "\"curl\"");
        check("f|contains: middle", "*");
        check("f|contains: [' whoami ', ' hostname ']", "\"whoami\" OR \"hostname\"");
        check("f|contains: [' whoami ', middle]", "*");
        check("f|re: 'x /usr/bin/nc .* y'", "\"usr\" AND \"bin\" AND \"nc\"");
        check("f|re|i: 'x /usr/bin/nc .* y'", "*");
        check("f: '*\\*a* b?c /tmp/x*'", "\"tmp\"");
    }

    #[test]
    fn what_is_no_word_of_the_index_is_left_out() {
        for value in ["443", "10.0.0.1", "2026-01-01", "dead:beef", "true", "''", "' ä '"] {
            check(&format!("f|contains: {value}"), "*");
        }
        check("f: null", "*");
        check("f|exists: true", "*");
        check("f: 5", "*");
        check(&format!("f|startswith: '{}'", "x".repeat(200)), "*");
    }

    #[test]
    fn known_fields_of_our_own_events() {
        let set = |detection: &str| {
            sound(&format!("logsource: {{product: zeek, service: http}}\n{}", rule(detection)))
        };
        assert_eq!(set("src_ip|cidr: 10.0.0.0/8").query(), "src_ip:10.0.0.0/8");
        assert_eq!(set("dest_port|gte: 1024").query(), "dest_port:>=1024");
        assert_eq!(set("dest_port: 22").query(), "dest_port:22");
        // The event may be one of Zeek itself, whose field the dictionary does not know.
        assert_eq!(set("id.resp_p: 22").query(), "*");
    }

    #[test]
    fn conditions_and_sets_of_rules() {
        let text = "title: t\nid: a\ndetection:\n  s:\n    f: root\n  o:\n    g: admin\n  n:\n    h: no\n  \
                    condition: (s or o) and not n\n---\ntitle: u\nid: b\ndetection:\n  s:\n    f|startswith: 'sudo '\n    \
                    g|contains: ' shell '\n  condition: s\n";
        assert_eq!(sound(text).query(), "\"root\" OR \"admin\" OR (\"sudo\" AND \"shell\")");
        let many: Vec<String> = (0..500).map(|at| format!("'w{at}w'")).collect();
        check(&format!("f: [{}]", many.join(", ")), "*");
        check(&format!("f: [{}]\ng: root", many.join(", ")), "\"root\"");
    }
}
