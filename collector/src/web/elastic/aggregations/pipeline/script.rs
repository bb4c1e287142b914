//! The arithmetic that clients write in scripts of buckets: `params.a / params.b * 100`.
//!
//! A subset of Painless that means the same there: numbers, `params.NAME`, `+ - * / %`, brackets,
//! `CONDITION ? A : B` with one comparison, and a few functions of `Math`. Nothing else of the language is
//! here; it is refused by its place. Not a way to run anything: a script is a list of steps over a stack,
//! as long as its text. Source: Painless language specification, Operators.

use serde_json::Value;

use super::super::super::Wrong;
use super::super::super::read::Keys;

/// Longest script, bytes.
const MAX_LENGTH: usize = 1_000;
/// Deepest nesting.
const MAX_DEPTH: usize = 32;

/// A script, read.
#[derive(Clone, Debug)]
pub(super) struct Script(Vec<Step>);

/// Makes one value of one.
type One = fn(f64) -> f64;
/// Makes one value of two.
type Two = fn(f64, f64) -> f64;

#[derive(Clone, Copy, Debug)]
enum Step {
    Number(f64),
    /// The figure of this number among the paths.
    Figure(usize),
    Negate,
    /// One value made of two.
    Both(Two),
    /// One value made of one.
    Of(One),
    /// The second or the third, as the first is not zero or is.
    Choose,
}

/// Functions of one value, and whether of a whole number comes one.
const ONE: [(&str, One, bool); 4] = [
    ("abs", f64::abs, true),
    ("sqrt", f64::sqrt, false),
    ("floor", f64::floor, false),
    ("ceil", f64::ceil, false),
];
/// Functions of two values.
const TWO: [(&str, Two); 2] = [("max", f64::max), ("min", f64::min)];
/// Comparisons, those of two signs first.
const COMPARISONS: [(&str, Two); 6] = [
    ("==", |a, b| truth(a == b)),
    ("!=", |a, b| truth(a != b)),
    ("<=", |a, b| truth(a <= b)),
    (">=", |a, b| truth(a >= b)),
    ("<", |a, b| truth(a < b)),
    (">", |a, b| truth(a > b)),
];

const fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

/// The text of the script of an aggregation: as it is, or as `source` or `inline`.
///
/// # Errors
/// [`Wrong`] that names the key.
pub(super) fn text(keys: &mut Keys) -> Result<String, Wrong> {
    let given = keys.take("script");
    match keys.must("script", given)? {
        Value::String(text) => Ok(text),
        other => {
            let mut inner = Keys::of(&format!("{}.script", keys.at()), other)?;
            inner.only_text("lang", &["painless"])?;
            let text = inner.text("source")?;
            let old = inner.text("inline")?;
            let text = inner.must("source", text.or(old))?;
            inner.finish()?;
            Ok(text)
        }
    }
}

impl Script {
    /// Reads a script over figures of these names.
    ///
    /// # Errors
    /// Why not, and where.
    pub(super) fn read(text: &str, names: &[String]) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("[script] is longer than {MAX_LENGTH} bytes"));
        }
        let mut reader = Reader { text, at: 0, depth: 0, names, steps: Vec::new() };
        if reader.word("return") && !reader.rest().starts_with([' ', '(']) {
            return Err(reader.wrong("what is not understood"));
        }
        reader.choice()?;
        reader.takes(";");
        reader.space();
        if !reader.rest().is_empty() {
            return Err(reader.wrong("what is not understood"));
        }
        Ok(Self(reader.steps))
    }

    /// Its result over the figures, in the order of their names.
    pub(super) fn run(&self, figures: &[f64]) -> f64 {
        let mut stack = Vec::new();
        for step in &self.0 {
            let mut pop = || stack.pop().unwrap_or(f64::NAN);
            let value = match step {
                Step::Number(number) => *number,
                Step::Figure(at) => figures.get(*at).copied().unwrap_or(f64::NAN),
                Step::Negate => -pop(),
                Step::Of(function) => function(pop()),
                Step::Both(function) => {
                    let (second, first) = (pop(), pop());
                    function(first, second)
                }
                Step::Choose => {
                    let (other, one, condition) = (pop(), pop(), pop());
                    if condition == 0.0 { other } else { one }
                }
            };
            stack.push(value);
        }
        stack.pop().unwrap_or(f64::NAN)
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    names: &'a [String],
    steps: Vec<Step>,
}

