//! The grammar of stages: `| stats count(), avg(f) by a, b | sort -count | head 10`.

use super::{ParseError, Parser};
use crate::search::pipe::{
    Function, MAX_NAMES, MAX_ROWS, MAX_STAGES, Measure, Name, SortKey, Stage, Verb,
};
use crate::search::suggest::nearest;

/// Stages and how they are written.
pub(crate) const STAGES: &[(&str, &str)] = &[
    ("stats", "stats count(), avg(field) by field, field"),
    ("timechart", "timechart span=5m count() by field"),
    ("top", "top 10 field"),
    ("rare", "rare 10 field"),
    ("sort", "sort -count, field"),
    ("dedup", "dedup field"),
    ("fields", "fields field, field"),
    ("head", "head 10"),
];

/// Functions of `stats` and `timechart` and how they are written.
pub(crate) const FUNCTIONS: &[(&str, &str)] = &[
    ("count", "count(), count(field)"),
    ("sum", "sum(field)"),
    ("avg", "avg(field)"),
    ("min", "min(field)"),
    ("max", "max(field)"),
    ("dc", "dc(field): number of distinct values"),
    ("percentile", "percentile(field, 95)"),
    ("p95", "p95(field), also p50 to p99.9"),
];

/// Stages of other languages, and what is written here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("where", "write the condition before the first |"),
    ("search", "write the condition before the first |"),
    ("filter", "write the condition before the first |"),
    ("table", "write fields a, b"),
    ("project", "write fields a, b"),
    ("keep", "write fields a, b"),
    ("drop", "write fields - a, b"),
    ("summarize", "write stats count() by field"),
    ("summarise", "write stats count() by field"),
    ("chart", "write stats count() by field, or timechart"),
    ("eventstats", "write stats count() by field"),
    ("limit", "write head 10"),
    ("take", "write head 10"),
    ("order", "write sort -field"),
    ("uniq", "write dedup field"),
    ("eval", "values are used as they are"),
    ("extend", "values are used as they are"),
];

/// Most rows that `head`, `top` and `rare` give when they do not say.
const USUAL_COUNT: usize = 10;

impl Parser {
    /// Stages up to the end of the text.
    pub(super) fn stages(&mut self) -> Result<Vec<Stage>, ParseError> {
        let mut out = Vec::new();
        while self.peek() == Some('|') {
            self.step(1);
            self.blank();
            if out.len() >= MAX_STAGES {
                return Err(self.wrong("too many stages".to_owned(), "at most 16 are allowed"));
            }
            out.push(self.stage()?);
            self.blank();
        }
        Ok(out)
    }

    fn stage(&mut self) -> Result<Stage, ParseError> {
        let column = self.column();
        let word = self.word();
        let lower = word.to_ascii_lowercase();
        if !STAGES.iter().any(|(name, _)| *name == lower) {
            return Err(unknown(column, &lower));
        }
        self.step(word.chars().count());
        let verb = match lower.as_str() {
            "stats" => self.stats()?,
            "timechart" => self.timechart()?,
            "top" => self.top(false)?,
            "rare" => self.top(true)?,
            "sort" => self.sort()?,
            "dedup" => Verb::Dedup(self.names()?),
            "fields" => self.fields()?,
            _ => Verb::Head(self.number()?.unwrap_or(USUAL_COUNT)),
        };
        self.blank();
        match self.peek() {
            None | Some('|') => Ok(Stage { verb, column }),
            Some(_) => {
                let found = self.word();
                let example = example(&word);
                Err(self
                    .wrong(format!("unexpected {found:?} in {word}"), format!("write {example}")))
            }
        }
    }

    /// A run of letters, digits and `_`; may be empty.
    fn word(&self) -> String {
        self.rest().iter().take_while(|c| c.is_alphanumeric() || **c == '_').collect()
    }

    fn keyword(&mut self, wanted: &str) -> bool {
        let word = self.word();
        let here = word.eq_ignore_ascii_case(wanted);
        if here {
            self.step(word.chars().count());
            self.blank();
        }
        here
    }

    /// A whole number, if one stands here.
    fn number(&mut self) -> Result<Option<usize>, ParseError> {
        self.blank();
        let digits: String = self.rest().iter().take_while(|c| c.is_ascii_digit()).collect();
        if digits.is_empty() {
            return Ok(None);
        }
        match digits.parse::<usize>() {
            Ok(number) if (1..=MAX_ROWS).contains(&number) => {
                self.step(digits.len());
                self.blank();
                Ok(Some(number))
            }
            _ => Err(self.wrong(format!("{digits} rows"), "write a number from 1 to 10000")),
        }
    }

    /// A field or column: a dotted word, or quoted.
    fn name(&mut self) -> Result<Name, ParseError> {
        self.blank();
        let column = self.column();
        if self.peek() == Some('"') {
            let text = self.quoted()?.literal().unwrap_or_default();
            return Ok(Name { text, column });
        }
        let stop = |c: &char| c.is_whitespace() || "|,()\"=".contains(*c);
        let text: String = self.rest().iter().take_while(|c| !stop(c)).collect();
        if text.is_empty() {
            let found = self.peek().map_or_else(|| "the end".to_owned(), |c| format!("{c:?}"));
            return Err(self.wrong(
                format!("a field was expected, found {found}"),
                "write a field such as src_ip, or \"a name with blanks\"",
            ));
        }
        self.step(text.chars().count());
        Ok(Name { text, column })
    }