/// Whether a part is made of whole numbers only, which divide otherwise.
type Whole = bool;

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at = self.at.saturating_add(rest.len().saturating_sub(rest.trim_start().len()));
    }

    fn takes(&mut self, sign: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(sign);
        if found {
            self.at = self.at.saturating_add(sign.len());
        }
        found
    }

    fn word(&mut self, word: &str) -> bool {
        self.takes(word)
    }

    fn wrong(&self, what: &str) -> String {
        let before = self.text.get(..self.at).unwrap_or_default().chars().count();
        format!("[script] has {what} at character {}", before.saturating_add(1))
    }

    fn must(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) { Ok(()) } else { Err(self.wrong(&format!("no {sign}"))) }
    }

    /// `SUM`, or `SUM < SUM ? CHOICE : CHOICE`.
    fn choice(&mut self) -> Result<Whole, String> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_DEPTH {
            return Err(self.wrong(&format!("more than {MAX_DEPTH} levels")));
        }
        let first = self.sum()?;
        let compared = COMPARISONS.into_iter().find(|(sign, _)| self.takes(sign));
        let whole = match compared {
            None => first,
            Some((_, comparison)) => {
                self.sum()?;
                self.steps.push(Step::Both(comparison));
                self.must("?")?;
                let one = self.choice()?;
                self.must(":")?;
                let other = self.choice()?;
                self.steps.push(Step::Choose);
                one && other
            }
        };
        self.depth = self.depth.saturating_sub(1);
        Ok(whole)
    }

    fn sum(&mut self) -> Result<Whole, String> {
        let mut whole = self.product()?;
        loop {
            let step: Two = if self.takes("+") {
                |a, b| a + b
            } else if self.takes("-") {
                |a, b| a - b
            } else {
                return Ok(whole);
            };
            whole &= self.product()?;
            self.steps.push(Step::Both(step));
        }
    }

    fn product(&mut self) -> Result<Whole, String> {
        let mut whole = self.signed()?;
        loop {
            let (step, divides): (Two, bool) = if self.takes("*") {
                (|a, b| a * b, false)
            } else if self.takes("/") {
                (|a, b| a / b, true)
            } else if self.takes("%") {
                (|a, b| a % b, true)
            } else {
                return Ok(whole);
            };
            let place = self.at;
            whole &= self.signed()?;
            if whole && divides {
                self.at = place;
                return Err(self.wrong("a division of whole numbers, write 2.0 instead of 2,"));
            }
            self.steps.push(Step::Both(step));
        }
    }

    fn signed(&mut self) -> Result<Whole, String> {
        let mut negative = false;
        while self.takes("-") {
            negative = !negative;
        }
        let whole = self.value()?;
        if negative {
            self.steps.push(Step::Negate);
        }
        Ok(whole)
    }

    fn value(&mut self) -> Result<Whole, String> {
        if self.takes("(") {
            let whole = self.choice()?;
            self.must(")")?;
            return Ok(whole);
        }
        if self.takes("params.") {
            return self.figure();
        }
        if self.takes("Math.") {
            return self.function();
        }
        let rest = self.rest();
        let end = rest.find(|one: char| !one.is_ascii_digit() && one != '.').unwrap_or(rest.len());
        let digits = rest.get(..end).unwrap_or_default();
        let number: f64 = digits.parse().map_err(|_| self.wrong("what is not understood"))?;
        let whole = !digits.contains('.');
        self.at = self.at.saturating_add(end);
        self.steps.push(Step::Number(number));
        Ok(whole)
    }

    /// The letters, digits and underscores that follow.
    fn name(&mut self) -> String {
        let rest = self.rest();
        let inside = |one: char| one.is_ascii_alphanumeric() || one == '_';
        let end = rest.find(|one| !inside(one)).unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or_default().to_owned();
        self.at = self.at.saturating_add(end);
        name
    }

    fn figure(&mut self) -> Result<Whole, String> {
        let place = self.at;
        let name = self.name();
        let Some(at) = self.names.iter().position(|known| *known == name) else {
            self.at = place;
            return Err(self.wrong("a name that is not in [buckets_path]"));
        };
        self.steps.push(Step::Figure(at));
        Ok(false)
    }

    fn function(&mut self) -> Result<Whole, String> {
        let place = self.at;
        let name = self.name();
        self.must("(")?;
        if let Some((_, function, keeps)) = ONE.into_iter().find(|(known, ..)| *known == name) {
            let whole = self.choice()?;
            self.must(")")?;
            self.steps.push(Step::Of(function));
            return Ok(whole && keeps);
        }
        let Some((_, function)) = TWO.into_iter().find(|(known, _)| *known == name) else {
            self.at = place;
            return Err(self.wrong("a function other than abs, ceil, floor, max, min and sqrt"));
        };
        let one = self.choice()?;
        self.must(",")?;
        let other = self.choice()?;
        self.must(")")?;
        self.steps.push(Step::Both(function));
        Ok(one && other)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &Expect) {
        let names = ["a", "b2"].map(str::to_owned);
        let said = match Script::read(text, &names) {
            Ok(script) => format!("{:?}", script.run(&[10.0, 4.0])),
            Err(why) => why,
        };
        expected.assert_eq(&said);
    }

    #[test]
    fn arithmetic_means_what_it_means_there() {
        check("params.a / params.b2 * 100", &expect!["250.0"]);
        check("return (params.a - params.b2) % 4.0;", &expect!["2.0"]);
        check("-params.a + - -2 * 3", &expect!["-4.0"]);
        check("params.b2 == 0 ? 0 : params.a / params.b2", &expect!["2.5"]);
        check("params.a <= 4 ? 1 : params.a > 9 ? 2 : 3", &expect!["2.0"]);
        check("Math.max(Math.abs(-3), params.b2) + Math.sqrt(params.b2)", &expect!["6.0"]);
        check("params.a / 0", &expect!["inf"]);
        check("1_000", &expect!["[script] has what is not understood at character 2"]);
    }

    #[test]
    fn what_is_not_understood_is_refused_by_its_place() {
        for (text, expected) in [
            ("", expect!["[script] has what is not understood at character 1"]),
            (
                "params.c",
                expect!["[script] has a name that is not in [buckets_path] at character 8"],
            ),
            (
                "1 / 2 * params.a",
                expect![
                    "[script] has a division of whole numbers, write 2.0 instead of 2, at character 4"
                ],
            ),
            ("params.a > 1", expect!["[script] has no ? at character 13"]),
            ("params.a ? 1 : 2", expect!["[script] has what is not understood at character 10"]),
            (
                "Math.random()",
                expect![
                    "[script] has a function other than abs, ceil, floor, max, min and sqrt at character 6"
                ],
            ),
            ("params.a; params.b2", expect!["[script] has what is not understood at character 11"]),
            ("def x = 1; x", expect!["[script] has what is not understood at character 1"]),
            ("(params.a", expect!["[script] has no ) at character 10"]),
            ("1.2.3", expect!["[script] has what is not understood at character 1"]),
            (
                "params.é",
                expect!["[script] has a name that is not in [buckets_path] at character 8"],
            ),
        ] {
            check(text, &expected);
        }
    }

    #[test]
    fn hostile_texts_end_soon() {
        for text in ["(".repeat(900), "-".repeat(1_000), "1+".repeat(499), "Math.abs(".repeat(100)]
        {
            assert!(Script::read(&text, &[]).is_err(), "{text:.20}");
        }
        assert!(Script::read(&"1+".repeat(600), &[]).unwrap_err().contains("longer"));
        let long = format!("{}1", "1+".repeat(499));
        assert_eq!(Script::read(&long, &[]).unwrap().run(&[]), 500.0);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            text in "([0-9.]|params[.]a|[-+*/%()?:<>=!,; ]|Math[.](abs|max)[(]|[é\u{0}-~]){0,40}",
        ) {
            if let Ok(script) = Script::read(&text, &["a".to_owned()]) {
                script.run(&[2.0]);
            }
        }

        #[test]
        fn sums_and_products_come_in_their_order(a in -9_i32..9, b in 1_i32..9, c in -9_i32..9) {
            let (x, y, z) = (f64::from(a), f64::from(b), f64::from(c));
            let names = ["x", "y", "z"].map(str::to_owned);
            for (text, expected) in [
                ("params.x - params.y - params.z", x - y - z),
                ("params.x / params.y * params.z", x / y * z),
                ("params.x + params.y * -params.z", x + y * -z),
                ("(params.x + params.y) * params.z", (x + y) * z),
                ("params.x > params.y ? params.z : params.y", if x > y { z } else { y }),
            ] {
                prop_assert_eq!(Script::read(text, &names).unwrap().run(&[x, y, z]), expected);
            }
        }
    }
}