    /// Names with commas or blanks between, to the end of the stage.
    fn names(&mut self) -> Result<Vec<Name>, ParseError> {
        let mut out = Vec::new();
        loop {
            self.few(out.len())?;
            out.push(self.name()?);
            if !self.further() {
                return Ok(out);
            }
        }
    }

    /// Whether one more of a list follows; takes the comma.
    fn further(&mut self) -> bool {
        self.blank();
        if self.peek() == Some(',') {
            self.step(1);
            self.blank();
            return true;
        }
        !matches!(self.peek(), None | Some('|')) && !self.word().eq_ignore_ascii_case("by")
    }

    fn few(&self, have: usize) -> Result<(), ParseError> {
        if have < MAX_NAMES {
            return Ok(());
        }
        Err(self.wrong("too many names in one stage".to_owned(), "at most 16 are allowed"))
    }

    fn by(&mut self) -> Result<Vec<Name>, ParseError> {
        self.blank();
        if self.keyword("by") { self.names() } else { Ok(Vec::new()) }
    }

    fn stats(&mut self) -> Result<Verb, ParseError> {
        let measures = self.measures()?;
        Ok(Verb::Stats { measures, by: self.by()? })
    }

    fn timechart(&mut self) -> Result<Verb, ParseError> {
        self.blank();
        let mut span = None;
        if self.word().eq_ignore_ascii_case("span") {
            self.step("span".len());
            self.blank();
            if self.peek() == Some('=') {
                self.step(1);
                self.blank();
            }
            span = Some(self.duration()?);
        }
        let measures = self.measures()?;
        let mut by = self.by()?.into_iter();
        let first = by.next();
        match by.next() {
            None => Ok(Verb::Timechart { span, measures, by: first }),
            Some(second) => Err(ParseError {
                column: second.column,
                what: "timechart takes one field behind by".to_owned(),
                hint: "leave out the others, or write stats with several".into(),
            }),
        }
    }

    fn duration(&mut self) -> Result<u64, ParseError> {
        let text: String = self.rest().iter().take_while(|c| c.is_alphanumeric()).collect();
        let hint = "write a span such as 30s, 5m, 1h or 1d";
        let parsed = text.char_indices().next_back().and_then(|(at, unit)| {
            let seconds = match unit {
                's' => 1,
                'm' => 60,
                'h' => 3_600,
                'd' => 86_400,
                'w' => 604_800,
                _ => return None,
            };
            text.get(..at)?.parse::<u64>().ok()?.checked_mul(seconds)
        });
        match parsed {
            Some(seconds) if (1..=315_360_000).contains(&seconds) => {
                self.step(text.chars().count());
                Ok(seconds)
            }
            _ => Err(self.wrong(format!("{text:?} is no span of time"), hint)),
        }
    }

    fn measures(&mut self) -> Result<Vec<Measure>, ParseError> {
        let mut out: Vec<Measure> = Vec::new();
        self.blank();
        if matches!(self.peek(), None | Some('|')) || self.word().eq_ignore_ascii_case("by") {
            return Err(
                self.wrong("a function is missing".to_owned(), "write count() or avg(field)")
            );
        }
        loop {
            self.few(out.len())?;
            self.blank();
            let measure = self.measure()?;
            if out.iter().any(|other| other.title == measure.title) {
                return Err(ParseError {
                    column: measure.column,
                    what: format!("column {} is there already", measure.title),
                    hint: "leave one out, or name it: count() as total".into(),
                });
            }
            out.push(measure);
            if !self.further() {
                return Ok(out);
            }
        }
    }

    fn measure(&mut self) -> Result<Measure, ParseError> {
        let column = self.column();
        let stop = |c: &char| !(c.is_alphanumeric() || matches!(c, '_' | '.'));
        let word: String = self.rest().iter().take_while(|c| !stop(c)).collect();
        let lower = word.to_ascii_lowercase();
        let mut function = function(&lower).ok_or_else(|| unknown_function(column, &word))?;
        self.step(word.chars().count());
        let mut field = None;
        if self.peek() == Some('(') {
            self.step(1);
            self.blank();
            if self.peek() != Some(')') {
                field = Some(self.name()?);
                self.blank();
            }
            if self.peek() == Some(',') && lower == "percentile" {
                self.step(1);
                function = Function::Percentile(self.percentage()?);
            }
            if self.peek() != Some(')') {
                return Err(self.wrong(format!("{word} is not closed"), "add )"));
            }
            self.step(1);
        }
        if field.is_none() && function != Function::Count {
            let hint = format!("write {word}(field)");
            let what = format!("{word} of what");
            return Err(ParseError { column, what, hint: hint.into() });
        }
        self.blank();
        let title = if self.keyword("as") { self.name()?.text } else { title(function, &field) };
        Ok(Measure { function, field, title, column })
    }

    fn percentage(&mut self) -> Result<u16, ParseError> {
        self.blank();
        let text: String =
            self.rest().iter().take_while(|c| c.is_ascii_digit() || **c == '.').collect();
        let found = hundredths(&text);
        let hint = "write a percentage between 0 and 100, such as 99.9";
        let found = found.ok_or_else(|| self.wrong(format!("{text:?} is no percentage"), hint))?;
        self.step(text.len());
        self.blank();
        Ok(found)
    }

    fn top(&mut self, rare: bool) -> Result<Verb, ParseError> {
        self.blank();
        if self.word() == "limit" && self.peek_at("limit".len()) == Some('=') {
            self.step("limit=".len());
        }
        let count = self.number()?.unwrap_or(USUAL_COUNT);
        Ok(Verb::Top { rare, count, fields: self.names()? })
    }

    fn sort(&mut self) -> Result<Verb, ParseError> {
        let mut keys = Vec::new();
        loop {
            self.blank();
            self.few(keys.len())?;
            let sign = self.peek().filter(|c| matches!(c, '-' | '+'));
            if sign.is_some() {
                self.step(1);
            }
            let name = self.name()?;
            self.blank();
            let descending = sign == Some('-') || self.keyword("desc");
            if sign.is_none() && !descending {
                self.keyword("asc");
            }
            keys.push(SortKey { name, descending });
            if !self.further() {
                return Ok(Verb::Sort(keys));
            }
        }
    }

    fn fields(&mut self) -> Result<Verb, ParseError> {
        self.blank();
        let without = self.peek() == Some('-');
        if without || self.peek() == Some('+') {
            self.step(1);
        }
        let names = self.names()?;
        Ok(if without { Verb::Without(names) } else { Verb::Fields(names) })
    }
}

fn example(word: &str) -> &'static str {
    let lower = word.to_ascii_lowercase();
    STAGES.iter().find(|(name, _)| *name == lower).map_or("stages behind |", |(_, how)| how)
}

fn unknown(column: usize, word: &str) -> ParseError {
    if word.is_empty() {
        let hint = "write stats, timechart, top, rare, sort, dedup, fields or head behind |, or \\| for the \
                    character";
        return ParseError { column, what: "a stage is missing".to_owned(), hint: hint.into() };
    }
    let elsewhere = ELSEWHERE.iter().find(|(name, _)| *name == word).map(|(_, hint)| *hint);
    let near = || nearest(word, STAGES.iter().map(|(name, _)| *name), 1).pop();
    let hint = match (elsewhere, near()) {
        (Some(hint), _) => hint.to_owned(),
        (None, Some(near)) => format!("did you mean {near}"),
        (None, None) => {
            "stages are stats, timechart, top, rare, sort, dedup, fields, head; quote text with |"
                .to_owned()
        }
    };
    ParseError { column, what: format!("there is no stage {word}"), hint: hint.into() }
}

fn function(word: &str) -> Option<Function> {
    Some(match word {
        "count" | "c" => Function::Count,
        "sum" => Function::Sum,
        "avg" | "mean" => Function::Avg,
        "min" => Function::Min,
        "max" => Function::Max,
        "dc" | "distinct_count" => Function::Distinct,
        "median" => Function::Percentile(5_000),
        "percentile" => Function::Percentile(9_500),
        other => Function::Percentile(hundredths(other.strip_prefix('p')?)?),
    })
}

fn unknown_function(column: usize, word: &str) -> ParseError {
    let near = nearest(word, FUNCTIONS.iter().map(|(name, _)| *name), 1).pop();
    let hint = near.map_or_else(
        || "functions are count, sum, avg, min, max, dc, percentile, p50 to p99.9".to_owned(),
        |near| format!("did you mean {near}"),
    );
    let what = if word.is_empty() {
        "a function was expected".to_owned()
    } else {
        format!("there is no function {word}")
    };
    ParseError { column, what, hint: hint.into() }
}

/// A percentage in hundredths of a percent.
fn hundredths(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let whole: u16 = whole.parse().ok()?;
    let part: u16 = match part.len() {
        0 => 0,
        1 => part.parse::<u16>().ok()?.checked_mul(10)?,
        2 => part.parse().ok()?,
        _ => return None,
    };
    let all = whole.checked_mul(100)?.checked_add(part)?;
    (all <= 10_000).then_some(all)
}

fn title(function: Function, field: &Option<Name>) -> String {
    let word = match function {
        Function::Count => "count".to_owned(),
        Function::Sum => "sum".to_owned(),
        Function::Avg => "avg".to_owned(),
        Function::Min => "min".to_owned(),
        Function::Max => "max".to_owned(),
        Function::Distinct => "dc".to_owned(),
        Function::Percentile(all) if all % 100 == 0 => format!("p{}", all / 100),
        Function::Percentile(all) if all % 10 == 0 => format!("p{}.{}", all / 100, all % 100 / 10),
        Function::Percentile(all) => format!("p{}.{:02}", all / 100, all % 100),
    };
    match field {
        Some(field) => format!("{word}({})", field.text),
        None => word,
    }
}
